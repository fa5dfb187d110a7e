/* test_unit_conf.c - are the certificates of Python servers found in their units? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "agent/survey/unit_conf.h"
#include "agent/survey/unit_facts.h"
#include "shared/base/attr.h"
#include "tests/lib/conf_kit.h"

static int read_unit(struct conf_kit *k, const char *text)
{
	char        path[256];
	char        drop[256];
	const char *files[] = {path, drop};
	conf_kit_clear(k);
	conf_kit_file(k, "api.service", text);
	snprintf(path, sizeof(path), "%s/api.service", k->dir);
	snprintf(drop, sizeof(drop), "%s/api.service.d/x.conf", k->dir);
	return unit_conf_read(&k->src, files, 1, &k->sites, &k->why);
}

static void must_refuse(void **state)
{
	struct conf_kit *k = *state;
	assert_int_equal(read_unit(k, "[Service]\nExecStart=/usr/bin/uvicorn \"a\n"), E_SURVEY_SYNTAX);
	assert_int_equal(read_unit(k, ""), 0);
	assert_int_equal(k->sites.n, 0);
	assert_int_equal(read_unit(k, "[Unit]\nExecStart=/usr/bin/uvicorn --ssl-certfile /c --ssl-keyfile /k\n"), 0);
	assert_int_equal(k->sites.n, 0);
	assert_int_equal(read_unit(k, "[Service]\n# ExecStart=/usr/bin/uvicorn --ssl-certfile /c --ssl-keyfile /k\n"), 0);
	assert_int_equal(k->sites.n, 0);
	assert_int_equal(read_unit(k, "[Service]\nExecStart=/usr/bin/nginx --ssl-certfile /c --ssl-keyfile /k\n"), 0);
	assert_int_equal(k->sites.n, 0);
	assert_int_equal(read_unit(k, "[Service]\nExecStart=/usr/bin/uvicorn --ssl-certfile /c\n"), 0);
	assert_int_equal(k->sites.n, 0);
	/* a reset: what stood before it does not count */
	assert_int_equal(read_unit(k, "[Service]\nExecStart=/usr/bin/uvicorn --ssl-certfile /c --ssl-keyfile /k\nExecStart=\n"),
			 0);
	assert_int_equal(k->sites.n, 0);
}

static void servers(void **state)
{
	struct conf_kit         *k = *state;
	static const char *const rows[] = {
		"/usr/bin/uvicorn app:app",
		"/usr/bin/uvicorn app:app --workers=4",
		"/usr/bin/python3 -m uvicorn app:app --workers 2",
		"-/opt/venv/bin/gunicorn app:app",
		"@/opt/venv/bin/hypercorn x app:app",
		"/usr/bin/python3 -m vcc_tls backend.app",
		"/usr/bin/env --ignore-signal=HUP /usr/bin/python3 -m vcc_tls uvicorn app:app",
	};
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		char text[300];
		snprintf(text, sizeof(text),
			 "[Service]\nExecStart=%s --ssl-certfile /etc/c.pem --ssl-keyfile=/etc/k.pem\nUser=x\n", rows[i]);
		assert_int_equal(read_unit(k, text), 0);
		assert_int_equal(k->sites.n, 1);
		conf_kit_bytes_are(k, &k->sites.row[0].cert, "/etc/c.pem");
		conf_kit_bytes_are(k, &k->sites.row[0].key, "/etc/k.pem");
		assert_string_equal(k->sites.row[0].key.text, "/etc/k.pem");
		/* the test's folder is not /etc */
		assert_non_null(strstr(k->sites.row[0].problem, "package"));
	}
}

static void lines_and_quotes(void **state)
{
	struct conf_kit *k = *state;
	assert_int_equal(read_unit(k, "[Service]\nExecStart = /usr/bin/gunicorn \\\n  app:app \\\n  --certfile '/etc/my "
				      "cert.pem' \\\n  --keyfile /etc/k.pem \\\n"
				      "  --bind 0.0.0.0:8443\n"),
			 0);
	assert_int_equal(k->sites.n, 1);
	assert_string_equal(k->sites.row[0].cert.text, "/etc/my cert.pem");
	conf_kit_bytes_are(k, &k->sites.row[0].cert, "'/etc/my cert.pem'");
}

static void problems(void **state)
{
	struct conf_kit         *k = *state;
	static const char *const rows[] = {
		"--certfile rel.pem --keyfile /k",          "--certfile /%i.pem --keyfile /k", "--certfile $C --keyfile /k",
		"--certfile /c --keyfile \"--keyfile=/x\"", "--certfile /c \"--keyfile=/x\"",
	};
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		char text[300];
		snprintf(text, sizeof(text), "[Service]\nExecStart=/usr/bin/gunicorn %s\n", rows[i]);
		assert_int_equal(read_unit(k, text), 0);
		assert_int_equal(k->sites.n, 1);
		assert_non_null(strstr(k->sites.row[0].problem, "relative or holds a variable"));
	}
}

static void dropins_win(void **state)
{
	struct conf_kit *k = *state;
	char             a[256];
	char             b[256];
	const char      *files[] = {a, b};
	conf_kit_file(k, "api.service", "[Service]\nExecStart=/usr/bin/gunicorn --certfile /old --keyfile /oldk\n");
	conf_kit_file(k, "x.conf", "[Service]\nExecStart=\nExecStart=/usr/bin/gunicorn --certfile /new --keyfile /newk\n");
	snprintf(a, sizeof(a), "%s/api.service", k->dir);
	snprintf(b, sizeof(b), "%s/x.conf", k->dir);
	assert_int_equal(unit_conf_read(&k->src, files, 2, &k->sites, &k->why), 0);
	assert_string_equal(k->sites.row[0].cert.text, "/new");
	assert_non_null(strstr(k->src.file[k->sites.row[0].cert.file]->path, "/x.conf"));
}

static void systemctl_show(void **state)
{
	static const char text[] =
		"MainPID=4711\nLoadState=loaded\nCanReload=yes\nFragmentPath=/etc/systemd/system/api.service\n"
		"DropInPaths=/etc/systemd/system/api.service.d/a.conf /run/systemd/system/api.service.d/b.conf relative\n";
	struct unit_facts f;
	(void)state;
	assert_true(unit_facts_parse((struct span){(const uint8_t *)text, sizeof(text) - 1}, &f));
	assert_int_equal(f.main_pid, 4711);
	assert_true(f.can_reload);
	assert_string_equal(f.fragment, "/etc/systemd/system/api.service");
	assert_int_equal(f.n_dropins, 2);
	assert_string_equal(f.dropin[1], "/run/systemd/system/api.service.d/b.conf");
	assert_false(unit_facts_parse((struct span){(const uint8_t *)"LoadState=not-found\n", 20}, &f));
	assert_false(unit_facts_parse((struct span){NULL, 0}, &f));
	assert_false(unit_facts_parse((struct span){(const uint8_t *)"LoadState", 9}, &f));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, conf_kit_setup, conf_kit_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(must_refuse), TEST(servers),     TEST(lines_and_quotes),
		TEST(problems),    TEST(dropins_win), cmocka_unit_test(systemctl_show),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

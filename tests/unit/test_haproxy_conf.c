/* test_haproxy_conf.c - are HAProxy's certificates found where they stand, and hostile files refused clearly? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "agent/survey/haproxy_conf.h"
#include "shared/base/attr.h"
#include "tests/lib/conf_kit.h"

static int read_conf(struct conf_kit *k, const char *text)
{
	char path[256];
	conf_kit_clear(k);
	conf_kit_file(k, "haproxy.cfg", text);
	snprintf(path, sizeof(path), "%s/haproxy.cfg", k->dir);
	return haproxy_conf_read(&k->src, path, &k->sites, &k->why);
}

static void must_refuse(void **state)
{
	struct conf_kit *k = *state;
	assert_int_equal(read_conf(k, "frontend f\n bind :443 ssl crt \"/a\n"), E_SURVEY_SYNTAX);
	assert_non_null(strstr(k->why.object, "haproxy.cfg:2"));
	assert_int_equal(read_conf(k, "frontend f\n bind :443 ssl crt '/a\n'"), E_SURVEY_SYNTAX);
	assert_int_equal(haproxy_conf_read(&k->src, "/nonexistent/haproxy.cfg", &k->sites, &k->why), E_NOT_FOUND);
	assert_int_equal(read_conf(k, "frontend f\n bind :443 ssl crt\n"), E_SURVEY_SYNTAX);
	conf_kit_clear(k);
	assert_int_equal(haproxy_conf_read(&k->src, k->dir, &k->sites, &k->why), E_SURVEY_UNSAFE);
}

static void bind_lines(void **state)
{
	struct conf_kit *k = *state;
	assert_int_equal(read_conf(k, "global\n\tstats socket /run/ro.sock mode 600\n\tstats socket /run/haproxy/admin.sock "
				      "mode 660 level admin\n"
				      "\tpidfile /run/haproxy.pid\n\tcrt-base /etc/ssl/private # here\ndefaults\n\tmode http\n"
				      "frontend www\n\tbind :80\n\tbind 192.0.2.1:443,[::]:8443,unix@/x ssl crt site.pem alpn "
				      "h2,http/1.1 # tls\n"
				      "listen db\n\tbind *:9443 ssl crt \"/a b/c.pem\" strict-sni\nbackend b\n\tserver s "
				      "192.0.2.9:443 ssl crt /client.pem\n"),
			 0);
	assert_int_equal(k->sites.n, 2);
	const struct site *s = &k->sites.row[0];
	assert_string_equal(s->cert.text, "/etc/ssl/private/site.pem");
	conf_kit_bytes_are(k, &s->cert, "site.pem");
	assert_int_equal(s->n_listens, 2);
	assert_string_equal(s->listen[0].host, "192.0.2.1");
	assert_string_equal(s->listen[1].host, "::");
	assert_int_equal(s->listen[1].port, 8443);
	assert_null(s->problem);
	assert_string_equal(k->sites.row[1].cert.text, "/a b/c.pem");
	conf_kit_bytes_are(k, &k->sites.row[1].cert, "\"/a b/c.pem\"");
	assert_string_equal(k->sites.admin_socket, "/run/haproxy/admin.sock");
	assert_string_equal(k->sites.pidfile, "/run/haproxy.pid");
}

static void quoting(void **state)
{
	struct conf_kit *k = *state;
	assert_int_equal(read_conf(k, "listen x\n bind :1 ssl crt /a\\ b\\#c'd e'\"f\\\"\"  # x\n"), 0);
	assert_string_equal(k->sites.row[0].cert.text, "/a b#cd ef\"");
	assert_int_equal(read_conf(k, "listen x\n bind :1 ssl #crt /a\n bind :2 ssl crt /b#c\n"), 0);
	assert_int_equal(k->sites.n, 1);
	assert_string_equal(k->sites.row[0].cert.text, "/b");
}

static void problems(void **state)
{
	struct conf_kit *k = *state;
	static const struct {
		const char *bind, *problem;
	} rows[] = {
		{"bind :443 ssl crt /a crt /b", "several certificates"},
		{"bind :443 ssl crt-list /l", "crt-list"},
		{"bind :443 ssl crt /a crt-list /l", "crt-list"},
		{"bind :443 ssl crt \"${DIR}/a\"", "variable"},
	};
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		char text[200];
		snprintf(text, sizeof(text), "frontend f\n %s\n", rows[i].bind);
		assert_int_equal(read_conf(k, text), 0);
		assert_int_equal(k->sites.n, 1);
		assert_non_null(k->sites.row[0].problem);
		assert_non_null(strstr(k->sites.row[0].problem, rows[i].problem));
	}
	assert_int_equal(read_conf(k, "frontend f\n bind :443 crt /a\n bind :444 ssl\n bind\n"), 0);
	assert_int_equal(k->sites.n, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, conf_kit_setup, conf_kit_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {TEST(must_refuse), TEST(bind_lines), TEST(quoting), TEST(problems)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_server.c - what does a server's command line say about its files, its test and its reload? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "agent/survey/server.h"
#include "shared/base/attr.h"

#define LINE(text) (text), sizeof(text)

static struct server *located(enum server_kind kind, const char *exe, const char *line, size_t n, int code)
{
	struct server *s = calloc(1, sizeof(*s));
	struct refusal why = {.code = 0};
	assert_non_null(s);
	s->kind = kind;
	strcpy(s->process.exe, exe);
	server_args_parse(kind, line, n, &s->args);
	assert_int_equal(server_locate(s, &why), code);
	return s;
}

static void nginx(void **state)
{
	(void)state;
	struct server *s = located(SERVER_NGINX, "/usr/sbin/nginx",
				   LINE("nginx: master process /usr/sbin/nginx -g daemon on; master_process on;"), 0);
	assert_string_equal(s->file[0], "/etc/nginx/nginx.conf");
	assert_string_equal(s->base, "/etc/nginx");
	assert_string_equal(s->test, "/usr/sbin/nginx -t");
	assert_string_equal(s->reload, "/usr/sbin/nginx -s reload");
	free(s);
	s = located(SERVER_NGINX, "/opt/nginx", LINE("nginx: master process /opt/nginx -p /srv/n -c conf/n.conf"), 0);
	assert_string_equal(s->file[0], "/srv/n/conf/n.conf");
	assert_string_equal(s->base, "/srv/n/conf");
	assert_string_equal(s->test, "/opt/nginx -t -p /srv/n -c /srv/n/conf/n.conf");
	assert_string_equal(s->reload, "/opt/nginx -p /srv/n -c /srv/n/conf/n.conf -s reload");
	free(s);
	s = located(SERVER_NGINX, "/usr/sbin/nginx", LINE("/usr/sbin/nginx\0-c/etc/n.conf"), 0);
	assert_string_equal(s->file[0], "/etc/n.conf");
	free(s);
	/* what would not stand in a target file or a command as it is */
	free(located(SERVER_NGINX, "/usr/sbin/nginx", LINE("/usr/sbin/nginx\0-c\0/etc/n conf"), E_SURVEY_CANNOT));
	free(located(SERVER_NGINX, "/usr/sbin/nginx", LINE("/usr/sbin/nginx\0-p\0rel"), E_SURVEY_CANNOT));
	free(located(SERVER_NGINX, "/usr/sbin/nginx", LINE("/usr/sbin/nginx\0-p\0/a;b\0-c\0/c"), E_SURVEY_CANNOT));
	/* a command that was cut would test another file */
	char line[1200] = "/usr/sbin/nginx\0-p\0/";
	memset(line + 20, 'p', 500);
	memcpy(line + 521, "-c\0/", 4);
	memset(line + 525, 'c', 500);
	free(located(SERVER_NGINX, "/usr/sbin/nginx", line, 1026, E_SURVEY_LIMIT));
	memset(line + 775, 0, 251);
	s = located(SERVER_NGINX, "/usr/sbin/nginx", line, 776, 0);
	assert_int_equal(strlen(s->test), strlen("/usr/sbin/nginx -t -p /") + 500 + strlen(" -c /") + 250);
	free(s);
}

static void apache(void **state)
{
	(void)state;
	struct server *s = located(SERVER_APACHE, "/usr/sbin/apache2", LINE("/usr/sbin/apache2\0-k\0start"), 0);
	assert_string_equal(s->file[0], "/etc/apache2/apache2.conf");
	assert_string_equal(s->test, "/usr/sbin/apache2ctl configtest");
	assert_int_equal(s->signal, SIGUSR1);
	free(s);
	s = located(SERVER_APACHE, "/usr/sbin/apache2", LINE("/usr/sbin/apache2\0-d\0/srv/a\0-f\0h.conf"), 0);
	assert_string_equal(s->file[0], "/srv/a/h.conf");
	assert_string_equal(s->reload, "/usr/sbin/apache2 -d /srv/a -f /srv/a/h.conf -k graceful");
	free(s);
}

static void haproxy(void **state)
{
	(void)state;
	struct server *s = located(SERVER_HAPROXY, "/usr/sbin/haproxy",
				   LINE("/usr/sbin/haproxy\0-Ws\0-f\0/etc/h.cfg\0-f\0/etc/h.d\0-p\0/run/h.pid"), 0);
	assert_int_equal(s->n_files, 2);
	assert_string_equal(s->file[1], "/etc/h.d");
	assert_string_equal(s->test, "/usr/sbin/haproxy -c -f /etc/h.cfg -f /etc/h.d");
	assert_int_equal(s->signal, SIGUSR2);
	free(s);
	s = located(SERVER_HAPROXY, "/usr/sbin/haproxy", LINE("/usr/sbin/haproxy\0-D\0--\0/a.cfg\0/b.cfg"), 0);
	assert_int_equal(s->n_files, 2);
	assert_string_equal(s->file[1], "/b.cfg");
	assert_int_equal(s->signal, 0);
	free(s);
	free(located(SERVER_HAPROXY, "/usr/sbin/haproxy", LINE("/usr/sbin/haproxy\0-D"), E_SURVEY_CANNOT));
	free(located(SERVER_HAPROXY, "/usr/sbin/haproxy", LINE("/usr/sbin/haproxy\0-f"), E_SURVEY_CANNOT));
	free(located(SERVER_HAPROXY, "/usr/sbin/haproxy", LINE("/usr/sbin/haproxy\0-f\0h.cfg"), E_SURVEY_CANNOT));
	/* more files than we follow */
	char   line[600] = "/usr/sbin/haproxy";
	size_t n = strlen(line) + 1;
	for (int i = 0; i <= SERVER_FILES_MAX; i++) {
		memcpy(line + n, "-f\0/x.cfg", 10);
		n += 10;
	}
	free(located(SERVER_HAPROXY, "/usr/sbin/haproxy", line, n, E_SURVEY_LIMIT));
}

static void postgresql(void **state)
{
	(void)state;
	struct server *s =
		located(SERVER_POSTGRESQL, "/usr/lib/postgresql/15/bin/postgres",
			LINE("/usr/lib/postgresql/15/bin/postgres\0-D\0/var/lib/p\0-c\0config_file=/etc/p/postgresql.conf"), 0);
	assert_string_equal(s->file[0], "/etc/p/postgresql.conf");
	assert_string_equal(s->base, "/var/lib/p");
	assert_string_equal(s->test, "");
	assert_int_equal(s->signal, SIGHUP);
	free(s);
	s = located(SERVER_POSTGRESQL, "/p", LINE("postgres\0-D\0/var/lib/p"), 0);
	assert_string_equal(s->file[0], "/var/lib/p/postgresql.conf");
	free(s);
	free(located(SERVER_POSTGRESQL, "/p", LINE("postgres"), E_SURVEY_CANNOT));
	free(located(SERVER_POSTGRESQL, "/p", LINE("postgres\0-D\0/d\0-c\0ssl_cert_file=/x"), E_SURVEY_CANNOT));
	free(located(SERVER_POSTGRESQL, "/p", LINE("postgres\0-D\0/d\0--ssl_key_file=/x"), E_SURVEY_CANNOT));
	free(located(SERVER_POSTGRESQL, "/p", LINE("postgres\0-D\0/d\0--ssl-key-file=/x"), E_SURVEY_CANNOT));
	free(located(SERVER_POSTGRESQL, "/p", LINE("postgres\0-D\0/d\0-cSSL_cert_file=/x"), E_SURVEY_CANNOT));
	free(located(SERVER_POSTGRESQL, "/p", LINE("postgres\0-D\0/d\0-c\0ssl_cert_files=/x"), 0));
	s = located(SERVER_POSTGRESQL, "/p", LINE("postgres\0-D\0/d\0-c\0config_file=/a\0--config-file=/b"), 0);
	assert_string_equal(s->file[0], "/b");
	free(s);
}

static void kinds(void **state)
{
	static const struct {
		const char      *program, *unit;
		enum server_kind kind;
	} rows[] = {
		{"nginx", "", SERVER_NGINX},           {"apache2", "", SERVER_APACHE},
		{"haproxy", "", SERVER_HAPROXY},       {"postgres", "", SERVER_POSTGRESQL},
		{"gunicorn", "", SERVER_PYTHON},       {"python3.11", "x.service", SERVER_PYTHON},
		{"python3.11", "", SERVER_KIND_COUNT}, {"", "", SERVER_KIND_COUNT},
		{"nginx2", "", SERVER_KIND_COUNT},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		struct process_facts p = {.pid = 1};
		strcpy(p.program, rows[i].program);
		strcpy(p.unit, rows[i].unit);
		assert_int_equal(server_kind_of(&p), rows[i].kind);
	}
}

/* A process writes its command line itself: anything may stand there. */
static void hostile_lines(void **state)
{
	static char        line[3 * SERVER_ARGS_SIZE];
	struct server_args a;
	(void)state;
	memset(line, 'x', sizeof(line));
	server_args_parse(SERVER_NGINX, line, sizeof(line), &a);
	assert_int_equal(a.n, 1);
	assert_int_equal(strlen(a.word[0]), SERVER_ARGS_SIZE - 1);
	for (size_t i = 1; i < sizeof(line); i += 2)
		line[i] = '\0';
	server_args_parse(SERVER_NGINX, line, sizeof(line), &a);
	assert_int_equal(a.n, SERVER_ARGS_MAX);
	assert_null(a.word[SERVER_ARGS_MAX]);
	memset(line, 0, sizeof(line));
	server_args_parse(SERVER_HAPROXY, line, sizeof(line), &a);
	assert_int_equal(a.n, 0);
	server_args_parse(SERVER_HAPROXY, line, 0, &a);
	assert_int_equal(a.n, 0);
	free(located(SERVER_HAPROXY, "/h", "", 0, E_SURVEY_CANNOT));
	free(located(SERVER_POSTGRESQL, "/p", "", 0, E_SURVEY_CANNOT));
}

static void plain_paths(void **state)
{
	static const char *const good[] = {"/", "/etc/nginx/nginx.conf", "/a_b-c.d+e:f@g"};
	static const char *const bad[] = {"",      "a",    "/a b",  "/a;b",      "/a#b", "/a\"b", "/a'b",
					  "/a\nb", "/a$b", "/a\\b", "/\xc3\xa4", "/a%b", "/a{b"};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(good); i++)
		assert_true(server_path_plain(good[i]));
	for (size_t i = 0; i < N_ELEMENTS(bad); i++)
		assert_false(server_path_plain(bad[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nginx),       cmocka_unit_test(apache), cmocka_unit_test(haproxy),
		cmocka_unit_test(postgresql),  cmocka_unit_test(kinds),  cmocka_unit_test(hostile_lines),
		cmocka_unit_test(plain_paths),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

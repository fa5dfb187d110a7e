/* test_nginx_conf.c - are nginx's certificates found where they stand, and hostile files refused clearly? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/survey/nginx_conf.h"
#include "shared/base/attr.h"
#include "tests/lib/conf_kit.h"

static int read_conf(struct conf_kit *k)
{
	conf_kit_clear(k);
	char path[256];
	snprintf(path, sizeof(path), "%s/nginx.conf", k->dir);
	return nginx_conf_read(&k->src, path, k->dir, &k->sites, &k->why);
}

static void must_refuse(void **state)
{
	struct conf_kit *k = *state;
	static const struct {
		const char *text;
		int         code;
		const char *cause;
	} rows[] = {
		{"http {", E_SURVEY_SYNTAX, "block is not closed"},
		{"}", E_SURVEY_SYNTAX, "closes nothing"},
		{"http { } }", E_SURVEY_SYNTAX, "closes nothing"},
		{"user www-data", E_SURVEY_SYNTAX, "not ended"},
		{"http { server { listen 443 ssl } }", E_SURVEY_SYNTAX, "not ended"},
		{"user \"www", E_SURVEY_SYNTAX, "quote is not closed"},
		{"user 'a\\'", E_SURVEY_SYNTAX, "quote is not closed"},
		{";", E_SURVEY_SYNTAX, "directive is missing"},
		{"{ }", E_SURVEY_SYNTAX, "directive is missing"},
		{"include;", E_SURVEY_SYNTAX, "value is missing"},
		{"include none.conf;", E_NOT_FOUND, ""},
		{"include nginx.conf;", E_SURVEY_LIMIT, "include each other"},
		{"include */x.conf;", E_SURVEY_SYNTAX, "wildcards in the middle"},
		{"http { content_by_lua_block { if x then { } ", E_SURVEY_SYNTAX, "Lua block is not closed"},
		{"a{a{a{a{a{a{a{a{a{a{a{a{a{a{a{a{a{a{}}}}}}}}}}}}}}}}}}", E_SURVEY_SYNTAX, "too deeply"},
		{"x \\", E_SURVEY_SYNTAX, ""},
	};
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		conf_kit_file(k, "nginx.conf", rows[i].text);
		assert_int_equal(read_conf(k), rows[i].code);
		if (strstr(k->why.cause, rows[i].cause) == NULL)
			fail_msg("`%s`: \"%s\" lacks \"%s\"", rows[i].text, k->why.cause, rows[i].cause);
	}
}

static void where_it_is_wrong(void **state)
{
	struct conf_kit *k = *state;
	conf_kit_file(k, "nginx.conf", "# one\nhttp {\n include conf.d/*.conf;\n}\n");
	conf_kit_file(k, "conf.d/site.conf", "server {\n\n  listen 443 ssl\n}\n");
	assert_int_equal(read_conf(k), E_SURVEY_SYNTAX);
	assert_non_null(strstr(k->why.object, "/conf.d/site.conf:4"));
}

static void unsafe_files(void **state)
{
	struct conf_kit *k = *state;
	static char      zeros[64];
	static char      large[SOURCE_BYTES_MAX + 1];
	conf_kit_bytes(k, "nginx.conf", zeros, sizeof(zeros));
	assert_int_equal(read_conf(k), E_SURVEY_SYNTAX);
	memset(large, '\n', sizeof(large));
	conf_kit_bytes(k, "nginx.conf", large, sizeof(large));
	assert_int_equal(read_conf(k), E_SURVEY_LIMIT);
	conf_kit_bytes(k, "nginx.conf", large, sizeof(large) - 1);
	assert_int_equal(read_conf(k), 0);

	conf_kit_file(k, "nginx.conf", "user x;");
	assert_int_equal(chmod(conf_kit_path(k, "nginx.conf"), 0666), 0);
	assert_int_equal(read_conf(k), E_SURVEY_UNSAFE);
	assert_int_equal(chmod(conf_kit_path(k, "nginx.conf"), 0644), 0);
	assert_int_equal(chmod(k->dir, 0777), 0);
	assert_int_equal(read_conf(k), E_SURVEY_UNSAFE);
	assert_int_equal(chmod(k->dir, 0700), 0);
	if (geteuid() == 0) {
		assert_int_equal(chown(conf_kit_path(k, "nginx.conf"), 12345, 0), 0);
		assert_int_equal(read_conf(k), E_SURVEY_UNSAFE);
		assert_int_equal(chown(conf_kit_path(k, "nginx.conf"), 0, 0), 0);
	}
	assert_int_equal(unlink(conf_kit_path(k, "nginx.conf")), 0);
	assert_int_equal(mkfifo(conf_kit_path(k, "nginx.conf"), 0600), 0);
	assert_int_equal(read_conf(k), E_SURVEY_UNSAFE); /* and it does not wait for a writer */
}

/* Many files, each once read, all of them wanted. */
static void limits(void **state)
{
	struct conf_kit *k = *state;
	char             name[64];
	conf_kit_file(k, "nginx.conf", "include d/*;");
	for (int i = 0; i < SOURCES_MAX; i++) {
		snprintf(name, sizeof(name), "d/f%03d", i);
		conf_kit_file(k, name, "user x;");
	}
	assert_int_equal(read_conf(k), E_SURVEY_LIMIT);
	snprintf(name, sizeof(name), "d/f%03d", 0);
	assert_int_equal(unlink(conf_kit_path(k, name)), 0);
	assert_int_equal(read_conf(k), 0);

	/* wide and deep: 9 files that include each other 9 times would be read 9^8 times */
	conf_kit_file(k, "nginx.conf", "include b1;");
	for (int i = 1; i <= 8; i++) {
		char text[200] = "";
		for (int n = 0; n < 9; n++)
			snprintf(text + strlen(text), sizeof(text) - strlen(text), "include b%d;", i + 1);
		snprintf(name, sizeof(name), "b%d", i);
		conf_kit_file(k, name, text);
	}
	conf_kit_file(k, "b9", "user x;");
	assert_int_equal(read_conf(k), E_SURVEY_LIMIT);

	char servers[SITES_MAX * 40 + 200] = "http {";
	for (int i = 0; i <= SITES_MAX; i++)
		strcat(servers, "server { ssl_certificate a; }");
	strcat(servers, "}");
	conf_kit_file(k, "nginx.conf", servers);
	assert_int_equal(read_conf(k), E_SURVEY_LIMIT);
}

static void stock_debian(void **state)
{
	struct conf_kit *k = *state;
	conf_kit_file(
		k, "nginx.conf",
		"user www-data;\npid /run/nginx.pid;\ninclude modules-enabled/*.conf;\nevents { worker_connections 768; }\n"
		"http {\n\tssl_protocols TLSv1.2 TLSv1.3; # Dropping SSLv3\n\tinclude conf.d/*.conf;\n\tinclude "
		"sites-enabled/*;\n}\n");
	conf_kit_file(k, "sites-available/default",
		      "server {\n\tlisten 80 default_server;\n\t# listen 443 ssl;\n\tlisten 443 ssl default_server;\n"
		      "\tlisten [::]:443 ssl default_server;\n\tinclude snippets/snakeoil.conf;\n\troot "
		      "/var/www/html;\n\tserver_name _;\n"
		      "\tlocation ~ \\.php$ { fastcgi_pass unix:/run/php.sock; }\n}\n");
	conf_kit_file(k, "snippets/snakeoil.conf",
		      "ssl_certificate /etc/ssl/certs/ssl-cert-snakeoil.pem;\nssl_certificate_key "
		      "/etc/ssl/private/ssl-cert-snakeoil.key;\n");
	conf_kit_file(k, "sites-enabled/keep", "# nothing\n");
	assert_int_equal(symlink("../sites-available/default", conf_kit_path(k, "sites-enabled/default")), 0);
	assert_int_equal(read_conf(k), 0);
	assert_int_equal(k->sites.n, 1);
	const struct site *s = &k->sites.row[0];
	assert_string_equal(s->cert.text, "/etc/ssl/certs/ssl-cert-snakeoil.pem");
	conf_kit_bytes_are(k, &s->cert, "/etc/ssl/certs/ssl-cert-snakeoil.pem");
	conf_kit_bytes_are(k, &s->key, "/etc/ssl/private/ssl-cert-snakeoil.key");
	assert_non_null(strstr(k->src.file[s->cert.file]->path, "/snippets/snakeoil.conf"));
	assert_int_equal(s->n_listens, 3);
	assert_string_equal(s->listen[2].host, "::");
	assert_int_equal(s->listen[2].port, 443);
	assert_string_equal(s->names, "");
	assert_null(s->problem);
	assert_string_equal(k->sites.pidfile, "/run/nginx.pid");
}

static void names_and_listeners(void **state)
{
	struct conf_kit *k = *state;
	conf_kit_file(
		k, "nginx.conf",
		"http { server { listen 127.0.0.1:8443 ssl http2; listen *:9443 ssl; listen unix:/run/x; listen localhost:1;\n"
		"server_name Shop.Example.ORG \"www.example.org\" ~^a.* _ .example.net *.example.com www.example.* 'x y';\n"
		"ssl_certificate \"/a/c.pem\"; ssl_certificate_key '/a/k.pem'; } }");
	assert_int_equal(read_conf(k), 0);
	const struct site *s = &k->sites.row[0];
	assert_string_equal(s->names, "shop.example.org,www.example.org,example.net,*.example.com");
	assert_int_equal(s->n_listens, 2);
	assert_string_equal(s->listen[0].host, "127.0.0.1");
	assert_string_equal(s->listen[1].host, "");
	assert_string_equal(s->cert.text, "/a/c.pem");
	conf_kit_bytes_are(k, &s->cert, "\"/a/c.pem\"");
	conf_kit_bytes_are(k, &s->key, "'/a/k.pem'");
}

/* Servers take the certificate of the block around them, wherever in it that stands. */
static void inheritance(void **state)
{
	struct conf_kit *k = *state;
	conf_kit_file(k, "nginx.conf",
		      "http { server { server_name a.example; } server { server_name b.example; ssl_certificate /b; "
		      "ssl_certificate_key /bk; }\n"
		      "ssl_certificate /h; ssl_certificate_key /hk; }\n"
		      "stream { server { listen 1 ssl; ssl_certificate /s; ssl_certificate_key /sk; } server { listen 2; } }\n"
		      "mail { ssl_certificate /m; ssl_certificate_key /mk; server { listen 993 ssl; } }\n");
	assert_int_equal(read_conf(k), 0);
	static const char *const certs[] = {"/h", "/b", "/s", "/m"};
	assert_int_equal(k->sites.n, N_ELEMENTS(certs));
	for (size_t i = 0; i < N_ELEMENTS(certs); i++) {
		assert_string_equal(k->sites.row[i].cert.text, certs[i]);
		assert_int_equal(k->sites.row[i].key.text[1], certs[i][1]);
		assert_null(k->sites.row[i].problem);
	}
}

static void problems(void **state)
{
	struct conf_kit *k = *state;
	static const struct {
		const char *inside, *problem;
	} rows[] = {
		{"ssl_certificate /a; ssl_certificate /b; ssl_certificate_key /k;", "several certificates"},
		{"ssl_certificate /$ssl_server_name.pem; ssl_certificate_key /k;", "variable"},
		{"ssl_certificate /a; ssl_certificate_key ${x}/k;", "variable"},
		{"ssl_certificate /a; ssl_certificate_key engine:pkcs11:x;", "variable"},
		{"ssl_certificate data:$x; ssl_certificate_key data:$y;", "variable"},
		{"ssl_certificate /a;", "no ssl_certificate_key"},
	};
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		char text[300];
		snprintf(text, sizeof(text), "http { server { %s } }", rows[i].inside);
		conf_kit_file(k, "nginx.conf", text);
		assert_int_equal(read_conf(k), 0);
		assert_int_equal(k->sites.n, 1);
		assert_non_null(k->sites.row[0].problem);
		assert_non_null(strstr(k->sites.row[0].problem, rows[i].problem));
	}
}

static void lua_and_maps(void **state)
{
	struct conf_kit *k = *state;
	conf_kit_file(
		k, "nginx.conf",
		"http { map $host $x { default 1; \"~^{\" 2; } init_by_lua_block { local s = \"}}}\" -- }\n local t = { a = "
		"{1} } }\n"
		"set_by_lua_block $y { return '}' }\n types { text/html html; }\n"
		"server { ssl_certificate /c; ssl_certificate_key /k; return 200 \"a;b{}\"; rewrite ^/(.{1,2})$ /$1; } }");
	assert_int_equal(read_conf(k), E_SURVEY_SYNTAX); /* as nginx: an unquoted brace ends the word */
	conf_kit_file(
		k, "nginx.conf",
		"http { map $host $x { default 1; \"~^{\" 2; } init_by_lua_block { local s = \"}}}\" -- }\n local t = { a = "
		"{1} } }\n"
		"set_by_lua_block $y { return '}' }\n types { text/html html; }\n"
		"server { ssl_certificate /c; ssl_certificate_key /k; return 200 \"a;b{}\"; proxy_pass http://${up}x; } }");
	assert_int_equal(read_conf(k), 0);
	assert_int_equal(k->sites.n, 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, conf_kit_setup, conf_kit_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(must_refuse),         TEST(where_it_is_wrong), TEST(unsafe_files), TEST(limits),       TEST(stock_debian),
		TEST(names_and_listeners), TEST(inheritance),       TEST(problems),     TEST(lua_and_maps),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_apache_conf.c - are Apache's certificates found where they stand, and hostile files refused clearly? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/survey/apache_conf.h"
#include "shared/base/attr.h"
#include "tests/lib/conf_kit.h"

static int read_conf(struct conf_kit *k)
{
	conf_kit_clear(k);
	char path[256];
	snprintf(path, sizeof(path), "%s/apache2.conf", k->dir);
	return apache_conf_read(&k->src, path, k->dir, &k->sites, &k->why);
}

static void must_refuse(void **state)
{
	struct conf_kit *k = *state;
	static const struct {
		const char *text;
		int         code;
		const char *cause;
	} rows[] = {
		{"<VirtualHost *:443>\n", E_SURVEY_SYNTAX, "not closed"},
		{"<VirtualHost *:443>\n<VirtualHost *:444>\n</VirtualHost>", E_SURVEY_SYNTAX, "inside another"},
		{"ServerName \"x", E_SURVEY_SYNTAX, "quote is not closed"},
		{"SSLCertificateFile\n", E_SURVEY_SYNTAX, "value is missing"},
		{"Include none.conf\n", E_NOT_FOUND, ""},
		{"Include apache2.conf\n", E_SURVEY_LIMIT, "include each other"},
		{"IncludeOptional apache2.conf\n", E_SURVEY_LIMIT, "include each other"},
		{"Include */x\n", E_SURVEY_SYNTAX, "wildcards in the middle"},
	};
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		conf_kit_file(k, "apache2.conf", rows[i].text);
		assert_int_equal(read_conf(k), rows[i].code);
		if (strstr(k->why.cause, rows[i].cause) == NULL)
			fail_msg("`%s`: \"%s\" lacks \"%s\"", rows[i].text, k->why.cause, rows[i].cause);
	}
	conf_kit_bytes(k, "apache2.conf", "ServerName a\0b\n", 15);
	assert_int_equal(read_conf(k), E_SURVEY_SYNTAX);
}

static void stock_debian(void **state)
{
	struct conf_kit *k = *state;
	conf_kit_file(k, "apache2.conf",
		      "Mutex file:${APACHE_LOCK_DIR} default\nPidFile ${APACHE_PID_FILE}\nUser ${APACHE_RUN_USER}\n"
		      "IncludeOptional mods-enabled/*.load\nInclude ports.conf\n<Directory />\n\tOptions "
		      "FollowSymLinks\n</Directory>\n"
		      "LogFormat \"%h %l \\\"%r\\\"\" combined\nIncludeOptional sites-enabled/*.conf\n");
	conf_kit_file(k, "ports.conf", "Listen 80\n<IfModule ssl_module>\n\tListen 443\n</IfModule>\n");
	conf_kit_file(k, "sites-available/default-ssl.conf",
		      "<VirtualHost *:443>\n\tServerAdmin webmaster@localhost\n\n\tSSLEngine on\n"
		      "\tSSLCertificateFile      /etc/ssl/certs/ssl-cert-snakeoil.pem\n"
		      "\tSSLCertificateKeyFile   /etc/ssl/private/ssl-cert-snakeoil.key\n"
		      "\t#SSLCertificateChainFile /etc/apache2/ssl.crt/server-ca.crt\n"
		      "\t<FilesMatch \"\\.(?:cgi|shtml)$\">\n\t\tSSLOptions +StdEnvVars\n\t</FilesMatch>\n</VirtualHost>\n");
	conf_kit_file(k, "sites-enabled/000-default.conf",
		      "<VirtualHost *:80>\n\tDocumentRoot /var/www/html\n</VirtualHost>\n");
	assert_int_equal(symlink("../sites-available/default-ssl.conf", conf_kit_path(k, "sites-enabled/default-ssl.conf")), 0);
	assert_int_equal(read_conf(k), 0);
	assert_int_equal(k->sites.n, 1);
	const struct site *s = &k->sites.row[0];
	conf_kit_bytes_are(k, &s->cert, "/etc/ssl/certs/ssl-cert-snakeoil.pem");
	conf_kit_bytes_are(k, &s->key, "/etc/ssl/private/ssl-cert-snakeoil.key");
	assert_int_equal(s->chain.end, 0);
	assert_int_equal(s->n_listens, 1);
	assert_int_equal(s->listen[0].port, 443);
	assert_string_equal(s->listen[0].host, "");
	assert_null(s->problem);
	assert_string_equal(k->sites.pidfile, "");
}

static void words(void **state)
{
	struct conf_kit *k = *state;
	conf_kit_file(k, "apache2.conf",
		      "Define site example.org\nDefine port 8443\nPidFile /run/a.pid\n"
		      "<ifmodule mod_ssl.c>\n<virtualhost 127.0.0.1:${port} [::1]:443 _default_:444 name:1>\n"
		      "servername https://www.${site}:443/\nServerAlias a.${site} \\\n  *.b.example ${unknown} localhost\n"
		      "  sslcertificatefile \"cert.pem\"\nSSLCertificateKeyFile 'key.pem'\nSSLCertificateChainFile "
		      "/chain.pem\n</virtualhost>\n</ifmodule>\n");
	assert_int_equal(read_conf(k), 0);
	const struct site *s = &k->sites.row[0];
	char               path[256];
	assert_string_equal(s->names, "www.example.org,a.example.org,*.b.example");
	snprintf(path, sizeof(path), "%s/cert.pem", k->dir);
	assert_string_equal(s->cert.text, path);
	conf_kit_bytes_are(k, &s->cert, "\"cert.pem\"");
	conf_kit_bytes_are(k, &s->key, "'key.pem'");
	conf_kit_bytes_are(k, &s->chain, "/chain.pem");
	assert_int_equal(s->n_listens, 3);
	assert_string_equal(s->listen[0].host, "127.0.0.1");
	assert_int_equal(s->listen[0].port, 8443);
	assert_string_equal(s->listen[1].host, "::1");
	assert_string_equal(s->listen[2].host, "");
	assert_null(s->problem);
	assert_string_equal(k->sites.pidfile, "/run/a.pid");
}

static void inheritance_and_macros(void **state)
{
	struct conf_kit *k = *state;
	conf_kit_file(k, "apache2.conf",
		      "<VirtualHost *:443>\nServerName a.example\n</VirtualHost>\n"
		      "<Macro V $n>\n<VirtualHost *:443>\nSSLCertificateFile /m\n</VirtualHost>\n</Macro>\nUse V x\n"
		      "SSLCertificateFile /g\nSSLCertificateKeyFile /gk\n");
	assert_int_equal(read_conf(k), 0);
	assert_int_equal(k->sites.n, 1);
	assert_string_equal(k->sites.row[0].cert.text, "/g");
	assert_string_equal(k->sites.row[0].key.text, "/gk");
}

static void problems(void **state)
{
	struct conf_kit *k = *state;
	static const struct {
		const char *inside, *problem;
	} rows[] = {
		{"SSLCertificateFile /a\nSSLCertificateFile /b\n", "several certificates"},
		{"SSLCertificateFile /${x}/a\n", "variable"},
		{"SSLCertificateFile /a\nSSLCertificateKeyFile /k\\\nk\n", "variable"},
	};
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		char text[300];
		snprintf(text, sizeof(text), "<VirtualHost *:443>\n%s</VirtualHost>\n", rows[i].inside);
		conf_kit_file(k, "apache2.conf", text);
		assert_int_equal(read_conf(k), 0);
		assert_non_null(k->sites.row[0].problem);
		assert_non_null(strstr(k->sites.row[0].problem, rows[i].problem));
	}
	/* key in the certificate's file: no problem */
	conf_kit_file(k, "apache2.conf", "<VirtualHost *:443>\nSSLCertificateFile /a\n</VirtualHost>\n");
	assert_int_equal(read_conf(k), 0);
	assert_null(k->sites.row[0].problem);
	assert_int_equal(k->sites.row[0].key.end, 0);
}

static void limits(void **state)
{
	struct conf_kit *k = *state;
	conf_kit_file(k, "apache2.conf", "");
	assert_int_equal(read_conf(k), 0);
	assert_int_equal(k->sites.n, 0);
	char hosts[(SITES_MAX + 1) * 64] = "";
	for (int i = 0; i <= SITES_MAX; i++)
		strcat(hosts, "<VirtualHost *:443>\nSSLCertificateFile /a\n</VirtualHost>\n");
	conf_kit_file(k, "apache2.conf", hosts);
	assert_int_equal(read_conf(k), E_SURVEY_LIMIT);
	/* a name without end, thousands of aliases: cut, told, no more */
	static char aliases[200000] = "<VirtualHost *:443>\nSSLCertificateFile /a\nServerAlias";
	size_t      n = strlen(aliases);
	for (int i = 0; n < sizeof(aliases) - 60; i++)
		n += (size_t)snprintf(aliases + n, sizeof(aliases) - n,
				      i % 60 == 59 ? "\nServerAlias a%d.example" : " a%d.example", i);
	strcat(aliases, "\n</VirtualHost>\n");
	conf_kit_file(k, "apache2.conf", aliases);
	assert_int_equal(read_conf(k), 0);
	assert_non_null(k->sites.row[0].problem);
	assert_non_null(strstr(k->sites.row[0].problem, "more server names"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, conf_kit_setup, conf_kit_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(must_refuse), TEST(stock_debian), TEST(words), TEST(inheritance_and_macros), TEST(problems), TEST(limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

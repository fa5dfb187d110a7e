/* test_postgresql_conf.c - is PostgreSQL's certificate found where it stands, and are hostile files refused clearly? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/survey/postgresql_conf.h"
#include "shared/base/attr.h"
#include "tests/lib/conf_kit.h"

static int read_conf(struct conf_kit *k, const char *text)
{
	char path[256];
	char data[256];
	conf_kit_clear(k);
	conf_kit_file(k, "etc/postgresql.conf", text);
	snprintf(path, sizeof(path), "%s/etc/postgresql.conf", k->dir);
	snprintf(data, sizeof(data), "%s/data", k->dir);
	return postgresql_conf_read(&k->src, path, data, &k->sites, &k->why);
}

#define PAIR "ssl = on\nssl_cert_file = '/c.pem'\nssl_key_file = '/k.pem'\n"

static void must_refuse(void **state)
{
	struct conf_kit *k = *state;
	assert_int_equal(read_conf(k, "ssl_cert_file = '/c.pem\n"), E_SURVEY_SYNTAX);
	assert_int_equal(read_conf(k, "ssl_cert_file = a'b'\n"), E_SURVEY_SYNTAX);
	assert_int_equal(read_conf(k, "ssl_cert_file = '/c' '/d'\n"), E_SURVEY_SYNTAX);
	assert_int_equal(read_conf(k, "include 'none.conf'\n"), E_NOT_FOUND);
	assert_int_equal(read_conf(k, "include 'postgresql.conf'\n"), E_SURVEY_LIMIT);
	assert_int_equal(read_conf(k, "include_if_exists 'postgresql.conf'\n"), E_SURVEY_LIMIT);
	conf_kit_bytes(k, "data/postgresql.auto.conf", "a\0b", 3);
	assert_int_equal(read_conf(k, PAIR), E_SURVEY_SYNTAX);
	assert_int_equal(unlink(conf_kit_path(k, "data/postgresql.auto.conf")), 0);
}

/* In a folder of the database's user a second name could be anybody's file. */
static void hard_links(void **state)
{
	struct conf_kit *k = *state;
	char             other[256];
	if (geteuid() != 0)
		skip();
	assert_int_equal(read_conf(k, PAIR), 0);
	snprintf(other, sizeof(other), "%s/etc/other", k->dir);
	assert_int_equal(link(conf_kit_path(k, "etc/postgresql.conf"), other), 0);
	assert_int_equal(chown(conf_kit_path(k, "etc"), 12345, 0), 0);
	k->src.owner = 12345;
	assert_int_equal(read_conf(k, PAIR), E_SURVEY_UNSAFE);
	assert_int_equal(unlink(other), 0);
	assert_int_equal(read_conf(k, PAIR), 0);
	assert_int_equal(chown(conf_kit_path(k, "etc"), 54321, 0), 0);
	assert_int_equal(read_conf(k, PAIR), E_SURVEY_UNSAFE);
	assert_int_equal(chown(conf_kit_path(k, "etc"), 0, 0), 0);
}

static void stock_debian(void **state)
{
	struct conf_kit *k = *state;
	assert_int_equal(
		read_conf(k,
			  "data_directory = '/var/lib/postgresql/15/main'\t\t# use data in another directory\n"
			  "external_pid_file = '/var/run/postgresql/15-main.pid'\n#ssl = off\nssl = on\n#ssl_ca_file = ''\n"
			  "ssl_cert_file = '/etc/ssl/certs/ssl-cert-snakeoil.pem'\nssl_key_file = "
			  "'/etc/ssl/private/ssl-cert-snakeoil.key'\n"
			  "#ssl_passphrase_command = ''\ninclude_dir = 'conf.d'\t\t\t# include files ending in '.conf' from\n"),
		0);
	assert_int_equal(k->sites.n, 1);
	conf_kit_bytes_are(k, &k->sites.row[0].cert, "'/etc/ssl/certs/ssl-cert-snakeoil.pem'");
	conf_kit_bytes_are(k, &k->sites.row[0].key, "'/etc/ssl/private/ssl-cert-snakeoil.key'");
	assert_string_equal(k->sites.row[0].cert.text, "/etc/ssl/certs/ssl-cert-snakeoil.pem");
	assert_null(k->sites.row[0].problem);
	assert_string_equal(k->sites.pidfile, "/var/run/postgresql/15-main.pid");
}

/* The last one counts, wherever it stands; the language is lax. */
static void last_one_counts(void **state)
{
	struct conf_kit *k = *state;
	char             path[256];
	conf_kit_file(k, "etc/conf.d/50.conf", "SSL_CERT_FILE='server''s.pem'\nssl_key_file /k2\nssl yes\n");
	conf_kit_file(k, "etc/conf.d/60.txt", "ssl = off\n");
	assert_int_equal(read_conf(k, "ssl = off\nssl_cert_file = '/c.pem'\nssl_key_file = '/k.pem'\ninclude_dir 'conf.d'\n"),
			 0);
	assert_int_equal(k->sites.n, 1);
	snprintf(path, sizeof(path), "%s/data/server's.pem", k->dir);
	assert_string_equal(k->sites.row[0].cert.text, path);
	conf_kit_bytes_are(k, &k->sites.row[0].cert, "'server''s.pem'");
	conf_kit_bytes_are(k, &k->sites.row[0].key, "/k2");
	assert_non_null(strstr(k->src.file[k->sites.row[0].cert.file]->path, "/conf.d/50.conf"));
	assert_int_equal(read_conf(k, PAIR "ssl = off\n"), 0);
	assert_int_equal(k->sites.n, 0);
}

static void problems(void **state)
{
	struct conf_kit *k = *state;
	assert_int_equal(read_conf(k, "ssl = on\n"), 0);
	assert_non_null(strstr(k->sites.row[0].problem, "not set"));
	conf_kit_file(k, "data/postgresql.auto.conf", "ssl_cert_file = '/auto'\n");
	assert_int_equal(chmod(conf_kit_path(k, "data/postgresql.auto.conf"), 0600), 0);
	assert_int_equal(read_conf(k, PAIR), 0);
	assert_non_null(strstr(k->sites.row[0].problem, "ALTER SYSTEM"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, conf_kit_setup, conf_kit_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(must_refuse), TEST(hard_links), TEST(stock_debian), TEST(last_one_counts), TEST(problems),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_target_conf.c - is a target file read exactly, and every one that could harm refused? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/conf/target_copies.h"
#include "shared/sys/file.h"

#define HEAD "[target]\ntemplate = clara_service_auth\nnames = web.clara.vcc.internal\n"
#define TLS  "[verify]\nconnect = 127.0.0.1:443\n"

static const struct {
	const char *text;
	int         code;
	const char *says;
} bad[] = {
	{TLS, E_CONF_MISSING, "template"},
	{"[target]\ntemplate = t\n" TLS, E_CONF_MISSING, "names"},
	{"[target]\ntemplate = t\nnames = a..b\n" TLS, E_CONF_VALUE, "a..b"},
	{"[target]\ntemplate = Bad!\nnames = a.b\n" TLS, E_CONF_VALUE, "template"},
	{HEAD "dir = /srv/tls/\n" TLS, E_CONF_VALUE, "dir"},
	{HEAD "dir = /srv//tls\n" TLS, E_CONF_VALUE, "dir"},
	{HEAD "dir = /srv/./tls\n" TLS, E_CONF_VALUE, "dir"},
	{HEAD "dir = /srv/../tls\n" TLS, E_CONF_VALUE, "dir"},
	{HEAD "dir = /\n" TLS, E_CONF_VALUE, "dir"},
	{HEAD, E_CONF_VALUE, "connect"},
	{HEAD "[verify]\nconnect = 443\n", E_CONF_VALUE, "443"},
	{HEAD "[verify]\nconnect = www.example.org:443\n", E_CONF_VALUE, "www.example.org"},
	{HEAD "[verify]\nconnect = ::1:443\n", E_CONF_VALUE, "address:port"},
	{HEAD "[verify]\nconnect = 127.0.0.1:0\n", E_CONF_VALUE, "address:port"},
	{HEAD TLS "[files]\nmode = 0644\n", E_CONF_VALUE, "mode"},
	{HEAD TLS "[files]\nmode = 0660\n", E_CONF_VALUE, "mode"},
	{HEAD TLS "[files]\njks = yes\n", E_CONF_KEY, "jks"},
	{HEAD TLS "[files]\npkcs12 = yes\n", E_CONF_VALUE, "password"},
	{HEAD TLS "[files]\npkcs12 = yes\npkcs12_password_file = secret\n", E_CONF_VALUE, "absolute"},
	{HEAD TLS "[files]\ncopies = key.pem\n", E_CONF_VALUE, "key.pem"},
	{HEAD TLS "[files]\ncopies = key.pem:a.key\n", E_CONF_VALUE, "ABSOLUTE"},
	{HEAD TLS "[files]\ncopies = key.pem:/etc/app/\n", E_CONF_VALUE, "ABSOLUTE"},
	{HEAD TLS "[files]\ncopies = key.pem:/etc/../a.key\n", E_CONF_VALUE, "ABSOLUTE"},
	{HEAD TLS "[files]\ncopies = key.pem:/etc//a.key\n", E_CONF_VALUE, "ABSOLUTE"},
	{HEAD TLS "[files]\ncopies = host.key:/etc/a.key\n", E_CONF_VALUE, "no such file"},
	{HEAD TLS "[files]\ncopies = ../key.pem:/etc/a.key\n", E_CONF_VALUE, "no such file"},
	{HEAD TLS "[files]\ncopies = combined.pem:/etc/a.pem\n", E_CONF_VALUE, "has no combined.pem"},
	{HEAD TLS "[files]\ncopies = keystore.p12:/etc/a.p12\n", E_CONF_VALUE, "has no keystore.p12"},
	{HEAD TLS "[files]\ncopies = key.pem:/etc/.a.key\n", E_CONF_VALUE, "dot"},
	{HEAD TLS "[files]\ncopies = key.pem:/etc/a, cert.pem:/etc/a\n", E_CONF_VALUE, "twice"},
	{HEAD "dir = /srv/tls\n" TLS "[files]\ncopies = key.pem:/srv/tls/current/x\n", E_CONF_VALUE, "own folder"},
	{HEAD TLS "[files]\ncopies = key.pem:/a\n", E_CONF_VALUE, "ABSOLUTE"},
	{HEAD TLS "[files]\ncopies = key.pem:/x/1,key.pem:/x/2,key.pem:/x/3,key.pem:/x/4,key.pem:/x/5,key.pem:/x/6,key.pem:/x/7,key.pem:/x/8,key.pem:/x/9,"
	          "key.pem:/x/10,key.pem:/x/11,key.pem:/x/12,key.pem:/x/13,key.pem:/x/14,key.pem:/x/15,key.pem:/x/16,key.pem:/x/17\n",
	 E_CONF_VALUE, "more than 16"},
	{HEAD TLS "[reload]\nkind = systemd\n", E_CONF_VALUE, "unit"},
	{HEAD TLS "[reload]\nkind = systemd\nunit = nginx\n", E_CONF_VALUE, "unit"},
	{HEAD TLS "[reload]\nkind = systemd\nunit = a/b.service\n", E_CONF_VALUE, "unit"},
	{HEAD TLS "[reload]\nkind = signal\n", E_CONF_VALUE, "pidfile"},
	{HEAD TLS "[reload]\nkind = signal\npidfile = /run/x.pid\nsignal = KILL\n", E_CONF_VALUE, "signal"},
	{HEAD TLS "[reload]\nkind = exec\n", E_CONF_VALUE, "command"},
	{HEAD TLS "[reload]\nkind = exec\ncommand = nginx -s reload\n", E_CONF_VALUE, "absolute"},
	{HEAD TLS "[reload]\ntest = nginx -t\n", E_CONF_VALUE, "reload.test"},
	{HEAD TLS "[reload]\nkind = apache\n", E_CONF_VALUE, "apache"},
	{HEAD TLS "[files]\ncombined = yes\n[reload]\nkind = haproxy\n", E_CONF_VALUE, "socket"},
	{HEAD TLS "[files]\ncombined = yes\n[reload]\nkind = haproxy\nsocket = admin.sock\n", E_CONF_VALUE, "absolute"},
	{HEAD TLS "[reload]\nkind = haproxy\nsocket = /run/haproxy/admin.sock\n", E_CONF_VALUE, "combined"},
	{HEAD TLS "[reload]\nkind = postgresql\n", E_CONF_VALUE, "pidfile"},
	{HEAD TLS "[reload]\nkind = postgresql\npidfile = /a\nunit = b.service\n", E_CONF_VALUE, "either"},
	{HEAD TLS "[reload]\nkind = postgresql\nunit = postgresql\n", E_CONF_VALUE, "unit"},
	{HEAD TLS "[reload]\nkind = postgresql\npidfile = /a\ncommand = postgres\n", E_CONF_VALUE, "absolute"},
	{HEAD TLS "[reload]\non_drain_timeout = terminate\npidfile = /a\n", E_CONF_VALUE, "max_drain"},
	{HEAD TLS "[reload]\nmax_drain = 1h\n", E_CONF_VALUE, "pidfile"},
	{HEAD "[verify]\nkind = none\n[reload]\nmax_drain = 1h\npidfile = /a\n", E_CONF_VALUE, "listeners"},
	{HEAD TLS "[reload]\nmax_drain = 31d\npidfile = /a\n", E_CONF_VALUE, "max_drain"},
	{HEAD TLS "[reload]\nmax_drain = 1h\non_drain_timeout = kill\npidfile = /a\n", E_CONF_VALUE, "kill"},
	{HEAD "[verify]\nkind = starttls-postgresql\n", E_CONF_VALUE, "starttls-postgresql"},
	{HEAD TLS "[window]\nallow = Mon 1:00-2:00\n", E_CONF_VALUE, "window.allow"},
	{HEAD TLS "[window]\nallow = Mon 01:00-02:00\n", E_CONF_VALUE, "window.allow"},
	{HEAD TLS "[trust]\ncrl = perhaps\n", E_CONF_VALUE, "crl"},
	{HEAD TLS "[trust]\nformats = pem, jks\n", E_CONF_VALUE, "jks"},
	{HEAD TLS "[trust]\nformats = pem p12\n", E_CONF_VALUE, "pem p12"},
	{HEAD TLS "[trust]\nformats = p12\n", E_CONF_VALUE, "password"},
	{HEAD TLS "[trust]\nformats = p12\n[files]\npkcs12_password_file = /s\ncopies = keystore.p12:/e/k\n", E_CONF_VALUE, "no keystore.p12"},
	{HEAD TLS "[files]\ncopies = capath:/etc/a\n", E_CONF_VALUE, "no such file"},
	{HEAD "on_failure = sideways\n" TLS, E_CONF_VALUE, "on_failure"},
	{HEAD TLS "sni = bad name\n", E_CONF_VALUE, "sni"},
};

static void refuses_bad_targets(void **state)
{
	(void)state;
	static struct target_conf t;
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		struct refusal why = {0};
		int            r = conf_parse(&target_schema, "x.conf", span_text(bad[i].text), &t, &why);
		if (r != bad[i].code || strstr(why.cause, bad[i].says) == NULL)
			fail_msg("case %zu: code %d, object `%s`, cause `%s`", i, r, why.object, why.cause);
	}
}

static const struct {
	const char *text;
	int         reload, verify;
	bool        probed;
} good[] = {
	{HEAD TLS, RELOAD_NONE, VERIFY_TLS, true},
	{HEAD TLS "[files]\ncombined = yes\n[reload]\nkind = haproxy\nsocket = /run/haproxy/admin.sock\n", RELOAD_HAPROXY, VERIFY_TLS, true},
	{HEAD "[verify]\nkind = starttls-postgresql\nconnect = 127.0.0.1:5432\n[reload]\nkind = postgresql\npidfile = /d/postmaster.pid\n",
	 RELOAD_POSTGRESQL, VERIFY_STARTTLS_POSTGRESQL, true},
	{HEAD "[verify]\nkind = file\n[reload]\nkind = postgresql\nunit = postgresql@15-main.service\n", RELOAD_POSTGRESQL, VERIFY_FILE, false},
	{HEAD "[verify]\nkind = none\n", RELOAD_NONE, VERIFY_NONE, false},
	{HEAD TLS "[reload]\nkind = exec\ncommand = /bin/x\npidfile = /a\nmax_drain = 1h\non_drain_timeout = terminate\n", RELOAD_EXEC, VERIFY_TLS, true},
	{HEAD TLS "[files]\ncopies = key.pem:/e/a.pem.key, fullchain.pem:/e/a.pem\n[reload]\nkind = haproxy\nsocket = /r\n", RELOAD_HAPROXY, VERIFY_TLS, true},
	{HEAD TLS "[files]\npkcs12 = yes\npkcs12_password_file = /etc/secret\ncopies = keystore.p12:/e/k, truststore.p12:/e/t\n", RELOAD_NONE, VERIFY_TLS, true},
	{HEAD TLS "[trust]\ncrl = yes\nformats = p12, capath\n[files]\npkcs12_password_file = /etc/secret\ncopies = truststore.p12:/e/t\n", RELOAD_NONE, VERIFY_TLS, true},
};

static void reads_every_kind(void **state)
{
	(void)state;
	static struct target_conf t;
	for (size_t i = 0; i < N_ELEMENTS(good); i++) {
		struct refusal why = {0};
		if (conf_parse(&target_schema, "x.conf", span_text(good[i].text), &t, &why) != 0)
			fail_msg("case %zu: %s: %s", i, why.object, why.cause);
		assert_int_equal(t.reload, good[i].reload);
		assert_int_equal(t.verify, good[i].verify);
		assert_int_equal(target_probed(&t), good[i].probed);
	}
	for (int k = 0; k < RELOAD_KIND_COUNT; k++)
		assert_string_not_equal(reload_kind_name((enum reload_kind)k), "unknown");
	for (int k = 0; k < VERIFY_KIND_COUNT; k++)
		assert_string_not_equal(verify_kind_name((enum verify_kind)k), "unknown");
}

static void trust_formats(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool        p12, capath, truststore;
	} want[] = {
		{HEAD TLS, false, false, false},
		{HEAD TLS "[trust]\nformats = pem\n", false, false, false},
		{HEAD TLS "[trust]\nformats = capath\n", false, true, false},
		{HEAD TLS "[trust]\nformats = pem,p12 , capath\n[files]\npkcs12_password_file = /s\n", true, true, true},
		{HEAD TLS "[files]\npkcs12 = yes\npkcs12_password_file = /s\n", false, false, true},
	};
	static struct target_conf t;
	for (size_t i = 0; i < N_ELEMENTS(want); i++) {
		struct refusal why = {0};
		assert_int_equal(conf_parse(&target_schema, "x.conf", span_text(want[i].text), &t, &why), 0);
		assert_int_equal(target_trust_as(&t, TRUST_P12), want[i].p12);
		assert_int_equal(target_trust_as(&t, TRUST_CAPATH), want[i].capath);
		assert_int_equal(target_has_truststore(&t), want[i].truststore);
	}
}

static void copies_in_order(void **state)
{
	(void)state;
	static struct target_conf t;
	struct refusal            why = {0};
	struct target_copy        copy;
	const char               *text = HEAD TLS "[files]\ncopies = key.pem:/etc/app/a.key , cert.pem:/b/b.crt\ncopies = fullchain.pem:/c/d/e\n";
	static const struct {
		const char *source, *path, *folder, *name;
		bool        secret;
	} want[] = {
		{"key.pem", "/etc/app/a.key", "/etc/app", "a.key", true},
		{"cert.pem", "/b/b.crt", "/b", "b.crt", false},
		{"fullchain.pem", "/c/d/e", "/c/d", "e", false},
	};
	assert_int_equal(conf_parse(&target_schema, "x.conf", span_text(text), &t, &why), 0);
	const char *cursor = t.copies;
	for (size_t i = 0; i < N_ELEMENTS(want); i++) {
		assert_true(target_copy_next(&cursor, &copy));
		assert_string_equal(copy.source->name, want[i].source);
		assert_int_equal(copy.source->secret, want[i].secret);
		assert_string_equal(copy.path, want[i].path);
		assert_string_equal(copy.folder, want[i].folder);
		assert_string_equal(copy.name, want[i].name);
	}
	assert_false(target_copy_next(&cursor, &copy));
	assert_true(target_path_below("/a/b/c", "/a/b"));
	assert_true(target_path_below("/a/b", "/a/b"));
	assert_false(target_path_below("/a/bc", "/a/b"));
}

static void splits_commands(void **state)
{
	(void)state;
	char  store[64];
	char *argv[4];
	assert_int_equal(target_argv("/bin/x -a \"b c\"d", store, sizeof(store), argv, 4), 0);
	assert_string_equal(argv[0], "/bin/x");
	assert_string_equal(argv[1], "-a");
	assert_string_equal(argv[2], "b cd");
	assert_null(argv[3]);
	assert_int_equal(target_argv("a \"\"", store, sizeof(store), argv, 4), 0);
	assert_string_equal(argv[1], "");
	assert_int_equal(target_argv("", store, sizeof(store), argv, 4), E_CONF_VALUE);
	assert_int_equal(target_argv("a b c d", store, sizeof(store), argv, 4), E_CONF_VALUE);
	assert_int_equal(target_argv("a \"b", store, sizeof(store), argv, 4), E_CONF_VALUE);
	assert_int_equal(target_argv("abcdefgh", store, 8, argv, 4), E_CONF_VALUE);
}

static void loads_and_lists_files(void **state)
{
	(void)state;
	char                      dir[] = "/tmp/vcc-test-target-XXXXXX";
	static struct target_conf t;
	struct refusal            why = {0};
	char                      stems[3][CERT_ID_SIZE];
	size_t                    n = 99;
	assert_non_null(mkdtemp(dir));
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const char *text = HEAD TLS "[reload]\nkind = signal\npidfile = /run/nginx.pid\n[files]\ngroup = www-data\n";
	assert_int_equal(file_create(fd, "web.conf", span_text(text), (uid_t)-1, (gid_t)-1, 0644, &why), 0);
	assert_int_equal(file_create(fd, "api.conf", span_text(text), (uid_t)-1, (gid_t)-1, 0644, &why), 0);
	assert_int_equal(file_create(fd, "notes.txt", span_text("x"), (uid_t)-1, (gid_t)-1, 0644, &why), 0);
	assert_int_equal(mkdirat(fd, "web.conf.d", 0755), 0);
	assert_int_equal(file_create(fd, ".hidden.conf", span_text("x"), (uid_t)-1, (gid_t)-1, 0644, &why), 0);

	assert_int_equal(target_conf_list(dir, stems, 3, &n, &why), 0);
	assert_int_equal(n, 2);
	assert_string_equal(stems[0], "api");
	assert_string_equal(stems[1], "web");
	assert_int_equal(target_conf_list(dir, stems, 1, &n, &why), E_FULL);

	/* a name that cannot be a target's is listed, so that loading it says so */
	assert_int_equal(file_create(fd, "a b$.conf", span_text(text), (uid_t)-1, (gid_t)-1, 0644, &why), 0);
	assert_int_equal(target_conf_list(dir, stems, 3, &n, &why), 0);
	assert_int_equal(n, 3);
	assert_int_equal(target_conf_load(dir, "a b$", &t, &why), E_CONF_FILE);
	assert_int_equal(unlinkat(fd, "a b$.conf", 0), 0);

	assert_int_equal(target_conf_load(dir, "web", &t, &why), 0);
	assert_string_equal(t.stem, "web");
	assert_int_equal(t.reload, RELOAD_SIGNAL);
	assert_string_equal(t.signal, "HUP");
	assert_string_equal(t.group, "www-data");
	assert_int_equal(t.mode, 0640);
	assert_string_equal(t.names.text, "DNS:web.clara.vcc.internal");
	static const char *const wrong[] = {"", "..", "../web", "a/b", ".web", "absent", "-x"};
	for (size_t i = 0; i < N_ELEMENTS(wrong); i++)
		assert_int_equal(target_conf_load(dir, wrong[i], &t, &why), E_CONF_FILE);

	assert_int_equal(fchmodat(fd, "web.conf", 0666, 0), 0);
	assert_int_equal(target_conf_load(dir, "web", &t, &why), E_CONF_UNSAFE);
	assert_int_equal(chmod(dir, 0777), 0);
	assert_int_equal(target_conf_load(dir, "api", &t, &why), E_CONF_UNSAFE);
	assert_int_equal(target_conf_list(dir, stems, 3, &n, &why), E_CONF_UNSAFE);
	close(fd);
	assert_int_equal(tree_remove(AT_FDCWD, dir, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_bad_targets),
		cmocka_unit_test(reads_every_kind),
		cmocka_unit_test(trust_formats),
		cmocka_unit_test(copies_in_order),
		cmocka_unit_test(splits_commands),
		cmocka_unit_test(loads_and_lists_files),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

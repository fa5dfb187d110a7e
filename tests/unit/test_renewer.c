/* test_renewer.c - whose certificate is it? The records of certbot, certmonger and acme.sh as they lie on disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/survey/renewer.h"
#include "shared/base/attr.h"
#include "tests/lib/conf_kit.h"

#define CERTBOT                                                                                                                \
	"version = 2.1.0\narchive_dir = /a\ncert = /live/x/cert.pem\nprivkey = /live/x/privkey.pem\nfullchain = "              \
	"/live/x/fullchain.pem\n\n"                                                                                            \
	"# Options\n[renewalparams]\naccount = 0123\nauthenticator = standalone\n"
#define CERTMONGER                                                                                                             \
	"id=web-1\nkey_type=RSA\nkey_storage_type=FILE\nkey_storage_location=/etc/cm/key.pem\ncert_storage_type=FILE\n"        \
	"cert_storage_location=/etc/cm/cert.pem\ncert=-----BEGIN CERTIFICATE-----\n MIIB\n -----END "                          \
	"CERTIFICATE-----\nautorenew=1\n"
#define ACME                                                                                                                   \
	"Le_Domain='shop.example.org'\nLe_Alt='no'\nLe_RealKeyPath='/etc/acme/key.pem'\nLe_RealFullChainPath='/etc/acme/"      \
	"full.pem'\n"                                                                                                          \
	"Le_ReloadCmd='__ACME_BASE64__START_eA==__ACME_BASE64__END_'\n"

static struct renewer found;

static void find(struct conf_kit *k, const char *path)
{
	char        certbot[200];
	char        certmonger[200];
	char        acme[200];
	const char *folders[RENEWER_KIND_COUNT] = {"", certbot, certmonger, acme};
	snprintf(certbot, sizeof(certbot), "%s/renewal", k->dir);
	snprintf(certmonger, sizeof(certmonger), "%s/requests", k->dir);
	snprintf(acme, sizeof(acme), "%s/acme", k->dir);
	renewer_find_below(folders, path, &found);
}

static void nobody(void **state)
{
	struct conf_kit *k = *state;
	find(k, "/live/x/fullchain.pem");
	assert_int_equal(found.kind, RENEWER_NONE);
	conf_kit_file(k, "renewal/x.conf", CERTBOT);
	conf_kit_file(k, "requests/1", CERTMONGER);
	conf_kit_file(k, "acme/shop_ecc/shop.conf", ACME);
	static const char *const others[] = {"/live/x/chain.pem", "/live/x", "", "/etc/cm/key.pem", "/etc/acme/key.pem", "/a"};
	for (size_t i = 0; i < N_ELEMENTS(others); i++) {
		find(k, others[i]);
		assert_int_equal(found.kind, RENEWER_NONE);
	}
}

static void each(void **state)
{
	struct conf_kit *k = *state;
	conf_kit_file(k, "renewal/x.example.conf", CERTBOT);
	conf_kit_file(k, "requests/20260101", CERTMONGER);
	conf_kit_file(k, "acme/shop.example.org_ecc/shop.example.org.conf", ACME);
	conf_kit_file(k, "acme/account.conf", "x=1\n");
	find(k, "/live/x/fullchain.pem");
	assert_int_equal(found.kind, RENEWER_CERTBOT);
	assert_string_equal(found.name, "x.example");
	assert_non_null(strstr(found.conf, "/renewal/x.example.conf"));
	find(k, "/etc/cm/cert.pem");
	assert_int_equal(found.kind, RENEWER_CERTMONGER);
	assert_string_equal(found.name, "web-1");
	find(k, "/etc/acme/full.pem");
	assert_int_equal(found.kind, RENEWER_ACME_SH);
	assert_string_equal(found.name, "shop.example.org");
}

/* certbot's live files are links, and people link to them once more. */
static void by_links(void **state)
{
	struct conf_kit *k = *state;
	char             conf[300];
	char             link[200];
	conf_kit_file(k, "archive/fullchain1.pem", "pem");
	snprintf(link, sizeof(link), "%s/live.pem", k->dir);
	assert_int_equal(symlink("archive/fullchain1.pem", link), 0);
	snprintf(conf, sizeof(conf), "fullchain = %s\n[renewalparams]\n", link);
	conf_kit_file(k, "renewal/x.conf", conf);
	find(k, conf_kit_path(k, "archive/fullchain1.pem"));
	assert_int_equal(found.kind, RENEWER_CERTBOT);
}

/* A host may have hundreds of lineages, and the wanted one is the last. */
static void many(void **state)
{
	struct conf_kit *k = *state;
	char             name[40];
	for (int i = 0; i < 600; i++) {
		snprintf(name, sizeof(name), "renewal/a%03d.conf", i);
		conf_kit_file(k, name, "fullchain = /live/other/fullchain.pem\n[renewalparams]\n");
	}
	conf_kit_file(k, "renewal/z.conf", CERTBOT);
	find(k, "/live/x/fullchain.pem");
	assert_int_equal(found.kind, RENEWER_CERTBOT);
	assert_string_equal(found.name, "z");
}

static void switched_off(void **state)
{
	struct conf_kit *k = *state;
	conf_kit_file(k, "renewal/x.conf", CERTBOT "autorenew = False\n");
	find(k, "/live/x/fullchain.pem");
	assert_int_equal(found.kind, RENEWER_NONE);
}

static void hostile_records(void **state)
{
	struct conf_kit *k = *state;
	conf_kit_bytes(k, "renewal/a.conf", "\0\0", 2);
	conf_kit_file(k, "renewal/b.conf", "cert = 'never closed\nfullchain = /other\n");
	conf_kit_file(k, "renewal/c.conf", "= = =\n\n'''\n");
	conf_kit_file(k, "renewal/d.conf", CERTBOT);
	assert_int_equal(chmod(conf_kit_path(k, "renewal/d.conf"), 0666), 0); /* anybody could have written that */
	find(k, "/live/x/fullchain.pem");
	assert_int_equal(found.kind, RENEWER_NONE);
	conf_kit_file(k, "renewal/e.conf", "x = '\n" CERTBOT);
	find(k, "/live/x/fullchain.pem");
	assert_int_equal(found.kind, RENEWER_CERTBOT);
	assert_string_equal(found.name, "e");
}

static void words(void **state)
{
	(void)state;
	assert_int_equal(renewer_kind_parse("certbot"), RENEWER_CERTBOT);
	assert_int_equal(renewer_kind_parse("acme.sh"), RENEWER_ACME_SH);
	assert_int_equal(renewer_kind_parse("none"), RENEWER_KIND_COUNT);
	assert_int_equal(renewer_kind_parse(""), RENEWER_KIND_COUNT);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, conf_kit_setup, conf_kit_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nobody),
		TEST(each),
		TEST(by_links),
		TEST(many),
		TEST(switched_off),
		TEST(hostile_records),
		cmocka_unit_test(words),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_lint.c - does each lint refuse exactly the certificate that breaks it?
 * Each row changes facts or built bytes of a good certificate. Never: timings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "shared/base/times.h"
#include "shared/pki/issue.h"
#include "tests/lib/hierarchy.h"

#define NOW INT64_C(1790000000000)

static struct hierarchy h;
static struct key      *k;

static int setup(void **state)
{
	(void)state;
	hierarchy_make(&h, NOW, KEY_EC_P256, "10.0.0.0/8");
	return key_make(KEY_EC_P256, &k);
}

static int teardown(void **state)
{
	(void)state;
	key_free(k);
	hierarchy_free(&h);
	return 0;
}

static void refused(const struct cert_facts *f, const char *lint)
{
	_cleanup_(buf_free) struct buf tbs = BUF_MAX(CERT_DER_MAX);
	const struct issue_ca         *ca = h.ca[hierarchy_role(f->profile)];
	struct refusal                 why = {.code = 0};
	assert_int_equal(issue_tbs(ca, f, &tbs), 0);
	int r = issue_lint(ca, f, buf_span(&tbs), &why);
	if (lint == NULL) {
		if (r != 0)
			print_error("%s\n", why.cause);
		assert_int_equal(r, 0);
		return;
	}
	char expected[64];
	snprintf(expected, sizeof(expected), "lint %s:", lint);
	assert_int_equal(r, E_PKI_LINT);
	assert_int_equal(why.code, E_PKI_LINT);
	if (strncmp(why.cause, expected, strlen(expected)) != 0)
		print_error("expected %s got %s\n", expected, why.cause);
	assert_int_equal(strncmp(why.cause, expected, strlen(expected)), 0);
}

static void good(enum leaf_profile profile, struct cert_facts *ret)
{
	hierarchy_facts(&h, profile, k, 30 * MS_DAY, 7, ret);
}

static void good_ones_pass(void **state)
{
	(void)state;
	for (int p = 0; p < LEAF_PROFILE_COUNT; p++) {
		struct cert_facts f;
		good((enum leaf_profile)p, &f);
		refused(&f, NULL);
	}
}

static void serials(void **state)
{
	(void)state;
	struct cert_facts    f;
	static const uint8_t constant[SERIAL_RANDOM] = {9, 9, 9, 9, 9, 9, 9, 9, 9};
	good(LEAF_SERVICE, &f);
	f.serial = serial_make(1, constant);
	refused(&f, "serial-entropy");
}

static void validity(void **state)
{
	(void)state;
	struct cert_facts f;
	good(LEAF_SERVICE, &f);
	f.not_after_at = h.issuer[ISSUER_SERVICE].not_after_at;
	refused(&f, NULL);
	f.not_after_at += MS_SECOND;
	refused(&f, "validity-ca");
	good(LEAF_SERVICE, &f);
	f.not_before_at = h.issuer[ISSUER_SERVICE].not_before_at;
	refused(&f, NULL);
	f.not_before_at -= MS_SECOND;
	refused(&f, "validity-ca");
}

static void keys(void **state)
{
	(void)state;
	struct cert_facts              f;
	_cleanup_(buf_free) struct buf spki = BUF_MAX(SPKI_MAX);
	good(LEAF_SERVICE, &f);
	assert_int_equal(key_spki(h.key[ISSUER_SERVICE], &spki), 0);
	memcpy(f.spki, spki.p, spki.n);
	refused(&f, "key-ca");
}

static void subjects(void **state)
{
	(void)state;
	struct cert_facts f;
	good(LEAF_OPERATOR, &f);
	f.organisation[0] = '\0';
	refused(&f, NULL);
	f.common_name[0] = '\0';
	refused(&f, "subject");
	good(LEAF_SERVICE, &f); /* names only */
	f.organisation[0] = '\0';
	f.common_name[0] = '\0';
	refused(&f, NULL);
}

static void common_names(void **state)
{
	(void)state;
	static const struct {
		const char *cn, *lint;
	} rows[] = {
		{"other.vcc.internal", "common-name"},
		{"web.vcc.internal", NULL},
		{"example.org", NULL},
		{"web-vcc-internal", NULL},
		{"a sentence. Here", NULL},
		{"Web.vcc.internal", "common-name"},
		{"evil.example.com", "common-name"},
		{"*.vcc.internal", "common-name"},
	};
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		struct cert_facts f;
		good(LEAF_SERVICE, &f);
		strcpy(f.common_name, rows[i].cn);
		refused(&f, rows[i].lint);
	}
}

static void names(void **state)
{
	(void)state;
	static const struct {
		const char *names, *lint;
	} rows[] = {
		{"DNS:web.vcc.internal", NULL},
		{"DNS:vcc.internal,DNS:web.vcc.internal", NULL},
		{"DNS:web.vcc.internal,IP:10.9.8.7", NULL},
		{"DNS:web.vcc.internal,IP:11.0.0.1", "name-constraints"},
		{"DNS:web.vcc.internal,IP:2001:db8::1", "name-constraints"},
		{"DNS:web.vcc.internal,DNS:example.com", "name-constraints"},
		{"DNS:web.vcc.internal,DNS:evilvcc.internal", "name-constraints"},
		{"DNS:web.vcc.internal,DNS:web.vcc.internal", "san-unique"},
		{"DNS:Web.vcc.internal,DNS:web.vcc.internal", "san-syntax"},
		{"DNS:web.vcc.internal.", "san-syntax"},
		{"DNS:web..vcc.internal", "san-syntax"},
		{"DNS:w*b.vcc.internal", "san-syntax"},
		{"DNS:*.*.vcc.internal", "san-syntax"},
		{"DNS:-web.vcc.internal,DNS:web.vcc.internal/x", "san-syntax"},
	};
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		struct cert_facts f;
		good(LEAF_SERVICE, &f);
		strcpy(f.names.text, rows[i].names);
		if (rows[i].lint != NULL)
			f.common_name[0] = '\0';
		refused(&f, rows[i].lint);
	}
}

static void uris(void **state)
{
	(void)state;
	static const struct {
		enum leaf_profile profile;
		const char       *uri, *lint;
	} rows[] = {
		{LEAF_AGENT, "spiffe://vcc.internal/agent/a", NULL},
		{LEAF_AGENT, "spiffe://a.vcc.internal/agent/a", "name-constraints"},
		{LEAF_AGENT, "spiffe://example.org/agent/a", "name-constraints"},
		{LEAF_AGENT, "spiffe://vcc.internal@evil.org/agent/a", "name-constraints"},
		{LEAF_AGENT, "urn:vcc.internal", "san-syntax"},
		{LEAF_SERVICE, "spiffe://vcc.internal/agent/a", "name-constraints"},
		{LEAF_CODE_SIGNING, "spiffe://vcc.internal/agent/a", "name-constraints"},
	};
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		struct cert_facts f;
		good(rows[i].profile, &f);
		strcpy(f.uri, rows[i].uri);
		refused(&f, rows[i].lint);
	}
	struct cert_facts f;
	good(LEAF_AGENT, &f);
	strcpy(f.names.text, "DNS:web.vcc.internal");
	refused(&f, "name-constraints");
	good(LEAF_AGENT, &f);
	strcpy(f.names.text, "IP:10.0.0.1");
	refused(&f, "name-constraints");
	good(LEAF_CODE_SIGNING, &f);
	strcpy(f.names.text, "DNS:web.vcc.internal");
	refused(&f, "name-constraints");
}

static void usages(void **state)
{
	(void)state;
	struct cert_facts f;
	good(LEAF_SERVICE, &f);
	f.key_usage |= KU_KEY_CERT_SIGN;
	refused(&f, "key-usage");
	f.key_usage = KU_CRL_SIGN;
	refused(&f, "key-usage");
	f.key_usage = 0;
	refused(&f, NULL);
	f.ext_key_usage = 0;
	refused(&f, NULL);
	good(LEAF_CODE_SIGNING, &f);
	f.ext_key_usage = EKU_SERVER_AUTH; /* that CA is for code signing only */
	refused(&f, "extended-usage");
	f.ext_key_usage = EKU_CODE_SIGNING | EKU_SERVER_AUTH;
	refused(&f, "extended-usage");
	f.ext_key_usage = 0;
	refused(&f, "extended-usage");
}

/* Facts other than those that the bytes were built from, and bytes altered after building. */
static void bytes_and_facts_must_agree(void **state)
{
	(void)state;
	_cleanup_(buf_free) struct buf tbs = BUF_MAX(CERT_DER_MAX);
	const struct issue_ca         *ca = h.ca[ISSUER_SERVICE];
	struct cert_facts              f, other;
	struct refusal                 why;
	good(LEAF_SERVICE, &f);
	assert_int_equal(issue_tbs(ca, &f, &tbs), 0);
	assert_int_equal(issue_lint(ca, &f, buf_span(&tbs), NULL), 0);

#define DIFFERS(change, lint)                                                                                                  \
	do {                                                                                                                   \
		other = f;                                                                                                     \
		change;                                                                                                        \
		assert_int_equal(issue_lint(ca, &other, buf_span(&tbs), &why), E_PKI_LINT);                                    \
		assert_int_equal(strncmp(why.cause, "lint " lint ":", strlen("lint " lint ":")), 0);                           \
	} while (0)
	DIFFERS(other.serial.b[15] ^= 1, "serial");
	DIFFERS(other.not_after_at -= MS_SECOND, "validity");
	DIFFERS(other.hash_alg = HASH_SHA512, "algorithm");
	DIFFERS(other.key_type = KEY_EC_P384, "key");
	DIFFERS(other.crl_shard++, "crl-point");
	DIFFERS(other.names.text[0] = '\0', "san");
	DIFFERS(other.ext_key_usage = EKU_CLIENT_AUTH, "extended-usage");
	DIFFERS(other.key_usage = KU_DIGITAL_SIGNATURE | KU_KEY_AGREEMENT, "key-usage");
#undef DIFFERS

	/* another CA's certificate, same facts */
	assert_int_equal(issue_lint(h.ca[ISSUER_AGENT], &f, buf_span(&tbs), &why), E_PKI_LINT);
	for (size_t n = 0; n < tbs.n; n++)
		assert_int_equal(issue_lint(ca, &f, (struct span){tbs.p, n}, NULL), E_PKI_LINT);
}

/* The lints alone pin the whole certificate down: no single bit may differ. */
static void changed_bits_are_noticed(void **state)
{
	(void)state;
	_cleanup_(buf_free) struct buf tbs = BUF_MAX(CERT_DER_MAX);
	const struct issue_ca         *ca = h.ca[ISSUER_SERVICE];
	struct cert_facts              f;
	good(LEAF_SERVICE, &f);
	assert_int_equal(issue_tbs(ca, &f, &tbs), 0);
	size_t missed = 0;
	for (size_t i = 0; i < tbs.n; i++) {
		for (int bit = 0; bit < 8; bit++) {
			tbs.p[i] = (uint8_t)(tbs.p[i] ^ (1 << bit));
			if (issue_lint(ca, &f, buf_span(&tbs), NULL) == 0)
				missed++;
			tbs.p[i] = (uint8_t)(tbs.p[i] ^ (1 << bit));
		}
	}
	assert_int_equal(missed, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_ones_pass),
		cmocka_unit_test(serials),
		cmocka_unit_test(validity),
		cmocka_unit_test(keys),
		cmocka_unit_test(subjects),
		cmocka_unit_test(common_names),
		cmocka_unit_test(names),
		cmocka_unit_test(uris),
		cmocka_unit_test(usages),
		cmocka_unit_test(bytes_and_facts_must_agree),
		cmocka_unit_test(changed_bits_are_noticed),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}

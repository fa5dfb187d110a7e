/* test_cert_verify.c - is a chain accepted only from a trusted root, for its use, in its time, inside the constraints?
 * Never: timings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "shared/base/times.h"
#include "shared/pki/issue.h"
#include "tests/lib/hierarchy.h"

#define NOW INT64_C(1790000000000)

static struct hierarchy h, foreign;
static struct key      *k;

static int setup(void **state)
{
	(void)state;
	hierarchy_make(&h, NOW, KEY_EC_P256, "10.0.0.0/8");
	hierarchy_make(&foreign, NOW, KEY_EC_P256, "");
	return key_make(KEY_EC_P256, &k);
}

static int teardown(void **state)
{
	(void)state;
	key_free(k);
	hierarchy_free(&h);
	hierarchy_free(&foreign);
	return 0;
}

static void leaf_make(enum leaf_profile profile, struct buf *to)
{
	struct cert_facts f;
	hierarchy_facts(&h, profile, k, 30 * MS_DAY, 7, &f);
	assert_int_equal(hierarchy_issue(&h, &f, to, NULL), 0);
}

static int verify(const struct buf *leaf, enum issuer_role ca, unsigned purpose, int64_t at)
{
	struct refusal why;
	return cert_verify(buf_span(leaf), hierarchy_der(&h, ca), hierarchy_der(&h, ISSUER_ROOT), purpose, at, &why);
}

static void good_ones(void **state)
{
	(void)state;
	static const struct {
		enum leaf_profile profile;
		unsigned          good, bad;
	} rows[] = {
		{LEAF_SERVICE, EKU_SERVER_AUTH, EKU_CODE_SIGNING}, {LEAF_SERVICE, EKU_CLIENT_AUTH, EKU_OCSP_SIGNING},
		{LEAF_AGENT, EKU_CLIENT_AUTH, EKU_SERVER_AUTH},    {LEAF_GATEWAY, EKU_SERVER_AUTH, EKU_CLIENT_AUTH},
		{LEAF_OPERATOR, EKU_CLIENT_AUTH, EKU_SERVER_AUTH}, {LEAF_CODE_SIGNING, EKU_CODE_SIGNING, EKU_SERVER_AUTH},
	};
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		_cleanup_(buf_free) struct buf leaf = BUF_MAX(CERT_DER_MAX);
		enum issuer_role               ca = hierarchy_role(rows[i].profile);
		leaf_make(rows[i].profile, &leaf);
		assert_int_equal(verify(&leaf, ca, 0, NOW), 0);
		assert_int_equal(verify(&leaf, ca, rows[i].good, NOW), 0);
		assert_int_equal(verify(&leaf, ca, rows[i].bad, NOW), E_PKI_CHAIN);
	}
}

static void times(void **state)
{
	(void)state;
	_cleanup_(buf_free) struct buf leaf = BUF_MAX(CERT_DER_MAX);
	leaf_make(LEAF_SERVICE, &leaf);
	assert_int_equal(verify(&leaf, ISSUER_SERVICE, 0, NOW + 30 * MS_DAY - MS_SECOND), 0);
	assert_int_equal(verify(&leaf, ISSUER_SERVICE, 0, NOW + 30 * MS_DAY + MS_SECOND), E_PKI_VALIDITY);
	assert_int_equal(verify(&leaf, ISSUER_SERVICE, 0, NOW - MS_SECOND), E_PKI_VALIDITY);
	assert_int_equal(verify(&leaf, ISSUER_SERVICE, 0, NOW + 4000 * MS_DAY), E_PKI_VALIDITY);
	assert_int_equal(verify(&leaf, ISSUER_SERVICE, EKU_SERVER_AUTH, 0), 0); /* without time */
}

static void wrong_paths(void **state)
{
	(void)state;
	_cleanup_(buf_free) struct buf leaf = BUF_MAX(CERT_DER_MAX), chain = BUF_MAX(65536);
	struct refusal                 why;
	struct span                    none = {NULL, 0};
	struct span                    root = hierarchy_der(&h, ISSUER_ROOT);
	struct span                    ca = hierarchy_der(&h, ISSUER_SERVICE);
	leaf_make(LEAF_SERVICE, &leaf);
	assert_int_equal(cert_verify(buf_span(&leaf), none, root, 0, NOW, &why), E_PKI_CHAIN);
	assert_int_equal(cert_verify(buf_span(&leaf), ca, none, 0, NOW, &why), E_PKI_CHAIN);
	assert_int_equal(cert_verify(buf_span(&leaf), ca, hierarchy_der(&foreign, ISSUER_ROOT), 0, NOW, &why), E_PKI_CHAIN);
	assert_int_equal(cert_verify(buf_span(&leaf), hierarchy_der(&h, ISSUER_AGENT), root, 0, NOW, &why), E_PKI_CHAIN);
	/* an issuing CA in the place of a root: no partial chains */
	assert_int_equal(cert_verify(buf_span(&leaf), none, ca, 0, NOW, &why), E_PKI_CHAIN);
	/* a root in the chain does not become trusted */
	buf_add(&chain, ca.p, ca.n);
	buf_add(&chain, root.p, root.n);
	assert_int_equal(cert_verify(buf_span(&leaf), buf_span(&chain), hierarchy_der(&foreign, ISSUER_ROOT), 0, NOW, &why),
			 E_PKI_CHAIN);
	assert_int_equal(cert_verify(buf_span(&leaf), buf_span(&chain), root, 0, NOW, &why), 0);
	assert_true(why.object[0] != '\0');
	/* too many certificates, and rubbish */
	for (int i = 0; i < CHAIN_MAX; i++)
		buf_add(&chain, ca.p, ca.n);
	assert_int_equal(cert_verify(buf_span(&leaf), buf_span(&chain), root, 0, NOW, &why), E_PKI_CHAIN);
	assert_int_equal(cert_verify(buf_span(&leaf), (struct span){ca.p, ca.n - 1}, root, 0, NOW, &why), E_PKI_CHAIN);
	leaf.p[leaf.n - 1] ^= 1;
	assert_int_equal(cert_verify(buf_span(&leaf), ca, root, 0, NOW, &why), E_PKI_CHAIN);
}

/* A CA that ignores its own constraints: bytes built and signed without the lints. */
static void constraints_hold(void **state)
{
	(void)state;
	static const struct {
		enum leaf_profile profile;
		const char       *names, *uri;
		int               result;
	} rows[] = {
		{LEAF_SERVICE, "DNS:web.vcc.internal", "", 0},
		{LEAF_SERVICE, "DNS:web.example.com", "", E_PKI_CHAIN},
		{LEAF_SERVICE, "IP:10.1.2.3", "", 0},
		{LEAF_SERVICE, "IP:192.0.2.1", "", E_PKI_CHAIN},
		{LEAF_SERVICE, "IP:2001:db8::1", "", E_PKI_CHAIN},
		{LEAF_SERVICE, "", "spiffe://vcc.internal/agent/web01", E_PKI_CHAIN},
		{LEAF_AGENT, "", "spiffe://vcc.internal/agent/web01", 0},
		{LEAF_AGENT, "", "spiffe://other.internal/agent/web01", E_PKI_CHAIN},
		{LEAF_AGENT, "DNS:web.vcc.internal", "", E_PKI_CHAIN},
		{LEAF_AGENT, "IP:10.1.2.3", "", E_PKI_CHAIN},
		{LEAF_CODE_SIGNING, "DNS:web.vcc.internal", "", E_PKI_CHAIN},
		{LEAF_CODE_SIGNING, "", "spiffe://vcc.internal/agent/web01", E_PKI_CHAIN},
	};
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		_cleanup_(buf_free) struct buf tbs = BUF_MAX(CERT_DER_MAX), leaf = BUF_MAX(CERT_DER_MAX);
		enum issuer_role               ca = hierarchy_role(rows[i].profile);
		struct cert_facts              f;
		hierarchy_facts(&h, rows[i].profile, k, 30 * MS_DAY, 7, &f);
		strcpy(f.common_name, "none");
		strcpy(f.names.text, rows[i].names);
		strcpy(f.uri, rows[i].uri);
		assert_int_equal(issue_tbs(h.ca[ca], &f, &tbs), 0);
		assert_int_equal(issue_lint(h.ca[ca], &f, buf_span(&tbs), NULL), rows[i].result == 0 ? 0 : E_PKI_LINT);
		assert_int_equal(issue_sign(h.ca[ca], 0, buf_span(&tbs), f.hash_alg, &leaf), 0);
		assert_int_equal(verify(&leaf, ca, 0, NOW), rows[i].result);
	}
}

/* Issuing CAs have pathLen 0: no CA is made below them. */
static void no_ca_below(void **state)
{
	(void)state;
	struct ca_facts                f = {.role = ISSUER_SERVICE, .serial = {{1, 2}}};
	_cleanup_(buf_free) struct buf sub = BUF_MAX(CERT_DER_MAX);
	strcpy(f.organisation, "x");
	strcpy(f.common_name, "sub");
	strcpy(f.domains, "vcc.internal");
	strcpy(f.public_url, HIERARCHY_URL);
	strcpy(f.parent_id, "service-1");
	f.not_before_at = NOW;
	f.not_after_at = NOW + MS_DAY;
	assert_int_equal(issue_ca_certificate(&f, k, h.key[ISSUER_SERVICE], hierarchy_der(&h, ISSUER_SERVICE), &sub),
			 E_PKI_LINT);
	assert_int_equal(sub.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_ones),        cmocka_unit_test(times),       cmocka_unit_test(wrong_paths),
		cmocka_unit_test(constraints_hold), cmocka_unit_test(no_ca_below),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}

/* test_tbs.c - are hand-built certificates the same, octet by octet, as those of the X.509 library?
 * Never: timings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <openssl/x509.h>

#include "shared/base/times.h"
#include "shared/pki/issue.h"
#include "tests/lib/hierarchy.h"

#define NOW INT64_C(1790000000000)

static struct hierarchy h;
static struct key      *keys[KEY_TYPE_COUNT];

static int setup(void **state)
{
	(void)state;
	static const enum key_type types[] = {KEY_EC_P256, KEY_EC_P384, KEY_RSA_2048, KEY_ED25519};
	for (size_t i = 0; i < N_ELEMENTS(types); i++)
		if (key_make(types[i], &keys[types[i]]) < 0)
			return -1;
	hierarchy_make(&h, NOW, KEY_EC_P256, "");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (int i = 0; i < KEY_TYPE_COUNT; i++)
		key_free(keys[i]);
	hierarchy_free(&h);
	return 0;
}

/* Both builders agree; what they built parses, and its signature fits. */
static void same_bytes(const struct hierarchy *with, const struct cert_facts *f, int expected)
{
	const struct issue_ca         *ca = with->ca[hierarchy_role(f->profile)];
	_cleanup_(buf_free) struct buf fast = BUF_MAX(CERT_DER_MAX), plain = BUF_MAX(CERT_DER_MAX),
				       cert = BUF_MAX(CERT_DER_MAX);
	assert_int_equal(issue_tbs(ca, f, &fast), expected);
	assert_int_equal(issue_tbs_plain(ca, f, &plain), expected);
	assert_int_equal(fast.n, plain.n);
	if (expected < 0) {
		assert_int_equal(fast.n, 0);
		return;
	}
	assert_memory_equal(fast.p, plain.p, fast.n);
	assert_int_equal(issue_sign(ca, 0, buf_span(&fast), f->hash_alg, &cert), 0);

	const uint8_t *p = cert.p;
	X509          *x = d2i_X509(NULL, &p, (long)cert.n);
	assert_non_null(x);
	assert_ptr_equal(p, cert.p + cert.n);
	struct span    ca_der = hierarchy_der(with, hierarchy_role(f->profile));
	const uint8_t *q = ca_der.p;
	X509          *issuer = d2i_X509(NULL, &q, (long)ca_der.n);
	assert_int_equal(X509_verify(x, X509_get0_pubkey(issuer)), 1);
	X509_free(x);
	X509_free(issuer);
}

static void profiles_and_key_types_and_hashes(void **state)
{
	(void)state;
	for (int profile = 0; profile < LEAF_PROFILE_COUNT; profile++)
		for (int t = 0; t < KEY_TYPE_COUNT; t++)
			for (int alg = 0; alg < HASH_ALG_COUNT; alg++) {
				struct cert_facts f;
				if (keys[t] == NULL)
					continue;
				hierarchy_facts(&h, (enum leaf_profile)profile, keys[t], 30 * MS_DAY, 7, &f);
				f.hash_alg = (enum hash_alg)alg;
				same_bytes(&h, &f, 0);
			}
}

static void other_ca_keys(void **state)
{
	(void)state;
	static const enum key_type types[] = {KEY_EC_P384, KEY_RSA_2048};
	for (size_t i = 0; i < N_ELEMENTS(types); i++) {
		struct hierarchy other;
		hierarchy_make(&other, NOW, types[i], "10.0.0.0/8");
		for (int alg = 0; alg < HASH_ALG_COUNT; alg++) {
			struct cert_facts f;
			hierarchy_facts(&other, LEAF_SERVICE, keys[KEY_EC_P256], 30 * MS_DAY, 7, &f);
			f.hash_alg = (enum hash_alg)alg;
			same_bytes(&other, &f, 0);
		}
		hierarchy_free(&other);
	}
}

static void every_list_may_be_empty(void **state)
{
	(void)state;
	struct cert_facts f;
	hierarchy_facts(&h, LEAF_SERVICE, keys[KEY_EC_P256], 30 * MS_DAY, 7, &f);
	f.key_usage = 0;
	same_bytes(&h, &f, 0);
	f.key_usage = KU_KEY_ENCIPHERMENT; /* dropped for EC: nothing is left */
	same_bytes(&h, &f, 0);
	f.ext_key_usage = 0;
	same_bytes(&h, &f, 0);
	f.organisation[0] = '\0';
	f.common_name[0] = '\0';
	same_bytes(&h, &f, 0);
	f.names.text[0] = '\0';
	same_bytes(&h, &f, 0);
}

static void serials(void **state)
{
	(void)state;
	static const uint64_t counters[] = {0, 1, 0x7f, 0x80, 0xff, 0x100, 0x80000000, (UINT64_C(1) << 55) - 1};
	for (size_t i = 0; i < N_ELEMENTS(counters); i++) {
		struct cert_facts f;
		uint8_t           random[SERIAL_RANDOM] = {0xff, 1, 2, 3, 4, 5, 6, 7, 8};
		hierarchy_facts(&h, LEAF_SERVICE, keys[KEY_EC_P256], 30 * MS_DAY, 7, &f);
		f.serial = serial_make(counters[i], random);
		same_bytes(&h, &f, 0);
		random[0] = 0;
		f.serial = serial_make(counters[i], random);
		same_bytes(&h, &f, 0);
	}
	struct cert_facts f;
	hierarchy_facts(&h, LEAF_SERVICE, keys[KEY_EC_P256], 30 * MS_DAY, 7, &f);
	f.serial = (struct serial){{0}};
	same_bytes(&h, &f, E_PKI_LINT);
	f.serial.b[0] = 0x80;
	same_bytes(&h, &f, E_PKI_LINT);
}

static void times(void **state)
{
	(void)state;
	static const struct {
		const char *before, *after;
		int         result;
	} rows[] = {
		{"2026-11-23T00:00:00Z", "2038-01-19T03:14:08Z", 0},
		{"2049-12-31T23:59:59Z", "2050-01-01T00:00:00Z", 0},
		{"2028-02-29T12:00:00Z", "2100-02-28T12:00:00Z", 0},
		{"2026-11-23T00:00:00Z", "9999-12-31T23:59:59Z", 0},
		{"2026-11-23T00:00:00Z", "2026-11-23T00:00:00Z", 0},
		{"2026-11-23T00:00:01Z", "2026-11-23T00:00:00Z", E_PKI_LINT},
		{"2026-11-23T00:00:00.5Z", "2027-11-23T00:00:00Z", E_PKI_LINT},
	};
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		struct cert_facts f;
		hierarchy_facts(&h, LEAF_SERVICE, keys[KEY_EC_P256], 30 * MS_DAY, 7, &f);
		assert_int_equal(time_parse(rows[i].before, &f.not_before_at), 0);
		assert_int_equal(time_parse(rows[i].after, &f.not_after_at), 0);
		same_bytes(&h, &f, rows[i].result);
	}
	struct cert_facts f;
	hierarchy_facts(&h, LEAF_SERVICE, keys[KEY_EC_P256], 30 * MS_DAY, 7, &f);
	f.not_before_at = -INT64_C(631152000000); /* 1950 */
	same_bytes(&h, &f, 0);
	f.not_before_at -= MS_SECOND;
	same_bytes(&h, &f, E_PKI_LINT);
	f.not_before_at = INT64_MIN;
	same_bytes(&h, &f, E_PKI_LINT);
	f.not_before_at = 0;
	f.not_after_at = TIME_NEVER;
	same_bytes(&h, &f, E_PKI_LINT);
}

static void odd_texts(void **state)
{
	(void)state;
	static const struct {
		const char *cn, *uri, *names;
		int         result;
	} rows[] = {
		{"Gr\xc3\xbc\xc3\x9f Gott", "", "DNS:a.b", 0},
		{"bad \xc3", "", "DNS:a.b", E_PKI_LINT},
		{"two\nlines", "", "DNS:a.b", E_PKI_LINT},
		{"cn", "spiffe://a/b c", "DNS:a.b", E_PKI_LINT},
		{"cn", "spiffe://a/\xc3\xbc", "DNS:a.b", E_PKI_LINT},
		{"cn", "", "DNS:", E_PKI_LINT},
		{"cn", "", "IP:1.2.3", E_PKI_LINT},
		{"cn", "", "IP:1.2.3.4,IP:2001:db8::1", 0},
		{"cn", "", "DNS:a b", E_PKI_LINT},
		{"cn", "", "EMAIL:a@b", E_PKI_LINT},
		{"cn", "", "DNS:a.b,,DNS:c.d", E_PKI_LINT},
		{"cn", "urn:x", "", 0},
	};
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		struct cert_facts f;
		hierarchy_facts(&h, LEAF_SERVICE, keys[KEY_EC_P256], 30 * MS_DAY, 7, &f);
		strcpy(f.common_name, rows[i].cn);
		strcpy(f.uri, rows[i].uri);
		strcpy(f.names.text, rows[i].names);
		same_bytes(&h, &f, rows[i].result);
	}
}

static void many_names(void **state)
{
	(void)state;
	struct cert_facts f;
	hierarchy_facts(&h, LEAF_SERVICE, keys[KEY_RSA_2048], 30 * MS_DAY, 7, &f);
	size_t n = 0;
	for (int i = 0; i < NAMES_MAX; i++)
		n += (size_t)sprintf(f.names.text + n, "%sDNS:n%02d.%030d.vcc.internal", i > 0 ? "," : "", i, 0);
	same_bytes(&h, &f, 0);
	strcpy(f.names.text + n, ",DNS:x");
	same_bytes(&h, &f, E_PKI_LINT);
}

static void wrong_key_or_issuer(void **state)
{
	(void)state;
	struct cert_facts f;
	hierarchy_facts(&h, LEAF_SERVICE, keys[KEY_EC_P256], 30 * MS_DAY, 7, &f);
	f.key_type = KEY_EC_P384;
	same_bytes(&h, &f, E_PKI_LINT);
	f.key_type = KEY_EC_P256;
	f.spki_len--;
	same_bytes(&h, &f, E_PKI_LINT);
	f.spki_len++;
	strcpy(f.issuer_id, "agent-1");
	same_bytes(&h, &f, E_PKI_LINT);
}

static void sign_refuses_another_algorithm(void **state)
{
	(void)state;
	_cleanup_(buf_free) struct buf tbs = BUF_MAX(CERT_DER_MAX), cert = BUF_MAX(CERT_DER_MAX);
	struct cert_facts              f;
	hierarchy_facts(&h, LEAF_SERVICE, keys[KEY_EC_P256], 30 * MS_DAY, 7, &f);
	assert_int_equal(issue_tbs(h.ca[ISSUER_SERVICE], &f, &tbs), 0);
	assert_int_equal(issue_sign(h.ca[ISSUER_SERVICE], 0, buf_span(&tbs), HASH_SHA384, &cert), E_PKI_LINT);
	assert_int_equal(issue_sign(h.ca[ISSUER_SERVICE], 0, (struct span){tbs.p, tbs.n - 1}, HASH_SHA256, &cert), E_PKI_CERT);
	assert_int_equal(cert.n, 0);
}

static void a_key_of_another_ca_is_refused(void **state)
{
	(void)state;
	struct issue_ca *ca = NULL;
	assert_int_equal(issue_ca_make(&h.issuer[ISSUER_SERVICE], h.key[ISSUER_AGENT], HIERARCHY_URL, &ca), E_PKI_MISMATCH);
	assert_int_equal(issue_ca_make(&h.issuer[ISSUER_SERVICE], NULL, "http://x/", &ca), E_SYNTAX);
	assert_int_equal(issue_ca_make(&h.issuer[ISSUER_SERVICE], NULL, "ftp://x", &ca), E_SYNTAX);
	assert_null(ca);

	/* without a key only building works; the bytes are the same */
	_cleanup_(buf_free) struct buf a = BUF_MAX(CERT_DER_MAX), b = BUF_MAX(CERT_DER_MAX);
	struct cert_facts              f;
	hierarchy_facts(&h, LEAF_SERVICE, keys[KEY_EC_P256], 30 * MS_DAY, 7, &f);
	assert_int_equal(issue_ca_make(&h.issuer[ISSUER_SERVICE], NULL, HIERARCHY_URL, &ca), 0);
	assert_int_equal(issue_tbs(ca, &f, &a), 0);
	assert_int_equal(issue_tbs(h.ca[ISSUER_SERVICE], &f, &b), 0);
	assert_true(span_equal(buf_span(&a), buf_span(&b)));
	assert_int_equal(issue_sign(ca, 0, buf_span(&a), HASH_SHA256, &b), E_PKI_KEY);
	issue_ca_free(ca);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(profiles_and_key_types_and_hashes),
		cmocka_unit_test(other_ca_keys),
		cmocka_unit_test(every_list_may_be_empty),
		cmocka_unit_test(serials),
		cmocka_unit_test(times),
		cmocka_unit_test(odd_texts),
		cmocka_unit_test(many_names),
		cmocka_unit_test(wrong_key_or_issuer),
		cmocka_unit_test(sign_refuses_another_algorithm),
		cmocka_unit_test(a_key_of_another_ca_is_refused),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}

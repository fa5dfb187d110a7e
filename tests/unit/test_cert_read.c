/* test_cert_read.c - is everything we use of a certificate read as it was issued, and is a name never overlooked?
 * Never: timings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include <openssl/ec.h>
#include <openssl/x509.h>

#include "shared/base/times.h"
#include "shared/pki/cert.h"
#include "tests/lib/hierarchy.h"

#include <openssl/x509v3.h> /* last: its KU_ macros would break the enum of our model */

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

static void leaves_read_as_issued(void **state)
{
	(void)state;
	for (int p = 0; p < LEAF_PROFILE_COUNT; p++) {
		_cleanup_(buf_free) struct buf der = BUF_MAX(CERT_DER_MAX);
		struct cert_facts              f;
		struct cert_info               info;
		struct hash                    hash;
		hierarchy_facts(&h, (enum leaf_profile)p, k, 30 * MS_DAY, 7, &f);
		assert_int_equal(hierarchy_issue(&h, &f, &der, NULL), 0);
		assert_int_equal(cert_read(buf_span(&der), &info), 0);
		assert_true(serial_equal(info.serial, f.serial));
		assert_true(info.not_before_at == f.not_before_at && info.not_after_at == f.not_after_at);
		assert_string_equal(info.common_name, f.common_name);
		assert_string_equal(info.host_hash, f.host_hash);
		assert_string_equal(info.uri, f.uri);
		assert_true(names_equal(&info.names, &f.names));
		assert_int_equal(info.key_usage, f.key_usage & ~4); /* keyEncipherment dropped for EC */
		assert_int_equal(info.ext_key_usage, f.ext_key_usage);
		assert_false(info.is_ca);
		digest_sha256(buf_span(&der), &hash);
		assert_true(hash_equal(hash, info.fingerprint));
		digest_sha256((struct span){f.spki, f.spki_len}, &hash);
		assert_true(hash_equal(hash, info.spki_hash));
		assert_int_equal(cert_fits_key(buf_span(&der), k), 0);
	}
}

static void subject_is_rfc4514(void **state)
{
	(void)state;
	_cleanup_(buf_free) struct buf der = BUF_MAX(CERT_DER_MAX);
	struct cert_facts              f;
	struct cert_info               info;
	hierarchy_facts(&h, LEAF_OPERATOR, k, 30 * MS_DAY, 7, &f);
	strcpy(f.common_name, "A, \"B\" + Gr\xc3\xbc\xc3\x9f");
	assert_int_equal(hierarchy_issue(&h, &f, &der, NULL), 0);
	assert_int_equal(cert_read(buf_span(&der), &info), 0);
	assert_string_equal(info.subject, "CN=A\\, \\\"B\\\" \\+ Gr\xc3\xbc\xc3\x9f,O=Vcc Test");
	assert_string_equal(info.issuer, "CN=Test Service CA,O=Vcc Test");
}

static void every_cut_is_refused(void **state)
{
	(void)state;
	struct span      der = hierarchy_der(&h, ISSUER_SERVICE);
	struct cert_info info;
	for (size_t n = 0; n < der.n; n++)
		assert_int_equal(cert_read((struct span){der.p, n}, &info), E_PKI_CERT);
}

/* A certificate of the library with the given subjectAltName. */
static void other_certificate(const char *san, int type, struct buf *to)
{
	EVP_PKEY *evp = EVP_EC_gen("P-256");
	X509     *x = X509_new();
	X509_set_version(x, X509_VERSION_3);
	ASN1_INTEGER_set_uint64(X509_get_serialNumber(x), 77);
	X509_gmtime_adj(X509_getm_notBefore(x), 0);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_set_pubkey(x, evp);
	GENERAL_NAMES *names = GENERAL_NAMES_new();
	GENERAL_NAME  *name = GENERAL_NAME_new();
	ASN1_STRING   *text = ASN1_STRING_type_new(V_ASN1_IA5STRING);
	ASN1_STRING_set(text, san, (int)strlen(san));
	GENERAL_NAME_set0_value(name, type, text);
	sk_GENERAL_NAME_push(names, name);
	assert_true(X509_add1_ext_i2d(x, NID_subject_alt_name, names, 0, 0) > 0);
	GENERAL_NAMES_free(names);
	assert_true(X509_sign(x, evp, EVP_sha256()) > 0);
	uint8_t *der = NULL;
	int      n = i2d_X509(x, &der);
	buf_add(to, der, (size_t)n);
	OPENSSL_free(der);
	X509_free(x);
	EVP_PKEY_free(evp);
}

static void odd_names_are_not_overlooked(void **state)
{
	(void)state;
	static const struct {
		const char *san;
		int         type, result;
		const char *read;
	} rows[] = {
		{"a.b", GEN_DNS, 0, "DNS:a.b"},         {"A.B", GEN_DNS, 0, "DNS:a.b"},
		{"*.a.b", GEN_DNS, 0, "DNS:*.a.b"},     {"a.b,DNS:c.d", GEN_DNS, E_PKI_CERT, NULL},
		{"a.b c", GEN_DNS, E_PKI_CERT, NULL},   {"", GEN_DNS, E_PKI_CERT, NULL},
		{"a@b.c", GEN_EMAIL, E_PKI_CERT, NULL}, {"spiffe://a/b", GEN_URI, 0, ""},
	};
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		_cleanup_(buf_free) struct buf der = BUF_MAX(CERT_DER_MAX);
		struct cert_info               info;
		other_certificate(rows[i].san, rows[i].type, &der);
		assert_int_equal(cert_read(buf_span(&der), &info), rows[i].result);
		if (rows[i].result == 0)
			assert_string_equal(info.names.text, rows[i].read);
	}
}

static void pem_survives(void **state)
{
	(void)state;
	_cleanup_(buf_free) struct buf ders = BUF_MAX(65536), pem = BUF_MAX(131072), back = BUF_MAX(65536);
	for (int role = 0; role < ISSUER_ROLE_COUNT; role++) {
		struct span der = hierarchy_der(&h, (enum issuer_role)role);
		buf_add(&ders, der.p, der.n);
	}
	assert_int_equal(cert_pem_add(buf_span(&ders), &pem), 0);
	assert_int_equal(cert_from_pem(buf_span(&pem), &back), 0);
	assert_true(span_equal(buf_span(&ders), buf_span(&back)));
	for (int i = 0; i < 4; i++) /* 20 certificates */
		assert_int_equal(cert_pem_add(buf_span(&ders), &pem), 0);
	buf_reset(&back);
	assert_int_equal(cert_from_pem(buf_span(&pem), &back), E_FULL);
	assert_int_equal(back.n, 0);
	assert_int_equal(cert_pem_add((struct span){ders.p, ders.n - 1}, &pem), E_PKI_CERT);

	static const char *const bad[] = {
		"",
		"no pem",
		"-----BEGIN CERTIFICATE-----\n",
		"-----BEGIN CERTIFICATE-----\nMAA=\n-----END X-----\n",
		"-----BEGIN CERTIFICATE-----\nMAAA\n-----END CERTIFICATE-----\n", /* octets after the element */
		"-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n",
	};
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		assert_int_equal(cert_from_pem(span_text(bad[i]), &back), E_PKI_CERT);
		assert_int_equal(back.n, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(leaves_read_as_issued), cmocka_unit_test(subject_is_rfc4514),
		cmocka_unit_test(every_cut_is_refused),  cmocka_unit_test(odd_names_are_not_overlooked),
		cmocka_unit_test(pem_survives),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}

/* test_csr.c - are requests of every key type accepted, and altered or odd ones refused?
 * Never: timings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include <openssl/x509.h>

#include "shared/base/err.h"
#include "shared/pki/cert.h"

static struct key *keys[KEY_TYPE_COUNT];

static int keys_make(void **state)
{
	(void)state;
	static const enum key_type types[] = {KEY_EC_P256, KEY_EC_P384, KEY_RSA_2048, KEY_ED25519};
	for (size_t i = 0; i < N_ELEMENTS(types); i++)
		if (key_make(types[i], &keys[types[i]]) < 0)
			return -1;
	return 0;
}

static int keys_free(void **state)
{
	(void)state;
	for (int i = 0; i < KEY_TYPE_COUNT; i++)
		key_free(keys[i]);
	return 0;
}

static void ours_are_accepted_by_both(void **state)
{
	(void)state;
	for (int t = 0; t < KEY_TYPE_COUNT; t++) {
		if (keys[t] == NULL)
			continue;
		_cleanup_(buf_free) struct buf csr = BUF_MAX(2048), spki = BUF_MAX(1024);
		struct span                    found;
		enum key_type                  type;
		assert_int_equal(csr_make(keys[t], &csr), 0);
		assert_int_equal(csr_check(buf_span(&csr), &found, &type), 0);
		assert_int_equal(type, t);
		assert_int_equal(key_spki(keys[t], &spki), 0);
		assert_true(span_equal(found, buf_span(&spki)));

		const uint8_t *p = csr.p;
		X509_REQ      *req = d2i_X509_REQ(NULL, &p, (long)csr.n);
		assert_non_null(req);
		assert_int_equal(X509_REQ_verify(req, X509_REQ_get0_pubkey(req)), 1);
		X509_REQ_free(req);
	}
}

static void every_changed_byte_is_refused(void **state)
{
	(void)state;
	_cleanup_(buf_free) struct buf csr = BUF_MAX(2048);
	assert_int_equal(csr_make(keys[KEY_EC_P256], &csr), 0);
	for (size_t i = 0; i < csr.n; i++) {
		struct span   found = {NULL, 0};
		enum key_type type;
		csr.p[i] ^= 0x01;
		int r = csr_check(buf_span(&csr), &found, &type);
		assert_true(r == E_PKI_CSR || r == E_PKI_KEY || r == E_PKI_SIGNATURE);
		assert_null(found.p);
		csr.p[i] ^= 0x01;
	}
	for (size_t n = 0; n < csr.n; n++) {
		struct span   found;
		enum key_type type;
		assert_int_equal(csr_check((struct span){csr.p, n}, &found, &type), E_PKI_CSR);
	}
	buf_add_u8(&csr, 0);
	struct span   found;
	enum key_type type;
	assert_int_equal(csr_check(buf_span(&csr), &found, &type), E_PKI_CSR);
}

/* A request by the library, with subject and attributes that we must ignore. */
static void library_request(EVP_PKEY *evp, const EVP_MD *md, struct buf *to)
{
	X509_REQ  *req = X509_REQ_new();
	X509_NAME *name = X509_NAME_new();
	assert_true(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"other.example", -1, -1, 0));
	assert_true(X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC, (const unsigned char *)"O", -1, -1, -1));
	assert_true(X509_REQ_set_subject_name(req, name));
	assert_true(X509_REQ_add1_attr_by_NID(req, NID_pkcs9_challengePassword, MBSTRING_ASC, (const unsigned char *)"x", 1));
	assert_true(X509_REQ_set_pubkey(req, evp));
	assert_true(X509_REQ_sign(req, evp, md) > 0);
	uint8_t *der = NULL;
	int      n = i2d_X509_REQ(req, &der);
	assert_true(n > 0);
	buf_add(to, der, (size_t)n);
	OPENSSL_free(der);
	X509_NAME_free(name);
	X509_REQ_free(req);
}

static void others_requests(void **state)
{
	(void)state;
	EVP_PKEY *p256 = EVP_EC_gen("P-256"), *p521 = EVP_EC_gen("P-521"), *rsa1024 = EVP_RSA_gen(1024),
		 *rsa2048 = EVP_RSA_gen(2048), *ed448 = EVP_PKEY_Q_keygen(NULL, NULL, "ED448");
	const struct {
		EVP_PKEY     *evp;
		const EVP_MD *md;
		int           result;
	} rows[] = {
		{p256, EVP_sha256(), 0},
		{p256, EVP_sha512(), 0},
		{p256, EVP_sha1(), E_PKI_SIGNATURE},
		{p521, EVP_sha512(), E_PKI_KEY},
		{rsa1024, EVP_sha256(), E_PKI_KEY},
		{rsa2048, EVP_sha384(), 0},
		{rsa2048, EVP_sha1(), E_PKI_SIGNATURE},
		{ed448, NULL, E_PKI_KEY},
	};
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		_cleanup_(buf_free) struct buf csr = BUF_MAX(2048);
		struct span                    found;
		enum key_type                  type;
		library_request(rows[i].evp, rows[i].md, &csr);
		assert_int_equal(csr_check(buf_span(&csr), &found, &type), rows[i].result);
	}
	EVP_PKEY_free(p256);
	EVP_PKEY_free(p521);
	EVP_PKEY_free(rsa1024);
	EVP_PKEY_free(rsa2048);
	EVP_PKEY_free(ed448);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ours_are_accepted_by_both),
		cmocka_unit_test(every_changed_byte_is_refused),
		cmocka_unit_test(others_requests),
	};
	return cmocka_run_group_tests(tests, keys_make, keys_free);
}

/* test_csr_cost.c - is a request with a key that we do not take refused before the crypto library computes anything?
 * Counted, not timed: the library's verbs are ours here, count, and pass on. */
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include <openssl/evp.h>

#include "shared/base/err.h"
#include "shared/pki/cert.h"
#include "shared/pki/der.h"

static int computed;

int EVP_PKEY_verify(EVP_PKEY_CTX *ctx, const unsigned char *sig, size_t siglen, const unsigned char *tbs, size_t tbslen)
{
	int (*real)(EVP_PKEY_CTX *, const unsigned char *, size_t, const unsigned char *, size_t);
	*(void **)&real = dlsym(RTLD_NEXT, "EVP_PKEY_verify");
	computed++;
	return real(ctx, sig, siglen, tbs, tbslen);
}

int EVP_DigestVerify(EVP_MD_CTX *ctx, const unsigned char *sigret, size_t siglen, const unsigned char *tbs, size_t tbslen)
{
	int (*real)(EVP_MD_CTX *, const unsigned char *, size_t, const unsigned char *, size_t);
	*(void **)&real = dlsym(RTLD_NEXT, "EVP_DigestVerify");
	computed++;
	return real(ctx, sigret, siglen, tbs, tbslen);
}

int EVP_PKEY_fromdata(EVP_PKEY_CTX *ctx, EVP_PKEY **ppkey, int selection, OSSL_PARAM param[])
{
	int (*real)(EVP_PKEY_CTX *, EVP_PKEY **, int, OSSL_PARAM *);
	*(void **)&real = dlsym(RTLD_NEXT, "EVP_PKEY_fromdata");
	computed++;
	return real(ctx, ppkey, selection, param);
}

static void integer_put(struct buf *to, size_t bytes, uint8_t first, uint8_t last)
{
	static uint8_t number[4097];
	memset(number, 0, sizeof(number));
	number[1] = first;
	number[bytes] = last;
	der_put(to, 0x02, number, bytes + 1);
}

/* A request whose RSA key has a modulus of so many bytes, and an exponent of so many. */
static int rsa_request(size_t modulus, size_t exponent, uint8_t last, struct span *ret_spki, enum key_type *ret_type)
{
	static const uint8_t           rsa[] = {0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00};
	static const uint8_t           sha256_rsa[] = {0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b, 0x05, 0x00};
	static const uint8_t           signature[256] = {0x55};
	_cleanup_(buf_free) struct buf csr = BUF_MAX(8192), numbers = BUF_MAX(8192);
	size_t                         mark = der_open(&numbers, 0x30);
	integer_put(&numbers, modulus, 0x80, last);
	integer_put(&numbers, exponent, 0x80, 1);
	der_close(&numbers, mark);
	size_t outer = der_open(&csr, 0x30), info = der_open(&csr, 0x30);
	der_put_u64(&csr, 0);
	der_put(&csr, 0x30, NULL, 0);
	size_t spki = der_open(&csr, 0x30);
	der_put_span(&csr, SPAN_OF(rsa));
	der_put_bits(&csr, numbers.p, numbers.n);
	der_close(&csr, spki);
	der_put(&csr, 0xa0, NULL, 0);
	der_close(&csr, info);
	der_put_span(&csr, SPAN_OF(sha256_rsa));
	der_put_bits(&csr, signature, sizeof(signature));
	der_close(&csr, outer);
	assert_int_equal(buf_error(&csr), 0);
	return csr_check(buf_span(&csr), ret_spki, ret_type);
}

static void keys_out_of_bounds_cost_nothing(void **state)
{
	(void)state;
	static const struct {
		size_t  modulus, exponent;
		uint8_t last;
	} keys[] = {
		{2048, 3, 1}, /* 16384 bit */
		{1024, 3, 1},
		{513, 3, 1},
		{128, 3, 1},
		{64, 3, 1},
		{257, 3, 1},
		{256, 256, 1}, /* an exponent as large as the modulus */
		{256, 9, 1},
		{256, 3, 1}, /* not 65537 */
		{256, 3, 2}, /* even */
	};
	for (size_t i = 0; i < N_ELEMENTS(keys); i++) {
		struct span   spki = {NULL, 0};
		enum key_type type;
		computed = 0;
		assert_int_equal(rsa_request(keys[i].modulus, keys[i].exponent, keys[i].last, &spki, &type), E_PKI_KEY);
		assert_null(spki.p);
		assert_int_equal(computed, 0);
	}
}

/* One key read and one signature checked, and the counter does count. */
static void a_good_one_costs_one_verification(void **state)
{
	(void)state;
	_cleanup_(buf_free) struct buf   csr = BUF_MAX(4096);
	_cleanup_(key_freep) struct key *k = NULL;
	struct span                      spki;
	enum key_type                    type;
	assert_int_equal(key_make(KEY_RSA_2048, &k), 0);
	assert_int_equal(csr_make(k, &csr), 0);
	computed = 0;
	assert_int_equal(csr_check(buf_span(&csr), &spki, &type), 0);
	assert_in_range(computed, 1, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_out_of_bounds_cost_nothing),
		cmocka_unit_test(a_good_one_costs_one_verification),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

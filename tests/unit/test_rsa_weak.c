/* test_rsa_weak.c - are moduli of close primes found, and usual ones let through?
 * Never: timings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include <openssl/bn.h>

#include "shared/pki/rsa_weak.h"

/* p random prime of 1024 bit, q the next prime at least `distance` above it. */
static bool weak(unsigned distance_bits)
{
	BN_CTX *ctx = BN_CTX_new();
	BIGNUM *p = BN_new(), *q = BN_new(), *n = BN_new(), *distance = BN_new();
	assert_true(BN_generate_prime_ex(p, 1024, 0, NULL, NULL, NULL));
	assert_true(BN_one(distance) && BN_lshift(distance, distance, (int)distance_bits));
	assert_true(BN_add(q, p, distance));
	BN_set_bit(q, 0);
	while (BN_check_prime(q, ctx, NULL) != 1)
		assert_true(BN_add_word(q, 2));
	assert_true(BN_mul(n, p, q, ctx));
	uint8_t modulus[260];
	int     size = BN_bn2bin(n, modulus);
	bool    result = rsa_weak_close_primes((struct span){modulus, (size_t)size});
	BN_free(p);
	BN_free(q);
	BN_free(n);
	BN_free(distance);
	BN_CTX_free(ctx);
	return result;
}

static void close_primes_are_found(void **state)
{
	(void)state;
	assert_true(weak(1));
	assert_true(weak(64));
	assert_true(weak(512));
}

static void far_primes_pass(void **state)
{
	(void)state;
	assert_false(weak(540));
	assert_false(weak(1000));
	assert_false(weak(1022));
}

static void a_square_is_found(void **state)
{
	(void)state;
	/* 65537^2 */
	static const uint8_t square[] = {0x01, 0x00, 0x02, 0x00, 0x01};
	assert_true(rsa_weak_close_primes(SPAN_OF(square)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(close_primes_are_found),
		cmocka_unit_test(far_primes_pass),
		cmocka_unit_test(a_square_is_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

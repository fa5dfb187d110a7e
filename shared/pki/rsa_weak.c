/* rsa_weak.c - room shared/pki: Fermat's factoring of moduli whose primes are close.
 * Never: unbounded work: 100 rounds, of which almost all end at a remainder test. */
#include "shared/pki/rsa_weak.h"

#include <openssl/bn.h>

enum { FERMAT_ROUNDS = 100 };

static inline void bn_ctx_freep(BN_CTX **p)
{
	if (*p != NULL)
		BN_CTX_end(*p);
	BN_CTX_free(*p);
}

/* root = floor(sqrt(n)) by Newton's method from above. */
static bool root_of(BIGNUM *root, const BIGNUM *n, BN_CTX *ctx)
{
	BN_CTX_start(ctx);
	BIGNUM *next = BN_CTX_get(ctx);
	bool    ok = next != NULL && BN_one(root) && BN_lshift(root, root, (BN_num_bits(n) + 1) / 2);
	while (ok) {
		ok = BN_div(next, NULL, n, root, ctx) && BN_add(next, next, root) && BN_rshift1(next, next);
		if (!ok || BN_cmp(next, root) >= 0)
			break;
		ok = BN_copy(root, next) != NULL;
	}
	BN_CTX_end(ctx);
	return ok;
}

/* 1 or 0; -1 when the arithmetic fails. Squares leave few remainders modulo 64, 63, 65 and 11. */
static int is_square(const BIGNUM *v, BIGNUM *root, BIGNUM *square, BN_CTX *ctx)
{
	static const BN_ULONG moduli[] = {64, 63, 65, 11};
	for (size_t i = 0; i < sizeof(moduli) / sizeof(moduli[0]); i++) {
		BN_ULONG rest = BN_mod_word(v, moduli[i]);
		bool     possible = false;
		for (BN_ULONG r = 0; r < moduli[i] && !possible; r++)
			possible = r * r % moduli[i] == rest;
		if (!possible)
			return 0;
	}
	if (!root_of(root, v, ctx) || !BN_sqr(square, root, ctx))
		return -1;
	return BN_cmp(square, v) == 0;
}

bool rsa_weak_close_primes(struct span modulus)
{
	_cleanup_(bn_ctx_freep) BN_CTX *ctx = BN_CTX_new();
	if (ctx == NULL)
		return true;
	BN_CTX_start(ctx);
	BIGNUM *n = BN_CTX_get(ctx);
	BIGNUM *a = BN_CTX_get(ctx);
	BIGNUM *b2 = BN_CTX_get(ctx);
	BIGNUM *root = BN_CTX_get(ctx);
	BIGNUM *square = BN_CTX_get(ctx);
	if (square == NULL || BN_bin2bn(modulus.p, (int)modulus.n, n) == NULL || !root_of(a, n, ctx))
		return true;
	/* n = (a - b)(a + b): try a = floor(sqrt(n)) and upwards until a^2 - n is a square */
	for (int i = 0; i < FERMAT_ROUNDS; i++) {
		if (!BN_sqr(b2, a, ctx) || !BN_sub(b2, b2, n))
			return true;
		if (!BN_is_negative(b2) && is_square(b2, root, square, ctx) != 0)
			return true;
		if (!BN_add_word(a, 1))
			return true;
	}
	return false;
}

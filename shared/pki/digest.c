/* digest.c - room shared/pki: SHA-2 and random bytes.
 * Never: returning a wrong digest or a weak random; without the library's help the process ends. */
#include <pthread.h>
#include <stdlib.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "shared/pki/key_evp.h"

static struct {
	pthread_once_t once;
	EVP_MD        *md[HASH_ALG_COUNT];
} hashes = {.once = PTHREAD_ONCE_INIT};

static void hashes_fetch(void)
{
	static const char *const names[HASH_ALG_COUNT] = {"SHA2-256", "SHA2-384", "SHA2-512"};
	for (int i = 0; i < HASH_ALG_COUNT; i++) {
		hashes.md[i] = EVP_MD_fetch(NULL, names[i], NULL);
		if (hashes.md[i] == NULL)
			abort();
	}
}

const EVP_MD *key_evp_hash(enum hash_alg alg)
{
	pthread_once(&hashes.once, hashes_fetch);
	return hashes.md[alg];
}

void digest_sha256(struct span bytes, struct hash *ret)
{
	if (EVP_Digest(bytes.p, bytes.n, ret->b, NULL, key_evp_hash(HASH_SHA256), NULL) <= 0)
		abort();
}

void digest_sha256_two(const void *a, size_t n_a, const void *b, size_t n_b, struct hash *ret)
{
	_cleanup_(evp_md_ctx_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	if (ctx == NULL || EVP_DigestInit_ex2(ctx, key_evp_hash(HASH_SHA256), NULL) <= 0 ||
	    EVP_DigestUpdate(ctx, a, n_a) <= 0 || EVP_DigestUpdate(ctx, b, n_b) <= 0 ||
	    EVP_DigestFinal_ex(ctx, ret->b, NULL) <= 0)
		abort();
}

void digest_hmac(const uint8_t key[HMAC_KEY_SIZE], struct span bytes, struct hash *ret)
{
	size_t n = 0;
	if (EVP_Q_mac(NULL, "HMAC", NULL, "SHA2-256", NULL, key, HMAC_KEY_SIZE, bytes.p, bytes.n, ret->b, sizeof(ret->b), &n) == NULL ||
	    n != sizeof(ret->b))
		abort();
}

bool digest_hmac_fits(const uint8_t key[HMAC_KEY_SIZE], struct span bytes, struct hash said)
{
	struct hash hash;
	digest_hmac(key, bytes, &hash);
	return CRYPTO_memcmp(hash.b, said.b, sizeof(hash.b)) == 0;
}

void random_bytes(void *to, size_t n)
{
	while (n > 0) {
		int step = n > 4096 ? 4096 : (int)n;
		if (RAND_bytes(to, step) != 1)
			abort();
		to = (uint8_t *)to + step;
		n -= (size_t)step;
	}
}

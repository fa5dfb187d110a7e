/* key_sign.c - room shared/pki: signatures over labelled bytes, and over plain ones for this room.
 * Never: choosing what is signed. */
#include <stdlib.h>
#include <string.h>

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/rsa.h>

#include "shared/base/err.h"
#include "shared/pki/key_evp.h"
#include "shared/pki/sig_alg.h"

enum { SIGNATURE_MAX = 512, LABEL_MAX = 64, LABELLED_MAX = 65536 + LABEL_MAX + 1 };

static int ctx_prepare(EVP_PKEY_CTX *ctx, const struct key *k, enum hash_alg alg)
{
	if (sig_alg_is_rsa(k->type) && (EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) <= 0 ||
					EVP_PKEY_CTX_set_signature_md(ctx, key_evp_hash(alg)) <= 0))
		return E_PKI_CRYPTO;
	return 0;
}

int key_evp_signer(const struct key *k, enum hash_alg alg, EVP_PKEY_CTX **ret)
{
	if (k->type == KEY_ED25519)
		return E_PKI_KEY;
	_cleanup_(evp_pkey_ctx_freep) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, k->evp, NULL);
	if (ctx == NULL)
		return E_NOMEM;
	if (EVP_PKEY_sign_init(ctx) <= 0) {
		ERR_clear_error();
		return E_PKI_KEY;
	}
	int r = ctx_prepare(ctx, k, alg);
	if (r < 0)
		return r;
	*ret = ctx;
	ctx = NULL;
	return 0;
}

static int ed25519_sign(const struct key *k, struct span bytes, uint8_t *signature, size_t *n)
{
	_cleanup_(evp_md_ctx_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	if (ctx == NULL)
		return E_NOMEM;
	if (EVP_DigestSignInit_ex(ctx, NULL, NULL, NULL, NULL, k->evp, NULL) <= 0 ||
	    EVP_DigestSign(ctx, signature, n, bytes.p, bytes.n) <= 0)
		return E_PKI_CRYPTO;
	return 0;
}

static int value_encode(const uint8_t *rs, size_t half, uint8_t *signature, size_t *n)
{
	ECDSA_SIG *sig = ECDSA_SIG_new();
	BIGNUM    *r = BN_bin2bn(rs, (int)half, NULL), *s = BN_bin2bn(rs + half, (int)half, NULL);
	uint8_t   *to = signature;
	if (sig == NULL || r == NULL || s == NULL || ECDSA_SIG_set0(sig, r, s) != 1) {
		BN_free(r);
		BN_free(s);
		ECDSA_SIG_free(sig);
		return E_NOMEM;
	}
	int length = i2d_ECDSA_SIG(sig, NULL);
	if (length > 0 && (size_t)length <= *n)
		*n = (size_t)i2d_ECDSA_SIG(sig, &to);
	else
		length = E_PKI_CRYPTO;
	ECDSA_SIG_free(sig);
	return length < 0 ? length : 0;
}

int key_device_sign(const struct key_device *d, enum key_type type, struct span digest, uint8_t *signature, size_t *n)
{
	enum { P256 = 32, P384 = 48 };
	uint8_t rs[2 * P384];
	size_t  half = type == KEY_EC_P384 ? P384 : P256;
	if (digest.n > half) /* FIPS 186-5, 6.4.1: the leftmost bits */
		digest.n = half;
	int r = d->sign(d->ctx, digest, rs, 2 * half);
	return r < 0 ? r : value_encode(rs, half, signature, n);
}

static int digest_sign(const struct key *k, enum hash_alg alg, struct span bytes, uint8_t *signature, size_t *n)
{
	uint8_t  digest[EVP_MAX_MD_SIZE];
	unsigned n_digest = 0;
	if (EVP_Digest(bytes.p, bytes.n, digest, &n_digest, key_evp_hash(alg), NULL) <= 0)
		return E_PKI_CRYPTO;
	if (k->device.sign != NULL)
		return key_device_sign(&k->device, k->type, (struct span){digest, n_digest}, signature, n);
	_cleanup_(evp_pkey_ctx_freep) EVP_PKEY_CTX *ctx = NULL;
	int                                         r = key_evp_signer(k, alg, &ctx);
	if (r < 0)
		return r;
	return EVP_PKEY_sign(ctx, signature, n, digest, n_digest) > 0 ? 0 : E_PKI_CRYPTO;
}

int key_evp_sign(const struct key *k, enum hash_alg alg, struct span bytes, struct buf *to)
{
	uint8_t signature[SIGNATURE_MAX];
	size_t  n = sizeof(signature);
	int     r = k->type == KEY_ED25519 ? ed25519_sign(k, bytes, signature, &n) : digest_sign(k, alg, bytes, signature, &n);
	if (r < 0) {
		ERR_clear_error();
		return r;
	}
	buf_add(to, signature, n);
	return buf_error(to);
}

static bool ed25519_verify(const struct key *k, struct span bytes, struct span signature)
{
	_cleanup_(evp_md_ctx_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	return ctx != NULL && EVP_DigestVerifyInit_ex(ctx, NULL, NULL, NULL, NULL, k->evp, NULL) > 0 &&
	       EVP_DigestVerify(ctx, signature.p, signature.n, bytes.p, bytes.n) == 1;
}

static bool digest_verify(const struct key *k, enum hash_alg alg, struct span bytes, struct span signature)
{
	uint8_t                                     digest[EVP_MAX_MD_SIZE];
	unsigned                                    n_digest = 0;
	_cleanup_(evp_pkey_ctx_freep) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, k->evp, NULL);
	return ctx != NULL && EVP_Digest(bytes.p, bytes.n, digest, &n_digest, key_evp_hash(alg), NULL) > 0 &&
	       EVP_PKEY_verify_init(ctx) > 0 && ctx_prepare(ctx, k, alg) == 0 &&
	       EVP_PKEY_verify(ctx, signature.p, signature.n, digest, n_digest) == 1;
}

int key_evp_verify(const struct key *k, enum hash_alg alg, struct span bytes, struct span signature)
{
	if (signature.n == 0 || signature.n > SIGNATURE_MAX)
		return E_PKI_SIGNATURE;
	if (k->type == KEY_ED25519 ? ed25519_verify(k, bytes, signature) : digest_verify(k, alg, bytes, signature))
		return 0;
	ERR_clear_error();
	return E_PKI_SIGNATURE;
}

/* label || 0x00 || body: a signature for one purpose can never be shown for another. */
static int labelled(const char *label, struct span body, struct buf *ret)
{
	size_t n = strlen(label);
	if (n == 0 || n > LABEL_MAX || body.n > LABELLED_MAX - LABEL_MAX - 1)
		return E_FULL;
	buf_add(ret, label, n + 1);
	buf_add(ret, body.p, body.n);
	return buf_error(ret);
}

int key_sign(const struct key *k, const char *label, struct span body, struct buf *to)
{
	_cleanup_(buf_free) struct buf bytes = BUF_MAX(LABELLED_MAX);
	int                            r = labelled(label, body, &bytes);
	return r < 0 ? r : key_evp_sign(k, HASH_SHA256, buf_span(&bytes), to);
}

int key_verify(const struct key *k, const char *label, struct span body, struct span signature)
{
	_cleanup_(buf_free) struct buf bytes = BUF_MAX(LABELLED_MAX);
	int                            r = labelled(label, body, &bytes);
	return r < 0 ? r : key_evp_verify(k, HASH_SHA256, buf_span(&bytes), signature);
}

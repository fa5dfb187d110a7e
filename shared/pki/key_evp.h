/* key_evp.h - room shared/pki: what is behind struct key; for files of this room only.
 * Never: included from another room. */
#ifndef VCC_KEY_EVP_H
#define VCC_KEY_EVP_H

#include <openssl/evp.h>

#include "shared/pki/key.h"

struct key {
	EVP_PKEY         *evp;
	enum key_type     type;
	uint16_t          spki_len;
	uint8_t           spki[SPKI_MAX];
	struct key_device device; /* signs in the place of `evp`, which is the public half then */
};

/* Fetched once per process: implicit fetches of OpenSSL 3.0 cost microseconds each time. Never NULL. */
const EVP_MD *key_evp_hash(enum hash_alg alg);

/* Takes ownership of `evp` in every case; E_PKI_KEY when it is not of an allowed type. */
_must_check_ int key_evp_adopt(EVP_PKEY *evp, struct key **ret);

/* A public EC key from its uncompressed point; about 10 us instead of 200 (LIMITS of OpenSSL 3.0's decoder). */
_must_check_ int key_evp_point(enum key_type type, struct span point, EVP_PKEY **ret);

/* A context that signs digests (EC, RSA PKCS#1 v1.5) made by `alg`; usable many times by one thread. */
_must_check_ int key_evp_signer(const struct key *k, enum hash_alg alg, EVP_PKEY_CTX **ret);

/* The device's signature over a digest, as it stands in a certificate (Ecdsa-Sig-Value, RFC 3279, 2.2.3); *n is the room before. */
_must_check_ int key_device_sign(const struct key_device *d, enum key_type type, struct span digest, uint8_t *signature, size_t *n);

/* Signature over `bytes` with `alg` (Ed25519: its own). */
_must_check_ int key_evp_sign(const struct key *k, enum hash_alg alg, struct span bytes, struct buf *to);
_must_check_ int key_evp_verify(const struct key *k, enum hash_alg alg, struct span bytes, struct span signature);

static inline void evp_pkey_freep(EVP_PKEY **p)
{
	EVP_PKEY_free(*p);
}

static inline void evp_pkey_ctx_freep(EVP_PKEY_CTX **p)
{
	EVP_PKEY_CTX_free(*p);
}

static inline void evp_md_ctx_freep(EVP_MD_CTX **p)
{
	EVP_MD_CTX_free(*p);
}

static inline void bio_freep(BIO **p)
{
	BIO_free_all(*p);
}

#endif

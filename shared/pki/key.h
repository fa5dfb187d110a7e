/* key.h - room shared/pki: private and public keys, signatures, digests.
 * One opaque type hides the crypto library. Never: files, sockets, clocks. */
#ifndef VCC_KEY_H
#define VCC_KEY_H

#include "shared/base/buf.h"
#include "shared/base/merkle.h"
#include "shared/model/certificate.h"

struct key; /* a key pair or a public key; owned by whoever made it */

_must_check_ int key_make(enum key_type type, struct key **ret); /* RSA takes 0.3-0.9 s: never on a loop */
void key_free(struct key *k);                                    /* NULL allowed */
void key_freep(struct key **k);

enum key_type key_type(const struct key *k);

/* PKCS#8 PEM without encryption, for 0600/0640 files. `to` must be wiped by the caller. */
_must_check_ int key_to_pem(const struct key *k, struct buf *to);
_must_check_ int key_from_pem(struct span pem, struct key **ret); /* E_PKI_KEY; RSA > 4096 bit refused before use */
_must_check_ int key_to_der(const struct key *k, struct buf *to); /* PKCS#8 */
_must_check_ int key_from_der(struct span der, struct key **ret);

/* SubjectPublicKeyInfo. Decoding accepts only the types of enum key_type; lengths and exponent are checked first. */
_must_check_ int key_spki(const struct key *k, struct buf *to);
_must_check_ int key_from_spki(struct span spki, struct key **ret);
/* Type of an SPKI by its DER alone, without decoding the key: cheap. */
_must_check_ int key_spki_type(struct span spki, enum key_type *ret);
bool key_same(const struct key *a, const struct key *b); /* equal public halves */

/* Ed25519 from a 32-byte seed (join tokens); `ret_public` gets the 32 bytes of the public key. */
_must_check_ int key_from_seed(const uint8_t seed[32], struct key **ret, uint8_t ret_public[32]);
_must_check_ int key_from_ed25519(const uint8_t public_key[32], struct key **ret);

/* A key whose private half is in a device and never comes out of it: `sign` signs a digest, which is no longer than the curve's order, and
 * gives r and s, each half of `n` bytes. What it returns below 0 is what signing returns. `ctx` outlives the key. EC only. */
struct key_device {
	int (*sign)(void *ctx, struct span digest, uint8_t *ret, size_t n); /* NULL = no device */
	void *ctx;
};
/* `point`: the uncompressed public one. E_PKI_KEY. */
_must_check_ int key_from_device(enum key_type type, struct span point, struct key_device device, struct key **ret);

/* Signature over label || 0x00 || body with SHA-256 (ECDSA, RSA PKCS#1 v1.5) or Ed25519. */
_must_check_ int key_sign(const struct key *k, const char *label, struct span body, struct buf *to);
_must_check_ int key_verify(const struct key *k, const char *label, struct span body, struct span signature); /* E_PKI_SIGNATURE */

void digest_sha256(struct span bytes, struct hash *ret);
void digest_sha256_two(const void *a, size_t n_a, const void *b, size_t n_b, struct hash *ret); /* fits merkle_hash_fn */
/* HMAC-SHA-256: what we alone can have said. */
enum { HMAC_KEY_SIZE = 32 };
void digest_hmac(const uint8_t key[HMAC_KEY_SIZE], struct span bytes, struct hash *ret);
void digest_hmac_by(struct span key, struct span bytes, struct hash *ret); /* by a key of any length that others hold, too */
bool digest_hmac_fits(const uint8_t key[HMAC_KEY_SIZE], struct span bytes, struct hash said); /* in constant time */

/* Fills from the library's generator; ends the process when there is none. */
void random_bytes(void *to, size_t n);

/* Encrypted private key file: magic and version, Argon2id parameters, salt, AES-256-GCM of the PKCS#8 DER. At most 16 operations and 1 GiB,
 * checked before anything is allocated. The usual cost is libsodium's moderate one: 3 operations, 256 MiB, about 0.7 s. Stretching makes guessing dear,
 * and 256 random bits are not guessed at any price: of a passphrase that this program drew itself the cost may be the random one, 1 operation, 8 MiB. */
struct keyfile_cost {
	uint32_t operations, memory_kib;
};
extern const struct keyfile_cost keyfile_cost_usual, keyfile_cost_random;
/* What a passphrase comes to with one salt, at that cost: opens and seals files of this salt without either. The nonce is new with each file, so many
 * may share it. For who may not keep the passphrase. To be wiped by its owner. */
enum { KEYFILE_SALT_SIZE = 16, KEYFILE_SECRET_SIZE = 32 };
struct keyfile_lock {
	struct keyfile_cost cost; /* operations 0 = nothing is kept */
	uint8_t             salt[KEYFILE_SALT_SIZE];
	uint8_t             secret[KEYFILE_SECRET_SIZE];
};
_must_check_ int keyfile_lock_make(struct span passphrase, struct keyfile_cost cost, struct keyfile_lock *ret);          /* E_RANGE, E_NOMEM */
_must_check_ int keyfile_seal_under(const struct key *k, const struct keyfile_lock *lock, struct buf *to);               /* E_PKI_PASSPHRASE: it is empty */
_must_check_ int keyfile_open(struct span file, struct span passphrase, struct key **ret);                               /* E_PKI_PASSPHRASE, E_PKI_KEY */
/* As keyfile_open(); `lock` may hold the one of another file: where it is the same, the cost is saved. It holds this file's afterwards. */
_must_check_ int keyfile_open_keep(struct span file, struct span passphrase, struct keyfile_lock *lock, struct key **ret);
bool             keyfile_lock_fits(const struct keyfile_lock *lock, struct span file);

#endif

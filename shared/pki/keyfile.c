/* keyfile.c - room shared/pki: a private key encrypted under a passphrase, as bytes of a file.
 * Layout: "VCCK", version 1, three zero octets, Argon2id operations and memory (KiB) as big-endian 32 bit, salt 16, nonce 12,
 * length of the ciphertext 32 bit, ciphertext, tag 16. The 48 octets before the ciphertext are authenticated.
 * Never: files; spending more memory or time than the limits, whatever a file claims. */
#include <pthread.h>
#include <string.h>

#include <openssl/err.h>
#include <sodium.h>

#include "shared/base/be.h"
#include "shared/base/err.h"
#include "shared/pki/key_evp.h"

enum {
	MAGIC_SIZE = 4,
	VERSION = 1,
	SALT_SIZE = KEYFILE_SALT_SIZE,
	NONCE_SIZE = 12,
	TAG_SIZE = 16,
	HEADER_SIZE = 48,
	SECRET_SIZE = KEYFILE_SECRET_SIZE,
	PLAIN_MAX = 3072, /* PKCS#8 of RSA-4096 has 2375 octets */
	PASSPHRASE_MAX = 1024,
	OPS_MAX = 16,
	MEMORY_KIB_MIN = 8,
	MEMORY_KIB_MAX = 1 << 20, /* 1 GiB */
};

static const uint8_t magic[MAGIC_SIZE] = {'V', 'C', 'C', 'K'};

struct header {
	struct keyfile_cost cost;
	uint8_t             salt[SALT_SIZE];
	uint8_t             nonce[NONCE_SIZE];
	uint32_t            length;
};

static void header_write(const struct header *h, uint8_t ret[HEADER_SIZE])
{
	memset(ret, 0, HEADER_SIZE);
	memcpy(ret, magic, MAGIC_SIZE);
	ret[4] = VERSION;
	be_put(ret + 8, h->cost.operations, 4);
	be_put(ret + 12, h->cost.memory_kib, 4);
	memcpy(ret + 16, h->salt, SALT_SIZE);
	memcpy(ret + 32, h->nonce, NONCE_SIZE);
	be_put(ret + 44, h->length, 4);
}

static bool cost_ok(struct keyfile_cost c)
{
	return c.operations >= 1 && c.operations <= OPS_MAX && c.memory_kib >= MEMORY_KIB_MIN && c.memory_kib <= MEMORY_KIB_MAX;
}

static int header_read(struct span file, struct header *ret)
{
	static const uint8_t version[4] = {VERSION, 0, 0, 0};
	struct header        h;
	if (file.n < HEADER_SIZE || memcmp(file.p, magic, MAGIC_SIZE) != 0 || memcmp(file.p + 4, version, sizeof(version)) != 0)
		return E_PKI_KEY;
	h.cost = (struct keyfile_cost){(uint32_t)be_get(file.p + 8, 4), (uint32_t)be_get(file.p + 12, 4)};
	memcpy(h.salt, file.p + 16, SALT_SIZE);
	memcpy(h.nonce, file.p + 32, NONCE_SIZE);
	h.length = (uint32_t)be_get(file.p + 44, 4);
	if (!cost_ok(h.cost) || h.length == 0 || h.length > PLAIN_MAX || file.n != HEADER_SIZE + h.length + TAG_SIZE)
		return E_PKI_KEY;
	*ret = h;
	return 0;
}

static pthread_once_t sodium_once = PTHREAD_ONCE_INIT;
static int            sodium_state;

static void sodium_start(void)
{
	sodium_state = sodium_init();
}

const struct keyfile_cost keyfile_cost_usual = {crypto_pwhash_OPSLIMIT_MODERATE, crypto_pwhash_MEMLIMIT_MODERATE / 1024};
const struct keyfile_cost keyfile_cost_random = {1, 8 << 10};

static int secret_derive(struct span passphrase, struct keyfile_cost cost, const uint8_t salt[SALT_SIZE], uint8_t ret[SECRET_SIZE])
{
	pthread_once(&sodium_once, sodium_start);
	if (sodium_state < 0)
		return E_PKI_CRYPTO;
	/* fails only for want of memory */
	if (crypto_pwhash(ret, SECRET_SIZE, (const char *)passphrase.p, passphrase.n, salt, cost.operations,
			  (size_t)cost.memory_kib * 1024, crypto_pwhash_ALG_ARGON2ID13) != 0)
		return E_NOMEM;
	return 0;
}

static inline void cipher_ctx_freep(EVP_CIPHER_CTX **p)
{
	EVP_CIPHER_CTX_free(*p); /* wipes the key schedule */
}

static int encrypt(const uint8_t secret[SECRET_SIZE], const uint8_t nonce[NONCE_SIZE], const uint8_t header[HEADER_SIZE],
		   struct span plain, uint8_t *ret_cipher, uint8_t ret_tag[TAG_SIZE])
{
	_cleanup_(cipher_ctx_freep) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int                                         n;
	if (ctx == NULL)
		return E_NOMEM;
	if (EVP_EncryptInit_ex2(ctx, EVP_aes_256_gcm(), secret, nonce, NULL) <= 0 ||
	    EVP_EncryptUpdate(ctx, NULL, &n, header, HEADER_SIZE) <= 0 ||
	    EVP_EncryptUpdate(ctx, ret_cipher, &n, plain.p, (int)plain.n) <= 0 ||
	    EVP_EncryptFinal_ex(ctx, ret_cipher + n, &n) <= 0 ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG_SIZE, ret_tag) <= 0)
		return E_PKI_CRYPTO;
	return 0;
}

static int decrypt(const uint8_t secret[SECRET_SIZE], const struct header *h, struct span file, uint8_t *ret_plain)
{
	uint8_t                                     tag[TAG_SIZE];
	_cleanup_(cipher_ctx_freep) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int                                         n;
	if (ctx == NULL)
		return E_NOMEM;
	memcpy(tag, file.p + HEADER_SIZE + h->length, TAG_SIZE);
	if (EVP_DecryptInit_ex2(ctx, EVP_aes_256_gcm(), secret, h->nonce, NULL) <= 0 ||
	    EVP_DecryptUpdate(ctx, NULL, &n, file.p, HEADER_SIZE) <= 0 ||
	    EVP_DecryptUpdate(ctx, ret_plain, &n, file.p + HEADER_SIZE, (int)h->length) <= 0 ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG_SIZE, tag) <= 0)
		return E_PKI_CRYPTO;
	if (EVP_DecryptFinal_ex(ctx, ret_plain + n, &n) <= 0) {
		ERR_clear_error();
		return E_PKI_PASSPHRASE;
	}
	return 0;
}

/* `h` comes with cost and salt; the nonce is new with each file, so that files may share the rest. */
static int seal(const struct key *k, struct header *h, const uint8_t secret[SECRET_SIZE], struct buf *to)
{
	_cleanup_(buf_wipe) struct buf plain = BUF_MAX(PLAIN_MAX);
	int                            r = key_to_der(k, &plain);
	if (r < 0)
		return r;

	uint8_t header[HEADER_SIZE];
	uint8_t cipher[PLAIN_MAX];
	uint8_t tag[TAG_SIZE];
	h->length = (uint32_t)plain.n;
	random_bytes(h->nonce, sizeof(h->nonce));
	header_write(h, header);
	r = encrypt(secret, h->nonce, header, buf_span(&plain), cipher, tag);
	if (r < 0)
		return r;
	buf_add(to, header, sizeof(header));
	buf_add(to, cipher, plain.n);
	buf_add(to, tag, sizeof(tag));
	return buf_error(to);
}

int keyfile_lock_make(struct span passphrase, struct keyfile_cost cost, struct keyfile_lock *ret)
{
	if (passphrase.n == 0 || passphrase.n > PASSPHRASE_MAX || !cost_ok(cost))
		return E_RANGE;
	struct keyfile_lock lock = {.cost = cost};
	random_bytes(lock.salt, sizeof(lock.salt));
	int r = secret_derive(passphrase, cost, lock.salt, lock.secret);
	if (r == 0)
		*ret = lock;
	secret_wipe(&lock, sizeof(lock));
	return r;
}

int keyfile_seal_under(const struct key *k, const struct keyfile_lock *lock, struct buf *to)
{
	struct header h = {.cost = lock->cost};
	if (lock->cost.operations == 0)
		return E_PKI_PASSPHRASE;
	memcpy(h.salt, lock->salt, sizeof(h.salt));
	return seal(k, &h, lock->secret, to);
}

static bool same_lock(const struct keyfile_lock *lock, const struct header *h)
{
	return lock->cost.operations == h->cost.operations && lock->cost.memory_kib == h->cost.memory_kib &&
	       memcmp(lock->salt, h->salt, sizeof(h->salt)) == 0;
}

bool keyfile_lock_fits(const struct keyfile_lock *lock, struct span file)
{
	struct header h;
	return header_read(file, &h) == 0 && same_lock(lock, &h);
}

int keyfile_open_keep(struct span file, struct span passphrase, struct keyfile_lock *lock, struct key **ret)
{
	struct header       h;
	struct keyfile_lock its = {.cost = {0, 0}};
	uint8_t             plain[PLAIN_MAX];
	int                 r = passphrase.n > 0 && passphrase.n <= PASSPHRASE_MAX ? header_read(file, &h) : E_PKI_PASSPHRASE;
	if (r == 0 && same_lock(lock, &h)) {
		its = *lock;
	} else if (r == 0) {
		its.cost = h.cost;
		memcpy(its.salt, h.salt, sizeof(its.salt));
		r = secret_derive(passphrase, h.cost, h.salt, its.secret);
	}
	if (r == 0)
		r = decrypt(its.secret, &h, file, plain);
	if (r == 0)
		r = key_from_der((struct span){plain, h.length}, ret);
	if (r == 0)
		*lock = its;
	secret_wipe(&its, sizeof(its));
	secret_wipe(plain, sizeof(plain));
	return r;
}

int keyfile_open(struct span file, struct span passphrase, struct key **ret)
{
	struct keyfile_lock lock = {.cost = {0, 0}};
	int                 r = keyfile_open_keep(file, passphrase, &lock, ret);
	secret_wipe(&lock, sizeof(lock));
	return r;
}

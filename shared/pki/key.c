/* key.c - room shared/pki: makes, reads and writes keys.
 * Never: files, sockets, clocks; a private key outside its own buffers. */
#include "shared/pki/key.h"

#include <stdlib.h>
#include <string.h>
#include <pthread.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "shared/base/err.h"
#include "shared/pki/key_evp.h"
#include "shared/pki/sig_alg.h"
#include "shared/pki/spki.h"

/* PKCS#8 of RSA-4096 has 2375 octets; an 8192-bit key does not fit and is refused before it is parsed. */
enum { PRIVATE_DER_MAX = 3072, PRIVATE_PEM_MAX = 6144 };

static struct {
	pthread_once_t once;
	EVP_PKEY      *curve[2]; /* parameters of P-256 and P-384 without a key: templates for key_evp_point() */
} templates = {.once = PTHREAD_ONCE_INIT};

static EVP_PKEY *template_make(const char *group)
{
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)(uintptr_t)group, 0),
		OSSL_PARAM_construct_end(),
	};
	_cleanup_(evp_pkey_ctx_freep) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	EVP_PKEY                                   *evp = NULL;
	if (ctx == NULL || EVP_PKEY_fromdata_init(ctx) <= 0 ||
	    EVP_PKEY_fromdata(ctx, &evp, EVP_PKEY_KEY_PARAMETERS, params) <= 0)
		abort(); /* a library without NIST curves cannot run this program */
	return evp;
}

static void templates_make(void)
{
	templates.curve[0] = template_make("P-256");
	templates.curve[1] = template_make("P-384");
}

int key_evp_point(enum key_type type, struct span point, EVP_PKEY **ret)
{
	pthread_once(&templates.once, templates_make);
	_cleanup_(evp_pkey_freep) EVP_PKEY *evp = EVP_PKEY_dup(templates.curve[type == KEY_EC_P256 ? 0 : 1]);
	if (evp == NULL)
		return E_NOMEM;
	if (EVP_PKEY_set1_encoded_public_key(evp, point.p, point.n) <= 0) { /* checks that it is on the curve */
		ERR_clear_error();
		return E_PKI_KEY;
	}
	*ret = evp;
	evp = NULL;
	return 0;
}

void key_free(struct key *k)
{
	if (k == NULL)
		return;
	EVP_PKEY_free(k->evp); /* wipes private parts */
	free(k);
}

void key_freep(struct key **k)
{
	key_free(*k);
}

enum key_type key_type(const struct key *k)
{
	return k->type;
}

/* Takes ownership of `evp`. `spki` is checked by the caller's spki_read(). */
static int key_wrap(EVP_PKEY *evp, enum key_type type, struct span spki, struct key **ret)
{
	struct key *k = spki.n <= SPKI_MAX ? calloc(1, sizeof(*k)) : NULL;
	if (k == NULL) {
		EVP_PKEY_free(evp);
		return E_NOMEM;
	}
	k->evp = evp;
	k->type = type;
	k->spki_len = (uint16_t)spki.n;
	memcpy(k->spki, spki.p, spki.n);
	*ret = k;
	return 0;
}

int key_evp_adopt(EVP_PKEY *evp, struct key **ret)
{
	/* keys in private files may carry another point form; ours is fixed */
	if (EVP_PKEY_is_a(evp, "EC"))
		(void)EVP_PKEY_set_utf8_string_param(evp, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, "uncompressed");
	uint8_t          *der = NULL;
	int               n = EVP_PKEY_get_bits(evp) <= 4096 ? i2d_PUBKEY(evp, &der) : 0;
	struct spki_parts parts;
	if (n <= 0 || n > SPKI_MAX || spki_read((struct span){der, (size_t)n}, &parts) < 0) {
		OPENSSL_free(der);
		EVP_PKEY_free(evp);
		ERR_clear_error();
		return E_PKI_KEY;
	}
	int r = key_wrap(evp, parts.type, (struct span){der, (size_t)n}, ret);
	OPENSSL_free(der);
	return r;
}

static EVP_PKEY *evp_make(enum key_type type)
{
	switch (type) {
	case KEY_EC_P256:
		return EVP_EC_gen("P-256");
	case KEY_EC_P384:
		return EVP_EC_gen("P-384");
	case KEY_RSA_2048:
		return EVP_RSA_gen(2048); /* exponent 65537 */
	case KEY_RSA_3072:
		return EVP_RSA_gen(3072);
	case KEY_RSA_4096:
		return EVP_RSA_gen(4096);
	case KEY_ED25519:
		return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	case KEY_TYPE_COUNT:
		break;
	}
	return NULL;
}

int key_make(enum key_type type, struct key **ret)
{
	EVP_PKEY *evp = evp_make(type);
	if (evp == NULL) {
		ERR_clear_error();
		return type < KEY_TYPE_COUNT ? E_PKI_CRYPTO : E_PKI_KEY;
	}
	return key_evp_adopt(evp, ret);
}

int key_from_device(enum key_type type, struct span point, struct key_device device, struct key **ret)
{
	EVP_PKEY   *evp = NULL;
	struct key *k = NULL;
	int         r = sig_alg_is_ec(type) ? key_evp_point(type, point, &evp) : E_PKI_KEY;
	if (r == 0)
		r = key_evp_adopt(evp, &k);
	if (r < 0)
		return r;
	k->device = device;
	*ret = k;
	return 0;
}

static int bio_take(BIO *bio, struct buf *to)
{
	char *bytes;
	long  n = BIO_get_mem_data(bio, &bytes);
	if (n <= 0)
		return E_PKI_CRYPTO;
	buf_add(to, bytes, (size_t)n);
	return buf_error(to);
}

int key_to_pem(const struct key *k, struct buf *to)
{
	_cleanup_(bio_freep) BIO *bio = BIO_new(BIO_s_mem()); /* wiped when freed or grown */
	if (bio == NULL)
		return E_NOMEM;
	if (PEM_write_bio_PKCS8PrivateKey(bio, k->evp, NULL, NULL, 0, NULL, NULL) <= 0) {
		ERR_clear_error();
		return E_PKI_KEY; /* only a public half */
	}
	return bio_take(bio, to);
}

int key_to_der(const struct key *k, struct buf *to)
{
	_cleanup_(bio_freep) BIO *bio = BIO_new(BIO_s_mem());
	if (bio == NULL)
		return E_NOMEM;
	if (i2d_PKCS8PrivateKey_bio(bio, k->evp, NULL, NULL, 0, NULL, NULL) <= 0) {
		ERR_clear_error();
		return E_PKI_KEY;
	}
	return bio_take(bio, to);
}

/* A private half that does not fit its public half would sign rubbish. RSA is left out: its check takes 0.1-1 s, and
 * a wrong one shows at the first signature, which the library checks itself. */
static int private_adopt(EVP_PKEY *evp, struct key **ret)
{
	if (EVP_PKEY_is_a(evp, "EC")) {
		_cleanup_(evp_pkey_ctx_freep) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, evp, NULL);
		if (ctx == NULL || EVP_PKEY_pairwise_check(ctx) <= 0) {
			EVP_PKEY_free(evp);
			ERR_clear_error();
			return E_PKI_KEY;
		}
	}
	return key_evp_adopt(evp, ret);
}

static int no_passphrase(char *text, int size, int writing, void *ctx)
{
	(void)text, (void)size, (void)writing, (void)ctx;
	return -1; /* without this the library would ask on the terminal */
}

int key_from_pem(struct span pem, struct key **ret)
{
	if (pem.n == 0 || pem.n > PRIVATE_PEM_MAX)
		return E_PKI_KEY;
	_cleanup_(bio_freep) BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	if (bio == NULL)
		return E_NOMEM;
	EVP_PKEY *evp = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	if (evp == NULL) {
		ERR_clear_error();
		return E_PKI_KEY;
	}
	return private_adopt(evp, ret);
}

int key_from_der(struct span der, struct key **ret)
{
	if (der.n == 0 || der.n > PRIVATE_DER_MAX)
		return E_PKI_KEY;
	const uint8_t       *p = der.p;
	PKCS8_PRIV_KEY_INFO *p8 = d2i_PKCS8_PRIV_KEY_INFO(NULL, &p, (long)der.n);
	EVP_PKEY            *evp = p8 != NULL && p == der.p + der.n ? EVP_PKCS82PKEY(p8) : NULL;
	PKCS8_PRIV_KEY_INFO_free(p8);
	if (evp == NULL) {
		ERR_clear_error();
		return E_PKI_KEY;
	}
	return private_adopt(evp, ret);
}

int key_spki(const struct key *k, struct buf *to)
{
	buf_add(to, k->spki, k->spki_len);
	return buf_error(to);
}

int key_spki_type(struct span spki, enum key_type *ret)
{
	struct spki_parts parts;
	int               r = spki_read(spki, &parts);
	if (r == 0)
		*ret = parts.type;
	return r;
}

int key_from_spki(struct span spki, struct key **ret)
{
	struct spki_parts parts;
	int               r = spki.n <= SPKI_MAX ? spki_read(spki, &parts) : E_PKI_KEY;
	if (r < 0)
		return r;

	EVP_PKEY *evp = NULL;
	if (sig_alg_is_ec(parts.type)) {
		r = key_evp_point(parts.type, parts.bits, &evp);
		if (r < 0)
			return r;
	} else if (parts.type == KEY_ED25519) {
		evp = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, parts.bits.p, parts.bits.n);
	} else {
		const uint8_t *p = spki.p;
		evp = d2i_PUBKEY(NULL, &p, (long)spki.n);
	}
	if (evp == NULL) {
		ERR_clear_error();
		return E_PKI_KEY;
	}
	return key_wrap(evp, parts.type, spki, ret);
}

bool key_same(const struct key *a, const struct key *b)
{
	return span_equal((struct span){a->spki, a->spki_len}, (struct span){b->spki, b->spki_len});
}

int key_from_seed(const uint8_t seed[32], struct key **ret, uint8_t ret_public[32])
{
	EVP_PKEY *evp = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, 32);
	if (evp == NULL) {
		ERR_clear_error();
		return E_PKI_CRYPTO;
	}
	struct key *k = NULL;
	int         r = key_evp_adopt(evp, &k);
	if (r < 0)
		return r;
	memcpy(ret_public, k->spki + k->spki_len - 32, 32);
	*ret = k;
	return 0;
}

int key_from_ed25519(const uint8_t public_key[32], struct key **ret)
{
	EVP_PKEY *evp = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key, 32);
	if (evp == NULL) {
		ERR_clear_error();
		return E_PKI_KEY;
	}
	return key_evp_adopt(evp, ret);
}

/* fuzz_csr.c - does csr_check() ever accept what the X.509 library would not, or read outside its bytes?
 * Input: the first octet chooses: the rest as it is; or a subject, attributes or key, inside a request that is signed. */
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509.h>

#include "shared/base/err.h"
#include "shared/pki/cert.h"
#include "shared/pki/der.h"
#include "shared/pki/key_evp.h"
#include "shared/pki/sig_alg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct key *key_of(enum key_type type)
{
	static struct key *keys[KEY_TYPE_COUNT];
	if (keys[type] == NULL && key_make(type, &keys[type]) < 0)
		abort();
	return keys[type];
}

/* Accepted requests must verify in the library too, with the same key. */
static void compare(struct span csr)
{
	struct span    spki = {NULL, 0};
	enum key_type  type;
	int            r = csr_check(csr, &spki, &type);
	const uint8_t *p = csr.p;
	if (r < 0) {
		if (spki.p != NULL)
			abort();
		return;
	}
	X509_REQ *req = d2i_X509_REQ(NULL, &p, (long)csr.n);
	if (req == NULL) { /* text inside the subject that it cannot decode; we never look at it */
		ERR_clear_error();
		return;
	}
	uint8_t *der = NULL;
	int      n = i2d_X509_PUBKEY(X509_REQ_get_X509_PUBKEY(req), &der);
	if (p != csr.p + csr.n || X509_REQ_verify(req, X509_REQ_get0_pubkey(req)) != 1 || n < 0 ||
	    !span_equal(spki, (struct span){der, (size_t)n}))
		abort();
	OPENSSL_free(der);
	X509_REQ_free(req);
}

static void put_or_default(struct buf *to, bool fuzzed, struct span data, struct span usual)
{
	der_put_span(to, fuzzed ? data : usual);
}

static void signed_request(uint8_t choice, struct span data)
{
	static const uint8_t       empty_name[] = {DER_SEQUENCE, 0}, no_attributes[] = {DER_CONTEXT_CONS | 0, 0};
	static const enum key_type types[] = {KEY_EC_P256, KEY_ED25519};
	struct key                *k = key_of(types[choice / 8 % 2]);
	struct buf                 info = BUF_MAX(8192), signature = BUF_MAX(1024), csr = BUF_MAX(16384);
	enum hash_alg              alg = (enum hash_alg)(choice / 16 % HASH_ALG_COUNT);
	size_t                     mark = der_open(&info, DER_SEQUENCE);
	der_put_u64(&info, 0);
	put_or_default(&info, choice % 4 == 1, data, SPAN_OF(empty_name));
	put_or_default(&info, choice % 4 == 2, data, (struct span){k->spki, k->spki_len});
	put_or_default(&info, choice % 4 == 3, data, SPAN_OF(no_attributes));
	der_close(&info, mark);
	if (buf_error(&info) == 0 && key_evp_sign(k, alg, buf_span(&info), &signature) == 0) {
		mark = der_open(&csr, DER_SEQUENCE);
		der_put_span(&csr, buf_span(&info));
		der_put_span(&csr, sig_alg_der(k->type, alg));
		der_put_bits(&csr, signature.p, signature.n);
		der_close(&csr, mark);
		compare(buf_span(&csr));
	}
	buf_free(&info);
	buf_free(&signature);
	buf_free(&csr);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	struct span rest = {data + 1, size - 1};
	if (data[0] % 4 == 0)
		compare(rest);
	else
		signed_request(data[0], rest);
	return 0;
}

/* ocsp_request.c - room shared/pki: an OCSP request by the DER cursor, and which issuer it names.
 * Never: the OCSP code of the crypto library on bytes that anybody may send. */
#include <string.h>

#include <openssl/err.h>

#include "shared/pki/cert_parts.h"
#include "shared/pki/ext.h"
#include "shared/pki/key_evp.h"
#include "shared/pki/ocsp.h"
#include "shared/pki/spki.h"

enum { SERIAL_OCTETS_MAX = 20 };

/* AlgorithmIdentifiers by the object identifier; parameters are NULL or absent (RFC 5754, 2). */
static const struct hash_row {
	uint8_t     n_oid, n_digest;
	uint8_t     oid[9];
	const char *name;
} hashes[OCSP_HASH_COUNT] = {
	[OCSP_SHA1] = {5, 20, {0x2b, 0x0e, 0x03, 0x02, 0x1a}, "SHA1"},
	[OCSP_SHA256] = {9, 32, {0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01}, "SHA256"},
	[OCSP_SHA384] = {9, 48, {0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02}, "SHA384"},
	[OCSP_SHA512] = {9, 64, {0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03}, "SHA512"},
};

static int digest(enum ocsp_hash hash, struct span bytes, uint8_t ret[OCSP_DIGEST_MAX])
{
	size_t n = 0;
	if (EVP_Q_digest(NULL, hashes[hash].name, NULL, bytes.p, bytes.n, ret, &n) == 1)
		return 0;
	ERR_clear_error();
	return E_PKI_CRYPTO;
}

int ocsp_issuer_read(struct span certificate, struct ocsp_issuer *ret)
{
	struct cert_parts  cert;
	struct spki_parts  key;
	struct ocsp_issuer issuer;
	memset(&issuer, 0, sizeof(issuer));
	int r = cert_parts_read(certificate, &cert);
	if (r == 0)
		r = spki_read(cert.t.spki, &key);
	for (int i = 0; r == 0 && i < OCSP_HASH_COUNT; i++) {
		r = digest((enum ocsp_hash)i, cert.t.subject, issuer.by[i].name);
		if (r == 0)
			r = digest((enum ocsp_hash)i, key.bits, issuer.by[i].key);
	}
	if (r == 0)
		*ret = issuer;
	return r;
}

bool ocsp_is_of(const struct ocsp_one *one, const struct ocsp_issuer *issuer)
{
	size_t n = hashes[one->hash].n_digest;
	return memcmp(one->name_hash.p, issuer->by[one->hash].name, n) == 0 &&
	       memcmp(one->key_hash.p, issuer->by[one->hash].key, n) == 0;
}

/* OCSP_HASH_COUNT = one that we do not know. */
static enum ocsp_hash hash_read(struct der *d)
{
	struct der  alg = der_in(d, DER_SEQUENCE);
	struct span oid = der_get(&alg, DER_OID);
	if (der_more(&alg)) {
		struct span parameters = der_get(&alg, DER_NULL);
		if (parameters.n != 0)
			alg.bad = true;
	}
	if (!der_done(&alg))
		d->bad = true;
	for (int i = 0; i < OCSP_HASH_COUNT; i++)
		if (span_equal(oid, (struct span){hashes[i].oid, hashes[i].n_oid}))
			return (enum ocsp_hash)i;
	return OCSP_HASH_COUNT;
}

static int cert_id_read(struct der *d, struct ocsp_one *ret)
{
	struct ocsp_one one = {.whole = der_whole(d, DER_SEQUENCE)};
	struct der      outer = der_of(one.whole);
	struct der      id = der_in(&outer, DER_SEQUENCE);
	one.hash = hash_read(&id);
	one.name_hash = der_get(&id, DER_OCTET_STRING);
	one.key_hash = der_get(&id, DER_OCTET_STRING);
	struct span serial = der_unsigned(&id);
	if (!der_done(&id) || !der_done(&outer) || one.whole.n > OCSP_CERT_ID_MAX || serial.n > SERIAL_OCTETS_MAX)
		return E_OCSP_REQUEST;
	if (one.hash == OCSP_HASH_COUNT)
		return E_NOT_FOUND;
	if (one.name_hash.n != hashes[one.hash].n_digest || one.key_hash.n != hashes[one.hash].n_digest)
		return E_OCSP_REQUEST;
	if (serial.n <= sizeof(one.serial.b))
		memcpy(one.serial.b + sizeof(one.serial.b) - serial.n, serial.p, serial.n);
	*ret = one;
	return 0;
}

/* [n] EXPLICIT Extensions; `ret_nonce` NULL: those of one certificate, where a nonce means nothing. */
static void extensions_read(struct der *d, uint8_t tag, struct span *ret_nonce)
{
	struct der tagged = der_in(d, tag);
	struct der list = der_in(&tagged, DER_SEQUENCE);
	struct ext ext;
	if (list.n == 0)
		d->bad = true;
	while (ext_next(&list, &ext)) {
		if (ext.id == EXT_OCSP_NONCE && ret_nonce != NULL && ret_nonce->n == 0) {
			struct der value = der_of(ext.value);
			*ret_nonce = der_get(&value, DER_OCTET_STRING);
			if (!der_done(&value) || ret_nonce->n == 0 || ret_nonce->n > OCSP_NONCE_MAX)
				d->bad = true;
		} else if (ext.critical || ext.id == EXT_OCSP_NONCE) {
			d->bad = true;
		}
	}
	if (!der_done(&list) || !der_done(&tagged))
		d->bad = true;
}

static int list_read(struct der *d, struct ocsp_request *to)
{
	struct der list = der_in(d, DER_SEQUENCE);
	int        unknown = 0;
	if (list.n == 0)
		return E_OCSP_REQUEST;
	while (der_more(&list)) {
		struct der one = der_in(&list, DER_SEQUENCE);
		if (to->n == OCSP_LIST_MAX)
			return E_OCSP_REQUEST;
		int r = cert_id_read(&one, &to->one[to->n]);
		if (r == E_NOT_FOUND)
			unknown = r;
		else if (r < 0)
			return r;
		to->n++;
		if (der_more(&one))
			extensions_read(&one, DER_CONTEXT_CONS | 0, NULL);
		if (!der_done(&one))
			return E_OCSP_REQUEST;
	}
	return der_done(&list) ? unknown : E_OCSP_REQUEST;
}

static void version_read(struct der *d)
{
	if (der_tag(d) != (DER_CONTEXT_CONS | 0))
		return;
	struct der version = der_in(d, DER_CONTEXT_CONS | 0);
	if (der_u64(&version) != 0 || !der_done(&version))
		d->bad = true;
}

int ocsp_request_read(struct span der, struct ocsp_request *ret)
{
	struct ocsp_request request;
	memset(&request, 0, sizeof(request));
	if (der.n > OCSP_REQUEST_MAX)
		return E_OCSP_REQUEST;
	struct der outer = der_of(der);
	struct der whole = der_in(&outer, DER_SEQUENCE);
	struct der tbs = der_in(&whole, DER_SEQUENCE);
	version_read(&tbs);
	request.extras = der_skip(&tbs, DER_CONTEXT_CONS | 1); /* the requestor's name */
	int r = list_read(&tbs, &request);
	if (r < 0 && r != E_NOT_FOUND)
		return r;
	if (der_more(&tbs))
		extensions_read(&tbs, DER_CONTEXT_CONS | 2, &request.nonce);
	request.extras |= der_skip(&whole, DER_CONTEXT_CONS | 0); /* its signature */
	if (!der_done(&tbs) || !der_done(&whole) || !der_done(&outer))
		return E_OCSP_REQUEST;
	if (r == 0)
		*ret = request;
	return r;
}

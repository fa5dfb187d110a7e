/* ocsp_answer.c - room shared/pki: OCSP answers, written straight as DER and signed by a delegated responder (RFC 6960, 4.2).
 * Never: deciding a status. */
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

#include "shared/base/times.h"
#include "shared/pki/cert_parts.h"
#include "shared/pki/ext.h"
#include "shared/pki/key_evp.h"
#include "shared/pki/ocsp.h"
#include "shared/pki/sig_alg.h"
#include "shared/pki/spki.h"
#include "shared/pki/tbs_part.h"

enum { KEY_HASH_SIZE = 20, TBS_MAX = 8192 };

struct ocsp_responder {
	struct key *key;
	uint8_t     key_hash[KEY_HASH_SIZE]; /* SHA-1 of the public key: how it is named in answers */
	size_t      n;
	uint8_t     certificate[CERT_DER_MAX];
};

void ocsp_responder_free(struct ocsp_responder *r)
{
	if (r == NULL)
		return;
	key_free(r->key);
	free(r);
}

static int key_hash(struct span certificate, uint8_t ret[KEY_HASH_SIZE])
{
	struct cert_parts cert;
	struct spki_parts spki;
	size_t            n = 0;
	int               r = cert_parts_read(certificate, &cert);
	if (r == 0)
		r = spki_read(cert.t.spki, &spki);
	if (r == 0 && EVP_Q_digest(NULL, "SHA1", NULL, spki.bits.p, spki.bits.n, ret, &n) != 1) {
		ERR_clear_error();
		r = E_PKI_CRYPTO;
	}
	return r;
}

int ocsp_responder_make(struct key *key, struct span certificate, struct ocsp_responder **ret)
{
	struct ocsp_responder *o = calloc(1, sizeof(*o));
	if (o == NULL) {
		key_free(key);
		return E_NOMEM;
	}
	o->key = key;
	o->n = certificate.n;
	int r = certificate.n <= sizeof(o->certificate) ? cert_fits_key(certificate, key) : E_PKI_CERT;
	if (r == 0)
		r = key_hash(certificate, o->key_hash);
	if (r < 0) {
		ocsp_responder_free(o);
		return r;
	}
	memcpy(o->certificate, certificate.p, certificate.n);
	*ret = o;
	return 0;
}

/* ---- ResponseData ------------------------------------------------------------------------------------------------ */

static void reason_put(struct buf *to, int reason)
{
	uint8_t octet = (uint8_t)reason;
	if (reason == REASON_UNSPECIFIED)
		return;
	size_t tag = der_open(to, DER_CONTEXT_CONS | 0);
	der_put(to, DER_ENUMERATED, &octet, 1);
	der_close(to, tag);
}

static void status_put(struct buf *to, const struct ocsp_status *s, int64_t this_update_at, int64_t next_update_at)
{
	size_t one = der_open(to, DER_SEQUENCE);
	der_put_span(to, s->cert_id);
	if (s->state == OCSP_REVOKED) {
		size_t info = der_open(to, DER_CONTEXT_CONS | 1);
		der_put_general_time(to, s->revoked_at);
		reason_put(to, s->reason);
		der_close(to, info);
	} else {
		der_put(to, s->state == OCSP_GOOD ? DER_CONTEXT | 0 : DER_CONTEXT | 2, NULL, 0);
	}
	der_put_general_time(to, this_update_at);
	size_t next = der_open(to, DER_CONTEXT_CONS | 0);
	der_put_general_time(to, next_update_at);
	der_close(to, next);
	der_close(to, one);
}

static void nonce_put(struct buf *to, struct span nonce)
{
	if (nonce.n == 0)
		return;
	size_t          tag = der_open(to, DER_CONTEXT_CONS | 1);
	size_t          list = der_open(to, DER_SEQUENCE);
	struct ext_mark ext = ext_open(to, EXT_OCSP_NONCE, false);
	der_put(to, DER_OCTET_STRING, nonce.p, nonce.n);
	ext_close(to, ext);
	der_close(to, list);
	der_close(to, tag);
}

static bool statuses_ok(const struct ocsp_status *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (list[i].state == OCSP_REVOKED &&
		    (!tbs_time_ok(list[i].revoked_at) || revoke_reason_name(list[i].reason) == NULL))
			return false;
	return n > 0;
}

static void data_put(struct buf *to, const struct ocsp_responder *r, const struct ocsp_status *list, size_t n,
		     int64_t this_update_at, int64_t next_update_at, struct span nonce)
{
	size_t data = der_open(to, DER_SEQUENCE);
	size_t by_key = der_open(to, DER_CONTEXT_CONS | 2);
	der_put(to, DER_OCTET_STRING, r->key_hash, sizeof(r->key_hash));
	der_close(to, by_key);
	der_put_general_time(to, this_update_at);
	size_t all = der_open(to, DER_SEQUENCE);
	for (size_t i = 0; i < n; i++)
		status_put(to, &list[i], this_update_at, next_update_at);
	der_close(to, all);
	nonce_put(to, nonce);
	der_close(to, data);
}

/* ---- the answer -------------------------------------------------------------------------------------------------- */

static void basic_put(struct buf *to, const struct ocsp_responder *r, struct span data, struct span signature)
{
	size_t basic = der_open(to, DER_SEQUENCE);
	der_put_span(to, data);
	der_put_span(to, sig_alg_der(key_type(r->key), HASH_SHA256));
	der_put_bits(to, signature.p, signature.n);
	size_t tag = der_open(to, DER_CONTEXT_CONS | 0);
	size_t certs = der_open(to, DER_SEQUENCE);
	der_put_span(to, (struct span){r->certificate, r->n});
	der_close(to, certs);
	der_close(to, tag);
	der_close(to, basic);
}

static void response_put(struct buf *to, const struct ocsp_responder *r, struct span data, struct span signature)
{
	static const uint8_t successful[] = {DER_ENUMERATED, 1, 0};
	static const uint8_t basic_oid[] = {0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x01};
	size_t               response = der_open(to, DER_SEQUENCE);
	buf_add(to, successful, sizeof(successful));
	size_t tag = der_open(to, DER_CONTEXT_CONS | 0);
	size_t bytes = der_open(to, DER_SEQUENCE);
	der_put(to, DER_OID, basic_oid, sizeof(basic_oid));
	size_t octets = der_open(to, DER_OCTET_STRING);
	basic_put(to, r, data, signature);
	der_close(to, octets);
	der_close(to, bytes);
	der_close(to, tag);
	der_close(to, response);
}

int ocsp_answer(const struct ocsp_responder *r, const struct ocsp_status *list, size_t n, int64_t this_update_at,
		int64_t next_update_at, struct span nonce, struct buf *to)
{
	if (!statuses_ok(list, n) || !tbs_time_ok(this_update_at) || !tbs_time_ok(next_update_at) ||
	    next_update_at <= this_update_at || nonce.n > OCSP_NONCE_MAX)
		return E_PKI_LINT;
	_cleanup_(buf_free) struct buf data = BUF_MAX(TBS_MAX);
	_cleanup_(buf_free) struct buf signature = BUF_MAX(512);
	size_t                         start = to->n;
	data_put(&data, r, list, n, this_update_at, next_update_at, nonce);
	int code = buf_error(&data);
	if (code == 0)
		code = key_evp_sign(r->key, HASH_SHA256, buf_span(&data), &signature);
	if (code < 0)
		return code;
	response_put(to, r, buf_span(&data), buf_span(&signature));
	if (buf_error(to) != 0)
		to->n = start;
	return buf_error(to);
}

struct span ocsp_error(enum ocsp_error e)
{
	static const uint8_t errors[][5] = {
		[OCSP_MALFORMED] = {DER_SEQUENCE, 3, DER_ENUMERATED, 1, OCSP_MALFORMED},
		[OCSP_INTERNAL] = {DER_SEQUENCE, 3, DER_ENUMERATED, 1, OCSP_INTERNAL},
		[OCSP_TRY_LATER] = {DER_SEQUENCE, 3, DER_ENUMERATED, 1, OCSP_TRY_LATER},
		[OCSP_UNAUTHORIZED] = {DER_SEQUENCE, 3, DER_ENUMERATED, 1, OCSP_UNAUTHORIZED},
	};
	return (struct span){errors[e], sizeof(errors[e])};
}

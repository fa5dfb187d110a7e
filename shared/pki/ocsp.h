/* ocsp.h - room shared/pki: OCSP (RFC 6960, nonce of RFC 9654): reads requests, builds and signs answers.
 * Requests come from anybody, so they are read by the DER cursor alone and point into the bytes that came. Never: deciding a
 * status, clocks. */
#ifndef VCC_OCSP_H
#define VCC_OCSP_H

#include "shared/pki/issue.h"

enum {
	OCSP_REQUEST_MAX = 4096,
	OCSP_LIST_MAX = 8,      /* certificates asked for in one request */
	OCSP_CERT_ID_MAX = 256, /* one CertID, DER */
	OCSP_NONCE_MAX = 128,   /* RFC 9654, 2.1 */
	OCSP_RESPONSE_MAX = 16384,
};

/* How an issuer is named in requests. */
enum ocsp_hash { OCSP_SHA1, OCSP_SHA256, OCSP_SHA384, OCSP_SHA512, OCSP_HASH_COUNT };
enum { OCSP_DIGEST_MAX = 64 };
struct ocsp_issuer {
	struct {
		uint8_t name[OCSP_DIGEST_MAX], key[OCSP_DIGEST_MAX];
	} by[OCSP_HASH_COUNT];
};
/* From the issuer's certificate. E_PKI_CERT, E_PKI_CRYPTO. */
_must_check_ int ocsp_issuer_read(struct span certificate, struct ocsp_issuer *ret);

struct ocsp_one {
	struct span    whole; /* the CertID as it came: it is repeated in the answer */
	enum ocsp_hash hash;
	struct span    name_hash, key_hash;
	struct serial  serial; /* none when it is longer than ours: then it is of nobody */
};
struct ocsp_request {
	size_t          n;
	struct ocsp_one one[OCSP_LIST_MAX];
	struct span     nonce;  /* empty = none */
	bool            extras; /* the requestor's name or signature, which were passed over */
};
/* Strict: DER, version 1, 1 to OCSP_LIST_MAX certificates, a nonce of 1 to 128 octets, nothing critical that we do not know. A
 * signature of the requestor is passed over (RFC 6960, 4.1.2: it may be). E_OCSP_REQUEST; an unknown hash is E_NOT_FOUND: no
 * issuer of ours. */
_must_check_ int ocsp_request_read(struct span der, struct ocsp_request *ret);
bool             ocsp_is_of(const struct ocsp_one *one, const struct ocsp_issuer *issuer);

enum ocsp_state { OCSP_GOOD, OCSP_REVOKED, OCSP_UNKNOWN };
struct ocsp_status {
	struct span     cert_id; /* whole, of the request */
	enum ocsp_state state;
	int64_t         revoked_at; /* OCSP_REVOKED; whole seconds */
	int             reason;
};

/* A delegated responder's certificate with its key; immutable, so that many threads may sign with it. */
struct ocsp_responder;
/* Keeps a copy of the certificate and takes over the key, in every case. E_PKI_MISMATCH, E_PKI_CERT. */
_must_check_ int ocsp_responder_make(struct key *key, struct span certificate, struct ocsp_responder **ret);
void             ocsp_responder_free(struct ocsp_responder *r);

/* A successful answer: producedAt = thisUpdate; whole seconds. */
_must_check_ int ocsp_answer(const struct ocsp_responder *r, const struct ocsp_status *list, size_t n, int64_t this_update_at,
			     int64_t next_update_at, struct span nonce, struct buf *to);

/* What needs no signature (RFC 6960, 4.2.1). */
enum ocsp_error { OCSP_MALFORMED = 1, OCSP_INTERNAL = 2, OCSP_TRY_LATER = 3, OCSP_UNAUTHORIZED = 6 };
struct span ocsp_error(enum ocsp_error e);

#endif

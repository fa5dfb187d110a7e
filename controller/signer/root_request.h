/* root_request.h - room controller/signer: what is carried to a root whose key is offline, and back: a request as text, and what has to come
 * of it, byte for byte. Both machines build the certificate from the few facts of the request and from signer.conf.
 * Never: files, private keys; a root by request. */
#ifndef VCC_ROOT_REQUEST_H
#define VCC_ROOT_REQUEST_H

#include "controller/signer/ca_store.h"
#include "shared/conf/signer_conf.h"

enum { ROOT_REQUEST_MAX = 2048, ROOT_REQUEST_DAYS = 30, ROOT_REQUEST_HASH_MIN = 32 };

struct root_request {
	char          authority_id[ISSUER_ID_SIZE]; /* "service-2" */
	char          root_id[ISSUER_ID_SIZE];
	struct hash   root_hash; /* SHA-256 of its certificate */
	struct serial serial;
	int64_t       made_at;
	uint8_t       csr[1024]; /* the new key, and that whoever asks has it (PKCS#10) */
	size_t        csr_n;
};

_must_check_ int root_request_write(const struct root_request *q, struct buf *to);
/* Exactly what root_request_write() writes. E_ROOT_REQUEST. */
_must_check_ int root_request_read(struct span text, struct root_request *ret, struct refusal *why);

/* Is `hash` the beginning of the text's SHA-256 as the other machine showed it, at least ROOT_REQUEST_HASH_MIN digits, with blanks or without?
 * E_ROOT_REQUEST. */
_must_check_ int root_request_hash(const char *object, struct span text, const char *hash, struct refusal *why);
/* May it be answered at `now`, by this root? `hash` as of root_request_hash(). E_ROOT_REQUEST, E_ROOT_STALE. */
_must_check_ int root_request_judge(const struct root_request *q, struct span text, const char *hash, const struct ca *root, int64_t now,
				    struct refusal *why);
_must_check_ int root_request_age(const struct root_request *q, int64_t now, struct refusal *why); /* E_ROOT_STALE */

/* The bytes that the root has to sign. E_ROOT_REQUEST. */
_must_check_ int root_request_tbs(const struct signer_conf *conf, const struct root_request *q, const struct ca *root, struct buf *to,
				  struct refusal *why);

#endif

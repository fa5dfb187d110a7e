/* tls_look.h - room agent/survey: one fresh TLS handshake with each of many own listeners, and what they serve.
 * Old protocols and weak keys are looked at, too: an inventory must see what should not be there any more.
 * Never: connecting anywhere but to an address of this host (each socket binds to it first); judging a certificate. */
#ifndef VCC_TLS_LOOK_H
#define VCC_TLS_LOOK_H

#include "shared/base/buf.h"
#include "shared/base/err.h"
#include "shared/model/inventory.h"

enum look_result {
	LOOK_UNKNOWN, /* not looked yet */
	LOOK_SERVED,  /* a certificate was served */
	LOOK_NONE,    /* it speaks TLS, but serves nothing to a client without a (known) name */
	LOOK_PLAIN,   /* it answered with something else, or closed */
	LOOK_SILENT,  /* no answer in time */
	LOOK_REFUSED, /* no connection */
	LOOK_RESULT_COUNT,
};
const char *look_result_name(enum look_result r); /* "served" */

struct look {
	/* in */
	char address[ADDRESS_SIZE]; /* literal address of this host */
	char sni[DNS_NAME_SIZE];    /* "" = none is sent */
	bool starttls;              /* PostgreSQL: ask for TLS first */
	/* out */
	enum look_result result;
	bool             proved; /* the server showed that it has the key */
	struct hash      fingerprint;
	char             subject[INVENTORY_DN_SIZE], issuer[INVENTORY_DN_SIZE];
	char             names[INVENTORY_NAMES_SIZE];
	uint32_t         n_names;
	int64_t          not_before_at, not_after_at;
	bool             self_signed;
	uint32_t         chain;
};

/* Asks all, at most 32 at a time; each within `timeout_ms`. E_NOMEM; everything else is a result. */
_must_check_ int look_all(struct look *looks, size_t n, int64_t timeout_ms);

/* What a certificate file holds, in the same words: the first certificate of PEM text. E_PKI_CERT. */
_must_check_ int look_pem(struct span pem, struct look *ret);

/* The private key in `key` belongs to the first certificate in `cert` (both PEM). E_PKI_CERT; E_PKI_KEY: there is no key, or
 * only behind a passphrase; E_PKI_MISMATCH. */
_must_check_ int look_pair(struct span cert, struct span key);

#endif

/* root_change.h - room controller/signer: the files of a change of the root: the next root with an authority of each role below
 * it, its certificate by the root before, its first revocation list, and a trust bundle with both; later a bundle without one
 * of them. A person does this with the signer stopped; no message leads here, so a captured controller cannot bring a root.
 * Never: a bundle that hosts would not take; taking a file away. */
#ifndef VCC_ROOT_CHANGE_H
#define VCC_ROOT_CHANGE_H

#include "controller/signer/ca_store.h"
#include "controller/signer/sign_log.h"
#include "shared/conf/signer_conf.h"

struct root_change {
	const struct signer_conf *conf;
	struct ca_store          *cas; /* grows */
	struct sign_log          *log;
	int                       ca_fd; /* STATE_DIR/ca */
	int64_t                   now;
	uint64_t                  counter; /* of the last serial; 0 = none was used yet */
};

struct root_outcome {
	char     root_id[ISSUER_ID_SIZE]; /* the new one, or the one that was dropped */
	uint64_t epoch;                   /* of the newest bundle */
	bool     made;                    /* false: it was there before, nothing was done */
};

/* Cut short at any moment it goes on where it was, and makes nothing twice. While a bundle holds more than one root no further
 * one is begun. E_SIGNER_ISSUER: the key of the root of today is not here; E_SIGNER_LIMIT: too many authorities; E_SYS_*,
 * E_PKI_*. */
_must_check_ int root_change_new(struct root_change *c, struct root_outcome *ret, struct refusal *why);

/* The next bundle, without this root. E_SIGNER_ISSUER: it was in no bundle, or too few keys of the roots that stay are here;
 * E_SIGNER_LIMIT: it is the last one. */
_must_check_ int root_change_drop(struct root_change *c, const char *root_id, struct root_outcome *ret, struct refusal *why);

/* A number for what such a command signs, and its line in the log before it is signed. E_SIGNER_SERIAL, E_SYS_*. */
struct serial    root_change_serial(struct root_change *c);
_must_check_ int root_change_log(struct root_change *c, struct serial serial, struct hash tbs_hash, struct refusal *why);

#endif

/* successor.h - room controller/signer: a new authority that takes the place of an old one, made while the signer runs; and the
 * closing of an old one for good. The key is born here and sealed under what opened the old one's file, so no passphrase is
 * kept. Never: a role, root, name or limit that the old one does not have; a second key for a name; opening again what was
 * closed. */
#ifndef VCC_SUCCESSOR_H
#define VCC_SUCCESSOR_H

#include "controller/signer/ca_store.h"
#include "shared/conf/signer_conf.h"

/* What a captured controller could do with this is bounded: so many of one role in a day, so many of all, and CA_MAX for ever. A
 * whole day of it leaves room for a new root and one more of each role: what is needed to come out of it (docs/operations.md). */
enum { SUCCESSORS_A_DAY = 4, SUCCESSORS_A_DAY_OF_ALL = 9 };

/* What is to be made. */
struct authority {
	const char                *issuer_id;
	enum issuer_role           role;
	unsigned                   number;
	const char                *organisation;
	const struct ca           *root; /* NULL = it is a root itself */
	const struct keyfile_lock *lock; /* seals its key's file */
	struct hsm                *hsm;  /* where the key is made instead; NULL = no token */
	struct serial              serial;
	int64_t                    now;
};

struct successor {
	const struct ca *root; /* NULL = a root */
	struct ca        ca;   /* without certificate, until it is finished */
	struct buf       file; /* the sealed key, or the name of the one in the token */
	struct hsm      *hsm;  /* whose token the key is in; NULL = in a file */
	bool             kept; /* a certificate or a request may tell of the key by now */
	struct buf       tbs;
	struct hash      tbs_hash;
};
/* Also what was never begun. A key in a token that is not `kept` is taken out of it: nobody knows it. */
void successor_free(struct successor *s);

/* Makes the key and builds the bytes of what was judged before; writes nothing. E_PKI_*. */
_must_check_ int successor_make(const struct signer_conf *conf, const struct authority *a, struct successor *ret, struct refusal *why);
/* Judges, makes the key, builds the bytes; writes nothing. *ret_there: it exists already, there is nothing to be made.
 * E_SIGNER_ISSUER, E_SIGNER_LIMIT, E_PKI_*. */
_must_check_ int successor_begin(struct ca_store *cas, const struct signer_conf *conf, const char *issuer_id,
				 const char *successor_id, struct serial serial, int64_t now, struct successor *ret,
				 struct ca **ret_there, struct refusal *why);
/* ID.key or ID.p11 into the folder of the CAs; one of the other kind that lies there, of a key without certificate, goes first. */
_must_check_ int successor_key_write(int ca_fd, const struct successor *s, struct refusal *why);
/* After the log has it: key file, signature, certificate file; then it is one of `cas`. Cut short, it is begun again with
 * another serial: a certificate that is in no file was never given out. */
_must_check_ int successor_finish(struct ca_store *cas, const struct signer_conf *conf, struct successor *s, struct ca **ret,
				  struct refusal *why);

/* Durable when it returns 0. */
_must_check_ int successor_close_old(struct ca_store *cas, const struct signer_conf *conf, const char *issuer_id,
				     struct refusal *why);

#endif

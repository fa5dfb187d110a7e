/* root_list.h - room controller/signer: the revocation list of a root whose key is on another machine: what the controller wants it to say waits as
 * ROOT.list-request in the ca folder until a person carries it there; as text, what it is, and what has to come back.
 * Never: a private key. */
#ifndef VCC_ROOT_LIST_H
#define VCC_ROOT_LIST_H

#include "controller/signer/list_content.h"
#include "controller/signer/root_request.h"
#include "controller/signer/sign_log.h"

/* Entries: authorities below one root that were revoked; the signed list fits into what the signer may tell (SG_ROOT_LIST_MAX). */
enum { ROOT_LIST_ENTRIES = 64, ROOT_LIST_TEXT_MAX = 8192 };
#define CA_LIST_REQUEST ".list-request"

struct root_list {
	struct sg_crl crl; /* its spans lead into the arrays below: a copy of this struct is none */
	struct hash   root_hash;
	uint8_t       entries[ROOT_LIST_ENTRIES * LIST_ENTRY], dates[ROOT_LIST_ENTRIES * LIST_DATE];
};

bool             root_list_is(struct span text); /* by its first line: this, and not a request for an authority */
_must_check_ int root_list_write(const struct root_list *l, struct buf *to);
/* Exactly what root_list_write() writes. E_ROOT_REQUEST. */
_must_check_ int root_list_read(struct span text, struct root_list *ret, struct refusal *why);
_must_check_ int root_list_age(const struct root_list *l, int64_t now, struct refusal *why); /* E_ROOT_STALE */

/* Is `der` the list that was asked for, of this root? E_ROOT_ANSWER. */
_must_check_ int root_list_fits(const struct root_list *l, struct span der, const struct ca *root, struct refusal *why);

/* The controller wants this list of a root whose key is not here: it is kept for the person who goes there. What waits already and says the same of
 * the same certificates stays as it is, so that it can be under way meanwhile, and where the list that is here does, nothing waits for another. The
 * number rises over what waited, over the list that is here and over what this machine has logged.
 * Always an error: E_SIGNER_ISSUER, whose cause says what to do; E_SIGNER_LIMIT, E_SYS_*. */
_must_check_ int root_list_ask(const struct signer_conf *conf, const struct ca *root, const struct sg_crl *crl, const struct sign_log *log, int64_t now,
                               struct refusal *why);
/* Nobody is to carry it any more: the root's key is here, or the root is forgotten. One that cannot be removed stays; it is refused later. */
void root_list_forget(const struct signer_conf *conf, const char *root_id);

#endif

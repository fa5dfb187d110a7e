/* crls.h - room controller/daemon: revocation lists by shard: which are due, made anew, published from memory.
 * At most one list of an issuer is under way at a time, because its number must grow. Never: deciding what is revoked. */
#ifndef VCC_CRLS_H
#define VCC_CRLS_H

#include "controller/daemon/commit.h"
#include "controller/daemon/signer_client.h"

struct crls;
_must_check_ int crls_open(struct controller *ctl, struct crls **ret);
void             crls_free(struct crls *c);
/* Start: what is stored is published at once; what is missing or old becomes due. */
_must_check_ int crls_load(struct controller *ctl);

/* Something of this shard was revoked or first issued: its list is due when the commit is stored. */
void crls_dirty_later(struct commit *c, const char *issuer_id, uint32_t shard);
/* The same for an issuance that is new: only when its shard has no list yet. */
void crls_new_later(struct controller *ctl, struct commit *c, const char *issuer_id, uint32_t shard);
void crls_tick(struct controller *ctl, int64_t now);
void crls_signed(struct controller *ctl, const struct ticket *t, const struct signed_answer *a);

bool        crls_fresh(const struct controller *ctl, int64_t now); /* every published list is before its nextUpdate */
bool        crls_find(const struct controller *ctl, const char *issuer_id, uint32_t shard, struct span *ret_der);
struct span crls_all(struct controller *ctl); /* PEM of every list */

#endif

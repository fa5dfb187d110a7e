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

/* Of an authority that came with its first list, which is stored. */
_must_check_ int crls_adopt(struct controller *ctl, const char *issuer_id);
/* Which of them hosts are given has changed: other roots are in use. */
void crls_republish(struct controller *ctl);

/* Something of this shard was revoked or first issued: its list is due when the commit is stored. */
void crls_dirty_later(struct commit *c, const char *issuer_id, uint32_t shard);
/* The same for an issuance that is new: only when its shard has no list yet. */
void crls_new_later(struct controller *ctl, struct commit *c, const char *issuer_id, uint32_t shard);
void crls_tick(struct controller *ctl, int64_t now);
void crls_watch(struct controller *ctl, int64_t now); /* tells of lists that are not renewed, once for each step */
void crls_signed(struct controller *ctl, const struct ticket *t, const struct signed_answer *a);
/* The signer tells of the list of a root when it comes: one that is newer than the published one takes its place when nothing else of it is under way (the root's key is elsewhere). */
void crls_told(struct controller *ctl, const char *issuer_id, struct span der);

/* A list as published, for people. */
struct crl_state {
	const char *issuer_id;
	uint32_t    shard;
	uint64_t    number; /* 0 = none is published yet */
	size_t      entries, bytes;
	int64_t     this_update_at, next_update_at;
	bool        due;
};
bool crls_at(const struct controller *ctl, size_t i, struct crl_state *ret); /* false beyond the last */
/* Of an issuer's published lists the one that ends first, with the entries of all of them; false and zero when none is published. */
bool crls_soonest(const struct controller *ctl, const char *issuer_id, struct crl_state *ret);
/* The next list whose file is older than what is published, marked as written; false when there is none. Bytes until the next publication. */
bool crls_unwritten(struct controller *ctl, struct crl_state *ret, struct span *ret_der);
void crls_not_written(struct controller *ctl, const char *issuer_id, uint32_t shard); /* it failed */
/* How much of its life the list has used that has used most, of those that should be newer by now; per mille, 0 = all are as new as
 * they should be. */
int  crls_worst(const struct controller *ctl, int64_t now, struct crl_state *ret);
bool        crls_complete(const struct controller *ctl); /* there is a list wherever one is missed */
bool        crls_fresh(const struct controller *ctl, int64_t now); /* every published list is before its nextUpdate */
bool            crls_find(const struct controller *ctl, const char *issuer_id, uint32_t shard, struct crl_file *ret);
struct span     crls_all(struct controller *ctl); /* PEM of every list */
struct crl_file crls_all_file(struct controller *ctl);

/* Grows with each stored change of a status on this list: what was read before is out of date. */
uint64_t crls_changes(const struct controller *ctl, const char *issuer_id, uint32_t shard);

#endif

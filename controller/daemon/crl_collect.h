/* crl_collect.h - room controller/daemon: what the list of one shard has to say: revoked certificates from the store, and of a root revoked CAs.
 * Never: deciding what is revoked, or whether a list is made. */
#ifndef VCC_CRL_COLLECT_H
#define VCC_CRL_COLLECT_H

#include "controller/daemon/crls_shards.h" /* struct shard_key */
#include "controller/store/store.h"

enum { CRL_SHARDS_MAX = 1000 }; /* of one issuer */

struct crl_job {
	struct controller *ctl;
	struct shard_key   key;
	int64_t            now;
	int64_t            since; /* entries that ended before are left out */
	int64_t            gone;  /* a shard whose last certificate ended before needs no list any more */
	bool               ended;
	int                code;
	struct buf         entries, dates;
	bool               dated; /* one of them has a date */
};

struct crl_job *crl_job_new(struct controller *ctl, const struct shard_key *key, int64_t now); /* ends the process when there is no memory */
void            crl_job_free(struct crl_job *j);

/* For workers_read(): fills `code`, `ended` and, when code is 0, `entries` and `dates` in the order of serial numbers, as sg_crl has them. */
void crl_collect(void *job, struct store_view *view);

/* Of sg_crl. Most lists have no date at all: then none is sent. */
struct span crl_job_dates(const struct crl_job *j);

/* On the loop. After a start every list is looked at, because a revocation may have been stored after it. One that says what it has to is not made
 * anew: services on hosts would be reloaded for nothing. */
bool crl_job_matches(const struct crl_job *j, struct span der);

#endif

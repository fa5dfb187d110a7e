/* crls_shards.h - room controller/daemon: the lists in memory, as crls.c (which makes them), crl_collect.c (what they say) and crls_published.c
 * (which hands them out) share them. Never: included by anybody else. */
#ifndef VCC_CRLS_SHARDS_H
#define VCC_CRLS_SHARDS_H

#include <uthash.h>

#include "controller/daemon/crls.h"

struct shard_key {
	char     issuer_id[ISSUER_ID_SIZE];
	uint32_t shard;
};

struct shard {
	struct shard_key key;
	bool             dirty;
	bool             busy;    /* one is under way; who set this ends it by on_published(), failed(), or what it collected is published already */
	int64_t          next_at; /* monotonic; not made anew before, whatever changes */
	uint64_t         changes; /* how often its content has changed in this run */
	uint64_t         number;
	uint64_t         written; /* number in its file; 0 = not known */
	size_t           entries;
	int64_t          this_update_at, next_update_at; /* of the published one; 0 = none */
	struct buf       der;
	struct buf       carried;    /* signed elsewhere, told by the signer, not published yet; empty = none */
	int64_t          carried_at; /* monotonic; not published before */
	UT_hash_handle   hh;
};

struct crls {
	struct shard *shards;
	int           alarm; /* the step of life used that was told last */
	struct buf    all;
	bool          all_stale;
};

struct shard *crls_shard(const struct controller *ctl, const char *issuer_id, uint32_t shard); /* NULL: there is none */
bool crls_shard_old(const struct controller *ctl, const struct shard *s, int64_t now); /* a newer one should be there by now */

#endif

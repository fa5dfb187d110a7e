/* crls_published.c - room controller/daemon: the lists as they are handed out: one by one, all in one file, and how old they are.
 * Never: making one. */
#include <string.h>

#include "controller/daemon/bundles.h"
#include "controller/daemon/catalog.h"
#include "controller/daemon/crl_files.h"
#include "controller/daemon/crls_shards.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/pki/cert.h"
#include "shared/sys/clock.h"
#include "shared/sys/log.h"

/* The first list of an authority that signs nothing yet is missed by nobody. */
static bool is_missed(const struct controller *ctl, const struct shard *s)
{
	const struct catalog_issuer *issuer = catalog_issuer(ctl->catalog, s->key.issuer_id);
	bool forgotten = issuer != NULL && issuer->row.role == ISSUER_ROOT && issuer->row.retired;
	return !forgotten && (s->der.n > 0 || issuer == NULL || issuer->row.standing != ISSUER_STANDS_BY);
}

bool crls_fresh(const struct controller *ctl, int64_t now)
{
	const struct shard *s, *tmp;
	HASH_ITER (hh, ctl->crls->shards, s, tmp)
		if (is_missed(ctl, s) && (s->der.n == 0 || s->next_update_at <= now))
			return false;
	return true;
}

bool crls_complete(const struct controller *ctl)
{
	return crls_fresh(ctl, 0); /* so early no list that there is has ended */
}

/* Hosts refuse a set with a list whose authority leads to no root of theirs: those below the next root are in it when that root
 * issues, those below the one before until hosts are told to forget it. */
static bool is_in_use(const struct controller *ctl, const struct catalog_issuer *issuer)
{
	const struct catalog_issuer *root = catalog_root_of(ctl->catalog, issuer);
	return root != NULL && root->row.standing != ISSUER_STANDS_BY &&
	       bundles_trust(ctl, (struct span){root->row.der, root->row.der_len});
}

/* Whatever an authority that has ended signed has ended, too. Its list must not spoil the others when nobody makes it any more. */
static bool is_published(const struct controller *ctl, const struct shard *s)
{
	const struct catalog_issuer *issuer = catalog_issuer(ctl->catalog, s->key.issuer_id);
	return s->der.n > 0 && issuer != NULL && issuer->row.not_after_at > clock_now() && is_in_use(ctl, issuer);
}

static struct crl_state state_of(const struct controller *ctl, const struct shard *s, int64_t now)
{
	return (struct crl_state){.issuer_id = s->key.issuer_id,
				  .shard = s->key.shard,
				  .number = s->number,
				  .entries = s->entries,
				  .bytes = s->der.n,
				  .this_update_at = s->this_update_at,
				  .next_update_at = s->next_update_at,
				  .due = s->dirty || s->busy || s->der.n == 0 || crls_shard_old(ctl, s, now)};
}

bool crls_at(const struct controller *ctl, size_t i, struct crl_state *ret)
{
	const struct shard *s, *tmp;
	HASH_ITER (hh, ctl->crls->shards, s, tmp)
		if (i-- == 0) {
			*ret = state_of(ctl, s, clock_now());
			return true;
		}
	return false;
}

bool crls_soonest(const struct controller *ctl, const char *issuer_id, struct crl_state *ret)
{
	const struct shard *s, *tmp, *soonest = NULL;
	size_t              entries = 0;
	HASH_ITER (hh, ctl->crls->shards, s, tmp) {
		if (!text_equal(s->key.issuer_id, issuer_id) || !is_published(ctl, s))
			continue;
		entries += s->entries;
		if (soonest == NULL || s->next_update_at < soonest->next_update_at)
			soonest = s;
	}
	*ret = soonest != NULL ? state_of(ctl, soonest, clock_now()) : (struct crl_state){.issuer_id = NULL};
	ret->entries = entries;
	return soonest != NULL;
}

bool crls_unwritten(struct controller *ctl, struct crl_state *ret, struct span *ret_der)
{
	struct shard *s, *tmp;
	HASH_ITER (hh, ctl->crls->shards, s, tmp)
		if (s->der.n > 0 && s->written != s->number) {
			s->written = s->number;
			*ret = state_of(ctl, s, clock_now());
			*ret_der = buf_span(&s->der);
			return true;
		}
	return false;
}

void crls_not_written(struct controller *ctl, const char *issuer_id, uint32_t shard)
{
	struct shard *s = crls_shard(ctl, issuer_id, shard);
	if (s != NULL)
		s->written = 0;
}

int crls_worst(const struct controller *ctl, int64_t now, struct crl_state *ret)
{
	const struct shard *s, *tmp;
	int                 worst = 0;
	HASH_ITER (hh, ctl->crls->shards, s, tmp) {
		int64_t life = s->next_update_at - s->this_update_at;
		if (life <= 0 || !is_published(ctl, s) || !crls_shard_old(ctl, s, now))
			continue;
		int64_t used = (now - s->this_update_at) * 1000 / life;
		int     share = used > 1000 ? 1000 : (int)used;
		if (share > worst) {
			worst = share;
			*ret = state_of(ctl, s, now);
		}
	}
	return worst;
}

bool crls_find(const struct controller *ctl, const char *issuer_id, uint32_t shard, struct crl_file *ret)
{
	const struct shard *s = crls_shard(ctl, issuer_id, shard);
	if (s == NULL || s->der.n == 0)
		return false;
	*ret = (struct crl_file){buf_span(&s->der), s->this_update_at, s->next_update_at};
	return true;
}

static int by_key(const struct shard *a, const struct shard *b)
{
	int order = strcmp(a->key.issuer_id, b->key.issuer_id);
	return order != 0 ? order : (a->key.shard > b->key.shard) - (a->key.shard < b->key.shard);
}

/* The same lists are the same bytes, also after a restart: hosts know them by their hash. */
struct span crls_all(struct controller *ctl)
{
	struct crls *c = ctl->crls;
	if (c->all_stale) {
		const struct shard *s, *tmp;
		HASH_SRT(hh, c->shards, by_key);
		buf_reset(&c->all);
		HASH_ITER (hh, c->shards, s, tmp)
			if (is_published(ctl, s) && crl_pem_add(buf_span(&s->der), &c->all) < 0)
				log_line(LOG_LEVEL_ERROR, NULL, "CRL %s/%u cannot be written as PEM", s->key.issuer_id,
					 s->key.shard);
		c->all_stale = false;
	}
	return buf_span(&c->all);
}

struct crl_file crls_all_file(struct controller *ctl)
{
	struct crl_file     file = {.bytes = crls_all(ctl)};
	const struct shard *s, *tmp;
	HASH_ITER (hh, ctl->crls->shards, s, tmp)
		if (is_published(ctl, s)) {
			if (s->this_update_at > file.this_update_at)
				file.this_update_at = s->this_update_at;
			if (file.next_update_at == 0 || s->next_update_at < file.next_update_at)
				file.next_update_at = s->next_update_at;
		}
	return file;
}

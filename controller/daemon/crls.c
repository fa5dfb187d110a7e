/* crls.c - room controller/daemon: dirty shard -> worker collects revoked rows -> signer -> store -> published.
 * Never: a list whose number was used before. */
#include "controller/daemon/crls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "controller/daemon/catalog.h"
#include "controller/daemon/crl_collect.h"
#include "controller/daemon/crl_files.h"
#include "controller/daemon/crl_news.h"
#include "controller/daemon/crls_shards.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/pki/cert.h"
#include "shared/sys/clock.h"
#include "shared/sys/log.h"

enum {
	CRL_DER_BYTES = 1 << 20,
	ALL_PEM_MAX = 256 << 20,
	RETRY_MS = 2000,
	PACE_MS = 1000, /* of one list: an emergency revokes thousands in a row, and a long list is a quarter of a megabyte each time */
	BACKDATE_MS = 60 * 1000, /* thisUpdate lies this far back: clocks of relying parties differ */
};

#define ROOT_LIFE_MS  (397 * MS_DAY)
#define ROOT_RENEW_MS (SG_ROOT_LIST_RENEW_DAYS * MS_DAY)
#define ROOT_RETRY_MS MS_HOUR

int crls_open(struct controller *ctl, struct crls **ret)
{
	(void)ctl;
	struct crls *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return E_NOMEM;
	c->all = (struct buf)BUF_MAX(ALL_PEM_MAX);
	*ret = c;
	return 0;
}

void crls_free(struct crls *c)
{
	if (c == NULL)
		return;
	struct shard *s, *tmp;
	HASH_ITER (hh, c->shards, s, tmp) {
		HASH_DEL(c->shards, s);
		buf_free(&s->der);
		buf_free(&s->carried);
		free(s);
	}
	buf_free(&c->all);
	free(c);
}

struct shard *crls_shard(const struct controller *ctl, const char *issuer_id, uint32_t shard)
{
	struct shard    *s = NULL;
	struct shard_key key;
	memset(&key, 0, sizeof(key));
	text_cut(key.issuer_id, sizeof(key.issuer_id), issuer_id);
	key.shard = shard;
	HASH_FIND(hh, ctl->crls->shards, &key, sizeof(key), s);
	return s;
}

static struct shard *find_or_add(struct controller *ctl, const char *issuer_id, uint32_t shard)
{
	struct shard *s = crls_shard(ctl, issuer_id, shard);
	if (s != NULL)
		return s;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		abort();
	text_cut(s->key.issuer_id, sizeof(s->key.issuer_id), issuer_id);
	s->key.shard = shard;
	s->der = (struct buf)BUF_MAX(CRL_DER_BYTES);
	s->carried = (struct buf)BUF_MAX(SG_ROOT_LIST_MAX);
	HASH_ADD(hh, ctl->crls->shards, key, sizeof(s->key), s);
	return s;
}

/* ---- due ------------------------------------------------------------------------------------------------------- */

static void on_dirty(struct controller *ctl, const void *value, size_t n)
{
	(void)n;
	const struct shard_key *key = value;
	struct shard           *s = find_or_add(ctl, key->issuer_id, key->shard);
	s->dirty = true;
	s->changes++;
}

uint64_t crls_changes(const struct controller *ctl, const char *issuer_id, uint32_t shard)
{
	const struct shard *s = crls_shard(ctl, issuer_id, shard);
	return s != NULL ? s->changes : 0;
}

void crls_dirty_later(struct commit *c, const char *issuer_id, uint32_t shard)
{
	struct shard_key key;
	memset(&key, 0, sizeof(key));
	text_cut(key.issuer_id, sizeof(key.issuer_id), issuer_id);
	key.shard = shard;
	commit_then(c, on_dirty, &key, sizeof(key));
}

void crls_new_later(struct controller *ctl, struct commit *c, const char *issuer_id, uint32_t shard)
{
	if (crls_shard(ctl, issuer_id, shard) == NULL)
		crls_dirty_later(c, issuer_id, shard);
}

static bool is_root(const struct catalog_issuer *i)
{
	return i->row.role == ISSUER_ROOT;
}

/* The root's list lives for a year and is renewed when a quarter is left; its key may be away, then it is asked for again
 * every hour. */
bool crls_shard_old(const struct controller *ctl, const struct shard *s, int64_t now)
{
	const struct catalog_issuer *i = catalog_issuer(ctl->catalog, s->key.issuer_id);
	if (i != NULL && is_root(i))
		return s->next_update_at - now < ROOT_RENEW_MS;
	return now - s->this_update_at - BACKDATE_MS >= ctl->conf->crl_refresh_ms || s->next_update_at <= now;
}

static bool is_due(const struct controller *ctl, const struct shard *s, int64_t now)
{
	const struct catalog_issuer *i = catalog_issuer(ctl->catalog, s->key.issuer_id);
	if (i == NULL || (is_root(i) && i->row.retired && i->offline)) /* nobody trusts that root any more: its key need not be fetched */
		return false;
	return !s->busy && s->carried.n == 0 && s->next_at <= clock_monotonic() && (s->dirty || crls_shard_old(ctl, s, now));
}

/* ---- making ---------------------------------------------------------------------------------------------------- */

/* `said`: in the signer's words, or "". */
static void failed(const struct controller *ctl, struct shard *s, int code, const char *said)
{
	const struct catalog_issuer *issuer = catalog_issuer(ctl->catalog, s->key.issuer_id);
	char                         text[ERR_CODE_SIZE];
	log_line(LOG_LEVEL_ERROR, NULL, "CRL %s/%u could not be made: %s%s%s", s->key.issuer_id, s->key.shard, err_code(code, text),
		 said[0] != '\0' ? ": " : "", said);
	s->busy = false;
	s->dirty = true;
	s->next_at = clock_monotonic() + (issuer != NULL && is_root(issuer) ? ROOT_RETRY_MS : RETRY_MS);
}

static int ask_signer(struct controller *ctl, const struct crl_job *j)
{
	struct catalog_issuer *issuer = catalog_issuer(ctl->catalog, j->key.issuer_id);
	int64_t                this_update = j->now - BACKDATE_MS;
	bool                   root = is_root(issuer);
	int64_t                life = root ? ROOT_LIFE_MS : ctl->conf->crl_validity_ms;
	struct sg_crl          crl = {
			 .shard = j->key.shard,
			 .number = issuer->row.crl_number + 1,
			 .this_update_at = this_update - this_update % MS_SECOND,
			 .next_update_at = (j->now + life) / MS_SECOND * MS_SECOND,
			 .root = root,
			 .entries = buf_span(&j->entries),
			 .dates = crl_job_dates(j),
        };
	struct ticket t = {.kind = TICKET_CRL, .rank = RANK_UPKEEP, .shard = crl.shard, .number = crl.number};
	struct buf    frame = BUF_MAX(1 << 20);
	uint64_t      id = signer_crl_id(ctl);
	text_cut(crl.issuer_id, sizeof(crl.issuer_id), j->key.issuer_id);
	text_cut(t.issuer_id, sizeof(t.issuer_id), j->key.issuer_id);
	int r = wire_encode(&wire_signer, SG_CRL, id, &crl, &frame);
	if (r == 0) {
		issuer->row.crl_number = crl.number;
		signer_ask(ctl, id, buf_span(&frame), &t);
	}
	buf_free(&frame);
	return r;
}

static void forget(struct controller *ctl, struct shard *s)
{
	log_line(LOG_LEVEL_INFO, NULL, "CRL %s/%u: all its certificates have ended; no more lists are made", s->key.issuer_id, s->key.shard);
	HASH_DEL(ctl->crls->shards, s);
	buf_free(&s->der);
	buf_free(&s->carried);
	free(s);
	ctl->crls->all_stale = true;
	crl_news_changed(ctl);
	crl_files_changed(ctl);
}

static void on_collected(void *job)
{
	struct crl_job    *j = job;
	struct controller *ctl = j->ctl;
	struct shard      *s = crls_shard(ctl, j->key.issuer_id, j->key.shard);
	if (!ctl->stopping && s != NULL) {
		int  r = j->code;
		if (j->ended && !s->dirty) {
			forget(ctl, s);
			crl_job_free(j);
			return;
		}
		bool same = r == 0 && s->der.n > 0 && !crls_shard_old(ctl, s, j->now) && crl_job_matches(j, buf_span(&s->der));
		if (r == 0 && !same)
			r = ask_signer(ctl, j);
		if (r < 0)
			failed(ctl, s, r, "");
		if (same) {
			s->busy = false;
			crls_tick(ctl, j->now); /* the issuer's next one */
		}
	}
	crl_job_free(j);
}

static void start(struct controller *ctl, struct shard *s, int64_t now)
{
	struct crl_job *j = crl_job_new(ctl, &s->key, now);
	/* RFC 5280, 3.3: an entry goes only when one list was made after the end of its certificate; the one before this may be that. */
	j->since = s->this_update_at;
	j->gone = now - ctl->conf->crl_validity_ms;
	s->busy = true;
	s->dirty = false;
	workers_read(ctl->workers, crl_collect, on_collected, j);
}

static bool issuer_is_busy(const struct controller *ctl, const char *issuer_id)
{
	const struct shard *s, *tmp;
	HASH_ITER (hh, ctl->crls->shards, s, tmp)
		if (s->busy && text_equal(s->key.issuer_id, issuer_id))
			return true;
	return false;
}

static void carried_publish(struct controller *ctl, struct shard *s);

void crls_tick(struct controller *ctl, int64_t now)
{
	struct shard *s, *tmp;
	HASH_ITER (hh, ctl->crls->shards, s, tmp)
		carried_publish(ctl, s);
	if (!signer_ready(ctl))
		return;
	HASH_ITER (hh, ctl->crls->shards, s, tmp)
		if (is_due(ctl, s, now) && !issuer_is_busy(ctl, s->key.issuer_id))
			start(ctl, s, now);
}

/* FAULTS F67: told when a list should be newer and has used up half of its life, and again near its end. */
void crls_watch(struct controller *ctl, int64_t now)
{
	struct crl_state s;
	struct refusal   why = {0};
	int              used = crls_worst(ctl, now, &s);
	int              step = used >= 950 ? 2 : used >= 500 ? 1 : 0;
	if (step > ctl->crls->alarm) {
		char object[ISSUER_ID_SIZE + 16];
		(void)snprintf(object, sizeof(object), "%s/%u", s.issuer_id, s.shard);
		(void)refuse(&why, E_CRL_LATE, object, "it has used %d %% of its life and no newer one was made", used / 10);
		log_refusal(step == 2 ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING, NULL, &why);
	}
	ctl->crls->alarm = step;
}

/* ---- published ------------------------------------------------------------------------------------------------- */

struct published {
	struct shard_key key;
	uint64_t         number;
	size_t           entries;
	int64_t          this_update_at, next_update_at;
	size_t           n;
	uint8_t          der[];
};

static void on_published(struct controller *ctl, const void *value, size_t n)
{
	(void)n;
	const struct published *p = value;
	struct shard           *s = find_or_add(ctl, p->key.issuer_id, p->key.shard);
	s->busy = false;
	s->number = p->number;
	s->entries = p->entries;
	s->this_update_at = p->this_update_at;
	s->next_update_at = p->next_update_at;
	s->next_at = clock_monotonic() + PACE_MS;
	buf_reset(&s->der);
	buf_add(&s->der, p->der, p->n);
	ctl->crls->all_stale = true;
	crl_news_changed(ctl);
	crl_files_changed(ctl);
	crls_tick(ctl, clock_now()); /* the issuer's next one */
}

static void on_unpublished(struct controller *ctl, const void *value, size_t n)
{
	(void)n;
	const struct shard_key *key = value;
	struct shard           *s = find_or_add(ctl, key->issuer_id, key->shard);
	failed(ctl, s, E_STORE_IO, "");
	s->carried_at = clock_monotonic() + RETRY_MS;
}

/* Store, trail and news of a list that was checked. */
static void publish(struct controller *ctl, const struct shard *s, const struct crl_info *info, struct span der)
{
	struct crl_row    row = {.shard = s->key.shard,
				 .number = info->number,
				 .this_update_at = info->this_update_at,
				 .next_update_at = info->next_update_at,
				 .der = der};
	struct published *p = calloc(1, sizeof(*p) + der.n);
	if (p == NULL)
		abort();
	text_cut(row.issuer_id, sizeof(row.issuer_id), s->key.issuer_id);
	p->key = s->key;
	p->number = info->number;
	p->entries = info->entries;
	p->this_update_at = info->this_update_at;
	p->next_update_at = info->next_update_at;
	p->n = der.n;
	memcpy(p->der, der.p, der.n);

	struct commit *c = commit_new(ctl);
	store_put_crl(commit_change(c), &row);
	commit_audit(c, &(struct audit_of){.event = AUDIT_CRL_PUBLISHED, .actor = "controller", .object = row.issuer_id},
		     "{s:i,s:I,s:I}", "shard", (int)row.shard, "number", (json_int_t)info->number, "entries",
		     (json_int_t)info->entries);
	commit_then(c, on_published, p, sizeof(*p) + p->n);
	commit_else(c, on_unpublished, &s->key, sizeof(s->key));
	commit_fault_points(c, "controller.crl", "controller.crl_stored");
	commit_now(c, NULL, NULL);
	free(p);
}

void crls_signed(struct controller *ctl, const struct ticket *t, const struct signed_answer *a)
{
	struct shard          *s = find_or_add(ctl, t->issuer_id, t->shard);
	struct catalog_issuer *issuer = catalog_issuer(ctl->catalog, t->issuer_id);
	struct crl_info        info;
	int                    r = a->code;
	if (r == 0)
		r = issuer != NULL ? crl_read(a->der, (struct span){issuer->row.der, issuer->row.der_len}, &info)
				   : E_SIGNER_ISSUER;
	if (r == 0 && info.number != t->number)
		r = E_SIGNER_HASH;
	if (r < 0)
		failed(ctl, s, r, a->text);
	else
		publish(ctl, s, &info, a->der);
}

/* It waits until nothing else of its issuer is under way, and goes on waiting until it is stored or a later one is. */
static void carried_publish(struct controller *ctl, struct shard *s)
{
	const struct catalog_issuer *issuer = catalog_issuer(ctl->catalog, s->key.issuer_id);
	struct crl_info              info;
	if (s->carried.n == 0 || s->carried_at > clock_monotonic() || issuer_is_busy(ctl, s->key.issuer_id))
		return;
	if (issuer == NULL || crl_read(buf_span(&s->carried), (struct span){issuer->row.der, issuer->row.der_len}, &info) < 0 || info.number <= s->number) {
		buf_reset(&s->carried);
		return;
	}
	s->busy = true;
	publish(ctl, s, &info, buf_span(&s->carried));
}

/* The list of a root whose key is on another machine was signed there and carried to the signer. */
void crls_told(struct controller *ctl, const char *issuer_id, struct span der)
{
	struct catalog_issuer *issuer = catalog_issuer(ctl->catalog, issuer_id);
	struct crl_info        info, waits;
	if (der.n == 0 || der.n > SG_ROOT_LIST_MAX || issuer == NULL || !is_root(issuer) || issuer->row.retired ||
	    crl_read(der, (struct span){issuer->row.der, issuer->row.der_len}, &info) < 0)
		return;
	struct shard *s = find_or_add(ctl, issuer_id, 0);
	if (info.number <= s->number || (s->carried.n > 0 && crl_peek(buf_span(&s->carried), &waits) == 0 && info.number <= waits.number))
		return;
	if (issuer->row.crl_number < info.number)
		issuer->row.crl_number = info.number;
	buf_reset(&s->carried);
	buf_add(&s->carried, der.p, der.n);
	carried_publish(ctl, s);
}

/* ---- start ----------------------------------------------------------------------------------------------------- */

static int load_shard(struct controller *ctl, const char *issuer_id, uint32_t shard)
{
	struct shard  *s = find_or_add(ctl, issuer_id, shard);
	struct crl_row row;
	buf_reset(&s->der);
	int r = view_crl(ctl->view, issuer_id, shard, &row, &s->der);
	if (r == E_NOT_FOUND) {
		s->dirty = true;
		return 0;
	}
	if (r < 0)
		return r;
	struct crl_info info;
	s->entries = crl_peek(buf_span(&s->der), &info) == 0 ? info.entries : 0;
	s->number = row.number;
	s->this_update_at = row.this_update_at;
	s->next_update_at = row.next_update_at;
	s->dirty = true; /* a revocation may have been stored after it */
	ctl->crls->all_stale = true;
	return 0;
}

int crls_load(struct controller *ctl)
{
	uint32_t *shards = calloc(CRL_SHARDS_MAX, sizeof(*shards));
	int64_t   now = clock_now();
	int       r = shards != NULL ? 0 : E_NOMEM;
	for (size_t i = 0; r == 0 && catalog_issuer_at(ctl->catalog, i) != NULL; i++) {
		const struct catalog_issuer *issuer = catalog_issuer_at(ctl->catalog, i);
		size_t                       n = 0;
		r = view_shards(ctl->view, issuer->row.issuer_id, now - ctl->conf->crl_validity_ms, shards, CRL_SHARDS_MAX, &n);
		for (size_t k = 0; r == 0 && k < n; k++)
			r = load_shard(ctl, issuer->row.issuer_id, shards[k]);
		if (r == 0 && crls_shard(ctl, issuer->row.issuer_id, 0) == NULL)
			r = load_shard(ctl, issuer->row.issuer_id,
				       0); /* there is always one: verifiers that check CRLs refuse without */
	}
	free(shards);
	if (r == 0) {
		crl_news_changed(ctl);
		crl_files_changed(ctl);
	}
	return r;
}

int crls_adopt(struct controller *ctl, const char *issuer_id)
{
	int r = load_shard(ctl, issuer_id, 0);
	crls_republish(ctl);
	return r;
}

void crls_republish(struct controller *ctl)
{
	ctl->crls->all_stale = true;
	crl_news_changed(ctl);
	crl_files_changed(ctl);
}

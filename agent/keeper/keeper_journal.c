/* keeper_journal.c - room agent/keeper: the journal: save before acting, read at start, keep it small.
 * Never: deciding anything by what is in it. */
#include "agent/keeper/keeper_journal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "agent/keeper/live.h"
#include "agent/keeper/place.h"
#include "shared/base/text.h"
#include "shared/sys/fault.h"
#include "shared/sys/log.h"

#define JOURNAL "journal"

enum { JOURNAL_TEND_BYTES = 1 << 20, RECORD_BYTES_MAX = JOURNAL_RECORD_MAX, REWRITE_MAX = (4 + PLACES_MAX) * TARGETS_MAX + RECEIPTS_MAX + 1 };

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static int managed_of(struct keeper *k, const char *cert_id, struct managed **ret)
{
	struct managed *m = keeper_find(k, cert_id);
	if (m != NULL) {
		*ret = m;
		return 0;
	}
	return keeper_manage(k, cert_id, ret);
}

static int take_deploy(struct keeper *k, const struct record *r)
{
	struct managed *m;
	int             code = managed_of(k, r->u.deploy.cert_id, &m);
	if (code == 0)
		m->deploy = r->u.deploy;
	return code;
}

static int take_frame(struct keeper *k, const struct record *r)
{
	struct managed *m;
	int             code = managed_of(k, r->u.frame.cert_id, &m);
	if (code != 0)
		return code;
	if (r->u.frame.type != MSG_ORDER && r->u.frame.type != MSG_CERTIFICATE)
		return E_SYS_JOURNAL;
	struct buf *to = r->u.frame.type == MSG_ORDER ? &m->order : &m->certificate;
	buf_reset(to);
	buf_add(to, r->u.frame.frame.p, r->u.frame.frame.n);
	return buf_error(to);
}

static void take_gone(struct keeper *k, const struct record_target *t)
{
	struct managed *m = keeper_find(k, t->cert_id);
	struct place   *p = m != NULL ? place_find(m, t->stem) : NULL;
	if (p != NULL)
		place_forget(p);
	if (m != NULL && m->n_places == 0)
		keeper_forget(k, m);
}

static int take_target(struct keeper *k, const struct record *r)
{
	const struct record_target *t = &r->u.target;
	struct managed             *m;
	if (t->gone != 0) {
		take_gone(k, t);
		return 0;
	}
	int           code = managed_of(k, t->cert_id, &m);
	struct place *p = code == 0 ? place_find(m, t->stem) : NULL;
	if (code == 0 && p == NULL)
		code = place_add(m, t->stem, &p);
	if (code != 0)
		return code;
	p->old_generation = t->old_generation;
	p->proved = t->proved;
	p->rehearsed_at = t->rehearsed_at;
	code = place_made_load(p, t->made);
	if (code != 0)
		return code;
	if (t->generation > m->generation)
		m->generation = t->generation;
	return 0;
}

static int take_live(struct keeper *k, const struct record *r)
{
	struct managed *m;
	int             code = managed_of(k, r->u.live.cert_id, &m);
	return code == 0 ? live_load(m, &r->u.live) : code;
}

static int take_one(struct keeper *k, const struct record *r)
{
	switch (r->kind) {
	case RECORD_DEPLOY:
		return take_deploy(k, r);
	case RECORD_FRAME:
		return take_frame(k, r);
	case RECORD_RECEIPT:
		return receipts_load(&k->receipts, &r->u.receipt);
	case RECORD_ACKED:
		receipts_loaded_acked(&k->receipts, &r->u.acked);
		return 0;
	case RECORD_TARGET:
		return take_target(k, r);
	case RECORD_LIVE:
		return take_live(k, r);
	}
	return E_SYS_JOURNAL;
}

static int take_batch(void *ctx, struct span batch)
{
	struct record *r = malloc(sizeof(*r));
	int            code = r != NULL ? 0 : E_NOMEM;
	while (code == 0 && batch.n > 0) {
		code = record_decode(&batch, r);
		if (code == 0)
			code = take_one(ctx, r);
	}
	free(r);
	return code;
}

/* A keeper's first run has no journal; later somebody took it. There is nothing to wait for, so it goes on: what was under way is told
 * by the files and by the controller, but receipts that nobody had acked are lost. */
static void warn_if_lost(const struct keeper *k)
{
	struct stat    st;
	struct refusal why = {.code = 0};
	if (k->state.counter <= 1 || (fstatat(k->state.dir_fd, JOURNAL, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_size > 0))
		return;
	(void)refuse(&why, E_SYS_JOURNAL, JOURNAL, "is missing or empty, although %s has run here before; swaps under way and receipts that were not "
	             "acknowledged are forgotten", k->state.identity.agent);
	log_refusal(LOG_LEVEL_WARNING, NULL, &why);
}

int keeper_journal_open(struct keeper *k, struct refusal *why)
{
	k->tend_from = JOURNAL_TEND_BYTES;
	warn_if_lost(k);
	return journal_open(k->state.dir_fd, JOURNAL, take_batch, k, &k->journal, why);
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

void keeper_journal_drop(struct keeper *k)
{
	buf_reset(&k->batch);
}

int keeper_journal_add(struct keeper *k, enum record_kind kind, const void *payload)
{
	k->batch.max = RECORD_BYTES_MAX;
	int r = record_encode(kind, payload, &k->batch);
	if (r != 0)
		keeper_journal_drop(k); /* half a record in front of the next batch would make it unreadable */
	return r;
}

int keeper_journal_commit(struct keeper *k, bool sync)
{
	if (k->batch.n == 0)
		return 0;
	int r = fault_point("keeper.journal") != 0 ? E_SYS_SPACE : journal_append(k->journal, buf_span(&k->batch), sync);
	keeper_journal_drop(k);
	if (r == 0)
		(void)fault_point("keeper.journal.done");
	return r;
}

struct rewrite {
	struct buf bytes[REWRITE_MAX];
	size_t     n;
	int        error;
};

static void rewrite_add(struct rewrite *w, enum record_kind kind, const void *payload)
{
	if (w->error != 0)
		return;
	if (w->n == REWRITE_MAX) {
		w->error = E_FULL;
		return;
	}
	struct buf *b = &w->bytes[w->n++];
	*b = (struct buf)BUF_MAX(RECORD_BYTES_MAX);
	w->error = record_encode(kind, payload, b);
}

static void rewrite_frame(struct rewrite *w, const struct managed *m, uint32_t type, const struct buf *frame)
{
	struct record_frame r = {.type = type, .frame = buf_span(frame)};
	text_cut(r.cert_id, sizeof(r.cert_id), m->cert_id);
	if (frame->n > 0)
		rewrite_add(w, RECORD_FRAME, &r);
}

static void rewrite_places(struct rewrite *w, const struct managed *m)
{
	for (size_t i = 0; i < m->n_places; i++) {
		struct place_record t;
		place_record(m->places[i], &t);
		rewrite_add(w, RECORD_TARGET, &t.record);
	}
}

static void rewrite_fill(struct rewrite *w, struct keeper *k)
{
	struct record_acked acked = receipts_acked(&k->receipts);
	rewrite_add(w, RECORD_ACKED, &acked);
	for (size_t i = 0; i < k->n_managed; i++) {
		const struct managed *m = k->managed[i];
		rewrite_places(w, m);
		rewrite_frame(w, m, MSG_ORDER, &m->order);
		rewrite_frame(w, m, MSG_CERTIFICATE, &m->certificate);
		struct record_live live = live_of(m);
		if (live.certificate.n > 0)
			rewrite_add(w, RECORD_LIVE, &live);
		if (m->deploy.phase != DEPLOY_NONE)
			rewrite_add(w, RECORD_DEPLOY, &m->deploy);
	}
	for (const struct receipt_kept *r = k->receipts.first; r != NULL; r = r->next) {
		struct record_receipt record = receipt_record(r);
		rewrite_add(w, RECORD_RECEIPT, &record);
	}
}

int keeper_journal_renew(struct keeper *k)
{
	struct rewrite *w = calloc(1, sizeof(*w));
	struct span    *spans = calloc(REWRITE_MAX, sizeof(*spans));
	int             r = w != NULL && spans != NULL ? 0 : E_NOMEM;
	if (r == 0) {
		rewrite_fill(w, k);
		r = w->error;
		for (size_t i = 0; i < w->n; i++)
			spans[i] = buf_span(&w->bytes[i]);
	}
	if (r == 0)
		r = journal_rewrite(k->journal, spans, w->n);
	for (size_t i = 0; w != NULL && i < w->n; i++)
		buf_free(&w->bytes[i]);
	free(spans);
	free(w);
	return r;
}

/* The file that is too large stays valid: a full disk is no reason to end. */
void keeper_journal_tend(struct keeper *k)
{
	if (journal_size(k->journal) < k->tend_from)
		return;
	int r = keeper_journal_renew(k);
	if (r != 0)
		log_line(LOG_LEVEL_WARNING, NULL, "the journal cannot be made smaller: %s; it goes on growing", err_what(r));
	k->tend_from = r == 0 ? JOURNAL_TEND_BYTES : journal_size(k->journal) + JOURNAL_TEND_BYTES / 16;
}

/* rollovers.c - room controller/daemon: rollovers that are not over, and what each step of the core does.
 * While a step is on its way to the store nothing else happens to its rollover; where it could not be stored, the stored state
 * is read again. What the signer or a worker is asked for is asked again until it has answered. Never: deciding. */
#include "controller/daemon/rollovers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/core/campaign_flow.h"
#include "controller/daemon/answer.h"
#include "controller/daemon/bundles.h"
#include "controller/daemon/campaigns.h"
#include "controller/daemon/catalog.h"
#include "controller/daemon/crls.h"
#include "controller/daemon/fleet.h"
#include "controller/daemon/gateway_trust.h"
#include "controller/daemon/rollover_act.h"
#include "controller/daemon/rollover_campaign.h"
#include "controller/daemon/rollover_json.h"
#include "controller/daemon/rollover_left.h"
#include "controller/daemon/rollover_root.h"
#include "controller/daemon/rollover_signer.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/sys/clock.h"
#include "shared/sys/log.h"

enum { COUNT_EVERY_MS = 5 * 1000, COUNT_SHARE = 20, FRESH_MS = 2 * 60 * 1000 };

struct entry {
	struct rollover      r;
	bool                 pending;  /* a step is on its way to the store */
	bool                 asking;   /* the signer was asked */
	bool                 counting; /* a worker counts what is left */
	bool                 planning; /* a worker plans a campaign */
	size_t               n_closed; /* of a root: so many below it, in this run */
	bool                 ended;    /* the campaign that nobody wants any more is not open */
	int64_t              end_at;   /* when that is looked at next */
	int64_t              count_at;
	struct rollover_left left;
	struct buf           made; /* the successor's certificate, from the signer's answer to the step that adopts it */
};

struct rollovers {
	struct entry *list[CATALOG_ISSUERS_MAX];
	size_t        n;
};

int rollovers_open(struct rollovers **ret)
{
	struct rollovers *all = calloc(1, sizeof(*all));
	if (all == NULL)
		return E_NOMEM;
	*ret = all;
	return 0;
}

void rollovers_free(struct rollovers *all)
{
	for (size_t i = 0; all != NULL && i < all->n; i++) {
		rollover_left_free(&all->list[i]->left);
		buf_free(&all->list[i]->made);
		free(all->list[i]);
	}
	free(all);
}

static struct entry *find(const struct controller *ctl, const char *issuer_id)
{
	for (size_t i = 0; i < ctl->rollovers->n; i++)
		if (text_equal(ctl->rollovers->list[i]->r.issuer_id, issuer_id))
			return ctl->rollovers->list[i];
	return NULL;
}

static struct entry *add(struct controller *ctl, const struct rollover *r)
{
	struct rollovers *all = ctl->rollovers;
	struct entry     *e = all->n < N_ELEMENTS(all->list) ? calloc(1, sizeof(*e)) : NULL;
	if (e == NULL)
		return NULL;
	e->r = *r;
	e->made = (struct buf)BUF_MAX(CERT_DER_MAX);
	text_cut(e->left.issuer_id, sizeof(e->left.issuer_id), r->issuer_id);
	all->list[all->n++] = e;
	return e;
}

int rollovers_load(struct controller *ctl)
{
	struct rollover *rows = calloc(CATALOG_ISSUERS_MAX, sizeof(*rows));
	size_t           n = 0;
	int              r = rows != NULL ? view_rollovers(ctl->view, "", rows, CATALOG_ISSUERS_MAX, &n) : E_NOMEM;
	for (size_t i = 0; r == 0 && i < n; i++)
		r = add(ctl, &rows[i]) != NULL ? 0 : E_NOMEM;
	free(rows);
	return r;
}

const struct rollover *rollovers_find(const struct controller *ctl, const char *issuer_id)
{
	const struct entry *e = find(ctl, issuer_id);
	return e != NULL && e->r.created_at != 0 ? &e->r : NULL;
}

bool rollovers_touches(const struct controller *ctl, const char *issuer_id)
{
	for (size_t i = 0; i < ctl->rollovers->n; i++) {
		const struct rollover *r = &ctl->rollovers->list[i]->r;
		if (!rollover_flow_is_over(r) && (rollover_is_root(r) || text_equal(r->issuer_id, issuer_id) ||
						  text_equal(r->successor_id, issuer_id)))
			return true;
	}
	return false;
}

bool rollovers_any(const struct controller *ctl)
{
	bool any = false;
	for (size_t i = 0; i < ctl->rollovers->n; i++)
		any |= !rollover_flow_is_over(&ctl->rollovers->list[i]->r);
	return any;
}

/* ---- what is durable, in memory --------------------------------------------------------------------------------- */

static void stored(struct controller *ctl, const void *value, size_t n)
{
	(void)n;
	struct rollover key;
	memcpy(&key, value, sizeof(key));
	struct entry *e = find(ctl, key.issuer_id);
	if (e == NULL)
		return;
	bool moved = e->r.phase != key.phase;
	e->r = key;
	e->pending = false;
	e->count_at = 0; /* what is left looks different now */
	e->ended = false;
	e->end_at = 0;
	if (moved)
		log_line(LOG_LEVEL_NOTICE, NULL, "CA %s gives way to %s: %s", key.issuer_id, key.successor_id,
			 rollover_phase_name(key.phase));
}

static void lost(struct controller *ctl, const void *value, size_t n)
{
	(void)n;
	struct rollover key, row;
	memcpy(&key, value, sizeof(key));
	struct entry *e = find(ctl, key.issuer_id);
	if (e == NULL)
		return;
	if (view_rollover(ctl->view, key.issuer_id, &row) == 0)
		e->r = row; /* a beginning that was lost stays what it was given: over */
	e->pending = false;
}

static void put(struct commit *c, struct entry *e, const struct rollover *next)
{
	store_put_rollover(commit_change(c), next);
	e->pending = true;
	commit_then(c, stored, next, sizeof(*next));
	commit_else(c, lost, next, sizeof(*next));
}

/* Not while another one is planned. `answer` is taken over; NULL = nobody waits. */
static void begin_campaign(struct controller *ctl, struct entry *e, const struct caller *who, struct answer *answer)
{
	e->planning = true;
	rollover_campaign_begin(ctl, &e->r, who, answer);
}

/* What came in between is looked at again; who asked is told. */
int rollovers_planned(struct controller *ctl, const char *issuer_id, bool emergency, const struct rollover **ret)
{
	struct entry *e = find(ctl, issuer_id);
	if (e != NULL)
		e->planning = false;
	if (e == NULL || e->pending || ctl->stopping || e->r.emergency != emergency)
		return E_API_BUSY;
	*ret = &e->r;
	return rollover_flow_counts(&e->r) ? 0 : E_ROLLOVER_STATE;
}

/* ---- one step --------------------------------------------------------------------------------------------------- */

/* Adds what the step says to the commit. */
static int take_step(struct controller *ctl, struct commit *c, struct entry *e, const struct rollover_step *s,
		     const struct caller *who)
{
	int r = rollover_act(ctl, c, s, buf_span(&e->made), who);
	if (r == 0)
		put(c, e, &s->next);
	return r;
}

static bool asks_for_campaign(const struct rollover_step *s)
{
	return s->n_act == 1 && s->act[0].kind == ROLLOVER_ACT_CAMPAIGN;
}

/* An event that no person waits for. */
static void happens(struct controller *ctl, struct entry *e, const struct rollover_event *event)
{
	struct rollover_step s;
	struct caller        who = {.actor = "controller"};
	if (e->pending || ctl->stopping || rollover_flow_step(&e->r, event, clock_now(), &s) < 0)
		return; /* what is pending is looked at again afterwards */
	if (asks_for_campaign(&s)) {
		text_cut(who.actor, sizeof(who.actor), e->r.actor);
		if (!e->planning) /* else the next count asks for it again */
			begin_campaign(ctl, e, &who, NULL);
		return;
	}
	if (!s.changed) {
		e->r = s.next; /* when to try again */
		return;
	}
	struct commit *c = commit_new(ctl);
	int            r = take_step(ctl, c, e, &s, &who);
	if (r < 0) {
		commit_drop(c);
		log_line(LOG_LEVEL_ERROR, NULL, "CA %s: the step to %s cannot be made: %s", e->r.issuer_id,
			 rollover_phase_name(s.next.phase), err_what(r));
		return;
	}
	commit_fault_points(c, "controller.rollover", "controller.rollover_stored");
	commit_now(c, NULL, NULL);
}

/* ---- what is left ----------------------------------------------------------------------------------------------- */

static void figures_of(struct controller *ctl, const struct entry *e, int64_t now, struct rollover_figures *ret)
{
	struct campaign c;
	uint32_t        here;
	*ret = (struct rollover_figures){.reissuable = e->left.n_of[LEFT_REISSUABLE]};
	rollover_left_agents(ctl, &e->left, now, &ret->agents, &here);
	rollover_trust_figures(ctl, &e->r, &e->left.trust, now, ret);
	if (e->r.campaigns == 0 || campaigns_find(ctl, e->r.campaign_id, &c) < 0)
		return;
	ret->campaign_open = c.completed_at == 0;
	ret->campaign_cancelled = c.state == CAMPAIGN_CANCELLED;
	ret->campaign_rests =
		c.state == CAMPAIGN_PROCESSING && !campaign_flow_in_flight(&c, campaigns_away(ctl, c.campaign_id));
}

struct count_job {
	struct controller   *ctl;
	int64_t              now;
	struct rollover_left left;
};

static void count(void *job, struct store_view *view)
{
	struct count_job *j = job;
	if (view != NULL)
		rollover_left_count(&j->left, view, j->now);
	else
		j->left.code = E_STORE_IO;
}

static void counted(void *job)
{
	struct count_job     *j = job;
	struct controller    *ctl = j->ctl;
	struct entry         *e = find(ctl, j->left.issuer_id);
	struct rollover_event ev = {.kind = ROLLOVER_EV_COUNTED};
	int64_t               now = clock_now(), pause = j->left.took_ms * COUNT_SHARE;
	if (e == NULL || j->left.code < 0) {
		rollover_left_free(&j->left);
	} else {
		rollover_left_free(&e->left);
		e->left = j->left;
	}
	if (e != NULL) {
		e->counting = false;
		e->count_at = now + (pause > COUNT_EVERY_MS ? pause : COUNT_EVERY_MS);
	}
	if (e != NULL && j->left.code == 0 && !ctl->stopping) {
		figures_of(ctl, e, now, &ev.figures);
		happens(ctl, e, &ev);
	}
	free(j);
}

static void begin_count(struct controller *ctl, struct entry *e, int64_t now)
{
	struct count_job *j = calloc(1, sizeof(*j));
	if (j == NULL)
		return; /* at the next tick */
	j->ctl = ctl;
	j->now = now;
	j->left.trust.epoch = rollover_trust_epoch(ctl, &e->r);
	text_cut(j->left.issuer_id, sizeof(j->left.issuer_id), e->r.issuer_id);
	e->counting = true;
	workers_read(ctl->workers, count, counted, j);
}

/* ---- the signer ------------------------------------------------------------------------------------------------- */

/* Of a root: those below it, one after the other; to be closed twice is nothing to the signer. NULL = all are. */
static const char *to_be_closed(struct controller *ctl, const struct entry *e)
{
	if (!rollover_is_root(&e->r))
		return e->r.issuer_id;
	const struct catalog_issuer *below = rollover_root_below(ctl, e->r.issuer_id, e->n_closed);
	return below != NULL ? below->row.issuer_id : NULL;
}

static void answered(struct controller *ctl, const char *issuer_id, const struct signed_answer *a,
		     enum rollover_event_kind good)
{
	struct entry         *e = find(ctl, issuer_id);
	struct rollover_event ev = {.kind = a->code == 0 ? good : ROLLOVER_EV_REFUSED, .code = a->code};
	if (e == NULL)
		return;
	e->asking = false;
	text_cut(ev.cause, sizeof(ev.cause), a->code == 0 ? "" : a->text);
	buf_reset(&e->made);
	if (a->code == 0)
		buf_add(&e->made, a->der.p, a->der.n);
	happens(ctl, e, &ev);
}

void rollovers_made(struct controller *ctl, const struct ticket *t, const struct signed_answer *a)
{
	answered(ctl, t->issuer_id, a, ROLLOVER_EV_MADE);
}

void rollovers_closed(struct controller *ctl, const struct ticket *t, const struct signed_answer *a)
{
	struct entry *e = find(ctl, t->issuer_id);
	if (e != NULL && rollover_is_root(&e->r) && a->code == 0) {
		e->n_closed++;
		if (to_be_closed(ctl, e) != NULL) {
			e->asking = false; /* the next one with the next tick */
			return;
		}
	}
	answered(ctl, t->issuer_id, a, ROLLOVER_EV_CLOSED);
}

/* The word that ends a campaign is a change of its own: after a kill in between, or where it could not be stored, it is said again. */
static void end_campaign(struct controller *ctl, struct entry *e, int64_t now)
{
	struct campaign c;
	if (e->ended || e->pending || e->end_at > now)
		return;
	e->end_at = now + COUNT_EVERY_MS;
	int r = rollover_flow_ends_campaign(&e->r) ? campaigns_find(ctl, e->r.campaign_id, &c) : E_NOT_FOUND;
	e->ended = r == E_NOT_FOUND || (r == 0 && (c.completed_at != 0 || c.state == CAMPAIGN_CANCELLED));
	if (r == 0 && !e->ended)
		rollover_act_end_campaign(ctl, &e->r);
}

static void close_next(struct controller *ctl, struct entry *e)
{
	const char *issuer_id = to_be_closed(ctl, e);
	if (issuer_id != NULL)
		e->asking = rollover_signer_close(ctl, &e->r, issuer_id) == 0;
	else /* all are, and it could not be stored */
		happens(ctl, e, &(struct rollover_event){.kind = ROLLOVER_EV_CLOSED});
}

/* A person made it; the signer tells of it when it connects. */
static void look_for_root(struct controller *ctl, struct entry *e)
{
	const struct catalog_issuer *old = catalog_issuer(ctl->catalog, e->r.issuer_id);
	struct rollover_event        ev = {.kind = ROLLOVER_EV_MADE};
	struct refusal               why = {.code = 0};
	char                         root_id[ISSUER_ID_SIZE] = "";
	int                          r = old != NULL ? rollover_root_next(ctl, &old->row, root_id, &why) : E_INTERNAL;
	if (r == 0 && !text_equal(root_id, e->r.successor_id))
		r = refuse(&why, E_ROLLOVER_ROOT, e->r.issuer_id, "the next root is %s now: roll back and ask again", root_id);
	if (r < 0) {
		ev.kind = ROLLOVER_EV_REFUSED;
		ev.code = r;
		text_cut(ev.cause, sizeof(ev.cause), why.cause);
	}
	happens(ctl, e, &ev);
}

static void release(struct controller *ctl, struct entry *e)
{
	const struct catalog_issuer *old = catalog_issuer(ctl->catalog, e->r.issuer_id);
	struct rollover_event        ev = {.kind = ROLLOVER_EV_REFUSED, .code = E_ROLLOVER_ROOT};
	int r = old != NULL ? bundles_release(ctl, (struct span){old->row.der, old->row.der_len}) : E_INTERNAL;
	(void)snprintf(ev.cause, sizeof(ev.cause), "the trust bundle without it is not there: `vcc-signer drop-root %s` on the signer's host makes it",
		       e->r.issuer_id);
	if (r == E_NOT_FOUND)
		happens(ctl, e, &ev);
	else if (r == 0 && e->r.code != 0)
		happens(ctl, e, &(struct rollover_event){.kind = ROLLOVER_EV_CLOSED}); /* what stopped it does not any more */
}

/* Somebody else signs than before: who holds something of the one before, or has to know whom to believe, is told. */
static void tell_of_issuers(struct controller *ctl)
{
	if (!ctl->issuers_moved || ctl->stopping)
		return;
	ctl->issuers_moved = false;
	crls_republish(ctl);
	gateway_trust_changed(ctl);
	fleet_identities_due(ctl);
}

void rollovers_tick(struct controller *ctl, int64_t now)
{
	tell_of_issuers(ctl);
	for (size_t i = 0; i < ctl->rollovers->n; i++) {
		struct entry      *e = ctl->rollovers->list[i];
		enum rollover_wish wish =
			e->pending || e->asking || !signer_ready(ctl) ? ROLLOVER_WANTS_NOTHING : rollover_flow_wish(&e->r, now);
		if (wish == ROLLOVER_WANTS_SUCCESSOR && rollover_is_root(&e->r))
			look_for_root(ctl, e);
		else if (wish == ROLLOVER_WANTS_SUCCESSOR)
			e->asking = rollover_signer_successor(ctl, &e->r) == 0; /* else at the next tick */
		else if (wish == ROLLOVER_WANTS_CLOSED)
			close_next(ctl, e);
		else if (wish == ROLLOVER_WANTS_RELEASED)
			release(ctl, e);
		end_campaign(ctl, e, now);
		if (rollover_flow_counts(&e->r) && !e->counting && !e->pending && e->count_at <= now)
			begin_count(ctl, e, now);
	}
}

/* ---- persons ---------------------------------------------------------------------------------------------------- */

int rollovers_begin(struct controller *ctl, struct commit *c, const struct rollover *first, const struct caller *who)
{
	struct entry   *e = find(ctl, first->issuer_id);
	struct rollover over = *first;
	if (e != NULL && e->pending)
		return E_API_BUSY;
	over.phase = ROLLOVER_ROLLED_BACK; /* until it is stored nothing happens, and there is none */
	over.created_at = 0;
	if (e == NULL && (e = add(ctl, &over)) == NULL)
		return E_FULL;
	rollover_act_begin(c, first, who);
	put(c, e, first);
	return 0;
}

void rollovers_campaign_made(struct controller *ctl, struct commit *c, const char *issuer_id, struct id campaign_id)
{
	struct entry         *e = find(ctl, issuer_id);
	struct rollover_event ev = {.kind = ROLLOVER_EV_CAMPAIGN, .campaign_id = campaign_id};
	struct rollover_step  s;
	if (e != NULL && !e->pending && rollover_flow_step(&e->r, &ev, clock_now(), &s) == 0 && s.changed)
		put(c, e, &s.next);
}

static bool counted_lately(const struct entry *e, int64_t now)
{
	return e->left.counted_at != 0 && now - e->left.counted_at <= FRESH_MS;
}

/* The step of a person's word; nothing is changed by asking. */
static int step_of(struct controller *ctl, const char *issuer_id, struct rollover_event *ev, struct entry **ret,
		   struct rollover_step *s)
{
	struct entry *e = find(ctl, issuer_id);
	int64_t       now = clock_now();
	if (e == NULL || e->r.created_at == 0)
		return E_NOT_FOUND;
	if (e->pending)
		return E_API_BUSY;
	figures_of(ctl, e, now, &ev->figures);
	int r = rollover_flow_step(&e->r, ev, now, s);
	if (r == 0 && ev->kind == ROLLOVER_EV_RETIRE && !counted_lately(e, now))
		return E_API_UNAVAILABLE; /* what was counted in another phase proves nothing */
	*ret = e;
	return r;
}

int rollovers_may_retire(struct controller *ctl, const char *issuer_id, bool override)
{
	struct rollover_event ev = {.kind = ROLLOVER_EV_RETIRE, .override = override};
	struct rollover_step  s;
	struct entry         *e;
	return step_of(ctl, issuer_id, &ev, &e, &s);
}

int rollovers_retire(struct controller *ctl, struct commit *c, const char *issuer_id, bool override, uint32_t consumers,
		     struct hash consumers_hash, const struct caller *who)
{
	struct rollover_event ev = {
		.kind = ROLLOVER_EV_RETIRE, .override = override, .consumers = consumers, .consumers_hash = consumers_hash};
	struct rollover_step s;
	struct entry        *e;
	int                  r = step_of(ctl, issuer_id, &ev, &e, &s);
	return r == 0 ? take_step(ctl, c, e, &s, who) : r;
}

const struct rollover *rollovers_turnable(const struct controller *ctl, const char *issuer_id)
{
	const struct rollover *r = rollovers_find(ctl, issuer_id);
	return r != NULL && rollover_flow_may_turn(r) ? r : NULL;
}

static bool is_gone(struct controller *ctl, const char *issuer_id)
{
	const struct catalog_issuer *i = catalog_issuer(ctl->catalog, issuer_id);
	return i == NULL || i->row.revoked_at != 0 || i->row.retired;
}

static bool signs(struct controller *ctl, const char *issuer_id)
{
	const struct catalog_issuer *i = catalog_issuer(ctl->catalog, issuer_id);
	return i != NULL && catalog_signs(ctl->catalog, i, i->row.role) == 0;
}

/* The way back leads through a successor that has not given way itself; and neither way from one that signs to one that was
 * revoked meanwhile: nobody would sign. */
static bool leads_nowhere(struct controller *ctl, const struct rollover_step *s)
{
	const struct rollover       *r = &s->next;
	if (rollover_is_root(r))
		return rollover_root_leads_nowhere(ctl, r);
	const struct catalog_issuer *successor = catalog_issuer(ctl->catalog, r->successor_id);
	if (r->phase == ROLLOVER_ROLLED_BACK)
		return (successor != NULL && successor->row.standing == ISSUER_DRAINS) ||
		       (is_gone(ctl, r->issuer_id) && signs(ctl, r->successor_id));
	return r->phase == ROLLOVER_ISSUING && is_gone(ctl, r->successor_id) && signs(ctl, r->issuer_id);
}

int rollovers_turn(struct controller *ctl, struct commit *c, const char *issuer_id, const char *requester,
		   const struct caller *who)
{
	struct rollover_event ev = {.kind = ROLLOVER_EV_EMERGENCY};
	struct rollover_step  s;
	struct entry         *e;
	text_cut(ev.actor, sizeof(ev.actor), requester);
	text_cut(ev.cause, sizeof(ev.cause), who->reason);
	int r = step_of(ctl, issuer_id, &ev, &e, &s);
	if (r == 0 && leads_nowhere(ctl, &s))
		r = E_ROLLOVER_STATE;
	return r == 0 ? take_step(ctl, c, e, &s, who) : r;
}

void rollovers_order(struct controller *ctl, const char *issuer_id, enum rollover_event_kind kind, const struct caller *who,
		     api_done_fn *done, void *ctx)
{
	struct answer        *a = answer_new(done, ctx);
	struct rollover_event ev = {.kind = kind};
	struct rollover_step  s;
	struct entry         *e = NULL;
	text_cut(ev.cause, sizeof(ev.cause), who->reason);
	int         r = step_of(ctl, issuer_id, &ev, &e, &s);
	const char *cause = r == E_NOT_FOUND       ? "this CA was never asked to give way"
			    : r == E_ROLLOVER_GATE ? "hosts that were seen within 30 days have not loaded the next root yet: `vccctl ca rollover` lists them"
						   : NULL;
	if (r == 0 && leads_nowhere(ctl, &s)) {
		r = E_ROLLOVER_STATE;
		cause = "the CA that would sign then is revoked, or gives way itself";
	}
	if (r == 0 && e->planning && asks_for_campaign(&s))
		r = E_API_BUSY;
	if (r < 0) {
		answer_refuse(a, r, issuer_id, cause);
		return;
	}
	if (asks_for_campaign(&s)) {
		begin_campaign(ctl, e, who, a);
		return;
	}
	struct commit *c = commit_new(ctl);
	r = take_step(ctl, c, e, &s, who);
	if (r < 0) {
		commit_drop(c);
		answer_refuse(a, r, issuer_id, NULL);
		return;
	}
	commit_fault_points(c, "controller.rollover_word", "controller.rollover_word_stored");
	commit_now(c, answer_stored, a);
}

json_t *rollovers_json(struct controller *ctl, const char *issuer_id, int64_t now)
{
	const struct entry     *e = find(ctl, issuer_id);
	struct rollover_figures f;
	if (e == NULL || e->r.created_at == 0)
		return NULL;
	figures_of(ctl, e, now, &f);
	return rollover_json(ctl, &e->r, &f, &e->left, now);
}

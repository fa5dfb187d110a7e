/* campaigns.c - room controller/daemon: campaigns that are not closed, and the way of an event through them.
 * The members are the truth, a campaign's counts follow from them: after a lost commit they are counted again. Never: deciding
 * a step. */
#include "controller/daemon/campaigns.h"

#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "controller/daemon/answer.h"
#include "controller/daemon/approvals.h"
#include "controller/daemon/campaign_drive.h"
#include "controller/daemon/campaign_make.h"
#include "controller/daemon/campaign_once.h"
#include "controller/daemon/campaign_send.h"
#include "controller/daemon/drills.h"
#include "controller/core/campaign_member.h"
#include "controller/core/waves.h"
#include "controller/daemon/fleet.h"
#include "controller/daemon/orders.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/sys/clock.h"
#include "shared/sys/fault.h"
#include "shared/sys/log.h"

enum { PAGE = 100, KIND_OPEN_MAX = 16 };
#define DRILL_AWAY_MS MS_MINUTE /* a host that was connected when it was sent to may start again meanwhile */

int campaigns_open(struct campaigns **ret)
{
	struct campaigns *all = calloc(1, sizeof(*all));
	if (all == NULL)
		return E_NOMEM;
	*ret = all;
	return 0;
}

/* ---- the tables ------------------------------------------------------------------------------------------------- */

struct entry *campaigns_entry(const struct controller *ctl, struct id campaign_id)
{
	struct entry *e = NULL;
	HASH_FIND(hh, ctl->campaigns->open, &campaign_id, sizeof(campaign_id), e);
	return e;
}

static struct watch *watch_find(const struct controller *ctl, struct id campaign_id, struct id renewal_id)
{
	struct watch_key key = {campaign_id, renewal_id};
	struct watch    *w = NULL;
	HASH_FIND(hh, ctl->campaigns->watches, &key, sizeof(key), w);
	return w;
}

static void watch_end(struct controller *ctl, struct watch *w)
{
	HASH_DEL(ctl->campaigns->watches, w);
	free(w);
}

void campaigns_watch(struct controller *ctl, const struct campaign_member *m)
{
	struct watch *w = watch_find(ctl, m->campaign_id, m->renewal_id);
	struct order  o;
	if (w == NULL) {
		w = calloc(1, sizeof(*w));
		if (w == NULL)
			abort();
		w->key = (struct watch_key){m->campaign_id, m->renewal_id};
		HASH_ADD(hh, ctl->campaigns->watches, key, sizeof(w->key), w);
	}
	w->position = m->position;
	w->follows = m->state == MEMBER_FOLLOWING;
	w->state = m->state;
	/* a member of a campaign that was over when its host was renamed keeps the old name; its order does not */
	text_cut(w->agent, sizeof(w->agent), orders_find(ctl, m->renewal_id, &o) == 0 ? o.agent : m->agent);
}

void campaigns_unwatch(struct controller *ctl, const struct campaign_member *m)
{
	struct watch *w = watch_find(ctl, m->campaign_id, m->renewal_id);
	if (w != NULL)
		watch_end(ctl, w);
}

void campaigns_watches_end(struct controller *ctl, struct id campaign_id)
{
	struct watch *w, *tmp;
	HASH_ITER (hh, ctl->campaigns->watches, w, tmp)
		if (id_equal(w->key.campaign_id, campaign_id))
			watch_end(ctl, w);
}

struct entry *campaigns_entry_add(struct controller *ctl, const struct campaign *c)
{
	struct entry *e = calloc(1, sizeof(*e));
	if (e == NULL)
		abort();
	e->c = *c;
	HASH_ADD(hh, ctl->campaigns->open, c.campaign_id, sizeof(e->c.campaign_id), e);
	return e;
}

static void waiters_free(struct entry *e)
{
	struct waiter *w, *tmp;
	LL_FOREACH_SAFE (e->waiters, w, tmp) {
		w->done(w->ctx, NULL, false);
		free(w);
	}
	e->waiters = NULL;
}

void campaigns_free(struct campaigns *all)
{
	if (all == NULL)
		return;
	struct entry *e, *etmp;
	struct watch *w, *wtmp;
	HASH_ITER (hh, all->open, e, etmp) {
		HASH_DEL(all->open, e);
		waiters_free(e);
		free(e);
	}
	HASH_ITER (hh, all->watches, w, wtmp) {
		HASH_DEL(all->watches, w);
		free(w);
	}
	campaign_once_free(all);
	free(all);
}

static bool is_over(const struct campaign *c)
{
	return c->completed_at != 0 && c->confirmation != CONFIRMATION_ASKED;
}

int campaigns_find(struct controller *ctl, struct id campaign_id, struct campaign *ret)
{
	const struct entry *e = campaigns_entry(ctl, campaign_id);
	if (e == NULL)
		return view_campaign(ctl->view, campaign_id, ret);
	*ret = e->c;
	return 0;
}

uint32_t campaigns_away(struct controller *ctl, struct id campaign_id)
{
	const struct entry *e = campaigns_entry(ctl, campaign_id);
	return e == NULL ? 0 : e->away < campaign_flow_open(&e->c) ? e->away : campaign_flow_open(&e->c);
}

/* ---- waiting ---------------------------------------------------------------------------------------------------- */

/* Only what is stored is told. */
static void tell_waiters(struct entry *e, int64_t now)
{
	bool           in_flight = campaign_flow_in_flight(&e->c, e->away);
	bool           rests = e->c.completed_at != 0 || e->c.state == CAMPAIGN_AWAITING_APPROVAL || !in_flight;
	struct waiter *w, *tmp;
	LL_FOREACH_SAFE (e->waiters, w, tmp)
		if ((rests && e->pending == 0 && !e->lost) || now >= w->until_at) {
			LL_DELETE(e->waiters, w);
			w->done(w->ctx, &e->c, in_flight);
			free(w);
		}
}

void campaigns_wait(struct controller *ctl, struct id campaign_id, int64_t until_at, campaign_wait_fn *done, void *ctx)
{
	struct entry   *e = campaigns_entry(ctl, campaign_id);
	struct campaign c = {.state = CAMPAIGN_CANCELLED};
	if (e == NULL) {
		(void)!view_campaign(ctl->view, campaign_id, &c);
		done(ctx, &c, false);
		return;
	}
	struct waiter *w = calloc(1, sizeof(*w));
	if (w == NULL)
		abort();
	*w = (struct waiter){.until_at = until_at, .done = done, .ctx = ctx};
	LL_APPEND(e->waiters, w);
	tell_waiters(e, clock_now());
}

/* ---- after the commit ------------------------------------------------------------------------------------------- */

static void forget_if_over(struct controller *ctl, struct entry *e)
{
	if (e == NULL || e->pending > 0 || e->lost || !is_over(&e->c) || e->waiters != NULL)
		return;
	campaigns_watches_end(ctl, e->c.campaign_id);
	HASH_DEL(ctl->campaigns->open, e);
	free(e);
}

static void settle(struct controller *ctl, struct entry *e)
{
	if (e->lost && e->pending == 0 && campaigns_reload(ctl, e) < 0)
		return; /* the next tick tries again */
	campaign_drill_gives_way(ctl, e);
	campaign_drive(ctl, e);
	tell_waiters(e, clock_now());
	if (e->c.kind == CAMPAIGN_DRILL && e->pending == 0 && !e->lost && is_over(&e->c))
		drills_look(ctl);
	forget_if_over(ctl, e);
}

struct change_note {
	struct id campaign_id;
	bool      sending;
};

static void on_change(struct controller *ctl, const void *value, bool stored)
{
	struct change_note n;
	memcpy(&n, value, sizeof(n));
	struct entry *e = campaigns_entry(ctl, n.campaign_id);
	if (e == NULL)
		return;
	e->pending--;
	e->sending -= n.sending ? 1 : 0;
	e->lost |= !stored;
	settle(ctl, e);
}

static void on_stored(struct controller *ctl, const void *value, size_t n)
{
	(void)n;
	on_change(ctl, value, true);
}

static void on_lost(struct controller *ctl, const void *value, size_t n)
{
	(void)n;
	on_change(ctl, value, false);
}

/* ---- a step into a commit --------------------------------------------------------------------------------------- */

/* The campaign's own part of a commit; `sending`: members that wait are taken or added in it. */
void campaigns_take_step(struct commit *c, struct entry *e, const struct campaign_step *step, bool sending,
			 const struct caller *who)
{
	static const struct caller controller = {.actor = "controller"};
	int64_t                    now = clock_now();
	e->c = step->next;
	for (size_t i = 0; i < step->n_act; i++)
		if (step->act[i].kind == CAMPAIGN_ACT_AUDIT)
			campaign_record(c, &e->c, step->act[i].event, who != NULL ? who : &controller, now);
	store_put_campaign(commit_change(c), &e->c);
	struct change_note note = {e->c.campaign_id, sending};
	e->pending++;
	e->sending += sending ? 1 : 0;
	commit_then(c, on_stored, &note, sizeof(note));
	commit_else(c, on_lost, &note, sizeof(note));
}

int campaigns_step(const struct entry *e, const struct campaign_event *ev, struct campaign_step *ret)
{
	return campaign_flow_step(&e->c, ev, clock_now(), ret);
}

/* ---- orders that go on ------------------------------------------------------------------------------------------ */

static void member_moved(struct controller *ctl, struct commit *c, struct entry *e, struct watch *w, const struct order *next)
{
	struct campaign_member m;
	struct campaign_step   step;
	int64_t                now = clock_now();
	struct campaign_event  ev = {
		 .kind = CAMPAIGN_EV_MOVED, .from = w->state, .to = campaign_member_state(&e->c, next, w->follows, now),
		 .peer_unproved = e->c.peer_proof && (next->flags & ORDER_PEER_UNPROVED) != 0};
	bool settled = ev.from == MEMBER_FAILED && ev.to != MEMBER_DONE; /* it failed, whatever became of it later */
	if (ev.from == ev.to || settled || view_member(ctl->view, e->c.campaign_id, w->position, &m) < 0)
		return;
	bool left = ev.to == MEMBER_SKIPPED || ev.to == MEMBER_DROPPED;
	bool ended = ev.to == MEMBER_FAILED || ev.to == MEMBER_KEPT || left;
	m.state = ev.to;
	m.renewal_id = ev.to == MEMBER_WAITING ? (struct id){{0}} : next->renewal_id;
	m.code = ended || ev.peer_unproved ? next->code : 0;
	if (ended && m.code == 0)
		m.code = E_SWAP_CANCELLED;
	text_cut(m.cause, sizeof(m.cause), ended || ev.peer_unproved ? next->cause : "");
	m.changed_at = now;
	w->state = ev.to;
	e->away = 0; /* it may have been one of these: until they are counted again, all are taken to be there */
	if (ev.to != MEMBER_FAILED && ev.to != MEMBER_ORDERED && ev.to != MEMBER_FOLLOWING && ev.to != MEMBER_GOING_BACK)
		watch_end(ctl, w);
	if (campaigns_step(e, &ev, &step) < 0)
		return;
	store_put_member(commit_change(c), &m);
	campaigns_take_step(c, e, &step, false, NULL);
}

void campaigns_order_moved(struct controller *ctl, struct commit *c, const struct order *was, const struct order *next)
{
	struct entry *e, *tmp;
	if (ctl->campaigns == NULL || (was->phase == next->phase && was->failures == next->failures))
		return;
	HASH_ITER (hh, ctl->campaigns->open, e, tmp) { /* few are open */
		struct watch *w = watch_find(ctl, e->c.campaign_id, next->renewal_id);
		if (w != NULL && e->c.completed_at == 0) /* it is closed: what it says of its members stays */
			member_moved(ctl, c, e, w, next);
	}
}

void campaigns_adopt(struct controller *ctl, const struct campaign *c)
{
	settle(ctl, campaigns_entry_add(ctl, c));
}

/* ---- members that come while it runs ---------------------------------------------------------------------------- */

int campaigns_join(struct controller *ctl, struct commit *c, struct id campaign_id, struct campaign_member *rows, size_t n)
{
	struct entry         *e = campaigns_entry(ctl, campaign_id);
	struct campaign_event ev = {.kind = CAMPAIGN_EV_JOINED};
	struct campaign_step  step;
	if (e != NULL && e->lost)
		return E_API_UNAVAILABLE; /* to be read again first */
	if (e == NULL || !e->c.collecting)
		return E_CAMPAIGN_STATE;
	for (size_t i = 0; i < n; i++) {
		rows[i].campaign_id = campaign_id;
		rows[i].position = (uint64_t)e->c.total + i + 1;
		store_add_member(commit_change(c), &rows[i]);
		ev.moved[rows[i].state]++;
	}
	int r = campaigns_step(e, &ev, &step);
	if (r == 0 && n > 0)
		campaigns_take_step(c, e, &step, true, NULL);
	return r;
}

void campaigns_whole(struct controller *ctl, struct commit *c, struct id campaign_id)
{
	struct entry         *e = campaigns_entry(ctl, campaign_id);
	struct campaign_event ev = {.kind = CAMPAIGN_EV_WHOLE};
	struct campaign_step  step;
	if (e != NULL && e->c.collecting && campaigns_step(e, &ev, &step) == 0)
		campaigns_take_step(c, e, &step, false, NULL);
}

int campaigns_give_way(struct controller *ctl, struct commit *c, const struct campaign *next, const struct caller *who)
{
	struct entry         *old[KIND_OPEN_MAX], *e, *tmp;
	struct campaign_event ev = {.kind = CAMPAIGN_EV_CANCEL, .cause = "a later change took its place"};
	struct campaign_step  step;
	size_t                n = 0;
	HASH_ITER (hh, ctl->campaigns->open, e, tmp) {
		bool same = e->c.kind == next->kind && text_equal(e->c.selector, next->selector) &&
			    (e->c.state == CAMPAIGN_PROCESSING || e->c.state == CAMPAIGN_HALTED);
		if (same && (e->lost || n == N_ELEMENTS(old)))
			return E_API_UNAVAILABLE;
		if (same)
			old[n++] = e;
	}
	for (size_t i = 0; i < n; i++)
		if (campaigns_step(old[i], &ev, &step) == 0)
			campaigns_take_step(c, old[i], &step, false, who);
	return 0;
}

/* ---- persons ---------------------------------------------------------------------------------------------------- */

/* Which positions a wave has, and how far the campaign came where none is named. */
static int span_of(const struct campaign *c, uint32_t wave, struct campaign_event *ev)
{
	uint64_t first = 1;
	ev->first = 1;
	ev->last = c->total;
	if (wave > c->wave)
		return E_CAMPAIGN_STATE; /* it was not released yet */
	if (wave > 0)
		return waves_span(c->waves, wave, &ev->first, &ev->last) ? 0 : E_CAMPAIGN_STATE;
	if (c->wave > 0)
		(void)waves_span(c->waves, c->wave, &first, &ev->last);
	return 0;
}

/* Why it is not possible now. */
static const char *not_now(const struct campaign *c, enum campaign_event_kind kind, char ret[CAUSE_SIZE])
{
	const char *why = "";
	if (kind == CAMPAIGN_EV_HALT && c->state == CAMPAIGN_PROCESSING)
		why = ": everything of it is sent already, and nothing is left to halt";
	else if (kind == CAMPAIGN_EV_ROLLBACK && c->kind == CAMPAIGN_DRILL)
		why = ": a drill, and nothing of it was put in use";
	else if (kind == CAMPAIGN_EV_ROLLBACK)
		why = ": nothing of what is named was sent, or all of it is back already";
	(void)snprintf(ret, CAUSE_SIZE, "it is %s%s", campaign_state_name(c->state), why);
	return ret;
}

void campaigns_order(struct controller *ctl, struct id campaign_id, enum campaign_event_kind kind, uint32_t wave,
		     const struct caller *who, api_done_fn *done, void *ctx)
{
	struct answer        *a = answer_new(done, ctx);
	struct entry         *e = campaigns_entry(ctl, campaign_id);
	int64_t               grace_ms = ctl->conf->grace_ms, unproved_ms = ctl->conf->grace_unproved_ms;
	struct campaign_event ev = {.kind = kind, .grace_ms = grace_ms > unproved_ms ? grace_ms : unproved_ms};
	struct campaign_step  step;
	char                  id[ID_TEXT_SIZE];
	int                   r = e != NULL ? 0 : view_campaign(ctl->view, campaign_id, &a->result.campaign);
	text_cut(ev.cause, sizeof(ev.cause), who->reason);
	ev.by_person = ev.cause[0] != '\0' && !text_equal(who->actor, "controller");
	if (r == 0 && e == NULL && kind == CAMPAIGN_EV_ROLLBACK) /* it is closed: what is asked for opens it again */
		e = campaigns_entry_add(ctl, &a->result.campaign);
	if (r == 0 && kind == CAMPAIGN_EV_ROLLBACK)
		r = span_of(&e->c, wave, &ev);
	if (r == 0)
		r = e != NULL && !e->lost ? campaigns_step(e, &ev, &step) : e != NULL ? E_API_UNAVAILABLE : E_CAMPAIGN_STATE;
	if (r < 0) {
		char        cause[CAUSE_SIZE];
		bool        state = r == E_CAMPAIGN_STATE;
		const char *said = state ? not_now(e != NULL ? &e->c : &a->result.campaign, kind, cause) : NULL;
		forget_if_over(ctl, e);
		answer_refuse(a, r, id_text(campaign_id, id), said);
		return;
	}
	struct commit *c = commit_new(ctl);
	bool           waited = e->c.state == CAMPAIGN_AWAITING_APPROVAL;
	campaigns_take_step(c, e, &step, false, who);
	if (waited)
		approvals_order_left(ctl, c, campaign_id, NULL, who, "the campaign was cancelled");
	a->result.campaign = e->c;
	commit_fault_points(c, "controller.campaign_word", "controller.campaign_word_stored");
	commit_now(c, answer_stored, a);
}

int campaigns_decided(struct controller *ctl, struct commit *c, struct id campaign_id, bool approve, const char *cause,
		      bool by_person, const struct caller *who)
{
	struct entry         *e = campaigns_entry(ctl, campaign_id);
	struct campaign_event ev = {.kind = approve ? CAMPAIGN_EV_APPROVED : CAMPAIGN_EV_REJECTED, .by_person = by_person};
	struct campaign_step  step;
	text_cut(ev.cause, sizeof(ev.cause), cause);
	if (e != NULL && e->lost)
		return E_API_UNAVAILABLE; /* to be read again first */
	if (e == NULL || campaigns_step(e, &ev, &step) < 0)
		return E_APPROVAL_GONE;
	campaigns_take_step(c, e, &step, false, who);
	if (approve && e->c.kind == CAMPAIGN_EMERGENCY)
		campaigns_end_drills(ctl, c, who);
	return 0;
}

/* ---- time ------------------------------------------------------------------------------------------------------- */

void campaigns_renamed(struct controller *ctl, const char *from, const char *to)
{
	struct watch *w, *tmp;
	HASH_ITER (hh, ctl->campaigns->watches, w, tmp)
		if (text_equal(w->agent, from))
			text_cut(w->agent, sizeof(w->agent), to);
}

static bool is_away_for(struct controller *ctl, const char *agent, int64_t now, int64_t ms)
{
	int64_t seen_at = fleet_seen_at(ctl, agent);
	return !fleet_connected(ctl, agent) && now - (seen_at > ctl->started_at ? seen_at : ctl->started_at) > ms;
}

/* Long enough for a host that only comes back from a restart of ours, or of its gateway. */
static bool is_away(struct controller *ctl, const char *agent, int64_t now)
{
	return is_away_for(ctl, agent, now, CAMPAIGN_AWAY_MS);
}

/* Open members that nothing is in flight for. */
static void count_away(struct controller *ctl, int64_t now)
{
	struct entry *e, *etmp;
	struct watch *w, *wtmp;
	HASH_ITER (hh, ctl->campaigns->open, e, etmp)
		e->away = 0;
	HASH_ITER (hh, ctl->campaigns->watches, w, wtmp) {
		struct order o;
		if (w->state != MEMBER_ORDERED && w->state != MEMBER_FOLLOWING && w->state != MEMBER_GOING_BACK)
			continue;
		bool away = is_away(ctl, w->agent, now) ||
			    (orders_find(ctl, w->key.renewal_id, &o) == 0 && o.phase == ORDER_AWAITING_APPROVAL);
		if (away && (e = campaigns_entry(ctl, w->key.campaign_id)) != NULL)
			e->away++;
	}
}

/* A cancelled campaign's order that no host has begun, and that nobody may come to begin for days: it waits for a person, or its host is
 * away. In an emergency what was sent to such a host stays: its old certificate may be revoked already. Of a drill nothing is waited for once it
 * is cancelled, and no host that is away before that: an emergency would not reach it. */
static bool is_unbegun(struct controller *ctl, const struct entry *e, const struct watch *w, int64_t now)
{
	struct order o;
	if (w->state != MEMBER_ORDERED || !id_equal(w->key.campaign_id, e->c.campaign_id) || orders_find(ctl, w->key.renewal_id, &o) < 0)
		return false;
	if (e->c.kind == CAMPAIGN_DRILL)
		return e->c.state == CAMPAIGN_CANCELLED || is_away_for(ctl, w->agent, now, fault_ms("VCC_DRILL_AWAY_MS", DRILL_AWAY_MS));
	bool sent = o.phase == ORDER_PLANNED || o.phase == ORDER_ORDERED ||
		    (o.phase == ORDER_ISSUED && (o.flags & ORDER_CANCEL_ASKED) == 0); /* by a staged key: called back in its first exchange */
	return o.phase == ORDER_AWAITING_APPROVAL || (sent && e->c.kind != CAMPAIGN_EMERGENCY && is_away(ctl, w->agent, now));
}

static void end_unbegun(struct controller *ctl, struct entry *e, int64_t now)
{
	struct id     ids[PAGE];
	size_t        n = 0;
	struct caller who;
	struct watch *w, *tmp;
	campaign_caller(&e->c, &who);
	HASH_ITER (hh, ctl->campaigns->watches, w, tmp) /* an order that ends takes its watches with it: first the list */
		if (n < PAGE && is_unbegun(ctl, e, w, now))
			ids[n++] = w->key.renewal_id;
	for (size_t i = 0; i < n; i++) {
		int drill = e->c.state == CAMPAIGN_CANCELLED ? E_DRILL_GAVE_WAY : E_DRILL_AWAY;
		int code = e->c.kind == CAMPAIGN_DRILL ? drill : E_CAMPAIGN_ENDED;
		struct order_event ev = {.kind = EV_CANCEL, .renewal_id = ids[i], .code = code};
		text_cut(ev.cause, sizeof(ev.cause), err_what(code));
		bool               stored;
		(void)!orders_event(ctl, &ev, &(struct order_input){.who = &who}, &stored); /* the next tick tries again */
	}
}

void campaigns_tick(struct controller *ctl, int64_t now)
{
	struct entry *e, *tmp;
	count_away(ctl, now);
	HASH_ITER (hh, ctl->campaigns->open, e, tmp) {
		if (e->c.held > 0 && e->c.state == CAMPAIGN_PROCESSING && e->sending == 0 && !e->lost)
			campaign_drive_held(ctl, e);
		bool some = campaign_flow_open(&e->c) > 0 && e->pending == 0 && !e->lost;
		if (some && (e->c.state == CAMPAIGN_CANCELLED || e->c.kind == CAMPAIGN_DRILL))
			end_unbegun(ctl, e, now);
		settle(ctl, e);
	}
}

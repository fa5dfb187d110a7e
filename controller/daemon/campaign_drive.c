/* campaign_drive.c - room controller/daemon: the members of a campaign that is not closed are sent, dropped and taken back, as far as its core says.
 * Never: deciding how many; a second change while one of who waits is on its way to the store. */
#include "controller/daemon/campaign_drive.h"

#include <stdio.h>
#include <stdlib.h>

#include "controller/core/waves.h"
#include "controller/daemon/campaign_make.h"
#include "controller/daemon/campaign_send.h"
#include "controller/daemon/orders.h"
#include "controller/daemon/rollbacks.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/sys/clock.h"
#include "shared/sys/fault.h"

enum { PAGE = 100, STEPS_AT_ONCE = 8 };

/* ---- members that go ------------------------------------------------------------------------------------------- */

static void send_members(struct controller *ctl, struct entry *e, enum member_state from, struct campaign_member *rows,
			 size_t n, bool stage_ends, bool wave_ends)
{
	struct campaign_event ev = {.kind = CAMPAIGN_EV_SENT, .from = from, .stage_ends = stage_ends, .wave_ends = wave_ends};
	struct campaign_step  step;
	struct commit        *c = commit_new(ctl);
	for (size_t i = 0; i < n; i++) {
		campaign_send_member(ctl, c, &e->c, &rows[i]);
		ev.moved[rows[i].state]++;
		store_put_member(commit_change(c), &rows[i]);
		if (!id_is_none(rows[i].renewal_id)) /* also of one that failed: a later attempt may still succeed */
			campaigns_watch(ctl, &rows[i]);
	}
	if (campaigns_step(e, &ev, &step) < 0)
		step = (struct campaign_step){.next = e->c};
	campaigns_take_step(c, e, &step, true, NULL);
	commit_fault_points(c, "controller.campaign_send", "controller.campaign_sent");
	commit_now(c, NULL, NULL);
}

/* Whoever waits again in a wave from before goes with the one that is released now. */
static bool is_released(const struct campaign *c, const struct campaign_member *m)
{
	return c->wave == 0 || waves_at(c->waves, m->position) <= c->wave;
}

/* A stage is not mixed with the next one, nor a wave. */
static void send_next(struct controller *ctl, struct entry *e, uint32_t max)
{
	struct campaign_member *rows = calloc((size_t)max + 1, sizeof(*rows));
	size_t                  n = 0, take = 0;
	if (rows == NULL)
		abort();
	int r = view_members_in(ctl->view, e->c.campaign_id, MEMBER_WAITING, 0, rows, (size_t)max + 1, &n);
	while (r == 0 && take < n && take < max && rows[take].stage == rows[0].stage && is_released(&e->c, &rows[take]))
		take++;
	bool wave_ends = take < n && !is_released(&e->c, &rows[take]);
	if (take > 0 || wave_ends)
		send_members(ctl, e, MEMBER_WAITING, rows, take, take < n && rows[take].stage != rows[0].stage, wave_ends);
	else
		e->lost = true; /* the counts say that some wait: they are counted again */
	free(rows);
}

/* Held members whose host came back, or whose certificate has ended meanwhile. A page at a time: who stays away holds up nobody. */
void campaign_drive_held(struct controller *ctl, struct entry *e)
{
	struct campaign_member *rows = calloc(PAGE, sizeof(*rows));
	size_t                  n = 0, back = 0;
	if (rows == NULL)
		abort();
	if (view_members_in(ctl->view, e->c.campaign_id, MEMBER_HELD, e->held_after, rows, PAGE, &n) < 0)
		n = 0;
	e->held_after = n == PAGE ? rows[n - 1].position : 0;
	for (size_t i = 0; i < n; i++)
		if (campaign_held_goes_on(ctl, &rows[i]))
			rows[back++] = rows[i];
	if (back > 0)
		send_members(ctl, e, MEMBER_HELD, rows, back, false, false);
	free(rows);
}

static void drop(struct controller *ctl, struct entry *e, uint32_t max)
{
	enum member_state       from = e->c.waiting > 0 ? MEMBER_WAITING : MEMBER_HELD;
	struct campaign_member *rows = calloc(max, sizeof(*rows));
	struct campaign_event   ev = {.kind = CAMPAIGN_EV_SENT, .from = from};
	struct campaign_step    step;
	size_t                  n = 0;
	if (rows == NULL)
		abort();
	if (view_members_in(ctl->view, e->c.campaign_id, from, 0, rows, max, &n) < 0 || n == 0) {
		e->lost = true;
		free(rows);
		return;
	}
	struct commit *c = commit_new(ctl);
	for (size_t i = 0; i < n; i++) {
		rows[i].state = MEMBER_DROPPED;
		rows[i].changed_at = clock_now();
		store_put_member(commit_change(c), &rows[i]);
	}
	free(rows);
	ev.moved[MEMBER_DROPPED] = (uint32_t)n;
	if (campaigns_step(e, &ev, &step) < 0)
		step = (struct campaign_step){.next = e->c};
	campaigns_take_step(c, e, &step, true, NULL);
	commit_fault_points(c, "controller.campaign_drop", "controller.campaign_dropped");
	commit_now(c, NULL, NULL);
}

/* ---- members that go back ---------------------------------------------------------------------------------------- */

/* Another campaign's, a person's or the schedule's: what they wanted is not undone here. */
static bool is_followed(struct controller *ctl, const struct campaign_member *m)
{
	struct order o;
	return !id_is_none(m->renewal_id) && orders_find(ctl, m->renewal_id, &o) == 0 && !id_equal(o.campaign_id, m->campaign_id);
}

static bool may_come_to_its_end(const struct campaign_member *m)
{
	return m->state == MEMBER_FAILED || m->state == MEMBER_ORDERED || m->state == MEMBER_FOLLOWING;
}

/* What did not come to its end is not tried again; where the host has the certificate already, it decides and tells. */
static void end_order(struct controller *ctl, const struct campaign_member *m, const struct caller *who)
{
	struct order_event ev = {.kind = EV_CANCEL, .renewal_id = m->renewal_id, .code = E_SWAP_CANCELLED};
	bool               stored;
	(void)!orders_event(ctl, &ev, &(struct order_input){.who = who}, &stored);
}

static void member_back(struct controller *ctl, struct commit *c, struct campaign_member *m, const struct caller *who,
			struct campaign_event *ev)
{
	int r = is_followed(ctl, m) ? E_CAMPAIGN_FOLLOWED : rollback_begin(ctl, c, m->renewal_id, who);
	m->state = r == 0 ? MEMBER_GOING_BACK : MEMBER_KEPT;
	m->code = r;
	m->changed_at = clock_now();
	text_cut(m->cause, sizeof(m->cause), r < 0 ? err_what(r) : "");
	ev->moved[m->state]++;
	store_put_member(commit_change(c), m);
	if (r == 0)
		campaigns_watch(ctl, m);
}

/* Whoever only waited for an order that is not ours waits no more: it goes on without us. One that failed says so already; its later success
 * would not be ours either. */
static void member_let_go(struct controller *ctl, struct commit *c, struct entry *e, struct campaign_member *m)
{
	struct campaign_event ev = {.kind = CAMPAIGN_EV_MOVED, .from = MEMBER_FOLLOWING, .to = MEMBER_KEPT};
	struct campaign_step  step;
	char                  cause[CAUSE_SIZE];
	bool                  waits = m->state == MEMBER_FOLLOWING;
	if (m->code == E_CAMPAIGN_FOLLOWED || (waits && campaigns_step(e, &ev, &step) < 0))
		return;
	campaigns_unwatch(ctl, m);
	(void)snprintf(cause, sizeof(cause), "%s%s%.80s", err_what(E_CAMPAIGN_FOLLOWED), m->cause[0] != '\0' ? "; it failed: " : "", m->cause);
	text_cut(m->cause, sizeof(m->cause), cause);
	m->state = waits ? MEMBER_KEPT : m->state;
	m->code = E_CAMPAIGN_FOLLOWED;
	m->changed_at = clock_now();
	store_put_member(commit_change(c), m);
	if (waits)
		campaigns_take_step(c, e, &step, true, NULL);
}

/* The next ones by position, whatever became of them. */
static void take_back(struct controller *ctl, struct entry *e, struct campaign_member *rows, size_t n, struct campaign_event *ev)
{
	struct campaign_step step;
	struct caller        who;
	campaign_caller(&e->c, &who);
	text_cut(who.reason, sizeof(who.reason), e->c.cause);
	for (size_t i = 0; i < n; i++) /* in changes of their own */
		if (may_come_to_its_end(&rows[i]) && !id_is_none(rows[i].renewal_id) && !is_followed(ctl, &rows[i]))
			end_order(ctl, &rows[i], &who);
	struct commit *c = commit_new(ctl);
	for (size_t i = 0; i < n; i++)
		if (rows[i].state == MEMBER_DONE)
			member_back(ctl, c, &rows[i], &who, ev);
		else if (may_come_to_its_end(&rows[i]) && is_followed(ctl, &rows[i]))
			member_let_go(ctl, c, e, &rows[i]);
	if (campaigns_step(e, ev, &step) < 0)
		step = (struct campaign_step){.next = e->c};
	campaigns_take_step(c, e, &step, true, NULL);
	commit_fault_points(c, "controller.campaign_back", "controller.campaign_back_stored");
	commit_now(c, NULL, NULL);
}

static void go_back(struct controller *ctl, struct entry *e, uint32_t max)
{
	struct campaign_member *rows = calloc(max, sizeof(*rows));
	struct campaign_event   ev = {.kind = CAMPAIGN_EV_BACK, .from = MEMBER_DONE, .reached = e->c.back_last};
	size_t                  n = 0;
	if (rows == NULL)
		abort();
	if (view_members(ctl->view, e->c.campaign_id, e->c.back_at, rows, max, &n) < 0) {
		e->lost = true;
	} else {
		if (n == max && rows[n - 1].position < e->c.back_last)
			ev.reached = rows[n - 1].position;
		while (n > 0 && rows[n - 1].position > e->c.back_last)
			n--;
		take_back(ctl, e, rows, n, &ev);
	}
	free(rows);
}

/* Goes on as far as the core says, until something is on its way to the store that must be there first. */
void campaign_drive(struct controller *ctl, struct entry *e)
{
	for (int i = 0; i < STEPS_AT_ONCE && !ctl->stopping && !e->lost && e->sending == 0; i++) {
		struct campaign_event ev = {.kind = CAMPAIGN_EV_TIMER, .away = e->away};
		struct campaign_step  step;
		if (campaigns_step(e, &ev, &step) < 0 || (!step.changed && step.n_act == 0))
			return;
		if (step.n_act == 1 && step.act[0].kind == CAMPAIGN_ACT_SEND) {
			send_next(ctl, e, step.act[0].n);
		} else if (step.n_act == 1 && step.act[0].kind == CAMPAIGN_ACT_DROP) {
			drop(ctl, e, step.act[0].n);
		} else if (step.n_act == 1 && step.act[0].kind == CAMPAIGN_ACT_BACK) {
			if (e->pending > 0)
				return; /* who is done by then must be found so in the store */
			go_back(ctl, e, step.act[0].n);
		} else {
			struct commit *c = commit_new(ctl);
			campaigns_take_step(c, e, &step, false, NULL);
			commit_fault_points(c, "controller.campaign", "controller.campaign_stored");
			commit_now(c, NULL, NULL);
		}
	}
}

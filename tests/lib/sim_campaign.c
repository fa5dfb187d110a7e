/* sim_campaign.c - room tests/lib: a controller's campaigns around their core, as vcc-controller drives them: members are taken in their order,
 * a step and what it changes are one change of the store, an order that goes on takes its member along. Never: decisions of its own. */
#include <stdio.h>
#include <string.h>

#include "controller/core/campaign_member.h"
#include "controller/core/policy.h"
#include "controller/core/waves.h"
#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "tests/lib/sim.h"

enum { STEPS_AT_ONCE = 8 };
#define AWAY_MS (15 * MS_SECOND)

/* ---- the tables ---------------------------------------------------------------------------------------------------------- */

static struct sim_campaign *find(struct sim *s, struct id campaign_id)
{
	for (int i = 0; i < SIM_CAMPAIGNS; i++)
		if (s->controller.campaign[i].used && id_equal(s->controller.campaign[i].c.campaign_id, campaign_id))
			return &s->controller.campaign[i];
	return NULL;
}

static struct sim_campaign *add(struct sim *s, const struct campaign *c)
{
	for (int i = 0; i < SIM_CAMPAIGNS; i++)
		if (!s->controller.campaign[i].used) {
			struct sim_campaign *k = &s->controller.campaign[i];
			k->used = true;
			k->c = *c;
			k->pending = k->sending = 0;
			k->away = 0;
			k->n_watches = 0;
			k->halted_at = s->now;
			return k;
		}
	sim_error(s, "too many campaigns are open");
	return NULL;
}

static struct sim_watch *watch_find(struct sim_campaign *k, struct id renewal_id)
{
	for (size_t i = 0; i < k->n_watches; i++)
		if (id_equal(k->watch[i].renewal_id, renewal_id))
			return &k->watch[i];
	return NULL;
}

static void watch_begin(struct sim *s, struct sim_campaign *k, const struct campaign_member *m)
{
	struct sim_watch *w = watch_find(k, m->renewal_id);
	if (w == NULL && k->n_watches == N_ELEMENTS(k->watch)) {
		sim_error(s, "a campaign waits for too many orders");
		return;
	}
	w = w != NULL ? w : &k->watch[k->n_watches++];
	*w = (struct sim_watch){m->renewal_id, m->position, m->state == MEMBER_FOLLOWING, m->state};
}

static void watch_end(struct sim_campaign *k, struct sim_watch *w)
{
	*w = k->watch[--k->n_watches];
}

/* ---- a step into a change ---------------------------------------------------------------------------------------------------- */

static void record(struct sim *s, struct sim_change *c, const struct campaign *row, enum audit_event event)
{
	struct audit a = {.at = control_now(s), .event = event, .actor = "controller", .request_id = row->campaign_id};
	id_text(row->campaign_id, a.object);
	store_add_audit(c->change, &a);
}

static void note(struct sim_change *c, struct sim_campaign *k, bool sending)
{
	size_t i = 0;
	while (i < c->n_campaigns && !id_equal(c->campaign[i], k->c.campaign_id))
		i++;
	if (i == c->n_campaigns) {
		c->campaign[c->n_campaigns++] = k->c.campaign_id;
		c->steps[i] = c->sending[i] = 0;
	}
	k->pending++;
	k->sending += sending ? 1 : 0;
	c->steps[i]++;
	c->sending[i] += sending ? 1 : 0;
}

/* What a campaign that halts by itself has touched: nothing beyond the wave that is under way. */
static void check_halt(struct sim *s, const struct campaign *c)
{
	uint64_t first, last = c->total;
	if (c->wave > 0 && !waves_span(c->waves, c->wave, &first, &last))
		sim_error(s, "a campaign is in wave %u, which it does not have", c->wave);
	if (c->total - c->waiting > last)
		sim_error(s, "a campaign halts in wave %u of %s and has touched %u", c->wave, c->waves, c->total - c->waiting);
}

static void take_step(struct sim *s, struct sim_change *c, struct sim_campaign *k, const struct campaign_step *step, bool sending)
{
	bool halts = k->c.state == CAMPAIGN_PROCESSING && step->next.state == CAMPAIGN_HALTED;
	if (k->c.state != step->next.state || k->c.wave != step->next.wave)
		sim_trace(s, "campaign %s: %s wave %u", campaign_kind_name(k->c.kind), campaign_state_name(step->next.state), step->next.wave);
	k->c = step->next;
	if (halts) {
		s->halts++;
		k->halted_at = s->now;
		check_halt(s, &k->c);
	}
	for (size_t i = 0; i < step->n_act; i++)
		if (step->act[i].kind == CAMPAIGN_ACT_AUDIT)
			record(s, c, &k->c, step->act[i].event);
	store_put_campaign(c->change, &k->c);
	note(c, k, sending);
}

static void take_event(struct sim *s, struct sim_change *c, struct sim_campaign *k, const struct campaign_event *e, bool sending)
{
	struct campaign_step step;
	if (campaign_flow_step(&k->c, e, control_now(s), &step) != 0) {
		sim_error(s, "the campaign core refuses %s", campaign_event_name(e->kind));
		return;
	}
	take_step(s, c, k, &step, sending);
}

/* ---- one member whose turn it is ------------------------------------------------------------------------------------------------ */

static void become(struct campaign_member *m, enum member_state state, int code)
{
	m->state = state;
	m->code = code;
}

static void end_open(struct sim *s, struct sim_change *c, struct sim_slot *slot)
{
	struct order_event e = {
		.kind = EV_CANCEL, .renewal_id = slot->o.renewal_id, .code = E_CAMPAIGN_TAKEN_OVER, .random = sim_random(s, UINT32_MAX)};
	control_order(s, slot, &e, -1, NULL, c);
	s->overtaken++;
}

static int make_order(struct sim *s, struct sim_change *c, const struct campaign *g, const struct certificate *cert, struct campaign_member *m)
{
	bool             approval = false;
	struct sim_slot *open = id_is_none(cert->open_order) ? NULL : control_slot(s, cert->open_order);
	int r = policy_eligible_in_campaign(cert, &s->template, open != NULL ? &open->o : NULL, g->trigger, &approval);
	if (r != 0)
		return r;
	struct sim_slot *slot = control_order_new(s, cert, g->trigger, g->fresh_keys ? ORDER_FRESH : 0, g->campaign_id, c);
	if (slot == NULL)
		return E_INTERNAL;
	m->renewal_id = slot->o.renewal_id;
	become(m, MEMBER_ORDERED, 0);
	return 0;
}

/* What is past its signature is led to its end and counts; what is before it gives way. */
static bool follow(struct sim *s, struct sim_change *c, struct sim_slot *open, struct campaign_member *m)
{
	if (open == NULL || !campaign_member_follows(&open->o))
		return false;
	struct order_event now = {.kind = EV_NOW, .renewal_id = open->o.renewal_id, .random = sim_random(s, UINT32_MAX)};
	m->renewal_id = open->o.renewal_id;
	become(m, MEMBER_FOLLOWING, 0);
	control_order(s, open, &now, -1, NULL, c);
	s->overtaken++;
	return true;
}

static void send_member(struct sim *s, struct sim_change *c, const struct campaign *g, struct campaign_member *m)
{
	struct certificate cert;
	m->renewal_id = (struct id){{0}};
	m->changed_at = control_now(s);
	if (view_certificate(s->view, m->cert_id, &cert) != 0) {
		sim_error(s, "%s: no such certificate", m->cert_id);
		return;
	}
	struct sim_slot *open = id_is_none(cert.open_order) ? NULL : control_slot(s, cert.open_order);
	if (g->kind == CAMPAIGN_EMERGENCY && follow(s, c, open, m))
		return;
	if (open != NULL && (g->kind == CAMPAIGN_EMERGENCY || open->o.phase == ORDER_PAUSED))
		end_open(s, c, open);
	if (strcmp(c->cert.cert_id, cert.cert_id) == 0)
		cert = c->cert;
	int r = make_order(s, c, g, &cert, m);
	if (r != 0)
		become(m, r == E_ORDER_OPEN || r == E_ORDER_SUSPENDED ? MEMBER_SKIPPED : MEMBER_FAILED, r);
}

/* Nothing is on its way for the order that it has open. */
static bool is_free(struct sim *s, const struct campaign_member *m)
{
	struct certificate cert;
	if (view_certificate(s->view, m->cert_id, &cert) != 0)
		return false;
	for (int i = 0; i < SIM_SLOTS; i++) { /* also of one that the store does not know yet */
		const struct sim_slot *slot = &s->controller.slot[i];
		if (slot->used && slot->busy && strcmp(slot->o.cert_id, cert.cert_id) == 0)
			return false;
	}
	return true;
}

/* ---- members that go --------------------------------------------------------------------------------------------------------------- */

static void send_members(struct sim *s, struct sim_campaign *k, struct campaign_member *rows, size_t n, bool stage_ends, bool wave_ends)
{
	struct campaign_event e = {.kind = CAMPAIGN_EV_SENT, .from = MEMBER_WAITING, .stage_ends = stage_ends, .wave_ends = wave_ends};
	struct sim_change    *c = change_new();
	for (size_t i = 0; i < n; i++) {
		send_member(s, c, &k->c, &rows[i]);
		e.moved[rows[i].state]++;
		store_put_member(c->change, &rows[i]);
		if (!id_is_none(rows[i].renewal_id))
			watch_begin(s, k, &rows[i]);
	}
	take_event(s, c, k, &e, true);
	change_submit(s, c);
}

static bool is_released(const struct campaign *c, const struct campaign_member *m)
{
	return c->wave == 0 || waves_at(c->waves, m->position) <= c->wave;
}

/* False: not now. */
static bool send_next(struct sim *s, struct sim_campaign *k, uint32_t max)
{
	static struct campaign_member rows[CAMPAIGN_CHUNK + 1];
	size_t                        n = 0, take = 0;
	if (view_members_in(s->view, k->c.campaign_id, MEMBER_WAITING, 0, rows, (size_t)max + 1, &n) != 0 || (n == 0 && k->pending == 0)) {
		sim_error(s, "the counts of a campaign say that some wait, its members do not");
		return false;
	}
	if (n == 0)
		return false; /* who waits again is on the way to the store */
	while (take < n && take < max && rows[take].stage == rows[0].stage && is_released(&k->c, &rows[take])) {
		if (!is_free(s, &rows[take]))
			return false;
		take++;
	}
	bool wave_ends = take < n && !is_released(&k->c, &rows[take]);
	send_members(s, k, rows, take, take < n && rows[take].stage != rows[0].stage, wave_ends);
	return true;
}

static bool drop(struct sim *s, struct sim_campaign *k, uint32_t max)
{
	static struct campaign_member rows[CAMPAIGN_CHUNK];
	struct campaign_event         e = {.kind = CAMPAIGN_EV_SENT, .from = MEMBER_WAITING};
	size_t                        n = 0;
	if (view_members_in(s->view, k->c.campaign_id, MEMBER_WAITING, 0, rows, max, &n) != 0 || (n == 0 && k->pending == 0))
		sim_error(s, "the counts of a campaign say that some wait, its members do not");
	if (n == 0)
		return false; /* who waits again is on the way to the store */
	struct sim_change *c = change_new();
	for (size_t i = 0; i < n; i++) {
		become(&rows[i], MEMBER_DROPPED, 0);
		rows[i].changed_at = control_now(s);
		store_put_member(c->change, &rows[i]);
	}
	e.moved[MEMBER_DROPPED] = (uint32_t)n;
	take_event(s, c, k, &e, true);
	change_submit(s, c);
	return true;
}

/* As far as the core says, until something must be in the store first. */
static void drive(struct sim *s, struct sim_campaign *k)
{
	for (int i = 0; i < STEPS_AT_ONCE && k->used && k->sending == 0 && s->errors == 0; i++) {
		struct campaign_event e = {.kind = CAMPAIGN_EV_TIMER, .away = k->away};
		struct campaign_step  step;
		if (campaign_flow_step(&k->c, &e, control_now(s), &step) != 0 || (!step.changed && step.n_act == 0))
			return;
		if (step.n_act == 1 && step.act[0].kind == CAMPAIGN_ACT_SEND) {
			if (!send_next(s, k, step.act[0].n))
				return;
		} else if (step.n_act == 1 && step.act[0].kind == CAMPAIGN_ACT_DROP) {
			if (!drop(s, k, step.act[0].n))
				return;
		} else {
			struct sim_change *c = change_new();
			take_step(s, c, k, &step, false);
			change_submit(s, c);
		}
	}
}

/* ---- orders that go on ---------------------------------------------------------------------------------------------------------------- */

static void member_moved(struct sim *s, struct sim_change *c, struct sim_campaign *k, struct sim_watch *w, const struct order *next)
{
	struct campaign_member m;
	struct campaign_event  e = {.kind = CAMPAIGN_EV_MOVED, .from = w->state};
	e.to = campaign_member_state(&k->c, next, w->follows, control_now(s));
	bool settled = e.from == MEMBER_FAILED && e.to != MEMBER_DONE;
	if (e.from == e.to || settled || view_member(s->view, k->c.campaign_id, w->position, &m) != 0)
		return;
	m.renewal_id = e.to == MEMBER_WAITING ? (struct id){{0}} : next->renewal_id;
	become(&m, e.to, e.to == MEMBER_FAILED ? next->code : 0);
	m.changed_at = control_now(s);
	w->state = e.to;
	k->away = 0;
	if (e.to != MEMBER_FAILED && e.to != MEMBER_ORDERED && e.to != MEMBER_FOLLOWING)
		watch_end(k, w);
	store_put_member(c->change, &m);
	take_event(s, c, k, &e, false);
}

void campaign_moved(struct sim *s, struct sim_change *c, const struct order *was, const struct order *next)
{
	if (was->phase == next->phase && was->failures == next->failures)
		return;
	for (int i = 0; i < SIM_CAMPAIGNS; i++) {
		struct sim_campaign *k = &s->controller.campaign[i];
		struct sim_watch    *w = k->used ? watch_find(k, next->renewal_id) : NULL;
		if (w != NULL && k->c.completed_at == 0) /* it is closed: what it says of its members stays */
			member_moved(s, c, k, w, next);
	}
}

void campaign_stored(struct sim *s, const struct sim_change *c)
{
	for (size_t i = 0; i < c->n_campaigns; i++) {
		struct sim_campaign *k = find(s, c->campaign[i]);
		if (k == NULL)
			continue;
		k->pending -= c->steps[i];
		k->sending -= c->sending[i];
		s->controller.asked = false;
		drive(s, k);
		if (k->pending == 0 && k->c.completed_at != 0)
			k->used = false;
	}
}

/* ---- persons ------------------------------------------------------------------------------------------------------------------------------ */

void campaign_begin(struct sim *s, const struct campaign *row)
{
	struct sim_campaign *k = add(s, row);
	if (k == NULL)
		return;
	struct sim_change *c = change_new();
	store_put_campaign(c->change, row);
	for (uint32_t i = 0; i < row->total; i++) {
		struct campaign_member m = {.campaign_id = row->campaign_id, .position = i + 1, .service = "argus", .changed_at = control_now(s)};
		int                    agent = (int)i % s->n_agents;
		cert_name(agent, (int)i / s->n_agents, m.cert_id);
		memcpy(m.agent, s->agent[agent].name, sizeof(m.agent));
		store_add_member(c->change, &m);
	}
	record(s, c, row, row->kind == CAMPAIGN_EMERGENCY ? AUDIT_EMERGENCY_STARTED : AUDIT_CAMPAIGN_STARTED);
	note(c, k, true);
	s->controller.asked = true;
	sim_trace(s, "campaign %s over %u, waves %s", campaign_kind_name(row->kind), row->total, row->waves);
	change_submit(s, c);
}

bool campaign_word(struct sim *s, struct sim_campaign *k, enum campaign_event_kind word)
{
	struct campaign_event e = {.kind = word, .cause = "somebody says so"};
	struct campaign_step  step;
	if (k->sending > 0 || campaign_flow_step(&k->c, &e, control_now(s), &step) != 0)
		return false;
	sim_trace(s, "a person says %s", campaign_event_name(word));
	struct sim_change *c = change_new();
	take_step(s, c, k, &step, false);
	change_submit(s, c);
	return true;
}

/* ---- start, time -------------------------------------------------------------------------------------------------------------------------- */

static void watch_members(struct sim *s, struct sim_campaign *k, enum member_state state)
{
	static struct campaign_member rows[SIM_AGENTS_MAX * SIM_CERTS_MAX];
	size_t                        n = 0;
	if (view_members_in(s->view, k->c.campaign_id, state, 0, rows, N_ELEMENTS(rows), &n) != 0)
		sim_error(s, "members cannot be read");
	for (size_t i = 0; i < n; i++)
		if (!id_is_none(rows[i].renewal_id))
			watch_begin(s, k, &rows[i]);
}

static void reload(struct sim *s, struct sim_campaign *k)
{
	for (size_t i = 0; i < MEMBER_STATE_COUNT; i++) {
		uint64_t n = 0;
		if (view_members_count(s->view, k->c.campaign_id, (enum member_state)i, &n) != 0)
			sim_error(s, "members cannot be counted");
		if (*campaign_flow_counter(&k->c, (enum member_state)i) != n)
			sim_error(s, "a campaign counts %u members as %s, and %llu are", *campaign_flow_counter(&k->c, (enum member_state)i),
				  member_state_name((enum member_state)i), (unsigned long long)n);
	}
	watch_members(s, k, MEMBER_ORDERED);
	watch_members(s, k, MEMBER_FOLLOWING);
	watch_members(s, k, MEMBER_FAILED);
}

void campaign_load(struct sim *s)
{
	static struct campaign rows[SIM_CAMPAIGNS];
	size_t                 n = 0;
	if (view_campaigns_open(s->view, (struct id){{0}}, rows, N_ELEMENTS(rows), &n) != 0)
		sim_error(s, "campaigns cannot be read");
	for (size_t i = 0; i < n; i++) {
		struct sim_campaign *k = add(s, &rows[i]);
		if (k != NULL)
			reload(s, k);
	}
}

static bool is_away(const struct sim *s, int agent)
{
	const struct sim_controller *k = &s->controller;
	int64_t                      seen_at = k->seen_at[agent] > k->started_at ? k->seen_at[agent] : k->started_at;
	return !k->session[agent].helloed && s->now - seen_at > AWAY_MS;
}

static bool host_is_away(struct sim *s, const struct sim_watch *w)
{
	struct sim_slot *slot = control_slot(s, w->renewal_id);
	int              agent, cert;
	return slot != NULL && cert_find(slot->o.cert_id, &agent, &cert) && is_away(s, agent);
}

static void count_away(struct sim *s, struct sim_campaign *k)
{
	k->away = 0;
	for (size_t i = 0; i < k->n_watches; i++)
		if ((k->watch[i].state == MEMBER_ORDERED || k->watch[i].state == MEMBER_FOLLOWING) && host_is_away(s, &k->watch[i]))
			k->away++;
}

/* Of a cancelled campaign: what no host has begun, and none may come to begin. */
static void end_unbegun(struct sim *s, struct sim_campaign *k)
{
	struct id ids[SIM_AGENTS_MAX * SIM_CERTS_MAX];
	size_t    n = 0;
	for (size_t i = 0; i < k->n_watches; i++) {
		struct sim_slot *slot = control_slot(s, k->watch[i].renewal_id);
		bool sent = slot != NULL && !slot->busy && (slot->o.phase == ORDER_PLANNED || slot->o.phase == ORDER_ORDERED);
		if (k->watch[i].state == MEMBER_ORDERED && sent && k->c.kind != CAMPAIGN_EMERGENCY && host_is_away(s, &k->watch[i]))
			ids[n++] = k->watch[i].renewal_id;
	}
	for (size_t i = 0; i < n; i++) {
		struct order_event e = {.kind = EV_CANCEL, .renewal_id = ids[i], .code = E_CAMPAIGN_ENDED, .random = sim_random(s, UINT32_MAX)};
		control_order(s, control_slot(s, ids[i]), &e, -1, NULL, NULL);
	}
}

void campaign_tick(struct sim *s)
{
	uint64_t run = s->controller.run;
	people_tick(s);
	for (int i = 0; i < SIM_CAMPAIGNS && s->controller.alive && s->controller.run == run; i++) {
		struct sim_campaign *k = &s->controller.campaign[i];
		if (!k->used)
			continue;
		count_away(s, k);
		if (k->c.state == CAMPAIGN_CANCELLED && campaign_flow_open(&k->c) > 0 && k->pending == 0)
			end_unbegun(s, k);
		drive(s, k);
	}
}

bool campaign_at_rest(struct sim *s)
{
	static struct campaign rows[8];
	size_t                 n = 0;
	if (!s->config->campaigns)
		return true;
	if (s->controller.asked || view_campaigns(s->view, (struct id){{0}}, rows, N_ELEMENTS(rows), &n) != 0 || n < 3)
		return false;
	for (size_t i = 0; i < n; i++)
		if (rows[i].completed_at == 0)
			return false;
	return true;
}

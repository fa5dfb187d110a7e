/* sim_control.c - room tests/lib: a controller around its cores: orders in memory, one change at a time an order, commit, then the rest;
 * messages are taken in sim_intake.c, time passes in sim_tick.c. What was submitted and not committed dies with the process. Never: decisions of its own. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/err.h"
#include "shared/base/times.h"
#include "shared/pki/key.h"
#include "shared/wire/wire.h"
#include "tests/lib/sim.h"

int64_t control_now(const struct sim *s)
{
	return s->now + s->ahead;
}

/* In campaigns an attempt that failed waits long enough to count as failed. */
struct order_policy control_policy(const struct sim *s)
{
	if (s->config->days > 0) /* what a controller is delivered with */
		return (struct order_policy){
			.max_attempts = 3, .retry_ms = MS_HOUR, .attempt_ms = 10 * MS_MINUTE, .supersede_grace_ms = MS_HOUR, .post_validation = true};
	return (struct order_policy){
		.max_attempts = 3,
		.retry_ms = s->config->campaigns ? 4 * MS_MINUTE : MS_MINUTE,
		.attempt_ms = 3 * MS_MINUTE,
		.supersede_grace_ms = 2 * MS_MINUTE,
		.post_validation = true,
	};
}

/* ---- changes ---- */

struct sim_change *change_new(void)
{
	struct sim_change *c = calloc(1, sizeof(*c));
	if (c == NULL)
		abort();
	c->change = store_change_new();
	c->agent = -1;
	return c;
}

static void on_done(void *ctx, int code, const struct store_result *result)
{
	struct sim_change *c = ctx;
	c->code = code;
	if (code == 0)
		c->result = *result;
}

struct sim_slot *control_find(struct sim *s, struct id renewal_id)
{
	for (int i = 0; i < s->controller.slots; i++) {
		if (s->controller.slot[i].used && id_equal(s->controller.slot[i].o.renewal_id, renewal_id))
			return &s->controller.slot[i];
	}
	return NULL;
}

static struct sim_slot *slot_new(struct sim *s, const struct order *o)
{
	for (int i = 0; i < SIM_SLOTS; i++) {
		struct sim_slot *slot = &s->controller.slot[i];
		if (slot->used)
			continue;
		*slot = (struct sim_slot){.used = true, .o = *o};
		if (i >= s->controller.slots)
			s->controller.slots = i + 1;
		return slot;
	}
	sim_error(s, "too many open orders");
	return NULL;
}

void control_send(struct sim *s, int agent, const struct sim_msg *m)
{
	const struct session *x = &s->controller.session[agent];
	if (x->helloed)
		net_to_agent(s, agent, x->gateway, x->session, m);
}

static void sign_again(struct sim *s, const struct order *o)
{
	if (s->controller.signer_linked)
		signer_request(s, o->serial, o->tbs_hash);
	else
		control_signed(s, o->serial, E_SIGNER_RATE, (struct hash){0});
}

static void act_live(struct sim *s, const struct order_step *step)
{
	for (size_t i = 0; i < step->n_act; i++) {
		if (step->act[i].kind == ACT_SIGN)
			sign_again(s, &step->next);
	}
}

void control_restage(struct sim *s, const char *cert_id)
{
	struct sim_msg m = {.type = MSG_RESTAGE};
	sim_trace(s, "%s: another key is asked for", cert_id);
	int            agent = 0;
	if (cert_find(cert_id, &agent, &m.cert))
		control_send(s, agent, &m);
}

/* What a change has to say once it is durable. */
static void say(struct sim *s, const struct sim_change *c)
{
	uint64_t run = s->controller.run;
	if (c->agent >= 0)
		control_send(s, c->agent, &(struct sim_msg){.type = MSG_ACK, .id = c->ack_id, .seq = c->ack_seq});
	if (c->offer.type != 0)
		control_send(s, c->offer_agent, &(struct sim_msg){.type = MSG_ACK, .cert = c->offer.cert, .stage = c->offer.stage});
	for (size_t i = 0; i < c->n_parts && s->controller.alive && s->controller.run == run; i++) {
		const struct sim_part *part = &c->part[i];
		int                    agent, cert;
		if (part->has_send && cert_find(part->step.next.cert_id, &agent, &cert))
			control_send(s, agent, &part->send);
		if (part->restage)
			control_restage(s, part->step.next.cert_id);
		if (s->controller.alive && s->controller.run == run)
			act_live(s, &part->step);
	}
}

static void committed(struct sim *s, struct sim_change *c)
{
	if (c->code != 0) {
		sim_error(s, "a change of %s was refused: %d %s", c->n_parts > 0 ? c->part[0].step.next.cert_id : "nothing", c->code,
			  err_what(c->code));
		return;
	}
	if (c->reserves) {
		s->controller.serial_next = c->result.serial_first;
		s->controller.serial_end = c->result.serial_first + 1000;
		s->controller.reserving = false;
	}
	for (size_t i = 0; i < c->n_parts; i++) {
		struct sim_slot *slot = control_find(s, c->part[i].step.next.renewal_id);
		slot->busy = false;
		slot->used = !order_phase_final(c->part[i].step.next.phase);
	}
	if (c->agent >= 0 && c->ack_seq > s->controller.durable[c->agent])
		s->controller.durable[c->agent] = c->ack_seq;
	if (sim_may_die(s, SIM_CONTROLLER, 0)) /* durable, and nobody told */
		return;
	uint64_t run = s->controller.run;
	say(s, c);
	if (s->controller.alive && s->controller.run == run)
		campaign_stored(s, c);
}

/* The database is full: what was thought to come next never became true. */
static void lost(struct sim *s, const struct sim_change *c)
{
	for (size_t i = 0; i < c->n_parts; i++) {
		struct sim_slot *slot = control_find(s, c->part[i].step.next.renewal_id);
		if (slot == NULL)
			continue;
		slot->busy = false;
		slot->used = view_order(s->view, slot->o.renewal_id, &slot->o) == 0 && !order_phase_final(slot->o.phase);
	}
	if (c->agent >= 0)
		s->controller.taken[c->agent] = s->controller.durable[c->agent];
	s->controller.reserving = s->controller.reserving && !c->reserves;
}

static void change_free(struct sim_change *c)
{
	free(c->part);
	free(c);
}

static void refuse_all(struct sim *s, struct sim_change *all)
{
	while (all != NULL) {
		struct sim_change *c = all;
		all = c->next;
		lost(s, c);
		store_change_free(c->change);
		change_free(c);
	}
}

static void on_commit(struct sim *s, const struct sim_event *e)
{
	struct sim_controller *k = &s->controller;
	if (!k->alive || k->run != e->run || sim_may_die(s, SIM_CONTROLLER, 0)) /* submitted, not durable */
		return;
	struct sim_change *all = k->first;
	k->first = NULL;
	k->last = &k->first;
	k->commit_planned = false;
	if (years_store_full(s)) {
		refuse_all(s, all);
		return;
	}
	for (struct sim_change *c = all; c != NULL; c = c->next) {
		if (store_submit(s->store, c->change, on_done, c) != 0)
			sim_error(s, "the store takes no change");
	}
	store_poll(s->store);
	while (all != NULL) {
		struct sim_change *c = all;
		all = c->next;
		years_stored(s, c);
		if (k->alive && k->run == e->run)
			committed(s, c);
		change_free(c);
	}
}

void change_submit(struct sim *s, struct sim_change *c)
{
	struct sim_controller *k = &s->controller;
	*k->last = c;
	k->last = &c->next;
	if (k->commit_planned)
		return;
	k->commit_planned = true;
	sim_after(s, sim_between(s, 1, 15), on_commit)->run = k->run;
}

/* ---- orders ---- */

/* Serial and content of a certificate for the key that the event names. */
void control_fill_intent(struct sim *s, struct order_event *e)
{
	uint8_t     random[SERIAL_RANDOM];
	struct hash h;
	sim_hash(s, &h);
	memcpy(random, h.b, sizeof(random));
	e->serial = serial_make(s->controller.serial_next++, random);
	digest_sha256_two(e->serial.b, sizeof(e->serial.b), e->spki_hash.b, sizeof(e->spki_hash.b), &e->tbs_hash);
}

/* `receipt` is the message that brought the event; it is stored with whatever follows from it. */
static void receipt_add(struct sim *s, struct sim_change *c, int agent, const struct sim_msg *m)
{
	struct agent       row;
	struct receipt_row r = {.seq = m->seq, .renewal_id = m->renewal_id, .attempt = m->attempt, .outcome = (int)m->outcome};
	if (view_agent(s->view, s->agent[agent].name, &row) != 0)
		sim_error(s, "no such agent");
	row.receipt_seq = m->seq;
	store_put_agent(c->change, &row);
	r.host_hash = row.host_hash;
	memcpy(r.agent, row.name, sizeof(r.agent));
	memcpy(r.cert_id, s->agent[agent].cert[m->cert].cert_id, sizeof(r.cert_id));
	r.made_at = r.stored_at = control_now(s);
	r.body = (struct span){(const uint8_t *)m, sizeof(*m)};
	store_add_receipt(c->change, &r);
	c->agent = agent;
	c->ack_seq = m->seq;
	c->ack_id = m->id;
	s->controller.taken[agent] = m->seq;
	if (s->config->mutant == MUTANT_ACK_EARLY)
		control_send(s, agent, &(struct sim_msg){.type = MSG_ACK, .id = m->id, .seq = m->seq});
}

/* May this attempt begin with the key that the host has ready? */
static void use_stage(struct sim *s, const struct order *o, struct order_event *e, const struct sim_change *into)
{
	struct staged_key k;
	bool              begins = e->kind == EV_DISPATCH || e->kind == EV_NOW || (e->kind == EV_TIMER && o->next_at <= control_now(s));
	if (!begins || !order_flow_may_begin(o->phase) || (o->flags & ORDER_FRESH) != 0 ||
	    s->controller.serial_next == s->controller.serial_end || view_stage(s->view, o->cert_id, &k) != 0)
		return;
	bool goes = into != NULL && strcmp(into->no_stage, o->cert_id) == 0;
	if (goes || !(id_is_none(k.renewal_id) || id_equal(k.renewal_id, o->renewal_id)))
		return;
	e->staged = true;
	e->spki_hash = k.spki_hash;
	control_fill_intent(s, e);
	s->with_stage++;
}

void control_order(struct sim *s, struct sim_slot *slot, struct order_event *e, int agent, const struct sim_msg *receipt,
		   struct sim_change *into)
{
	struct order_policy policy = control_policy(s);
	struct order_step   step;
	policy.verified_is_enough = strstr(slot->o.cert_id, "-c1") != NULL;
	struct certificate cert;
	if (s->config->days > 0 && view_certificate(s->view, slot->o.cert_id, &cert) == 0)
		policy.crossing_at = policy_crossing_at(&cert, &s->template, control_now(s));
	use_stage(s, &slot->o, e, into);
	if (order_flow_step(&slot->o, e, control_now(s), &policy, &step) != 0) {
		sim_error(s, "the core refuses an event");
		return;
	}
	if (!step.ignored && e->kind != EV_TIMER)
		sim_trace(s, "order %s.%u %s: %s -> %s", slot->o.cert_id, slot->o.attempt, order_event_name(e->kind),
			  order_phase_name(slot->o.phase), order_phase_name(step.next.phase));
	if (!step.durable && receipt == NULL) {
		slot->o = step.next;
		act_live(s, &step);
		if (order_phase_final(slot->o.phase) && !slot->busy)
			slot->used = false;
		return;
	}
	struct sim_change *c = into != NULL ? into : change_new();
	if (receipt != NULL)
		receipt_add(s, c, agent, receipt);
	if (s->config->mutant == MUTANT_SIGN_EARLY && step.next.phase == ORDER_SIGNING)
		signer_request(s, step.next.serial, step.next.tbs_hash);
	change_of_step(s, &step, e, c);
	campaign_moved(s, c, &slot->o, &step.next);
	slot->o = step.next;
	slot->busy = true;
	if (into == NULL)
		change_submit(s, c);
}

struct order_event control_event(struct sim *s, const struct order *o, enum order_event_kind kind)
{
	return (struct order_event){.kind = kind, .renewal_id = o->renewal_id, .random = sim_random(s, UINT32_MAX)};
}

/* In memory, or read back: an ended order still answers. NULL when there is none. */
struct sim_slot *control_slot(struct sim *s, struct id renewal_id)
{
	struct sim_slot *slot = control_find(s, renewal_id);
	struct order     o;
	if (slot == NULL && view_order(s->view, renewal_id, &o) == 0)
		slot = slot_new(s, &o);
	return slot;
}

struct sim_slot *control_order_new(struct sim *s, const struct certificate *cert, enum trigger trigger, uint32_t flags, struct id campaign,
				   struct sim_change *into)
{
	struct order o = {.trigger = trigger,
			  .phase = ORDER_PLANNED,
			  .flags = flags,
			  .campaign_id = campaign,
			  .created_at = control_now(s),
			  .next_at = TIME_NEVER,
			  .old_serial = cert->serial};
	struct hash  h;
	sim_hash(s, &h);
	o.renewal_id = id_make(control_now(s), h.b);
	memcpy(o.cert_id, cert->cert_id, sizeof(o.cert_id));
	memcpy(o.agent, cert->agent, sizeof(o.agent));
	struct sim_slot *slot = slot_new(s, &o);
	if (slot == NULL)
		return NULL;
	struct order_event e = control_event(s, &o, EV_DISPATCH);
	control_order(s, slot, &e, -1, NULL, into);
	return slot;
}

/* ---- signer ---- */

void control_signed(struct sim *s, struct serial serial, int code, struct hash fingerprint)
{
	for (int i = 0; i < s->controller.slots && s->controller.alive; i++) {
		struct sim_slot *slot = &s->controller.slot[i];
		if (!slot->used || slot->busy || !serial_equal(slot->o.serial, serial))
			continue; /* a busy order is no longer signing */
		struct order_event e = control_event(s, &slot->o, code == 0 ? EV_ISSUED : EV_SIGN_FAILED);
		e.serial = serial;
		e.code = code;
		e.fingerprint = fingerprint;
		control_order(s, slot, &e, -1, NULL, NULL);
		return;
	}
}

static void restart_all(struct sim *s)
{
	for (int i = 0; i < s->controller.slots && s->controller.alive; i++) {
		struct sim_slot *slot = &s->controller.slot[i];
		if (!slot->used || slot->busy)
			continue;
		struct order_event e = control_event(s, &slot->o, EV_RESTART);
		control_order(s, slot, &e, -1, NULL, NULL);
	}
}

void control_reserve(struct sim *s)
{
	struct sim_change *c = change_new();
	store_reserve_serials(c->change, 1000, s->signer.top + 1);
	c->reserves = s->controller.reserving = true;
	change_submit(s, c);
}

static void on_signer(struct sim *s, const struct sim_event *e)
{
	struct sim_controller *k = &s->controller;
	if (!k->alive || k->run != e->run || !s->signer.alive || s->signer.run != e->link)
		return;
	k->signer_linked = true;
	control_reserve(s);
	restart_all(s);
}

void control_signer_up(struct sim *s)
{
	struct sim_event *e = sim_after(s, sim_between(s, 10, 1000), on_signer);
	e->run = s->controller.run;
	e->link = s->signer.run;
}

void control_signer_gone(struct sim *s)
{
	s->controller.signer_linked = false;
}

/* ---- life and death ---- */

static void load_open(struct sim *s)
{
	static struct order open[STORE_LIST_MAX];
	struct id           after = {0};
	size_t              n = 0;
	do {
		if (view_orders_open(s->view, after, open, STORE_LIST_MAX, &n) != 0)
			sim_error(s, "the open orders cannot be read");
		for (size_t i = 0; i < n; i++)
			(void)slot_new(s, &open[i]);
		if (n > 0)
			after = open[n - 1].renewal_id;
	} while (n == STORE_LIST_MAX);
}

void control_start(struct sim *s)
{
	struct sim_controller *k = &s->controller;
	uint64_t               connection = k->connection, run = k->run;
	*k = (struct sim_controller){.alive = true, .run = run + 1, .connection = connection};
	k->last = &k->first;
	sim_trace(s, "controller starts");
	load_open(s);
	if (view_outbox_top(s->view, &k->message_id) != 0)
		sim_error(s, "the store cannot be read");
	for (int i = 0; i < s->n_agents; i++) {
		struct agent row;
		if (view_agent(s->view, s->agent[i].name, &row) != 0)
			sim_error(s, "no such agent");
		k->taken[i] = k->durable[i] = row.receipt_seq;
	}
	k->started_at = s->now;
	campaign_load(s);
	restart_all(s);
	net_controller_up(s);
	if (s->signer.alive)
		control_signer_up(s);
	control_tick_begin(s);
}

void control_die(struct sim *s)
{
	struct sim_controller *k = &s->controller;
	k->alive = false;
	k->run++;
	while (k->first != NULL) {
		struct sim_change *c = k->first;
		k->first = c->next;
		store_change_free(c->change);
		change_free(c);
	}
	net_controller_gone(s);
}

bool control_at_rest(struct sim *s)
{
	static struct outbox_row row[1];
	if (!s->controller.alive || s->controller.first != NULL)
		return false;
	for (int i = 0; i < s->controller.slots; i++) {
		const struct sim_slot *slot = &s->controller.slot[i];
		if (slot->used && (slot->busy || order_phase_open(slot->o.phase)))
			return false;
	}
	for (int i = 0; i < s->n_agents; i++) {
		size_t n = 0;
		if (view_outbox(s->view, s->agent[i].name, 0, row, 1, &n) != 0 || n > 0)
			return false;
	}
	return campaign_at_rest(s);
}

/* ---- installation ---- */

static void install_agent(struct sim *s, struct store_change *c, int i)
{
	struct sim_agent *a = &s->agent[i];
	struct agent      row = {.state = AGENT_ACTIVE, .joined_at = control_now(s), .service = "argus"};
	snprintf(a->name, sizeof(a->name), "a%d", i);
	sim_hash(s, &a->host_hash);
	memcpy(row.name, a->name, sizeof(row.name));
	row.host_hash = a->host_hash;
	store_put_agent(c, &row);
	for (int k = 0; k < s->n_certs; k++) {
		struct certificate cert = {.service = "argus", .approved = true, .created_at = control_now(s), .renew_at = control_now(s)};
		if (s->config->days > 0) /* not all at one time */
			cert.renew_at += MS_MINUTE * sim_between(s, 0, (s->template.validity_ms - s->template.renewal_threshold_ms) / MS_MINUTE);
		cert_name(i, k, cert.cert_id);
		memcpy(a->cert[k].cert_id, cert.cert_id, sizeof(cert.cert_id));
		memcpy(cert.agent, a->name, sizeof(cert.agent));
		a->cert[k].probed = k == 0;
		store_put_certificate(c, &cert, 0);
	}
}

void control_install(struct sim *s)
{
	struct store_options options = {.hash = digest_sha256_two};
	struct sim_change    c = {.code = E_INTERNAL};
	s->limits = (struct policy_limits){.jitter_share = 100};
	s->template =
		(struct template){.template_id = "sim", .validity_ms = 30 * MS_MINUTE, .renewal_threshold_ms = 15 * MS_MINUTE};
	if (s->config->campaigns) { /* nothing is due by itself */
		s->template.validity_ms = 90 * MS_DAY;
		s->template.renewal_threshold_ms = 30 * MS_DAY;
	}
	if (s->config->days > 0) { /* vpb_service, as it is shipped, but that nobody has to agree after five renewals */
		s->template.validity_ms = 100 * MS_DAY;
		s->template.renewal_threshold_ms = s->template.validity_ms / 3;
		s->template.emergency_threshold_ms = 7 * MS_DAY;
		if (s->config->life_hours > 0) {
			s->template.validity_ms = s->config->life_hours * MS_HOUR;
			s->template.renewal_threshold_ms = s->template.validity_ms / 3;
			s->template.emergency_threshold_ms = s->template.validity_ms / 12;
		}
		if (s->config->lead_days > 0)
			s->template.renewal_threshold_ms = s->template.emergency_threshold_ms + s->config->lead_days * MS_DAY;
	}
	s->template.auto_renewal = s->template.post_validation = true;
	if (store_mem_open(&options, &s->store) != 0 || store_view_open(s->store, &s->view) != 0)
		abort();
	c.change = store_change_new();
	for (int i = 0; i < s->n_agents; i++)
		install_agent(s, c.change, i);
	if (store_submit(s->store, c.change, on_done, &c) != 0)
		abort();
	store_poll(s->store);
	if (c.code != 0)
		sim_error(s, "the installation fails: %d", c.code);
}

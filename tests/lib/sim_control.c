/* sim_control.c - room tests/lib: a controller around its cores: sessions, orders in memory, one change at a time an order,
 * commit, then the rest. What was submitted and not committed dies with the process. Never: decisions of its own. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/err.h"
#include "shared/base/times.h"
#include "shared/pki/key.h"
#include "shared/wire/wire.h"
#include "tests/lib/sim.h"

#define AGAIN_MS 5 /* an order whose change is on its way takes no event */
#define LOOK_MS  (10 * MS_MINUTE) /* in years, for what is due */

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

static struct sim_slot *slot_find(struct sim *s, struct id renewal_id)
{
	for (int i = 0; i < SIM_SLOTS; i++) {
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
		return slot;
	}
	sim_error(s, "too many open orders");
	return NULL;
}

static void send_now(struct sim *s, int agent, const struct sim_msg *m)
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

static void restage(struct sim *s, const char *cert_id)
{
	struct sim_msg m = {.type = MSG_RESTAGE};
	sim_trace(s, "%s: another key is asked for", cert_id);
	int            agent = 0;
	if (cert_find(cert_id, &agent, &m.cert))
		send_now(s, agent, &m);
}

/* What a change has to say once it is durable. */
static void say(struct sim *s, const struct sim_change *c)
{
	uint64_t run = s->controller.run;
	if (c->agent >= 0)
		send_now(s, c->agent, &(struct sim_msg){.type = MSG_ACK, .id = c->ack_id, .seq = c->ack_seq});
	if (c->offer.type != 0)
		send_now(s, c->offer_agent, &(struct sim_msg){.type = MSG_ACK, .cert = c->offer.cert, .stage = c->offer.stage});
	for (size_t i = 0; i < c->n_parts && s->controller.alive && s->controller.run == run; i++) {
		const struct sim_part *part = &c->part[i];
		int                    agent, cert;
		if (part->has_send && cert_find(part->step.next.cert_id, &agent, &cert))
			send_now(s, agent, &part->send);
		if (part->restage)
			restage(s, part->step.next.cert_id);
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
		struct sim_slot *slot = slot_find(s, c->part[i].step.next.renewal_id);
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
		struct sim_slot *slot = slot_find(s, c->part[i].step.next.renewal_id);
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
static void fill_intent(struct sim *s, struct order_event *e)
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
	fill_intent(s, e);
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
	change_of_step(s, &step, e, c);
	campaign_moved(s, c, &slot->o, &step.next);
	slot->o = step.next;
	slot->busy = true;
	if (into == NULL)
		change_submit(s, c);
}

static void order_event(struct sim *s, struct sim_slot *slot, struct order_event *e, int agent, const struct sim_msg *receipt)
{
	control_order(s, slot, e, agent, receipt, NULL);
}

static struct order_event event_of(struct sim *s, const struct order *o, enum order_event_kind kind)
{
	return (struct order_event){.kind = kind, .renewal_id = o->renewal_id, .random = sim_random(s, UINT32_MAX)};
}

/* In memory, or read back: an ended order still answers. NULL when there is none. */
struct sim_slot *control_slot(struct sim *s, struct id renewal_id)
{
	struct sim_slot *slot = slot_find(s, renewal_id);
	struct order     o;
	if (slot == NULL && view_order(s->view, renewal_id, &o) == 0)
		slot = slot_new(s, &o);
	return slot;
}

/* ---- messages ---- */

static void on_again(struct sim *s, const struct sim_event *e)
{
	if (s->controller.alive && s->controller.run == e->run)
		control_message(s, e->agent, e->link, &e->msg);
}

static void again(struct sim *s, int agent, uint64_t session, const struct sim_msg *m)
{
	struct sim_event *e = sim_after(s, AGAIN_MS, on_again);
	e->agent = agent;
	e->link = session;
	e->run = s->controller.run;
	e->msg = *m;
}

static void on_csr(struct sim *s, struct sim_slot *slot, const struct sim_msg *m)
{
	struct sim_controller *k = &s->controller;
	if (k->serial_next == k->serial_end)
		return; /* none reserved yet: the agent asks again */
	struct order_event e = event_of(s, &slot->o, EV_CSR);
	e.attempt = m->attempt;
	e.spki_hash = m->stage;
	fill_intent(s, &e);
	order_event(s, slot, &e, -1, NULL);
}

static void on_receipt(struct sim *s, int agent, uint64_t session, const struct sim_msg *m)
{
	static const enum order_event_kind kinds[RECEIPT_OUTCOME_COUNT] = {
		[RECEIPT_VERIFIED] = EV_VERIFIED,      [RECEIPT_SETTLED] = EV_SETTLED, [RECEIPT_FAILED] = EV_TARGET_FAILED,
		[RECEIPT_REFUSED] = EV_ANSWER_REFUSED, [RECEIPT_KEPT] = EV_KEPT,        [RECEIPT_TESTED] = EV_TESTED,
	};
	struct sim_controller *k = &s->controller;
	enum session_receipt   place = session_receipt(k->taken[agent], m->seq);
	if (place == SESSION_RECEIPT_KNOWN && m->seq <= k->durable[agent])
		send_now(s, agent, &(struct sim_msg){.type = MSG_ACK, .id = m->id, .seq = m->seq});
	if (place != SESSION_RECEIPT_NEXT)
		return;
	struct sim_slot *slot = control_slot(s, m->renewal_id);
	if (slot == NULL) {
		sim_error(s, "a receipt of an order that was never made");
		return;
	}
	if (slot->busy) {
		again(s, agent, session, m);
		return;
	}
	struct order_event e = event_of(s, &slot->o, kinds[m->outcome]);
	e.attempt = m->attempt;
	e.fingerprint = m->fingerprint;
	e.code = m->code;
	e.flags = m->flags;
	order_event(s, slot, &e, agent, m);
}

/* Cancels are done with when they are in the journal; a certificate's ack is a live event. */
static void on_ack(struct sim *s, int agent, const struct sim_msg *m)
{
	static struct outbox_row rows[SIM_SLOTS];
	size_t                   n = 0;
	if (view_outbox(s->view, s->agent[agent].name, m->id - 1, rows, 1, &n) != 0 || n == 0 || rows[0].message_id != m->id)
		return;
	struct sim_slot *slot = slot_find(s, rows[0].renewal_id); /* the ack names the message, nothing else */
	if (slot != NULL && slot->busy)
		return;
	if (rows[0].type == MSG_CANCEL) {
		struct sim_change *c = change_new();
		store_remove_outbox(c->change, s->agent[agent].name, rows[0].renewal_id);
		change_submit(s, c);
	} else if (rows[0].type == MSG_CERTIFICATE && slot != NULL) {
		struct order_event e = event_of(s, &slot->o, EV_DELIVERED);
		order_event(s, slot, &e, -1, NULL);
	}
}

/* ---- keys that hosts have ready ---- */

/* The host's certificate, unless something is on its way for its order: the store does not say yet what will be. */
static bool at_leisure(struct sim *s, int agent, int cert, struct certificate *ret)
{
	if (view_certificate(s->view, s->agent[agent].cert[cert].cert_id, ret) != 0)
		return false;
	struct sim_slot *slot = id_is_none(ret->open_order) ? NULL : slot_find(s, ret->open_order);
	return slot == NULL || !slot->busy;
}

static bool key_is_in_use(struct sim *s, const struct certificate *cert, struct hash spki_hash)
{
	struct issuance i;
	return !serial_is_none(cert->serial) && view_issuance(s->view, cert->serial, &i) == 0 && hash_equal(i.spki_hash, spki_hash);
}

static void on_stage(struct sim *s, int agent, const struct sim_msg *m)
{
	struct certificate cert;
	struct staged_key  known, k = {.spki_hash = m->stage, .host_hash = s->agent[agent].host_hash, .ready_at = control_now(s)};
	if (!at_leisure(s, agent, m->cert, &cert))
		return;
	if (key_is_in_use(s, &cert, m->stage)) {
		restage(s, cert.cert_id);
		return;
	}
	bool has = view_stage(s->view, cert.cert_id, &known) == 0;
	if (has && hash_equal(known.spki_hash, m->stage)) {
		send_now(s, agent, &(struct sim_msg){.type = MSG_ACK, .cert = m->cert, .stage = m->stage});
		return;
	}
	struct sim_slot *open = id_is_none(cert.open_order) ? NULL : slot_find(s, cert.open_order);
	if (open != NULL && hash_equal(open->o.spki_hash, m->stage))
		return; /* the host will hear that it is used */
	if (has && !id_is_none(known.renewal_id))
		return; /* the order that has reserved the other one is about to use it */
	memcpy(k.cert_id, cert.cert_id, sizeof(k.cert_id));
	struct sim_change *c = change_new();
	store_put_stage(c->change, &k);
	sim_trace(s, "%s: a key is staged", k.cert_id);
	c->offer = *m;
	c->offer_agent = agent;
	change_submit(s, c);
}

static void on_target(struct sim *s, int agent, const struct sim_msg *m)
{
	struct certificate cert;
	struct staged_key  known;
	if (at_leisure(s, agent, m->cert, &cert) && cert.proved && id_is_none(cert.open_order) &&
	    view_stage(s->view, cert.cert_id, &known) != 0)
		restage(s, cert.cert_id);
}

static void session_event(struct sim *s, int agent, struct session_event *e)
{
	struct agent        row;
	struct session_step step;
	struct session     *x = &s->controller.session[agent];
	bool                known = view_agent(s->view, s->agent[agent].name, &row) == 0;
	row.run = s->controller.keeper_run[agent];
	session_step(x, e, known ? &row : NULL, control_now(s), &step);
	*x = step.next;
	if (x->helloed)
		s->controller.seen_at[agent] = s->now;
	if (step.keep)
		s->controller.keeper_run[agent] = step.run;
	for (size_t i = 0; i < step.n_act && s->controller.alive; i++) {
		const struct session_action *a = &step.act[i];
		static struct outbox_row     rows[SIM_SLOTS];
		struct sim_msg               m = {.type = MSG_WELCOME, .seq = s->controller.durable[agent]};
		size_t                       n = 0;
		if (a->kind == SES_WELCOME)
			net_to_agent(s, agent, a->gateway, a->session, &m);
		else if (a->kind == SES_KICK)
			net_kick(s, a->gateway, a->session);
		else if (a->kind == SES_COPY_FOUND)
			sim_error(s, "a copy is seen where there is none");
		else if (a->kind == SES_RESEND && view_outbox(s->view, s->agent[agent].name, 0, rows, SIM_SLOTS, &n) == 0)
			for (size_t r = 0; r < n; r++) {
				memcpy(&m, rows[r].frame, sizeof(m));
				send_now(s, agent, &m);
			}
	}
}

void control_message(struct sim *s, int agent, uint64_t session, const struct sim_msg *m)
{
	struct session *x = &s->controller.session[agent];
	if (x->gateway != s->controller.connection || x->session != session)
		return;
	if (m->type == MSG_HELLO) {
		struct session_event e = {
			.kind = SES_HELLO, .gateway = x->gateway, .session = session, .host_hash = m->host_hash};
		e.boot_id = m->boot_id;
		e.generation = m->generation;
		session_event(s, agent, &e);
		return;
	}
	if (!x->helloed)
		return;
	if (m->type == MSG_RECEIPT) {
		on_receipt(s, agent, session, m);
	} else if (m->type == MSG_AGENT_ACK) {
		on_ack(s, agent, m);
	} else if (m->type == MSG_STAGE) {
		on_stage(s, agent, m);
	} else if (m->type == MSG_TARGET) {
		on_target(s, agent, m);
	} else if (m->type == MSG_CSR) {
		struct sim_slot *slot = control_slot(s, m->renewal_id);
		if (slot != NULL && slot->busy)
			again(s, agent, session, m);
		else if (slot != NULL)
			on_csr(s, slot, m);
	}
}

void control_up(struct sim *s, int agent, uint64_t session)
{
	struct session_event e = {
		.kind = SES_UP, .gateway = s->controller.connection, .session = session, .not_after_at = TIME_NEVER};
	e.host_hash = s->agent[agent].host_hash;
	session_event(s, agent, &e);
}

void control_down(struct sim *s, uint64_t session, int agent)
{
	struct session_event e = {.kind = SES_DOWN, .gateway = s->controller.connection, .session = session};
	session_event(s, agent, &e);
}

void control_gateway_lost(struct sim *s)
{
	for (int agent = 0; agent < s->n_agents; agent++) {
		struct session_event e = {.kind = SES_GATEWAY_LOST, .gateway = s->controller.connection};
		session_event(s, agent, &e);
	}
}

/* ---- signer ---- */

void control_signed(struct sim *s, struct serial serial, int code, struct hash fingerprint)
{
	for (int i = 0; i < SIM_SLOTS && s->controller.alive; i++) {
		struct sim_slot *slot = &s->controller.slot[i];
		if (!slot->used || slot->busy || !serial_equal(slot->o.serial, serial))
			continue; /* a busy order is no longer signing */
		struct order_event e = event_of(s, &slot->o, code == 0 ? EV_ISSUED : EV_SIGN_FAILED);
		e.serial = serial;
		e.code = code;
		e.fingerprint = fingerprint;
		order_event(s, slot, &e, -1, NULL);
		return;
	}
}

static void restart_all(struct sim *s)
{
	for (int i = 0; i < SIM_SLOTS && s->controller.alive; i++) {
		struct sim_slot *slot = &s->controller.slot[i];
		if (!slot->used || slot->busy)
			continue;
		struct order_event e = event_of(s, &slot->o, EV_RESTART);
		order_event(s, slot, &e, -1, NULL);
	}
}

static void reserve(struct sim *s)
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
	reserve(s);
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

/* ---- time: due certificates, timers, supersession, people ---- */

static void supersede_due(struct sim *s)
{
	static struct issuance rows[8];
	size_t                 n = 0;
	if (s->controller.first != NULL || view_supersede_due(s->view, control_now(s), rows, 8, &n) != 0 || n == 0)
		return;
	struct sim_change *c = change_new();
	for (size_t i = 0; i < n; i++) {
		rows[i].state = ISSUANCE_REVOKED;
		rows[i].revoked_at = control_now(s);
		rows[i].revoke_reason = REASON_SUPERSEDED;
		rows[i].supersede_at = TIME_NEVER;
		store_put_issuance(c->change, &rows[i]);
	}
	change_submit(s, c);
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
	struct order_event e = event_of(s, &o, EV_DISPATCH);
	control_order(s, slot, &e, -1, NULL, into);
	return slot;
}

static bool ordered_already(const struct sim *s, const char *cert_id)
{
	for (int i = 0; i < SIM_SLOTS; i++) {
		if (s->controller.slot[i].used && strcmp(s->controller.slot[i].o.cert_id, cert_id) == 0)
			return true;
	}
	return false;
}

static void schedule(struct sim *s)
{
	static struct certificate due[SIM_AGENTS_MAX * SIM_CERTS_MAX];
	size_t                    n = 0;
	if (s->now >= s->calm_at || view_due(s->view, control_now(s), due, N_ELEMENTS(due), &n) != 0)
		return;
	for (size_t i = 0; i < n; i++) {
		enum trigger trigger = serial_is_none(due[i].serial) ? TRIGGER_MANUAL : TRIGGER_SCHEDULED;
		bool         approval = false;
		if (!ordered_already(s, due[i].cert_id) &&
		    policy_eligible(&due[i], &s->template, NULL, trigger, false, control_now(s), &approval) == 0 && !approval)
			(void)control_order_new(s, &due[i], trigger, 0, (struct id){{0}}, NULL);
	}
}

/* A person cancels an open order now and then, and always a paused one, so that the next can begin. */
static void people(struct sim *s)
{
	for (int i = 0; i < SIM_SLOTS; i++) {
		struct sim_slot *slot = &s->controller.slot[i];
		bool             paused = s->config->days == 0 && slot->o.phase == ORDER_PAUSED && sim_chance(s, 5);
		if (!slot->used || slot->busy || !(paused || sim_chance(s, s->config->cancel)))
			continue;
		struct order_event e = event_of(s, &slot->o, EV_CANCEL);
		order_event(s, slot, &e, -1, NULL);
	}
}

/* Somebody sets the clock, or a time server does. */
static void jump(struct sim *s)
{
	static const int64_t ahead[] = {0, -2 * MS_HOUR, -10 * MS_MINUTE, 10 * MS_MINUTE, 2 * MS_HOUR};
	s->ahead = ahead[sim_random(s, N_ELEMENTS(ahead))];
	s->jumps++;
	sim_trace(s, "the controller's clock is %lld s ahead", (long long)(s->ahead / MS_SECOND));
}

static bool is_unanswered(const struct session *x)
{
	return x->welcomed && !x->helloed;
}

/* A second; in years as long as nothing is waited for. */
static int64_t tick_ms(const struct sim *s)
{
	int64_t at = s->now + LOOK_MS;
	if (s->config->days == 0)
		return MS_SECOND;
	for (int i = 0; i < SIM_SLOTS; i++) {
		const struct sim_slot *slot = &s->controller.slot[i];
		if (slot->used && s->now + MS_MINUTE < at)
			at = s->now + MS_MINUTE;
		if (slot->used && slot->o.next_at != TIME_NEVER && slot->o.next_at - s->ahead < at)
			at = slot->o.next_at - s->ahead;
	}
	for (int i = 0; i < s->n_agents; i++)
		if (is_unanswered(&s->controller.session[i]))
			at = s->now + 5 * MS_SECOND;
	return at - s->now > MS_SECOND ? at - s->now : MS_SECOND;
}

static void on_tick(struct sim *s, const struct sim_event *e)
{
	struct sim_controller *k = &s->controller;
	if (!k->alive || k->run != e->run)
		return;
	for (int i = 0; i < SIM_SLOTS && k->alive; i++) {
		struct sim_slot *slot = &k->slot[i];
		if (!slot->used || slot->busy || slot->o.next_at > control_now(s))
			continue;
		struct order_event timer = event_of(s, &slot->o, EV_TIMER);
		order_event(s, slot, &timer, -1, NULL);
	}
	bool years = s->config->days > 0;
	for (int agent = 0; agent < s->n_agents && (years || e->link % 5 == 0); agent++)
		if (!years || is_unanswered(&k->session[agent])) /* nobody else's timer does anything */
			session_event(s, agent, &(struct session_event){.kind = SES_TIMER});
	if (years ? s->now >= k->look_at : e->link % 5 == 0) {
		k->look_at = s->now + LOOK_MS;
		schedule(s);
		supersede_due(s);
	}
	if (k->signer_linked && !k->reserving && k->serial_end - k->serial_next < 100)
		reserve(s);
	people(s);
	if (sim_chance(s, s->config->jump))
		jump(s);
	if (k->alive && k->run == e->run)
		campaign_tick(s);
	struct sim_event *next = sim_after(s, tick_ms(s), on_tick);
	next->run = e->run;
	next->link = e->link + 1;
}

/* ---- life and death ---- */

void control_start(struct sim *s)
{
	struct sim_controller *k = &s->controller;
	uint64_t               connection = k->connection, run = k->run;
	*k = (struct sim_controller){.alive = true, .run = run + 1, .connection = connection};
	k->last = &k->first;
	sim_trace(s, "controller starts");
	static struct order open[SIM_SLOTS];
	size_t              n = 0;
	if (view_orders_open(s->view, (struct id){0}, open, SIM_SLOTS, &n) != 0 ||
	    view_outbox_top(s->view, &k->message_id) != 0)
		sim_error(s, "the store cannot be read");
	for (size_t i = 0; i < n; i++)
		(void)slot_new(s, &open[i]);
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
	sim_after(s, MS_SECOND, on_tick)->run = k->run;
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
	for (int i = 0; i < SIM_SLOTS; i++) {
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
		if (s->config->days > 0) /* not all on one day */
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

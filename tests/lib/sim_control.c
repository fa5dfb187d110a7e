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

struct order_policy control_policy(void)
{
	return (struct order_policy){
		.max_attempts = 3,
		.retry_ms = MS_MINUTE,
		.attempt_ms = 3 * MS_MINUTE,
		.supersede_grace_ms = 2 * MS_MINUTE,
		.post_validation = true,
	};
}

/* ---- changes ---- */

static struct sim_change *change_new(void)
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

static void committed(struct sim *s, struct sim_change *c)
{
	uint64_t run = s->controller.run;
	if (c->code != 0) {
		sim_error(s, "a change of %s was refused: %d %s", c->has_step ? c->step.next.cert_id : "nothing", c->code,
			  err_what(c->code));
		return;
	}
	if (c->reserves) {
		s->controller.serial_next = c->result.serial_first;
		s->controller.serial_end = c->result.serial_first + 1000;
	}
	if (c->has_step) {
		struct sim_slot *slot = slot_find(s, c->step.next.renewal_id);
		slot->busy = false;
		slot->used = !order_phase_final(c->step.next.phase);
	}
	if (c->agent >= 0 && c->ack_seq > s->controller.durable[c->agent])
		s->controller.durable[c->agent] = c->ack_seq;
	if (sim_may_die(s, SIM_CONTROLLER, 0)) /* durable, and nobody told */
		return;
	int agent = c->agent, cert = 0;
	if (c->agent >= 0)
		send_now(s, agent, &(struct sim_msg){.type = MSG_ACK, .id = c->ack_id, .seq = c->ack_seq});
	if (c->has_send && cert_find(c->step.next.cert_id, &agent, &cert))
		send_now(s, agent, &c->send);
	if (c->has_step && s->controller.alive && s->controller.run == run)
		act_live(s, &c->step);
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
	for (struct sim_change *c = all; c != NULL; c = c->next) {
		if (store_submit(s->store, c->change, on_done, c) != 0)
			sim_error(s, "the store takes no change");
	}
	store_poll(s->store);
	while (all != NULL) {
		struct sim_change *c = all;
		all = c->next;
		if (k->alive && k->run == e->run)
			committed(s, c);
		free(c);
	}
}

static void submit(struct sim *s, struct sim_change *c)
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
	r.made_at = r.stored_at = s->now;
	r.body = (struct span){(const uint8_t *)m, sizeof(*m)};
	store_add_receipt(c->change, &r);
	c->agent = agent;
	c->ack_seq = m->seq;
	c->ack_id = m->id;
	s->controller.taken[agent] = m->seq;
}

static void order_event(struct sim *s, struct sim_slot *slot, const struct order_event *e, int agent,
			const struct sim_msg *receipt)
{
	struct order_policy policy = control_policy();
	struct order_step   step;
	policy.verified_is_enough = strstr(slot->o.cert_id, "-c1") != NULL;
	if (order_flow_step(&slot->o, e, s->now, &policy, &step) != 0) {
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
	struct sim_change *c = change_new();
	if (receipt != NULL)
		receipt_add(s, c, agent, receipt);
	change_of_step(s, &step, e, c);
	slot->o = step.next;
	slot->busy = true;
	submit(s, c);
}

static struct order_event event_of(struct sim *s, const struct order *o, enum order_event_kind kind)
{
	return (struct order_event){.kind = kind, .renewal_id = o->renewal_id, .random = sim_random(s, UINT32_MAX)};
}

/* In memory, or read back: an ended order still answers. NULL when there is none. */
static struct sim_slot *slot_get(struct sim *s, struct id renewal_id)
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
	uint8_t            random[SERIAL_RANDOM];
	struct hash        h;
	sim_hash(s, &h);
	memcpy(random, h.b, sizeof(random));
	e.attempt = m->attempt;
	e.spki_hash = m->stage;
	e.serial = serial_make(k->serial_next++, random);
	digest_sha256_two(e.serial.b, sizeof(e.serial.b), e.spki_hash.b, sizeof(e.spki_hash.b), &e.tbs_hash);
	order_event(s, slot, &e, -1, NULL);
}

static void on_receipt(struct sim *s, int agent, uint64_t session, const struct sim_msg *m)
{
	static const enum order_event_kind kinds[RECEIPT_OUTCOME_COUNT] = {
		[RECEIPT_VERIFIED] = EV_VERIFIED,      [RECEIPT_SETTLED] = EV_SETTLED, [RECEIPT_FAILED] = EV_TARGET_FAILED,
		[RECEIPT_REFUSED] = EV_ANSWER_REFUSED, [RECEIPT_KEPT] = EV_KEPT,
	};
	struct sim_controller *k = &s->controller;
	enum session_receipt   place = session_receipt(k->taken[agent], m->seq);
	if (place == SESSION_RECEIPT_KNOWN && m->seq <= k->durable[agent])
		send_now(s, agent, &(struct sim_msg){.type = MSG_ACK, .id = m->id, .seq = m->seq});
	if (place != SESSION_RECEIPT_NEXT)
		return;
	struct sim_slot *slot = slot_get(s, m->renewal_id);
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
		submit(s, c);
	} else if (rows[0].type == MSG_CERTIFICATE && slot != NULL) {
		struct order_event e = event_of(s, &slot->o, EV_DELIVERED);
		order_event(s, slot, &e, -1, NULL);
	}
}

static void session_event(struct sim *s, int agent, struct session_event *e)
{
	struct agent        row;
	struct session_step step;
	struct session     *x = &s->controller.session[agent];
	bool                known = view_agent(s->view, s->agent[agent].name, &row) == 0;
	row.run = s->controller.keeper_run[agent];
	session_step(x, e, known ? &row : NULL, s->now, &step);
	*x = step.next;
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
	} else if (m->type == MSG_CSR) {
		struct sim_slot *slot = slot_get(s, m->renewal_id);
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
	for (int agent = 0; agent < SIM_AGENTS; agent++) {
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

static void on_signer(struct sim *s, const struct sim_event *e)
{
	struct sim_controller *k = &s->controller;
	if (!k->alive || k->run != e->run || !s->signer.alive || s->signer.run != e->link)
		return;
	k->signer_linked = true;
	struct sim_change *c = change_new();
	store_reserve_serials(c->change, 1000, s->signer.top + 1);
	c->reserves = true;
	submit(s, c);
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
	if (s->controller.first != NULL || view_supersede_due(s->view, s->now, rows, 8, &n) != 0 || n == 0)
		return;
	struct sim_change *c = change_new();
	for (size_t i = 0; i < n; i++) {
		rows[i].state = ISSUANCE_REVOKED;
		rows[i].revoked_at = s->now;
		rows[i].revoke_reason = REASON_SUPERSEDED;
		rows[i].supersede_at = TIME_NEVER;
		store_put_issuance(c->change, &rows[i]);
	}
	submit(s, c);
}

static void order_new(struct sim *s, const struct certificate *cert, enum trigger trigger)
{
	struct order o = {.trigger = trigger,
			  .phase = ORDER_PLANNED,
			  .created_at = s->now,
			  .next_at = TIME_NEVER,
			  .old_serial = cert->serial};
	struct hash  h;
	bool         approval = false;
	if (policy_eligible(cert, &s->template, NULL, trigger, false, s->now, &approval) != 0 || approval)
		return;
	sim_hash(s, &h);
	o.renewal_id = id_make(s->now, h.b);
	memcpy(o.cert_id, cert->cert_id, sizeof(o.cert_id));
	memcpy(o.agent, cert->agent, sizeof(o.agent));
	struct sim_slot *slot = slot_new(s, &o);
	if (slot == NULL)
		return;
	struct order_event e = event_of(s, &o, EV_DISPATCH);
	order_event(s, slot, &e, -1, NULL);
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
	static struct certificate due[SIM_AGENTS * SIM_CERTS];
	size_t                    n = 0;
	if (s->now >= s->calm_at || view_due(s->view, s->now, due, N_ELEMENTS(due), &n) != 0)
		return;
	for (size_t i = 0; i < n; i++) {
		if (!ordered_already(s, due[i].cert_id))
			order_new(s, &due[i], serial_is_none(due[i].serial) ? TRIGGER_MANUAL : TRIGGER_SCHEDULED);
	}
}

/* A person cancels an open order now and then, and always a paused one, so that the next can begin. */
static void people(struct sim *s)
{
	for (int i = 0; i < SIM_SLOTS; i++) {
		struct sim_slot *slot = &s->controller.slot[i];
		bool             paused = slot->o.phase == ORDER_PAUSED && sim_chance(s, 5);
		if (!slot->used || slot->busy || !(paused || sim_chance(s, s->config->cancel)))
			continue;
		struct order_event e = event_of(s, &slot->o, EV_CANCEL);
		order_event(s, slot, &e, -1, NULL);
	}
}

static void on_tick(struct sim *s, const struct sim_event *e)
{
	struct sim_controller *k = &s->controller;
	if (!k->alive || k->run != e->run)
		return;
	for (int i = 0; i < SIM_SLOTS && k->alive; i++) {
		struct sim_slot *slot = &k->slot[i];
		if (!slot->used || slot->busy || slot->o.next_at > s->now)
			continue;
		struct order_event timer = event_of(s, &slot->o, EV_TIMER);
		order_event(s, slot, &timer, -1, NULL);
	}
	if (e->link % 5 == 0) {
		for (int agent = 0; agent < SIM_AGENTS; agent++)
			session_event(s, agent, &(struct session_event){.kind = SES_TIMER});
		schedule(s);
		supersede_due(s);
	}
	people(s);
	struct sim_event *next = sim_after(s, MS_SECOND, on_tick);
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
	for (int i = 0; i < SIM_AGENTS; i++) {
		struct agent row;
		if (view_agent(s->view, s->agent[i].name, &row) != 0)
			sim_error(s, "no such agent");
		k->taken[i] = k->durable[i] = row.receipt_seq;
	}
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
		free(c);
	}
	net_controller_gone(s);
}

bool control_at_rest(const struct sim *s)
{
	static struct outbox_row row[1];
	if (!s->controller.alive || s->controller.first != NULL)
		return false;
	for (int i = 0; i < SIM_SLOTS; i++) {
		const struct sim_slot *slot = &s->controller.slot[i];
		if (slot->used && (slot->busy || order_phase_open(slot->o.phase)))
			return false;
	}
	for (int i = 0; i < SIM_AGENTS; i++) {
		size_t n = 0;
		if (view_outbox(s->view, s->agent[i].name, 0, row, 1, &n) != 0 || n > 0)
			return false;
	}
	return true;
}

/* ---- installation ---- */

static void install_agent(struct sim *s, struct store_change *c, int i)
{
	struct sim_agent *a = &s->agent[i];
	struct agent      row = {.state = AGENT_ACTIVE, .joined_at = s->now, .service = "argus"};
	snprintf(a->name, sizeof(a->name), "a%d", i);
	sim_hash(s, &a->host_hash);
	memcpy(row.name, a->name, sizeof(row.name));
	row.host_hash = a->host_hash;
	store_put_agent(c, &row);
	for (int k = 0; k < SIM_CERTS; k++) {
		struct certificate cert = {.service = "argus", .approved = true, .created_at = s->now, .renew_at = s->now};
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
	s->template.auto_renewal = s->template.post_validation = true;
	if (store_mem_open(&options, &s->store) != 0 || store_view_open(s->store, &s->view) != 0)
		abort();
	c.change = store_change_new();
	for (int i = 0; i < SIM_AGENTS; i++)
		install_agent(s, c.change, i);
	if (store_submit(s->store, c.change, on_done, &c) != 0)
		abort();
	store_poll(s->store);
	if (c.code != 0)
		sim_error(s, "the installation fails: %d", c.code);
}

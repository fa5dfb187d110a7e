/* sim_intake.c - room tests/lib: what hosts send to the controller: sessions, requests, receipts, acks, keys that they have ready.
 * Never: decisions of its own. */
#include <string.h>

#include "shared/base/err.h"
#include "shared/base/times.h"
#include "shared/wire/wire.h"
#include "tests/lib/sim.h"

#define AGAIN_MS 5 /* an order whose change is on its way takes no event */

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
	struct order_event e = control_event(s, &slot->o, EV_CSR);
	e.attempt = m->attempt;
	e.spki_hash = m->stage;
	control_fill_intent(s, &e);
	control_order(s, slot, &e, -1, NULL, NULL);
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
		control_send(s, agent, &(struct sim_msg){.type = MSG_ACK, .id = m->id, .seq = m->seq});
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
	struct order_event e = control_event(s, &slot->o, kinds[m->outcome]);
	e.attempt = m->attempt;
	e.fingerprint = m->fingerprint;
	e.code = m->code;
	e.flags = m->flags;
	control_order(s, slot, &e, agent, m, NULL);
}

/* Cancels are done with when they are in the journal; a certificate's ack is a live event. */
static void on_ack(struct sim *s, int agent, const struct sim_msg *m)
{
	struct outbox_row row;
	size_t            n = 0;
	if (view_outbox(s->view, s->agent[agent].name, m->id - 1, &row, 1, &n) != 0 || n == 0 || row.message_id != m->id)
		return;
	struct sim_slot *slot = control_find(s, row.renewal_id); /* the ack names the message, nothing else */
	if (slot != NULL && slot->busy)
		return;
	if (row.type == MSG_CANCEL) {
		struct sim_change *c = change_new();
		store_remove_outbox(c->change, s->agent[agent].name, row.renewal_id);
		change_submit(s, c);
	} else if (row.type == MSG_CERTIFICATE && slot != NULL) {
		struct order_event e = control_event(s, &slot->o, EV_DELIVERED);
		control_order(s, slot, &e, -1, NULL, NULL);
	}
}

/* ---- keys that hosts have ready ---- */

/* The host's certificate, unless something is on its way for its order: the store does not say yet what will be. */
static bool at_leisure(struct sim *s, int agent, int cert, struct certificate *ret)
{
	if (view_certificate(s->view, s->agent[agent].cert[cert].cert_id, ret) != 0)
		return false;
	struct sim_slot *slot = id_is_none(ret->open_order) ? NULL : control_find(s, ret->open_order);
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
		control_restage(s, cert.cert_id);
		return;
	}
	bool has = view_stage(s->view, cert.cert_id, &known) == 0;
	if (has && hash_equal(known.spki_hash, m->stage)) {
		control_send(s, agent, &(struct sim_msg){.type = MSG_ACK, .cert = m->cert, .stage = m->stage});
		return;
	}
	struct sim_slot *open = id_is_none(cert.open_order) ? NULL : control_find(s, cert.open_order);
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
		control_restage(s, cert.cert_id);
}

/* What the outbox holds for an agent, a few rows at a time: they are large. */
static void resend(struct sim *s, int agent)
{
	struct outbox_row rows[16];
	size_t            n = 0;
	for (uint64_t after = 0; view_outbox(s->view, s->agent[agent].name, after, rows, 16, &n) == 0 && n > 0; after = rows[n - 1].message_id)
		for (size_t i = 0; i < n; i++) {
			struct sim_msg m;
			memcpy(&m, rows[i].frame, sizeof(m));
			control_send(s, agent, &m);
		}
}

void control_session(struct sim *s, int agent, struct session_event *e)
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
		struct sim_msg m = {.type = MSG_WELCOME, .seq = s->controller.durable[agent]};
		if (a->kind == SES_WELCOME)
			net_to_agent(s, agent, a->gateway, a->session, &m);
		else if (a->kind == SES_KICK)
			net_kick(s, a->gateway, a->session);
		else if (a->kind == SES_COPY_FOUND)
			sim_error(s, "a copy is seen where there is none");
		else if (a->kind == SES_RESEND)
			resend(s, agent);
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
		control_session(s, agent, &e);
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
	control_session(s, agent, &e);
}

void control_down(struct sim *s, uint64_t session, int agent)
{
	struct session_event e = {.kind = SES_DOWN, .gateway = s->controller.connection, .session = session};
	control_session(s, agent, &e);
}

void control_gateway_lost(struct sim *s)
{
	for (int agent = 0; agent < s->n_agents; agent++) {
		struct session_event e = {.kind = SES_GATEWAY_LOST, .gateway = s->controller.connection};
		control_session(s, agent, &e);
	}
}

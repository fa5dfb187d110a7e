/* sim_agent.c - room tests/lib: a keeper around the agent core: journal, receipts, timers, messages.
 * Never: decisions; those are deploy_step()'s. */
#include <stdio.h>
#include <string.h>

#include "shared/base/err.h"
#include "shared/base/times.h"
#include "shared/wire/wire.h"
#include "tests/lib/sim.h"

#define RECEIPTS_AGAIN_MS (30 * MS_SECOND)
#define NOTHING_WAITS_MS  MS_HOUR /* in years every look costs */

const struct deploy_policy sim_policy = {
	.window_open = true,
	.window_at = TIME_NEVER,
	.key_ms = MS_MINUTE,
	.test_ms = 30 * MS_SECOND,
	.reload_ms = 30 * MS_SECOND,
	.probe_ms = 30 * MS_SECOND,
	.settle_ms = 500,
	.verify_row = 3,
	.settle_row = 20,
	.csr_repeat_ms = 10 * MS_SECOND,
	.heal_min_ms = 5 * MS_SECOND,
	.heal_max_ms = 2 * MS_MINUTE,
};

static bool same_run(const struct sim *s, const struct sim_event *e)
{
	return s->agent[e->agent].alive && s->agent[e->agent].run == e->run;
}

/* ---- receipts ---- */

static void send_receipts(struct sim *s, int agent, const struct id *only)
{
	struct sim_agent *a = &s->agent[agent];
	for (size_t i = 0; i < a->n_receipts && a->connected && a->welcomed; i++) {
		if (only == NULL || id_equal(a->receipt[i].renewal_id, *only))
			net_from_agent(s, agent, &a->receipt[i]);
	}
}

static void receipts_acked(struct sim *s, int agent, uint64_t seq)
{
	struct sim_agent *a = &s->agent[agent];
	struct agent      row;
	size_t            n = 0;
	if (view_agent(s->view, a->name, &row) != 0 || row.receipt_seq < seq)
		sim_broken(s, SIM_ACKNOWLEDGED, "%s: receipt %llu was acknowledged and is not stored", a->name, (unsigned long long)seq);
	for (; n < a->n_receipts && a->receipt[n].seq <= seq; n++) {
		struct buf body = BUF_MAX(1024);
		if (view_receipt_body(s->view, a->host_hash, a->receipt[n].seq, &body) != 0 || body.n != sizeof(a->receipt[n]))
			sim_broken(s, SIM_ACKNOWLEDGED, "%s: receipt %llu was acknowledged and is not kept", a->name,
				  (unsigned long long)a->receipt[n].seq);
		buf_free(&body);
	}
	a->n_receipts -= n;
	memmove(a->receipt, a->receipt + n, a->n_receipts * sizeof(a->receipt[0]));
	a->acked_seq = seq > a->acked_seq ? seq : a->acked_seq;
	a->last_seq = seq > a->last_seq ? seq : a->last_seq;
}

/* In the same record as the state that decided it. */
static void receipt_keep(struct sim *s, int agent, int cert, const struct deploy *d, const struct deploy_action *act)
{
	struct sim_agent *a = &s->agent[agent];
	if (a->n_receipts == SIM_RECEIPTS) {
		sim_error(s, "%s: too many receipts wait", a->name);
		return;
	}
	bool bad = act->outcome == RECEIPT_FAILED || act->outcome == RECEIPT_REFUSED;
	if (bad && (act->code >= 0 || d->cause[0] == 0 || err_next(act->code)[0] == 0))
		sim_broken(s, SIM_CLEAR_ERROR, "%s: a failure with code %d and cause `%s`", a->cert[cert].cert_id, act->code, d->cause);
	if (act->outcome == RECEIPT_VERIFIED || act->outcome == RECEIPT_SETTLED)
		a->cert[cert].proved = a->cert[cert].current;
	bool known = act->outcome != RECEIPT_REFUSED;
	a->receipt[a->n_receipts++] = (struct sim_msg){
		.type = MSG_RECEIPT,
		.id = ++a->last_seq,
		.seq = a->last_seq,
		.renewal_id = act->renewal_id,
		.attempt = act->attempt,
		.cert = cert,
		.outcome = act->outcome,
		.fingerprint = known ? d->fingerprint : (struct hash){{0}},
		.code = act->code,
		.flags = d->flags,
	};
}

/* ---- the next key ---- */

static void stage_offer(struct sim *s, int agent, int cert)
{
	const struct sim_cert *c = &s->agent[agent].cert[cert];
	if (c->staged_there && !c->staged_ready && s->agent[agent].welcomed)
		net_from_agent(s, agent, &(struct sim_msg){.type = MSG_STAGE, .cert = cert, .stage = c->staged});
}

/* What is missing is made in quiet time, what is not acknowledged is offered. */
static void stage_beat(struct sim *s, int agent)
{
	for (int cert = 0; cert < s->n_certs && s->agent[agent].alive; cert++) {
		struct sim_cert *c = &s->agent[agent].cert[cert];
		if (!c->staged_there && c->d.phase == DEPLOY_DONE && c->current != 0 && s->now >= c->stage_at) {
			sim_hash(s, &c->staged);
			sim_trace(s, "agent %d.%d has its next key", agent, cert);
			c->staged_there = true;
			c->staged_ready = false;
			if (sim_may_die(s, SIM_AGENT, agent)) /* kept, nobody told */
				return;
		}
		stage_offer(s, agent, cert);
	}
}

/* The controller has none of this certificate, or does not want that one any more. */
static void stage_asked(struct sim *s, int agent, int cert)
{
	struct sim_cert *c = &s->agent[agent].cert[cert];
	sim_trace(s, "agent %d.%d is asked for a key", agent, cert);
	if (c->staged_ready)
		c->staged_there = c->staged_ready = false;
	if (!c->staged_there)
		c->stage_at = s->now + sim_between(s, 0, MS_MINUTE);
}

static void stage_acked(struct sim_cert *c, struct hash stage)
{
	if (c->staged_there && hash_equal(c->staged, stage))
		c->staged_ready = true;
}

static int64_t again_ms(const struct sim *s, int agent)
{
	const struct sim_agent *a = &s->agent[agent];
	bool                    waits = a->n_receipts > 0;
	for (int cert = 0; cert < s->n_certs; cert++)
		waits = waits || (a->cert[cert].staged_there && !a->cert[cert].staged_ready);
	return s->config->days > 0 && !waits ? NOTHING_WAITS_MS : RECEIPTS_AGAIN_MS;
}

static void on_receipts_again(struct sim *s, const struct sim_event *e)
{
	if (!same_run(s, e))
		return;
	send_receipts(s, e->agent, NULL);
	if (s->config->staged)
		stage_beat(s, e->agent);
	if (!same_run(s, e))
		return;
	for (int cert = 0; cert < s->n_certs; cert++)
		care_look(s, e->agent, cert);
	struct sim_event *next = sim_after(s, again_ms(s, e->agent), on_receipts_again);
	next->agent = e->agent;
	next->run = e->run;
}

/* ---- actions that are not the disk's ---- */

static void send_of(struct sim *s, int agent, int cert, const struct deploy_action *act, uint16_t type)
{
	struct sim_msg m = {.type = type,
			    .renewal_id = act->renewal_id,
			    .attempt = act->attempt,
			    .cert = cert,
			    .id = s->agent[agent].acking};
	m.stage = s->agent[agent].cert[cert].d.spki_hash;
	if (s->config->mutant == MUTANT_KEY_SENT)
		disk_private_key(&m.stage, &m.fingerprint);
	if (s->agent[agent].welcomed)
		net_from_agent(s, agent, &m);
}

static void act_one(struct sim *s, int agent, int cert, const struct deploy_action *act)
{
	sim_trace(s, "agent %d.%d act %s", agent, cert, deploy_action_name(act->kind));
	switch (act->kind) {
	case DACT_SEND_CSR:
		send_of(s, agent, cert, act, MSG_CSR);
		break;
	case DACT_ACK:
		if (s->agent[agent].acking != 0)
			send_of(s, agent, cert, act, MSG_AGENT_ACK);
		break;
	case DACT_RECEIPT:
	case DACT_REPEAT_RECEIPT:
		send_receipts(s, agent, &act->renewal_id);
		break;
	default:
		disk_act(s, agent, cert, act);
		break;
	}
}

/* ---- the step ---- */

struct deploy_event agent_event_of(struct sim *s, int agent, int cert, enum deploy_event_kind kind)
{
	struct sim_cert    *c = &s->agent[agent].cert[cert];
	struct deploy_event e = {
		.kind = kind, .renewal_id = c->d.renewal_id, .attempt = c->d.attempt, .random = sim_random(s, UINT32_MAX)};
	e.probe = c->probe;
	e.probe.applies = c->probed;
	e.current_generation = c->current;
	return e;
}

static void on_timer(struct sim *s, const struct sim_event *e)
{
	if (!same_run(s, e) || s->agent[e->agent].cert[e->cert].d.next_at > s->now)
		return;
	struct deploy_event timer = agent_event_of(s, e->agent, e->cert, DEV_TIMER);
	agent_event(s, e->agent, e->cert, &timer);
}

static void plan_timer(struct sim *s, int agent, int cert)
{
	int64_t at = s->agent[agent].cert[cert].d.next_at;
	if (at == TIME_NEVER || at == 0)
		return;
	struct sim_event *e = sim_after(s, at > s->now ? at - s->now : 0, on_timer);
	e->agent = agent;
	e->cert = cert;
	e->run = s->agent[agent].run;
}

void agent_event(struct sim *s, int agent, int cert, const struct deploy_event *e)
{
	struct sim_agent  *a = &s->agent[agent];
	struct sim_cert   *c = &a->cert[cert];
	struct deploy_step step;
	uint64_t           run = a->run;
	if (deploy_step(&c->d, e, s->now, &sim_policy, &step) != 0) {
		sim_error(s, "%s: the core refuses an event", c->cert_id);
		return;
	}
	if (step.ignored)
		return;
	if (e->kind != DEV_PROBED || step.save)
		sim_trace(s, "agent %d.%d %s: %s -> %s", agent, cert, deploy_event_name(e->kind), deploy_phase_name(c->d.phase),
			  deploy_phase_name(step.next.phase));
	s->given_up += step.next.code == E_SWAP_RESTARTS && step.next.phase == DEPLOY_DONE && c->d.phase != DEPLOY_DONE;
	if (step.save) {
		c->journal = step.next;
		if (step.sync)
			c->synced = step.next;
		if (step.next.phase == DEPLOY_CHECK && e->kind == DEV_CERTIFICATE) { /* the certificate is part of the record */
			c->certified = e->stage;
			c->not_after_at = e->deadline_at;
		}
		for (size_t i = 0; i < step.n_act; i++) {
			if (step.act[i].kind != DACT_RECEIPT)
				continue;
			if (!step.sync)
				sim_broken(s, SIM_ACKNOWLEDGED, "%s: a receipt that a power cut would take", c->cert_id);
			receipt_keep(s, agent, cert, &step.next, &step.act[i]);
		}
	}
	bool other_time = step.next.next_at != c->d.next_at;
	c->d = step.next;
	care_follow(s, agent, cert);
	if (other_time)
		plan_timer(s, agent, cert);
	for (size_t i = 0; i < step.n_act && a->alive && a->run == run; i++) {
		if (sim_may_die(s, SIM_AGENT, agent)) /* saved, not yet done */
			return;
		act_one(s, agent, cert, &step.act[i]);
	}
}

/* ---- messages ---- */

static void on_welcome(struct sim *s, int agent, const struct sim_msg *m)
{
	struct sim_agent *a = &s->agent[agent];
	a->welcomed = true;
	receipts_acked(s, agent, m->seq);
	struct sim_msg hello = {
		.type = MSG_HELLO, .boot_id = a->boot_id, .generation = a->generation, .host_hash = a->host_hash};
	net_from_agent(s, agent, &hello);
	send_receipts(s, agent, NULL);
	for (int cert = 0; cert < s->n_certs && s->config->staged; cert++) {
		net_from_agent(s, agent, &(struct sim_msg){.type = MSG_TARGET, .cert = cert});
		stage_offer(s, agent, cert);
	}
}

static struct deploy_event event_of_message(struct sim *s, int agent, const struct sim_msg *m, enum deploy_event_kind kind)
{
	struct deploy_event e = agent_event_of(s, agent, m->cert, kind);
	e.renewal_id = m->renewal_id;
	e.attempt = m->attempt;
	e.trigger = (enum trigger)m->trigger;
	e.post_validation = m->post_validation;
	e.deadline_at = m->deadline_at;
	e.stage = m->stage;
	e.fingerprint = m->fingerprint;
	e.serial = m->serial;
	e.code = m->code;
	memcpy(e.cert_id, s->agent[agent].cert[m->cert].cert_id, sizeof(e.cert_id));
	return e;
}

/* A certificate may only arrive when it is stored as issued: save, then act. */
static void check_stored(struct sim *s, const struct sim_msg *m)
{
	struct issuance i;
	if (view_issuance(s->view, m->serial, &i) != 0 || !hash_equal(i.fingerprint, m->fingerprint) || i.der_len == 0)
		sim_broken(s, SIM_INTENT, "a certificate was sent that is not stored");
}

void agent_message(struct sim *s, int agent, const struct sim_msg *m)
{
	struct deploy_event e;
	s->agent[agent].acking = m->id;
	switch (m->type) {
	case MSG_WELCOME:
		on_welcome(s, agent, m);
		break;
	case MSG_ACK:
		if (!hash_is_none(m->stage))
			stage_acked(&s->agent[agent].cert[m->cert], m->stage);
		else
			receipts_acked(s, agent, m->seq);
		break;
	case MSG_RESTAGE:
		stage_asked(s, agent, m->cert);
		break;
	case MSG_ORDER:
		e = event_of_message(s, agent, m, DEV_ORDER);
		agent_event(s, agent, m->cert, &e);
		break;
	case MSG_CERTIFICATE:
		check_stored(s, m);
		e = event_of_message(s, agent, m, DEV_CERTIFICATE);
		e.deadline_at = m->not_after_at;
		e.staged = m->staged;
		e.key_present = m->staged && s->agent[agent].cert[m->cert].staged_there && hash_equal(s->agent[agent].cert[m->cert].staged, m->stage);
		agent_event(s, agent, m->cert, &e);
		break;
	case MSG_CANCEL:
		e = event_of_message(s, agent, m, DEV_CANCEL);
		agent_event(s, agent, m->cert, &e);
		break;
	default:
		sim_error(s, "the agent got a message of type %u", m->type);
		break;
	}
	s->agent[agent].acking = 0;
}

void agent_connected(struct sim *s, int agent, uint64_t link)
{
	struct sim_agent *a = &s->agent[agent];
	a->connected = true;
	a->welcomed = false;
	a->link = link;
	sim_trace(s, "agent %d connected %llu", agent, (unsigned long long)link);
}

void agent_disconnected(struct sim *s, int agent)
{
	s->agent[agent].connected = s->agent[agent].welcomed = false;
	net_connect_later(s, agent);
}

/* ---- life and death ---- */

void agent_start(struct sim *s, int agent)
{
	struct sim_agent *a = &s->agent[agent];
	struct hash       boot;
	a->alive = true;
	a->run++;
	a->generation++;
	sim_hash(s, &boot);
	memcpy(a->boot_id.b, boot.b, sizeof(a->boot_id.b));
	sim_trace(s, "agent %d starts", agent);
	for (int cert = 0; cert < s->n_certs; cert++)
		a->cert[cert].d = a->cert[cert].journal;
	uint64_t run = a->run;
	for (int cert = 0; cert < s->n_certs && a->alive && a->run == run; cert++) {
		struct sim_cert    *c = &a->cert[cert];
		disk_take_stage(s, agent, cert);
		disk_sync(s, agent, cert);
		struct deploy_event e = agent_event_of(s, agent, cert, DEV_RESTART);
		e.key_present = c->key_there && id_equal(c->key_renewal, c->d.renewal_id) && c->key_attempt == c->d.attempt &&
				hash_equal(c->key, c->d.spki_hash);
		agent_event(s, agent, cert, &e);
	}
	if (!a->alive || a->run != run)
		return;
	net_connect_later(s, agent);
	struct sim_event *again = sim_after(s, RECEIPTS_AGAIN_MS, on_receipts_again);
	again->agent = agent;
	again->run = a->run;
}

void agent_die(struct sim *s, int agent)
{
	struct sim_agent *a = &s->agent[agent];
	bool              power = sim_chance(s, s->config->power);
	net_agent_gone(s, agent);
	a->alive = a->connected = a->welcomed = false;
	a->run++;
	if (power)
		disk_power_cut(s, agent);
	for (int cert = 0; cert < s->n_certs; cert++) {
		struct sim_cert *c = &a->cert[cert];
		c->probing = false;
		c->care = (struct refresh){.phase = REFRESH_REST};
		if (power && sim_random(s, 2) == 0) /* or its last pages had been written back by chance */
			c->journal = c->synced;
		if (power && c->up) /* the service starts with the host */
			c->loaded = c->current;
	}
}

bool agent_at_rest(const struct sim *s, int agent)
{
	const struct sim_agent *a = &s->agent[agent];
	if (!a->alive || !a->connected || a->n_receipts > 0)
		return false;
	for (int cert = 0; cert < s->n_certs; cert++) {
		enum deploy_phase phase = a->cert[cert].d.phase;
		if ((phase != DEPLOY_NONE && phase != DEPLOY_DONE) || care_is_due(s, &a->cert[cert]))
			return false;
	}
	return true;
}

void agent_repair(struct sim *s, int agent)
{
	for (int cert = 0; cert < s->n_certs; cert++) {
		struct sim_cert *c = &s->agent[agent].cert[cert];
		c->mode = MODE_OK;
		c->lasting = false;
		if (!c->up && c->current != 0) {
			c->up = true;
			c->loaded = c->current;
		}
	}
}

/* fleet_deploy.c - drives the agent core for one simulated host, and plays its disk and service.
 * Every decision is deploy_step()'s. Never: a shortcut past the core. */
#include <stdlib.h>
#include <string.h>

#include "shared/base/text.h"
#include "shared/pki/cert.h"
#include "shared/pki/cert_parts.h"
#include "shared/sys/clock.h"
#include "tests/fleet/fleet_part.h"

static struct deploy_policy policy_of(const struct fleet *f)
{
	return (struct deploy_policy){
		.key_ms = MS_MINUTE,
		.test_ms = MS_MINUTE,
		.reload_ms = 2 * MS_HOUR, /* --deploy-time decides */
		.probe_ms = f->options->probe_ms,
		.settle_ms = f->options->settle_ms,
		.verify_row = 3,
		.settle_row = 20,
		.csr_repeat_ms = 30 * MS_SECOND,
		.heal_min_ms = 5 * MS_SECOND,
		.heal_max_ms = 10 * MS_MINUTE,
		.window_open = true,
		.window_at = TIME_NEVER,
	};
}

struct deploy_event deploy_event_of(struct fleet *f, const struct member *m, enum deploy_event_kind kind)
{
	struct deploy_event e = {
		.kind = kind, .renewal_id = m->deploy.renewal_id, .attempt = m->deploy.attempt, .random = fleet_random(f),
		.current_generation = m->generation,
	};
	memcpy(e.cert_id, m->deploy.cert_id, sizeof(e.cert_id));
	return e;
}

/* What handshakes with the played service would have shown by now. */
static struct probe_summary probe(const struct member *m)
{
	const struct deploy *d = &m->deploy;
	uint32_t             row = m->enough ? 20 : 3;
	bool                 is_new = hash_equal(m->serves, d->fingerprint);
	bool                 is_old = !hash_is_none(d->old_fingerprint) && hash_equal(m->serves, d->old_fingerprint);
	return (struct probe_summary){
		.applies = true,
		.row_new = is_new ? row : 0,
		.row_old = is_old ? row : 0,
		.answered = 1,
		.listeners = 1,
		.wrong = !is_new && !is_old,
		.last_old_at = is_new && d->had_old ? m->probed_from : 0,
		.total = row,
	};
}

static void say_probed(struct fleet *f, struct member *m)
{
	struct deploy_event e = deploy_event_of(f, m, DEV_PROBED);
	e.probe = probe(m);
	deploy_event(f, m, &e, 0);
}

/* A row for the receipt, and a live event for whoever watches: as the keeper, which leaves it out in an emergency. */
static void step_done(struct fleet *f, struct member *m, enum workflow_step step)
{
	m->step_at[step] = clock_now() + m->skew_ms;
	struct msg_step live = {.renewal_id = m->deploy.renewal_id, .attempt = m->deploy.attempt, .step = step, .at = m->step_at[step]};
	if (m->welcomed && m->deploy.trigger != TRIGGER_EMERGENCY)
		(void)member_send(f, m, MSG_STEP, &live);
}

/* ---- what the core asks for ---------------------------------------------------------------------------------------------- */

static void make_key(struct fleet *f, struct member *m)
{
	struct deploy_event e = deploy_event_of(f, m, DEV_KEY);
	key_free(m->service_key);
	m->service_key = NULL;
	m->request.max = MSG_CSR_MAX;
	buf_reset(&m->request);
	e.code = key_make(m->deploy.key_type, &m->service_key);
	if (e.code == 0)
		e.code = keep_key_hash(m->service_key, &e.spki_hash);
	if (e.code == 0)
		e.code = csr_make(m->service_key, &m->request);
	step_done(f, m, STEP_PRE_VALIDATION);
	step_done(f, m, STEP_KEY);
	deploy_event(f, m, &e, 0);
}

static void send_request(struct fleet *f, struct member *m)
{
	struct body_csr body = {.renewal_id = m->deploy.renewal_id, .attempt = m->deploy.attempt, .made_at = clock_now() + m->skew_ms};
	if (!m->welcomed || m->request.n == 0)
		return;
	body.csr = buf_span(&m->request);
	memcpy(body.cert_id, m->deploy.cert_id, sizeof(body.cert_id));
	if (member_send_signed(f, m, MSG_CSR, LABEL_CSR, &wire_body_csr, &body) == 0)
		return;
	f->count->tally[TALLY_REQUESTS]++;
	m->request_us = clock_monotonic_us();
	if (m->order_us != 0)
		fleet_time_add(f->count, TIME_ORDER_CSR, m->request_us - m->order_us);
}

static void check(struct fleet *f, struct member *m)
{
	if (m->stage_key != NULL && hash_equal(m->stage_hash, m->deploy.spki_hash))
		stage_take(f, m);
	struct deploy_event e = deploy_event_of(f, m, DEV_CHECKED);
	e.had_old = e.old_valid = m->generation != 0;
	e.was_serving = !hash_is_none(m->serves);
	e.old_generation = m->generation;
	e.old_fingerprint = m->serves;
	step_done(f, m, STEP_CHECK);
	deploy_event(f, m, &e, 0);
}

static void write_generation(struct fleet *f, struct member *m)
{
	struct deploy_event e = deploy_event_of(f, m, DEV_WRITTEN);
	e.generation = m->generation + 1;
	step_done(f, m, STEP_WRITE);
	deploy_event(f, m, &e, 0);
}

static void test(struct fleet *f, struct member *m)
{
	struct deploy_event e = deploy_event_of(f, m, DEV_TESTED);
	e.tested = true;
	step_done(f, m, STEP_TEST);
	deploy_event(f, m, &e, 0);
}

static void flip(struct fleet *f, struct member *m, bool back)
{
	if (back) {
		m->current = m->previous;
		m->serial = m->previous_serial;
		m->generation = m->previous_generation;
	} else if (m->generation != m->deploy.generation) {
		m->previous = m->current;
		m->previous_serial = m->serial;
		m->previous_generation = m->generation;
		m->current = m->deploy.fingerprint;
		m->serial = m->deploy.serial;
		m->generation = m->deploy.generation;
		step_done(f, m, STEP_FLIP);
	}
	struct deploy_event e = deploy_event_of(f, m, DEV_FLIPPED);
	deploy_event(f, m, &e, 0);
}

/* Hosts that fail do so each time that they replace what they serve; the way back works. */
static void reloaded(struct fleet *f, struct member *m)
{
	struct deploy_event e = deploy_event_of(f, m, DEV_RELOADED);
	bool                fails = m->failing && m->deploy.had_old && hash_equal(m->current, m->deploy.fingerprint);
	e.probe.applies = true;
	if (fails) {
		e.code = E_HOOK_FAILED;
		text_cut(e.cause, sizeof(e.cause), "the played service does not reload");
	} else {
		m->serves = f->served[m->index] = m->current;
		m->probed_from = f->now;
		step_done(f, m, STEP_RELOAD);
	}
	deploy_event(f, m, &e, 0);
	if (fails)
		return;
	say_probed(f, m);
	if (m->deploy.phase == DEPLOY_SETTLE)
		fleet_timer(f, m, TIMER_SETTLE, f->now + f->options->settle_ms + 1);
}

static void reload(struct fleet *f, struct member *m)
{
	const struct fleet_options *o = f->options;
	int64_t                     range = o->deploy_max_ms - o->deploy_min_ms;
	int64_t                     takes = o->deploy_min_ms + (range > 0 ? (int64_t)(fleet_random(f) % (uint64_t)(range + 1)) : 0);
	if (takes == 0)
		reloaded(f, m);
	else
		fleet_timer(f, m, TIMER_RELOAD, f->now + takes);
}

/* ---- receipts ------------------------------------------------------------------------------------------------------------- */

static void steps_fill(const struct member *m, struct body_receipt *b)
{
	b->n_steps = 0;
	for (uint32_t s = 0; s < STEP_COUNT; s++)
		if (m->step_at[s] != 0)
			b->steps[b->n_steps++] = (struct receipt_step){.step = s, .at = m->step_at[s]};
}

static int receipt_build(struct fleet *f, struct member *m, const struct deploy *next, const struct deploy_action *a, size_t ahead,
                         struct receipt_kept **ret)
{
	struct body_receipt *b = &f->receipt;
	struct probe_summary p = probe(m);
	*b = (struct body_receipt){
		.renewal_id = a->renewal_id, .attempt = a->attempt, .outcome = a->outcome, .old_fingerprint = next->old_fingerprint,
		.serial = next->serial, .generation = next->generation, .code = a->code, .flags = next->flags, .probes = p.total,
		.made_at = clock_now() + m->skew_ms, .n_listeners = 1,
	};
	b->flipped_at = next->flipped_at != 0 ? clock_of_steady(next->flipped_at) + m->skew_ms : 0;
	b->first_new_at = p.row_new > 0 ? b->made_at : 0;
	b->last_old_at = p.last_old_at != 0 ? clock_of_steady(p.last_old_at) + m->skew_ms : 0;
	if (a->outcome != RECEIPT_REFUSED)
		b->fingerprint = next->fingerprint;
	text_cut(b->cert_id, sizeof(b->cert_id), next->cert_id);
	text_cut(b->cause, sizeof(b->cause), next->cause);
	text_cut(b->listeners[0].address, sizeof(b->listeners[0].address), "127.0.0.1:443");
	b->listeners[0].fingerprint = m->serves;
	b->listeners[0].proved = p.row_new > 0;
	if (a->outcome == RECEIPT_VERIFIED || a->outcome == RECEIPT_SETTLED)
		m->step_at[a->outcome == RECEIPT_VERIFIED ? STEP_VERIFY : STEP_SETTLE] = b->made_at;
	steps_fill(m, b);
	return receipt_make(&m->receipts, ahead, m->host_key, b, ret);
}

static void receipt_out(struct fleet *f, struct member *m, struct receipt_kept *r)
{
	receipts_add(&m->receipts, r);
	f->count->tally[TALLY_MADE_VERIFIED + (int)r->outcome]++;
	if (m->due[TIMER_RECEIPTS] == TIME_NEVER)
		fleet_timer(f, m, TIMER_RECEIPTS, f->now + MS_MINUTE);
	if (!m->welcomed)
		return;
	member_send_receipt(f, m, r);
	if (r->outcome == RECEIPT_VERIFIED && m->certificate_us != 0) {
		fleet_time_add(f->count, TIME_CERT_RECEIPT, clock_monotonic_us() - m->certificate_us);
		m->certificate_us = 0;
	}
}

static void receipts_again(struct fleet *f, struct member *m, const struct deploy_action *a)
{
	for (const struct receipt_kept *r = m->receipts.first; r != NULL; r = r->next)
		if (m->welcomed && id_equal(r->renewal_id, a->renewal_id))
			member_send_receipt(f, m, r);
}

/* ---- the core --------------------------------------------------------------------------------------------------------------- */

static void act(struct fleet *f, struct member *m, const struct deploy_action *a, uint64_t ack_id)
{
	struct msg_ack ack = {.id = ack_id};
	switch (a->kind) {
	case DACT_MAKE_KEY:
		make_key(f, m);
		break;
	case DACT_SEND_CSR:
		send_request(f, m);
		break;
	case DACT_CHECK:
		check(f, m);
		break;
	case DACT_WRITE:
		write_generation(f, m);
		break;
	case DACT_TEST:
		test(f, m);
		break;
	case DACT_FLIP:
		flip(f, m, false);
		break;
	case DACT_FLIP_BACK:
		flip(f, m, true);
		break;
	case DACT_RELOAD:
		reload(f, m);
		break;
	case DACT_ACK:
		if (ack_id != 0 && m->welcomed)
			(void)member_send(f, m, MSG_AGENT_ACK, &ack);
		break;
	case DACT_REPEAT_RECEIPT:
		receipts_again(f, m, a);
		break;
	case DACT_PROBE_RESET:
		m->enough = false;
		fleet_timer(f, m, TIMER_SETTLE, TIME_NEVER);
		if (m->deploy.phase == DEPLOY_COMPARE)
			say_probed(f, m);
		break;
	case DACT_PROBE_STOP:
		fleet_timer(f, m, TIMER_SETTLE, TIME_NEVER);
		break;
	case DACT_DISCARD: /* nothing of an attempt is on a disk here */
	case DACT_REMOVE:
	case DACT_PRUNE:
	case DACT_RECEIPT: /* made with the step */
	case DACT_KIND_COUNT:
		break;
	}
}

void deploy_event(struct fleet *f, struct member *m, struct deploy_event *e, uint64_t ack_id)
{
	struct deploy_policy policy = policy_of(f);
	struct deploy_step   step;
	struct receipt_kept *made[DEPLOY_ACTIONS_MAX];
	size_t               n = 0;
	if (deploy_step(&m->deploy, e, f->now, &policy, &step) < 0)
		abort(); /* an event that the core does not know */
	for (size_t i = 0; i < step.n_act; i++)
		if (step.act[i].kind == DACT_RECEIPT && receipt_build(f, m, &step.next, &step.act[i], n, &made[n]) == 0)
			n++;
	m->deploy = step.next;
	fleet_timer(f, m, TIMER_CORE, m->deploy.next_at);
	if (m->deploy.phase == DEPLOY_DONE)
		stage_plan(f, m);
	for (size_t i = 0; i < n; i++)
		receipt_out(f, m, made[i]);
	for (size_t i = 0; i < step.n_act; i++)
		act(f, m, &step.act[i], ack_id);
}

static void order_begins(struct fleet *f, struct member *m)
{
	m->order_us = clock_monotonic_us();
	if (f->count->first_order_at == 0)
		f->count->first_order_at = clock_now();
	memset(m->step_at, 0, sizeof(m->step_at));
}

void deploy_order(struct fleet *f, struct member *m, const struct msg_order *o, uint64_t id, bool drill)
{
	struct deploy_event e = deploy_event_of(f, m, DEV_ORDER);
	if (o->trigger >= TRIGGER_COUNT || o->key_type >= KEY_TYPE_COUNT) {
		struct msg_ack ack = {.id = id, .code = E_RANGE};
		(void)member_send(f, m, MSG_AGENT_ACK, &ack);
		return;
	}
	e.renewal_id = o->renewal_id;
	e.attempt = o->attempt;
	e.trigger = (enum trigger)o->trigger;
	e.key_type = (enum key_type)o->key_type;
	e.post_validation = o->post_validation;
	e.any_time = o->any_time;
	e.pre_validation = o->pre_validation;
	e.drill = drill;
	e.deadline_at = o->deadline_at;
	text_cut(e.cert_id, sizeof(e.cert_id), o->cert_id);
	text_cut(e.window, sizeof(e.window), o->window);
	if (!id_equal(o->renewal_id, m->deploy.renewal_id) || o->attempt != m->deploy.attempt) {
		f->count->tally[TALLY_ORDERS]++;
		order_begins(f, m);
	}
	deploy_event(f, m, &e, id);
}

/* The checks of a keeper that need no file: the key is ours, the form is right. */
static int certificate_read(const struct key *key, const struct msg_certificate *c, struct serial *ret)
{
	struct cert_parts parts;
	struct buf        spki = BUF_MAX(SPKI_MAX);
	int               r = cert_parts_read(c->certificate, &parts);
	if (r == 0 && !cert_parts_serial(parts.t.serial, ret))
		r = E_PKI_CERT;
	if (r == 0)
		r = key != NULL ? key_spki(key, &spki) : E_PKI_MISMATCH;
	if (r == 0 && !span_equal(buf_span(&spki), parts.t.spki))
		r = E_PKI_MISMATCH;
	buf_free(&spki);
	return r;
}

void deploy_certificate(struct fleet *f, struct member *m, const struct msg_certificate *c, uint64_t id)
{
	struct deploy_event e = deploy_event_of(f, m, DEV_CERTIFICATE);
	e.renewal_id = c->renewal_id;
	e.attempt = c->attempt;
	e.trigger = c->trigger < TRIGGER_COUNT ? (enum trigger)c->trigger : TRIGGER_SCHEDULED;
	e.post_validation = c->post_validation;
	e.any_time = c->any_time;
	e.deadline_at = c->deadline_at;
	e.stage = c->stage;
	e.staged = c->staged;
	e.key_type = c->key_type < KEY_TYPE_COUNT ? (enum key_type)c->key_type : KEY_EC_P256;
	e.pre_validation = c->pre_validation;
	e.key_present = c->staged && m->stage_key != NULL && hash_equal(c->stage, m->stage_hash);
	text_cut(e.cert_id, sizeof(e.cert_id), c->cert_id);
	text_cut(e.window, sizeof(e.window), c->window);
	digest_sha256(c->certificate, &e.fingerprint);
	if ((e.key_present || m->deploy.phase == DEPLOY_CSR) && certificate_read(e.key_present ? m->stage_key : m->service_key, c, &e.serial) != 0)
		e.stage = (struct hash){{0}}; /* the core refuses what is not for its key */
	if (c->staged && (!id_equal(c->renewal_id, m->deploy.renewal_id) || c->attempt != m->deploy.attempt))
		order_begins(f, m);
	f->count->tally[TALLY_CERTIFICATES]++;
	m->certificate_us = clock_monotonic_us();
	if (m->request_us != 0)
		fleet_time_add(f->count, TIME_CSR_CERT, m->certificate_us - m->request_us);
	m->request_us = 0;
	deploy_event(f, m, &e, id);
}

void deploy_cancel(struct fleet *f, struct member *m, const struct msg_cancel *c, uint64_t id)
{
	struct deploy_event e = deploy_event_of(f, m, DEV_CANCEL);
	text_cut(e.cert_id, sizeof(e.cert_id), c->cert_id);
	e.renewal_id = c->renewal_id;
	e.attempt = c->attempt;
	e.code = c->code;
	deploy_event(f, m, &e, id);
}

void deploy_timer(struct fleet *f, struct member *m, enum member_timer t)
{
	if (t == TIMER_RELOAD) {
		reloaded(f, m);
	} else if (t == TIMER_SETTLE) {
		m->enough = true;
		say_probed(f, m);
	} else {
		struct deploy_event e = deploy_event_of(f, m, DEV_TIMER);
		e.probe = probe(m);
		deploy_event(f, m, &e, 0);
	}
}

void deploy_request_again(struct fleet *f, struct member *m)
{
	if (m->deploy.phase == DEPLOY_CSR)
		send_request(f, m);
}

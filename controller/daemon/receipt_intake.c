/* receipt_intake.c - room controller/daemon: receipt, order step, target and agent row in one change.
 * Never: an ack before that change is durable. */
#include "controller/daemon/receipt_intake.h"

#include <string.h>

#include <stdlib.h>

#include "controller/core/session.h"
#include <jansson.h>

#include "controller/daemon/agent_messages.h"
#include "controller/daemon/catalog.h"
#include "controller/daemon/commit.h"
#include "controller/daemon/host_copies.h"
#include "controller/daemon/metrics.h"
#include "controller/daemon/orders.h"
#include "controller/daemon/restored.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/pki/key.h"
#include "shared/sys/clock.h"
#include "shared/sys/log.h"

_Static_assert((int)MSG_STEPS_MAX <= (int)STORE_STEPS_MAX, "a receipt's steps are one piece of the history");

static const enum order_event_kind outcome_events[RECEIPT_OUTCOME_COUNT] = {
	[RECEIPT_VERIFIED] = EV_VERIFIED,      [RECEIPT_SETTLED] = EV_SETTLED, [RECEIPT_FAILED] = EV_TARGET_FAILED,
	[RECEIPT_REFUSED] = EV_ANSWER_REFUSED, [RECEIPT_KEPT] = EV_KEPT,       [RECEIPT_TESTED] = EV_TESTED,
};

static void add_evidence(struct commit *c, const struct agent *agent, const struct body_receipt *r, struct span body,
			 struct span signature, int64_t now)
{
	struct receipt_row row = {
		.host_hash = agent->host_hash,
		.seq = r->seq,
		.renewal_id = r->renewal_id,
		.attempt = r->attempt,
		.outcome = (int)r->outcome,
		.code = r->code,
		.fingerprint = r->fingerprint,
		.probes = r->probes,
		.probes_failed = r->probes_failed,
		.listeners = r->n_listeners,
		.flipped_at = r->flipped_at,
		.first_new_at = r->first_new_at,
		.last_old_at = r->last_old_at,
		.made_at = r->made_at,
		.stored_at = now,
		.body = body,
	};
	if (signature.n <= sizeof(row.signature)) { /* the wire allows no longer one */
		memcpy(row.signature, signature.p, signature.n);
		row.signature_len = (uint16_t)signature.n;
	}
	memcpy(row.host_spki, agent->host_spki, sizeof(row.host_spki));
	row.host_spki_len = agent->host_spki_len;
	text_cut(row.agent, sizeof(row.agent), agent->name);
	text_cut(row.cert_id, sizeof(row.cert_id), r->cert_id);
	store_add_receipt(commit_change(c), &row);
}

static enum audit_level level_of(struct controller *ctl, const char *cert_id)
{
	struct certificate     cert;
	const struct template *t = rows_certificate(ctl->rows, cert_id, &cert) == 0 ? catalog_policy(ctl->catalog, cert.template_id, cert.service) : NULL;
	return t != NULL ? t->audit_level : AUDIT_STANDARD;
}

static void audit_step(struct commit *c, const char *agent, const char *cert_id, const struct order_step_row *row)
{
	char actor[ACTOR_SIZE] = "agent:", code[ERR_CODE_SIZE];
	text_cut(actor + strlen(actor), sizeof(actor) - strlen(actor), agent);
	commit_audit(c, &(struct audit_of){.event = AUDIT_RENEWAL_STEP, .actor = actor, .object = cert_id, .renewal_id = row->renewal_id},
		     "{s:s,s:i,s:s,s:I,s:s}", "step", workflow_step_name(row->step), "attempt", (int)row->attempt, "code",
		     row->code != 0 ? err_code(row->code, code) : "done", "took_ms", (long long)row->took_ms, "detail", row->detail);
}

/* What is stored of an attempt whose pair was kept without proof. The host's next receipt comes when that is stored. */
struct steps_told {
	struct {
		enum workflow_step step;
		int64_t            at;
	} row[2 * MSG_STEPS_MAX];
	size_t n;
};

static bool is_told(const struct steps_told *told, const struct receipt_step *s)
{
	for (size_t i = 0; i < told->n; i++)
		if (told->row[i].step == (enum workflow_step)s->step && told->row[i].at == s->at)
			return true;
	return false;
}

/* What cannot be read counts as untold: told twice is better than not at all. */
static void steps_told(struct controller *ctl, const struct body_receipt *r, struct steps_told *ret)
{
	struct order o;
	size_t       n = 0;
	ret->n = 0;
	if (orders_find(ctl, r->renewal_id, &o) < 0 || (o.flags & ORDER_UNVERIFIED) == 0)
		return;
	struct order_step_row *rows = calloc(STORE_LIST_MAX, sizeof(*rows)); /* of all attempts */
	if (rows == NULL || view_steps(ctl->view, r->renewal_id, rows, STORE_LIST_MAX, &n) < 0)
		n = 0;
	for (size_t i = 0; i < n && ret->n < N_ELEMENTS(ret->row); i++)
		if (rows[i].attempt == r->attempt) {
			ret->row[ret->n].step = rows[i].step;
			ret->row[ret->n++].at = rows[i].at;
		}
	free(rows);
}

/* A receipt tells the whole story once more: of the settled one only what came after `verified` is new, and of one that follows a pair kept without
 * proof what is not there yet. */
static void add_steps(struct controller *ctl, struct commit *c, const char *agent, const struct body_receipt *r, const struct steps_told *told)
{
	struct order o;
	struct order_step_row rows[MSG_STEPS_MAX];
	size_t                n = 0;
	bool each = level_of(ctl, r->cert_id) == AUDIT_ENHANCED; /* one record for each step of the workflow */
	if (each && orders_find(ctl, r->renewal_id, &o) == 0 && (o.flags & ORDER_DRILL) != 0)
		each = false; /* a drill's steps are in its report */
	for (uint32_t i = 0; i < r->n_steps; i++) {
		const struct receipt_step *s = &r->steps[i];
		if (s->step >= STEP_COUNT || (r->outcome == RECEIPT_SETTLED && s->step < STEP_SETTLE) || is_told(told, s))
			continue;
		struct order_step_row *row = &rows[n++];
		*row = (struct order_step_row){
			.renewal_id = r->renewal_id,
			.attempt = r->attempt,
			.step = (enum workflow_step)s->step,
			.code = s->code,
			.at = s->at,
			.took_ms = s->took_ms,
		};
		text_cut(row->detail, sizeof(row->detail), s->detail);
		if (each)
			audit_step(c, agent, r->cert_id, row);
	}
	store_add_steps(commit_change(c), rows, n);
	metrics_steps_later(c, rows, n);
}

static void trust_take(struct target *t, const struct body_receipt *r)
{
	if (r->trust_epoch == 0)
		return;
	t->trust_epoch = r->trust_epoch;
	t->trust_proof = r->trust_proof;
	t->crl_hash = r->crl_hash;
}

/* Only the order's own certificate can have been proved, or the one before it that it was rolled back to; a receipt speaks for all places of the certificate. */
static void update_targets(struct controller *ctl, struct commit *c, const char *agent, const struct body_receipt *r, int64_t now)
{
	enum { MAX = 16 };
	struct order   order;
	size_t         n = 0;
	bool           proof = r->outcome == RECEIPT_VERIFIED || r->outcome == RECEIPT_SETTLED;
	struct target *rows = calloc(MAX, sizeof(*rows));
	if (rows == NULL)
		abort();
	if (orders_find(ctl, r->renewal_id, &order) == 0 && rows_targets_of(ctl->rows, r->cert_id, rows, MAX, &n) < 0)
		n = 0;
	bool back = n > 0 && order.phase == ORDER_ROLLED_BACK && serial_equal(r->serial, order.old_serial);
	proof = proof && n > 0 && (back || (!hash_is_none(order.fingerprint) && hash_equal(r->fingerprint, order.fingerprint)));
	if (n > 0 && (order.flags & ORDER_DRILL) != 0)
		n = 0; /* it leaves targets as they were */
	for (size_t i = 0; i < n; i++) {
		if (!text_equal(rows[i].agent, agent))
			continue;
		rows[i].last_code = proof && r->outcome == RECEIPT_SETTLED ? 0 : r->code; /* its code then tells what it had to be healed of */
		if (proof) {
			rows[i].served = back ? order.old_serial : order.serial;
			rows[i].proved_at = now;
			trust_take(&rows[i], r);
		}
		commit_target(c, &rows[i]);
	}
	free(rows);
}

/* The care of a host for one of its targets, between orders. */
static enum audit_event care_event_of(const struct body_receipt *r)
{
	static const enum audit_event well[REFRESH_REASON_COUNT] = {
		[REFRESH_ORDER] = AUDIT_TARGET_REFRESHED,  [REFRESH_REPAIR] = AUDIT_TARGET_REPAIRED,
		[REFRESH_CONTENT] = AUDIT_TARGET_REFRESHED, [REFRESH_PROVE] = AUDIT_TARGET_REFRESHED,
		[REFRESH_HEAL] = AUDIT_TARGET_HEALED,      [REFRESH_REHEARSE] = AUDIT_TARGET_REHEARSED,
	};
	return r->outcome == RECEIPT_SETTLED ? well[r->reason] : AUDIT_TARGET_CARE_FAILED;
}

/* At level minimal: changes of a state alone, not that all went as every day. */
static bool care_is_told(enum audit_event e)
{
	return e != AUDIT_TARGET_REFRESHED && e != AUDIT_TARGET_REHEARSED;
}

static void care_take(struct controller *ctl, struct commit *c, const char *agent, const struct body_receipt *r, int64_t now)
{
	struct target t;
	char          id[TARGET_ID_SIZE], actor[ACTOR_SIZE], text[ERR_CODE_SIZE];
	target_id_of(agent, r->cert_id, r->stem, id);
	if (rows_target(ctl->rows, id, &t) < 0 || !text_equal(t.agent, agent))
		return; /* kept as evidence */
	t.cared_at = now;
	if (r->outcome == RECEIPT_SETTLED)
		trust_take(&t, r);
	commit_target(c, &t);
	if (level_of(ctl, r->cert_id) == AUDIT_MINIMAL && !care_is_told(care_event_of(r)))
		return;
	text_cut(actor, sizeof(actor), "agent:");
	text_cut(actor + strlen(actor), sizeof(actor) - strlen(actor), agent);
	commit_audit(c, &(struct audit_of){.event = care_event_of(r), .actor = actor, .object = id}, "{s:s,s:s,s:s}", "reason",
		     refresh_reason_name((enum refresh_reason)r->reason), "code", err_code(r->code, text), "cause", r->cause);
}

/* 0, E_NOT_FOUND or E_ORDER_EVENT: the receipt is kept as evidence, but moves nothing. */
static int order_event_of(struct controller *ctl, struct commit *c, const char *agent, const struct body_receipt *r)
{
	struct order o;
	int          code = orders_find(ctl, r->renewal_id, &o);
	if (code < 0)
		return code;
	if (!text_equal(o.agent, agent) || !text_equal(o.cert_id, r->cert_id))
		return E_NOT_FOUND;
	struct order_event ev = {
		.kind = outcome_events[r->outcome],
		.renewal_id = r->renewal_id,
		.attempt = r->attempt,
		.fingerprint = r->fingerprint,
		.serial = r->serial,
		.flags = r->flags,
		.code = r->code,
	};
	text_cut(ev.cause, sizeof(ev.cause), r->cause);
	bool stored;
	return orders_event(ctl, &ev, &(struct order_input){.commit = c}, &stored);
}

struct stored_wait {
	char agent[AGENT_NAME_SIZE];
};

static void on_stored(struct controller *ctl, void *ctx, int code, const struct store_result *result)
{
	(void)code;
	(void)result;
	struct stored_wait *w = ctx;
	if (!ctl->stopping)
		fleet_ready(ctl, w->agent);
	free(w);
}

static bool take_next(struct controller *ctl, const struct agent *row, uint64_t id, const struct body_receipt *r,
		      struct span body, struct span signature)
{
	int64_t        now = clock_now();
	struct commit *c = commit_new(ctl);
	bool           care = id_is_none(r->renewal_id);
	struct hash    hash;
	struct steps_told told = {.n = 0};
	if (!care)
		steps_told(ctl, r, &told); /* before the event changes the order */
	digest_sha256(body, &hash);
	commit_evidence(c, row->host_hash, r->seq, hash);
	add_evidence(c, row, r, body, signature, now);
	int            code = care ? E_NOT_FOUND : order_event_of(ctl, c, row->name, r);
	if (code < 0 && code != E_NOT_FOUND && code != E_ORDER_EVENT) {
		commit_drop(c); /* the store cannot be read: the agent re-sends */
		fleet_rewelcome(ctl, row->name);
		return false;
	}
	if (care)
		care_take(ctl, c, row->name, r, now);
	else if (code < 0)
		restored_saw_receipt(ctl, row->name, r->cert_id, r->made_at);
	if (code == 0) {
		add_steps(ctl, c, row->name, r, &told);
		update_targets(ctl, c, row->name, r, now);
	}
	struct agent next = *row;
	next.receipt_seq = r->seq;
	commit_agent(c, &next);

	struct ack_later ack = {.id = id, .seq = r->seq};
	text_cut(ack.agent, sizeof(ack.agent), row->name);
	commit_then(c, agent_ack_then, &ack, sizeof(ack));
	commit_else(c, agent_rewelcome_else, row->name, sizeof(row->name));
	commit_fault_points(c, "controller.receipt", "controller.receipt_stored");
	struct stored_wait *w = calloc(1, sizeof(*w));
	if (w == NULL)
		abort();
	text_cut(w->agent, sizeof(w->agent), row->name);
	commit_now(c, on_stored, w);
	return true;
}

/* A number that was used already, by this receipt or by another one of the same host key. One that is not stored is on its way
 * there, or was pruned. */
static bool is_another(struct controller *ctl, const struct agent *row, uint64_t seq, struct span body)
{
	struct buf stored = BUF_MAX(RECEIPT_BODY_MAX);
	bool       other = view_receipt_body(ctl->view, row->host_hash, seq, &stored) == 0 && !span_equal(buf_span(&stored), body);
	buf_free(&stored);
	return other;
}

static void take_known(struct controller *ctl, const struct agent *row, uint64_t id, uint64_t seq, struct span body)
{
	if (!is_another(ctl, row, seq, body)) {
		agent_ack_when_stored(ctl, row->name, id, seq);
		return;
	}
	host_copies_suspect(ctl, row->name, seq);
	agent_ack(ctl, row->name, id, seq, E_RECEIPT_TAKEN, NULL);
}

bool receipt_intake(struct controller *ctl, const char *agent, uint64_t id, const struct body_receipt *receipt,
		    struct span body, struct span signature)
{
	struct agent row;
	if (receipt->outcome >= RECEIPT_OUTCOME_COUNT) {
		agent_refuse(ctl, agent, id, E_WIRE_LIMIT, "receipt");
		return false;
	}
	if (rows_agent(ctl->rows, agent, &row) < 0)
		return false;
	switch (session_receipt(row.receipt_seq, receipt->seq)) {
	case SESSION_RECEIPT_NEXT:
		return take_next(ctl, &row, id, receipt, body, signature);
	case SESSION_RECEIPT_KNOWN:
		take_known(ctl, &row, id, receipt->seq, body);
		break;
	case SESSION_RECEIPT_GAP:
		break;
	}
	return false;
}

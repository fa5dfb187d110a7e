/* order_actions.c - room controller/daemon: one function per action of the order core; read the table first.
 * All of one step lands in one change. Never: clocks beyond the one reading of the step, decisions. */
#include "controller/daemon/order_actions.h"

#include <stdlib.h>
#include <string.h>

#include "controller/core/policy.h"
#include "controller/daemon/catalog.h"
#include "controller/daemon/crls.h"
#include "controller/daemon/fleet.h"
#include "controller/daemon/intents.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/sys/clock.h"

enum { ATTEMPT_MS = 10 * 60 * 1000, RETRY_FLOOR_MS = 5000, MESSAGE_MAX = OUTBOX_FRAME_MAX, TARGETS_MAX = 16 };

/* One step being applied: rows are read once, changed by several actions and put once at the end. */
struct applying {
	struct controller         *ctl;
	struct commit             *commit;
	const struct order        *was;
	const struct order_step   *step;
	const struct order_input  *in;
	struct sent_message       *message;
	int64_t                    now;
	struct certificate        *cert;
	struct certificate         cert_value;
	bool                       cert_read, cert_changed, cert_foreign;
	struct issuance            mine, old; /* of this attempt, of the order's predecessor */
	bool                       mine_read, mine_changed, mine_new, old_read, old_changed;
	const struct order_action *action;
};

/* Places where no handshake can prove what is served. */
static void places_unproved(struct controller *ctl, const char *cert_id, bool *ret_any, bool *ret_all)
{
	size_t         n = 0, blind = 0;
	struct target *rows = calloc(TARGETS_MAX, sizeof(*rows));
	if (rows == NULL)
		abort();
	if (rows_targets_of(ctl->rows, cert_id, rows, TARGETS_MAX, &n) == 0)
		for (size_t i = 0; i < n; i++)
			blind += text_equal(rows[i].verify_kind, "none") || text_equal(rows[i].verify_kind, "file");
	free(rows);
	*ret_any = blind > 0;
	*ret_all = n > 0 && blind == n;
}

void order_actions_policy(struct controller *ctl, const struct order *o, struct order_policy *ret)
{
	struct certificate     cert;
	bool                   any_unproved = false, all_unproved = false;
	const struct template *t = NULL;
	if (rows_certificate(ctl->rows, o->cert_id, &cert) == 0)
		t = catalog_template(ctl->catalog, cert.template_id);
	places_unproved(ctl, o->cert_id, &any_unproved, &all_unproved);
	*ret = (struct order_policy){
		.max_attempts = t != NULL ? t->max_attempts : 1,
		.retry_ms = t != NULL ? t->retry_ms : MS_HOUR,
		.attempt_ms = ATTEMPT_MS,
		.supersede_grace_ms = any_unproved ? ctl->conf->grace_unproved_ms : ctl->conf->grace_ms,
		.code_signing = t != NULL && t->purpose == PURPOSE_CODE_SIGNING,
		.post_validation = t == NULL || t->post_validation,
		.verified_is_enough = all_unproved,
	};
}

/* ---- rows ------------------------------------------------------------------------------------------------------ */

static int need_cert(struct applying *a)
{
	if (a->cert_read)
		return 0;
	int r = rows_certificate(a->ctl->rows, a->was->cert_id, &a->cert_value);
	a->cert = &a->cert_value;
	a->cert_read = r == 0;
	return r;
}

static int need_mine(struct applying *a)
{
	if (a->mine_read)
		return 0;
	int r = rows_issuance(a->ctl->rows, a->action->serial, &a->mine);
	a->mine_read = r == 0;
	return r;
}

static int need_old(struct applying *a)
{
	if (a->old_read || serial_is_none(a->was->old_serial))
		return 0;
	int r = rows_issuance(a->ctl->rows, a->was->old_serial, &a->old);
	a->old_read = r == 0;
	return r == E_NOT_FOUND ? 0 : r; /* archived: nothing to change */
}

static const struct template *template_of(struct applying *a)
{
	return need_cert(a) == 0 ? catalog_template(a->ctl->catalog, a->cert->template_id) : NULL;
}

static int64_t renew_at(struct applying *a, const struct issuance *i)
{
	const struct template *t = template_of(a);
	struct policy_limits   limits = {a->ctl->conf->allow_short_validity, a->ctl->conf->jitter};
	return t != NULL ? policy_renew_at(t, a->cert->cert_id, i->serial, i->not_before_at, i->not_after_at, &limits)
			 : TIME_NEVER;
}

static void make_current(struct applying *a, const struct issuance *i, bool proved)
{
	a->cert->serial = i->serial;
	a->cert->fingerprint = i->fingerprint;
	a->cert->not_before_at = i->not_before_at;
	a->cert->not_after_at = i->not_after_at;
	a->cert->proved = proved;
	a->cert->renew_at = renew_at(a, i);
	a->cert->template_version = a->step->next.template_version;
	a->cert_changed = true;
}

/* ---- messages -------------------------------------------------------------------------------------------------- */

struct send_later {
	char     agent[AGENT_NAME_SIZE];
	uint64_t id;
	bool     urgent;
	size_t   n;
	uint8_t  frame[];
};

static void send_stored(struct controller *ctl, const void *value, size_t n)
{
	(void)n;
	const struct send_later *s = value;
	(void)fleet_send_frame(ctl, s->agent, s->id, (struct span){s->frame, s->n}, s->urgent);
}

static int put_message(struct applying *a, uint16_t type, const void *payload)
{
	const struct order *o = &a->step->next;
	struct buf          frame = BUF_MAX(MESSAGE_MAX);
	uint64_t            id = ++a->ctl->message_id;
	int                 r = wire_encode(&wire_agent, type, id, payload, &frame);
	struct send_later  *later = r == 0 ? calloc(1, sizeof(*later) + frame.n) : NULL;
	if (later != NULL) {
		store_put_outbox(commit_change(a->commit), o->agent, o->renewal_id, id, type, buf_span(&frame));
		text_cut(later->agent, sizeof(later->agent), o->agent);
		later->id = id;
		later->urgent = o->trigger == TRIGGER_EMERGENCY;
		later->n = frame.n;
		memcpy(later->frame, frame.p, frame.n);
		commit_then(a->commit, send_stored, later, sizeof(*later) + frame.n);
		free(later);
		*a->message = (struct sent_message){.id = id, .type = type, .renewal_id = o->renewal_id};
		text_cut(a->message->agent, sizeof(a->message->agent), o->agent);
	}
	buf_free(&frame);
	return r;
}

/* Windows are for what can wait (LIFECYCLE 4). */
static bool any_time(struct applying *a, const struct order *o, const struct template *t)
{
	bool late = t != NULL && need_cert(a) == 0 && a->cert->not_after_at != 0 && a->now >= a->cert->not_after_at - t->emergency_threshold_ms;
	return o->trigger == TRIGGER_EMERGENCY || (o->flags & ORDER_FORCED) != 0 || late;
}

static int act_send_order(struct applying *a)
{
	const struct order    *o = &a->step->next;
	const struct template *t = template_of(a);
	if (t == NULL)
		return E_POLICY_TEMPLATE;
	struct cert_facts facts = {0};
	int               r = policy_facts(a->cert, t, a->ctl->conf->organisation, a->now, a->now + t->validity_ms, &facts);
	if (r < 0)
		return r;
	struct msg_order m = {
		.renewal_id = o->renewal_id,
		.attempt = o->attempt,
		.trigger = (uint32_t)o->trigger,
		.key_type = (uint32_t)facts.key_type,
		.deadline_at = o->deadline_at,
		.post_validation = t->post_validation,
		.any_time = any_time(a, o, t),
	};
	text_cut(m.cert_id, sizeof(m.cert_id), o->cert_id);
	text_cut(m.names, sizeof(m.names), facts.names.text);
	text_cut(m.common_name, sizeof(m.common_name), facts.common_name);
	return put_message(a, MSG_ORDER, &m);
}

static int act_send_certificate(struct applying *a)
{
	const struct order *o = &a->step->next;
	int                 r = need_mine(a);
	if (r < 0)
		return r;
	const struct catalog_issuer *issuer = catalog_issuer(a->ctl->catalog, a->mine.issuer_id);
	const struct template       *t = template_of(a);
	if (issuer == NULL || a->mine.state == ISSUANCE_INTENT)
		return E_INTERNAL;
	struct msg_certificate m = {
		.renewal_id = o->renewal_id,
		.attempt = o->attempt,
		.trigger = (uint32_t)o->trigger,
		.deadline_at = o->deadline_at,
		.post_validation = t == NULL || t->post_validation,
		.any_time = any_time(a, o, t),
		.stage = a->mine.spki_hash,
		.certificate = {a->mine.der, a->mine.der_len},
		.chain = issuer->chain,
	};
	text_cut(m.cert_id, sizeof(m.cert_id), o->cert_id);
	return put_message(a, MSG_CERTIFICATE, &m);
}

static int act_send_cancel(struct applying *a)
{
	const struct order *o = &a->step->next;
	struct msg_cancel   m = {.renewal_id = o->renewal_id, .attempt = o->attempt, .code = o->code};
	return put_message(a, MSG_CANCEL, &m);
}

static int act_clear_outbox(struct applying *a)
{
	store_remove_outbox(commit_change(a->commit), a->was->agent, a->was->renewal_id);
	*a->message = (struct sent_message){.renewal_id = a->was->renewal_id};
	return 0;
}

/* ---- issuances ------------------------------------------------------------------------------------------------- */

static int act_add_intent(struct applying *a)
{
	if (a->in->intent == NULL)
		return E_INTERNAL;
	a->mine = *a->in->intent;
	a->mine_read = a->mine_new = true;
	return 0;
}

static int act_store_issued(struct applying *a)
{
	int r = need_cert(a);
	if (r < 0 || a->in->issued == NULL)
		return r < 0 ? r : E_INTERNAL;
	a->mine = *a->in->issued;
	a->mine_read = a->mine_changed = true;
	crls_new_later(a->ctl, a->commit, a->mine.issuer_id, a->mine.crl_shard);
	if (serial_is_none(a->cert->serial)) {
		make_current(a, &a->mine, false);
		a->cert->renew_at = TIME_NEVER; /* until it is proved, this order looks after it */
	}
	return 0;
}

static int act_void_intent(struct applying *a)
{
	int r = need_mine(a);
	if (r < 0)
		return r;
	a->mine.state = ISSUANCE_VOID;
	a->mine_changed = true;
	return 0;
}

static int act_prove(struct applying *a)
{
	int r = need_cert(a);
	if (r == 0)
		r = need_mine(a);
	if (r == 0)
		r = need_old(a);
	if (r < 0)
		return r;
	if (a->mine.state != ISSUANCE_REVOKED)
		a->mine.state = ISSUANCE_ACTIVE;
	a->mine.proved_at = a->now;
	a->mine_changed = true;
	if (a->old_read && a->old.state != ISSUANCE_REVOKED) {
		a->old.state = ISSUANCE_RENEWED;
		a->old_changed = true;
	}
	make_current(a, &a->mine, true);
	return 0;
}

static int act_adopt(struct applying *a)
{
	int r = need_cert(a);
	if (r == 0)
		r = need_mine(a);
	if (r == 0)
		make_current(a, &a->mine, false);
	return r;
}

static int act_supersede(struct applying *a)
{
	int r = need_old(a);
	if (r < 0 || !a->old_read || a->old.state == ISSUANCE_REVOKED)
		return r;
	a->old.supersede_at = a->action->at;
	a->old_changed = true;
	return 0;
}

static void back_to_old(struct applying *a)
{
	if (a->old_read && a->old.state != ISSUANCE_REVOKED) {
		a->old.state = ISSUANCE_ACTIVE;
		a->old.supersede_at = TIME_NEVER;
		a->old_changed = true;
		make_current(a, &a->old, a->old.proved_at != 0);
		return;
	}
	a->cert->serial = (struct serial){0};
	a->cert->fingerprint = (struct hash){0};
	a->cert->not_before_at = a->cert->not_after_at = 0;
	a->cert->proved = false;
	a->cert->renew_at = TIME_NEVER;
	a->cert_changed = true;
}

static int act_revoke_new(struct applying *a)
{
	int r = need_cert(a);
	if (r == 0)
		r = need_mine(a);
	if (r == 0)
		r = need_old(a);
	if (r < 0)
		return r;
	if (a->mine.state != ISSUANCE_REVOKED) {
		a->mine.state = ISSUANCE_REVOKED;
		a->mine.revoked_at = a->now;
		a->mine.revoke_reason = REASON_SUPERSEDED;
		a->mine_changed = true;
		crls_dirty_later(a->commit, a->mine.issuer_id, a->mine.crl_shard);
	}
	if (serial_equal(a->cert->serial, a->mine.serial))
		back_to_old(a);
	return 0;
}

/* ---- the certificate ------------------------------------------------------------------------------------------- */

static int act_count_renewal(struct applying *a)
{
	int r = need_cert(a);
	if (r < 0)
		return r;
	a->cert->unattended = order_flow_attended(&a->step->next) ? 0 : a->cert->unattended + 1;
	a->cert_changed = true;
	return 0;
}

/* One that ended without success is not taken up by the scheduler at once. */
static int act_close(struct applying *a)
{
	int r = need_cert(a);
	if (r < 0)
		return r;
	if (id_equal(a->cert->open_order, a->was->renewal_id))
		a->cert->open_order = (struct id){0};
	const struct template *t = template_of(a);
	int64_t                retry = t != NULL && t->retry_ms > RETRY_FLOOR_MS ? t->retry_ms : RETRY_FLOOR_MS;
	if (a->step->next.phase != ORDER_COMPLETED && a->cert->renew_at < a->now + retry)
		a->cert->renew_at = a->now + retry;
	a->cert_changed = true;
	return 0;
}

static int act_audit(struct applying *a)
{
	static const int events[ORDER_AUDIT_COUNT] = {
		[ORDER_AUDIT_NONE] = -1,
		[ORDER_AUDIT_INTENT] = AUDIT_CERTIFICATE_INTENT,
		[ORDER_AUDIT_ISSUED] = AUDIT_CERTIFICATE_ISSUED,
		[ORDER_AUDIT_PROVED] = AUDIT_CERTIFICATE_PROVED,
		[ORDER_AUDIT_COMPLETED] = AUDIT_RENEWAL_COMPLETED,
		[ORDER_AUDIT_FAILED] = AUDIT_RENEWAL_FAILED,
		[ORDER_AUDIT_PAUSED] = AUDIT_RENEWAL_PAUSED,
		[ORDER_AUDIT_CANCELLED] = AUDIT_RENEWAL_CANCELLED,
		[ORDER_AUDIT_VOIDED] = AUDIT_INTENT_VOIDED,
		[ORDER_AUDIT_STEP] = AUDIT_RENEWAL_STEP,
		[ORDER_AUDIT_MISMATCH] = AUDIT_MESSAGE_REFUSED,
	};
	const struct order *o = &a->step->next;
	char                serial[SERIAL_TEXT_SIZE], code[ERR_CODE_SIZE];
	int                 event = events[a->action->audit];
	if (event < 0)
		return 0;
	struct audit_of of = {
		.event = (enum audit_event)event,
		.actor = a->in->who != NULL ? a->in->who->actor : o->actor,
		.object = o->cert_id,
		.renewal_id = o->renewal_id,
	};
	if (a->in->who != NULL)
		of.request_id = a->in->who->request_id;
	if (a->action->code != 0)
		commit_audit(a->commit, &of, "{s:s,s:s,s:i,s:s,s:s}", "trigger", trigger_name(o->trigger), "serial",
			     serial_text(o->serial, serial), "attempt", (int)o->attempt, "code",
			     err_code(a->action->code, code), "cause", o->cause);
	else
		commit_audit(a->commit, &of, "{s:s,s:s,s:i}", "trigger", trigger_name(o->trigger), "serial",
			     serial_text(o->serial, serial), "attempt", (int)o->attempt);
	return 0;
}

static int act_sign(struct applying *a)
{
	struct ticket t = {.kind = TICKET_ORDER,
			   .renewal_id = a->step->next.renewal_id,
			   .attempt = a->step->next.attempt,
			   .serial = a->step->next.serial};
	commit_then(a->commit, order_actions_sign, &t, sizeof(t));
	return 0;
}

void order_actions_sign(struct controller *ctl, const void *value, size_t n)
{
	(void)n;
	const struct ticket *t = value;
	struct issuance      intent;
	if (rows_issuance(ctl->rows, t->serial, &intent) == 0 && intent.state == ISSUANCE_INTENT)
		intent_ask(ctl, &intent, t);
}

/* ---- the whole step -------------------------------------------------------------------------------------------- */

typedef int          act_fn(struct applying *a);
static act_fn *const acts[ACT_KIND_COUNT] = {
	[ACT_SEND_ORDER] = act_send_order,
	[ACT_SEND_CERTIFICATE] = act_send_certificate,
	[ACT_SEND_CANCEL] = act_send_cancel,
	[ACT_CLEAR_OUTBOX] = act_clear_outbox,
	[ACT_ADD_INTENT] = act_add_intent,
	[ACT_STORE_ISSUED] = act_store_issued,
	[ACT_VOID_INTENT] = act_void_intent,
	[ACT_PROVE] = act_prove,
	[ACT_ADOPT] = act_adopt,
	[ACT_SUPERSEDE] = act_supersede,
	[ACT_REVOKE_NEW] = act_revoke_new,
	[ACT_COUNT_RENEWAL] = act_count_renewal,
	[ACT_CLOSE] = act_close,
	[ACT_AUDIT] = act_audit,
	[ACT_SIGN] = act_sign,
};

static void put_rows(struct applying *a)
{
	if (a->mine_new)
		commit_issuance_new(a->commit, &a->mine);
	else if (a->mine_changed)
		commit_issuance(a->commit, &a->mine);
	if (a->old_changed)
		commit_issuance(a->commit, &a->old);
	if (a->cert_changed && !a->cert_foreign)
		commit_certificate(a->commit, a->cert);
}

static int apply_all(struct applying *a)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < a->step->n_act; i++) {
		a->action = &a->step->act[i];
		r = acts[a->action->kind](a);
	}
	if (r < 0)
		return r;
	store_put_order(commit_change(a->commit), &a->step->next);
	put_rows(a);
	return 0;
}

int order_actions_apply(struct controller *ctl, struct commit *commit, struct certificate *cert, const struct order *was,
			const struct order_step *step, const struct order_input *in, struct sent_message *ret_message)
{
	struct applying *a = calloc(1, sizeof(*a)); /* large rows: not on the stack */
	if (a == NULL)
		abort();
	a->ctl = ctl;
	a->commit = commit;
	a->was = was;
	a->step = step;
	a->in = in;
	a->message = ret_message;
	a->now = clock_now();
	a->cert = cert;
	a->cert_read = a->cert_foreign = cert != NULL;
	int r = apply_all(a);
	free(a);
	return r;
}

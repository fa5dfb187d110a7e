/* order_actions.c - room controller/daemon: one function per action of the order core; read the table first.
 * All of one step lands in one change. Never: clocks beyond the one reading of the step, decisions. */
#include "controller/daemon/order_actions.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "controller/core/policy.h"
#include "controller/daemon/approvals.h"
#include "controller/daemon/catalog.h"
#include "controller/daemon/crls.h"
#include "controller/daemon/intents.h"
#include "controller/daemon/notices.h"
#include "controller/daemon/order_applying.h"
#include "controller/daemon/peers.h"
#include "controller/daemon/stages.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/sys/clock.h"

enum { RETRY_FLOOR_MS = 5000 };

/* ---- rows ------------------------------------------------------------------------------------------------------ */

int applying_cert(struct applying *a)
{
	if (a->cert_read)
		return 0;
	int r = rows_certificate(a->ctl->rows, a->was->cert_id, &a->cert_value);
	a->cert = &a->cert_value;
	a->cert_read = r == 0;
	return r;
}

int applying_mine(struct applying *a)
{
	if (a->mine_read)
		return 0;
	int r = rows_issuance(a->ctl->rows, a->action->serial, &a->mine);
	a->mine_read = r == 0;
	return r;
}

int applying_old(struct applying *a)
{
	if (a->old_read || serial_is_none(a->was->old_serial))
		return 0;
	int r = rows_issuance(a->ctl->rows, a->was->old_serial, &a->old);
	a->old_read = r == 0;
	return r == E_NOT_FOUND ? 0 : r; /* archived: nothing to change */
}

const struct template *applying_template(struct applying *a)
{
	return applying_cert(a) == 0 ? catalog_policy(a->ctl->catalog, a->cert->template_id, a->cert->service) : NULL;
}

static int64_t renew_at(struct applying *a, const struct issuance *i)
{
	const struct template *t = applying_template(a);
	struct policy_limits   limits = {a->ctl->conf->allow_short_validity, a->ctl->conf->jitter};
	if (a->cert->agent[0] == '\0')
		return TIME_NEVER; /* nobody could make the next key */
	return t != NULL ? policy_renew_at(t, a->cert->cert_id, i->serial, i->not_before_at, i->not_after_at, &limits)
			 : TIME_NEVER;
}

/* One that is inside its emergency threshold from the start is looked at at once. */
static int64_t alert_at(struct applying *a)
{
	const struct template *t = applying_template(a);
	return t != NULL ? policy_alert_at(a->cert, t, INT64_MIN) : TIME_NEVER;
}

static void make_current(struct applying *a, const struct issuance *i, bool proved)
{
	a->cert->serial = i->serial;
	a->cert->fingerprint = i->fingerprint;
	a->cert->not_before_at = i->not_before_at;
	a->cert->not_after_at = i->not_after_at;
	a->cert->proved = proved;
	a->cert->serial_revoked_at = i->revoked_at;
	a->cert->renew_at = a->cert->suspended_at == 0 ? renew_at(a, i) : TIME_NEVER; /* until it is resumed */
	a->cert->alert_at = alert_at(a);
	a->cert->template_version = a->step->next.template_version;
	a->cert_changed = true;
}

/* What an order still brings to a suspended certificate is on hold, too. */
static void hold_if_suspended(struct applying *a)
{
	if (a->cert->suspended_at == 0 || a->mine.state == ISSUANCE_REVOKED || a->mine.held_at != 0)
		return;
	a->mine.held_at = a->now;
	a->mine_changed = true;
	crls_dirty_later(a->commit, a->mine.issuer_id, a->mine.crl_shard);
}

/* ---- staged keys ------------------------------------------------------------------------------------------------ */

static int act_reserve_stage(struct applying *a)
{
	return stages_reserve(a->ctl, a->commit, &a->step->next);
}

static int act_use_stage(struct applying *a)
{
	stages_used(a->ctl, a->commit, &a->step->next);
	return 0;
}

static int act_drop_stage(struct applying *a)
{
	stages_drop(a->ctl, a->commit, &a->step->next);
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
	int r = applying_cert(a);
	if (r < 0 || a->in->issued == NULL)
		return r < 0 ? r : E_INTERNAL;
	a->mine = *a->in->issued;
	a->mine_read = a->mine_changed = true;
	crls_new_later(a->ctl, a->commit, a->mine.issuer_id, a->mine.crl_shard);
	hold_if_suspended(a);
	if (serial_is_none(a->cert->serial) && !a->mine.drill) {
		make_current(a, &a->mine, false);
		a->cert->renew_at = TIME_NEVER; /* until it is proved, this order looks after it */
	}
	return 0;
}

static int act_void_intent(struct applying *a)
{
	int r = applying_mine(a);
	if (r < 0)
		return r;
	a->mine.state = ISSUANCE_VOID;
	a->mine_changed = true;
	return 0;
}

static int act_prove(struct applying *a)
{
	int r = applying_cert(a);
	if (r == 0)
		r = applying_mine(a);
	if (r == 0)
		r = applying_old(a);
	if (r < 0)
		return r;
	if (a->mine.state != ISSUANCE_REVOKED)
		a->mine.state = ISSUANCE_ACTIVE;
	a->mine.proved_at = a->now;
	a->mine_changed = true;
	hold_if_suspended(a);
	if (a->old_read && a->old.state != ISSUANCE_REVOKED) {
		a->old.state = ISSUANCE_RENEWED;
		a->old_changed = true;
	}
	make_current(a, &a->mine, true);
	return 0;
}

static int act_adopt(struct applying *a)
{
	int r = applying_cert(a);
	if (r == 0)
		r = applying_mine(a);
	if (r < 0)
		return r;
	hold_if_suspended(a);
	make_current(a, &a->mine, false);
	return 0;
}

static int act_supersede(struct applying *a)
{
	int r = applying_old(a);
	if (r < 0 || !a->old_read || a->old.state == ISSUANCE_REVOKED)
		return r;
	a->old.supersede_at = a->action->at;
	a->old_changed = true;
	return 0;
}

static int act_keep_old(struct applying *a)
{
	int r = applying_old(a);
	if (r < 0 || !a->old_read || a->old.state == ISSUANCE_REVOKED)
		return r;
	a->old.supersede_at = TIME_NEVER;
	a->old_changed = true;
	return 0;
}

static int act_reopen(struct applying *a)
{
	int r = applying_cert(a);
	if (r < 0)
		return r;
	a->cert->open_order = a->was->renewal_id;
	a->cert_changed = true;
	return 0;
}

static void back_to_old(struct applying *a)
{
	if (a->old_read && a->old.state != ISSUANCE_REVOKED) {
		a->old.state = ISSUANCE_ACTIVE;
		if (a->old.revoke_asked_at == 0 || a->old.supersede_at <= a->now) /* else the time by which it is to be revoked stands */
			a->old.supersede_at = TIME_NEVER;
		a->old_changed = true;
		make_current(a, &a->old, a->old.proved_at != 0);
		return;
	}
	a->cert->serial = (struct serial){0};
	a->cert->fingerprint = (struct hash){0};
	a->cert->not_before_at = a->cert->not_after_at = 0;
	a->cert->proved = false;
	a->cert->serial_revoked_at = 0;
	a->cert->renew_at = a->cert->alert_at = TIME_NEVER;
	a->cert_changed = true;
}

/* `superseded` says that older signatures stay good, and none was made with a key that never came into use. */
static bool signs_code(struct applying *a)
{
	const struct template *t = applying_template(a);
	return t != NULL && t->purpose == PURPOSE_CODE_SIGNING;
}

static int act_revoke_new(struct applying *a)
{
	int r = applying_cert(a);
	if (r == 0)
		r = applying_mine(a);
	if (r == 0)
		r = applying_old(a);
	if (r < 0)
		return r;
	if (a->mine.state != ISSUANCE_REVOKED) {
		a->mine.state = ISSUANCE_REVOKED;
		a->mine.revoked_at = a->mine.held_at != 0 ? a->mine.held_at : a->now;
		a->mine.held_at = 0;
		a->mine.revoke_reason = signs_code(a) ? REASON_CESSATION : REASON_SUPERSEDED;
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
	int r = applying_cert(a);
	if (r < 0)
		return r;
	const struct template *t = applying_template(a);
	a->cert->unattended = order_flow_attended(&a->step->next) ? 0 : a->cert->unattended + 1;
	a->cert_changed = true;
	a->near = t != NULL && a->cert->unattended > 0 && policy_alerts(POLICY_ALERT_RENEWALS_NEAR, a->cert, t, a->now);
	if (a->near)
		commit_audit(a->commit,
			     &(struct audit_of){.event = AUDIT_RENEWALS_NEAR, .actor = "controller", .object = a->cert->cert_id,
						.renewal_id = a->was->renewal_id},
			     "{s:I,s:I}", "unattended", (json_int_t)a->cert->unattended, "max_renewals", (json_int_t)t->max_renewals);
	return 0;
}

/* One that ended without success is not taken up by the scheduler at once. */
static int act_close(struct applying *a)
{
	int r = applying_cert(a);
	if (r < 0)
		return r;
	if (id_equal(a->cert->open_order, a->was->renewal_id))
		a->cert->open_order = (struct id){0};
	const struct template *t = applying_template(a);
	int64_t                retry = t != NULL && t->retry_ms > RETRY_FLOOR_MS ? t->retry_ms : RETRY_FLOOR_MS;
	if (a->was->phase == ORDER_AWAITING_APPROVAL && retry < MS_DAY)
		retry = MS_DAY; /* a person who said no, or nothing, is not asked again within the hour */
	bool asked_once = t != NULL && t->purpose == PURPOSE_CODE_SIGNING; /* `cert renew` asks again */
	if (a->step->next.phase != ORDER_COMPLETED && a->cert->renew_at < a->now + retry)
		a->cert->renew_at = asked_once ? TIME_NEVER : a->now + retry;
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
		[ORDER_AUDIT_ROLLBACK_ASKED] = AUDIT_ROLLBACK_ASKED,
		[ORDER_AUDIT_ROLLED_BACK] = AUDIT_RENEWAL_ROLLED_BACK,
		[ORDER_AUDIT_ROLLBACK_FAILED] = AUDIT_ROLLBACK_FAILED,
		[ORDER_AUDIT_PEERS_PROVED] = AUDIT_PEERS_PROVED,
		[ORDER_AUDIT_PEERS_REFUSED] = AUDIT_PEERS_REFUSED,
	};
	static const int drill_events[ORDER_AUDIT_COUNT] = { /* no renewal is told, also not of one that failed */
		[ORDER_AUDIT_NONE] = -1,
		[ORDER_AUDIT_INTENT] = AUDIT_CERTIFICATE_INTENT,
		[ORDER_AUDIT_ISSUED] = AUDIT_CERTIFICATE_ISSUED,
		[ORDER_AUDIT_PROVED] = -1,
		[ORDER_AUDIT_COMPLETED] = AUDIT_DRILL_TESTED,
		[ORDER_AUDIT_FAILED] = AUDIT_DRILL_FAILED,
		[ORDER_AUDIT_PAUSED] = -1,
		[ORDER_AUDIT_CANCELLED] = AUDIT_DRILL_FAILED,
		[ORDER_AUDIT_VOIDED] = AUDIT_INTENT_VOIDED,
		[ORDER_AUDIT_STEP] = -1,
		[ORDER_AUDIT_MISMATCH] = AUDIT_MESSAGE_REFUSED,
		[ORDER_AUDIT_ROLLBACK_ASKED] = -1,
		[ORDER_AUDIT_ROLLED_BACK] = -1,
		[ORDER_AUDIT_ROLLBACK_FAILED] = -1,
	};
	const struct order *o = &a->step->next;
	char                serial[SERIAL_TEXT_SIZE], code[ERR_CODE_SIZE], fingerprint[HASH_TEXT_SIZE];
	bool                drill = (o->flags & ORDER_DRILL) != 0;
	int                 event = drill ? drill_events[a->action->audit] : events[a->action->audit];
	const struct template *t = applying_template(a);
	if (event < 0 || !order_flow_audits(a->action->audit, t != NULL ? t->audit_level : AUDIT_STANDARD))
		return 0;
	struct audit_of of = {
		.event = (enum audit_event)event,
		.actor = a->in->who != NULL ? a->in->who->actor : o->actor,
		.object = o->cert_id,
		.renewal_id = o->renewal_id,
	};
	if (a->in->who != NULL)
		of.request_id = a->in->who->request_id, of.reason = a->in->who->reason;
	if (a->action->code != 0)
		commit_audit(a->commit, &of, "{s:s,s:s,s:i,s:s,s:s}", "trigger", drill ? "drill" : trigger_name(o->trigger), "serial",
			     serial_text(o->serial, serial), "attempt", (int)o->attempt, "code",
			     err_code(a->action->code, code), "cause", o->cause);
	else
		commit_audit(a->commit, &of, a->action->audit == ORDER_AUDIT_ISSUED ? "{s:s,s:s,s:i,s:I,s:s}" : "{s:s,s:s,s:i}", "trigger",
			     drill ? "drill" : trigger_name(o->trigger), "serial", serial_text(o->serial, serial), "attempt", (int)o->attempt,
			     "template_version", (json_int_t)o->template_version, "fingerprint", hash_text(o->fingerprint, fingerprint));
	return 0;
}

struct ticket order_actions_ticket(const struct order *o)
{
	return (struct ticket){.kind = TICKET_ORDER,
			       .renewal_id = o->renewal_id,
			       .attempt = o->attempt,
			       .serial = o->serial,
			       .rank = (o->flags & ORDER_DRILL) != 0 ? ORDER_RANK_DRILL : order_rank(o->trigger, !id_is_none(o->campaign_id))};
}

static int act_sign(struct applying *a)
{
	struct ticket t = order_actions_ticket(&a->step->next);
	commit_then(a->commit, order_actions_sign, &t, sizeof(t));
	return 0;
}

static int act_ask_peers(struct applying *a)
{
	commit_then(a->commit, peers_look, &a->was->renewal_id, sizeof(a->was->renewal_id));
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
	[ACT_SEND_ORDER] = order_send_order,
	[ACT_SEND_CERTIFICATE] = order_send_certificate,
	[ACT_SEND_CANCEL] = order_send_cancel,
	[ACT_SEND_ROLLBACK] = order_send_rollback,
	[ACT_KEEP_OLD] = act_keep_old,
	[ACT_REOPEN] = act_reopen,
	[ACT_CLEAR_OUTBOX] = order_send_nothing,
	[ACT_ADD_INTENT] = act_add_intent,
	[ACT_STORE_ISSUED] = act_store_issued,
	[ACT_VOID_INTENT] = act_void_intent,
	[ACT_PROVE] = act_prove,
	[ACT_ADOPT] = act_adopt,
	[ACT_SUPERSEDE] = act_supersede,
	[ACT_REVOKE_NEW] = act_revoke_new,
	[ACT_COUNT_RENEWAL] = act_count_renewal,
	[ACT_CLOSE] = act_close,
	[ACT_RESERVE_STAGE] = act_reserve_stage,
	[ACT_USE_STAGE] = act_use_stage,
	[ACT_DROP_STAGE] = act_drop_stage,
	[ACT_AUDIT] = act_audit,
	[ACT_SIGN] = act_sign,
	[ACT_ASK_PEERS] = act_ask_peers,
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
	if (a->was->phase == ORDER_AWAITING_APPROVAL && a->step->next.phase != ORDER_AWAITING_APPROVAL)
		approvals_order_left(a->ctl, a->commit, a->was->renewal_id, a->in->decision, a->in->who, "the order ended");
	notices_order(a->commit, a->was, a->step, applying_template(a), a->near, a->now);
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

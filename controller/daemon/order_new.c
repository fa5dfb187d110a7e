/* order_new.c - room controller/daemon: orders that are made: row, audit record and first message in the commit of whoever wants them.
 * Never: whether a certificate may have one (controller/core/policy.h). */
#include "controller/daemon/orders.h"

#include "controller/daemon/approvals.h"
#include "controller/daemon/order_actions.h"
#include "controller/daemon/order_terms.h"
#include "controller/daemon/orders_part.h"
#include "controller/daemon/poison.h"
#include "controller/daemon/stages.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/pki/key.h"
#include "shared/sys/clock.h"
#include "shared/sys/fault.h"

static struct order order_of(const struct certificate *cert, const struct order_cause *cause, const struct caller *who, int64_t now)
{
	struct order o = {
		.renewal_id = controller_id(now),
		.trigger = cause->trigger,
		.phase = cause->approval ? ORDER_AWAITING_APPROVAL : ORDER_PLANNED,
		.flags = (cause->force ? ORDER_FORCED : 0) | (cause->approved ? ORDER_APPROVED : 0) | (cause->fresh_key ? ORDER_FRESH : 0) |
			 (cause->drill ? ORDER_DRILL : 0) | (cause->peer_proof ? ORDER_PEERS : 0),
		.campaign_id = cause->campaign_id,
		.old_serial = cause->drill ? (struct serial){{0}} : cert->serial, /* a drill replaces nothing */
		.created_at = now,
		.deadline_at = TIME_NEVER,
		.next_at = TIME_NEVER,
	};
	text_cut(o.cert_id, sizeof(o.cert_id), cert->cert_id);
	text_cut(o.agent, sizeof(o.agent), cert->agent);
	text_cut(o.service, sizeof(o.service), cert->service);
	text_cut(o.actor, sizeof(o.actor), who->actor);
	return o;
}

static const char *const trigger_reasons[TRIGGER_COUNT] = {
	[TRIGGER_SCHEDULED] = "threshold reached",    [TRIGGER_EMERGENCY] = "emergency",
	[TRIGGER_POLICY_UPDATE] = "template changed", [TRIGGER_SERVICE_UPDATE] = "names or template of the target changed",
	[TRIGGER_MANUAL] = "ordered by a person",
};

/* The step that an order begins with; none when it waits for approval: then only its row is put. */
static void begin(struct controller *ctl, struct commit *commit, struct certificate *cert, const struct order *o,
		  const struct order_event *first, const struct order_input *in, struct order *ret)
{
	struct poison_hold  hold;
	struct order_step   step = {.next = *o};
	poison_enter(ctl->poison, o->cert_id, &hold);
	(void)fault_point_of("controller.begin", o->cert_id);
	struct order_policy policy;
	struct sent_message sent = {0};
	order_terms(ctl, o, first, cert, &policy);
	struct issuance    staged;
	struct order_event ev = *first;
	struct order_input with = *in;
	uint32_t           version = orders_begins_attempt(o, ev.kind, o->created_at) ? stages_begin(ctl, o, cert, &policy, &ev, &staged) : 0;
	if (order_flow_step(o, &ev, o->created_at, &policy, &step) < 0 || step.ignored)
		step = (struct order_step){.next = *o};
	else if (version != 0)
		with.intent = &staged, step.next.template_version = version;
	if (order_actions_apply(ctl, commit, cert, o, &step, &with, &sent) < 0) {
		step = (struct order_step){.next = *o}; /* its message cannot be made: it stays planned, the timer tries again */
		step.next.next_at = o->created_at + ORDER_RELOAD_MS;
		store_put_order(commit_change(commit), &step.next);
	}
	struct order_entry *e = orders_entry_add(ctl, &step.next);
	orders_take_over(ctl, e, commit, &step.next, &sent);
	*ret = step.next;
	poison_leave(ctl->poison, &hold);
}

static void audit_scheduled(struct commit *commit, const struct certificate *cert, const struct order *o, const struct caller *who)
{
	char            expiry[TIME_TEXT_SIZE];
	struct audit_of of = {.event = AUDIT_RENEWAL_SCHEDULED,
			      .actor = who->actor,
			      .object = cert->cert_id,
			      .renewal_id = o->renewal_id,
			      .request_id = who->request_id, .reason = who->reason};
	commit_audit(commit, &of, "{s:s,s:s,s:s}", "trigger", trigger_name(o->trigger), "original_expiry",
		     time_text(cert->not_after_at, expiry), "renewal_reason",
		     serial_is_none(cert->serial) ? "first issue" : trigger_reasons[o->trigger]);
}

void orders_create(struct controller *ctl, struct commit *commit, struct certificate *cert, enum trigger trigger, bool force,
		   bool approval, const struct caller *who, struct order *ret)
{
	struct order_cause cause = {.trigger = trigger, .force = force, .approval = approval};
	orders_create_for(ctl, commit, cert, &cause, who, ret);
}

void orders_create_for(struct controller *ctl, struct commit *commit, struct certificate *cert, const struct order_cause *cause,
		       const struct caller *who, struct order *ret)
{
	struct order o = order_of(cert, cause, who, clock_now()), made;
	if (!cause->drill) {
		(void)!orders_end_drill(ctl, commit, cert->cert_id, who); /* else it ends by its time; its host heeds the newer order */
		cert->open_order = o.renewal_id;
		audit_scheduled(commit, cert, &o, who);
	}
	begin(ctl, commit, cert, &o, &(struct order_event){.kind = EV_DISPATCH, .renewal_id = o.renewal_id},
	      &(struct order_input){.who = who}, &made);
	if (made.phase == ORDER_AWAITING_APPROVAL)
		approvals_request_order(ctl, commit, &made, cert, (struct span){0}, who);
	if (ret != NULL)
		*ret = made;
}

void orders_create_for_key(struct controller *ctl, struct commit *commit, struct certificate *cert, const struct order_key *key,
			   const struct caller *who, struct order *ret)
{
	struct order_cause cause = {.trigger = TRIGGER_MANUAL, .approval = key->intent == NULL};
	struct order       o = order_of(cert, &cause, who, clock_now());
	struct order_event ev = {.kind = EV_CSR, .renewal_id = key->renewal_id};
	o.renewal_id = key->renewal_id;
	o.template_version = key->template_version;
	cert->open_order = o.renewal_id;
	digest_sha256(key->spki, &ev.spki_hash);
	if (key->intent != NULL) {
		ev.serial = key->intent->serial;
		ev.tbs_hash = key->intent->tbs_hash;
	}
	audit_scheduled(commit, cert, &o, who);
	begin(ctl, commit, cert, &o, &ev, &(struct order_input){.who = who, .intent = key->intent}, ret);
	if (ret->phase == ORDER_AWAITING_APPROVAL)
		approvals_request_order(ctl, commit, ret, cert, key->spki, who);
}

/* campaign_make.c - room controller/daemon: a plan becomes a campaign with its members; and what the trail says of campaigns.
 * Row, members, request for approval and first record are one change. A change of policy begins one without members. Never: sending
 * anything. */
#include "controller/daemon/campaign_make.h"

#include <stdio.h>
#include <string.h>

#include "controller/core/campaign_flow.h"
#include "controller/daemon/answer.h"
#include "controller/daemon/approvals.h"
#include "controller/daemon/campaign_json.h"
#include "controller/daemon/campaign_once.h"
#include "controller/daemon/campaign_recent.h"
#include "controller/daemon/campaign_waves.h"
#include "controller/daemon/campaigns.h"
#include "controller/daemon/drills.h"
#include "controller/daemon/notices.h"
#include "controller/daemon/rollovers.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/pki/key.h"
#include "shared/sys/clock.h"

#define CONFIRM_MS MS_DAY /* an emergency above the limit is to be confirmed within this time */

void campaign_record(struct commit *c, const struct campaign *g, enum audit_event event, const struct caller *who, int64_t now)
{
	char            id[ID_TEXT_SIZE], incident[INCIDENT_SIZE];
	struct audit_of of = {
		.event = event, .actor = who->actor, .object = id_text(g->campaign_id, id), .request_id = who->request_id};
	bool begins = event == campaign_flow_started(g);
	bool by_hand = event == AUDIT_CAMPAIGN_HALTED || event == AUDIT_CAMPAIGN_CANCELLED || event == AUDIT_CAMPAIGN_RESUMED;
	by_hand |= event == AUDIT_CAMPAIGN_ROLLBACK;
	of.reason = begins ? g->reason : by_hand ? g->cause : NULL;
	const char *waves = g->wave > 0 ? g->waves : g->kind == CAMPAIGN_EMERGENCY ? "skipped" : "none";
	text_cut(incident, sizeof(incident), g->incident_id);
	if (g->kind == CAMPAIGN_EMERGENCY)
		commit_audit(c, &of, "{s:s,s:s,s:s,s:i,s:I,s:I,s:I,s:I,s:f}", "incident_id", incident, "incident_type",
			     incident_type_name(g->incident), "waves", waves, "wave", (int)g->wave, "rolled_back_count",
			     (long long)g->rolled_back, "total_certificates", (long long)g->total, "successful_count",
			     (long long)g->done, "failed_count", (long long)g->failed, "duration_minutes",
			     campaign_minutes(g, now));
	else
		commit_audit(c, &of, "{s:s,s:s,s:s,s:i,s:I,s:I,s:I,s:I,s:f}", "kind", campaign_kind_name(g->kind), "selector",
			     g->selector, "waves", waves, "wave", (int)g->wave, "rolled_back_count", (long long)g->rolled_back,
			     "total_certificates", (long long)g->total, "successful_count", (long long)g->done, "failed_count",
			     (long long)g->failed, "duration_minutes", campaign_minutes(g, now));
	notices_campaign(c, g, event, now);
}

static void fill(struct controller *ctl, const struct campaign_plan *p, const struct caller *who, struct campaign *c)
{
	const struct campaign_request *q = &p->request;
	enum campaign_consent          consent = campaign_consent_of(ctl, p);
	int64_t                        now = clock_now();
	*c = (struct campaign){
		.campaign_id = controller_id(now),
		.kind = q->kind,
		.state = consent == CONSENT_BEFORE ? CAMPAIGN_AWAITING_APPROVAL : CAMPAIGN_PROCESSING,
		.trigger = q->trigger,
		.plan_hash = p->hash,
		.content_hash = p->content_hash,
		.incident = q->incident,
		.fresh_keys = q->fresh_keys,
		.peer_proof = q->peer_proof,
		.revoke_old = q->revoke_old,
		.revoke_by_at = q->revoke_old == REVOKE_OLD_AFTER ? now + q->revoke_after_ms : 0,
		.invalidity_at = q->invalidity_at,
		.total = (uint32_t)p->n,
		.waiting = p->by_state[MEMBER_WAITING],
		.failed = p->by_state[MEMBER_FAILED],
		.skipped = p->by_state[MEMBER_SKIPPED],
		.batch = campaign_plan_all_at_once(q) ? 0 : (uint32_t)ctl->conf->bulk_batch,
		.pause_ms = ctl->conf->bulk_pause_ms,
		.approved = q->kind == CAMPAIGN_CA,
		.confirmation = consent == CONSENT_AFTER ? CONFIRMATION_ASKED : CONFIRMATION_NONE,
		.remind_at = consent == CONSENT_AFTER ? now + CONFIRM_MS : TIME_NEVER,
		.created_at = now,
		.started_at = consent == CONSENT_BEFORE ? 0 : now,
		.next_at = TIME_NEVER,
	};
	campaign_waves_fill(p, ctl, c);
	campaign_plan_selector(q, c->selector);
	if (q->kind == CAMPAIGN_CA)
		(void)snprintf(c->selector, sizeof(c->selector), "ca %s", q->gives_way);
	text_cut(c->services, sizeof(c->services), p->services);
	text_cut(c->actor, sizeof(c->actor), who->actor);
	text_cut(c->reason, sizeof(c->reason), q->reason[0] != '\0' ? q->reason : who->reason);
	text_cut(c->incident_id, sizeof(c->incident_id), q->incident_id);
}

static void add_members(struct commit *c, const struct campaign *g, const struct campaign_plan *p)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct planned  *row = &p->rows[i];
		struct campaign_member m = {.campaign_id = g->campaign_id,
					    .position = i + 1,
					    .stage = row->stage,
					    .state = row->state,
					    .code = row->code,
					    .changed_at = g->created_at};
		text_cut(m.cert_id, sizeof(m.cert_id), row->cert_id);
		text_cut(m.service, sizeof(m.service), row->service);
		text_cut(m.agent, sizeof(m.agent), row->agent);
		text_cut(m.template_id, sizeof(m.template_id), row->template_id);
		text_cut(m.cause, sizeof(m.cause), row->code != 0 ? err_what(row->code) : "");
		store_add_member(commit_change(c), &m);
	}
}

static void on_created(struct controller *ctl, void *ctx, int code, const struct store_result *result)
{
	struct answer *a = ctx;
	campaign_once_end(ctl, a->result.campaign.campaign_id); /* the store has it, or nobody will */
	if (code == 0 && !ctl->stopping)
		campaigns_adopt(ctl, &a->result.campaign);
	if (code < 0)
		campaigns_recent_remove(ctl, a->result.campaign.campaign_id);
	answer_stored(ctl, a, code, result);
}

void campaigns_create(struct controller *ctl, const struct campaign_plan *plan, const struct caller *who, api_done_fn *done,
		      void *ctx)
{
	struct answer   *a = answer_new(done, ctx);
	struct campaign *g = &a->result.campaign;
	if ((a->result.code = campaign_once_check(ctl, plan, &a->result.why)) < 0) {
		answer_now(a);
		return;
	}
	struct commit *c = commit_new(ctl);
	fill(ctl, plan, who, g);
	campaigns_recent_add(ctl, g);
	campaign_once_begin(ctl, g);
	store_put_campaign(commit_change(c), g);
	add_members(c, g, plan);
	if (g->kind == CAMPAIGN_CA)
		rollovers_campaign_made(ctl, c, plan->request.gives_way, g->campaign_id);
	if (g->kind == CAMPAIGN_DRILL)
		drills_begin(c, g);
	if (g->kind == CAMPAIGN_EMERGENCY && g->state == CAMPAIGN_PROCESSING)
		campaigns_end_drills(ctl, c, who);
	if (g->state == CAMPAIGN_AWAITING_APPROVAL || g->confirmation == CONFIRMATION_ASKED)
		approvals_request_campaign(ctl, c, g, who);
	if (g->state == CAMPAIGN_PROCESSING)
		campaign_record(c, g, campaign_flow_started(g), who, g->created_at);
	commit_fault_points(c, "controller.campaign_new", "controller.campaign_new_stored");
	commit_now(c, on_created, a);
}

/* ---- a change of policy ----------------------------------------------------------------------------------------- */

static void policy_stored(struct controller *ctl, const void *value, size_t n)
{
	struct campaign g;
	memcpy(&g, value, n);
	if (!ctl->stopping)
		campaigns_adopt(ctl, &g);
}

int campaign_make_policy(struct controller *ctl, struct commit *c, const char *object, uint32_t version, const struct caller *who,
			 struct id *ret)
{
	char            text[CAMPAIGN_TEXT_SIZE + REASON_SIZE];
	const char     *name = strchr(object, ':') + 1;
	int64_t         now = clock_now();
	struct campaign g = {
		.campaign_id = controller_id(now),
		.kind = CAMPAIGN_POLICY,
		.state = CAMPAIGN_PROCESSING,
		.trigger = TRIGGER_POLICY_UPDATE,
		.batch = (uint32_t)ctl->conf->bulk_batch,
		.pause_ms = ctl->conf->bulk_pause_ms,
		.halt_share = (uint32_t)ctl->conf->bulk_halt_share,
		.remind_at = TIME_NEVER,
		.created_at = now,
		.started_at = now,
		.next_at = TIME_NEVER,
		.collecting = true,
	};
	(void)snprintf(text, sizeof(text), "%s:%u", object, version);
	digest_sha256(span_text(text), &g.plan_hash);
	(void)snprintf(text, sizeof(text), "%.*s %s", (int)(name - 1 - object), object, name);
	text_cut(g.selector, sizeof(g.selector), text);
	/* a template may be of any service */
	text_cut(g.services, sizeof(g.services), text_starts(object, "service:") ? name : "*");
	text_cut(g.actor, sizeof(g.actor), who->actor);
	(void)snprintf(text, sizeof(text), "version %u%s%s", version, who->reason[0] != '\0' ? ": " : "", who->reason);
	text_cut(g.reason, sizeof(g.reason), text);
	int r = campaigns_give_way(ctl, c, &g, who);
	if (r < 0)
		return r;
	store_put_campaign(commit_change(c), &g);
	campaign_record(c, &g, AUDIT_CAMPAIGN_STARTED, who, now);
	commit_then(c, policy_stored, &g, sizeof(g));
	*ret = g.campaign_id;
	return 0;
}

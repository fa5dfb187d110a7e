/* notices.c - room controller/daemon: puts what people have to be told into the commit of the change that causes it.
 * Never: deciding who is told what, delivering it; names of persons. */
#include "controller/daemon/notices.h"

#include <stdio.h>

#include <jansson.h>

#include "controller/core/policy.h"
#include "controller/daemon/campaign_json.h"
#include "controller/daemon/deliveries.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/base/times.h"

enum { TOPICS = 1 << NOTICE_TOPIC_RENEWAL | 1 << NOTICE_TOPIC_THRESHOLD };

static struct notice notice_of(enum notice_event event, const struct template *t, int64_t now)
{
	struct notice n = {.notice_id = controller_id(now), .at = now, .event = event, .level = notice_level_of(event)};
	notice_recipients_of(event, t, n.recipients);
	if (t != NULL)
		notice_recipients_add(n.escalation, t->escalation);
	return n;
}

/* Where it goes is stored with it, and its deliveries in the same change. */
static void tell(struct commit *c, struct notice *n, enum notice_step step)
{
	channels_route(deliveries_channels(commit_controller(c)->deliveries), n);
	store_tell(commit_change(c), n, step);
}

static void add_trouble(struct commit *c, struct notice *n, enum notice_topic topic, enum notice_step step)
{
	channels_route(deliveries_channels(commit_controller(c)->deliveries), n);
	store_add_trouble(commit_change(c), n, topic, step);
}

/* Takes over `detail`. One that does not fit is left out whole. */
static void set_detail(struct notice *n, json_t *detail)
{
	size_t len = detail != NULL ? json_dumpb(detail, n->detail, sizeof(n->detail) - 1, JSON_COMPACT | JSON_SORT_KEYS) : 0;
	n->detail[len < sizeof(n->detail) ? len : 0] = '\0';
	json_decref(detail);
}

/* ---- orders ------------------------------------------------------------------------------------------------------ */

static struct notice of_order(const struct order *o, enum notice_event event, int code, const struct template *t, int64_t now)
{
	struct notice n = notice_of(event, t, now);
	n.renewal_id = o->renewal_id;
	n.attempt = o->attempt;
	n.code = code;
	text_cut(n.service, sizeof(n.service), o->service);
	text_cut(n.object, sizeof(n.object), o->cert_id);
	return n;
}

static void describe(struct notice *n, const struct order *o)
{
	set_detail(n, json_pack("{s:s,s:s,s:s,s:s}", "agent", o->agent, "trigger", trigger_name(o->trigger), "cause", o->cause, "status",
				order_status_name(o->phase)));
}

static void tell_near(struct commit *c, const struct order *o, const struct template *t, int64_t now)
{
	struct notice n = of_order(o, NOTICE_RENEWALS_NEAR, 0, t, now);
	describe(&n, o);
	tell(c, &n, NOTICE_STEP_IF_TOLD);
}

/* Of a renewal that went as it should, where somebody wants to hear of each. */
static void tell_each(struct commit *c, const struct order *was, const struct order *o, const struct template *t, int64_t now)
{
	bool ended = o->phase == ORDER_COMPLETED && was->phase != ORDER_COMPLETED;
	if (!ended || commit_controller(c)->conf->notify_success != NOTIFY_SUCCESS_EACH)
		return;
	struct notice n = of_order(o, NOTICE_RENEWAL_COMPLETED, 0, t, now);
	describe(&n, o);
	tell(c, &n, NOTICE_STEP_NO);
}

void notices_order(struct commit *c, const struct order *was, const struct order_step *step, const struct template *t, bool near, int64_t now)
{
	const struct order  *o = &step->next;
	struct notice_saying s;
	char                 code[ERR_CODE_SIZE];
	notice_of_order(was, step, &s);
	if (near)
		tell_near(c, o, t, now);
	if (s.word == NOTICE_WORD_NONE)
		return;
	struct notice    n = of_order(o, s.event, s.code, t, now);
	enum notice_step row = s.ends && !near ? NOTICE_STEP_YES : NOTICE_STEP_IF_TOLD;
	if (s.word == NOTICE_WORD_WELL) { /* every renewal: what there is to say of a trouble that ends is the trouble's */
		store_end_troubles(commit_change(c), &n, TOPICS, row);
		tell_each(c, was, o, t, now);
		return;
	}
	describe(&n, o);
	if (s.word == NOTICE_WORD_TROUBLE) {
		snprintf(n.key, sizeof(n.key), "%s %s", o->service, err_code(s.code, code));
		add_trouble(c, &n, NOTICE_TOPIC_RENEWAL, row);
	} else {
		tell(c, &n, row);
	}
}

/* One for all of a service: a CA or a link that is away lets many cross it at once. */
void notices_threshold(struct commit *c, const struct certificate *cert, const struct template *t, int64_t now)
{
	struct notice n = notice_of(NOTICE_THRESHOLD_REACHED, t, now);
	char          expiry[TIME_TEXT_SIZE];
	snprintf(n.key, sizeof(n.key), "%s %s", cert->service, policy_alert_name(POLICY_ALERT_EMERGENCY));
	text_cut(n.service, sizeof(n.service), cert->service);
	text_cut(n.object, sizeof(n.object), cert->cert_id);
	n.renewal_id = cert->open_order;
	set_detail(&n, json_pack("{s:s,s:s,s:b}", "agent", cert->agent, "expires_at", time_text(cert->not_after_at, expiry), "expired",
				 now >= cert->not_after_at));
	add_trouble(c, &n, NOTICE_TOPIC_THRESHOLD, NOTICE_STEP_NO);
}

void notices_digest(struct commit *c, const struct digest_counts *counts)
{
	struct notice n = notice_of(NOTICE_DIGEST, NULL, counts->to);
	char          from[TIME_TEXT_SIZE];
	text_cut(n.object, sizeof(n.object), "installation");
	set_detail(&n, json_pack("{s:s,s:I,s:I,s:I,s:I,s:I,s:I}", "since", time_text(counts->from, from), "renewed", (json_int_t)counts->renewed, "first_issued",
				 (json_int_t)counts->issued, "failed", (json_int_t)counts->failed, "ending_within_7_days", (json_int_t)counts->ending,
				 "open_troubles", (json_int_t)counts->troubles, "requests_waiting", (json_int_t)counts->waiting));
	tell(c, &n, NOTICE_STEP_NO);
}

void notices_certificate_gone(struct store_change *change, const char *cert_id, int64_t now)
{
	struct notice n = {.at = now};
	text_cut(n.object, sizeof(n.object), cert_id);
	store_end_troubles(change, &n, TOPICS, NOTICE_STEP_NO);
}

/* ---- campaigns --------------------------------------------------------------------------------------------------- */

/* What is open about a campaign ends with the record that says so. */
static void end_open(struct commit *c, const struct campaign *g, enum audit_event event, int64_t now)
{
	char key[NOTICE_KEY_SIZE], id[ID_TEXT_SIZE];
	bool over = event == AUDIT_CAMPAIGN_COMPLETED || event == AUDIT_EMERGENCY_COMPLETED || event == AUDIT_CAMPAIGN_CANCELLED;
	snprintf(key, sizeof(key), "halted %s", id_text(g->campaign_id, id));
	if (over || event == AUDIT_CAMPAIGN_RESUMED)
		store_end_notice(commit_change(c), key, now);
	snprintf(key, sizeof(key), "campaign %s", id);
	if (over)
		store_end_notice(commit_change(c), key, now);
}

static void campaign_key(const struct campaign *g, enum notice_event event, char ret[NOTICE_KEY_SIZE])
{
	static const char *const prefix[NOTICE_EVENT_COUNT] = {
		[NOTICE_EMERGENCY_STARTED] = "campaign", [NOTICE_CAMPAIGN_HALTED] = "halted",
		[NOTICE_EMERGENCY_HALTED] = "halted", [NOTICE_EMERGENCY_UNCONFIRMED] = "approval"};
	char id[ID_TEXT_SIZE];
	ret[0] = '\0';
	if (prefix[event] != NULL)
		snprintf(ret, NOTICE_KEY_SIZE, "%s %s", prefix[event], id_text(g->campaign_id, id));
}

void notices_campaign(struct commit *c, const struct campaign *g, enum audit_event event, int64_t now)
{
	enum notice_event told;
	char              id[ID_TEXT_SIZE];
	end_open(c, g, event, now);
	if (!notice_of_campaign(g, event, &told))
		return;
	struct notice n = notice_of(told, NULL, now);
	campaign_key(g, told, n.key);
	text_cut(n.object, sizeof(n.object), id_text(g->campaign_id, id));
	if (name_service_ok(g->services)) /* it touches one service alone */
		text_cut(n.service, sizeof(n.service), g->services);
	set_detail(&n, json_pack("{s:s,s:s,s:s,s:s,s:s,s:I,s:I,s:I,s:I,s:f}", "kind", campaign_kind_name(g->kind), "status",
				 campaign_state_name(g->state), "incident_id", g->incident_id, "reason", g->reason, "cause", g->cause,
				 "total_certificates", (json_int_t)g->total, "successful_count", (json_int_t)g->done, "failed_count",
				 (json_int_t)g->failed, "skipped_count", (json_int_t)g->skipped, "duration_minutes", campaign_minutes(g, now)));
	tell(c, &n, NOTICE_STEP_NO);
}

/* ---- requests ---------------------------------------------------------------------------------------------------- */

static void approval_key(struct id approval_id, char ret[NOTICE_KEY_SIZE])
{
	char id[ID_TEXT_SIZE];
	snprintf(ret, NOTICE_KEY_SIZE, "approval %s", id_text(approval_id, id));
}

void notices_approval(struct commit *c, const struct approval *a, enum notice_event event, const struct template *t)
{
	struct notice n = notice_of(event, t, a->created_at);
	char          id[ID_TEXT_SIZE];
	bool          of_person = a->kind == APPROVAL_PRINCIPAL || a->kind == APPROVAL_TOKEN;
	approval_key(a->approval_id, n.key);
	text_cut(n.object, sizeof(n.object), of_person ? id_text(a->approval_id, id) : a->object);
	text_cut(n.service, sizeof(n.service), a->service);
	set_detail(&n, json_pack("{s:s,s:s}", "approval_id", id_text(a->approval_id, id), "kind", approval_kind_name(a->kind)));
	tell(c, &n, NOTICE_STEP_NO);
}

void notices_approval_over(struct commit *c, struct id approval_id, int64_t now)
{
	char key[NOTICE_KEY_SIZE];
	approval_key(approval_id, key);
	store_end_notice(commit_change(c), key, now);
}

/* ---- the fleet --------------------------------------------------------------------------------------------------- */

void notices_fleet(struct commit *c, uint32_t silent, uint32_t known, int64_t now)
{
	struct notice n = notice_of(NOTICE_FLEET_SILENT, NULL, now);
	text_cut(n.key, sizeof(n.key), NOTICE_FLEET_KEY);
	text_cut(n.object, sizeof(n.object), "fleet");
	set_detail(&n, json_pack("{s:I,s:I}", "silent", (json_int_t)silent, "known", (json_int_t)known));
	tell(c, &n, NOTICE_STEP_NO);
}

void notices_fleet_back(struct commit *c, uint32_t connected, int64_t now)
{
	struct notice n = notice_of(NOTICE_FLEET_BACK, NULL, now);
	text_cut(n.object, sizeof(n.object), "fleet");
	set_detail(&n, json_pack("{s:I}", "connected", (json_int_t)connected));
	store_end_notice(commit_change(c), NOTICE_FLEET_KEY, now);
	tell(c, &n, NOTICE_STEP_NO);
}

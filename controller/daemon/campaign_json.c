/* campaign_json.c - room controller/daemon: campaigns and their members as JSON.
 * Never: reading the store. */
#include "controller/daemon/campaign_json.h"

#include <string.h>

#include "controller/core/campaign_flow.h"
#include "controller/daemon/api_json.h"
#include "controller/daemon/campaign_recent.h"
#include "controller/daemon/campaign_waves.h"
#include "controller/daemon/state.h"
#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/base/times.h"

double campaign_minutes(const struct campaign *c, int64_t now)
{
	int64_t from = c->started_at != 0 ? c->started_at : c->created_at;
	int64_t to = c->completed_at != 0 ? c->completed_at : now;
	return to > from ? (double)(to - from) / (double)MS_MINUTE : 0;
}

static json_t *count(uint32_t n)
{
	return json_integer((json_int_t)n);
}

static void set_counts(json_t *o, const struct campaign *c)
{
	json_object_set_new(o, "total_certificates", count(c->total));
	json_object_set_new(o, "successful_count", count(c->done));
	json_object_set_new(o, "failed_count", count(c->failed));
	json_object_set_new(o, "pending_count", count(campaign_flow_pending(c)));
	json_object_set_new(o, "skipped_count", count(c->skipped));
}

json_t *json_emergency(const struct campaign *c, int64_t now)
{
	json_t *o = json_object();
	json_object_set_new(o, "incident_id", json_string(c->incident_id));
	set_counts(o, c);
	json_object_set_new(o, "duration_minutes", json_real(campaign_minutes(c, now)));
	json_object_set_new(o, "status", json_string(campaign_state_name(c->state)));
	json_object_set_new(o, "campaign_id", json_id(c->campaign_id));
	return o;
}

/* The while that was asked for, also when it has begun: revoke_by says until when. */
json_t *json_revoke_old(const struct campaign *c)
{
	char    duration[TIME_TEXT_SIZE];
	int64_t from = c->started_at != 0 ? c->started_at : c->created_at; /* revoke_by_at moves with the begin */
	if (c->revoke_old != REVOKE_OLD_AFTER || c->revoke_by_at <= from)
		return json_string(revoke_old_name(c->revoke_old));
	return json_sprintf("after:%s", duration_text(c->revoke_by_at - from, duration));
}

void json_incident(json_t *o, const struct campaign *c)
{
	json_object_set_new(o, "incident_id", json_string(c->incident_id));
	json_object_set_new(o, "incident_type", json_string(incident_type_name(c->incident)));
	json_object_set_new(o, "fresh_keys", json_boolean(c->fresh_keys));
	json_object_set_new(o, "revoke_old", json_revoke_old(c));
	json_object_set_new(o, "revoke_by", json_time(c->started_at != 0 ? c->revoke_by_at : 0));
	json_object_set_new(o, "invalidity_date", json_time(c->invalidity_at));
}

json_t *json_campaign(const struct campaign *c, int64_t now)
{
	json_t *o = json_object();
	json_object_set_new(o, "campaign_id", json_id(c->campaign_id));
	json_object_set_new(o, "kind", json_string(campaign_kind_name(c->kind)));
	json_object_set_new(o, "status", json_string(campaign_state_name(c->state)));
	json_object_set_new(o, "trigger", json_string(trigger_name(c->trigger)));
	json_object_set_new(o, "selector", json_string(c->selector));
	json_object_set_new(o, "services", json_comma_list(c->services));
	json_object_set_new(o, "requester", json_string(c->actor));
	json_object_set_new(o, "reason", json_string(c->reason));
	json_object_set_new(o, "plan_hash", json_hash(c->plan_hash));
	set_counts(o, c);
	json_object_set_new(o, "collecting", json_boolean(c->collecting));
	json_object_set_new(o, "waiting_count", count(c->waiting));
	json_object_set_new(o, "held_count", count(c->held));
	json_object_set_new(o, "in_progress_count", count(campaign_flow_open(c)));
	json_object_set_new(o, "dropped_count", count(c->dropped));
	json_object_set_new(o, "rolled_back_count", count(c->rolled_back));
	json_object_set_new(o, "kept_count", count(c->kept));
	json_object_set_new(o, "batch", count(c->batch));
	json_object_set_new(o, "wave", count(c->wave));
	json_object_set_new(o, "wave_count", count((uint32_t)waves_count(c->waves)));
	json_object_set_new(o, "halt_share_percent", json_real((double)c->halt_share / 10));
	json_object_set_new(o, "halt_count", count(c->halt_count));
	json_object_set_new(o, "rollback_on_halt", json_boolean(c->rollback_on_halt));
	json_object_set_new(o, "peer_proof", json_boolean(c->peer_proof));
	json_object_set_new(o, "peer_unproved_count", count(c->peer_unproved));
	json_object_set_new(o, "confirmation", json_string(confirmation_name(c->confirmation)));
	json_object_set_new(o, "cause", json_string(c->cause));
	json_object_set_new(o, "cause_by_person", json_boolean(c->cause_by_person));
	if (c->kind == CAMPAIGN_EMERGENCY)
		json_incident(o, c);
	json_object_set_new(o, "duration_minutes", json_real(campaign_minutes(c, now)));
	json_object_set_new(o, "created_at", json_time(c->created_at));
	json_object_set_new(o, "started_at", json_time(c->started_at));
	json_object_set_new(o, "completed_at", json_time(c->completed_at));
	return o;
}

json_t *json_failure(const char *cert_id, int code, const char *cause)
{
	json_t *o = json_object();
	json_object_set_new(o, "cert_id", json_string(cert_id));
	json_object_set_new(o, "error", json_string(cause[0] != '\0' ? cause : err_what(code)));
	json_object_set_new(o, "code", json_code(code));
	return o;
}

json_t *json_member(const struct campaign_member *m)
{
	json_t *o = json_object();
	json_object_set_new(o, "position", json_integer((json_int_t)m->position));
	json_object_set_new(o, "cert_id", json_string(m->cert_id));
	json_object_set_new(o, "service", json_string(m->service));
	json_object_set_new(o, "agent", json_string(m->agent));
	json_object_set_new(o, "stage", json_integer(m->stage));
	json_object_set_new(o, "state", json_string(member_state_name(m->state)));
	json_object_set_new(o, "renewal_id", json_id(m->renewal_id));
	json_object_set_new(o, "code", json_code(m->code));
	json_object_set_new(o, "error",
			    m->code != 0 ? json_string(m->cause[0] != '\0' ? m->cause : err_what(m->code)) : json_null());
	json_object_set_new(o, "changed_at", json_time(m->changed_at));
	return o;
}

/* ---- plans ------------------------------------------------------------------------------------------------------ */

enum { SHOWN_MAX = 1000 }; /* of the lists beside certificate_list */

uint32_t campaign_recent_of(struct controller *ctl, const struct campaign_plan *p)
{
	bool own_rule = p->request.kind == CAMPAIGN_EMERGENCY || p->request.kind == CAMPAIGN_DRILL;
	bool alone = p->share >= 1000 || own_rule; /* nobody is asked; or by a rule of its own */
	return alone ? 0 : campaigns_recent_sum(ctl, p->request.by.name, p->now);
}

enum campaign_consent campaign_consent_of(struct controller *ctl, const struct campaign_plan *p)
{
	if (p->request.kind == CAMPAIGN_CA)
		return CONSENT_NONE; /* it is part of what they agreed to */
	if (p->request.kind == CAMPAIGN_DRILL)
		return CONSENT_NONE; /* nothing is put in use */
	if (p->signs_code || p->request.incident == INCIDENT_CA_COMPROMISE)
		return CONSENT_BEFORE;
	if ((uint64_t)p->by_state[MEMBER_WAITING] + campaign_recent_of(ctl, p) <= p->limit || p->by_state[MEMBER_WAITING] == 0)
		return CONSENT_NONE;
	bool first = p->request.kind != CAMPAIGN_EMERGENCY || ctl->conf->emergency_approval == EMERGENCY_APPROVAL_BEFORE;
	return first ? CONSENT_BEFORE : CONSENT_AFTER;
}

static void add_shown(json_t *list, const char *text)
{
	if (json_array_size(list) < SHOWN_MAX)
		json_array_append_new(list, json_string(text));
}

/* Until the new certificate is proved there is none that counts. */
static bool loses_service(const struct campaign_plan *p, const struct planned *row)
{
	return row->state == MEMBER_WAITING &&
	       (p->request.revoke_old == REVOKE_OLD_NOW || p->request.incident == INCIDENT_HOST_COMPROMISE);
}

static void count_up(json_t *o, const char *field)
{
	json_object_set_new(o, field, json_integer(json_integer_value(json_object_get(o, field)) + 1));
}

static void set_rows(struct controller *ctl, json_t *o, const struct campaign_plan *p)
{
	json_t *services = json_object(), *offline = json_array(), *loses = json_array(), *failures = json_array(),
	       *skipped = json_array();
	json_t *agents = json_array(), *radius = json_outlook_services(&p->outlook);
	char    last[AGENT_NAME_SIZE] = "";
	for (size_t i = 0; i < p->n; i++) {
		const struct planned *row = &p->rows[i];
		if (row->state == MEMBER_FAILED && json_array_size(failures) < SHOWN_MAX)
			json_array_append_new(failures, json_failure(row->cert_id, row->code, ""));
		if (row->state == MEMBER_SKIPPED)
			add_shown(skipped, row->cert_id);
		if (row->state != MEMBER_WAITING)
			continue;
		json_int_t n = json_integer_value(json_object_get(services, row->service));
		json_object_set_new(services, row->service, json_integer(n + 1));
		json_t *touched = json_object_get(radius, row->service);
		if (!controller_connected(ctl, row->agent)) {
			add_shown(offline, row->cert_id);
			count_up(touched, "offline");
		}
		if (loses_service(p, row)) {
			add_shown(loses, row->cert_id);
			count_up(touched, "loses_service");
		}
		if (p->request.incident == INCIDENT_HOST_COMPROMISE && !text_equal(last, row->agent))
			add_shown(agents, row->agent);
		text_cut(last, sizeof(last), row->agent);
	}
	json_object_set_new(o, "services", services);
	json_object_set_new(o, "blast_radius", radius);
	json_object_set_new(o, "offline", offline);
	json_object_set_new(o, "loses_service", loses);
	json_object_set_new(o, "banned_agents", agents);
	json_object_set_new(o, "skipped", skipped);
	json_object_set_new(o, "failures", failures);
}

static void set_warnings(json_t *o, const struct campaign_plan *p)
{
	json_t *warnings = json_array();
	char    before[ID_TEXT_SIZE];
	if (p->signs_code && p->request.incident == INCIDENT_KEY_COMPROMISE)
		json_array_append_new(
			warnings,
			json_string("signatures of this key without a trusted time before invalidity_date are lost: nobody "
				    "can tell them from forged ones"));
	if (p->request.incident == INCIDENT_HOST_COMPROMISE)
		json_array_append_new(
			warnings,
			json_string("the hosts are banned and their certificates revoked at once; a new key on a captured host "
				    "would only give the intruder a valid certificate, so renewals wait for the new host"));
	if (p->before_runs)
		json_array_append_new(warnings, json_sprintf("campaign %s means the same and is not over: `vccctl campaign show %s`",
							     id_text(p->before, before), before));
	json_object_set_new(o, "warnings", warnings);
}

json_t *json_plan(struct controller *ctl, const struct campaign_plan *p)
{
	static const char *const consents[] = {[CONSENT_NONE] = "none", [CONSENT_BEFORE] = "before", [CONSENT_AFTER] = "after"};
	char                     selector[CAMPAIGN_TEXT_SIZE], duration[TIME_TEXT_SIZE];
	const struct campaign_request *q = &p->request;
	json_t                        *o = json_object();
	campaign_plan_selector(q, selector);
	json_object_set_new(o, "kind", json_string(campaign_kind_name(q->kind)));
	json_object_set_new(o, "selector", json_string(selector));
	json_object_set_new(o, "total", json_integer((json_int_t)p->n));
	json_object_set_new(o, "renewed", count(p->by_state[MEMBER_WAITING]));
	json_object_set_new(o, "all_certificates", json_integer((json_int_t)p->certificates));
	json_object_set_new(o, "limit", count(p->limit));
	json_object_set_new(o, "recent", count(campaign_recent_of(ctl, p)));
	json_object_set_new(o, "approval", json_string(consents[campaign_consent_of(ctl, p)]));
	json_object_set_new(o, "stages", count(p->stages));
	json_object_set_new(o, "batch", json_integer(campaign_plan_all_at_once(q) ? 0 : ctl->conf->bulk_batch));
	json_object_set_new(o, "waves", json_plan_waves(p));
	json_object_set_new(o, "trigger", json_string(trigger_name(q->trigger)));
	json_object_set_new(o, "peer_proof", json_boolean(q->peer_proof));
	if (q->kind == CAMPAIGN_EMERGENCY) {
		json_object_set_new(o, "incident_type", json_string(incident_type_name(q->incident)));
		json_object_set_new(o, "fresh_keys", json_boolean(q->fresh_keys));
		json_object_set_new(o, "revoke_old",
				    q->revoke_after_ms == 0
					    ? json_string(revoke_old_name(q->revoke_old))
					    : json_sprintf("after:%s", duration_text(q->revoke_after_ms, duration)));
	}
	json_object_set_new(o, "prediction", json_outlook_prediction(&p->outlook));
	json_object_set_new(o, "violations", json_outlook_violations(&p->outlook));
	set_rows(ctl, o, p);
	set_warnings(o, p);
	return o;
}

/* api_bulk.c - room controller/daemon: bulk renewal, emergency re-certification, renewal of a whole service.
 * Field names are fixed; other programs rely on them. Every call plans on a worker and then shows or applies that plan. Never:
 * deciding. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/daemon/api_json.h"
#include "controller/daemon/api_routes.h"
#include "controller/daemon/api_wait.h"
#include "controller/daemon/campaign_json.h"
#include "controller/daemon/campaign_make.h"
#include "controller/daemon/campaign_waves.h"
#include "controller/daemon/campaigns.h"
#include "controller/daemon/rollover_ask.h"
#include "controller/daemon/rollover_left.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/sys/clock.h"

enum { WAIT_DEFAULT = 60, WAIT_MAX = 110, FAILURES_PAGE = 500 };
#define AFTER_COMPROMISE_MS (4 * MS_HOUR)

/* One call on its way: planned, then perhaps applied and waited for. */
struct job {
	struct api_call      *call;
	struct campaign_plan *plan;
	bool                  dry_run;
	char                  issuer_id[ISSUER_ID_SIZE]; /* a compromised CA; "" = none is named */
	int64_t               wait_ms;
	char                  pattern[DNS_NAME_SIZE]; /* as the caller wrote it */
	/* the answer */
	struct campaign campaign;
	bool            in_flight;
	json_t         *failures;
};

/* ---- what is asked for ------------------------------------------------------------------------------------------ */

static struct job *job_new(struct api_call *call, enum campaign_kind kind)
{
	struct job *j = calloc(1, sizeof(*j));
	if (j == NULL || (j->plan = calloc(1, sizeof(*j->plan))) == NULL)
		abort();
	j->call = call;
	j->plan->request.kind = kind;
	j->plan->request.trigger = TRIGGER_MANUAL;
	j->plan->request.by = call->principal;
	j->plan->priority = call->ctl->conf->bulk_priority;
	j->plan->share = call->ctl->conf->approval_share;
	j->plan->now = call->now_at;
	j->plan->outlook.pause_ms = call->ctl->conf->bulk_pause_ms;
	text_cut(j->plan->domain, sizeof(j->plan->domain), controller_domain(call->ctl));
	return j;
}

static void job_end(struct job *j)
{
	campaign_plan_free(j->plan);
	free(j);
}

static void job_refuse(struct job *j, const struct refusal *why)
{
	struct api_call *call = j->call;
	call->why = *why;
	job_end(j);
	api_refuse_why(call, &call->why);
}

static int read_common(struct job *j)
{
	struct api_call *call = j->call;
	char             hash[HASH_TEXT_SIZE] = "";
	int              r = api_field_bool(call, "dry_run", false, &j->dry_run);
	if (r == 0)
		r = api_field_text(call, "plan_hash", "", hash, sizeof(hash));
	/* An empty text is no plan: who sends one lost the hash on the way, and must not renew what nobody looked at. */
	j->plan->request.as_planned = json_is_string(json_object_get(call->body, "plan_hash"));
	if (r == 0 && j->plan->request.as_planned && hash_parse(hash, &j->plan->request.plan_hash) < 0)
		r = refuse(&call->why, E_API_BODY, "plan_hash", "must be the hash that a plan was shown with");
	if (r == 0)
		r = api_field_text(call, "cert_type_filter", "", j->plan->request.selector.type,
				   sizeof(j->plan->request.selector.type));
	if (r == 0)
		r = api_field_bool(call, "peer_proof", false, &j->plan->request.peer_proof);
	return r == 0 ? campaign_waves_read(call, &j->plan->request) : r;
}

/* Since when something was so: a time of the past. */
static int read_time(struct api_call *call, const char *name, int64_t *ret)
{
	char    text[TIME_TEXT_SIZE + 16];
	int64_t at = 0;
	int     r = api_field_text(call, name, "", text, sizeof(text));
	if (r < 0 || !json_is_string(json_object_get(call->body, name)))
		return r;
	r = time_parse(text, &at);
	if (r == E_SYNTAX)
		return refuse(&call->why, E_API_BODY, name, "must be a time as RFC 3339 writes it, as 2026-11-23T16:42:00Z");
	if (r < 0 || at <= 0) /* 0 says that there is none */
		return refuse(&call->why, E_API_BODY, name, "must be a time that there is, after 1970-01-01T00:00:00Z");
	if (at > call->now_at)
		return refuse(&call->why, E_API_BODY, name, "must not lie in the future: it is %s here", time_text(call->now_at, text));
	*ret = at;
	return 0;
}

/* ---- answers ---------------------------------------------------------------------------------------------------- */

static void set_location(struct api_call *call, const struct campaign *c)
{
	char location[API_PARAM_SIZE], id[ID_TEXT_SIZE];
	snprintf(location, sizeof(location), "/api/v1/%s/%s", c->kind == CAMPAIGN_DRILL ? "drills" : "campaigns", id_text(c->campaign_id, id));
	http_call_header(call->http, "location", location);
}

static void answer_plan(struct job *j)
{
	struct api_call            *call = j->call;
	const struct campaign_plan *p = j->plan;
	json_t                     *o = json_object(), *list = json_array();
	for (size_t i = 0; i < p->n; i++)
		if (p->rows[i].code != E_CAMPAIGN_UNKNOWN)
			json_array_append_new(list, json_string(p->rows[i].cert_id));
	json_object_set_new(o, "dry_run", json_true());
	if (p->request.kind == CAMPAIGN_EMERGENCY)
		json_object_set_new(o, "incident_id", json_string(p->request.incident_id));
	json_object_set_new(o, "matching_certificates", json_integer((json_int_t)json_array_size(list)));
	json_object_set_new(o, "certificate_list", list);
	json_object_set_new(o, "plan_hash", json_hash(p->hash));
	json_t *plan = json_plan(call->ctl, p), *warnings = j->issuer_id[0] != '\0' ? rollover_ask_warnings(call->ctl, j->issuer_id) : NULL;
	json_array_extend(json_object_get(plan, "warnings"), warnings);
	json_decref(warnings);
	json_object_set_new(o, "plan", plan);
	job_end(j);
	api_finish(call, 200, o);
}

static void answer_begun(struct job *j)
{
	struct api_call       *call = j->call;
	const struct campaign *c = &j->campaign;
	bool                   waits = c->state == CAMPAIGN_AWAITING_APPROVAL;
	json_t                *o = json_object();
	json_object_set_new(o, "message",
			    waits ? json_sprintf("%u certificates wait for the approval of a second person", c->total)
				  : json_sprintf("renewal of %u certificates began", c->total));
	if (c->kind == CAMPAIGN_SERVICE)
		json_object_set_new(o, "service_name", json_string(j->pattern));
	else
		json_object_set_new(o, "service_pattern", json_string(j->pattern));
	json_object_set_new(o, "status", json_string(campaign_state_name(c->state)));
	json_object_set_new(o, "campaign_id", json_id(c->campaign_id));
	json_object_set_new(o, "total_certificates", json_integer(c->total));
	json_object_set_new(o, "plan_hash", json_hash(c->plan_hash));
	set_location(call, c);
	job_end(j);
	api_finish(call, 202, o);
}

static void answer_drill(struct job *j)
{
	struct api_call       *call = j->call;
	const struct campaign *c = &j->campaign;
	json_t                *o = json_object();
	json_object_set_new(o, "message", json_sprintf("a drill of %u certificates began; none of them will be used", c->total));
	json_object_set_new(o, "status", json_string(campaign_state_name(c->state)));
	json_object_set_new(o, "drill_id", json_id(c->campaign_id));
	json_object_set_new(o, "total_certificates", json_integer(c->total));
	json_object_set_new(o, "plan_hash", json_hash(c->plan_hash));
	set_location(call, c);
	job_end(j);
	api_finish(call, 202, o);
}

static void collect_failures(void *job, struct store_view *view)
{
	struct job             *j = job;
	struct campaign_member *rows = calloc(FAILURES_PAGE, sizeof(*rows));
	uint64_t                after = 0;
	size_t                  n = FAILURES_PAGE;
	j->failures = json_array();
	while (rows != NULL && view != NULL && n == FAILURES_PAGE &&
	       view_members_in(view, j->campaign.campaign_id, MEMBER_FAILED, after, rows, FAILURES_PAGE, &n) == 0)
		for (size_t i = 0; i < n; i++) {
			after = rows[i].position;
			json_array_append_new(j->failures, json_failure(rows[i].cert_id, rows[i].code, rows[i].cause));
		}
	free(rows);
}

static void answer_emergency(void *job)
{
	struct job      *j = job;
	struct api_call *call = j->call;
	bool             later = j->in_flight || j->campaign.state == CAMPAIGN_AWAITING_APPROVAL;
	json_t          *o = json_emergency(&j->campaign, clock_now());
	json_object_set_new(o, "failures", j->failures);
	set_location(call, &j->campaign);
	job_end(j);
	api_finish(call, later ? 202 : 200, o);
}

static void waited(void *ctx, const struct campaign *c, bool in_flight)
{
	struct job *j = ctx;
	if (c == NULL) {
		struct http_call *http = j->call->http; /* its connection is gone */
		api_let_go(j->call);
		http_call_answer(http, 503, "", (struct span){NULL, 0});
		job_end(j);
		return;
	}
	j->campaign = *c;
	j->in_flight = in_flight;
	workers_read(j->call->ctl->workers, collect_failures, answer_emergency, j);
}

/* ---- plan, then show or apply ----------------------------------------------------------------------------------- */

static void created(void *ctx, const struct api_result *result)
{
	struct job *j = ctx;
	if (result->code < 0) {
		job_refuse(j, &result->why);
		return;
	}
	j->campaign = result->campaign;
	if (j->campaign.kind == CAMPAIGN_EMERGENCY)
		campaigns_wait(j->call->ctl, j->campaign.campaign_id, clock_now() + j->wait_ms, waited, j);
	else if (j->campaign.kind == CAMPAIGN_DRILL)
		answer_drill(j);
	else
		answer_begun(j);
}

/* A bad CA itself says what is meant: all that it signed for hosts. */
static int select_below(struct campaign_plan *p, const char *issuer_id, struct store_view *view)
{
	struct rollover_left left = {.code = 0};
	text_cut(left.issuer_id, sizeof(left.issuer_id), issuer_id);
	rollover_left_count(&left, view, p->now);
	p->request.ids = left.ids;
	p->request.n_ids = left.n_ids;
	p->request.selector.kind = SELECT_IDS;
	left.ids = NULL;
	rollover_left_free(&left);
	return left.code;
}

static void plan_run(void *job, struct store_view *view)
{
	struct job *j = job;
	int         r = view == NULL ? E_STORE_IO : j->issuer_id[0] != '\0' ? select_below(j->plan, j->issuer_id, view) : 0;
	if (r < 0)
		j->plan->code = refuse(&j->plan->why, E_STORE_IO, "store", "it cannot be read now");
	else
		campaign_plan_make(j->plan, view);
}

/* ---- a compromised CA: it gives way, and the campaign follows from that ------------------------------------------ */

static void rollover_asked(void *ctx, const struct api_result *result)
{
	struct job      *j = ctx;
	struct api_call *call = j->call;
	if (result->code < 0) {
		job_refuse(j, &result->why);
		return;
	}
	job_end(j);
	api_waits(call, &result->approval);
}

static void ask_rollover(struct job *j)
{
	struct caller who = j->call->caller;
	char          reason[INCIDENT_SIZE + REASON_SIZE + 4];
	(void)snprintf(reason, sizeof(reason), "%s: %s", j->plan->request.incident_id, j->plan->request.reason);
	text_cut(who.reason, sizeof(who.reason), reason);
	rollover_ask_begin(j->call->ctl, j->issuer_id, true, &who, rollover_asked, j);
}

static void plan_done(void *job)
{
	struct job *j = job;
	if (j->plan->code < 0)
		job_refuse(j, &j->plan->why);
	else if (j->dry_run)
		answer_plan(j);
	else if (j->issuer_id[0] != '\0')
		ask_rollover(j);
	else
		campaigns_create(j->call->ctl, j->plan, &j->call->caller, created, j);
}

static void plan(struct job *j, int r)
{
	struct api_call *call = j->call;
	if (r == 0)
		r = selector_check(&j->plan->request.selector, &call->why);
	if (r < 0) {
		job_refuse(j, &call->why);
		return;
	}
	j->plan->outlook.batch = campaign_plan_all_at_once(&j->plan->request) ? 0 : (uint32_t)call->ctl->conf->bulk_batch;
	j->plan->code = E_STORE_IO; /* stands when no view can be opened */
	refuse(&j->plan->why, E_STORE_IO, "store", "it cannot be read now");
	workers_read(call->ctl->workers, plan_run, plan_done, j);
}

/* ---- bulk ------------------------------------------------------------------------------------------------------- */

static int read_trigger(struct job *j)
{
	struct api_call *call = j->call;
	enum trigger    *trigger = &j->plan->request.trigger;
	char             name[32];
	int              r = api_field_text(call, "trigger", "manual", name, sizeof(name));
	if (r == 0 && trigger_parse(name, trigger) < 0)
		r = refuse(&call->why, E_API_BODY, "trigger",
			   "`%s` is none of scheduled, emergency, policy_update, service_update, manual", name);
	if (r == 0 && *trigger == TRIGGER_EMERGENCY)
		r = api_may(call, PERM_CERT_EMERGENCY, name, "");
	return r;
}

void api_life_bulk(struct api_call *call)
{
	struct job              *j = job_new(call, CAMPAIGN_BULK);
	struct selector         *s = &j->plan->request.selector;
	char                     everything[DNS_NAME_SIZE + 2];
	int                      r = api_body(call);
	snprintf(everything, sizeof(everything), "*.%s", controller_domain(call->ctl));
	s->kind = SELECT_PATTERN;
	if (r == 0)
		r = api_field_text(call, "service_pattern", everything, s->value, sizeof(s->value));
	text_cut(j->pattern, sizeof(j->pattern), s->value);
	if (r == 0)
		r = read_trigger(j);
	if (r == 0)
		r = read_common(j);
	plan(j, r);
}

/* ---- a whole service -------------------------------------------------------------------------------------------- */

void api_life_renew_all(struct api_call *call)
{
	struct job              *j = job_new(call, CAMPAIGN_SERVICE);
	struct selector         *s = &j->plan->request.selector;
	struct service           service;
	const char              *name = call->params[0];
	int                      r = 0;
	if (!rights_service(&call->principal, name) || view_service(controller_view(call->ctl), name, &service) < 0)
		r = refuse(&call->why, E_NOT_FOUND, name, "there is no such service");
	if (r == 0)
		r = api_body(call);
	s->kind = SELECT_SERVICE;
	text_cut(s->value, sizeof(s->value), name);
	text_cut(j->pattern, sizeof(j->pattern), name);
	if (r == 0)
		r = read_common(j);
	plan(j, r);
}

/* ---- emergency -------------------------------------------------------------------------------------------------- */

static int read_ids(struct api_call *call, const json_t *list, const char *field, struct campaign_request *q)
{
	size_t n = json_array_size(list);
	if (!json_is_array(list) || n == 0 || n > CAMPAIGN_IDS_MAX)
		return refuse(&call->why, E_API_BODY, field, "must be a list of 1 to %d cert_ids", CAMPAIGN_IDS_MAX);
	q->ids = calloc(n, sizeof(*q->ids));
	if (q->ids == NULL)
		return refuse(&call->why, E_NOMEM, field, "no memory for so many");
	for (size_t i = 0; i < n; i++) {
		const char *id = json_string_value(json_array_get(list, i));
		if (id == NULL || !name_cert_id_ok(id))
			return refuse(&call->why, E_API_BODY, field, "entry %zu is no cert_id", i + 1);
		text_cut(q->ids[i], sizeof(q->ids[i]), id);
	}
	q->n_ids = n;
	q->selector.kind = SELECT_IDS;
	return 0;
}

/* {"all": true} or {KIND: value}: exactly one. */
static int read_selector(struct api_call *call, json_t *o, struct campaign_request *q)
{
	const char *key;
	json_t     *value;
	if (!json_is_object(o) || json_object_size(o) != 1)
		return refuse(&call->why, E_CAMPAIGN_SELECTOR, "selector",
			      "must have exactly one of all, service, template, agent, pattern, ids");
	json_object_foreach(o, key, value)
	{
		const char *text = json_string_value(value);
		if (selector_kind_parse(key, &q->selector.kind) < 0)
			return refuse(&call->why, E_CAMPAIGN_SELECTOR, key,
				      "is none of all, service, template, agent, pattern, ids");
		if (q->selector.kind == SELECT_IDS)
			return read_ids(call, value, "selector.ids", q);
		if (q->selector.kind == SELECT_ALL)
			return json_is_true(value) ? 0 : refuse(&call->why, E_CAMPAIGN_SELECTOR, "all", "must be true");
		if (text == NULL || text_copy(q->selector.value, sizeof(q->selector.value), text) < 0)
			return refuse(&call->why, E_CAMPAIGN_SELECTOR, key, "must be a text of at most %d characters",
				      DNS_NAME_SIZE - 1);
	}
	return 0;
}

/* ca_compromise names the CA, and nothing else. */
static int read_issuer(struct job *j)
{
	struct api_call *call = j->call;
	bool             selected = json_object_get(call->body, "certificate_ids") != NULL || json_object_get(call->body, "selector") != NULL;
	int              r = api_field_text(call, "issuer_id", "", j->issuer_id, sizeof(j->issuer_id));
	if (r == 0 && (j->issuer_id[0] == '\0' || selected))
		r = refuse(&call->why, E_CAMPAIGN_CA, "issuer_id", "a compromised CA is named by issuer_id, without a selection: all that it signed is meant");
	if (r == 0)
		r = api_may(call, PERM_CA_MANAGE, "ca_compromise", "it closes a CA");
	if (r == 0 && rights_limited(&call->principal))
		r = refuse(&call->why, E_RIGHTS_LIMIT, "ca_compromise", "%s", err_what(E_RIGHTS_LIMIT));
	if (r == 0)
		r = rollover_ask_possible(call->ctl, j->issuer_id, true, &call->why);
	text_cut(j->plan->request.gives_way, sizeof(j->plan->request.gives_way), j->issuer_id);
	return r;
}

static int read_selection(struct job *j, struct campaign_request *q)
{
	struct api_call *call = j->call;
	json_t          *ids = json_object_get(call->body, "certificate_ids");
	json_t          *selector = json_object_get(call->body, "selector");
	const char      *type = json_string_value(json_object_get(call->body, "incident_type"));
	if (text_equal(type != NULL ? type : "", "ca_compromise"))
		return read_issuer(j);
	if (json_object_get(call->body, "issuer_id") != NULL)
		return refuse(&call->why, E_API_BODY, "issuer_id", "it is of incident_type ca_compromise alone");
	if ((ids != NULL) == (selector != NULL))
		return refuse(&call->why, E_API_BODY, "certificate_ids",
			      "exactly one of certificate_ids and selector is required");
	return ids != NULL ? read_ids(call, ids, "certificate_ids", q) : read_selector(call, selector, q);
}

static int read_revocation(struct api_call *call, struct campaign_request *q)
{
	char text[40];
	bool compromised = q->incident == INCIDENT_KEY_COMPROMISE;
	int  r = api_field_text(call, "revoke_old", "", text, sizeof(text));
	q->revoke_old = compromised ? REVOKE_OLD_AFTER : REVOKE_OLD_PROVED;
	q->revoke_after_ms = compromised ? AFTER_COMPROMISE_MS : 0;
	if (r == 0 && text[0] != '\0' && revoke_old_parse(text, &q->revoke_old, &q->revoke_after_ms) < 0)
		r = refuse(&call->why, E_API_BODY, "revoke_old",
			   "`%s` is none of proved, now, after:DURATION (a minute to 30 days)", text);
	return r;
}

static int read_incident(struct api_call *call, struct campaign_request *q)
{
	char type[32];
	int  r = api_field_text(call, "incident_id", NULL, q->incident_id, sizeof(q->incident_id));
	if (r == 0)
		r = api_field_text(call, "reason", NULL, q->reason, sizeof(q->reason));
	if (r == 0)
		r = api_field_text(call, "incident_type", "other", type, sizeof(type));
	if (r == 0 && (q->incident_id[0] == '\0' || q->reason[0] == '\0'))
		r = refuse(&call->why, E_API_BODY, q->incident_id[0] == '\0' ? "incident_id" : "reason", "must not be empty");
	if (r == 0 && incident_type_parse(type, &q->incident) < 0)
		r = refuse(&call->why, E_API_BODY, "incident_type",
			   "`%s` is none of key_compromise, host_compromise, ca_compromise, algorithm, misissuance, exercise, "
			   "other",
			   type);
	if (r == 0 && q->incident == INCIDENT_HOST_COMPROMISE)
		r = api_may(call, PERM_AGENT_BAN, type, "it bans hosts");
	if (r == 0)
		r = api_field_bool(call, "fresh_keys", false, &q->fresh_keys);
	q->fresh_keys |= q->incident == INCIDENT_KEY_COMPROMISE;
	if (r == 0)
		r = read_revocation(call, q);
	return r == 0 ? read_time(call, "invalidity_date", &q->invalidity_at) : r;
}

void api_life_emergency(struct api_call *call)
{
	struct job              *j = job_new(call, CAMPAIGN_EMERGENCY);
	struct campaign_request *q = &j->plan->request;
	int                      r = api_body(call);
	q->trigger = TRIGGER_EMERGENCY;
	if (r == 0)
		r = read_selection(j, q);
	if (r == 0)
		r = read_incident(call, q);
	if (r == 0)
		r = read_common(j);
	j->wait_ms = api_wait_asked(call, WAIT_DEFAULT, WAIT_MAX) * MS_SECOND;
	plan(j, r);
}

/* ---- a drill: planned as an emergency, of which nothing is put in use --------------------------------------------- */

void api_drill_begin(struct api_call *call)
{
	struct job              *j = job_new(call, CAMPAIGN_DRILL);
	struct campaign_request *q = &j->plan->request;
	int                      r = api_body(call);
	if (r == 0)
		r = read_selector(call, json_object_get(call->body, "selector"), q);
	if (r == 0)
		r = read_common(j);
	plan(j, r);
}

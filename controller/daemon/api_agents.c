/* api_agents.c - room controller/daemon: routes of agents, invites and targets.
 * Never: deciding who may join; that is enrolment. */
#include <stdlib.h>

#include "controller/daemon/api_json.h"
#include "controller/daemon/api_routes.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/model/messages.h"

/* In words; an empty list is a host where nothing needs a person, null one that is not here to ask. */
static void set_health(const struct msg_health *h, json_t *agent)
{
	json_t *degraded = h != NULL ? json_array() : json_null();
	for (unsigned bit = 0; h != NULL && bit < 32; bit++)
		if ((h->degraded & 1u << bit) != 0)
			json_array_append_new(degraded, json_string(health_name(bit)));
	json_object_set_new(agent, "healthy", h != NULL ? json_boolean(h->degraded == 0) : json_null());
	json_object_set_new(agent, "degraded", degraded);
}

static void set_connected(struct api_call *call, json_t *agent)
{
	const char *name = json_string_value(json_object_get(agent, "name"));
	int64_t     seen_at = name != NULL ? controller_seen_at(call->ctl, name) : 0;
	if (name != NULL)
		json_object_set_new(agent, "connected", json_boolean(controller_connected(call->ctl, name)));
	set_health(name != NULL ? controller_health(call->ctl, name) : NULL, agent);
	if (seen_at != 0) /* the stored one is written seldom */
		json_object_set_new(agent, "seen_at", json_time(seen_at));
}

/* Who is connected is known on the loop only. */
void api_agent_enrich(struct api_call *call)
{
	json_t *items = json_object_get(call->answer, "items");
	json_t *item;
	size_t  i;
	if (items == NULL)
		set_connected(call, call->answer);
	json_array_foreach(items, i, item)
		set_connected(call, item);
	api_target_enrich(call);
}

static void set_crl_current(const struct api_call *call, json_t *target)
{
	const char *text = json_string_value(json_object_get(target, "crl_hash"));
	struct hash hash;
	if (text != NULL && hash_parse(text, &hash) == 0)
		json_object_set_new(target, "crl_current", json_boolean(controller_crl_is_current(call->ctl, hash)));
}

/* What hosts were told last is known on the loop only. The answer is a target, a page of them, or holds a list of them. */
void api_target_enrich(struct api_call *call)
{
	json_t *items = json_object_get(call->answer, "items");
	json_t *targets = json_object_get(call->answer, "targets");
	json_t *target;
	size_t  i;
	set_crl_current(call, call->answer);
	json_array_foreach(items, i, target)
		set_crl_current(call, target);
	json_array_foreach(targets, i, target)
		set_crl_current(call, target);
}

int api_agent_list(struct api_call *call, struct store_view *view)
{
	char   after[API_PARAM_SIZE];
	size_t limit;
	size_t n;
	int    r = api_arg_limit(call, &limit);
	if (r == 0)
		r = api_arg_cursor(call, after, sizeof(after));
	if (r < 0)
		return r;
	struct agent *rows = calloc(limit, sizeof(*rows));
	if (rows == NULL)
		return E_NOMEM;
	r = view_agents(view, after, rows, limit, &n);
	if (r == 0) {
		json_t *items = json_array();
		for (size_t i = 0; i < n; i++)
			if (rights_service(&call->principal, rows[i].service))
				json_array_append_new(items, json_agent(&rows[i], false));
		call->answer = api_page(items, n == limit ? rows[n - 1].name : NULL);
	}
	free(rows);
	return r;
}

static json_t *targets_of(struct store_view *view, const char *agent)
{
	enum { MAX = 200 };
	size_t         n = 0;
	json_t        *items = json_array();
	struct target *rows = calloc(MAX, sizeof(*rows));
	if (rows != NULL && view_targets(view, agent, "", rows, MAX, &n) == 0)
		for (size_t i = 0; i < n; i++)
			json_array_append_new(items, json_target(&rows[i]));
	free(rows);
	return items;
}

int api_agent_show(struct api_call *call, struct store_view *view)
{
	struct agent a;
	int          r = view_agent(view, call->params[0], &a);
	if (r == 0 && !rights_service(&call->principal, a.service))
		r = E_NOT_FOUND;
	if (r < 0)
		return refuse(&call->why, r, call->params[0], "there is no such agent");
	call->answer = json_agent(&a, false);
	json_object_set_new(call->answer, "targets", targets_of(view, a.name));
	return 0;
}

static void state_done(void *ctx, const struct api_result *result)
{
	struct api_call *call = ctx;
	if (result->code < 0)
		api_refuse_why(call, &result->why);
	else
		api_finish(call, 200, json_agent(&result->agent, false));
}

/* False: it was refused. */
static bool may_change(struct api_call *call)
{
	struct agent a;
	int          r = view_agent(controller_view(call->ctl), call->params[0], &a);
	if (r == 0 && rights_service(&call->principal, a.service))
		return true;
	api_refuse(call, r < 0 ? r : E_NOT_FOUND, call->params[0], "there is no such agent");
	return false;
}

static void change_state(struct api_call *call, enum agent_state to)
{
	if (may_change(call))
		controller_agent_state(call->ctl, call->params[0], to, &call->caller, state_done, call);
}

void api_agent_release(struct api_call *call)
{
	if (may_change(call))
		controller_agent_release(call->ctl, call->params[0], &call->caller, state_done, call);
}

void api_agent_evict(struct api_call *call)
{
	change_state(call, AGENT_EVICTED);
}

void api_agent_ban(struct api_call *call)
{
	change_state(call, AGENT_BANNED);
}

int api_invite_list(struct api_call *call, struct store_view *view)
{
	char      after[API_PARAM_SIZE];
	struct id after_id = {{0}};
	size_t    limit;
	size_t    n;
	int       r = api_arg_limit(call, &limit);
	if (r == 0)
		r = api_arg_cursor(call, after, sizeof(after));
	if (r == 0 && after[0] != '\0' && id_parse(after, &after_id) < 0)
		r = refuse(&call->why, E_API_BODY, "cursor", "this is not a cursor of ours");
	if (r < 0)
		return r;
	struct invite *rows = calloc(limit, sizeof(*rows));
	if (rows == NULL)
		return E_NOMEM;
	r = view_invites(view, after_id, rows, limit, &n);
	if (r == 0) {
		char    last[ID_TEXT_SIZE];
		json_t *items = json_array();
		for (size_t i = 0; i < n; i++)
			if (rights_service(&call->principal, rows[i].service))
				json_array_append_new(items, json_invite(&rows[i], call->now_at));
		call->answer = api_page(items, n == limit ? id_text(rows[n - 1].invite_id, last) : NULL);
	}
	free(rows);
	return r;
}

static void invite_done(void *ctx, const struct api_result *result)
{
	struct api_call *call = ctx;
	if (result->code < 0) {
		api_refuse_why(call, &result->why);
		return;
	}
	char    location[API_PARAM_SIZE];
	char    id[ID_TEXT_SIZE];
	json_t *o = json_invite(&result->invite, call->now_at);
	json_object_set_new(o, "token", json_string(result->token));
	json_object_set_new(o, "join_address", json_string(result->join_address));
	json_object_set_new(o, "pin", json_string(result->pin));
	json_object_set_new(o, "command", json_sprintf("vcc-agent join %s --pin %s", result->join_address, result->pin));
	snprintf(location, sizeof(location), "/api/v1/invites/%s", id_text(result->invite.invite_id, id));
	http_call_header(call->http, "location", location);
	api_finish(call, 201, o);
}

/* `names`: a list of patterns, or absent. */
static int invite_names(struct api_call *call, struct names *ret)
{
	const json_t *list = json_object_get(call->body, "names");
	char          text[NAMES_TEXT_SIZE] = "";
	size_t        used = 0;
	size_t        i;
	json_t       *item;
	if (list == NULL || json_is_null(list))
		return 0;
	if (!json_is_array(list))
		return refuse(&call->why, E_API_BODY, "names", "must be a list of name patterns");
	json_array_foreach(list, i, item) {
		size_t n = json_string_length(item);
		if (!json_is_string(item) || used + n + 2 > sizeof(text))
			return refuse(&call->why, E_API_BODY, "names", "must hold texts, %d characters in all", NAMES_TEXT_SIZE);
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s,", json_string_value(item));
	}
	char bad[DNS_NAME_SIZE] = "";
	if (names_parse(text, true, ret, bad) < 0)
		return refuse(&call->why, E_API_BODY, "names", "`%s` is not a name pattern", bad);
	return 0;
}

void api_invite_create(struct api_call *call)
{
	static const char *const fields[] = {"name", "service", "names", "ttl", NULL};
	struct invite_request    request = {0};
	char                     ttl[TIME_TEXT_SIZE] = "";
	int                      r = api_fields_known(call, fields);
	if (r == 0)
		r = api_field_text(call, "name", NULL, request.name, sizeof(request.name));
	if (r == 0)
		r = api_field_text(call, "service", NULL, request.service, sizeof(request.service));
	if (r == 0)
		r = api_field_text(call, "ttl", "", ttl, sizeof(ttl));
	if (r == 0 && ttl[0] != '\0' && (duration_parse(ttl, &request.ttl_ms) < 0 || request.ttl_ms > MS_DAY))
		r = refuse(&call->why, E_API_BODY, "ttl", "must be a duration of at most 24h, like 15m");
	if (r == 0)
		r = invite_names(call, &request.patterns);
	if (r == 0 && !rights_service(&call->principal, request.service))
		r = refuse(&call->why, E_API_FORBIDDEN, request.service, "%s may not act for this service", call->principal.name);
	if (r < 0)
		api_refuse_why(call, &call->why);
	else
		controller_invite(call->ctl, &request, &call->caller, invite_done, call);
}

/* A target belongs to its certificate's service. */
static bool target_visible(const struct api_call *call, struct store_view *view, const struct target *t)
{
	struct certificate c;
	return view_certificate(view, t->cert_id, &c) == 0 && rights_service(&call->principal, c.service);
}

int api_target_list(struct api_call *call, struct store_view *view)
{
	char   after[API_PARAM_SIZE];
	size_t limit;
	size_t n;
	int    r = api_arg_limit(call, &limit);
	if (r == 0)
		r = api_arg_cursor(call, after, sizeof(after));
	if (r < 0)
		return r;
	struct target *rows = calloc(limit, sizeof(*rows));
	if (rows == NULL)
		return E_NOMEM;
	r = view_targets(view, api_arg(call, "agent"), after, rows, limit, &n);
	if (r == 0) {
		json_t *items = json_array();
		for (size_t i = 0; i < n; i++)
			if (target_visible(call, view, &rows[i]))
				json_array_append_new(items, json_target(&rows[i]));
		call->answer = api_page(items, n == limit ? rows[n - 1].target_id : NULL);
	}
	free(rows);
	return r;
}

int api_target_show(struct api_call *call, struct store_view *view)
{
	struct target t;
	int           r = view_target(view, call->params[0], &t);
	if (r == 0 && !target_visible(call, view, &t))
		r = E_NOT_FOUND;
	if (r < 0)
		return refuse(&call->why, r, call->params[0], "there is no such target");
	call->answer = json_target(&t);
	return 0;
}

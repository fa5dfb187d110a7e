/* api_agents.c - room controller/daemon: routes of agents, invites and targets.
 * Never: deciding who may join; that is enrolment. */
#include <stdlib.h>

#include "controller/daemon/api_json.h"
#include "controller/daemon/api_routes.h"
#include "controller/daemon/contract.h"
#include "controller/daemon/rename.h"
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
	uint64_t epoch = name != NULL ? controller_trust_epoch(call->ctl, name) : 0;
	json_object_set_new(agent, "trust_epoch", epoch != 0 ? json_integer((json_int_t)epoch) : json_null());
	set_health(name != NULL ? controller_health(call->ctl, name) : NULL, agent);
	if (seen_at != 0) /* the stored one is written seldom */
		json_object_set_new(agent, "seen_at", json_time(seen_at));
}

/* Of so many agents a worker tells at once, in pages of the store, where only those are asked for that are not connected. */
enum { AWAY_LOOKED_AT = 2000 };

/* Those that are not connected, of what a worker found: as many as a page holds, and where the next one goes on. */
static void keep_away(struct api_call *call)
{
	json_t     *items = json_object_get(call->answer, "items"), *kept = json_array(), *item;
	const char *last = NULL;
	size_t      limit = 0, i;
	if (api_arg_limit(call, &limit) < 0)
		limit = API_PAGE;
	json_array_foreach(items, i, item) {
		const char *name = json_string_value(json_object_get(item, "name"));
		if (controller_connected(call->ctl, name))
			continue;
		json_array_append(kept, item);
		if (json_array_size(kept) == limit && i + 1 < json_array_size(items)) {
			last = name;
			break;
		}
	}
	if (last == NULL) { /* all of them were looked at: the worker's cursor stands */
		json_object_set_new(call->answer, "items", kept);
		return;
	}
	json_t *page = api_page(call, kept, last);
	json_decref(call->answer);
	call->answer = page;
}

/* Who is connected is known on the loop only. */
void api_agent_enrich(struct api_call *call)
{
	if (api_arg(call, "connected") != NULL && json_is_array(json_object_get(call->answer, "items")))
		keep_away(call);
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
	size_t n = 0;
	int    r = api_arg_limit(call, &limit);
	if (r == 0)
		r = api_arg_cursor(call, after, sizeof(after));
	const char *state = api_arg(call, "state");
	bool        all = text_equal(state, "all"); /* also removed ones */
	bool        away = api_arg(call, "connected") != NULL;
	if (r == 0 && state != NULL && !all)
		r = refuse(&call->why, E_API_BODY, "state", "must be all, or not be given");
	if (r < 0)
		return r;
	size_t        room = away ? STORE_LIST_MAX : limit; /* of those that are away nobody knows yet how many of these are */
	struct agent *rows = calloc(room, sizeof(*rows));
	if (rows == NULL)
		return E_NOMEM;
	json_t *items = json_array();
	bool    more = true;
	for (size_t seen = 0; r == 0 && more && (seen == 0 || (away && seen < AWAY_LOOKED_AT)); seen += n) {
		r = view_agents(view, after, rows, room, &n);
		more = r == 0 && n == room;
		for (size_t i = 0; r == 0 && i < n; i++) {
			if (rights_service(&call->principal, rows[i].service) && (away ? rows[i].state == AGENT_ACTIVE : all || rows[i].state != AGENT_REMOVED))
				json_array_append_new(items, json_agent(&rows[i], false));
			text_cut(after, sizeof(after), rows[i].name);
		}
	}
	if (r == 0)
		call->answer = api_page(call, items, more ? after : NULL);
	else
		json_decref(items);
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

static json_t *former_names_of(struct store_view *view, const char *name)
{
	enum { SHOWN = 64 };
	struct former_name rows[SHOWN];
	json_t            *names = json_array();
	size_t             n = 0;
	if (view_former_names(view, name, rows, SHOWN, &n) == 0)
		for (size_t i = 0; i < n; i++)
			json_array_append_new(names, json_string(rows[i].name));
	return names;
}

/* All but what the loop alone knows. */
static json_t *agent_whole(const struct agent *a, struct store_view *view)
{
	json_t *o = json_agent(a, false);
	json_object_set_new(o, "former_names", former_names_of(view, a->name));
	json_object_set_new(o, "targets", targets_of(view, a->name));
	return o;
}

int api_agent_show(struct api_call *call, struct store_view *view)
{
	struct agent a;
	int          r = view_agent(view, call->params[0], &a);
	if (r == 0 && !rights_service(&call->principal, a.service))
		r = E_NOT_FOUND;
	if (r < 0)
		return refuse(&call->why, r, call->params[0], "there is no such agent");
	call->answer = agent_whole(&a, view);
	return 0;
}

static void state_done(void *ctx, const struct api_result *result)
{
	struct api_call *call = ctx;
	if (result->code < 0) {
		api_refuse_why(call, &result->why);
		return;
	}
	call->answer = agent_whole(&result->agent, controller_view(call->ctl));
	api_agent_enrich(call);
	api_finish(call, 200, call->answer);
}

/* False: it was refused. */
static bool may_change_of(struct api_call *call, const char *name)
{
	struct agent a;
	int          r = view_agent(controller_view(call->ctl), name, &a);
	if (r < 0 || !rights_service(&call->principal, a.service)) {
		api_refuse(call, r < 0 ? r : E_NOT_FOUND, call->params[0], "there is no such agent");
		return false;
	}
	if (api_body(call) < 0) {
		api_refuse_why(call, &call->why);
		return false;
	}
	return true;
}

static bool may_change(struct api_call *call)
{
	return may_change_of(call, call->params[0]);
}

/* Who repeats the order gives the name that the host had before. */
void api_agent_rename(struct api_call *call)
{
	char               new_name[AGENT_NAME_SIZE];
	struct former_name former;
	bool               before = view_former_name(controller_view(call->ctl), call->params[0], &former) == 0;
	if (!may_change_of(call, before ? former.agent : call->params[0]))
		return;
	if (api_field_text(call, "new_name", NULL, new_name, sizeof(new_name)) < 0)
		api_refuse_why(call, &call->why);
	else
		controller_rename(call->ctl, call->params[0], new_name, &call->caller, state_done, call);
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

void api_agent_remove(struct api_call *call)
{
	change_state(call, AGENT_REMOVED);
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
		call->answer = api_page(call, items, n == limit ? id_text(rows[n - 1].invite_id, last) : NULL);
	}
	free(rows);
	return r;
}

static json_t *invite_made_json(const struct invite *i, const char *token, const char *join_address, const char *pin, int64_t now)
{
	json_t *o = json_invite(i, now);
	json_object_set_new(o, "token", json_string(token));
	json_object_set_new(o, "join_address", json_string(join_address));
	json_object_set_new(o, "pin", json_string(pin));
	json_object_set_new(o, "command", json_sprintf("vcc-agent join %s --pin %s", join_address, pin));
	return o;
}

static void invite_done(void *ctx, const struct api_result *result)
{
	struct api_call *call = ctx;
	if (result->code < 0) {
		api_refuse_why(call, &result->why);
		return;
	}
	char location[API_PARAM_SIZE];
	char id[ID_TEXT_SIZE];
	snprintf(location, sizeof(location), "/api/v1/invites/%s", id_text(result->invite.invite_id, id));
	http_call_header(call->http, "location", location);
	api_finish(call, 201, invite_made_json(&result->invite, result->token, result->join_address, result->pin, call->now_at));
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

/* From the fields of call->body. */
static int invite_read(struct api_call *call, struct invite_request *ret)
{
	char ttl[TIME_TEXT_SIZE] = "";
	int  r = api_field_text(call, "name", NULL, ret->name, sizeof(ret->name));
	if (r == 0)
		r = api_field_text(call, "service", NULL, ret->service, sizeof(ret->service));
	if (r == 0)
		r = api_field_text(call, "ttl", "", ttl, sizeof(ttl));
	if (r == 0 && json_is_string(json_object_get(call->body, "ttl")) && (duration_parse(ttl, &ret->ttl_ms) < 0 || ret->ttl_ms > MS_DAY))
		r = refuse(&call->why, E_API_BODY, "ttl", "must be a duration of at most 24h, like 15m");
	if (r == 0)
		r = invite_names(call, &ret->patterns);
	if (r == 0 && !rights_service(&call->principal, ret->service))
		r = refuse(&call->why, E_API_FORBIDDEN, ret->service, "%s may not act for this service", call->principal.name);
	return r;
}

void api_invite_create(struct api_call *call)
{
	struct invite_request request = {0};
	int                   r = api_body(call);
	if (r == 0)
		r = invite_read(call, &request);
	if (r < 0)
		api_refuse_why(call, &call->why);
	else
		controller_invite(call->ctl, &request, &call->caller, invite_done, call);
}

static void invites_done(void *ctx, const struct invites_made *made)
{
	struct api_call *call = ctx;
	json_t          *items = json_array();
	if (made->code < 0) {
		json_decref(items);
		api_refuse_why(call, &made->why);
		return;
	}
	for (size_t i = 0; i < made->n; i++)
		json_array_append_new(items, invite_made_json(&made->rows[i].invite, made->rows[i].token, made->join_address, made->pin, call->now_at));
	api_finish(call, 201, json_pack("{s:o}", "items", items));
}

static int invites_read(struct api_call *call, struct invite_request *requests, size_t n)
{
	const struct api_contract *one = contract_find("POST", "/api/v1/invites");
	json_t                    *whole = call->body;
	int                        r = 0;
	for (size_t i = 0; i < n && r == 0; i++) {
		call->body = json_array_get(json_object_get(whole, "invites"), i);
		r = json_is_object(call->body) ? contract_check_body(one, call->body, &call->why) : refuse(&call->why, E_API_BODY, "invites", "must hold objects");
		if (r < 0)
			break;
		r = invite_read(call, &requests[i]);
	}
	call->body = whole;
	return r;
}

/* All of them or none. */
void api_invites_create(struct api_call *call)
{
	struct invite_request *requests = NULL;
	int                    r = api_body(call);
	size_t                 n = r == 0 ? json_array_size(json_object_get(call->body, "invites")) : 0;
	if (r == 0 && (n == 0 || n > INVITES_MAX))
		r = refuse(&call->why, E_API_BODY, "invites", "must be a list of 1 to %d invites", INVITES_MAX);
	if (r == 0 && (requests = calloc(n, sizeof(*requests))) == NULL)
		r = refuse(&call->why, E_NOMEM, "invites", "out of memory");
	if (r == 0)
		r = invites_read(call, requests, n);
	if (r < 0)
		api_refuse_why(call, &call->why);
	else
		controller_invites(call->ctl, requests, n, &call->caller, invites_done, call);
	free(requests);
}

/* Another machine for the name: what the name may do stays as it is. */
void api_agent_replace(struct api_call *call)
{
	struct invite_request request = {.replaces = true};
	char                  ttl[TIME_TEXT_SIZE] = "";
	struct agent          a;
	int                   r = view_agent(controller_view(call->ctl), call->params[0], &a);
	if (r == E_NOT_FOUND || (r == 0 && !rights_service(&call->principal, a.service)))
		r = refuse(&call->why, E_NOT_FOUND, call->params[0], "there is no such agent");
	if (r == 0)
		r = api_body(call);
	if (r == 0)
		r = api_field_text(call, "ttl", "", ttl, sizeof(ttl));
	if (r == 0 && json_is_string(json_object_get(call->body, "ttl")) && (duration_parse(ttl, &request.ttl_ms) < 0 || request.ttl_ms > MS_DAY))
		r = refuse(&call->why, E_API_BODY, "ttl", "must be a duration of at most 24h, like 15m");
	if (r < 0) {
		api_refuse_why(call, &call->why);
		return;
	}
	text_cut(request.name, sizeof(request.name), a.name);
	text_cut(request.service, sizeof(request.service), a.service);
	request.patterns = a.patterns;
	controller_invite(call->ctl, &request, &call->caller, invite_done, call);
}

/* A target belongs to its certificate's service. */
static bool target_visible(const struct api_call *call, struct store_view *view, const struct target *t)
{
	struct certificate c;
	return view_certificate(view, t->cert_id, &c) == 0 && rights_service(&call->principal, c.service);
}

/* As the overview counts them. */
static bool target_meant(const struct api_call *call, const struct target *t)
{
	const char *show = api_arg(call, "show");
	if (show == NULL)
		return true;
	return text_equal(show, "changed") ? t->drifted_at > call->now_at - MS_DAY : t->state_code != 0 || t->last_code != 0 || t->stale_since_at != 0;
}

/* One call looks at a bounded part of the list, so a page of a narrowed one may hold fewer rows than there are. */
enum { TARGETS_LOOKED_AT = 20000 };

int api_target_list(struct api_call *call, struct store_view *view)
{
	char   after[TARGET_ID_SIZE];
	size_t limit;
	size_t n = 0;
	int    r = api_arg_limit(call, &limit);
	if (r == 0)
		r = api_arg_cursor(call, after, sizeof(after));
	if (r < 0)
		return r;
	struct target *rows = calloc(limit, sizeof(*rows));
	if (rows == NULL)
		return E_NOMEM;
	json_t *items = json_array();
	bool    narrow = api_arg(call, "show") != NULL, more = true;
	for (size_t seen = 0; r == 0 && more && json_array_size(items) < limit && (seen == 0 || (narrow && seen < TARGETS_LOOKED_AT)); seen += n) {
		r = view_targets(view, api_arg(call, "agent"), after, rows, limit, &n);
		more = r == 0 && n == limit;
		for (size_t i = 0; r == 0 && i < n; i++) {
			if (target_meant(call, &rows[i]) && target_visible(call, view, &rows[i]))
				json_array_append_new(items, json_target(&rows[i]));
			text_cut(after, sizeof(after), rows[i].target_id);
			if (json_array_size(items) == limit && i + 1 < n) {
				more = true; /* the rest of these is for the next page */
				break;
			}
		}
	}
	if (r == 0)
		call->answer = api_page(call, items, more ? after : NULL);
	else
		json_decref(items);
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

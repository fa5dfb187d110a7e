/* api_policy.c - room controller/daemon: routes of templates and services.
 * A change names the version that it was made on by If-Match; dry_run shows what it would do. Never: judging a change
 * (policy_edit.h). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/daemon/api_json.h"
#include "controller/daemon/api_routes.h"
#include "controller/daemon/policy_edit.h"
#include "controller/daemon/service_json.h"
#include "controller/daemon/template_json.h"
#include "shared/base/text.h"
#include "shared/conf/controller_conf.h"

enum { TEMPLATES_MAX = 200, SERVICES_PAGE = 200, WALKS_MAX = 200, WALK_NAME = 96 };

/* ---- what both have ---- */

/* On the loop: the version is the ETag. */
void api_policy_enrich(struct api_call *call)
{
	char text[24];
	(void)snprintf(text, sizeof(text), "\"%lld\"", (long long)json_integer_value(json_object_get(call->answer, "version")));
	http_call_header(call->http, "etag", text);
}

/* `"3"` or `W/"3"`; `*` asks that there is one at all. */
static int take_if_match(struct api_call *call, struct policy_edit *e)
{
	const char *text = http_call_request(call->http)->if_match;
	char        digits[24];
	int64_t     version;
	if (text[0] == '\0' || text_equal(text, "*"))
		return 0;
	if (text_starts(text, "W/"))
		text += 2;
	size_t n = strlen(text);
	if (n < 3 || text[0] != '"' || text[n - 1] != '"' || text_copy_n(digits, sizeof(digits), text + 1, n - 2) < 0 ||
	    text_i64(digits, 0, UINT32_MAX, &version) < 0)
		return refuse(&call->why, E_POLICY_STALE, call->params[0], "If-Match names no version of ours");
	e->expects = true;
	e->base = (uint32_t)version;
	return 0;
}

/* dry_run and force stand beside the fields of the thing itself: they are taken out of the body. */
static int take_flags(struct api_call *call, struct policy_edit *e)
{
	int r = call->body == NULL ? refuse(&call->why, E_API_BODY, "body", "JSON is required") : api_body(call);
	if (r == 0)
		r = api_field_bool(call, "dry_run", false, &e->dry_run);
	if (r == 0)
		r = api_field_bool(call, "force", false, &e->force);
	if (r == 0)
		r = take_if_match(call, e);
	static const char *const flags[] = {"dry_run", "force", "comment"};
	for (size_t i = 0; r == 0 && i < N_ELEMENTS(flags); i++)
		json_object_del(call->body, flags[i]);
	return r;
}

static void edit_done(void *ctx, const struct policy_edit_result *result)
{
	struct api_call *call = ctx;
	if (result->code < 0) {
		api_refuse_why(call, &result->why);
		return;
	}
	if (result->waits) {
		api_waits(call, &result->approval);
		return;
	}
	json_t *o = json_deep_copy(result->report);
	bool    dry = !result->changed && json_array_size(json_object_get(o, "changes")) > 0;
	char    text[160], etag[24], id[ID_TEXT_SIZE];
	if (result->changed)
		(void)snprintf(text, sizeof(text), "version %u is in force; %lld certificates are renewed", result->version,
			       (long long)json_integer_value(json_object_get(o, "renewals")));
	else
		(void)snprintf(text, sizeof(text),
			       dry ? "this would be version %u" : "nothing changes: version %u stays in force",
			       dry ? result->version + 1 : result->version);
	(void)snprintf(etag, sizeof(etag), "\"%u\"", result->version);
	json_object_set_new(o, "message", json_string(text));
	json_object_set_new(o, "status", json_string(result->changed ? "processing" : dry ? "dry_run" : "completed"));
	json_object_set_new(o, "dry_run", json_boolean(dry));
	json_object_set_new(o, "campaign_id", json_id(result->campaign_id));
	if (!dry)
		json_object_set_new(o, "version", json_integer(result->version));
	http_call_header(call->http, "etag", etag);
	if (result->changed) {
		(void)snprintf(text, sizeof(text), "/api/v1/campaigns/%s", id_text(result->campaign_id, id));
		http_call_header(call->http, "location", text);
	}
	api_finish(call, result->changed ? 202 : 200, o);
}

/* Where a change has got to; null = everywhere. */
static json_t *walk_json(struct store_view *view, const char *kind, const char *name)
{
	char                object[WALK_NAME];
	size_t              n = 0;
	json_t             *o = NULL;
	struct policy_walk *rows = calloc(WALKS_MAX, sizeof(*rows));
	(void)snprintf(object, sizeof(object), "%s:%s", kind, name);
	if (rows != NULL && view_policy_walks(view, "", rows, WALKS_MAX, &n) < 0)
		n = 0;
	for (size_t i = 0; i < n && o == NULL; i++)
		if (text_equal(rows[i].object, object))
			o = json_pack("{s:I,s:s,s:I,s:I,s:o,s:o}", "version", (json_int_t)rows[i].version, "after", rows[i].after,
				      "ordered", (json_int_t)rows[i].ordered, "skipped", (json_int_t)rows[i].skipped,
				      "started_at", json_time(rows[i].started_at), "campaign_id", json_id(rows[i].campaign_id));
	free(rows);
	return o != NULL ? o : json_null();
}

/* ---- templates ---- */

int api_life_templates(struct api_call *call, struct store_view *view)
{
	size_t           n = 0;
	struct template *rows = calloc(TEMPLATES_MAX, sizeof(*rows));
	if (rows == NULL)
		return E_NOMEM;
	int r = view_templates(view, "", rows, TEMPLATES_MAX, &n);
	if (r == 0) {
		json_t *items = json_array();
		for (size_t i = 0; i < n; i++)
			json_array_append_new(items, template_json_write(&rows[i], TEMPLATE_ANSWER));
		call->answer = json_object();
		json_object_set_new(call->answer, "templates", items);
	}
	free(rows);
	return r;
}

int api_life_template(struct api_call *call, struct store_view *view)
{
	struct template t;
	int64_t version;
	int     r = api_arg_i64(call, "version", 0, 0, UINT32_MAX, &version);
	if (r == 0 && (r = view_template(view, call->params[0], (uint32_t)version, &t)) < 0)
		r = refuse(&call->why, r, call->params[0],
			   version == 0 ? "there is no such template" : "there is no such version of the template");
	if (r == 0) {
		call->answer = template_json_write(&t, TEMPLATE_ANSWER);
		json_object_set_new(call->answer, "update", walk_json(view, "template", t.template_id));
	}
	return r;
}

void api_life_template_apply(struct api_call *call)
{
	struct policy_edit e = {.of_service = false};
	int64_t            renewals = controller_conf_of(call->ctl)->max_renewals_default;
	int                r = take_flags(call, &e);
	if (r == 0) {
		json_object_del(call->body, "reason");
		json_object_del(call->body, "update"); /* what `show` adds */
		r = template_json_read(call->body, (uint32_t)renewals, &e.template, &call->why);
	}
	if (r == 0 && !text_equal(e.template.template_id, call->params[0]))
		r = refuse(&call->why, E_API_BODY, "template_id", "`%s` is not the template of the path, %s",
			   e.template.template_id, call->params[0]);
	if (r < 0)
		api_refuse_why(call, &call->why);
	else
		policy_edit_start(call->ctl, &e, &call->caller, edit_done, call);
}

/* ---- services ---- */

static json_t *needed_by(const struct service *rows, size_t n, const char *name)
{
	json_t *list = json_array();
	for (size_t i = 0; i < n; i++)
		if (text_listed(rows[i].depends_on, name))
			json_array_append_new(list, json_string(rows[i].name));
	return list;
}

static json_t *service_shown(const struct service *rows, size_t n, const struct service *s)
{
	json_t *o = service_json_write(s);
	json_object_set_new(o, "needed_by", needed_by(rows, n, s->name));
	json_object_set_new(o, "version", json_integer(s->version));
	json_object_set_new(o, "created_at", json_time(s->created_at));
	return o;
}

/* Those that depend on others, of all pages: what needs a service may stand on another page than it. */
static int dependents_read(struct store_view *view, struct service **ret, size_t *ret_n)
{
	struct service *page = calloc(SERVICES_PAGE, sizeof(*page)), *all = NULL;
	char            after[SERVICE_SIZE] = "";
	size_t          n = SERVICES_PAGE, found = 0;
	int             r = page != NULL ? 0 : E_NOMEM;
	while (r == 0 && n == SERVICES_PAGE && (r = view_services(view, after, page, SERVICES_PAGE, &n)) == 0) {
		struct service *grown = reallocarray(all, found + n + 1, sizeof(*all));
		if (grown == NULL)
			r = E_NOMEM;
		all = grown != NULL ? grown : all;
		for (size_t i = 0; i < n && r == 0; i++) {
			text_cut(after, sizeof(after), page[i].name);
			if (page[i].depends_on[0] != '\0')
				all[found++] = page[i];
		}
	}
	free(page);
	if (r < 0) {
		free(all);
		return r;
	}
	*ret = all;
	*ret_n = found;
	return 0;
}

int api_service_list(struct api_call *call, struct store_view *view)
{
	struct service *all = NULL, *rows;
	char            after[API_PARAM_SIZE];
	size_t          n_all = 0, n = 0, limit;
	int             r = api_arg_limit(call, &limit);
	if (r == 0)
		r = api_arg_cursor(call, after, sizeof(after));
	if (r < 0)
		return r;
	rows = calloc(limit, sizeof(*rows));
	r = rows != NULL ? view_services(view, after, rows, limit, &n) : E_NOMEM;
	if (r == 0)
		r = dependents_read(view, &all, &n_all);
	if (r == 0) {
		json_t *items = json_array();
		for (size_t i = 0; i < n; i++)
			if (rights_service(&call->principal, rows[i].name))
				json_array_append_new(items, service_shown(all, n_all, &rows[i]));
		call->answer = api_page(call, items, n == limit ? rows[n - 1].name : NULL);
	}
	free(all);
	free(rows);
	return r;
}

int api_service_show(struct api_call *call, struct store_view *view)
{
	struct service *all = NULL, s;
	size_t          n = 0;
	int             r = view_service(view, call->params[0], &s);
	if (r == 0 && !rights_service(&call->principal, s.name))
		r = E_NOT_FOUND;
	if (r == 0)
		r = dependents_read(view, &all, &n);
	if (r < 0)
		return r == E_NOT_FOUND ? refuse(&call->why, r, call->params[0], "there is no such service") : r;
	call->answer = service_shown(all, n, &s);
	json_object_set_new(call->answer, "update", walk_json(view, "service", s.name));
	json_object_set_new(call->answer, "peer_proof", api_peers_of_service(view, s.name, call->now_at));
	free(all);
	return 0;
}

static void service_apply(struct api_call *call, const char *name)
{
	struct policy_edit e = {.of_service = true};
	struct service     known;
	bool               there = name == NULL || (rights_service(&call->principal, name) && view_service(controller_view(call->ctl), name, &known) == 0);
	int                r = there ? take_flags(call, &e) : refuse(&call->why, E_NOT_FOUND, name, "there is no such service; POST to its list makes one");
	if (r == 0) {
		json_object_del(call->body, "reason");
		if (name != NULL && json_object_get(call->body, "name") == NULL)
			json_object_set_new(call->body, "name", json_string(name));
		r = service_json_read(call->body, &e.service, &call->why);
	}
	if (r == 0 && !rights_service(&call->principal, e.service.name))
		r = refuse(&call->why, E_API_FORBIDDEN, e.service.name, "it is not one of the caller's services");
	if (r == 0 && name != NULL && !text_equal(e.service.name, name))
		r = refuse(&call->why, E_API_BODY, "name", "`%s` is not the service of the path, %s", e.service.name, name);
	if (r < 0)
		api_refuse_why(call, &call->why);
	else
		policy_edit_start(call->ctl, &e, &call->caller, edit_done, call);
}

void api_service_apply(struct api_call *call)
{
	service_apply(call, call->params[0]);
}

void api_service_create(struct api_call *call)
{
	service_apply(call, NULL);
}

/* api_people.c - room controller/daemon: routes of principals and tokens.
 * Never: rules about rights; those are in core/rights.h and people.h. */
#include <stdio.h>
#include <stdlib.h>

#include "controller/daemon/api_json.h"
#include "controller/daemon/api_routes.h"
#include "controller/daemon/people.h"
#include "controller/daemon/people_json.h"
#include "shared/base/text.h"
#include "shared/base/times.h"

/* ---- answers ---- */

static void principal_done(void *ctx, const struct api_result *result, int status)
{
	struct api_call *call = ctx;
	if (result->code < 0)
		api_refuse_why(call, &result->why);
	else if (result->waits)
		api_waits(call, &result->approval);
	else
		api_finish(call, status, json_principal(&result->principal));
}

static void created(void *ctx, const struct api_result *result)
{
	principal_done(ctx, result, 201);
}

static void changed(void *ctx, const struct api_result *result)
{
	principal_done(ctx, result, 200);
}

/* ---- principals ---- */

int api_principal_list(struct api_call *call, struct store_view *view)
{
	char   after[API_PARAM_SIZE];
	size_t limit, n;
	int    r = api_arg_limit(call, &limit);
	if (r == 0)
		r = api_arg_cursor(call, after, sizeof(after));
	if (r < 0)
		return r;
	struct principal *rows = calloc(limit, sizeof(*rows));
	if (rows == NULL)
		return E_NOMEM;
	r = view_principals(view, after, rows, limit, &n);
	if (r == 0) {
		json_t *items = json_array();
		for (size_t i = 0; i < n; i++)
			json_array_append_new(items, json_principal(&rows[i]));
		call->answer = api_page(call, items, n == limit ? rows[n - 1].name : NULL);
	}
	free(rows);
	return r;
}

int api_principal_show(struct api_call *call, struct store_view *view)
{
	struct principal p;
	int              r = view_principal(view, call->params[0], &p);
	if (r < 0)
		return refuse(&call->why, r, call->params[0], "there is no such principal");
	call->answer = json_principal(&p);
	return 0;
}

void api_principal_create(struct api_call *call)
{
	struct principal         p = {.name = ""};
	int                      r = api_body(call);
	if (r == 0)
		r = api_field_text(call, "name", NULL, p.name, sizeof(p.name));
	if (r == 0 && !name_principal_ok(p.name))
		r = refuse(&call->why, E_PRINCIPAL_NAME, "name", "`%s`: lower-case letters, digits, '-' and '_', and none of our own names", p.name);
	if (r == 0)
		r = principal_read(call->body, &p, &call->why);
	if (r < 0)
		api_refuse_why(call, &call->why);
	else
		people_principal_put(call->ctl, &p, true, &call->caller, created, call);
}

void api_principal_change(struct api_call *call)
{
	struct principal         p;
	int                      r = view_principal(controller_view(call->ctl), call->params[0], &p);
	if (r < 0)
		r = refuse(&call->why, r, call->params[0], "there is no such principal");
	if (r == 0)
		r = api_body(call);
	if (r == 0)
		r = principal_read(call->body, &p, &call->why);
	if (r < 0)
		api_refuse_why(call, &call->why);
	else
		people_principal_put(call->ctl, &p, false, &call->caller, changed, call);
}

/* ---- tokens ---- */

/* Only one's own, unless one manages principals of the whole installation. */
static bool manages(const struct api_call *call)
{
	return rights_allow(&call->principal, PERM_PRINCIPAL_MANAGE) && !rights_limited(&call->principal);
}

int api_token_list(struct api_call *call, struct store_view *view)
{
	char        text[API_PARAM_SIZE];
	struct id   after = {{0}};
	size_t      limit, n;
	const char *of = api_arg(call, "principal");
	int         r = api_arg_limit(call, &limit);
	if (r == 0)
		r = api_arg_cursor(call, text, sizeof(text));
	if (r == 0 && text[0] != '\0' && id_parse(text, &after) < 0)
		r = refuse(&call->why, E_API_BODY, "cursor", "this is not a cursor of ours");
	if (r == 0 && !manages(call) && of != NULL && !text_equal(of, call->principal.name))
		r = refuse(&call->why, E_API_FORBIDDEN, of, "tokens of others need the permission %s", permission_name(PERM_PRINCIPAL_MANAGE));
	if (r < 0)
		return r;
	struct token *rows = calloc(limit, sizeof(*rows));
	if (rows == NULL)
		return E_NOMEM;
	r = view_tokens(view, manages(call) ? of : call->principal.name, after, rows, limit, &n);
	if (r == 0) {
		char    last[ID_TEXT_SIZE];
		json_t *items = json_array();
		for (size_t i = 0; i < n; i++)
			json_array_append_new(items, json_token(&rows[i]));
		call->answer = api_page(call, items, n == limit ? id_text(rows[n - 1].token_id, last) : NULL);
	}
	free(rows);
	return r;
}

static void token_made(void *ctx, const struct api_result *result)
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
	json_t *o = json_token(&result->pat);
	json_object_set_new(o, "token", json_string(result->pat_text));
	api_finish(call, 201, o);
}

void api_token_create(struct api_call *call)
{
	struct token             t = {.label = ""};
	int64_t                  until = call->by == API_BY_TOKEN ? call->token.expires_at : TIME_NEVER;
	text_cut(t.principal, sizeof(t.principal), call->principal.name);
	int r = api_body(call);
	if (r == 0)
		r = token_read(call->body, call->now_at, &t, &call->why);
	if (r == 0 && !manages(call) && !text_equal(t.principal, call->principal.name))
		r = refuse(&call->why, E_API_FORBIDDEN, t.principal, "tokens of others need the permission %s", permission_name(PERM_PRINCIPAL_MANAGE));
	if (r < 0)
		api_refuse_why(call, &call->why);
	else
		people_token_make(call->ctl, &t, &call->principal, until, &call->caller, token_made, call);
}

static void token_revoked(void *ctx, const struct api_result *result)
{
	struct api_call *call = ctx;
	if (result->code < 0)
		api_refuse_why(call, &result->why);
	else
		api_finish(call, 200, json_token(&result->pat));
}

void api_token_revoke(struct api_call *call)
{
	struct id    token_id = {{0}};
	struct token t;
	int          r = id_parse(call->params[0], &token_id) < 0 ? E_NOT_FOUND : view_token(controller_view(call->ctl), token_id, &t);
	if (r == 0 && !manages(call) && !text_equal(t.principal, call->principal.name))
		r = E_NOT_FOUND;
	if (r < 0)
		api_refuse(call, r, call->params[0], "there is no such token");
	else if (api_body(call) < 0)
		api_refuse_why(call, &call->why);
	else
		people_token_revoke(call->ctl, token_id, &call->caller, token_revoked, call);
}

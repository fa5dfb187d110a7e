/* api_approvals.c - room controller/daemon: routes of approvals.
 * Never: who may decide, and what a decision does (core/rights.h, approvals.h). */
#include <stdlib.h>

#include "controller/daemon/api_json.h"
#include "controller/daemon/api_routes.h"
#include "controller/daemon/approval_campaign.h"
#include "controller/daemon/approvals.h"
#include "controller/daemon/people_json.h"
#include "shared/base/text.h"

bool api_approval_visible(const struct api_call *call, const struct approval *a)
{
	return a->service[0] != '\0' ? rights_service(&call->principal, a->service) : !rights_limited(&call->principal);
}

static json_t *shown(const struct api_call *call, const struct approval *a)
{
	json_t *o = json_approval(a);
	bool    may = rights_allow(&call->principal, PERM_APPROVAL_DECIDE) && rights_decide(a, &call->principal, call->now_at) == 0;
	json_object_set_new(o, "you_may_decide", json_boolean(may));
	return o;
}

static int state_arg(struct api_call *call, bool *ret_waiting)
{
	const char *state = api_arg(call, "state");
	*ret_waiting = state == NULL || text_equal(state, "waiting");
	return *ret_waiting || text_equal(state, "all") ? 0 : refuse(&call->why, E_API_BODY, "state", "must be waiting or all");
}

int api_approval_list(struct api_call *call, struct store_view *view)
{
	char      text[API_PARAM_SIZE];
	struct id before = {{0}};
	size_t    limit, n;
	bool      waiting;
	int       r = api_arg_limit(call, &limit);
	if (r == 0)
		r = api_arg_cursor(call, text, sizeof(text));
	if (r == 0 && text[0] != '\0' && id_parse(text, &before) < 0)
		r = refuse(&call->why, E_API_BODY, "cursor", "this is not a cursor of ours");
	if (r == 0)
		r = state_arg(call, &waiting);
	if (r != 0)
		return r;
	struct approval *rows = calloc(limit, sizeof(*rows));
	if (rows == NULL)
		return E_NOMEM;
	r = view_approvals(view, waiting, before, rows, limit, &n);
	if (r == 0) {
		char    last[ID_TEXT_SIZE];
		json_t *items = json_array();
		for (size_t i = 0; i < n; i++)
			if (api_approval_visible(call, &rows[i]))
				json_array_append_new(items, shown(call, &rows[i]));
		call->answer = api_page(call, items, n == limit ? id_text(rows[n - 1].approval_id, last) : NULL);
	}
	free(rows);
	return r;
}

static int approval_of(struct api_call *call, struct store_view *view, struct approval *ret)
{
	struct id id;
	int       r = id_parse(call->params[0], &id) < 0 ? E_NOT_FOUND : view_approval(view, id, ret);
	if (r == 0 && !api_approval_visible(call, ret))
		r = E_NOT_FOUND;
	return r < 0 ? refuse(&call->why, r, call->params[0], "there is no such request") : 0;
}

int api_approval_show(struct api_call *call, struct store_view *view)
{
	struct approval a;
	int             r = approval_of(call, view, &a);
	if (r < 0)
		return r;
	json_t *campaign = NULL;
	if (a.kind == APPROVAL_CAMPAIGN && (r = approval_campaign_json(view, a.approval_id, &campaign)) < 0 && r != E_NOT_FOUND)
		return refuse(&call->why, r, "store", "it cannot be read now");
	call->answer = shown(call, &a);
	if (campaign != NULL)
		json_object_set_new(call->answer, "campaign", campaign);
	return 0;
}

static void decided(void *ctx, const struct api_result *result)
{
	struct api_call *call = ctx;
	if (result->code < 0) {
		api_refuse_why(call, &result->why);
		return;
	}
	json_t *o = shown(call, &result->approval);
	if (result->pat_text[0] != '\0') { /* shown once, to whoever agreed: the one who asked must not have it */
		json_object_set_new(o, "token", json_string(result->pat_text));
		json_object_set_new(o, "token_id", json_id(result->pat.token_id));
	}
	if (result->template_version != 0) /* what was agreed to renews by this campaign */
		json_object_set_new(o, "campaign_id", json_id(result->campaign.campaign_id));
	api_finish(call, 200, o);
}

static void decide(struct api_call *call, bool approve)
{
	struct approval          a;
	struct approval_decision d = {.approve = approve, .by = call->principal};
	char                     hash[HASH_TEXT_SIZE] = "";
	int                      r = approval_of(call, controller_view(call->ctl), &a);
	if (r == 0)
		r = api_body(call);
	if (r == 0)
		r = api_field_text(call, "hash", NULL, hash, sizeof(hash));
	if (r == 0 && hash_parse(hash, &d.shown) < 0)
		r = refuse(&call->why, E_API_BODY, "hash", "must be the hash that the request was shown with");
	if (r == 0)
		r = api_field_text(call, "comment", "", d.comment, sizeof(d.comment));
	if (r < 0) {
		api_refuse_why(call, &call->why);
		return;
	}
	d.approval_id = a.approval_id;
	approvals_decide(call->ctl, &d, &call->caller, decided, call);
}

void api_approval_approve(struct api_call *call)
{
	decide(call, true);
}

void api_approval_reject(struct api_call *call)
{
	decide(call, false);
}

/* ---- for the routes whose act waits ---- */

void api_waits(struct api_call *call, const struct approval *a)
{
	char    location[API_PARAM_SIZE], id[ID_TEXT_SIZE];
	json_t *o = json_pack("{s:s,s:o}", "status", "awaiting_approval", "approval", json_approval(a));
	json_object_set(o, "approval_id", json_object_get(json_object_get(o, "approval"), "approval_id"));
	snprintf(location, sizeof(location), "/api/v1/approvals/%s", id_text(a->approval_id, id));
	http_call_header(call->http, "location", location);
	api_finish(call, 202, o);
}

/* api_drills.c - room controller/daemon: routes of drills and their reports. A drill's certificates are its campaign's members.
 * Never: beginning one (api_bulk.c plans it as an emergency is planned). */
#include <stdlib.h>

#include "controller/daemon/api_json.h"
#include "controller/daemon/api_routes.h"
#include "controller/daemon/campaigns.h"
#include "controller/daemon/drill_json.h"
#include "shared/base/text.h"

static bool visible(const struct api_call *call, const struct drill *d)
{
	struct campaign as = {.kind = CAMPAIGN_DRILL};
	text_cut(as.services, sizeof(as.services), d->services);
	return api_campaign_visible(call, &as);
}

static int drill_of(struct api_call *call, struct store_view *view, struct drill *ret)
{
	struct id id;
	int       r = id_parse(call->params[0], &id) < 0 ? E_NOT_FOUND : view_drill(view, id, ret);
	if (r == 0 && !visible(call, ret))
		r = E_NOT_FOUND;
	return r < 0 ? refuse(&call->why, r, call->params[0], "there is no such drill") : 0;
}

int api_drill_list(struct api_call *call, struct store_view *view)
{
	char      text[API_PARAM_SIZE], last[ID_TEXT_SIZE];
	struct id before = {{0}};
	size_t    limit, n;
	int       r = api_arg_limit(call, &limit);
	if (r == 0)
		r = api_arg_cursor(call, text, sizeof(text));
	if (r == 0 && text[0] != '\0' && id_parse(text, &before) < 0)
		r = refuse(&call->why, E_API_BODY, "cursor", "this is not a cursor of ours");
	if (r < 0)
		return r;
	struct drill *rows = calloc(limit, sizeof(*rows));
	if (rows == NULL)
		return E_NOMEM;
	r = view_drills(view, before, rows, limit, &n);
	if (r == 0) {
		json_t *items = json_array();
		for (size_t i = 0; i < n; i++)
			if (visible(call, &rows[i]))
				json_array_append_new(items, json_drill(&rows[i], view, call->now_at));
		call->answer = api_page(call, items, n == limit ? id_text(rows[n - 1].campaign_id, last) : NULL);
	}
	free(rows);
	return r;
}

int api_drill_show(struct api_call *call, struct store_view *view)
{
	struct drill d;
	int          r = drill_of(call, view, &d);
	if (r == 0)
		call->answer = json_drill(&d, view, call->now_at);
	return r;
}

/* As a text, because its hash is of these bytes. */
int api_drill_report(struct api_call *call, struct store_view *view)
{
	struct buf   report = BUF_MAX(DRILL_REPORT_MAX);
	struct drill d;
	int          r = drill_of(call, view, &d);
	if (r == 0 && d.reported_at == 0)
		r = refuse(&call->why, E_DRILL_REPORT_LATER, call->params[0], "%s", err_what(E_DRILL_REPORT_LATER));
	if (r == 0)
		r = view_drill_report(view, d.campaign_id, &report);
	if (r == 0) {
		call->answer = json_object();
		json_object_set_new(call->answer, "drill_id", json_id(d.campaign_id));
		json_object_set_new(call->answer, "report_sha256", json_hash(d.report_hash));
		json_object_set_new(call->answer, "report", json_stringn((const char *)report.p, report.n));
	}
	buf_free(&report);
	return r;
}

/* ---- cancel ------------------------------------------------------------------------------------------------------ */

static void cancelled(void *ctx, const struct api_result *result)
{
	struct api_call *call = ctx;
	struct drill     d;
	int              r = result->code;
	if (r == 0)
		r = drill_of(call, controller_view(call->ctl), &d);
	else
		call->why = result->why;
	if (r < 0)
		api_refuse_why(call, &call->why);
	else
		api_finish(call, 200, json_drill(&d, controller_view(call->ctl), call->now_at));
}

void api_drill_cancel(struct api_call *call)
{
	struct drill d;
	int          r = drill_of(call, controller_view(call->ctl), &d);
	if (r == 0)
		r = api_body(call);
	if (r < 0)
		api_refuse_why(call, &call->why);
	else
		campaigns_order(call->ctl, d.campaign_id, CAMPAIGN_EV_CANCEL, 0, &call->caller, cancelled, call);
}

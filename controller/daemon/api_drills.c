/* api_drills.c - room controller/daemon: routes of drills and their reports. A drill's certificates are its campaign's members.
 * Never: beginning one (api_bulk.c plans it as an emergency is planned). */
#include <stdlib.h>

#include "controller/core/campaign_flow.h"
#include "controller/daemon/api_json.h"
#include "controller/daemon/api_routes.h"
#include "controller/daemon/campaigns.h"
#include "shared/base/text.h"
#include "shared/base/times.h"

/* Until the report is made the campaign tells how far it is; after that it may be archived. */
static void follow_campaign(struct store_view *view, struct drill *d, uint32_t *ret_waiting, uint32_t *ret_open)
{
	struct campaign c;
	*ret_waiting = *ret_open = 0;
	if (d->reported_at != 0 || view_campaign(view, d->campaign_id, &c) < 0)
		return;
	d->state = c.state;
	d->ended_at = c.completed_at;
	d->tested = c.done;
	d->failed = c.failed;
	d->skipped = c.skipped + c.dropped;
	text_cut(d->cause, sizeof(d->cause), c.cause);
	*ret_waiting = c.waiting;
	*ret_open = campaign_flow_open(&c);
}

static json_t *json_drill(const struct drill *row, struct store_view *view, int64_t now)
{
	struct drill d = *row;
	uint32_t     waiting, open;
	json_t      *o = json_object();
	follow_campaign(view, &d, &waiting, &open);
	bool reported = d.reported_at != 0;
	json_object_set_new(o, "drill_id", json_id(d.campaign_id));
	json_object_set_new(o, "status", json_string(campaign_state_name(d.state)));
	json_object_set_new(o, "selector", json_string(d.selector));
	json_object_set_new(o, "services", json_comma_list(d.services));
	json_object_set_new(o, "requester", json_string(d.actor));
	json_object_set_new(o, "reason", json_string(d.reason));
	json_object_set_new(o, "cause", json_string(d.cause));
	json_object_set_new(o, "total_certificates", json_integer(d.total));
	json_object_set_new(o, "tested_count", json_integer(d.tested));
	json_object_set_new(o, "failed_count", json_integer(d.failed));
	json_object_set_new(o, "skipped_count", json_integer(d.skipped));
	json_object_set_new(o, "not_reached_count", reported ? json_integer(d.not_reached) : json_null());
	json_object_set_new(o, "waiting_count", json_integer(waiting));
	json_object_set_new(o, "in_progress_count", json_integer(open));
	json_object_set_new(o, "duration_seconds",
			    json_real((double)((d.ended_at != 0 ? d.ended_at : now) - d.created_at) / MS_SECOND));
	json_object_set_new(o, "created_at", json_time(d.created_at));
	json_object_set_new(o, "ended_at", json_time(d.ended_at));
	json_object_set_new(o, "reported_at", json_time(d.reported_at));
	json_object_set_new(o, "report_sha256", reported ? json_hash(d.report_hash) : json_null());
	json_object_set_new(o, "report_bytes", reported ? json_integer((json_int_t)d.report_size) : json_null());
	return o;
}

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

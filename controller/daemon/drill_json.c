/* drill_json.c - room controller/daemon: a drill as JSON, for the API and for the archive.
 * Never: the report itself; it is kept and shown byte for byte. */
#include "controller/daemon/drill_json.h"

#include "controller/core/campaign_flow.h"
#include "controller/daemon/api_json.h"
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

json_t *json_drill(const struct drill *row, struct store_view *view, int64_t now)
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

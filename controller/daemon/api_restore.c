/* api_restore.c - room controller/daemon: the routes that tell of the last restore and drill, accept the one and record the other.
 * Never: restoring; that is done while no controller runs. */
#include "controller/daemon/api_json.h"
#include "controller/daemon/api_routes.h"
#include "controller/daemon/audit_heads.h"
#include "controller/daemon/restored.h"
#include "shared/base/times.h"
#include "shared/sys/clock.h"

static json_t *restore_json(struct controller *ctl)
{
	struct restore_mark m;
	struct drill_mark   drill = {.at = 0};
	restored_mark_of(ctl, &m);
	(void)!drill_mark_read(controller_view(ctl), &drill); /* one that cannot be read proves nothing */
	bool    holds = restored_holds(ctl);
	json_t *o = json_object();
	json_object_set_new(o, "status", json_string(holds ? "waiting" : m.epoch == 0 ? "never" : "accepted"));
	json_object_set_new(o, "epoch", json_integer((json_int_t)m.epoch));
	json_object_set_new(o, "restored_at", json_time(m.restored_at));
	json_object_set_new(o, "backup_of", json_time(m.made_at));
	json_object_set_new(o, "audit_size", json_integer((json_int_t)m.audit_size));
	json_object_set_new(o, "accepted_at", json_time(m.accepted_at));
	json_object_set_new(o, "accepted_by", m.accepted_by[0] != '\0' ? json_string(m.accepted_by) : json_null());
	json_object_set_new(o, "signer_contradicts", json_boolean(audit_heads_signer_contradicts(ctl)));
	json_object_set_new(o, "hosts_contradict", json_integer(audit_heads_accusers(ctl)));
	json_object_set_new(o, "longest_trail_claimed", json_integer((json_int_t)audit_heads_claimed(ctl)));
	json_object_set_new(o, "differences", restore_news_json(restored_news(ctl)));
	json_object_set_new(o, "differences_more", json_integer((json_int_t)restored_news(ctl)->n_more));
	json_object_set_new(o, "drilled_at", json_time(drill.at));
	json_object_set_new(o, "drilled_backup_of", json_time(drill.made_at));
	return o;
}

void api_restore_show(struct api_call *call)
{
	api_finish(call, 200, restore_json(call->ctl));
}

static void done(void *ctx, const struct api_result *result)
{
	struct api_call *call = ctx;
	if (result->code < 0)
		api_refuse_why(call, &result->why);
	else
		api_finish(call, 200, restore_json(call->ctl));
}

void api_restore_accept(struct api_call *call)
{
	if (api_body(call) < 0)
		api_refuse_why(call, &call->why);
	else
		restored_accept(call->ctl, &call->caller, done, call);
}

static int take_drill(struct api_call *call, struct drill_result *ret)
{
	char text[TIME_TEXT_SIZE] = "", root[HASH_TEXT_SIZE] = "";
	int  r = api_body(call);
	if (r == 0)
		r = api_field_text(call, "backup_of", NULL, text, sizeof(text));
	if (r == 0)
		r = api_field_text(call, "audit_root", NULL, root, sizeof(root));
	json_int_t size = json_integer_value(json_object_get(call->body, "audit_size")), keys = json_integer_value(json_object_get(call->body, "keys"));
	if (r == 0 && time_parse(text, &ret->made_at) < 0)
		r = refuse(&call->why, E_API_BODY, "backup_of", "this is no time: give it as the drill printed it");
	if (r == 0 && ret->made_at > clock_now())
		r = refuse(&call->why, E_API_BODY, "backup_of", "no backup was made in the future");
	if (r == 0 && hash_parse(root, &ret->audit_root) < 0)
		r = refuse(&call->why, E_API_BODY, "audit_root", "this is no SHA-256 in hex: give it as the drill printed it");
	if (r == 0 && (size <= 0 || keys <= 0))
		r = refuse(&call->why, E_API_BODY, size <= 0 ? "audit_size" : "keys", "must be above 0");
	ret->audit_size = (uint64_t)size;
	ret->keys = (uint64_t)keys;
	return r;
}

void api_restore_drill(struct api_call *call)
{
	struct drill_result d = {.keys = 0};
	if (take_drill(call, &d) < 0)
		api_refuse_why(call, &call->why);
	else
		restored_drilled(call->ctl, &d, &call->caller, done, call);
}

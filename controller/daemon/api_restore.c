/* api_restore.c - room controller/daemon: the routes that tell of the last restore and accept it.
 * Never: restoring; that is done while no controller runs. */
#include "controller/daemon/api_json.h"
#include "controller/daemon/api_routes.h"
#include "controller/daemon/audit_heads.h"
#include "controller/daemon/restored.h"

static json_t *restore_json(struct controller *ctl)
{
	struct restore_mark m;
	restored_mark_of(ctl, &m);
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
	return o;
}

void api_restore_show(struct api_call *call)
{
	api_finish(call, 200, restore_json(call->ctl));
}

static void accepted(void *ctx, const struct api_result *result)
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
		restored_accept(call->ctl, &call->caller, accepted, call);
}

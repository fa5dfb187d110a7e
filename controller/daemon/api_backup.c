/* api_backup.c - room controller/daemon: the routes of backups.
 * Never: the bytes of one; they are copied on the controller's host. */
#include "controller/daemon/api_json.h"
#include "controller/daemon/api_routes.h"
#include "controller/daemon/backup.h"

static json_t *report_json(const struct backup_report *r)
{
	char    code[ERR_CODE_SIZE];
	json_t *o = json_object();
	json_object_set_new(o, "status", json_string(backup_state_name(r->state)));
	json_object_set_new(o, "path", r->state == BACKUP_DONE ? json_string(r->path) : json_null());
	json_object_set_new(o, "bytes", json_integer((json_int_t)r->bytes));
	json_object_set_new(o, "audit_size", json_integer((json_int_t)r->audit_size));
	json_object_set_new(o, "started_at", json_time(r->started_at));
	json_object_set_new(o, "ended_at", json_time(r->ended_at));
	json_object_set_new(o, "error", r->state == BACKUP_FAILED ? json_string(err_code(r->why.code, code)) : json_null());
	json_object_set_new(o, "cause", r->state == BACKUP_FAILED ? json_string(r->why.cause) : json_null());
	return o;
}

static void answer(struct api_call *call, int status)
{
	struct backup_report r;
	controller_backup_report(call->ctl, &r);
	api_finish(call, status, report_json(&r));
}

void api_backup_show(struct api_call *call)
{
	answer(call, 200);
}

void api_backup_make(struct api_call *call)
{
	struct refusal why;
	if (api_body(call) < 0) {
		api_refuse_why(call, &call->why);
	} else if (controller_backup(call->ctl, &call->caller, &why) < 0) {
		api_refuse_why(call, &why);
	} else {
		http_call_header(call->http, "location", "/api/v1/backup");
		answer(call, 202);
	}
}

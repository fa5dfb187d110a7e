/* api_rollover.c - room controller/daemon: routes of authorities that give way.
 * Never: deciding; that is rollovers.h and rollover_ask.h. */
#include "controller/daemon/api_json.h"
#include "controller/daemon/api_routes.h"
#include "controller/daemon/rollover_ask.h"
#include "controller/daemon/rollovers.h"
#include "controller/daemon/state.h"

static void answer_waiting(void *ctx, const struct api_result *result)
{
	struct api_call *call = ctx;
	if (result->code < 0)
		api_refuse_why(call, &result->why);
	else
		api_waits(call, &result->approval);
}

static void answer_rollover(void *ctx, const struct api_result *result)
{
	struct api_call *call = ctx;
	if (result->code < 0)
		api_refuse_why(call, &result->why);
	else
		api_finish(call, 200, rollovers_json(call->ctl, call->params[0], call->now_at));
}

void api_rollover_show(struct api_call *call)
{
	json_t *o = rollovers_json(call->ctl, call->params[0], call->now_at);
	if (o == NULL)
		api_refuse(call, E_NOT_FOUND, call->params[0], "this CA was never asked to give way");
	else
		api_finish(call, 200, o);
}

void api_rollover_begin(struct api_call *call)
{
	bool emergency = false;
	int  r = api_body(call);
	if (r == 0)
		r = api_field_bool(call, "emergency", false, &emergency);
	if (r < 0)
		api_refuse_why(call, &call->why);
	else
		rollover_ask_begin(call->ctl, call->params[0], emergency, &call->caller, answer_waiting, call);
}

static void order(struct api_call *call, enum rollover_event_kind kind)
{
	if (api_body(call) < 0)
		api_refuse_why(call, &call->why);
	else
		rollovers_order(call->ctl, call->params[0], kind, &call->caller, answer_rollover, call);
}

void api_rollover_advance(struct api_call *call)
{
	order(call, ROLLOVER_EV_ADVANCE);
}

void api_rollover_rollback(struct api_call *call)
{
	order(call, ROLLOVER_EV_ROLLBACK);
}

void api_rollover_retire(struct api_call *call)
{
	bool override = false;
	int  r = api_body(call);
	if (r == 0)
		r = api_field_bool(call, "override", false, &override);
	json_t *consumers = r == 0 ? json_object_get(call->body, "consumers") : NULL;
	if (r == 0)
		r = rollover_consumers_check(consumers, &call->why);
	if (r < 0)
		api_refuse_why(call, &call->why);
	else
		rollover_ask_retire(call->ctl, call->params[0], consumers, override, &call->caller, answer_waiting, call);
}

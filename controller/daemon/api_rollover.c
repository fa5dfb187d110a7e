/* api_rollover.c - room controller/daemon: routes of authorities that give way.
 * Never: deciding; that is rollovers.h and rollover_ask.h. */
#include <stdio.h>

#include "controller/daemon/api_json.h"
#include "controller/daemon/api_routes.h"
#include "controller/daemon/catalog.h"
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

/* While a request waits, whoever asks how far it is or wants to go on hears of that; who wants to go on, that it is not missing
 * but waits. */
static void refuse_order(struct api_call *call, const struct refusal *why, int waiting_code)
{
	char      id[ID_TEXT_SIZE], cause[CAUSE_SIZE];
	struct id waits;
	bool      before = why->code == E_NOT_FOUND || why->code == E_ROLLOVER_STATE;
	if (before && rollover_ask_waits(call->ctl, call->params[0], &waits)) {
		(void)snprintf(cause, sizeof(cause), "a second person has to agree first: `vccctl approval show %s`", id_text(waits, id));
		api_refuse(call, waiting_code, call->params[0], cause);
	} else {
		call->why = *why;
		api_refuse_why(call, &call->why);
	}
}

/* With the request that waits about it. */
static json_t *shown(struct api_call *call)
{
	struct id waits;
	json_t   *o = rollovers_json(call->ctl, call->params[0], call->now_at);
	if (o != NULL)
		json_object_set_new(o, "waiting", rollover_ask_waits(call->ctl, call->params[0], &waits) ? json_id(waits) : json_null());
	return o;
}

static void answer_rollover(void *ctx, const struct api_result *result)
{
	struct api_call *call = ctx;
	if (result->code < 0)
		refuse_order(call, &result->why, E_ROLLOVER_OPEN);
	else
		api_finish(call, 200, shown(call));
}

/* A name that means nothing is told apart from a CA that was never asked. */
static bool is_known(struct api_call *call)
{
	if (catalog_issuer(call->ctl->catalog, call->params[0]) != NULL)
		return true;
	api_refuse(call, E_NOT_FOUND, call->params[0], "there is no such CA; `vccctl ca list` shows them");
	return false;
}

void api_rollover_show(struct api_call *call)
{
	struct refusal why;
	if (!is_known(call))
		return;
	json_t *o = shown(call);
	if (o == NULL) {
		refuse(&why, E_NOT_FOUND, call->params[0], "it was not begun; `vccctl ca rollover CA --reason TEXT` asks a second person");
		refuse_order(call, &why, E_NOT_FOUND);
	} else {
		api_finish(call, 200, o);
	}
}

void api_rollover_begin(struct api_call *call)
{
	bool emergency = false;
	if (!is_known(call))
		return;
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
	if (!is_known(call))
		return;
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
	if (!is_known(call))
		return;
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

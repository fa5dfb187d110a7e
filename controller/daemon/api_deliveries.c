/* api_deliveries.c - room controller/daemon: the routes of channels and of what is on its way to them.
 * Never: a secret of a channel, what a receiver answered beyond its status. */
#include <stdlib.h>

#include "controller/daemon/api_json.h"
#include "controller/daemon/api_routes.h"
#include "controller/daemon/commit.h"
#include "controller/daemon/deliveries.h"
#include "controller/daemon/notice_json.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"

/* ---- deliveries -------------------------------------------------------------------------------------------------- */

static const char *state_word(unsigned v)
{
	return delivery_state_name((enum delivery_state)v);
}

int api_delivery_list(struct api_call *call, struct store_view *view)
{
	char                   text[API_PARAM_SIZE], last[24];
	struct delivery_filter f = {.channel = api_arg(call, "channel")};
	int64_t                before = INT64_MAX;
	size_t                 limit, n = 0;
	int                    r = api_arg_limit(call, &limit);
	if (r == 0)
		r = api_arg_cursor(call, text, sizeof(text));
	if (r == 0 && text[0] != '\0' && text_i64(text, 1, INT64_MAX, &before) < 0)
		r = refuse(&call->why, E_API_BODY, "cursor", "this is not a cursor of ours");
	if (r == 0)
		r = api_arg_word(call, "state", state_word, DELIVERY_STATE_COUNT, &f.state);
	if (r < 0)
		return r;
	struct delivery *rows = calloc(limit, sizeof(*rows));
	if (rows == NULL)
		return E_NOMEM;
	r = view_deliveries(view, &f, before == INT64_MAX ? UINT64_MAX : (uint64_t)before, rows, limit, &n);
	if (r == 0) {
		json_t *items = json_array();
		for (size_t i = 0; i < n; i++)
			json_array_append_new(items, json_delivery(&rows[i]));
		if (n == limit)
			snprintf(last, sizeof(last), "%llu", (unsigned long long)rows[n - 1].seq);
		call->answer = api_page(call, items, n == limit ? last : NULL);
	}
	free(rows);
	return r;
}

/* ---- channels ---------------------------------------------------------------------------------------------------- */

static json_t *channel_json(const struct channel_state *s)
{
	const struct channel_conf *c = &s->ch->conf;
	bool                       broken = s->ch->problem.code != 0;
	int                        code = broken ? s->ch->problem.code : s->code;
	json_t                    *o = json_object();
	json_object_set_new(o, "channel", json_string(c->name));
	json_object_set_new(o, "kind",
			    c->url[0] != '\0' ? json_string(channel_kind_name((enum channel_kind)c->kind)) : json_null());
	json_object_set_new(o, "level",
			    c->at_least < NOTICE_LEVEL_COUNT ? json_string(notice_level_name((enum notice_level)c->at_least))
							     : json_null());
	json_object_set_new(o, "services", json_comma_list(c->services));
	json_object_set_new(o, "events", json_comma_list(c->events));
	json_object_set_new(o, "escalation", json_boolean(c->escalation));
	json_object_set_new(o, "quiet", c->quiet[0] != '\0' ? json_string(c->quiet) : json_null());
	json_object_set_new(o, "busy", json_boolean(s->busy));
	json_object_set_new(o, "sent", json_integer((json_int_t)s->sent));
	json_object_set_new(o, "failed", json_integer((json_int_t)s->failed));
	json_object_set_new(o, "given_up", json_integer((json_int_t)s->dead));
	json_object_set_new(o, "sent_at", json_time(s->sent_at));
	json_object_set_new(o, "failed_at", json_time(s->failed_at));
	json_object_set_new(o, "code", json_code(code));
	json_object_set_new(o, "error", code != 0 ? json_string(broken ? s->ch->problem.cause : s->cause) : json_null());
	return o;
}

void api_channel_list(struct api_call *call)
{
	struct channel_state state[CHANNELS_MAX];
	char                 after[API_PARAM_SIZE];
	size_t               limit, n = deliveries_state(call->ctl->deliveries, state);
	json_t              *items = json_array();
	int                  r = api_arg_limit(call, &limit);
	if (r == 0)
		r = api_arg_cursor(call, after, sizeof(after)); /* there is one page: no cursor is ours */
	if (r < 0) {
		json_decref(items);
		api_refuse_why(call, &call->why);
		return;
	}
	for (size_t i = 0; i < n; i++)
		json_array_append_new(items, channel_json(&state[i]));
	api_finish(call, 200, api_page(call, items, NULL));
}

/* ---- a test ------------------------------------------------------------------------------------------------------ */

static void tested(void *ctx, const struct outbound_result *result)
{
	struct api_call *call = ctx;
	json_t          *o = json_object();
	json_object_set_new(o, "channel", json_string(json_string_value(json_object_get(call->body, "channel"))));
	json_object_set_new(o, "delivered", json_boolean(result->code == 0));
	json_object_set_new(o, "code", json_code(result->code));
	json_object_set_new(o, "error",
			    result->code != 0 ? json_sprintf("%s: %s", err_what(result->code), result->cause) : json_null());
	json_object_set_new(o, "next", result->code != 0 ? json_string(err_next(result->code)) : json_null());
	json_object_set_new(o, "took_ms", json_integer((json_int_t)result->took_ms));
	api_finish(call, 200, o);
}

static void recorded(struct controller *ctl, void *ctx, int code, const struct store_result *result)
{
	struct api_call *call = ctx;
	const char      *channel = json_string_value(json_object_get(call->body, "channel"));
	(void)result;
	if (code < 0)
		api_refuse(call, code, channel, err_what(code));
	else if (deliveries_test(ctl, channel, tested, call, &call->why) < 0)
		api_refuse_why(call, &call->why);
}

void api_channel_test(struct api_call *call)
{
	char name[CHANNEL_NAME_SIZE];
	int  r = api_body(call);
	if (r == 0)
		r = api_field_text(call, "channel", NULL, name, sizeof(name));
	if (r == 0 && channels_find(deliveries_channels(call->ctl->deliveries), name) == NULL)
		r = refuse(&call->why, E_NOTIFY_CHANNEL, name, "%s", err_what(E_NOTIFY_CHANNEL));
	if (r < 0) {
		api_refuse_why(call, &call->why);
		return;
	}
	struct commit  *c = commit_new(call->ctl);
	struct audit_of of = {.event = AUDIT_NOTIFICATION_TESTED,
			      .actor = call->caller.actor,
			      .object = name,
			      .request_id = call->caller.request_id,
			      .reason = call->caller.reason};
	commit_audit(c, &of, NULL);
	commit_now(c, recorded, call);
}

/* api_deliveries.c - room controller/daemon: the routes of channels and of what is on its way to them.
 * Never: a secret of a channel, what a receiver answered beyond its status. */
#include <stdlib.h>

#include "controller/daemon/api_json.h"
#include "controller/daemon/api_routes.h"
#include "controller/daemon/commit.h"
#include "controller/daemon/conf_reload.h"
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

/* ---- once more --------------------------------------------------------------------------------------------------- */

enum { RETRY_PAGE = 100 };

struct retried {
	struct api_call *call;
	size_t           queued, skipped;
	char             next[24]; /* "" = that was all */
};

static void on_retried(struct controller *ctl, void *ctx, int code, const struct store_result *result)
{
	struct retried *t = ctx;
	(void)ctl;
	(void)result;
	if (code < 0)
		api_refuse(t->call, code, "notifications", err_what(code));
	else
		api_finish(t->call, 200,
			   json_pack("{s:I,s:I,s:s?}", "queued", (json_int_t)t->queued, "skipped", (json_int_t)t->skipped, "next_cursor",
				     t->next[0] != '\0' ? t->next : NULL));
	free(t);
}

/* A message of its own: what was in the one that was given up may have had a part in that. */
static void queue_again(struct commit *c, const struct delivery *dead, int64_t now)
{
	struct delivery d = *dead;
	d.state = DELIVERY_WAITING;
	d.held = false;
	d.message_id = (struct id){{0}};
	d.attempts = 0;
	d.due_at = now;
	d.ended_at = 0;
	store_put_delivery(commit_change(c), &d);
}

static void retry(struct api_call *call, const char *object, const struct delivery *rows, size_t n)
{
	const struct channels *channels = deliveries_channels(call->ctl->deliveries);
	struct retried        *t = calloc(1, sizeof(*t));
	struct commit         *c = commit_new(call->ctl);
	if (t == NULL)
		abort();
	t->call = call;
	for (size_t i = 0; i < n; i++) {
		bool known = channels_find(channels, rows[i].channel) != NULL;
		t->queued += known;
		t->skipped += !known;
		if (known)
			queue_again(c, &rows[i], call->now_at);
	}
	if (n == RETRY_PAGE)
		snprintf(t->next, sizeof(t->next), "%llu", (unsigned long long)rows[n - 1].seq);
	struct audit_of of = {.event = AUDIT_NOTIFICATION_RETRIED,
			      .actor = call->caller.actor,
			      .object = object,
			      .request_id = call->caller.request_id,
			      .reason = call->caller.reason};
	commit_audit(c, &of, "{s:I}", "deliveries", (json_int_t)t->queued);
	commit_now(c, on_retried, t);
}

/* Of one notification, or "" = all. */
static int retry_body(struct api_call *call, char text[ID_TEXT_SIZE], struct id *ret_id, uint64_t *ret_before)
{
	char    cursor[24] = "";
	bool    dead = false;
	int64_t before = INT64_MAX;
	int     r = api_body(call);
	if (r == 0)
		r = api_field_text(call, "notification_id", "", text, ID_TEXT_SIZE);
	if (r == 0)
		r = api_field_bool(call, "dead", false, &dead);
	if (r == 0)
		r = api_field_text(call, "cursor", "", cursor, sizeof(cursor));
	if (r == 0 && (text[0] != '\0') == dead)
		r = refuse(&call->why, E_API_BODY, "notification_id", "give it, or `dead`");
	if (r == 0 && !dead && id_parse(text, ret_id) < 0)
		r = refuse(&call->why, E_NOT_FOUND, text, "there is no such notification");
	if (r == 0 && cursor[0] != '\0' && text_i64(cursor, 1, INT64_MAX, &before) < 0)
		r = refuse(&call->why, E_API_BODY, "cursor", "this is not a cursor of ours");
	*ret_before = before == INT64_MAX ? UINT64_MAX : (uint64_t)before;
	return r;
}

void api_delivery_retry(struct api_call *call)
{
	char                   text[ID_TEXT_SIZE] = "";
	struct id              id = {{0}};
	struct delivery_filter f = {.state = DELIVERY_DEAD};
	struct delivery       *rows = calloc(RETRY_PAGE, sizeof(*rows));
	uint64_t               before = 0;
	size_t                 n = 0;
	if (rows == NULL)
		abort();
	int r = retry_body(call, text, &id, &before);
	f.notice_id = text[0] != '\0' ? &id : NULL;
	if (r == 0 && (r = view_deliveries(controller_view(call->ctl), &f, before, rows, RETRY_PAGE, &n)) < 0)
		r = refuse(&call->why, r, "notifications", "%s", err_what(r));
	if (r == 0 && n == 0 && before == UINT64_MAX)
		r = refuse(&call->why, E_NOTIFY_NOT_DEAD, text[0] != '\0' ? text : "notifications", "%s", err_what(E_NOTIFY_NOT_DEAD));
	if (r < 0)
		api_refuse_why(call, &call->why);
	else
		retry(call, text[0] != '\0' ? text : "all", rows, n);
	free(rows);
}

/* ---- channels ---------------------------------------------------------------------------------------------------- */

static json_t *channel_json(const struct channel_state *s, const struct conf_reading *reading)
{
	const struct channel_conf *c = &s->ch->conf;
	bool                       broken = s->ch->problem.code != 0;
	int                        code = broken ? s->ch->problem.code : s->code;
	json_t                    *o = json_object();
	char                       refused[640];
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
	json_object_set_new(o, "read_at", json_time(reading->well_at));
	json_object_set_new(o, "reload_error", reading->well ? json_null() : json_string(refusal_text(&reading->why, refused, sizeof(refused))));
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
		json_array_append_new(items, channel_json(&state[i], conf_reading(call->ctl)));
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

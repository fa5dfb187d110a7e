/* api_notices.c - room controller/daemon: the routes of what people have to be told; one of them takes a matter over.
 * Never: telling, ending anything. */
#include <stdlib.h>

#include "controller/daemon/api_json.h"
#include "controller/daemon/api_routes.h"
#include "controller/daemon/commit.h"
#include "controller/daemon/notice_json.h"
#include "shared/base/text.h"
#include "shared/base/times.h"

/* What is about no single service is for those who see all of them. */
static bool is_visible(const struct api_call *call, const struct notice *n)
{
	return !rights_limited(&call->principal) || (n->service[0] != '\0' && rights_service(&call->principal, n->service));
}

static const char *level_name(unsigned v)
{
	return notice_level_name((enum notice_level)v);
}

static const char *state_name(unsigned v)
{
	return notice_state_name((enum notice_state)v);
}

int api_notice_list(struct api_call *call, struct store_view *view)
{
	char                 text[API_PARAM_SIZE], last[ID_TEXT_SIZE];
	struct notice_filter f = {.service = api_arg(call, "service")};
	struct id            before = {{0}};
	size_t               limit, n = 0;
	int                  r = api_arg_limit(call, &limit);
	if (r == 0)
		r = api_arg_cursor(call, text, sizeof(text));
	if (r == 0 && text[0] != '\0' && id_parse(text, &before) < 0)
		r = refuse(&call->why, E_API_BODY, "cursor", "this is not a cursor of ours");
	if (r == 0)
		r = api_arg_word(call, "level", level_name, NOTICE_LEVEL_COUNT, &f.level);
	if (r == 0)
		r = api_arg_word(call, "state", state_name, NOTICE_STATE_COUNT, &f.state);
	if (r < 0)
		return r;
	struct notice *rows = calloc(limit, sizeof(*rows));
	if (rows == NULL)
		return E_NOMEM;
	r = view_notices(view, &f, before, rows, limit, &n);
	if (r == 0) {
		json_t *items = json_array();
		for (size_t i = 0; i < n; i++)
			if (is_visible(call, &rows[i]))
				json_array_append_new(items, json_notice(&rows[i]));
		call->answer = api_page(call, items, n == limit ? id_text(rows[n - 1].notice_id, last) : NULL);
	}
	free(rows);
	return r;
}

/* ---- one of them ------------------------------------------------------------------------------------------------- */

static int notice_of_call(struct api_call *call, struct store_view *view, struct notice *ret)
{
	struct id id;
	int       r = id_parse(call->params[0], &id) < 0 ? E_NOT_FOUND : view_notice(view, id, ret);
	if (r == 0 && !is_visible(call, ret))
		r = E_NOT_FOUND;
	return r < 0 ? refuse(&call->why, r, call->params[0], "there is no such notification") : 0;
}

int api_notice_show(struct api_call *call, struct store_view *view)
{
	struct notice n;
	int           r = notice_of_call(call, view, &n);
	if (r == 0)
		call->answer = json_notice(&n);
	return r;
}

static void changed(struct controller *ctl, void *ctx, int code, const struct store_result *result)
{
	struct api_call *call = ctx;
	struct notice    n;
	(void)result;
	if (code < 0)
		api_refuse(call, code, call->params[0], err_what(code));
	else if (notice_of_call(call, controller_view(ctl), &n) < 0)
		api_refuse_why(call, &call->why);
	else
		api_finish(call, 200, json_notice(&n));
}

static struct audit_of record_of(const struct api_call *call, enum audit_event event)
{
	return (struct audit_of){.event = event,
				 .actor = call->caller.actor,
				 .object = call->params[0],
				 .request_id = call->caller.request_id,
				 .reason = call->caller.reason};
}

void api_notice_ack(struct api_call *call)
{
	struct notice n;
	int           r = notice_of_call(call, controller_view(call->ctl), &n);
	if (r == 0)
		r = api_body(call);
	if (r < 0) {
		api_refuse_why(call, &call->why);
		return;
	}
	struct commit  *c = commit_new(call->ctl);
	struct audit_of of = record_of(call, AUDIT_NOTIFICATION_ACKED);
	store_ack_notice(commit_change(c), n.notice_id, call->now_at);
	commit_audit(c, &of, "{s:s,s:s}", "event", notice_event_name(n.event), "object", n.object);
	commit_now(c, changed, call);
}

void api_notice_snooze(struct api_call *call)
{
	struct notice n;
	char          text[TIME_TEXT_SIZE], until[TIME_TEXT_SIZE];
	int64_t       ms = 0;
	int           r = notice_of_call(call, controller_view(call->ctl), &n);
	if (r == 0)
		r = api_body(call);
	if (r == 0)
		r = api_field_text(call, "for", NULL, text, sizeof(text));
	if (r == 0 && (duration_parse(text, &ms) < 0 || ms > 30 * MS_DAY))
		r = refuse(&call->why, E_API_BODY, "for", "it has to be a duration like 4h, at most 30d");
	if (r < 0) {
		api_refuse_why(call, &call->why);
		return;
	}
	struct commit  *c = commit_new(call->ctl);
	struct audit_of of = record_of(call, AUDIT_NOTIFICATION_SNOOZED);
	store_snooze_notice(commit_change(c), n.notice_id, call->now_at + ms);
	commit_audit(c, &of, "{s:s,s:s,s:s}", "event", notice_event_name(n.event), "object", n.object, "until", time_text(call->now_at + ms, until));
	commit_now(c, changed, call);
}

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

static bool may_read_trail(const struct api_call *call)
{
	return rights_allow(&call->principal, PERM_AUDIT_READ) && !rights_limited(&call->principal);
}

/* Who has taken it over, by the trail: told to whoever may read that. "" = nobody, or the trail does not know. */
static int taken_by(const struct api_call *call, struct store_view *view, const struct notice *n, char ret[ACTOR_SIZE])
{
	char                id[ID_TEXT_SIZE];
	struct audit_filter f = {.object = id_text(n->notice_id, id), .event = AUDIT_NOTIFICATION_ACKED};
	struct audit        last;
	struct audit_person p;
	uint64_t            next;
	size_t              rows = 0;
	ret[0] = '\0';
	if (n->acked_at == 0 || !may_read_trail(call))
		return 0;
	int r = view_audit_list(view, &f, UINT64_MAX, &last, 1, &rows, &next);
	if (r < 0 || rows == 0)
		return r;
	text_cut(ret, ACTOR_SIZE, last.actor);
	if (!audit_is_alias(last.actor))
		return 0;
	r = view_audit_person_by_alias(view, last.actor, &p);
	text_cut(ret, ACTOR_SIZE, r == 0 ? p.name : "redacted"); /* of a person who was forgotten no name is left */
	return r == E_NOT_FOUND ? 0 : r;
}

/* A notice as the API shows it: also who has it, and what became of its messages. */
static int shown(const struct api_call *call, struct store_view *view, const struct notice *n, json_t **ret)
{
	char                   actor[ACTOR_SIZE];
	uint64_t               all = 0, sent = 0;
	struct delivery_filter f = {.state = -1, .notice_id = &n->notice_id};
	int                    r = taken_by(call, view, n, actor);
	if (r == 0)
		r = view_deliveries_count(view, &f, &all);
	f.state = DELIVERY_SENT;
	if (r == 0 && all > 0)
		r = view_deliveries_count(view, &f, &sent);
	if (r < 0)
		return r;
	json_t *o = json_notice(n);
	json_object_set_new(o, "standing", json_string(notice_standing_name(notice_standing(n, call->now_at))));
	json_object_set_new(o, "acknowledged_by", actor[0] != '\0' ? json_string(actor) : json_null());
	json_object_set_new(o, "messages", json_integer((json_int_t)all));
	json_object_set_new(o, "delivered", json_integer((json_int_t)sent));
	*ret = o;
	return 0;
}

static int add_shown(struct api_call *call, struct store_view *view, const struct notice *rows, size_t n, json_t *items)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < n; i++) {
		json_t *o = NULL;
		if (!is_visible(call, &rows[i]))
			continue;
		r = shown(call, view, &rows[i], &o);
		if (r == 0)
			json_array_append_new(items, o);
	}
	return r;
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
		r = add_shown(call, view, rows, n, items);
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
	return r == 0 ? shown(call, view, &n, &call->answer) : r;
}

static void changed(struct controller *ctl, void *ctx, int code, const struct store_result *result)
{
	struct api_call *call = ctx;
	struct notice    n;
	json_t          *o = NULL;
	(void)result;
	if (code < 0)
		api_refuse(call, code, call->params[0], err_what(code));
	else if (notice_of_call(call, controller_view(ctl), &n) < 0)
		api_refuse_why(call, &call->why);
	else if ((code = shown(call, controller_view(ctl), &n, &o)) < 0)
		api_refuse(call, code, call->params[0], "it is done, but cannot be shown now");
	else
		api_finish(call, 200, o);
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

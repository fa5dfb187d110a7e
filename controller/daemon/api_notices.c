/* api_notices.c - room controller/daemon: the route of what people have to be told.
 * Never: telling, ending anything. */
#include <stdlib.h>

#include "controller/daemon/api_json.h"
#include "controller/daemon/api_routes.h"
#include "shared/base/text.h"

static json_t *json_notice(const struct notice *n)
{
	json_t *o = json_object(), *detail = n->detail[0] != '\0' ? json_loads(n->detail, JSON_REJECT_DUPLICATES, NULL) : NULL;
	json_object_set_new(o, "notification_id", json_id(n->notice_id));
	json_object_set_new(o, "at", json_time(n->at));
	json_object_set_new(o, "level", json_string(notice_level_name(n->level)));
	json_object_set_new(o, "event", json_string(notice_event_name(n->event)));
	json_object_set_new(o, "state", json_string(notice_state_name(n->state)));
	json_object_set_new(o, "key", n->key[0] != '\0' ? json_string(n->key) : json_null());
	json_object_set_new(o, "service", n->service[0] != '\0' ? json_string(n->service) : json_null());
	json_object_set_new(o, "object", json_string(n->object));
	json_object_set_new(o, "renewal_id", json_id(n->renewal_id));
	json_object_set_new(o, "code", json_code(n->code));
	json_object_set_new(o, "error", n->code != 0 ? json_string(err_what(n->code)) : json_null());
	json_object_set_new(o, "recipients", json_comma_list(n->recipients));
	json_object_set_new(o, "detail", detail != NULL ? detail : json_null());
	json_object_set_new(o, "count", json_integer(n->count));
	json_object_set_new(o, "last_at", json_time(n->last_at));
	json_object_set_new(o, "closed_at", json_time(n->closed_at));
	return o;
}

/* What is about no single service is for those who see all of them. */
static bool is_visible(const struct api_call *call, const struct notice *n)
{
	return !rights_limited(&call->principal) || (n->service[0] != '\0' && rights_service(&call->principal, n->service));
}

typedef const char *name_fn(unsigned v);

static const char *level_name(unsigned v)
{
	return notice_level_name((enum notice_level)v);
}

static const char *state_name(unsigned v)
{
	return notice_state_name((enum notice_state)v);
}

static int arg_name(struct api_call *call, const char *arg, name_fn *name, int values, int *ret)
{
	const char *text = api_arg(call, arg);
	*ret = -1;
	for (int i = 0; text != NULL && i < values; i++)
		if (text_equal(text, name((unsigned)i)))
			*ret = i;
	return text == NULL || *ret >= 0 ? 0 : refuse(&call->why, E_API_BODY, arg, "`%s` is none of its values", text);
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
		r = arg_name(call, "level", level_name, NOTICE_LEVEL_COUNT, &f.level);
	if (r == 0)
		r = arg_name(call, "state", state_name, NOTICE_STATE_COUNT, &f.state);
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

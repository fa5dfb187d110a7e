/* api_exceptions.c - room controller/daemon: routes of exceptions to compliance rules.
 * Never: storing them; that is exceptions.h. */
#include <stdlib.h>
#include <string.h>

#include "controller/daemon/api_json.h"
#include "controller/daemon/api_routes.h"
#include "controller/daemon/exceptions.h"
#include "shared/base/text.h"
#include "shared/base/times.h"

static json_t *row_json(const struct compliance_exception *e, const char *source, int64_t now)
{
	return json_pack("{s:s,s:s,s:s,s:s,s:o,s:b,s:s}", "rule", e->rule, "template_id", e->template_id, "owner", e->owner, "reason", e->reason,
			 "until", json_time(e->until_at), "in_force", now < e->until_at, "source", source);
}

int api_exception_list(struct api_call *call, struct store_view *view)
{
	const struct rule_book *book = controller_rule_book(call->ctl);
	struct exception_list  *own = calloc(1, sizeof(*own));
	int                     r = own != NULL ? exceptions_read(view, own) : E_NOMEM;
	if (r == 0) {
		json_t *items = json_array();
		for (size_t i = 0; i < own->n; i++)
			json_array_append_new(items, row_json(&own->row[i], "own", call->now_at));
		for (size_t i = 0; i < book->n_exceptions; i++)
			json_array_append_new(items, row_json(&book->exception[i], "rules", call->now_at));
		call->answer = json_pack("{s:o}", "exceptions", items);
	}
	free(own);
	return r;
}

/* What was put, for its answer. */
struct wanted {
	struct api_call            *call;
	struct compliance_exception e;
};

static void put_done(void *ctx, const struct api_result *result)
{
	struct wanted *w = ctx;
	if (result->code < 0)
		api_refuse_why(w->call, &result->why);
	else
		api_finish(w->call, 200, row_json(&w->e, "own", w->call->now_at));
	free(w);
}

static int take_until(struct api_call *call, struct compliance_exception *e)
{
	char text[TIME_TEXT_SIZE];
	int  r = api_field_text(call, "until", "", text, sizeof(text));
	if (r < 0 || text[0] == '\0')
		return r; /* null: it ends */
	if (time_parse(text, &e->until_at) < 0)
		return refuse(&call->why, E_API_BODY, "until", "must be a time like 2026-01-02T03:04:05Z");
	if (e->until_at <= call->now_at || e->until_at > call->now_at + EXCEPTION_DAYS_MAX * MS_DAY)
		return refuse(&call->why, E_API_BODY, "until", "must lie ahead, at most two years");
	return api_field_text(call, "owner", NULL, e->owner, sizeof(e->owner));
}

static int take_exception(struct api_call *call, struct compliance_exception *e)
{
	struct template t;
	int             r = api_body(call);
	if (r == 0)
		r = api_field_text(call, "rule", NULL, e->rule, sizeof(e->rule));
	if (r == 0)
		r = api_field_text(call, "template_id", NULL, e->template_id, sizeof(e->template_id));
	if (r == 0)
		r = api_field_text(call, "reason", NULL, e->reason, sizeof(e->reason));
	if (r == 0 && e->reason[0] == '\0')
		r = refuse(&call->why, E_API_BODY, "reason", "must not be empty");
	if (r == 0)
		r = take_until(call, e);
	const struct compliance_rule *rule = r == 0 ? rule_book_find(controller_rule_book(call->ctl), e->rule) : NULL;
	if (r == 0 && (rule == NULL || rule->check->of_cert == NULL))
		r = refuse(&call->why, E_REPORT_EXCEPTION, e->rule, "this is no rule about certificates");
	if (r == 0 && e->until_at != 0 && (e->owner[0] == '\0' || strchr(e->owner, '@') != NULL))
		r = refuse(&call->why, E_API_BODY, "owner", "must be a role, and no mail address");
	if (r == 0 && e->until_at != 0 && view_template(controller_view(call->ctl), e->template_id, 0, &t) < 0)
		r = refuse(&call->why, E_NOT_FOUND, e->template_id, "there is no such template");
	return r;
}

void api_exception_put(struct api_call *call)
{
	struct wanted *w = calloc(1, sizeof(*w));
	int            r = w != NULL ? take_exception(call, &w->e) : refuse(&call->why, E_NOMEM, "exception", "no memory");
	if (r < 0) {
		free(w);
		api_refuse_why(call, &call->why);
		return;
	}
	w->call = call;
	exceptions_put(call->ctl, &w->e, &call->caller, put_done, w);
}

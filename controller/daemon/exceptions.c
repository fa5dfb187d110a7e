/* exceptions.c - room controller/daemon: exceptions to compliance rules that people made: one setting of the store, changed by one at a time.
 * Never: judging. */
#include "controller/daemon/exceptions.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "controller/daemon/answer.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/base/times.h"

static const char setting[] = "compliance_exceptions";
enum { LIST_MAX = 65536 };

/* ---- as it is stored --------------------------------------------------------------------------------------------- */

static bool get_text(const json_t *o, const char *name, char *to, size_t size)
{
	const char *text = json_string_value(json_object_get(o, name));
	return text != NULL && text_copy(to, size, text) == 0;
}

static int parse(struct span text, struct exception_list *ret)
{
	json_t       *list = json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, NULL);
	const json_t *o;
	size_t        i;
	int           r = json_is_array(list) && json_array_size(list) <= EXCEPTIONS_OWN_MAX ? 0 : E_STORE_DAMAGED;
	ret->n = 0;
	json_array_foreach(list, i, o)
	{
		struct compliance_exception *e = &ret->row[ret->n];
		if (r < 0)
			break;
		e->until_at = json_integer_value(json_object_get(o, "until_at"));
		if (!get_text(o, "rule", e->rule, sizeof(e->rule)) || !get_text(o, "template_id", e->template_id, sizeof(e->template_id)) ||
		    !get_text(o, "owner", e->owner, sizeof(e->owner)) || !get_text(o, "reason", e->reason, sizeof(e->reason)))
			r = E_STORE_DAMAGED;
		ret->n++;
	}
	json_decref(list);
	return r;
}

int exceptions_read(struct store_view *view, struct exception_list *ret)
{
	struct buf text = BUF_MAX(LIST_MAX);
	int        r = view_setting(view, setting, &text);
	ret->n = 0;
	if (r == 0)
		r = parse(buf_span(&text), ret);
	buf_free(&text);
	return r == E_NOT_FOUND ? 0 : r;
}

static char *written(const struct exception_list *l)
{
	json_t *list = json_array();
	for (size_t i = 0; i < l->n; i++) {
		const struct compliance_exception *e = &l->row[i];
		json_array_append_new(list, json_pack("{s:s,s:s,s:s,s:s,s:I}", "rule", e->rule, "template_id", e->template_id, "owner", e->owner,
						      "reason", e->reason, "until_at", (json_int_t)e->until_at));
	}
	char *text = json_dumps(list, JSON_COMPACT);
	json_decref(list);
	return text;
}

/* ---- a change ---------------------------------------------------------------------------------------------------- */

static int apply(struct exception_list *l, const struct compliance_exception *e)
{
	size_t i = 0;
	while (i < l->n && (!text_equal(l->row[i].rule, e->rule) || !text_equal(l->row[i].template_id, e->template_id)))
		i++;
	if (e->until_at == 0) {
		if (i == l->n)
			return E_NOT_FOUND;
		l->row[i] = l->row[--l->n];
		return 0;
	}
	if (i == EXCEPTIONS_OWN_MAX)
		return E_REPORT_EXCEPTION;
	l->row[i] = *e;
	l->n += i == l->n;
	return 0;
}

static void audit_exception(struct commit *c, const struct compliance_exception *e, const struct caller *who)
{
	char            until[TIME_TEXT_SIZE];
	struct audit_of of = {.event = e->until_at != 0 ? AUDIT_EXCEPTION_MADE : AUDIT_EXCEPTION_ENDED,
			      .actor = who->actor,
			      .object = e->template_id,
			      .request_id = who->request_id,
			      .reason = e->reason};
	if (e->until_at != 0)
		commit_audit(c, &of, "{s:s,s:s,s:s}", "rule", e->rule, "owner", e->owner, "until", time_text(e->until_at, until));
	else
		commit_audit(c, &of, "{s:s}", "rule", e->rule);
}

static void stored(struct controller *ctl, void *ctx, int code, const struct store_result *result)
{
	ctl->exceptions_busy = false;
	answer_stored(ctl, ctx, code, result);
}

void exceptions_put(struct controller *ctl, const struct compliance_exception *e, const struct caller *who, api_done_fn *done, void *ctx)
{
	struct answer         *a = answer_new(done, ctx);
	struct exception_list *l = calloc(1, sizeof(*l));
	char                  *text = NULL;
	int                    r = l == NULL ? E_NOMEM : ctl->exceptions_busy ? E_API_BUSY : exceptions_read(ctl->view, l);
	if (r == 0)
		r = apply(l, e);
	if (r == 0 && ((text = written(l)) == NULL || strlen(text) > LIST_MAX))
		r = text == NULL ? E_NOMEM : E_REPORT_EXCEPTION;
	if (r == 0) {
		struct commit *c = commit_new(ctl);
		store_put_setting(commit_change(c), setting, span_text(text));
		audit_exception(c, e, who);
		ctl->exceptions_busy = true;
		commit_now(c, stored, a);
	} else {
		answer_refuse(a, r, e->rule, r == E_NOT_FOUND ? "nobody made an exception for this rule and template" : NULL);
	}
	free(text);
	free(l);
}

/* restore_mark.c - room controller/daemon: the marks as JSON in settings.
 * Never: deciding what follows. */
#include "controller/daemon/restore_mark.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "shared/base/text.h"

#define SETTING "restore"
#define DRILL   "restore_drill"

enum { MARK_MAX = 1024 };

/* One that is not there is an empty object. */
static int read_setting(struct store_view *view, const char *name, json_t **ret)
{
	_cleanup_(buf_free) struct buf text = BUF_MAX(MARK_MAX);
	int                            r = view_setting(view, name, &text);
	if (r < 0 && r != E_NOT_FOUND)
		return r;
	json_t *o = r == 0 ? json_loadb((const char *)text.p, text.n, 0, NULL) : json_object();
	if (!json_is_object(o)) {
		json_decref(o);
		return E_STORE_DAMAGED;
	}
	*ret = o;
	return 0;
}

/* Takes over `o`. */
static void put_setting(struct store_change *c, const char *name, json_t *o)
{
	char *text = json_dumps(o, JSON_COMPACT);
	if (text == NULL)
		abort();
	store_put_setting(c, name, span_text(text));
	free(text);
	json_decref(o);
}

int drill_mark_read(struct store_view *view, struct drill_mark *ret)
{
	json_t *o = NULL;
	int     r = read_setting(view, DRILL, &o);
	if (r < 0)
		return r;
	*ret = (struct drill_mark){.at = json_integer_value(json_object_get(o, "at")),
				   .made_at = json_integer_value(json_object_get(o, "made_at")),
				   .audit_size = (uint64_t)json_integer_value(json_object_get(o, "audit_size"))};
	json_decref(o);
	return 0;
}

void drill_mark_put(struct store_change *c, const struct drill_mark *m)
{
	put_setting(c, DRILL, json_pack("{s:I,s:I,s:I}", "at", (json_int_t)m->at, "made_at", (json_int_t)m->made_at, "audit_size",
					(json_int_t)m->audit_size));
}

int restore_mark_read(struct store_view *view, struct restore_mark *ret)
{
	struct restore_mark m = {0};
	json_t             *o = NULL;
	int                 r = read_setting(view, SETTING, &o);
	if (r < 0)
		return r;
	m.epoch = (uint64_t)json_integer_value(json_object_get(o, "epoch"));
	m.restored_at = json_integer_value(json_object_get(o, "restored_at"));
	m.made_at = json_integer_value(json_object_get(o, "made_at"));
	m.audit_size = (uint64_t)json_integer_value(json_object_get(o, "audit_size"));
	m.accepted_at = json_integer_value(json_object_get(o, "accepted_at"));
	m.heads_to = (uint64_t)json_integer_value(json_object_get(o, "heads_to"));
	const char *by = json_string_value(json_object_get(o, "accepted_by"));
	text_cut(m.accepted_by, sizeof(m.accepted_by), by != NULL ? by : "");
	json_decref(o);
	*ret = m;
	return 0;
}

void restore_mark_put(struct store_change *c, const struct restore_mark *m)
{
	json_t *o = json_pack("{s:I,s:I,s:I,s:I,s:I,s:s,s:I}", "epoch", (json_int_t)m->epoch, "restored_at", (json_int_t)m->restored_at,
			      "made_at", (json_int_t)m->made_at, "audit_size", (json_int_t)m->audit_size, "accepted_at",
			      (json_int_t)m->accepted_at, "accepted_by", m->accepted_by, "heads_to", (json_int_t)m->heads_to);
	put_setting(c, SETTING, o);
}

/* restore_mark.c - room controller/daemon: the mark as JSON in a setting.
 * Never: deciding what follows. */
#include "controller/daemon/restore_mark.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "shared/base/text.h"

#define SETTING "restore"

enum { MARK_MAX = 1024 };

int restore_mark_read(struct store_view *view, struct restore_mark *ret)
{
	_cleanup_(buf_free) struct buf text = BUF_MAX(MARK_MAX);
	struct restore_mark            m = {0};
	int                            r = view_setting(view, SETTING, &text);
	if (r < 0 && r != E_NOT_FOUND)
		return r;
	json_t *o = r == 0 ? json_loadb((const char *)text.p, text.n, 0, NULL) : json_object();
	if (!json_is_object(o)) {
		json_decref(o);
		return E_STORE_DAMAGED;
	}
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
	char   *text = json_dumps(o, JSON_COMPACT);
	if (text == NULL)
		abort();
	store_put_setting(c, SETTING, span_text(text));
	free(text);
	json_decref(o);
}

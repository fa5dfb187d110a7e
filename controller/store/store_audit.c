/* store_audit.c - room controller/store: audit records as canonical bytes, and their place in the hash tree.
 * Never: signing heads, deciding what is recorded. */
#include <string.h>

#include "controller/store/store_apply.h"

static void canonical_id(struct buf *to, struct id id)
{
	char text[ID_TEXT_SIZE] = "";
	buf_add_fmt(to, "%s\n", id_is_none(id) ? "" : id_text(id, text));
}

void audit_canonical(const struct audit *a, struct buf *to)
{
	buf_add_fmt(to, "%llu\n%lld\n", (unsigned long long)a->seq, (long long)a->at);
	const char *const texts[] = {audit_event_name(a->event), a->actor, a->object};
	for (size_t i = 0; i < N_ELEMENTS(texts); i++) {
		buf_add_text(to, texts[i]);
		buf_add_u8(to, '\n');
	}
	canonical_id(to, a->renewal_id);
	canonical_id(to, a->request_id);
	buf_add_text(to, a->detail);
	buf_add_u8(to, '\n');
}

int audit_append(struct apply *a, struct audit *row)
{
	struct hash        leaf;
	struct merkle_made made[MERKLE_LEVELS];
	row->seq = a->tree.size;
	buf_reset(&a->text);
	audit_canonical(row, &a->text);
	if (buf_error(&a->text) != 0)
		return buf_error(&a->text);
	merkle_leaf(a->hash, a->text.p, a->text.n, &leaf);
	int r = a->rows->ops->add(a->rows, &noun_audit, row);
	if (r < 0)
		return r == E_EXISTS ? E_STORE_DAMAGED : r;

	size_t n = merkle_append(a->hash, &a->tree, &leaf, made);
	for (size_t i = 0; i < n; i++) {
		struct node_row node = {merkle_position(made[i].level, made[i].index), made[i].hash};
		r = a->rows->ops->add(a->rows, &noun_node, &node);
		if (r < 0)
			return r == E_EXISTS ? E_STORE_DAMAGED : r;
	}
	return 0;
}

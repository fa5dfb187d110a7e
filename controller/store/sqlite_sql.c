/* sqlite_sql.c - room controller/store: SQL texts made from the noun tables and from queries.
 * Never: outside text in SQL; values are parameters, and enum names come from our own tables. */
#include "controller/store/sqlite_rows.h"

/* Those that are left out keep their place. */
static void names_of_columns(struct buf *to, const struct noun *noun, uint64_t only)
{
	for (size_t i = 0; i < noun->n_columns; i++) { /* for each query: no formatting */
		if (only != 0 && (only >> i & 1) == 0) {
			buf_add_text(to, i > 0 ? ",NULL" : "NULL");
			continue;
		}
		buf_add_text(to, i > 0 ? ",\"" : "\"");
		buf_add_text(to, noun->column[i].name);
		buf_add_u8(to, '"');
	}
}

static void keys_match(struct buf *to, const struct noun *noun)
{
	buf_add_text(to, " WHERE ");
	for (size_t i = 0; i < noun->n_keys; i++)
		buf_add_fmt(to, "%s\"%s\"=?%zu", i > 0 ? " AND " : "", noun->column[i].name, i + 1);
}

static void insert(struct buf *to, const struct noun *noun)
{
	buf_add_fmt(to, "INSERT INTO %s(", noun->table);
	names_of_columns(to, noun, 0);
	buf_add_text(to, ") VALUES(");
	for (size_t i = 0; i < noun->n_columns; i++)
		buf_add_fmt(to, "%s?%zu", i > 0 ? "," : "", i + 1);
	buf_add_text(to, ")");
}

void sql_verb(struct buf *to, const struct noun *noun, enum sqlite_verb verb)
{
	switch (verb) {
	case SQLITE_VERB_GET:
		buf_add_text(to, "SELECT ");
		names_of_columns(to, noun, 0);
		buf_add_fmt(to, " FROM %s", noun->table);
		keys_match(to, noun);
		break;
	case SQLITE_VERB_ADD:
		insert(to, noun);
		break;
	case SQLITE_VERB_REMOVE:
		buf_add_fmt(to, "DELETE FROM %s", noun->table);
		keys_match(to, noun);
		break;
	case SQLITE_VERB_COUNT:
		break;
	}
}

void sql_update(struct buf *to, const struct noun *noun, uint64_t changed)
{
	const char *between = "";
	buf_add_fmt(to, "UPDATE %s SET ", noun->table);
	for (size_t i = 0; i < noun->n_columns; i++)
		if ((changed >> i & 1) != 0) {
			buf_add_fmt(to, "%s\"%s\"=?%zu", between, noun->column[i].name, i + 1);
			between = ",";
		}
	keys_match(to, noun);
}

static void term(struct buf *to, const struct condition *c)
{
	static const char *const ops[] = {
		[IS] = "=", [IS_NOT] = "<>", [ABOVE] = ">", [BELOW] = "<", [AT_MOST] = "<=", [NONE] = " IS NULL", [SOME] = " IS NOT NULL"};
	buf_add_fmt(to, "\"%s\"%s", c->column->name, ops[c->op]);
	if (c->op == NONE || c->op == SOME)
		return;
	if (c->column->kind == COLUMN_NAME) { /* spelled out, so that partial indexes apply */
		struct column plain = *c->column;
		plain.at = 0;
		struct span name = column_bytes(&plain, c->value);
		buf_add_fmt(to, "'%.*s'", (int)name.n, (const char *)name.p);
		return;
	}
	buf_add_text(to, "?");
}

static void order_by(struct buf *to, const struct query *q)
{
	const char *down = q->down ? " DESC" : "";
	buf_add_text(to, " ORDER BY ");
	if (q->by != NULL)
		buf_add_fmt(to, "\"%s\"%s,", q->by->name, down);
	for (size_t i = 0; i < q->noun->n_keys; i++)
		buf_add_fmt(to, "%s\"%s\"%s", i > 0 ? "," : "", q->noun->column[i].name, down);
	buf_add_text(to, " LIMIT ?");
}

void sql_query(struct buf *to, const struct query *q, bool count)
{
	buf_add_text(to, "SELECT ");
	if (count)
		buf_add_text(to, "count(*)");
	else
		names_of_columns(to, q->noun, q->only);
	buf_add_fmt(to, " FROM %s", q->noun->table);
	bool inside = false; /* a group of alternatives */
	for (size_t i = 0; i < q->n_terms; i++) {
		buf_add_text(to, i == 0 ? " WHERE " : inside ? " OR " : " AND ");
		if (q->term[i].or_next && !inside)
			buf_add_text(to, "(");
		term(to, &q->term[i]);
		if (inside && !q->term[i].or_next)
			buf_add_text(to, ")");
		inside = q->term[i].or_next;
	}
	if (!count)
		order_by(to, q);
}

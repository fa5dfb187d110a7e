/* sqlite_rows.c - room controller/store: rows of nouns in a SQLite connection: bind, step, read.
 * Never: rules, threads, SQL of its own (sqlite_sql.c makes it). */
#include "controller/store/sqlite_rows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/times.h"

int sqlite_code(sqlite3 *db, int rc)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_FULL:
		return E_STORE_FULL;
	case SQLITE_NOMEM:
		return E_NOMEM;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return E_STORE_DAMAGED;
	case SQLITE_CONSTRAINT:
		return rc == SQLITE_CONSTRAINT_PRIMARYKEY || rc == SQLITE_CONSTRAINT_UNIQUE || rc == SQLITE_CONSTRAINT_ROWID
		               ? E_EXISTS
		               : E_INTERNAL;
	case SQLITE_TOOBIG:
	case SQLITE_MISMATCH:
	case SQLITE_MISUSE:
	case SQLITE_RANGE:
		return E_INTERNAL;
	default:
		break;
	}
	int sys = db != NULL ? sqlite3_system_errno(db) : 0;
	return (rc & 0xff) == SQLITE_IOERR && (sys == ENOSPC || sys == EDQUOT) ? E_STORE_FULL : E_STORE_IO;
}

int sqlite_exec(sqlite3 *db, const char *sql)
{
	return sqlite_code(db, sqlite3_exec(db, sql, NULL, NULL, NULL));
}

static size_t noun_index(const struct noun *noun)
{
	for (size_t i = 0; i < NOUN_COUNT; i++)
		if (nouns[i] == noun)
			return i;
	abort();
}

static int prepare(struct sqlite_rows *r, sqlite3_stmt **ret)
{
	buf_add_u8(&r->text, '\0');
	if (buf_error(&r->text) != 0)
		return buf_error(&r->text);
	int rc = sqlite3_prepare_v3(r->db, (const char *)r->text.p, (int)r->text.n, SQLITE_PREPARE_PERSISTENT, ret, NULL);
	if (rc == SQLITE_ERROR) /* a table or column is missing */
		return E_STORE_DAMAGED;
	return sqlite_code(r->db, rc);
}

static int verb_statement(struct sqlite_rows *r, const struct noun *noun, enum sqlite_verb verb, sqlite3_stmt **ret)
{
	sqlite3_stmt **slot = &r->verb[noun_index(noun)][verb];
	if (*slot == NULL) {
		buf_reset(&r->text);
		sql_verb(&r->text, noun, verb);
		int code = prepare(r, slot);
		if (code < 0)
			return code;
	}
	*ret = *slot;
	return 0;
}

int sqlite_rows_prepare_all(struct sqlite_rows *r)
{
	for (size_t i = 0; i < NOUN_COUNT; i++)
		for (int verb = 0; verb < SQLITE_VERB_COUNT; verb++) {
			sqlite3_stmt *stmt;
			int           code = verb_statement(r, nouns[i], (enum sqlite_verb)verb, &stmt);
			if (code < 0)
				return code;
		}
	return 0;
}

/* All that a query's text depends on: without the values, but for those of names. */
static void shape_of(const struct query *q, bool count, struct sqlite_shape *ret)
{
	memset(ret, 0, sizeof(*ret)); /* padding, too: compared as bytes */
	ret->noun = q->noun;
	ret->by = q->by;
	ret->down = q->down;
	ret->count = count;
	ret->only = q->only;
	ret->n_terms = q->n_terms;
	for (size_t i = 0; i < q->n_terms; i++) {
		const struct condition *c = &q->term[i];
		struct column           plain = *c->column;
		plain.at = 0;
		ret->term[i].column = c->column;
		ret->term[i].op = c->op;
		ret->term[i].or_next = c->or_next;
		if (plain.kind == COLUMN_NAME && c->op != NONE && c->op != SOME)
			ret->term[i].name = column_number(&plain, c->value);
	}
}

/* The statement of a query; there are few different ones, the oldest gives way. */
static int find_statement(struct sqlite_rows *r, const struct query *q, bool count, sqlite3_stmt **ret)
{
	struct sqlite_find next;
	shape_of(q, count, &next.shape);
	for (size_t i = 0; i < SQLITE_FINDS && r->find[i].stmt != NULL; i++)
		if (memcmp(&r->find[i].shape, &next.shape, offsetof(struct sqlite_shape, term) + q->n_terms * sizeof(next.shape.term[0])) == 0) {
			*ret = r->find[i].stmt;
			return 0;
		}
	buf_reset(&r->text);
	sql_query(&r->text, q, count);
	int code = prepare(r, &next.stmt);
	if (code < 0)
		return code;
	struct sqlite_find *slot = &r->find[r->find_next];
	sqlite3_finalize(slot->stmt);
	memcpy(slot, &next, sizeof(next));
	r->find_next = (r->find_next + 1) % SQLITE_FINDS;
	*ret = next.stmt;
	return 0;
}

/* Column `c` of `row` as parameter `at`. Bytes stay the caller's during the step. */
static int bind_column(sqlite3_stmt *stmt, int at, const struct column *c, const void *row, bool key)
{
	bool given = c->kind == COLUMN_AUTO && column_number(c, row) == 0; /* by the database */
	if (given || (!key && column_is_none(c, row)))
		return sqlite3_bind_null(stmt, at);
	struct span bytes;
	switch (c->kind) {
	case COLUMN_TEXT:
	case COLUMN_NAME:
		bytes = column_bytes(c, row);
		return sqlite3_bind_text(stmt, at, (const char *)bytes.p, (int)bytes.n, SQLITE_STATIC);
	case COLUMN_FIXED:
	case COLUMN_BYTES:
	case COLUMN_SPAN:
		bytes = column_bytes(c, row);
		return bytes.n == 0 ? sqlite3_bind_zeroblob(stmt, at, 0)
		                    : sqlite3_bind_blob(stmt, at, bytes.p, (int)bytes.n, SQLITE_STATIC);
	default:
		return sqlite3_bind_int64(stmt, at, column_number(c, row));
	}
}

static int read_text(sqlite3_stmt *stmt, int at, const struct column *c, void *row)
{
	const char *text = (const char *)sqlite3_column_text(stmt, at);
	size_t      n = (size_t)sqlite3_column_bytes(stmt, at);
	if (text == NULL)
		return E_NOMEM;
	if (c->kind == COLUMN_NAME)
		return column_set_name(c, row, text, n);
	if (n >= c->size || memchr(text, '\0', n) != NULL)
		return E_STORE_DAMAGED;
	memcpy((uint8_t *)row + c->at, text, n + 1);
	return 0;
}

static int read_blob(sqlite3_stmt *stmt, int at, const struct column *c, void *row)
{
	const void *bytes = sqlite3_column_blob(stmt, at);
	size_t      n = (size_t)sqlite3_column_bytes(stmt, at);
	uint8_t    *to = (uint8_t *)row + c->at;
	if (bytes == NULL && n > 0)
		return E_NOMEM;
	if (c->kind == COLUMN_SPAN) { /* valid until the next step */
		struct span span = {bytes, n};
		memcpy(to, &span, sizeof(span));
		return n <= c->max ? 0 : E_STORE_DAMAGED;
	}
	if (n > c->size || (c->kind == COLUMN_FIXED && n != c->size))
		return E_STORE_DAMAGED;
	if (n > 0)
		memcpy(to, bytes, n);
	if (c->kind == COLUMN_BYTES) {
		uint16_t length = (uint16_t)n;
		memcpy((uint8_t *)row + c->length_at, &length, sizeof(length));
	}
	return 0;
}

static int read_column(sqlite3_stmt *stmt, int at, const struct column *c, void *row)
{
	switch (sqlite3_column_type(stmt, at)) {
	case SQLITE_NULL: /* the row is all zero already */
		return c->kind == COLUMN_DUE ? column_set_number(c, row, TIME_NEVER) : 0;
	case SQLITE_INTEGER:
		return column_set_number(c, row, sqlite3_column_int64(stmt, at));
	case SQLITE_TEXT:
		return read_text(stmt, at, c, row);
	case SQLITE_BLOB:
		return read_blob(stmt, at, c, row);
	default:
		return E_STORE_DAMAGED;
	}
}

static int read_row(sqlite3_stmt *stmt, const struct noun *noun, uint64_t only, void *row)
{
	memset(row, 0, noun->size);
	for (size_t i = 0; i < noun->n_columns; i++) {
		if (only != 0 && (only >> i & 1) == 0)
			continue;
		int code = read_column(stmt, (int)i, &noun->column[i], row);
		if (code < 0)
			return code;
	}
	return 0;
}

static int finish(sqlite3_stmt *stmt, int code)
{
	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
	return code;
}

static int bind_columns(sqlite3 *db, sqlite3_stmt *stmt, const struct noun *noun, size_t n, const void *row)
{
	for (size_t i = 0; i < n; i++) {
		int rc = bind_column(stmt, (int)i + 1, &noun->column[i], row, i < noun->n_keys);
		if (rc != SQLITE_OK)
			return sqlite_code(db, rc);
	}
	return 0;
}

/* ---- one moment for several reads ---- */

static int border(sqlite3_stmt *stmt)
{
	int rc = sqlite3_step(stmt);
	sqlite3_reset(stmt);
	return rc;
}

void sqlite_rows_hold(struct sqlite_rows *r)
{
	r->holds = sqlite3_prepare_v3(r->db, "BEGIN", -1, SQLITE_PREPARE_PERSISTENT, &r->hold_begin, NULL) == SQLITE_OK &&
		   sqlite3_prepare_v3(r->db, "COMMIT", -1, SQLITE_PREPARE_PERSISTENT, &r->hold_end, NULL) == SQLITE_OK;
}

void sqlite_rows_go_on(struct sqlite_rows *r)
{
	if (r->holds && sqlite3_get_autocommit(r->db) == 0)
		(void)border(r->hold_end);
}

/* When it cannot begin, each read shows its own moment. */
static void moment(struct sqlite_rows *r)
{
	if (r->holds && sqlite3_get_autocommit(r->db) != 0)
		(void)border(r->hold_begin);
}

/* ---- rows_ops ---- */

static int sqlite_get(struct rows *base, const struct noun *noun, void *row)
{
	struct sqlite_rows *r = (struct sqlite_rows *)base;
	sqlite3_stmt       *stmt;
	int                 code = verb_statement(r, noun, SQLITE_VERB_GET, &stmt);
	if (code < 0)
		return code;
	code = bind_columns(r->db, stmt, noun, noun->n_keys, row);
	if (code < 0)
		return finish(stmt, code);
	moment(r);
	int rc = sqlite3_step(stmt);
	if (rc == SQLITE_DONE)
		return finish(stmt, E_NOT_FOUND);
	if (rc != SQLITE_ROW)
		return finish(stmt, sqlite_code(r->db, rc));
	code = read_row(stmt, noun, 0, r->row); /* not into `row`: the parameters still point there */
	if (code == 0)
		memcpy(row, r->row, noun->size);
	return finish(stmt, code);
}

/* Terms are bound in order; values are fields of the column's type on their own. */
static int bind_query(sqlite3 *db, sqlite3_stmt *stmt, const struct query *q, bool count)
{
	int at = 1, rc = SQLITE_OK;
	for (size_t i = 0; i < q->n_terms && rc == SQLITE_OK; i++) {
		const struct condition *c = &q->term[i];
		if (c->op == NONE || c->op == SOME || c->column->kind == COLUMN_NAME)
			continue;
		struct column plain = *c->column;
		plain.at = 0;
		if (plain.kind == COLUMN_TEXT) /* may be longer than the field */
			rc = sqlite3_bind_text(stmt, at++, c->value, -1, SQLITE_STATIC);
		else if (plain.kind == COLUMN_UINT && column_number(&plain, c->value) < 0)
			rc = sqlite3_bind_int64(stmt, at++, INT64_MAX);
		else if (plain.kind == COLUMN_FIXED)
			rc = bind_column(stmt, at++, &plain, c->value, true);
		else
			rc = sqlite3_bind_int64(stmt, at++, column_number(&plain, c->value));
	}
	if (rc == SQLITE_OK && !count)
		rc = sqlite3_bind_int64(stmt, at, q->max > INT32_MAX ? INT32_MAX : (int64_t)q->max);
	return sqlite_code(db, rc);
}

static int sqlite_find(struct rows *base, const struct query *q, row_fn *fn, void *ctx)
{
	struct sqlite_rows *r = (struct sqlite_rows *)base;
	sqlite3_stmt       *stmt;
	int                 code = find_statement(r, q, false, &stmt);
	if (code < 0)
		return code;
	code = bind_query(r->db, stmt, q, false);
	if (code < 0)
		return finish(stmt, code);
	int rc = SQLITE_ROW;
	moment(r);
	while (code >= 0 && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		code = read_row(stmt, q->noun, q->only, r->row);
		if (code >= 0)
			code = fn(ctx, r->row);
	}
	return finish(stmt, code < 0 ? code : sqlite_code(r->db, rc));
}

static int sqlite_count(struct rows *base, const struct query *q, uint64_t *ret)
{
	struct sqlite_rows *r = (struct sqlite_rows *)base;
	sqlite3_stmt       *stmt;
	int                 code = find_statement(r, q, true, &stmt);
	if (code < 0)
		return code;
	code = bind_query(r->db, stmt, q, true);
	if (code < 0)
		return finish(stmt, code);
	moment(r);
	int rc = sqlite3_step(stmt);
	if (rc != SQLITE_ROW)
		return finish(stmt, rc == SQLITE_DONE ? E_STORE_DAMAGED : sqlite_code(r->db, rc));
	*ret = (uint64_t)sqlite3_column_int64(stmt, 0);
	return finish(stmt, 0);
}

static int write_row(struct rows *base, const struct noun *noun, const void *row, enum sqlite_verb verb)
{
	struct sqlite_rows *r = (struct sqlite_rows *)base;
	sqlite3_stmt       *stmt;
	if (verb != SQLITE_VERB_REMOVE && !noun_row_ok(noun, row))
		return E_INTERNAL;
	int code = verb_statement(r, noun, verb, &stmt);
	if (code < 0)
		return code;
	code = bind_columns(r->db, stmt, noun, verb == SQLITE_VERB_REMOVE ? noun->n_keys : noun->n_columns, row);
	if (code < 0)
		return finish(stmt, code);
	int rc = sqlite3_step(stmt);
	return finish(stmt, sqlite_code(r->db, rc));
}

static int sqlite_add(struct rows *r, const struct noun *noun, const void *row)
{
	return write_row(r, noun, row, SQLITE_VERB_ADD);
}

/* Is column `at` of the found row what `row` says? */
static bool column_same(sqlite3_stmt *stmt, int at, const struct column *c, const void *row)
{
	struct span bytes;
	switch (sqlite3_column_type(stmt, at)) {
	case SQLITE_NULL:
		return column_is_none(c, row);
	case SQLITE_INTEGER:
		return !column_is_none(c, row) && column_number(c, row) == sqlite3_column_int64(stmt, at);
	case SQLITE_TEXT:
	case SQLITE_BLOB:
		bytes = column_bytes(c, row);
		return !column_is_none(c, row) && bytes.n == (size_t)sqlite3_column_bytes(stmt, at) &&
		       (bytes.n == 0 || memcmp(bytes.p, sqlite3_column_blob(stmt, at), bytes.n) == 0);
	default:
		return false;
	}
}

/* The columns in which the stored row differs; E_NOT_FOUND. `version`: see advance; NULL = whatever it is. */
static int changed_columns(struct sqlite_rows *r, const struct noun *noun, const void *row, const struct column *version, uint64_t *ret)
{
	sqlite3_stmt *stmt;
	uint64_t      changed = 0;
	int           code = verb_statement(r, noun, SQLITE_VERB_GET, &stmt);
	if (code < 0)
		return code;
	code = bind_columns(r->db, stmt, noun, noun->n_keys, row);
	if (code < 0)
		return finish(stmt, code);
	int rc = sqlite3_step(stmt);
	if (rc != SQLITE_ROW)
		return finish(stmt, rc == SQLITE_DONE ? E_NOT_FOUND : sqlite_code(r->db, rc));
	if (version != NULL && sqlite3_column_int64(stmt, (int)(version - noun->column)) + 1 != column_number(version, row))
		return finish(stmt, E_STORE_CONFLICT);
	for (size_t i = noun->n_keys; i < noun->n_columns; i++)
		if (!column_same(stmt, (int)i, &noun->column[i], row))
			changed |= UINT64_C(1) << i;
	*ret = changed;
	return finish(stmt, 0);
}

static int update_statement(struct sqlite_rows *r, const struct noun *noun, uint64_t changed, sqlite3_stmt **ret)
{
	struct sqlite_update next = {.noun = noun, .changed = changed};
	for (size_t i = 0; i < SQLITE_UPDATES && r->update[i].noun != NULL; i++)
		if (r->update[i].noun == noun && r->update[i].changed == changed) {
			*ret = r->update[i].stmt;
			return 0;
		}
	buf_reset(&r->text);
	sql_update(&r->text, noun, changed);
	int code = prepare(r, &next.stmt);
	if (code < 0)
		return code;
	sqlite3_finalize(r->update[r->update_next].stmt);
	r->update[r->update_next] = next;
	r->update_next = (r->update_next + 1) % SQLITE_UPDATES;
	*ret = next.stmt;
	return 0;
}

/* Only what changed is set: an index whose columns are not named is not touched, and most of a row stays as it is. */
static int sqlite_advance(struct rows *base, const struct noun *noun, const void *row, const struct column *version)
{
	struct sqlite_rows *r = (struct sqlite_rows *)base;
	sqlite3_stmt       *stmt;
	uint64_t            changed = 0;
	if (!noun_row_ok(noun, row))
		return E_INTERNAL;
	int code = changed_columns(r, noun, row, version, &changed);
	if (code < 0 || changed == 0)
		return code;
	code = update_statement(r, noun, changed, &stmt);
	if (code < 0)
		return code;
	for (size_t i = 0; code == 0 && i < noun->n_columns; i++)
		if (i < noun->n_keys || (changed >> i & 1) != 0)
			code = sqlite_code(r->db, bind_column(stmt, (int)i + 1, &noun->column[i], row, i < noun->n_keys));
	return finish(stmt, code == 0 ? sqlite_code(r->db, sqlite3_step(stmt)) : code);
}

static int sqlite_replace(struct rows *r, const struct noun *noun, const void *row)
{
	return sqlite_advance(r, noun, row, NULL);
}

static int sqlite_put(struct rows *r, const struct noun *noun, const void *row)
{
	int code = sqlite_replace(r, noun, row);
	return code == E_NOT_FOUND ? write_row(r, noun, row, SQLITE_VERB_ADD) : code;
}

static int sqlite_remove(struct rows *r, const struct noun *noun, const void *row)
{
	return write_row(r, noun, row, SQLITE_VERB_REMOVE);
}

static const struct rows_ops sqlite_ops = {
	.get = sqlite_get,
	.find = sqlite_find,
	.count = sqlite_count,
	.add = sqlite_add,
	.put = sqlite_put,
	.replace = sqlite_replace,
	.advance = sqlite_advance,
	.remove = sqlite_remove,
};

int sqlite_rows_init(struct sqlite_rows *r, sqlite3 *db)
{
	memset(r, 0, sizeof(*r));
	r->base.ops = &sqlite_ops;
	r->db = db;
	r->text = (struct buf)BUF_MAX(SQLITE_TEXT_MAX);
	r->row = calloc(1, noun_row_max);
	if (r->row == NULL) {
		sqlite_rows_close(r);
		return E_NOMEM;
	}
	return 0;
}

void sqlite_rows_close(struct sqlite_rows *r)
{
	for (size_t i = 0; i < NOUN_COUNT; i++)
		for (size_t k = 0; k < SQLITE_VERB_COUNT; k++)
			sqlite3_finalize(r->verb[i][k]);
	for (size_t i = 0; i < SQLITE_FINDS; i++)
		sqlite3_finalize(r->find[i].stmt);
	for (size_t i = 0; i < SQLITE_UPDATES; i++)
		sqlite3_finalize(r->update[i].stmt);
	sqlite3_finalize(r->hold_begin);
	sqlite3_finalize(r->hold_end);
	buf_free(&r->text);
	free(r->row);
	sqlite3_close(r->db);
	memset(r, 0, sizeof(*r));
}

/* store_mem.c - room controller/store: the backend that keeps everything in memory, for tests and the simulation.
 * Deterministic: no thread; changes are applied in order inside store_poll(). Never: files, rules of its own. */
#include <stdlib.h>
#include <string.h>

#include "controller/store/store_front.h"

struct mem_table {
	void   **row; /* sorted by key */
	size_t   n, cap;
	uint64_t last_auto;
};

/* What a verb changed, so that a failed change can be taken back. */
struct mem_undo {
	size_t table;
	void  *old; /* owned here until the change is kept */
	void  *new; /* in the table */
};

struct mem_rows {
	struct rows      base;
	struct mem_table table[NOUN_COUNT];
	struct mem_undo *undo;
	size_t           n_undo, cap_undo;
};

struct mem_store {
	struct store    base;
	struct mem_rows rows;
	struct apply    apply;
	pthread_mutex_t data; /* views of other threads read the live tables */
};

struct mem_view {
	struct store_view base;
	struct rows       rows; /* the store's, behind its lock */
	struct mem_store *store;
};

static void *must_grow(void *p, size_t n, size_t size)
{
	void *grown = reallocarray(p, n, size);
	if (grown == NULL)
		abort();
	return grown;
}

static size_t table_of(const struct noun *noun)
{
	for (size_t i = 0; i < NOUN_COUNT; i++)
		if (nouns[i] == noun)
			return i;
	abort();
}

static void *row_copy(const struct noun *noun, const void *row)
{
	const struct column *last = &noun->column[noun->n_columns - 1];
	struct span          bytes = last->kind == COLUMN_SPAN ? column_bytes(last, row) : (struct span){NULL, 0};
	uint8_t             *copy = must_grow(NULL, 1, noun->size + bytes.n);
	memcpy(copy, row, noun->size);
	if (last->kind == COLUMN_SPAN) {
		if (bytes.n > 0)
			memcpy(copy + noun->size, bytes.p, bytes.n);
		bytes.p = copy + noun->size;
		memcpy(copy + last->at, &bytes, sizeof(bytes));
	}
	return copy;
}

static int bytes_compare(struct span a, struct span b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int    d = n > 0 ? memcmp(a.p, b.p, n) : 0;
	return d != 0 ? d : (a.n > b.n) - (a.n < b.n);
}

static bool is_bytes(const struct column *c)
{
	return c->kind == COLUMN_TEXT || c->kind == COLUMN_FIXED || c->kind == COLUMN_BYTES || c->kind == COLUMN_SPAN;
}

static int column_compare(const struct column *c, const void *a, const void *b)
{
	if (is_bytes(c))
		return bytes_compare(column_bytes(c, a), column_bytes(c, b));
	int64_t x = column_number(c, a), y = column_number(c, b);
	return (x > y) - (x < y);
}

static int key_compare(const struct noun *noun, const void *a, const void *b)
{
	int d = 0;
	for (size_t i = 0; d == 0 && i < noun->n_keys; i++)
		d = column_compare(&noun->column[i], a, b);
	return d;
}

/* First row whose key is not below that of `row`. */
static size_t table_search(const struct mem_table *t, const struct noun *noun, const void *row, bool *ret_found)
{
	size_t low = 0, high = t->n;
	if (t->n > 0 && key_compare(noun, t->row[t->n - 1], row) < 0)
		low = t->n; /* most rows come in order */
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (key_compare(noun, t->row[mid], row) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	*ret_found = low < t->n && key_compare(noun, t->row[low], row) == 0;
	return low;
}

static void table_insert(struct mem_table *t, size_t at, void *row)
{
	if (t->n == t->cap) {
		t->cap = t->cap == 0 ? 64 : t->cap * 2;
		t->row = must_grow(t->row, t->cap, sizeof(t->row[0]));
	}
	memmove(&t->row[at + 1], &t->row[at], (t->n - at) * sizeof(t->row[0]));
	t->row[at] = row;
	t->n++;
}

static void table_erase(struct mem_table *t, size_t at)
{
	t->n--;
	memmove(&t->row[at], &t->row[at + 1], (t->n - at) * sizeof(t->row[0]));
}

static void undo_note(struct mem_rows *m, size_t table, void *old, void *new)
{
	if (m->n_undo == m->cap_undo) {
		m->cap_undo = m->cap_undo == 0 ? 64 : m->cap_undo * 2;
		m->undo = must_grow(m->undo, m->cap_undo, sizeof(m->undo[0]));
	}
	m->undo[m->n_undo++] = (struct mem_undo){table, old, new};
}

static void undo_keep(struct mem_rows *m)
{
	for (size_t i = 0; i < m->n_undo; i++)
		free(m->undo[i].old);
	m->n_undo = 0;
}

static void undo_take_back(struct mem_rows *m)
{
	while (m->n_undo > 0) {
		struct mem_undo    u = m->undo[--m->n_undo];
		struct mem_table  *t = &m->table[u.table];
		const struct noun *noun = nouns[u.table];
		bool               found;
		size_t             at = table_search(t, noun, u.new != NULL ? u.new : u.old, &found);
		if (u.new != NULL) {
			free(t->row[at]);
			table_erase(t, at);
		}
		if (u.old != NULL)
			table_insert(t, at, u.old);
	}
}

/* ---- rows_ops ---- */

static int mem_get(struct rows *r, const struct noun *noun, void *row)
{
	struct mem_rows  *m = (struct mem_rows *)r;
	struct mem_table *t = &m->table[table_of(noun)];
	bool              found;
	size_t            at = table_search(t, noun, row, &found);
	if (!found)
		return E_NOT_FOUND;
	memcpy(row, t->row[at], noun->size);
	return 0;
}

/* A term made ready for many rows: its value seen as a row of one column. */
struct mem_term {
	struct condition c;
	struct column    value_column;
};

static int term_compare(const struct mem_term *t, const void *row)
{
	const struct column *c = t->c.column;
	if (c->kind == COLUMN_TEXT) /* the value may be longer than the field */
		return bytes_compare(column_bytes(c, row), span_text(t->c.value));
	if (is_bytes(c))
		return bytes_compare(column_bytes(c, row), column_bytes(&t->value_column, t->c.value));
	int64_t x = column_number(c, row), y = column_number(&t->value_column, t->c.value);
	if (c->kind == COLUMN_UINT && y < 0)
		y = INT64_MAX;
	return (x > y) - (x < y);
}

static bool term_holds(const struct mem_term *t, const void *row)
{
	switch (t->c.op) {
	case IS:
		return term_compare(t, row) == 0;
	case IS_NOT:
		return term_compare(t, row) != 0;
	case ABOVE:
		return term_compare(t, row) > 0;
	case BELOW:
		return term_compare(t, row) < 0;
	case AT_MOST: /* as in SQL, "none" is not a number */
		return !column_is_none(t->c.column, row) && term_compare(t, row) <= 0;
	case NONE:
		return column_is_none(t->c.column, row);
	case SOME:
		return !column_is_none(t->c.column, row);
	}
	return false;
}

static bool row_matches(const struct mem_term *term, size_t n, const void *row)
{
	for (size_t i = 0; i < n; i++) {
		bool holds = term_holds(&term[i], row);
		while (term[i].c.or_next && i + 1 < n) {
			i++;
			holds = holds || term_holds(&term[i], row);
		}
		if (!holds)
			return false;
	}
	return true;
}

struct mem_search {
	struct mem_term term[QUERY_TERMS_MAX];
	size_t          n_terms;
	size_t          start, end; /* rows of the table that can match */
};

/* A term on the first key column narrows the rows to be looked at. */
static void search_init(struct mem_search *s, const struct mem_table *t, const struct query *q)
{
	s->n_terms = q->n_terms;
	s->start = 0;
	s->end = t->n;
	for (size_t i = 0; i < q->n_terms; i++) {
		struct mem_term *term = &s->term[i];
		term->c = q->term[i];
		term->value_column = *q->term[i].column;
		term->value_column.at = 0;
		bool alone = !term->c.or_next && (i == 0 || !q->term[i - 1].or_next);
		if (!alone || term->c.column != &q->noun->column[0] || (term->c.op != IS && term->c.op != ABOVE))
			continue;
		size_t low = s->start, high = s->end;
		while (low < high) {
			size_t mid = low + (high - low) / 2;
			if (term_compare(term, t->row[mid]) < 0)
				low = mid + 1;
			else
				high = mid;
		}
		s->start = low;
		if (term->c.op == IS)
			while (s->start < s->end && low < s->end && term_compare(term, t->row[low]) == 0)
				low++;
		if (term->c.op == IS)
			s->end = low;
	}
}

/* qsort_r's context: the column to sort by. */
struct mem_order {
	const struct noun   *noun;
	const struct column *by;
	int                  sign;
};

static int order_compare(const void *a, const void *b, void *ctx)
{
	const struct mem_order *o = ctx;
	const void *const      *x = a, *const *y = b;
	int                     d = column_compare(o->by, *x, *y);
	return o->sign * (d != 0 ? d : key_compare(o->noun, *x, *y));
}

/* Rows in an order that is not the key's: all matches are collected first. */
static int find_sorted(struct mem_table *t, const struct query *q, const struct mem_search *s, row_fn *fn, void *ctx)
{
	const void **match = must_grow(NULL, t->n + 1, sizeof(match[0]));
	size_t       n = 0;
	for (size_t i = s->start; i < s->end; i++)
		if (row_matches(s->term, s->n_terms, t->row[i]))
			match[n++] = t->row[i];
	struct mem_order order = {q->noun, q->by, q->down ? -1 : 1};
	qsort_r(match, n, sizeof(match[0]), order_compare, &order);
	int r = 0;
	for (size_t i = 0; i < n && i < q->max && r >= 0; i++)
		r = fn(ctx, match[i]);
	free(match);
	return r < 0 ? r : 0;
}

static int mem_find(struct rows *r, const struct query *q, row_fn *fn, void *ctx)
{
	struct mem_rows  *m = (struct mem_rows *)r;
	struct mem_table *t = &m->table[table_of(q->noun)];
	struct mem_search s;
	search_init(&s, t, q);
	if (q->by != NULL)
		return find_sorted(t, q, &s, fn, ctx);
	size_t n = 0;
	for (size_t i = s.start; i < s.end && n < q->max; i++) {
		const void *row = t->row[q->down ? s.end - 1 - (i - s.start) : i];
		if (!row_matches(s.term, s.n_terms, row))
			continue;
		int code = fn(ctx, row);
		if (code < 0)
			return code;
		n++;
	}
	return 0;
}

static int mem_count(struct rows *r, const struct query *q, uint64_t *ret)
{
	struct mem_rows  *m = (struct mem_rows *)r;
	struct mem_table *t = &m->table[table_of(q->noun)];
	struct mem_search s;
	uint64_t          n = 0;
	search_init(&s, t, q);
	for (size_t i = s.start; i < s.end; i++)
		n += row_matches(s.term, s.n_terms, t->row[i]);
	*ret = n;
	return 0;
}

/* Some other row holds the value of the unique column. */
static bool unique_taken(const struct mem_table *t, const struct noun *noun, const void *row)
{
	for (size_t k = 0; noun->unique != NULL && k < noun->n_columns; k++) {
		const struct column *c = &noun->column[k];
		if (strcmp(c->name, noun->unique) != 0)
			continue;
		for (size_t i = 0; i < t->n; i++)
			if (column_compare(c, t->row[i], row) == 0 && key_compare(noun, t->row[i], row) != 0)
				return true;
	}
	return false;
}

static int mem_add(struct rows *r, const struct noun *noun, const void *row)
{
	struct mem_rows  *m = (struct mem_rows *)r;
	struct mem_table *t = &m->table[table_of(noun)];
	if (!noun_row_ok(noun, row))
		return E_INTERNAL;
	void *copy = row_copy(noun, row);
	if (noun->column[0].kind == COLUMN_AUTO) {
		uint64_t next = ++t->last_auto;
		memcpy((uint8_t *)copy + noun->column[0].at, &next, sizeof(next));
	}
	bool   found;
	size_t at = table_search(t, noun, copy, &found);
	if (found || unique_taken(t, noun, copy)) {
		free(copy);
		return E_EXISTS;
	}
	table_insert(t, at, copy);
	undo_note(m, table_of(noun), NULL, copy);
	return 0;
}

static int mem_replace(struct rows *r, const struct noun *noun, const void *row)
{
	struct mem_rows  *m = (struct mem_rows *)r;
	struct mem_table *t = &m->table[table_of(noun)];
	bool              found;
	size_t            at = table_search(t, noun, row, &found);
	if (!found)
		return E_NOT_FOUND;
	if (!noun_row_ok(noun, row))
		return E_INTERNAL;
	if (unique_taken(t, noun, row))
		return E_EXISTS;
	void *copy = row_copy(noun, row);
	undo_note(m, table_of(noun), t->row[at], copy);
	t->row[at] = copy;
	return 0;
}

static int mem_advance(struct rows *r, const struct noun *noun, const void *row, const struct column *version)
{
	struct mem_rows        *m = (struct mem_rows *)r;
	const struct mem_table *t = &m->table[table_of(noun)];
	bool                    found;
	size_t                  at = table_search(t, noun, row, &found);
	if (found && column_number(version, t->row[at]) + 1 != column_number(version, row))
		return E_STORE_CONFLICT;
	return mem_replace(r, noun, row);
}

static int mem_put(struct rows *r, const struct noun *noun, const void *row)
{
	int code = mem_replace(r, noun, row);
	return code == E_NOT_FOUND ? mem_add(r, noun, row) : code;
}

static int mem_remove(struct rows *r, const struct noun *noun, const void *row)
{
	struct mem_rows  *m = (struct mem_rows *)r;
	struct mem_table *t = &m->table[table_of(noun)];
	bool              found;
	size_t            at = table_search(t, noun, row, &found);
	if (!found)
		return 0;
	undo_note(m, table_of(noun), t->row[at], NULL);
	table_erase(t, at);
	return 0;
}

static const struct rows_ops mem_ops = {
	.get = mem_get,
	.find = mem_find,
	.count = mem_count,
	.add = mem_add,
	.put = mem_put,
	.replace = mem_replace,
	.advance = mem_advance,
	.remove = mem_remove,
};

/* ---- views: the same behind the lock ---- */

static struct mem_store *store_of_view(struct rows *r)
{
	return ((struct mem_view *)(void *)((uint8_t *)r - offsetof(struct mem_view, rows)))->store;
}

static int locked_get(struct rows *r, const struct noun *noun, void *row)
{
	struct mem_store *s = store_of_view(r);
	pthread_mutex_lock(&s->data);
	int code = mem_get(&s->rows.base, noun, row);
	pthread_mutex_unlock(&s->data);
	return code;
}

static int locked_find(struct rows *r, const struct query *q, row_fn *fn, void *ctx)
{
	struct mem_store *s = store_of_view(r);
	pthread_mutex_lock(&s->data);
	int code = mem_find(&s->rows.base, q, fn, ctx);
	pthread_mutex_unlock(&s->data);
	return code;
}

static int locked_count(struct rows *r, const struct query *q, uint64_t *ret)
{
	struct mem_store *s = store_of_view(r);
	pthread_mutex_lock(&s->data);
	int code = mem_count(&s->rows.base, q, ret);
	pthread_mutex_unlock(&s->data);
	return code;
}

static const struct rows_ops locked_ops = {.get = locked_get, .find = locked_find, .count = locked_count};

static void mem_view_close(struct store_view *v)
{
	free((struct mem_view *)v);
}

static int mem_view_open(struct store *base, struct store_view **ret)
{
	struct mem_view *v = calloc(1, sizeof(*v));
	if (v == NULL)
		return E_NOMEM;
	v->store = (struct mem_store *)base;
	v->rows.ops = &locked_ops;
	v->base.rows = &v->rows;
	v->base.hash = base->hash;
	v->base.close = mem_view_close;
	*ret = &v->base;
	return 0;
}

/* ---- store_ops ---- */

static void mem_commit(struct mem_store *s, struct store_change *c)
{
	struct merkle_frontier tree = s->apply.tree;
	int64_t                audit_at = s->apply.audit_at;
	pthread_mutex_lock(&s->data);
	c->code = apply_change(&s->apply, c);
	if (c->code == 0)
		c->code = apply_finish(&s->apply);
	if (c->code == 0) {
		undo_keep(&s->rows);
	} else {
		undo_take_back(&s->rows);
		s->apply.tree = tree;
		s->apply.audit_at = audit_at;
		apply_undone(&s->apply);
	}
	pthread_mutex_unlock(&s->data);
}

static void mem_poll(struct store *base)
{
	struct mem_store *s = (struct mem_store *)base;
	pthread_mutex_lock(&base->lock);
	struct change_list batch = list_take(&base->waiting, SIZE_MAX);
	pthread_mutex_unlock(&base->lock);
	for (struct store_change *c = batch.first; c != NULL; c = c->next)
		mem_commit(s, c);
	list_deliver(&batch);
}

static void mem_close(struct store *base)
{
	struct mem_store *s = (struct mem_store *)base;
	pthread_mutex_lock(&base->lock);
	base->closing = true;
	pthread_mutex_unlock(&base->lock);
	mem_poll(base);
	for (size_t i = 0; i < NOUN_COUNT; i++) {
		for (size_t k = 0; k < s->rows.table[i].n; k++)
			free(s->rows.table[i].row[k]);
		free(s->rows.table[i].row);
	}
	free(s->rows.undo);
	apply_end(&s->apply);
	pthread_mutex_destroy(&s->data);
	front_destroy(base);
	free(s);
}

int store_mem_open(const struct store_options *options, struct store **ret)
{
	static const struct store_ops ops = {.poll = mem_poll, .close = mem_close, .view_open = mem_view_open};
	struct mem_store             *s = calloc(1, sizeof(*s));
	if (s == NULL)
		return E_NOMEM;
	s->rows.base.ops = &mem_ops;
	int r = apply_start(&s->apply, &s->rows.base, options->hash);
	if (r < 0) {
		free(s);
		return r;
	}
	front_init(&s->base, &ops, options);
	s->base.wake_on_submit = true;
	if (pthread_mutex_init(&s->data, NULL) != 0)
		abort();
	*ret = &s->base;
	return 0;
}

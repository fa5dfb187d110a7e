/* store_rows.c - room controller/store: queries over a backend's rows, as verbs and views need them.
 * Never: rules, SQL. */
#include "controller/store/store_rows.h"

#include <stdlib.h>
#include <string.h>

static void query_add(struct query *q, size_t at, enum condition_op op, const void *value, bool or_next)
{
	if (q->n_terms == QUERY_TERMS_MAX)
		abort();
	q->term[q->n_terms++] = (struct condition){noun_column(q->noun, at), op, value, or_next};
}

void query_where(struct query *q, size_t at, enum condition_op op, const void *value)
{
	query_add(q, at, op, value, false);
}

void query_either(struct query *q, size_t at, enum condition_op op, const void *value)
{
	query_add(q, at, op, value, true);
}

uint64_t query_column(const struct noun *noun, size_t at)
{
	return UINT64_C(1) << (noun_column(noun, at) - noun->column);
}

struct collect {
	uint8_t *to;
	size_t   size;
	size_t   n;
};

static int collect_row(void *ctx, const void *row)
{
	struct collect *c = ctx;
	memcpy(c->to + c->n * c->size, row, c->size);
	c->n++;
	return 0;
}

int rows_list(struct rows *r, const struct query *q, void *ret, size_t *ret_n)
{
	struct collect c = {.to = ret, .size = q->noun->size};
	int            code = rows_find(r, q, collect_row, &c);
	if (code < 0)
		return code;
	*ret_n = c.n;
	return 0;
}

int rows_first(struct rows *r, const struct query *q, void *ret)
{
	struct query one = *q;
	size_t       n = 0;
	one.max = 1;
	int code = rows_list(r, &one, ret, &n);
	if (code < 0)
		return code;
	return n == 1 ? 0 : E_NOT_FOUND;
}

int rows_audit_size(struct rows *r, uint64_t *ret)
{
	struct query q = {.noun = &noun_audit, .down = true};
	struct audit last;
	int          code = rows_first(r, &q, &last);
	if (code == E_NOT_FOUND)
		*ret = 0;
	else if (code == 0)
		*ret = last.seq + 1;
	return code == E_NOT_FOUND ? 0 : code;
}

int rows_audit_at(struct rows *r, int64_t *ret)
{
	struct query q = {.noun = &noun_audit, .down = true};
	struct audit last = {.at = INT64_MIN};
	int          code = rows_first(r, &q, &last);
	if (code < 0 && code != E_NOT_FOUND)
		return code;
	*ret = last.at;
	return 0;
}

/* store_rows.h - room controller/store: what a backend offers to the verbs and views: rows of nouns, by key and by
 * condition. The rules live above this line, once for all backends. Never: rules, SQL. */
#ifndef VCC_STORE_ROWS_H
#define VCC_STORE_ROWS_H

#include "controller/store/store_noun.h"

enum condition_op {
	IS,
	IS_NOT, /* NAME columns only */
	ABOVE,
	BELOW,
	AT_MOST,
	NONE, /* WHEN, DUE, FIXED: the column says "none" */
	SOME, /* the opposite */
};

/* One term; the value is a field of the column's own type (TEXT: the text). All terms hold together, except that a term
 * with `or_next` and the one after it are alternatives. */
struct condition {
	const struct column *column;
	enum condition_op    op;
	const void          *value;
	bool                 or_next;
};

enum { QUERY_TERMS_MAX = 10 };

struct query {
	const struct noun   *noun;
	struct condition     term[QUERY_TERMS_MAX];
	size_t               n_terms;
	const struct column *by;   /* order by this, then by the key; NULL = by the key */
	bool                 down; /* descending, key and all */
	size_t               max;
	uint64_t             only; /* column n of the noun is read where bit n is set, others may stay empty; 0 = all are read */
};

/* The bit of a field's column, for `only`. */
uint64_t query_column(const struct noun *noun, size_t at);
/* q.noun's column by its field, for readable queries: query_where(&q, offsetof(struct order, agent), IS, name). */
void query_where(struct query *q, size_t at, enum condition_op op, const void *value);
void query_either(struct query *q, size_t at, enum condition_op op, const void *value); /* alternative of the next term */

/* Takes one row; valid during the call only. A negative code ends the walk and is returned. */
typedef int row_fn(void *ctx, const void *row);

struct rows;

struct rows_ops {
	/* Fills the rest of the row whose key fields are set. E_NOT_FOUND leaves it untouched. Not for nouns with a SPAN. */
	int (*get)(struct rows *r, const struct noun *noun, void *row);
	int (*find)(struct rows *r, const struct query *q, row_fn *fn, void *ctx);
	int (*count)(struct rows *r, const struct query *q, uint64_t *ret);
	/* New row; E_EXISTS when the key (or the unique column) is taken. */
	int (*add)(struct rows *r, const struct noun *noun, const void *row);
	/* New or replaced row. */
	int (*put)(struct rows *r, const struct noun *noun, const void *row);
	/* Replaced row; E_NOT_FOUND when the key is not there. */
	int (*replace)(struct rows *r, const struct noun *noun, const void *row);
	/* The same; E_STORE_CONFLICT unless the stored row has one less in column `version`. */
	int (*advance)(struct rows *r, const struct noun *noun, const void *row, const struct column *version);
	/* Removes by key; missing is fine. */
	int (*remove)(struct rows *r, const struct noun *noun, const void *row);
};

struct rows {
	const struct rows_ops *ops;
};

static inline int rows_get(struct rows *r, const struct noun *noun, void *row)
{
	return r->ops->get(r, noun, row);
}
static inline int rows_find(struct rows *r, const struct query *q, row_fn *fn, void *ctx)
{
	return r->ops->find(r, q, fn, ctx);
}

/* Copies the rows found into an array of row structs. */
_must_check_ int rows_list(struct rows *r, const struct query *q, void *ret, size_t *ret_n);
/* The first row of the query; E_NOT_FOUND. */
_must_check_ int rows_first(struct rows *r, const struct query *q, void *ret);

/* Number of audit records = size of the tree. */
_must_check_ int rows_audit_size(struct rows *r, uint64_t *ret);
/* Time of the last one; INT64_MIN = there is none. */
_must_check_ int rows_audit_at(struct rows *r, int64_t *ret);

#endif

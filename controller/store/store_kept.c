/* store_kept.c - room controller/store: answers that are kept for a repeated request: one per principal and key, for a day.
 * Never: what an answer says. */
#include <string.h>

#include "controller/store/store_apply.h"
#include "controller/store/store_front.h"

enum { KEPT_ENDED_AT_ONCE = 20, KEPT_ENDED_PAGES = 50 };

static void where_key(struct query *q, const struct hash *who, const char *key)
{
	query_where(q, offsetof(struct kept_answer, who), IS, who);
	query_where(q, offsetof(struct kept_answer, key), IS, key);
}

struct found {
	struct kept_answer *row;
	struct buf         *answer; /* or NULL */
	bool                any;
};

static int take(void *ctx, const void *row)
{
	struct found             *f = ctx;
	const struct kept_answer *k = row;
	if (f->answer != NULL)
		buf_add(f->answer, k->answer.p, k->answer.n);
	*f->row = *k;
	f->row->answer = f->answer != NULL ? buf_span(f->answer) : (struct span){NULL, 0};
	f->any = true;
	return f->answer != NULL ? buf_error(f->answer) : 0;
}

static int find(struct rows *rows, const struct hash *who, const char *key, struct kept_answer *ret, struct buf *answer)
{
	struct query q = {.noun = &noun_kept, .max = 1};
	struct found f = {.row = ret, .answer = answer};
	where_key(&q, who, key);
	int r = rows_find(rows, &q, take, &f);
	return r < 0 ? r : f.any ? 0 : E_NOT_FOUND;
}

int view_kept_answer(struct store_view *v, struct hash who, const char *key, struct kept_answer *ret, struct buf *answer)
{
	return find(v->rows, &who, key, ret, answer);
}

int view_kept_count(struct store_view *v, struct hash who, int64_t since, uint64_t *ret)
{
	struct query q = {.noun = &noun_kept};
	query_where(&q, offsetof(struct kept_answer, who), IS, &who);
	query_where(&q, offsetof(struct kept_answer, at), ABOVE, &since);
	return v->rows->ops->count(v->rows, &q, ret);
}

/* ---- changing ---- */

struct page {
	struct kept_answer row[KEPT_ENDED_AT_ONCE];
	size_t             n;
};

static int take_key(void *ctx, const void *row)
{
	struct page *p = ctx;
	p->row[p->n] = *(const struct kept_answer *)row;
	p->row[p->n++].answer = (struct span){NULL, 0};
	return 0;
}

/* What ended before `until`, a few at a time: each new one takes more away than it adds. */
static int end_old(struct rows *rows, int64_t until)
{
	struct query q = {.noun = &noun_kept, .by = noun_column(&noun_kept, offsetof(struct kept_answer, at)), .max = KEPT_ENDED_AT_ONCE};
	struct page  page = {.n = 0};
	query_where(&q, offsetof(struct kept_answer, at), BELOW, &until);
	int r = rows_find(rows, &q, take_key, &page);
	for (size_t i = 0; r == 0 && i < page.n; i++)
		r = rows->ops->remove(rows, &noun_kept, &page.row[i]);
	return r;
}

int apply_keep_answer(struct apply *a, const struct store_verb *v, struct store_result *result)
{
	(void)result;
	const struct kept_answer *next = v->row;
	struct kept_answer        old;
	int64_t                   until = next->at - KEPT_LIFE_MS;
	int                       r = find(a->rows, &next->who, next->key, &old, NULL);
	if (r < 0 && r != E_NOT_FOUND)
		return r;
	if (r == 0 && old.at >= until)
		return E_EXISTS;
	r = a->rows->ops->put(a->rows, &noun_kept, next);
	return r < 0 ? r : end_old(a->rows, until);
}

int apply_kept_known(struct apply *a, const struct store_verb *v, struct store_result *result)
{
	int r = apply_replace(a, v, result);
	return r == E_NOT_FOUND ? 0 : r; /* the change that took the key along was not stored */
}

int apply_end_kept(struct apply *a, const struct store_verb *v, struct store_result *result)
{
	int r = 0;
	(void)result;
	for (int i = 0; r == 0 && i < KEPT_ENDED_PAGES; i++)
		r = end_old(a->rows, ((const struct kept_answer *)v->row)->at);
	return r;
}

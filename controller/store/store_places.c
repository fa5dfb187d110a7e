/* store_places.c - room controller/store: a walk along the places of many certificates, row by row, of what a report looks at.
 * Never: writing, SQL. */
#include "controller/store/store_front.h"

struct target_walk {
	view_target_fn *fn;
	void           *ctx;
};

static int give_target(void *ctx, const void *row)
{
	struct target_walk *w = ctx;
	return w->fn(w->ctx, row);
}

int view_targets_between(struct store_view *v, const char *after, const char *last, view_target_fn *fn, void *ctx)
{
	static const size_t read[] = {offsetof(struct target, cert_id),        offsetof(struct target, verify_kind), offsetof(struct target, served),
				      offsetof(struct target, proved_at),      offsetof(struct target, state_code),
				      offsetof(struct target, stale_since_at), offsetof(struct target, rehearsed_at)};
	struct target_walk  walk = {fn, ctx};
	struct query        q = {.noun = &noun_target, .max = INT32_MAX};
	for (size_t i = 0; i < N_ELEMENTS(read); i++)
		query_only(&q, read[i]);
	q.by = noun_column(q.noun, offsetof(struct target, cert_id));
	query_where(&q, offsetof(struct target, cert_id), ABOVE, after);
	query_where(&q, offsetof(struct target, cert_id), AT_MOST, last);
	return rows_find(v->rows, &q, give_target, &walk);
}

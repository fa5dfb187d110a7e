/* store_figures.c - room controller/store: walks and counts that figures of the whole installation are made of.
 * A walk reads the few fields that figures need, row by row, without a copy. Never: writing, SQL; keeping a row. */
#include <string.h>

#include "controller/store/store_front.h"

#define ONLY(query, ...) only(query, (const size_t[]){__VA_ARGS__}, sizeof((const size_t[]){__VA_ARGS__}) / sizeof(size_t))
#define C(field)         offsetof(struct certificate, field)
#define T(field)         offsetof(struct target, field)
#define A(field)         offsetof(struct agent, field)

static void only(struct query *q, const size_t *at, size_t n)
{
	for (size_t i = 0; i < n; i++)
		query_only(q, at[i]);
}

/* The callback of a walk as the rows below see it. */
struct walk {
	union {
		view_certificate_fn *certificate;
		view_target_fn      *target;
		view_agent_fn       *agent;
	} each;
	void *ctx;
};

static int each_certificate(void *ctx, const void *row)
{
	const struct walk *w = ctx;
	return w->each.certificate(w->ctx, row);
}

static int each_target(void *ctx, const void *row)
{
	const struct walk *w = ctx;
	return w->each.target(w->ctx, row);
}

static int each_agent(void *ctx, const void *row)
{
	const struct walk *w = ctx;
	return w->each.agent(w->ctx, row);
}

int view_each_certificate(struct store_view *v, const char *after, size_t max, view_certificate_fn *each, void *ctx)
{
	struct walk  w = {.each.certificate = each, .ctx = ctx};
	struct query q = {.noun = &noun_certificate, .max = max};
	query_where(&q, C(cert_id), ABOVE, after);
	ONLY(&q, C(cert_id), C(template_id), C(service), C(agent), C(serial), C(not_before_at), C(not_after_at), C(proved),
	     C(suspended_at), C(revoked_at), C(retired_at), C(serial_revoked_at));
	return rows_find(v->rows, &q, each_certificate, &w);
}

int view_each_target(struct store_view *v, const char *after, const char *last, view_target_fn *each, void *ctx)
{
	struct walk  w = {.each.target = each, .ctx = ctx};
	struct query q = {.noun = &noun_target, .max = SIZE_MAX};
	q.by = noun_column(q.noun, T(cert_id));
	query_where(&q, T(cert_id), ABOVE, after);
	query_where(&q, T(cert_id), AT_MOST, last);
	ONLY(&q, T(target_id), T(cert_id), T(agent), T(served), T(proved_at), T(state_code), T(stale_since_at), T(rehearsed_at));
	return rows_find(v->rows, &q, each_target, &w);
}

int view_each_agent(struct store_view *v, const char *after, size_t max, view_agent_fn *each, void *ctx)
{
	struct walk  w = {.each.agent = each, .ctx = ctx};
	struct query q = {.noun = &noun_agent, .max = max};
	query_where(&q, A(name), ABOVE, after);
	ONLY(&q, A(name), A(service), A(state), A(identity_not_after_at), A(version), A(seen_at), A(skew_ms));
	return rows_find(v->rows, &q, each_agent, &w);
}

int view_campaigns_count(struct store_view *v, enum campaign_state state, uint64_t *ret)
{
	struct query q = {.noun = &noun_campaign};
	query_where(&q, offsetof(struct campaign, state), IS, &state);
	return v->rows->ops->count(v->rows, &q, ret);
}

int view_orders_paused_count(struct store_view *v, uint64_t *ret)
{
	static const enum order_phase paused = ORDER_PAUSED;
	struct query                  q = {.noun = &noun_order};
	query_where(&q, offsetof(struct order, phase), IS, &paused);
	return v->rows->ops->count(v->rows, &q, ret);
}

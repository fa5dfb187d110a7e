/* crl_plan.c - room agent/core: when revocation lists are fetched.
 * Never: clocks, files, sockets, heap, crypto. */
#include "agent/core/crl_plan.h"

#include "agent/core/deploy_part.h"
#include "shared/base/times.h"

struct crl_plan_context {
	struct crl_plan              *p;
	const struct crl_plan_event  *event;
	const struct crl_plan_policy *policy;
	int64_t                       now;
};

static void enter(struct crl_plan *p, enum crl_plan_phase phase, int64_t next_at)
{
	p->phase = phase;
	p->next_at = next_at;
}

static bool is_due(const struct crl_plan *p)
{
	return p->wanted && !hash_is_none(p->announced) && !hash_equal(p->announced, p->have);
}

/* After `wait`, and never sooner than the last try and the last set allow. */
static void plan_try(const struct crl_plan_context *c, int64_t wait)
{
	struct crl_plan *p = c->p;
	int64_t          at = c->now + wait;
	if (!is_due(p)) {
		enter(p, CRL_PLAN_REST, TIME_NEVER);
		return;
	}
	if (p->tried_at != 0 && at < p->tried_at + c->policy->gap_ms)
		at = p->tried_at + c->policy->gap_ms;
	if (p->taken_at != 0 && at < p->taken_at + c->policy->pace_ms)
		at = p->taken_at + c->policy->pace_ms;
	enter(p, CRL_PLAN_WAIT, at);
}

static int64_t spread_of(const struct crl_plan_context *c)
{
	int64_t spread = c->event->spread_ms < c->policy->spread_max_ms ? c->event->spread_ms : c->policy->spread_max_ms;
	return spread > 0 ? (int64_t)c->event->random % spread : 0;
}

static enum crl_plan_action on_wanted(const struct crl_plan_context *c)
{
	bool fetching = c->p->phase == CRL_PLAN_FETCH;
	if (c->p->wanted == c->event->wanted)
		return CRL_PLAN_NOTHING;
	c->p->wanted = c->event->wanted;
	plan_try(c, 0);
	return fetching ? CRL_PLAN_DROP : CRL_PLAN_NOTHING;
}

/* A try under way goes on: either it brings what is announced now, or it fails and the next one follows. One that waits is
 * never put off by news. */
static enum crl_plan_action on_announced(const struct crl_plan_context *c)
{
	struct crl_plan *p = c->p;
	int64_t          waits_for = p->phase == CRL_PLAN_WAIT ? p->next_at : TIME_NEVER;
	if (!hash_equal(p->announced, c->event->hash))
		p->tries = 0;
	p->announced = c->event->hash;
	if (p->phase == CRL_PLAN_FETCH)
		return CRL_PLAN_NOTHING;
	plan_try(c, spread_of(c));
	if (p->phase == CRL_PLAN_WAIT && waits_for < p->next_at)
		p->next_at = waits_for;
	return CRL_PLAN_NOTHING;
}

static enum crl_plan_action on_lost(const struct crl_plan_context *c)
{
	bool fetching = c->p->phase == CRL_PLAN_FETCH;
	c->p->announced = (struct hash){{0}};
	enter(c->p, CRL_PLAN_REST, TIME_NEVER);
	return fetching ? CRL_PLAN_DROP : CRL_PLAN_NOTHING;
}

/* Something newer was announced meanwhile: that is another try, not a failure more. */
static void failed(const struct crl_plan_context *c)
{
	struct crl_plan *p = c->p;
	int64_t          wait = 0;
	if (hash_equal(p->fetching, p->announced))
		wait = part_backoff(c->policy->retry_min_ms, c->policy->retry_max_ms, p->tries++, c->event->random);
	plan_try(c, wait);
}

static enum crl_plan_action on_timer(const struct crl_plan_context *c)
{
	struct crl_plan *p = c->p;
	if (p->phase == CRL_PLAN_REST || c->now < p->next_at)
		return CRL_PLAN_NOTHING;
	if (p->phase == CRL_PLAN_FETCH) {
		failed(c);
		return CRL_PLAN_DROP;
	}
	p->fetching = p->announced;
	p->tried_at = c->now;
	enter(p, CRL_PLAN_FETCH, c->now + c->policy->fetch_ms);
	return CRL_PLAN_BEGIN;
}

static enum crl_plan_action on_taken(const struct crl_plan_context *c)
{
	struct crl_plan *p = c->p;
	if (p->phase != CRL_PLAN_FETCH)
		return CRL_PLAN_NOTHING;
	p->have = p->fetching;
	p->taken_at = c->now;
	p->tries = 0;
	plan_try(c, 0);
	return CRL_PLAN_NOTHING;
}

static enum crl_plan_action on_failed(const struct crl_plan_context *c)
{
	if (c->p->phase == CRL_PLAN_FETCH)
		failed(c);
	return CRL_PLAN_NOTHING;
}

enum crl_plan_action crl_plan_step(struct crl_plan *plan, const struct crl_plan_event *event, int64_t now,
				   const struct crl_plan_policy *policy)
{
	static enum crl_plan_action (*const table[CRL_PLAN_EVENT_COUNT])(const struct crl_plan_context *) = {
		[CRL_PLAN_WANTED] = on_wanted, [CRL_PLAN_ANNOUNCED] = on_announced, [CRL_PLAN_LOST] = on_lost,
		[CRL_PLAN_TIMER] = on_timer,   [CRL_PLAN_TAKEN] = on_taken,         [CRL_PLAN_FAILED] = on_failed,
	};
	struct crl_plan_context c = {.p = plan, .event = event, .policy = policy, .now = now};
	return table[event->kind](&c);
}

const char *crl_plan_phase_name(enum crl_plan_phase p)
{
	static const char *const names[CRL_PLAN_PHASE_COUNT] = {
		[CRL_PLAN_REST] = "rest", [CRL_PLAN_WAIT] = "wait", [CRL_PLAN_FETCH] = "fetch"};
	return (size_t)p < N_ELEMENTS(names) ? names[p] : "unknown";
}

/* sim_care.c - room tests/lib: a keeper's care around the agent core's, for what can be wrong with a simulated service between orders: it serves
 * another certificate than the one in use, or nobody has seen that it serves that. Never: decisions; those are refresh_step()'s. */
#include "shared/base/err.h"
#include "shared/base/times.h"
#include "tests/lib/sim.h"

#define ROUND_MS 250
#define ROUND    5 /* handshakes */

static void care_event(struct sim *s, int agent, int cert, const struct refresh_event *e);

static void on_reload(struct sim *s, const struct sim_event *e)
{
	struct sim_cert *c = &s->agent[e->agent].cert[e->cert];
	if (sim_is_gone(s, e) || c->care.phase != REFRESH_RELOAD)
		return;
	struct refresh_event reloaded = {.kind = REV_RELOADED, .code = disk_reload(s, c), .random = sim_random(s, UINT32_MAX)};
	if (reloaded.code != E_SYS_TIMEOUT)
		care_event(s, e->agent, e->cert, &reloaded);
}

/* As the handshakes tell it. */
static bool is_served(const struct sim *s, const struct sim_cert *c)
{
	return c->loaded == c->current || s->config->mutant == MUTANT_PROBE_LIES;
}

static struct probe_summary seen(const struct sim *s, const struct sim_cert *c)
{
	bool new = c->up && is_served(s, c) && s->now >= c->stale_until;
	return (struct probe_summary){
		.applies = true, .listeners = 1, .answered = c->up, .total = ROUND, .row_new = new ? ROUND : 0, .row_old = c->up && !new ? ROUND : 0};
}

static void on_round(struct sim *s, const struct sim_event *e)
{
	struct sim_cert *c = &s->agent[e->agent].cert[e->cert];
	if (sim_is_gone(s, e) || c->care.phase != REFRESH_PROBE)
		return;
	struct refresh_event probed = {.kind = REV_PROBED, .probe = seen(s, c), .random = sim_random(s, UINT32_MAX)};
	care_event(s, e->agent, e->cert, &probed);
	if (c->care.phase == REFRESH_PROBE)
		sim_later(s, e->agent, e->cert, ROUND_MS, on_round);
}

static void on_timer(struct sim *s, const struct sim_event *e)
{
	struct sim_cert *c = &s->agent[e->agent].cert[e->cert];
	if (sim_is_gone(s, e) || c->care.phase == REFRESH_REST || c->care.next_at > s->now)
		return;
	struct refresh_event timer = {.kind = REV_TIMER, .probe = seen(s, c), .random = sim_random(s, UINT32_MAX)};
	care_event(s, e->agent, e->cert, &timer);
	care_look(s, e->agent, e->cert);
}

static void care_event(struct sim *s, int agent, int cert, const struct refresh_event *e)
{
	struct sim_cert    *c = &s->agent[agent].cert[cert];
	struct refresh_step step;
	if (refresh_step(&c->care, e, s->now, &sim_policy, &step) != 0) {
		sim_error(s, "%s: the care's core refuses an event", c->cert_id);
		return;
	}
	if (step.ignored)
		return;
	bool began_to_look = c->care.phase != REFRESH_PROBE && step.next.phase == REFRESH_PROBE;
	if (c->care.phase != step.next.phase)
		sim_trace(s, "agent %d.%d care: %s -> %s", agent, cert, refresh_phase_name(c->care.phase), refresh_phase_name(step.next.phase));
	c->care = step.next;
	for (size_t i = 0; i < step.n_act; i++) {
		if (step.act[i] == RACT_PROVED)
			c->proved = c->current;
		else if (step.act[i] == RACT_RELOAD)
			sim_later(s, agent, cert, sim_between(s, 5, 800), on_reload);
	}
	if (began_to_look)
		sim_later(s, agent, cert, ROUND_MS, on_round);
	if (c->care.phase != REFRESH_REST && c->care.next_at != TIME_NEVER)
		sim_later(s, agent, cert, c->care.next_at > s->now ? c->care.next_at - s->now : 0, on_timer);
}

bool care_is_due(const struct sim *s, const struct sim_cert *c)
{
	return c->probed && c->up && c->current != 0 && (!is_served(s, c) || c->proved != c->current);
}

void care_look(struct sim *s, int agent, int cert)
{
	const struct sim_cert *c = &s->agent[agent].cert[cert];
	struct refresh_event   want = {.kind = REV_WANT, .reason = c->proved != c->current ? REFRESH_PROVE : REFRESH_HEAL};
	if (s->agent[agent].alive && care_is_due(s, c) && !deploy_owns_place(c->d.phase) && c->d.phase != DEPLOY_HEAL && refresh_may_begin(&c->care, want.reason, &want.content))
		care_event(s, agent, cert, &want);
}

void care_follow(struct sim *s, int agent, int cert)
{
	const struct sim_cert *c = &s->agent[agent].cert[cert];
	if (c->care.phase != REFRESH_REST && deploy_owns_place(c->d.phase))
		care_event(s, agent, cert, &(struct refresh_event){.kind = REV_DROP});
}

/* sim_world.c - room tests/lib: virtual clock, queue of events, randomness from the seed, deaths and the trace.
 * Never: knowing orders or messages. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/times.h"
#include "tests/lib/sim.h"

#define START_AT   INT64_C(1800000000000)
#define BAD_TIME   (90 * MS_MINUTE)
#define BAD_CAMPAIGNS (20 * MS_MINUTE)
#define LONGEST    (8 * MS_HOUR)
#define LONGEST_YEARS (5 * MS_DAY) /* what a wrong clock has planned is waited for */
#define TOLD_MAX 20 /* of what is wrong in one run */
#define DEATHS_MAX 60 /* and one for each host */

uint32_t sim_random(struct sim *s, uint32_t below)
{
	s->random += UINT64_C(0x9e3779b97f4a7c15);
	uint64_t z = s->random;
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (uint32_t)((z ^ (z >> 31)) % below);
}

int64_t sim_between(struct sim *s, int64_t least_ms, int64_t most_ms)
{
	return least_ms + sim_random(s, (uint32_t)(most_ms - least_ms + 1));
}

bool sim_chance(struct sim *s, unsigned per_mille)
{
	return per_mille > 0 && s->now < s->calm_at && sim_random(s, 1000) < per_mille;
}

void sim_hash(struct sim *s, struct hash *ret)
{
	for (size_t i = 0; i < sizeof(ret->b); i++)
		ret->b[i] = (uint8_t)sim_random(s, 256);
}

/* ---- queue: a binary heap by time, then by order of arrival ---- */

static bool before(const struct sim_event *a, const struct sim_event *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void swap_events(struct sim_event **a, struct sim_event **b)
{
	struct sim_event *t = *a;
	*a = *b;
	*b = t;
}

struct sim_event *sim_after(struct sim *s, int64_t ms, sim_fn *fn)
{
	if (s->n_queue == s->cap_queue) {
		s->cap_queue = s->cap_queue == 0 ? 256 : 2 * s->cap_queue;
		s->queue = reallocarray(s->queue, s->cap_queue, sizeof(*s->queue));
		if (s->queue == NULL)
			abort();
	}
	struct sim_event *e = calloc(1, sizeof(*e));
	if (e == NULL)
		abort();
	e->at = s->now + ms;
	e->order = s->events++;
	e->fn = fn;
	size_t i = s->n_queue++;
	s->queue[i] = e;
	for (; i > 0 && before(s->queue[i], s->queue[(i - 1) / 2]); i = (i - 1) / 2)
		swap_events(&s->queue[i], &s->queue[(i - 1) / 2]);
	return e;
}

struct sim_event *sim_later(struct sim *s, int agent, int cert, int64_t ms, sim_fn *fn)
{
	struct sim_event *e = sim_after(s, ms, fn);
	e->agent = agent;
	e->cert = cert;
	e->run = s->agent[agent].run;
	return e;
}

bool sim_is_gone(const struct sim *s, const struct sim_event *e)
{
	return !s->agent[e->agent].alive || s->agent[e->agent].run != e->run;
}

static struct sim_event *take_first(struct sim *s)
{
	struct sim_event *first = s->queue[0];
	s->queue[0] = s->queue[--s->n_queue];
	for (size_t i = 0;;) {
		size_t least = i, left = 2 * i + 1;
		for (size_t child = left; child < left + 2 && child < s->n_queue; child++)
			least = before(s->queue[child], s->queue[least]) ? child : least;
		if (least == i)
			return first;
		swap_events(&s->queue[i], &s->queue[least]);
		i = least;
	}
}

/* ---- trace ---- */

void sim_trace(struct sim *s, const char *fmt, ...)
{
	char    text[256];
	va_list args;
	va_start(args, fmt);
	int n = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	for (int i = 0; i < n && i < (int)sizeof(text) - 1; i++)
		s->trace = (s->trace ^ (uint8_t)text[i]) * UINT64_C(0x100000001b3);
	s->trace = (s->trace ^ (uint64_t)s->now) * UINT64_C(0x100000001b3);
	if (s->verbose)
		printf("%10.3f %s\n", (double)(s->now - START_AT) / 1000, text);
}

static void tell_wrong(struct sim *s, int invariant, const char *fmt, va_list args) _printf_(3, 0);

static void tell_wrong(struct sim *s, int invariant, const char *fmt, va_list args)
{
	s->errors++;
	if (s->mute || s->errors > TOLD_MAX)
		return;
	fprintf(stderr, "%s seed %llu at %.3f s: ", s->config->name, (unsigned long long)s->seed, (double)(s->now - START_AT) / 1000);
	if (invariant > 0)
		fprintf(stderr, "I%d: ", invariant);
	vfprintf(stderr, fmt, args);
	fprintf(stderr, "\n");
}

void sim_error(struct sim *s, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	tell_wrong(s, 0, fmt, args);
	va_end(args);
}

void sim_broken(struct sim *s, enum sim_invariant i, const char *fmt, ...)
{
	va_list args;
	s->broken |= 1u << i;
	va_start(args, fmt);
	tell_wrong(s, (int)i, fmt, args);
	va_end(args);
}

/* ---- deaths ---- */

static void on_start(struct sim *s, const struct sim_event *e)
{
	const bool alive[SIM_ROLES] = {s->controller.alive, s->gateway.alive, s->signer.alive, s->agent[e->agent].alive};
	if (alive[e->act] || years_down(s, (enum sim_role)e->act, e->agent))
		return; /* it starts when that is over */
	switch ((enum sim_role)e->act) {
	case SIM_CONTROLLER:
		control_start(s);
		break;
	case SIM_GATEWAY:
		gateway_start(s);
		break;
	case SIM_SIGNER:
		signer_start(s);
		break;
	case SIM_AGENT:
		agent_start(s, e->agent);
		break;
	case SIM_ROLES:
		break;
	}
}

static void start_later(struct sim *s, enum sim_role role, int agent, int64_t ms)
{
	struct sim_event *e = sim_after(s, ms, on_start);
	e->act = role;
	e->agent = agent;
}

static void dies(struct sim *s, enum sim_role role, int agent)
{
	static const char *const names[SIM_ROLES] = {"controller", "gateway", "signer", "agent"};
	s->kills++;
	sim_trace(s, "%s %d dies", names[role], agent);
	switch (role) {
	case SIM_CONTROLLER:
		control_die(s);
		break;
	case SIM_GATEWAY:
		gateway_die(s);
		break;
	case SIM_SIGNER:
		signer_die(s);
		break;
	case SIM_AGENT:
		agent_die(s, agent);
		break;
	case SIM_ROLES:
		break;
	}
	start_later(s, role, agent, sim_between(s, 100, 20 * MS_SECOND));
}

bool sim_may_die(struct sim *s, enum sim_role role, int agent)
{
	bool enough = s->config->days == 0 && s->kills >= DEATHS_MAX + (unsigned)s->n_agents;
	if (enough || !sim_chance(s, s->config->kill[role]))
		return false;
	dies(s, role, agent);
	return true;
}

/* A minute of the processes that everybody shares. */
static void may_fall(struct sim *s)
{
	if (!sim_chance(s, s->config->fall))
		return;
	enum sim_role role = (enum sim_role)sim_random(s, SIM_AGENT);
	const bool    alive[SIM_AGENT] = {s->controller.alive, s->gateway.alive, s->signer.alive};
	if (alive[role])
		dies(s, role, 0);
}

/* ---- life ---- */

/* One more connection for each, now that nothing is lost: whatever is open is sent again. */
static void on_reconnect(struct sim *s, const struct sim_event *e)
{
	(void)e;
	for (int i = 0; i < s->n_agents; i++)
		net_cut(s, i);
}

static void on_calm(struct sim *s, const struct sim_event *e)
{
	(void)e;
	sim_trace(s, "calm");
	s->ahead = 0;
	years_calm(s);
	for (int i = 0; i < s->n_agents; i++) {
		s->agent[i].ahead = 0;
		agent_repair(s, i);
	}
}

/* A second of what happens by itself. */
static void on_second(struct sim *s, const struct sim_event *e)
{
	(void)e;
	static const int64_t ahead[] = {0, -2 * MS_DAY, -2 * MS_HOUR, -10 * MS_MINUTE, 10 * MS_MINUTE, 2 * MS_HOUR, 3650 * MS_DAY};
	if (s->now >= s->calm_at)
		return;
	net_weather(s);
	if ((s->now - s->begun_at) % MS_MINUTE == 0)
		may_fall(s);
	if (sim_chance(s, s->config->host_jump)) {
		int agent = (int)sim_random(s, (uint32_t)s->n_agents);
		s->agent[agent].ahead = ahead[sim_random(s, N_ELEMENTS(ahead))];
		s->jumps++;
		sim_trace(s, "the clock of %d is %lld s ahead", agent, (long long)(s->agent[agent].ahead / MS_SECOND));
	}
	sim_after(s, MS_SECOND, on_second);
}

struct sim *sim_new(const struct sim_config *config, uint64_t seed, bool verbose)
{
	struct sim *s = calloc(1, sizeof(*s));
	if (s == NULL)
		abort();
	s->config = config;
	s->seed = seed;
	s->random = seed * UINT64_C(0xd1342543de82ef95) + 1;
	s->trace = UINT64_C(0xcbf29ce484222325);
	s->verbose = verbose;
	s->now = s->begun_at = START_AT;
	s->n_agents = config->agents > 0 ? config->agents : 3;
	s->n_certs = config->certs > 0 ? config->certs : 2;
	s->agent = calloc((size_t)s->n_agents, sizeof(*s->agent));
	if (s->agent == NULL)
		abort();
	int64_t bad = config->days > 0 ? config->days * MS_DAY : config->campaigns ? BAD_CAMPAIGNS : BAD_TIME;
	s->calm_at = START_AT + bad;
	control_install(s);
	start_later(s, SIM_SIGNER, 0, 0);
	start_later(s, SIM_CONTROLLER, 0, 100);
	start_later(s, SIM_GATEWAY, 0, 200);
	for (int i = 0; i < s->n_agents; i++)
		start_later(s, SIM_AGENT, i, 300);
	sim_after(s, bad, on_calm);
	sim_after(s, bad + 30 * MS_SECOND, on_reconnect);
	if (config->part > 0 || config->host_jump > 0 || config->fall > 0)
		sim_after(s, MS_SECOND, on_second);
	if (config->days > 0)
		years_begin(s);
	return s;
}

/* What is still going on, for people. */
static void tell(struct sim *s)
{
	for (int i = 0; i < SIM_SLOTS; i++) {
		const struct sim_slot *slot = &s->controller.slot[i];
		if (slot->used)
			sim_trace(s, "order %s.%u is %s, busy %d", slot->o.cert_id, slot->o.attempt,
				  order_phase_name(slot->o.phase), slot->busy);
	}
	for (int i = 0; i < s->n_agents; i++) {
		const struct sim_agent *a = &s->agent[i];
		sim_trace(s, "agent %d alive %d connected %d welcomed %d, session helloed %d, %zu receipts, phases %s %s", i,
			  a->alive, a->connected, a->welcomed, s->controller.session[i].helloed, a->n_receipts,
			  deploy_phase_name(a->cert[0].d.phase), deploy_phase_name(a->cert[1].d.phase));
	}
}

static bool at_rest(struct sim *s)
{
	for (int i = 0; i < s->n_agents; i++) {
		if (!agent_at_rest(s, i))
			return false;
	}
	return control_at_rest(s);
}

void sim_run(struct sim *s)
{
	int64_t look_at = s->calm_at + MS_MINUTE; /* nobody is dead any more */
	int64_t end = s->config->days > 0 ? s->calm_at + LONGEST_YEARS : START_AT + LONGEST;
	while (s->n_queue > 0 && s->errors == 0) {
		struct sim_event *e = take_first(s);
		s->now = e->at;
		int agent = e->agent;
		e->fn(s, e);
		free(e);
		disk_check(s, agent);
		if (s->now >= look_at) {
			if (at_rest(s))
				return;
			look_at = s->now + MS_SECOND;
		}
		if (s->now > end) {
			tell(s);
			sim_broken(s, SIM_ONE_END, "it never comes to rest");
			return;
		}
	}
}

void sim_free(struct sim *s)
{
	while (s->n_queue > 0)
		free(take_first(s));
	free(s->queue);
	if (s->controller.alive)
		control_die(s);
	store_view_close(s->view);
	store_close(s->store);
	free(s->agent);
	free(s);
}

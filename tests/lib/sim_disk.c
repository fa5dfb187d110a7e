/* sim_disk.c - room tests/lib: what a deployment's actions do to keys, generations, `current` and the service, each after a
 * while; and the faults they may meet. Never: decisions. */
#include <string.h>

#include "shared/base/err.h"
#include "shared/base/times.h"
#include "tests/lib/sim.h"

#define PROBE_EACH      5 /* handshakes a round */
#define PROBE_MS        250
#define PROBE_SLOW_MS   (5 * MS_SECOND)
#define PROBE_FAST_TIME MS_MINUTE

static struct sim_cert *cert_of(struct sim *s, const struct sim_event *e)
{
	return &s->agent[e->agent].cert[e->cert];
}

static void answer(struct sim *s, const struct sim_event *e, struct deploy_event *d)
{
	d->renewal_id = e->dev.renewal_id;
	d->attempt = e->dev.attempt;
	agent_event(s, e->agent, e->cert, d);
}

static void fail(const struct sim *s, struct deploy_event *e, int code, const char *cause)
{
	e->code = code;
	if (s->config->mutant != MUTANT_NO_CAUSE)
		memcpy(e->cause, cause, strlen(cause) + 1);
}

/* ---- key, check, write, test ---- */

static void on_key(struct sim *s, const struct sim_event *e)
{
	struct sim_cert *c = cert_of(s, e);
	if (sim_is_gone(s, e) || !id_equal(c->d.renewal_id, e->dev.renewal_id) || c->d.attempt != e->dev.attempt)
		return;
	c->key_there = true;
	c->key_renewal = e->dev.renewal_id;
	c->key_attempt = e->dev.attempt;
	sim_hash(s, &c->key);
	if (sim_may_die(s, SIM_AGENT, e->agent))
		return;
	struct deploy_event d = agent_event_of(s, e->agent, e->cert, DEV_KEY);
	d.spki_hash = c->key;
	answer(s, e, &d);
}

/* By whose clock the keeper judges what is valid; 0 and false: by nobody's. */
static bool judges(const struct sim *s, int agent, int64_t *ret_at)
{
	int64_t own = s->agent[agent].ahead, skew = own > s->ahead ? own - s->ahead : s->ahead - own;
	*ret_at = s->now + (skew > 5 * MS_MINUTE ? s->ahead : own);
	return skew <= MS_DAY;
}

static bool serves_current(const struct sim_cert *c)
{
	return c->up && c->loaded != 0 && c->loaded == c->current;
}

static void on_check(struct sim *s, const struct sim_event *e)
{
	struct sim_cert *c = cert_of(s, e);
	if (sim_is_gone(s, e))
		return;
	struct deploy_event d = agent_event_of(s, e->agent, e->cert, DEV_CHECKED);
	d.had_old = c->current != 0;
	int64_t at;
	bool    right = judges(s, e->agent, &at);
	d.old_valid = d.had_old && c->generation[c->current].not_after_at > at;
	d.was_serving = c->probed && serves_current(c);
	d.was_down = c->probed && !c->up;
	d.old_generation = c->current;
	d.old_fingerprint = c->generation[c->current].fingerprint;
	if (!c->key_there || !hash_equal(c->key, c->certified))
		fail(s, &d, E_PKI_MISMATCH, "key and certificate");
	else if (c->mode == MODE_CHECK_REFUSED)
		fail(s, &d, E_PKI_CHAIN, "foreign");
	else if (c->mode == MODE_CLOCK_WRONG || !right)
		fail(s, &d, E_SWAP_CLOCK, "clock");
	answer(s, e, &d);
}

static void wrote(const struct sim *s, struct sim_generation *g)
{
	g->complete = true;
	g->synced = s->config->mutant != MUTANT_NO_SYNC;
}

static void on_write(struct sim *s, const struct sim_event *e)
{
	struct sim_cert *c = cert_of(s, e);
	if (sim_is_gone(s, e))
		return;
	struct deploy_event d = agent_event_of(s, e->agent, e->cert, DEV_WRITTEN);
	d.generation = e->dev.generation;
	if (c->mode == MODE_WRITE_FAILS)
		fail(s, &d, E_SYS_SPACE, "no space");
	else
		wrote(s, &c->generation[d.generation]);
	if (!sim_may_die(s, SIM_AGENT, e->agent))
		answer(s, e, &d);
}

static void begin_write(struct sim *s, int agent, int cert, const struct deploy_action *a)
{
	struct sim_cert *c = &s->agent[agent].cert[cert];
	for (uint64_t g = 1; g <= c->highest; g++) {
		if (c->generation[g].there && !c->generation[g].complete)
			c->generation[g].there = false;
	}
	if (++c->highest >= SIM_GENERATIONS) {
		sim_error(s, "%s: too many generations", c->cert_id);
		return;
	}
	c->generation[c->highest] = (struct sim_generation){
		.there = true,
		.key = c->key,
		.certified = c->certified,
		.fingerprint = c->d.fingerprint,
		.not_after_at = c->not_after_at,
	};
	if (s->config->mutant == MUTANT_IN_PLACE)
		c->current = c->highest;
	struct sim_event *e = sim_later(s, agent, cert, sim_between(s, 5, 60), on_write);
	e->dev.renewal_id = a->renewal_id;
	e->dev.attempt = a->attempt;
	e->dev.generation = c->highest;
}

static void on_test(struct sim *s, const struct sim_event *e)
{
	if (sim_is_gone(s, e))
		return;
	struct deploy_event d = agent_event_of(s, e->agent, e->cert, DEV_TESTED);
	d.tested = true;
	if (cert_of(s, e)->mode == MODE_TEST_FAILS)
		fail(s, &d, E_SWAP_TEST, "emerg");
	answer(s, e, &d);
}

/* ---- flip ---- */

static void note_flip(struct sim *s, const struct sim_event *e, const struct sim_cert *c)
{
	if (s->n_flips == SIM_FLIPS) {
		sim_error(s, "too many flips");
		return;
	}
	s->flip[s->n_flips++] = (struct sim_flip){e->agent, e->cert, c->current, c->generation[c->current].fingerprint};
}

static void on_flip(struct sim *s, const struct sim_event *e)
{
	struct sim_cert *c = cert_of(s, e);
	bool             back = e->act == DACT_FLIP_BACK;
	if (sim_is_gone(s, e) || sim_may_die(s, SIM_AGENT, e->agent))
		return;
	struct deploy_event d = agent_event_of(s, e->agent, e->cert, DEV_FLIPPED);
	if (c->mode == MODE_FLIP_FAILS && !back) {
		fail(s, &d, E_SYS_IO, "read-only");
	} else {
		c->current = e->dev.generation;
		note_flip(s, e, c);
		if (sim_may_die(s, SIM_AGENT, e->agent)) /* renamed, its folder not synced */
			return;
	}
	if (c->mode == MODE_FLIP_FAILS_LATE && !back)
		fail(s, &d, E_SYS_IO, "fsync");
	else
		c->current_synced = c->current;
	d.current_generation = c->current;
	if (!sim_may_die(s, SIM_AGENT, e->agent)) /* renamed, nobody told */
		answer(s, e, &d);
}

/* ---- reload ---- */

int disk_reload(struct sim *s, struct sim_cert *c)
{
	enum sim_mode mode = c->mode;
	if (mode >= MODE_RELOAD_FAILS && !c->lasting && sim_random(s, 6) == 0)
		c->mode = MODE_OK; /* somebody repaired it: the next one works */
	bool works = s->config->mutant != MUTANT_PROBE_LIES && mode != MODE_RELOAD_FAILS && mode != MODE_RELOAD_NOOP && mode != MODE_KILLS_SERVICE && mode != MODE_SERVICE_DOWN;
	if (mode == MODE_KILLS_SERVICE) {
		c->up = false;
		c->mode = c->lasting ? mode : MODE_OK; /* the next reload starts it */
	} else if (works || s->config->mutant == MUTANT_PROBE_LIES) {
		c->up = true;
		c->loaded = works ? c->current : c->loaded;
	}
	if (mode == MODE_STALE_WORKER)
		c->stale_until = s->now + sim_between(s, 0, 20 * MS_SECOND);
	if (mode == MODE_RELOAD_HANGS)
		return E_SYS_TIMEOUT;
	return mode == MODE_RELOAD_FAILS || mode == MODE_RELOAD_LIES || mode == MODE_SERVICE_DOWN ? E_HOOK_FAILED : 0;
}

static void on_reload(struct sim *s, const struct sim_event *e)
{
	struct sim_cert    *c = cert_of(s, e);
	struct deploy_event d = agent_event_of(s, e->agent, e->cert, DEV_RELOADED);
	if (sim_is_gone(s, e))
		return;
	int r = disk_reload(s, c);
	if (r == E_SYS_TIMEOUT)
		return;
	if (r != 0)
		fail(s, &d, r, "exit 1");
	d.blind = d.code != 0 && !c->probed;
	answer(s, e, &d);
}

/* ---- probes ---- */

/* One round: every handshake sees what the service serves now; a stale worker answers in between. */
static void probe_round(struct sim *s, struct sim_cert *c)
{
	struct probe_summary *p = &c->probe;
	p->listeners = 1;
	p->answered = c->up ? 1 : 0;
	p->total += PROBE_EACH;
	if (!c->up) {
		p->row_new = p->row_old = 0;
		p->failed += PROBE_EACH;
		return;
	}
	bool        lies = s->config->mutant == MUTANT_PROBE_LIES;
	struct hash served = c->generation[lies ? c->current : c->loaded].fingerprint;
	bool        stale = s->now < c->stale_until && sim_random(s, 2) == 0;
	if (stale || ((c->loaded != 0 || lies) && hash_equal(served, c->d.old_fingerprint) && !hash_equal(served, c->d.fingerprint))) {
		p->row_old += PROBE_EACH;
		p->row_new = 0;
		p->last_old_at = s->now;
	} else if ((c->loaded != 0 || lies) && hash_equal(served, c->d.fingerprint)) {
		p->row_new += PROBE_EACH;
		p->row_old = 0;
	} else {
		p->row_new = p->row_old = 0;
		p->wrong = true;
	}
}

static void on_probe(struct sim *s, const struct sim_event *e)
{
	struct sim_cert *c = cert_of(s, e);
	if (sim_is_gone(s, e) || !c->probing || (uint64_t)c->probing_since != e->link)
		return;
	probe_round(s, c);
	struct deploy_event d = agent_event_of(s, e->agent, e->cert, DEV_PROBED);
	agent_event(s, e->agent, e->cert, &d);
	if (sim_is_gone(s, e) || !c->probing || (uint64_t)c->probing_since != e->link)
		return;
	int64_t           pause = s->now - c->probing_since < PROBE_FAST_TIME ? PROBE_MS : PROBE_SLOW_MS;
	struct sim_event *next = sim_later(s, e->agent, e->cert, pause, on_probe);
	next->link = e->link;
}

static void probe_reset(struct sim *s, int agent, int cert)
{
	struct sim_cert *c = &s->agent[agent].cert[cert];
	c->probe = (struct probe_summary){.applies = c->probed};
	if (!c->probed)
		return;
	c->probing = true;
	c->probing_since = s->now;
	struct sim_event *e = sim_later(s, agent, cert, PROBE_MS, on_probe);
	e->link = (uint64_t)s->now;
}

/* ---- removing ---- */

static void discard(struct sim *s, int agent, int cert, const struct deploy_action *a)
{
	struct sim_cert *c = &s->agent[agent].cert[cert];
	if (c->key_there && id_equal(c->key_renewal, a->renewal_id) && c->key_attempt == a->attempt)
		c->key_there = false;
	if (a->generation != 0 && a->generation == c->current)
		sim_error(s, "%s: the generation in use is to be discarded", c->cert_id);
	else if (a->generation != 0)
		c->generation[a->generation].there = false;
}

static void prune(struct sim *s, int agent, int cert)
{
	struct sim_cert *c = &s->agent[agent].cert[cert];
	for (uint64_t g = 1; g <= c->highest; g++) {
		if (g != c->current && g != c->d.old_generation)
			c->generation[g].there = false;
	}
}

static void begin(struct sim *s, int agent, int cert, const struct deploy_action *a, int64_t most_ms, sim_fn *fn)
{
	struct sim_event *e = sim_later(s, agent, cert, sim_between(s, 5, most_ms), fn);
	e->dev.renewal_id = a->renewal_id;
	e->dev.attempt = a->attempt;
	e->dev.generation = a->generation;
	e->act = a->kind;
}

void disk_act(struct sim *s, int agent, int cert, const struct deploy_action *a)
{
	struct sim_cert *c = &s->agent[agent].cert[cert];
	switch (a->kind) {
	case DACT_MAKE_KEY:
		begin(s, agent, cert, a, 900, on_key);
		break;
	case DACT_CHECK:
		disk_take_stage(s, agent, cert);
		c->lasting = years_mode(s, agent, &c->mode);
		if (!c->lasting)
			c->mode = sim_chance(s, s->config->target) ? (enum sim_mode)(1 + sim_random(s, MODE_PASSING - 1)) : MODE_OK;
		sim_trace(s, "agent %d.%d mode %d", agent, cert, (int)c->mode);
		begin(s, agent, cert, a, 300, on_check);
		break;
	case DACT_WRITE:
		begin_write(s, agent, cert, a);
		break;
	case DACT_TEST:
		begin(s, agent, cert, a, 400, on_test);
		break;
	case DACT_FLIP:
	case DACT_FLIP_BACK:
		begin(s, agent, cert, a, 20, on_flip);
		break;
	case DACT_RELOAD:
		begin(s, agent, cert, a, 800, on_reload);
		break;
	case DACT_PROBE_RESET:
		probe_reset(s, agent, cert);
		break;
	case DACT_PROBE_STOP:
		c->probing = false;
		break;
	case DACT_DISCARD:
		discard(s, agent, cert, a);
		break;
	case DACT_PRUNE:
		prune(s, agent, cert);
		break;
	default:
		sim_error(s, "%s is no work for the disk", deploy_action_name(a->kind));
		break;
	}
}

void disk_take_stage(struct sim *s, int agent, int cert)
{
	struct sim_cert *c = &s->agent[agent].cert[cert];
	if (!c->staged_there || !hash_equal(c->staged, c->d.spki_hash))
		return;
	c->staged_there = c->staged_ready = false;
	c->key_there = true;
	c->key = c->staged;
	c->key_renewal = c->d.renewal_id;
	c->key_attempt = c->d.attempt;
}

void disk_check(struct sim *s, int agent)
{
	for (int cert = 0; cert < s->n_certs; cert++) {
		const struct sim_cert       *c = &s->agent[agent].cert[cert];
		const struct sim_generation *g = &c->generation[c->current];
		if (c->current != 0 && (!g->there || !g->complete || !hash_equal(g->key, g->certified)))
			sim_broken(s, SIM_WHOLE_PAIR, "%s: current names no complete matching pair", c->cert_id);
	}
}

/* Each of them by chance: the link, whose folder was not synced, and every file that was not. */
void disk_power_cut(struct sim *s, int agent)
{
	for (int cert = 0; cert < s->n_certs; cert++) {
		struct sim_cert *c = &s->agent[agent].cert[cert];
		if (c->current != c->current_synced && sim_random(s, 2) == 0) {
			c->current = c->current_synced;
			s->reverted++;
		}
		for (uint64_t g = 1; g <= c->highest; g++)
			if (c->generation[g].complete && !c->generation[g].synced)
				c->generation[g].complete = sim_random(s, 2) == 0;
		c->current_synced = c->current;
	}
}

/* What a start sees must stay so: the run before may have died between the rename and its sync. */
void disk_sync(struct sim *s, int agent, int cert)
{
	struct sim_cert *c = &s->agent[agent].cert[cert];
	if (s->config->mutant != MUTANT_NO_SYNC_START)
		c->current_synced = c->current;
}

void disk_private_key(const struct hash *public_key, struct hash *ret)
{
	for (size_t i = 0; i < sizeof(ret->b); i++)
		ret->b[i] = (uint8_t)~public_key->b[i];
}

/* probe.c - room agent/keeper: the probe stream of one target.
 * Never: more than the target's handshakes per second; judging what it saw. */
#include "agent/keeper/probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/text.h"
#include "shared/conf/target_conf.h"
#include "shared/sys/clock.h"
#include "shared/sys/fault.h"

enum {
	PROBE_TIMEOUT_MS = 3000,
	CALM_GAP_MS = 250,   /* before the flip: few, the budget is for after it */
	RELOAD_GAP_MS = 100, /* while the reload runs: most services answer anew only behind it */
	HUNT_MIN_MS = 15,    /* behind it: an nginx answers with both workers for 100 ms, and the proof must still fit the budget then */
	HUNT_GROWTH = 8,     /* gaps grow by an eighth: the wait stays a fraction of the time that the service took */
	HUNT_MAX_MS = 50,
	EXPECT_GAP_MS = 25, /* how long old answers came last time is known: few before that, ... */
	EXPECT_MIN_MS = 8,  /* ... closer together from then on, with gaps that grow by a quarter */
	EXPECT_GROWTH = 4,
	HUNT_LONG = 100, /* after so many without a new answer the service is sick */
	SICK_GAP_MS = 500,
	PROVED_ROW = 3,
	PER_SECOND_MAX = 20,
	WINDOW_MS = 1000,
};

struct listener {
	struct probe     *probe;
	char              address[ADDRESS_SIZE];
	struct tls_probe *running;
	uint64_t          era;   /* of the running handshake */
	uint64_t          tried; /* finished in this era */
	bool              answered;
	bool              wrong;
	uint32_t          row_new, row_old, row_trust;
	struct hash       fingerprint; /* last seen; none = no answer */
	struct hash       ca_names;    /* of that answer */
};

struct probe {
	uv_loop_t         *loop;
	uv_timer_t         timer;
	bool               closing;
	unsigned           running;
	struct tls_probes *tls;
	char               sni[DNS_NAME_SIZE];
	enum verify_kind   kind;
	int64_t            per_second;
	struct hash        fingerprint, old_fingerprint, ca_names;
	bool               asks; /* some listener named the authorities of its clients since the reset */
	struct buf         chain;
	probe_round_fn    *round;
	void              *ctx;
	struct listener    listeners[TARGET_LISTENERS_MAX];
	size_t             n;
	size_t             turn;
	uint64_t           era;
	bool               flipped;  /* a reset was made: the hunt is on */
	bool               reloaded; /* ... in earnest */
	bool               found;    /* a new answer since the reset */
	bool               last_new; /* the last answer was a new one */
	unsigned           hunts;    /* handshakes since the reload that looked for a new answer */
	int64_t            hunt_gap_ms, hunt_growth;
	int64_t            expect_ms;   /* after the reload; see struct probe_plan */
	int64_t            reloaded_at; /* monotonic */
	int64_t            old_ms;      /* between the reload and the last old answer */
	int64_t            started[PER_SECOND_MAX]; /* monotonic; the last per_second starts */
	size_t             at;
	uint64_t           total, failed;
	int64_t            first_new_at, last_old_at;
	char               trouble[CAUSE_SIZE];
};

/* ---- counting ---------------------------------------------------------------------------------------------------- */

static void answer_count(struct probe *p, struct listener *l, const struct tls_probe_seen *seen)
{
	int64_t now = clock_steady();
	bool    leaf_new = seen->code == 0 && hash_equal(seen->fingerprint, p->fingerprint);
	bool    is_new = leaf_new && span_equal(seen->chain, buf_span(&p->chain));
	bool    is_old = seen->code == 0 && !hash_is_none(p->old_fingerprint) && hash_equal(seen->fingerprint, p->old_fingerprint);
	l->row_new = is_new ? l->row_new + 1 : 0;
	l->row_old = is_old ? l->row_old + 1 : 0;
	l->row_trust = is_new && hash_equal(seen->ca_names, p->ca_names) ? l->row_trust + 1 : 0;
	p->asks |= !hash_is_none(seen->ca_names);
	l->answered |= seen->code == 0;
	l->wrong = seen->code == 0 && !leaf_new && !is_old;
	l->fingerprint = seen->code == 0 ? seen->fingerprint : (struct hash){{0}};
	l->ca_names = seen->ca_names;
	if (is_new && p->first_new_at == 0)
		p->first_new_at = now;
	p->found |= is_new;
	p->last_new = is_new;
	if (is_old && p->flipped)
		p->last_old_at = now;
	if (is_old && p->reloaded)
		p->old_ms = clock_monotonic() - p->reloaded_at;
	if (seen->code != 0) {
		p->failed++;
		snprintf(p->trouble, sizeof(p->trouble), "%s: %s", l->address, seen->cause);
	} else if (leaf_new && !is_new) {
		snprintf(p->trouble, sizeof(p->trouble), "%s: the new certificate is served without its full chain", l->address);
	} else if (l->wrong) {
		char text[HASH_TEXT_SIZE];
		snprintf(p->trouble, sizeof(p->trouble), "%s: serves another certificate, SHA-256 %.16s...", l->address,
		         hash_text(seen->fingerprint, text));
	}
}

static void probe_plan_next(struct probe *p);

static void on_seen(void *ctx, const struct tls_probe_seen *seen)
{
	struct listener *l = ctx;
	struct probe    *p = l->probe;
	l->running = NULL;
	p->running--;
	p->total++;
	/* a handshake that began before the reset says nothing about the time after it, but a failure is a failure */
	if (l->era == p->era) {
		l->tried++;
		answer_count(p, l, seen);
	} else if (seen->code != 0) {
		p->failed++;
	}
	(void)fault_point("keeper.probe");
	probe_plan_next(p);
	p->round(p->ctx);
}

/* ---- pacing ------------------------------------------------------------------------------------------------------ */

static uint32_t row_shortest(const struct probe *p)
{
	uint32_t row = UINT32_MAX;
	for (size_t i = 0; i < p->n; i++)
		row = p->listeners[i].row_new < row ? p->listeners[i].row_new : row;
	return row;
}

static bool hunting(const struct probe *p)
{
	return p->flipped && !p->last_new && row_shortest(p) < PROVED_ROW;
}

/* Never more than per_second starts in any second: the time until one more is allowed. */
static int64_t budget_wait(const struct probe *p, int64_t now)
{
	size_t  oldest = p->at % (size_t)p->per_second;
	int64_t free_at = p->started[oldest] == 0 ? now : p->started[oldest] + WINDOW_MS;
	return free_at > now ? free_at - now : 0;
}

/* A row is built back to back; an old answer in it means that old workers are still there, and the hunt goes on. */
static int64_t gap_next(const struct probe *p)
{
	if (!p->flipped)
		return probe_complete(p) ? CALM_GAP_MS : 0;
	if (hunting(p))
		return p->hunts > HUNT_LONG ? SICK_GAP_MS : p->hunt_gap_ms;
	return row_shortest(p) < PROVED_ROW ? 0 : WINDOW_MS / p->per_second;
}

/* The gap until the next handshake of the hunt: short when the old answers should be over. */
static void hunt_plan(struct probe *p)
{
	int64_t left = p->expect_ms - (clock_monotonic() - p->reloaded_at);
	if (p->expect_ms != 0 && left > 0) {
		p->hunt_gap_ms = left < EXPECT_GAP_MS ? left : EXPECT_GAP_MS;
	} else if (p->expect_ms != 0) {
		p->expect_ms = 0;
		p->hunt_gap_ms = EXPECT_MIN_MS;
		p->hunt_growth = EXPECT_GROWTH;
	} else {
		p->hunt_gap_ms += p->hunt_gap_ms / p->hunt_growth;
		if (p->hunt_gap_ms > HUNT_MAX_MS)
			p->hunt_gap_ms = HUNT_MAX_MS;
	}
}

static void on_timer(uv_timer_t *timer);

static void probe_plan_next(struct probe *p)
{
	if (p->closing || uv_is_active((uv_handle_t *)&p->timer))
		return;
	int64_t wait = budget_wait(p, clock_monotonic());
	int64_t gap = gap_next(p);
	uv_timer_start(&p->timer, on_timer, (uint64_t)(wait > gap ? wait : gap), 0);
}

/* The listener that needs a handshake most: the shortest row, in turns. */
static struct listener *listener_pick(struct probe *p)
{
	struct listener *best = NULL;
	for (size_t i = 0; i < p->n; i++) {
		struct listener *l = &p->listeners[(p->turn + i) % p->n];
		if (l->running != NULL)
			continue;
		if (best == NULL || (l->tried == 0 && best->tried > 0) || (p->found && l->row_new < best->row_new))
			best = l;
	}
	if (best != NULL)
		p->turn = (size_t)(best - p->listeners) + 1;
	return best;
}

static void on_timer(uv_timer_t *timer)
{
	struct probe    *p = timer->data;
	struct listener *l = listener_pick(p);
	if (l == NULL || (!p->flipped && l->tried > 0 && !probe_complete(p)))
		return; /* all are busy, or all that matter now: the first that ends plans the next */
	int64_t now = clock_monotonic();
	if (budget_wait(p, now) > 0) {
		probe_plan_next(p);
		return;
	}
	p->started[p->at++ % (size_t)p->per_second] = now;
	if (hunting(p))
		p->hunts++;
	if (hunting(p) && p->reloaded)
		hunt_plan(p);
	l->era = p->era;
	if (tls_probe_start(p->tls, p->loop, l->address, p->kind, p->sni, PROBE_TIMEOUT_MS, on_seen, l, &l->running) != 0) {
		p->total++;
		p->failed++;
		l->tried++;
		l->running = NULL;
		snprintf(p->trouble, sizeof(p->trouble), "%s: no memory or no address", l->address);
	} else {
		p->running++;
	}
	probe_plan_next(p);
}

/* ---- outside ----------------------------------------------------------------------------------------------------- */

static int listeners_read(struct probe *p, const char *list)
{
	const char *cursor = list;
	char        item[ADDRESS_SIZE];
	while (text_item(&cursor, item, sizeof(item))) {
		if (p->n == N_ELEMENTS(p->listeners))
			return E_SWAP_TARGET;
		struct listener *l = &p->listeners[p->n++];
		memcpy(l->address, item, sizeof(item));
		l->probe = p;
	}
	return cursor != NULL && p->n > 0 ? 0 : E_SWAP_TARGET;
}

int probe_open(uv_loop_t *loop, struct tls_probes *tls, const struct probe_plan *plan, probe_round_fn *round, void *ctx,
               struct probe **ret)
{
	struct probe *p = calloc(1, sizeof(*p));
	if (p == NULL)
		return E_NOMEM;
	*p = (struct probe){
		.loop = loop,
		.tls = tls,
		.kind = plan->kind,
		.per_second = plan->per_second < 1 ? 1 : plan->per_second > PER_SECOND_MAX ? PER_SECOND_MAX : plan->per_second,
		.fingerprint = plan->fingerprint,
		.old_fingerprint = plan->old_fingerprint,
		.ca_names = plan->ca_names,
		.expect_ms = plan->expect_ms,
		.chain = BUF_MAX(65536),
		.round = round,
		.ctx = ctx,
	};
	buf_add(&p->chain, plan->chain.p, plan->chain.n);
	int r = buf_error(&p->chain);
	if (r == 0)
		r = text_copy(p->sni, sizeof(p->sni), plan->sni);
	if (r == 0)
		r = listeners_read(p, plan->listeners);
	if (r != 0) {
		buf_free(&p->chain);
		free(p);
		return r;
	}
	p->timer.data = p;
	uv_timer_init(loop, &p->timer);
	probe_plan_next(p);
	*ret = p;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	struct probe *p = handle->data;
	buf_free(&p->chain);
	free(p);
}

void probe_free(struct probe *p)
{
	if (p == NULL || p->closing)
		return;
	p->closing = true;
	for (size_t i = 0; i < p->n; i++)
		tls_probe_forget(p->listeners[i].running);
	uv_close((uv_handle_t *)&p->timer, on_closed);
}

void probe_reset(struct probe *p)
{
	p->era++;
	p->flipped = true;
	p->found = p->last_new = p->reloaded = false;
	p->hunts = 0;
	p->hunt_gap_ms = RELOAD_GAP_MS;
	p->last_old_at = 0;
	p->first_new_at = 0;
	p->trouble[0] = '\0';
	p->asks = false;
	for (size_t i = 0; i < p->n; i++) {
		struct listener *l = &p->listeners[i];
		l->tried = 0;
		l->answered = l->wrong = false;
		l->row_new = l->row_old = l->row_trust = 0;
	}
	uv_timer_stop(&p->timer);
	probe_plan_next(p);
}

void probe_reloaded(struct probe *p)
{
	p->reloaded = true;
	p->reloaded_at = clock_monotonic();
	p->hunts = 0;
	p->hunt_gap_ms = HUNT_MIN_MS;
	p->hunt_growth = HUNT_GROWTH;
	p->old_ms = 0;
	if (p->expect_ms != 0)
		hunt_plan(p);
	uv_timer_stop(&p->timer);
	probe_plan_next(p);
}

bool probe_complete(const struct probe *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->listeners[i].tried == 0)
			return false;
	return true;
}

void probe_summary(const struct probe *p, struct probe_summary *ret)
{
	struct probe_summary s = {
		.applies = true,
		.row_new = row_shortest(p),
		.row_old = UINT32_MAX,
		.row_trust = UINT32_MAX,
		.asks = p->asks,
		.listeners = (uint32_t)p->n,
		.last_old_at = p->last_old_at,
		.total = p->total,
		.failed = p->failed,
	};
	for (size_t i = 0; i < p->n; i++) {
		const struct listener *l = &p->listeners[i];
		s.row_old = l->row_old < s.row_old ? l->row_old : s.row_old;
		s.row_trust = l->row_trust < s.row_trust ? l->row_trust : s.row_trust;
		s.answered += l->answered;
		s.wrong |= l->wrong;
	}
	*ret = s;
}

int64_t probe_old_ms(const struct probe *p)
{
	return p->first_new_at == 0 || !p->reloaded ? 0 : p->old_ms < 1 ? 1 : p->old_ms;
}

int64_t probe_first_new_at(const struct probe *p)
{
	return p->first_new_at;
}

uint32_t probe_listeners(const struct probe *p, uint32_t verify_row, struct receipt_listener ret[MSG_LISTENERS_MAX])
{
	for (size_t i = 0; i < p->n; i++) {
		struct receipt_listener row = {
			.fingerprint = p->listeners[i].fingerprint,
			.proved = p->listeners[i].row_new >= verify_row,
		};
		memcpy(row.address, p->listeners[i].address, sizeof(row.address));
		ret[i] = row;
	}
	return (uint32_t)p->n;
}

struct hash probe_ca_names(const struct probe *p)
{
	for (size_t i = 1; i < p->n; i++)
		if (!hash_equal(p->listeners[i].ca_names, p->listeners[0].ca_names))
			return (struct hash){{0}};
	return p->listeners[0].ca_names;
}

const char *probe_trouble(const struct probe *p)
{
	return p->trouble;
}

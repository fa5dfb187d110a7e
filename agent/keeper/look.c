/* look.c - room agent/keeper: now and then one handshake with each listener of a place: what is served?
 * Never: changing anything. */
#include "agent/keeper/look.h"

#include <stdlib.h>

#include "agent/keeper/care.h"
#include "agent/keeper/place.h"
#include "agent/keeper/swap_check.h"
#include "agent/keeper/targets.h"
#include "shared/sys/clock.h"
#include "shared/sys/fault.h"
#include "shared/sys/log.h"

enum {
	LOOK_MS = 60 * 1000,
	LOOK_EACH_MS = 3 * 1000,      /* many listeners are looked at more rarely: a host's idle time is not ours to spend, ... */
	LOOK_MAX_MS = 10 * 60 * 1000, /* ... but what is served is known to be so young */
	LOOK_AGAIN_MS = 1000, /* what looks wrong is looked at twice */
	LOOK_WRONG_MS = 5000, /* and as long as it is wrong: who mends it wants to see that it is */
	REHEARSE_FIRST_MS = 10 * 60 * 1000,
	REHEARSE_LATE_MS = 2 * 3600 * 1000,
	DAY_MS = 24 * 3600 * 1000,
};

/* ---- looking ----------------------------------------------------------------------------------------------------- */

void look_end(struct place *p)
{
	if (!p->looking)
		return;
	probe_free(p->care_probe);
	p->care_probe = NULL;
	p->looking = false;
}

static int code_of(const struct probe_summary *s)
{
	if (s->answered < s->listeners)
		return E_SWAP_PROBE;
	return s->row_new > 0 ? 0 : s->wrong ? E_SWAP_WRONG : E_SWAP_STALE;
}

void look_proved(struct place *p)
{
	p->suspect = false;
	p->look_code = 0;
	p->stale_since_at = 0;
	p->down = false;
	p->down_since_at = 0;
}

/* The log and the controller hear what a look found. */
static void tell(struct place *p)
{
	log_line(p->look_code == 0 ? LOG_LEVEL_NOTICE : LOG_LEVEL_WARNING, NULL, "%s: %s", p->stem,
		 p->look_code == 0 ? "the issued certificate is served" : err_what(p->look_code));
	target_report(p);
}

void look_proved_by_order(struct place *p)
{
	bool told = p->look_code != 0;
	look_proved(p);
	if (told)
		tell(p);
}

static void look_within(struct place *p, int64_t ms)
{
	int64_t at = clock_monotonic() + ms;
	if (at < p->look_due)
		p->look_due = at;
}

/* Who does not answer at all is down, not stale. */
static void believe(struct place *p, int code, bool stale)
{
	int64_t now = clock_now();
	if (code == 0) {
		look_proved(p);
		return;
	}
	p->suspect = false;
	p->look_code = code;
	if (stale && p->stale_since_at == 0)
		p->stale_since_at = now;
	if (!p->down || p->down_since_at == 0)
		p->down_since_at = p->down ? now : 0;
	look_within(p, LOOK_WRONG_MS);
}

/* One wrong answer, or none, may come from a worker that is just leaving or starting. */
static void judge(struct place *p, const struct probe_summary *s)
{
	int  code = code_of(s);
	bool stale = code == E_SWAP_WRONG || code == E_SWAP_STALE;
	bool changed = code != p->look_code;
	p->down = s->answered == 0;
	if (code != 0 && changed && !p->suspect) {
		p->suspect = true;
		look_within(p, LOOK_AGAIN_MS);
		return;
	}
	believe(p, code, stale);
	if (changed)
		tell(p);
	if (stale || changed)
		care_look(p);
}

static void on_round(void *ctx)
{
	struct place        *p = ctx;
	struct probe_summary s;
	if (!p->looking || !probe_complete(p->care_probe))
		return;
	probe_summary(p->care_probe, &s);
	place_saw(p, p->care_probe, 1);
	look_end(p);
	judge(p, &s);
}

static int64_t host_gap(const struct keeper *k)
{
	int64_t n = 0;
	for (size_t i = 0; i < k->n_managed; i++)
		for (size_t j = 0; j < k->managed[i]->n_places; j++)
			n += k->managed[i]->places[j]->n_seen;
	int64_t ms = n * LOOK_EACH_MS;
	return ms < LOOK_MS ? LOOK_MS : ms > LOOK_MAX_MS ? LOOK_MAX_MS : ms;
}

/* The gaps differ from time to time, so that fifty targets do not look in step. */
static int64_t gap(const struct keeper *k)
{
	uint32_t random;
	int64_t  ms = fault_ms("VCC_LOOK_MS", host_gap(k));
	entropy(&random, sizeof(random));
	return ms * 3 / 4 + (int64_t)random % (ms / 2 + 1);
}

void look_beat(struct place *p, int64_t now)
{
	bool at_rest = p->care.phase == REFRESH_REST || p->care.phase == REFRESH_WAIT;
	if (now < p->look_due || p->looking || !at_rest || p->care_probe != NULL || !target_probed(&p->conf))
		return;
	struct refusal why = {.code = 0};
	p->look_due = now + gap(p->managed->keeper);
	if (swap_probe_live(p, on_round, &p->care_probe, &why) != 0) {
		log_refusal(LOG_LEVEL_WARNING, NULL, &why);
		return;
	}
	p->looking = true;
}

/* ---- rehearsal --------------------------------------------------------------------------------------------------- */

bool rehearsal_due(struct place *p, int64_t now)
{
	int64_t day = fault_ms("VCC_REHEARSE_MS", DAY_MS);
	if (p->rehearse_due == 0) {
		/* stable over restarts, spread over a quarter of the day */
		int64_t spread = day / 4 > 0 ? (int64_t)(p->digest.b[0] << 8 | p->digest.b[1]) * (day / 4) / 65536 : 0;
		int64_t first = day < REHEARSE_FIRST_MS ? day : REHEARSE_FIRST_MS;
		p->rehearse_due = p->rehearsed_at == 0 ? now + first : p->rehearsed_at + day - spread;
	}
	/* a clock that was wrong must not put it off for years */
	if (p->rehearse_due > now + day)
		p->rehearse_due = now + day;
	return now >= p->rehearse_due;
}

bool rehearsal_late(const struct place *p, int64_t now)
{
	return p->rehearse_due != 0 && now - p->rehearse_due > REHEARSE_LATE_MS;
}

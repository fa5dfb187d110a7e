/* place_state.c - room agent/keeper: what is the matter with one place, in few words.
 * Never: changing anything. */
#include "agent/keeper/place_state.h"

#include "agent/keeper/keeper_clock.h"
#include "agent/keeper/look.h"
#include "agent/keeper/swap.h"
#include "shared/sys/clock.h"

const char *served_state_name(enum served_state s)
{
	static const char *const names[SERVED_STATE_COUNT] = {
		[SERVED_NOTHING] = "nothing_issued", [SERVED_YES] = "served",       [SERVED_STALE] = "stale",
		[SERVED_DOWN] = "down",              [SERVED_PARTLY] = "partly",    [SERVED_CHANGING] = "changing",
		[SERVED_UNSEEN] = "not_looked_at",   [SERVED_UNPROBED] = "unprobed",
	};
	return (size_t)s < N_ELEMENTS(names) ? names[s] : "unknown";
}

/* ---- served ------------------------------------------------------------------------------------------------------ */

/* From the flip to the proof, and on the way back: old and new answers are both as they should be. */
static bool in_the_middle(const struct deploy *d)
{
	return d->phase >= DEPLOY_FLIP && d->phase < DEPLOY_HEAL;
}

static bool was_proved(const struct deploy *d)
{
	return d->receipted && (d->outcome == RECEIPT_VERIFIED || d->outcome == RECEIPT_SETTLED);
}

/* A pair that was kept without proof is what is issued; the stream of probes tells what is served instead. */
static enum served_state healing(const struct place *p, int64_t *ret_since_at)
{
	struct probe_summary s = {.answered = 1};
	if (p->probe != NULL)
		probe_summary(p->probe, &s);
	*ret_since_at = clock_of_steady(p->managed->deploy.flipped_at);
	return s.answered == 0 ? SERVED_DOWN : SERVED_STALE;
}

static enum served_state seen(const struct place *p)
{
	for (uint32_t i = 0; i < p->n_seen; i++) {
		if (hash_is_none(p->seen[i].fingerprint))
			return SERVED_PARTLY;
		if (!hash_equal(p->seen[i].fingerprint, p->managed->live.fingerprint))
			return SERVED_UNSEEN; /* one wrong answer: it is looked at once more before anybody believes it */
	}
	return p->n_seen > 0 ? SERVED_YES : SERVED_UNSEEN;
}

enum served_state place_served(const struct place *p, int64_t *ret_since_at)
{
	const struct managed *m = p->managed;
	*ret_since_at = 0;
	if (in_the_middle(&m->deploy))
		return SERVED_CHANGING;
	if (m->live.certificate.n == 0)
		return SERVED_NOTHING;
	if (!p->present || !target_probed(&p->conf))
		return p->present ? SERVED_UNPROBED : SERVED_UNSEEN;
	if (p->down_since_at != 0 || p->stale_since_at != 0) {
		*ret_since_at = p->down_since_at != 0 ? p->down_since_at : p->stale_since_at;
		return p->down_since_at != 0 ? SERVED_DOWN : SERVED_STALE;
	}
	if (m->deploy.phase == DEPLOY_HEAL)
		return healing(p, ret_since_at);
	return p->look_code == E_SWAP_PROBE ? SERVED_PARTLY : seen(p);
}

/* ---- trouble ----------------------------------------------------------------------------------------------------- */

/* An order's failure is history once its certificate was proved. */
static int order_trouble(const struct deploy *d, const char **ret_text)
{
	bool proved = was_proved(d);
	if (proved && d->phase == DEPLOY_HEAL) {
		*ret_text = "proved once, but an old worker goes on with the certificate before it";
		return E_SWAP_STALE;
	}
	*ret_text = d->cause;
	return proved ? 0 : d->code;
}

int place_trouble(const struct place *p, const char **ret_text)
{
	const struct deploy *d = &p->managed->deploy;
	int                  of_order = order_trouble(d, ret_text);
	if (of_order != 0 && d->phase == DEPLOY_HEAL)
		return of_order; /* it says more than that nobody answers */
	if (p->look_code != 0) {
		*ret_text = err_what(p->look_code);
		return p->look_code;
	}
	if (p->files_code != 0 || p->care.code != 0) {
		*ret_text = p->files_code != 0 ? p->files_cause : p->care.cause;
		return p->files_code != 0 ? p->files_code : p->care.code;
	}
	return of_order;
}

/* ---- all in all -------------------------------------------------------------------------------------------------- */

bool place_rehearsed(const struct place *p, int64_t now)
{
	return p->rehearsal_code == 0 && !rehearsal_late(p, now);
}

bool place_ok(const struct place *p, int64_t now)
{
	const struct live *l = &p->managed->live;
	int64_t            since_at;
	const char        *text;
	enum served_state  served = place_served(p, &since_at);
	int                code = place_trouble(p, &text);
	if (served == SERVED_STALE || served == SERVED_DOWN || served == SERVED_PARTLY)
		return false;
	if (code != 0 && code != E_SWAP_CANCELLED) /* what a person cancelled is no trouble */
		return false;
	if (l->certificate.n > 0 && l->not_after_at != 0 && l->not_after_at <= now)
		return false;
	return !p->rival.alarm && (p->present || p->retired) && place_rehearsed(p, clock_now());
}

/* ---- next -------------------------------------------------------------------------------------------------------- */

static const char *next_of_order(const struct deploy *d, int64_t *ret_at)
{
	static const char *const words[DEPLOY_PHASE_COUNT] = {
		[DEPLOY_KEY] = "key",         [DEPLOY_CSR] = "certificate",   [DEPLOY_WINDOW] = "window",    [DEPLOY_CHECK] = "check",
		[DEPLOY_WRITE] = "write",     [DEPLOY_TEST] = "test",         [DEPLOY_FLIP] = "flip",        [DEPLOY_RELOAD] = "reload",
		[DEPLOY_PROBE] = "proof",     [DEPLOY_SETTLE] = "settle",     [DEPLOY_BACK_FLIP] = "back",   [DEPLOY_BACK_RELOAD] = "back",
		[DEPLOY_BACK_PROBE] = "back", [DEPLOY_HEAL] = "reload_again",
	};
	*ret_at = d->next_at == TIME_NEVER ? 0 : clock_of_steady(d->next_at);
	return words[d->phase];
}

/* By the windows of today's target files; the order waits only until then. */
static int64_t window_at(const struct managed *m)
{
	int64_t now = keeper_clock_judge(m->keeper);
	int64_t at;
	return swap_window(m, now, &at) ? 0 : clock_now() + at - now;
}

/* A second writer is given one repair a minute. */
static int64_t repair_at(const struct place *p)
{
	struct rival r = p->rival;
	int64_t      now = clock_monotonic();
	bool         alarm;
	return clock_now() + rival_changed(&r, now, &alarm) - now;
}

const char *place_next(const struct place *p, int64_t *ret_at)
{
	const struct deploy *d = &p->managed->deploy;
	*ret_at = 0;
	if (p->retired)
		return "retire";
	if (d->phase != DEPLOY_NONE && d->phase != DEPLOY_DONE) {
		const char *word = next_of_order(d, ret_at);
		if (d->phase == DEPLOY_WINDOW)
			*ret_at = window_at(p->managed);
		return word;
	}
	if (p->managed->live.certificate.n == 0)
		return "order";
	if (p->care.phase != REFRESH_REST) {
		*ret_at = p->care.next_at == TIME_NEVER ? 0 : clock_of_steady(p->care.next_at);
		return refresh_reason_name(p->care.reason);
	}
	*ret_at = p->drift.kind != DRIFT_NONE ? repair_at(p) : p->rehearse_due;
	return refresh_reason_name(p->drift.kind != DRIFT_NONE ? REFRESH_REPAIR : REFRESH_REHEARSE);
}

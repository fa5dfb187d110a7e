/* drain_watch.c - room agent/keeper: old workers of a service that still hold connections after a swap.
 * Never: deciding about a deployment. */
#include "agent/keeper/drain_watch.h"

#include <stdlib.h>

#include "agent/keeper/keeper.h"
#include "shared/base/text.h"
#include "shared/sys/clock.h"
#include "shared/sys/log.h"

enum {
	FIRST_MS = 400, /* most old workers are gone by then */
	SETTLING_MS = 1000,
	SETTLING_LONG_MS = 60 * 1000, /* after the reload: a swap that goes on without settling is not counted at this pace for ever */
	LATER_MIN_MS = 1000,
	LATER_MAX_MS = 60 * 1000,
	ENDED_MS = 10 * 1000, /* for those that were asked to end */
	ASK_MARGIN_MS = 5 * 1000,
	RESUME_MS = 10 * 1000,
};

/* All times since the boot, as the kernel counts the ages of processes. */
struct drain_watch {
	struct place     *p;
	uv_timer_t        timer;
	struct hook_call *call;
	int64_t           reloaded_ms; /* the last reload */
	int64_t           since_ms;    /* the first reload whose old workers may still be there: max_drain counts from it */
	int64_t           wait_ms;
	bool              watching; /* a swap is between verified and settled: counted often, for its receipt */
	bool              limiting; /* a swap has settled: max_drain counts */
	bool              guessed;  /* `reloaded_ms` comes from the wall clock of an earlier run */
	bool              late;     /* the limit has passed, and was acted upon */
	bool              known;    /* the numbers below belong to the last reload */
	bool              ending;   /* HOOK_DRAIN_END is under way */
	bool              ended;    /* it was done: who is still there is reported once */
	bool              failed;   /* the hook could not tell: said once */
	uint32_t          old_workers;
	int64_t           oldest_ms;
};

static void on_timer(uv_timer_t *timer);

static void ask_later(struct drain_watch *d, int64_t ms)
{
	uv_timer_start(&d->timer, on_timer, ms > 0 ? (uint64_t)ms : 0, 0);
}

/* ---- what comes back --------------------------------------------------------------------------------------------- */

static int64_t limit_left(const struct drain_watch *d)
{
	return d->since_ms + d->p->conf.max_drain_ms - clock_boot();
}

static bool limit_counts(const struct drain_watch *d)
{
	return d->limiting && !d->late && d->p->conf.max_drain_ms > 0;
}

/* PostgreSQL's processes are connections, and none needs to be newer: only a time that this run has measured counts there. */
static bool may_end(const struct drain_watch *d)
{
	return d->p->conf.on_drain == DRAIN_TERMINATE && !(d->guessed && d->p->conf.reload == RELOAD_POSTGRESQL);
}

static void all_gone(struct drain_watch *d)
{
	if (d->known && d->old_workers > 0)
		log_line(LOG_LEVEL_NOTICE, NULL, "%s: the last old workers are gone %lld s after the reload", d->p->stem,
		         (long long)((clock_boot() - d->since_ms) / MS_SECOND));
	drain_stop(d->p);
}

static void limit_report(struct drain_watch *d)
{
	char code[ERR_CODE_SIZE];
	d->late = true;
	log_line(LOG_LEVEL_WARNING, NULL, "%s: %s: %s: %u, the oldest %lld s old, %lld s after the reload. %s", d->p->stem,
	         err_code(E_SWAP_DRAIN, code), err_what(E_SWAP_DRAIN), (unsigned)d->old_workers, (long long)(d->oldest_ms / MS_SECOND),
	         (long long)((clock_boot() - d->since_ms) / MS_SECOND), err_next(E_SWAP_DRAIN));
}

static void drain_ask(struct drain_watch *d, enum hook_verb verb);

/* The next look: often while a swap settles, then less and less, and when the limit passes. */
static void ask_again(struct drain_watch *d)
{
	bool often = d->watching && clock_boot() - d->reloaded_ms < SETTLING_LONG_MS;
	d->wait_ms = often ? SETTLING_MS : 2 * d->wait_ms;
	if (d->wait_ms > LATER_MAX_MS)
		d->wait_ms = LATER_MAX_MS;
	int64_t left = limit_counts(d) ? limit_left(d) : d->wait_ms;
	ask_later(d, left < d->wait_ms ? left : d->wait_ms);
}

static void on_ended(struct drain_watch *d, const struct hk_reply *reply)
{
	log_line(LOG_LEVEL_NOTICE, NULL, "%s: max_drain is over: %.90s", d->p->stem, reply->output);
	d->ended = true;
	d->late = d->since_ms == d->reloaded_ms; /* else those of later reloads have their own time */
	d->since_ms = d->reloaded_ms;
	d->wait_ms = LATER_MIN_MS;
	ask_later(d, ENDED_MS);
}

static void on_counted(struct drain_watch *d, const struct hk_reply *reply)
{
	d->known = true;
	d->old_workers = reply->old_workers;
	d->oldest_ms = reply->oldest_ms;
	bool over = limit_counts(d) && limit_left(d) <= 0;
	if (over && may_end(d)) {
		drain_ask(d, HOOK_DRAIN_END);
		return;
	}
	if (over || (d->ended && d->late))
		limit_report(d);
	d->ended = false;
	ask_again(d);
}

/* A service that is away, or a hook: without a limit there is nothing to watch for. */
static void on_failed(struct drain_watch *d, const struct hk_reply *reply, bool ending)
{
	if (!d->failed)
		log_line(LOG_LEVEL_WARNING, NULL, "%s: old workers: %s: %.90s", d->p->stem, err_what(reply->code), reply->output);
	d->failed = true;
	if (d->watching || (limit_counts(d) && limit_left(d) > 0)) {
		ask_again(d);
		return;
	}
	if (ending || limit_counts(d))
		limit_report(d);
	if (d->limiting)
		drain_stop(d->p);
}

static void on_answer(void *ctx, const struct hk_reply *reply)
{
	struct drain_watch *d = ctx;
	bool                ending = d->ending;
	d->call = NULL;
	d->ending = false;
	if (reply->code != 0)
		on_failed(d, reply, ending);
	else if (ending)
		on_ended(d, reply);
	else if (reply->old_workers == 0 && d->limiting && !d->watching)
		all_gone(d);
	else
		on_counted(d, reply);
}

/* ---- asking ------------------------------------------------------------------------------------------------------ */

/* Those who are ended are old by the first reload, not by the last: they had all of max_drain. */
static void drain_ask(struct drain_watch *d, enum hook_verb verb)
{
	struct place   *p = d->p;
	struct hk_request request = {.verb = verb, .reloaded_ms = verb == HOOK_DRAIN_END ? d->since_ms : d->reloaded_ms};
	text_cut(request.stem, sizeof(request.stem), p->stem);
	d->ending = verb == HOOK_DRAIN_END;
	if (hook_ask(&p->managed->keeper->loop, p->managed->keeper->conf->hook_socket, &request, p->conf.timeout_ms + ASK_MARGIN_MS, on_answer, d, &d->call) !=
	    0) {
		d->call = NULL;
		d->ending = false;
		ask_later(d, LATER_MAX_MS);
	}
}

static void on_timer(uv_timer_t *timer)
{
	struct drain_watch *d = timer->data;
	if (!d->p->present || !target_drains(&d->p->conf))
		drain_stop(d->p);
	else if (d->call == NULL)
		drain_ask(d, HOOK_DRAIN);
}

/* ---- from outside ------------------------------------------------------------------------------------------------ */

static struct drain_watch *watch_make(struct place *p)
{
	if (p->drain != NULL || !p->present || !target_drains(&p->conf))
		return p->drain;
	struct drain_watch *d = calloc(1, sizeof(*d));
	if (d == NULL)
		return NULL; /* only the count is missing then */
	d->p = p;
	d->timer.data = d;
	uv_timer_init(&p->managed->keeper->loop, &d->timer);
	p->drain = d;
	return d;
}

void drain_reloading(struct place *p)
{
	struct drain_watch *d = watch_make(p);
	if (d == NULL)
		return;
	d->reloaded_ms = clock_boot();
	d->guessed = false;
	if (d->since_ms == 0)
		d->since_ms = d->reloaded_ms;
	d->known = d->late = d->ended = d->ending = d->failed = false;
	hook_cancel(d->call);
	d->call = NULL;
	d->wait_ms = LATER_MIN_MS;
	if (d->watching || d->limiting)
		ask_later(d, d->watching ? FIRST_MS : LATER_MIN_MS);
}

void drain_verified(struct place *p)
{
	struct drain_watch *d = p->drain;
	if (d == NULL || d->watching)
		return;
	d->watching = true;
	d->wait_ms = SETTLING_MS;
	ask_later(d, FIRST_MS);
}

void drain_settled(struct place *p)
{
	struct drain_watch *d = p->drain;
	if (d == NULL)
		return;
	d->limiting = true;
	d->watching = false;
	d->wait_ms = LATER_MIN_MS;
	if (d->known && d->old_workers == 0)
		all_gone(d);
	else if (d->call == NULL)
		ask_later(d, LATER_MIN_MS);
}

void drain_resume(struct place *p)
{
	int64_t  ago = clock_steady() - p->managed->deploy.flipped_at;
	uint16_t spread = 0;
	if (!p->present || p->conf.max_drain_ms == 0)
		return;
	if (p->managed->deploy.outcome != RECEIPT_SETTLED || p->managed->deploy.flipped_at == 0 || ago < 0 || ago >= clock_boot())
		return;
	struct drain_watch *d = watch_make(p);
	if (d == NULL)
		return;
	d->reloaded_ms = d->since_ms = clock_boot() - ago;
	d->guessed = d->limiting = true;
	d->wait_ms = LATER_MIN_MS;
	entropy(&spread, sizeof(spread)); /* many targets are resumed at once */
	ask_later(d, LATER_MIN_MS + spread % RESUME_MS);
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void drain_stop(struct place *p)
{
	struct drain_watch *d = p->drain;
	if (d == NULL)
		return;
	p->drain = NULL;
	hook_cancel(d->call);
	uv_close((uv_handle_t *)&d->timer, on_closed);
}

void drain_fill(const struct place *p, struct body_receipt *b)
{
	uint32_t old_workers;
	int64_t  oldest_ms;
	if (!drain_now(p, &old_workers, &oldest_ms))
		return;
	b->old_workers += old_workers;
	b->oldest_ms = oldest_ms > b->oldest_ms ? oldest_ms : b->oldest_ms;
	b->flags |= ORDER_DRAINING;
}

bool drain_now(const struct place *p, uint32_t *ret_old_workers, int64_t *ret_oldest_ms)
{
	const struct drain_watch *d = p->drain;
	if (d == NULL || !d->known || d->old_workers == 0)
		return false;
	*ret_old_workers = d->old_workers;
	*ret_oldest_ms = d->oldest_ms;
	return true;
}

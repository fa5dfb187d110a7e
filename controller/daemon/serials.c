/* serials.c - room controller/daemon: keeps a block of reserved counters ahead of the demand.
 * Never: using a counter whose reservation is not durable. */
#include "controller/daemon/serials.h"

#include <stdlib.h>

#include <utlist.h>

#include "controller/daemon/commit.h"
#include "controller/daemon/state.h"
#include "shared/pki/key.h"

enum { BLOCK = 1000, AHEAD = 500, WAITERS_MAX = 20000 }; /* what is left of a block is lost at each start */

struct waiter {
	serials_ready_fn *ready;
	void             *ctx;
	struct waiter    *next;
};

struct serials {
	uint64_t       next, end;        /* [next, end) is ours */
	uint64_t       spare, spare_end; /* the block after it */
	uint64_t       floor;
	bool           known; /* the signer's window is known */
	bool           reserving;
	struct waiter *waiters, *last;
	size_t         n_waiters;
};

int serials_open(struct controller *ctl, struct serials **ret)
{
	(void)ctl;
	struct serials *s = calloc(1, sizeof(*s));
	if (s == NULL)
		return E_NOMEM;
	*ret = s;
	return 0;
}

void serials_free(struct serials *s)
{
	if (s == NULL)
		return;
	struct waiter *w, *tmp;
	LL_FOREACH_SAFE (s->waiters, w, tmp)
		free(w);
	free(s);
}

static void wake(struct controller *ctl)
{
	struct serials *s = ctl->serials;
	struct waiter  *list = s->waiters, *w, *tmp;
	s->waiters = s->last = NULL;
	s->n_waiters = 0;
	LL_FOREACH_SAFE (list, w, tmp) {
		w->ready(ctl, w->ctx);
		free(w);
	}
}

static void on_reserved(struct controller *ctl, void *ctx, int code, const struct store_result *result)
{
	(void)ctx;
	struct serials *s = ctl->serials;
	s->reserving = false;
	if (code < 0 || ctl->stopping)
		return; /* the next tick tries again */
	s->spare = result->serial_first;
	s->spare_end = result->serial_first + BLOCK;
	if (s->spare < s->floor)
		s->spare = s->spare_end = 0; /* the floor rose meanwhile */
	wake(ctl);
}

static void reserve_if_low(struct controller *ctl)
{
	struct serials *s = ctl->serials;
	if (!s->known || s->reserving || (s->end - s->next) + (s->spare_end - s->spare) >= AHEAD)
		return;
	s->reserving = true;
	struct commit *c = commit_new(ctl);
	store_reserve_serials(commit_change(c), BLOCK, s->floor);
	commit_now(c, on_reserved, NULL);
}

void serials_floor(struct controller *ctl, uint64_t window_top)
{
	struct serials *s = ctl->serials;
	s->known = true;
	if (window_top >= s->floor)
		s->floor = window_top + 1;
	/* The signer is ahead of us only when another controller (before a restore) used those counters. */
	if (s->end <= window_top)
		s->next = s->end = 0;
	else if (s->next <= window_top)
		s->next = window_top + 1;
	if (s->spare_end <= window_top)
		s->spare = s->spare_end = 0;
	else if (s->spare <= window_top)
		s->spare = window_top + 1;
	reserve_if_low(ctl);
}

void serials_stop(struct controller *ctl)
{
	wake(ctl);
}

void serials_tick(struct controller *ctl)
{
	reserve_if_low(ctl);
}

int serials_take(struct controller *ctl, struct serial *ret)
{
	struct serials *s = ctl->serials;
	if (s->next == s->end) {
		s->next = s->spare;
		s->end = s->spare_end;
		s->spare = s->spare_end = 0;
	}
	if (s->next == s->end) {
		reserve_if_low(ctl);
		return E_SYS_AGAIN;
	}
	uint8_t random[SERIAL_RANDOM];
	random_bytes(random, sizeof(random));
	*ret = serial_make(s->next++, random);
	reserve_if_low(ctl);
	return 0;
}

int serials_wait(struct controller *ctl, serials_ready_fn *ready, void *ctx)
{
	struct serials *s = ctl->serials;
	if (s->n_waiters == WAITERS_MAX)
		return E_FULL;
	struct waiter *w = calloc(1, sizeof(*w));
	if (w == NULL)
		abort();
	w->ready = ready;
	w->ctx = ctx;
	if (s->last != NULL)
		s->last->next = w;
	else
		s->waiters = w;
	s->last = w;
	s->n_waiters++;
	return 0;
}

/* keeper_unit.c - room agent/keeper: what systemd is told of this process.
 * Never: deciding anything by it. */
#include "agent/keeper/keeper_unit.h"

#include <stdio.h>
#include <string.h>

#include "agent/keeper/keeper_health.h"
#include "agent/keeper/place_state.h"
#include "shared/base/text.h"
#include "shared/sys/clock.h"
#include "shared/sys/notify.h"

enum { WORDS_SIZE = 400, WORDS_EVERY = 5 /* beats: nobody reads them faster */ };

/* The place whose next step comes first; NULL = nothing is planned anywhere. What is to happen at once is under way and comes first of all. */
static const struct place *first_due(const struct keeper *k, const char **ret_what, int64_t *ret_at)
{
	const struct place *first = NULL;
	*ret_at = TIME_NEVER;
	for (size_t i = 0; i < k->n_managed; i++)
		for (size_t j = 0; j < k->managed[i]->n_places; j++) {
			int64_t     at;
			const char *what = place_next(k->managed[i]->places[j], &at);
			if (first != NULL && at >= *ret_at)
				continue;
			first = k->managed[i]->places[j];
			*ret_what = what;
			*ret_at = at;
		}
	return first;
}

/* "3 targets, 0 stale, connected; next: rehearse clara01-web by 2027-01-05T12:00:00Z" */
static void words(const struct keeper *k, char *to, size_t size)
{
	struct msg_health h;
	char              time[TIME_TEXT_SIZE];
	const char       *what = "";
	int64_t           at;
	keeper_health(k, &h);
	const struct place *p = first_due(k, &what, &at);
	int n = snprintf(to, size, "STATUS=%u target%s, %u stale, %s", h.targets, h.targets == 1 ? "" : "s", h.stale, k->welcomed ? "connected" : "not connected");
	if (p != NULL && n > 0 && (size_t)n < size)
		(void)snprintf(to + n, size - (size_t)n, "; next: %s %s%s%s", what, p->managed->cert_id, at == 0 || at == TIME_NEVER ? "" : " by ",
			       at == 0 || at == TIME_NEVER ? "" : time_text(at, time));
}

static void tell(struct keeper *k)
{
	char now[WORDS_SIZE];
	words(k, now, sizeof(now));
	if (text_equal(now, k->unit.words))
		return;
	memcpy(k->unit.words, now, sizeof(now));
	notify_send(now);
}

void keeper_unit_ready(struct keeper *k)
{
	_Static_assert(sizeof(k->unit.words) == WORDS_SIZE, "one size");
	k->unit.watchdog_ms = notify_watchdog_ms();
	notify_send("READY=1");
	tell(k);
}

void keeper_unit_beat(struct keeper *k)
{
	int64_t now = clock_monotonic();
	if (k->unit.watchdog_ms > 0 && now >= k->unit.watchdog_at) {
		notify_send("WATCHDOG=1");
		k->unit.watchdog_at = now + k->unit.watchdog_ms;
	}
	if (++k->unit.beats % WORDS_EVERY == 0)
		tell(k);
}

/* backoff.c - room agent/link: when to try again.
 * Never: clocks, randomness of its own. */
#include "agent/link/backoff.h"

int64_t backoff_next(struct backoff *b, int64_t most_ms, uint32_t random)
{
	int64_t base = b->spread_ms > 100 ? b->spread_ms : 100;
	int64_t range = base;
	for (uint32_t i = 0; i < b->failures && range < most_ms; i++)
		range *= 2;
	if (range > most_ms)
		range = most_ms;
	/* the first is uniform from zero; later ones wait at least half of their range */
	int64_t least = b->failures == 0 ? 0 : range / 2;
	if (b->failures < UINT32_MAX)
		b->failures++;
	return least + (int64_t)((uint64_t)random * (uint64_t)(range - least) >> 32);
}

void backoff_reset(struct backoff *b)
{
	b->failures = 0;
}

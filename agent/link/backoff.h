/* backoff.h - room agent/link: when to try again: first soon and spread, then doubling, each with jitter.
 * Never: clocks, randomness of its own. */
#ifndef VCC_BACKOFF_H
#define VCC_BACKOFF_H

#include <stdint.h>

#include "shared/base/times.h"

/* Nobody there costs nobody anything, and whoever comes back is to be found within a minute; somebody who refuses us is left
 * alone for longer. */
#define BACKOFF_AWAY_MS    (25 * MS_SECOND)
#define BACKOFF_REFUSED_MS (5 * MS_MINUTE)

struct backoff {
	int64_t  spread_ms; /* the first wait is uniform in this */
	uint32_t failures;
};

/* How long to wait now, ms, at most `most_ms`; counts the failure. `random`: 32 fresh bits. */
int64_t backoff_next(struct backoff *b, int64_t most_ms, uint32_t random);
void    backoff_reset(struct backoff *b);

#endif

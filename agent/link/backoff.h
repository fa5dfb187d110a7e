/* backoff.h - room agent/link: when to try again: first soon and spread, then doubling, each with jitter.
 * Never: clocks, randomness of its own. */
#ifndef VCC_BACKOFF_H
#define VCC_BACKOFF_H

#include <stdint.h>

#include "shared/base/times.h"

#define BACKOFF_MAX_MS (5 * MS_MINUTE)

struct backoff {
	int64_t  spread_ms; /* the first wait is uniform in this */
	uint32_t failures;
};

/* How long to wait now, ms; counts the failure. `random`: 32 fresh bits. */
int64_t backoff_next(struct backoff *b, uint32_t random);
void    backoff_reset(struct backoff *b);

#endif

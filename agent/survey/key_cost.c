/* key_cost.c - room agent/survey: what making a key of some type costs on this host.
 * Never: on the loop, a key that is kept. */
#include "agent/survey/key_cost.h"

#include <stdlib.h>

#include "shared/pki/key.h"
#include "shared/sys/clock.h"

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a;
	int64_t y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

int key_cost_measure(enum key_type type, int64_t budget_ms, struct key_cost *ret)
{
	int64_t  took[KEY_COST_MAX];
	uint32_t n = 0;
	int64_t  end = clock_monotonic() + budget_ms;
	while (n < KEY_COST_MAX && (n < KEY_COST_MIN || clock_monotonic() < end)) {
		struct key *key = NULL;
		int64_t     from = clock_monotonic_us();
		int         r = key_make(type, &key);
		if (r != 0)
			return r;
		took[n++] = clock_monotonic_us() - from;
		key_free(key);
	}
	qsort(took, n, sizeof(took[0]), by_value);
	*ret = (struct key_cost){.type = type, .made = n, .median_us = took[n / 2], .longest_us = took[n - 1]};
	return 0;
}

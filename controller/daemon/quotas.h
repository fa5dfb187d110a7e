/* quotas.h - room controller/daemon: token buckets of the admin API: requests of an identity.
 * Never: clocks, heap, knowing requests. */
#ifndef VCC_QUOTAS_H
#define VCC_QUOTAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	QUOTA_KEYS = 1024, /* remembered; beyond, the one that was quiet for longest is forgotten */
};

struct quota_bucket {
	uint64_t key;   /* keyed hash; 0 = free */
	int64_t  at_ms; /* last refill */
	int64_t  micro; /* millionths of a token */
};

struct quotas {
	uint64_t            secret; /* so that nobody can aim at somebody else's bucket */
	struct quota_bucket requests[QUOTA_KEYS];
};

void quotas_init(struct quotas *q, uint64_t secret);
/* Takes a token. 0, or after how many seconds there is one again. `who`: a principal, or an address where there is none. Twice
 * as many as `per_second` may come at once. */
unsigned quota_request(struct quotas *q, const char *who, int64_t per_second, int64_t now_ms);

#endif

/* rate.h - room controller/gateway: token buckets, one for all and one per address, for the join port.
 * Never: clocks, heap. */
#ifndef VCC_RATE_H
#define VCC_RATE_H

#include "shared/base/buckets.h"

enum {
	RATE_ADDRESS_BURST = 256,
	RATE_ADDRESS_PER_SECOND = 16,
	RATE_TOTAL_BURST = 1024,
	RATE_TOTAL_PER_SECOND = 256,
};

struct rate {
	struct bucket  total;
	struct buckets addresses;
};

void rate_init(struct rate *r, uint64_t secret, int64_t now_ms);
/* Takes one token for `address` ("host:port": the port does not count). False = too many. */
bool rate_allow(struct rate *r, const char *address, int64_t now_ms);

#endif

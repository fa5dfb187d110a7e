/* rate.h - room controller/gateway: token buckets, one for all and one per address, for the join port.
 * Never: clocks, heap. */
#ifndef VCC_RATE_H
#define VCC_RATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	RATE_ADDRESSES = 1024, /* remembered; beyond, the one that was quiet for longest is forgotten */
	RATE_ADDRESS_BURST = 256,
	RATE_ADDRESS_PER_SECOND = 16,
	RATE_TOTAL_BURST = 1024,
	RATE_TOTAL_PER_SECOND = 256,
};

struct rate_bucket {
	uint64_t key;   /* keyed hash of the address; 0 = free */
	int64_t  at_ms; /* last refill */
	int64_t  milli; /* thousandths of a token */
};

struct rate {
	uint64_t           secret; /* so that nobody can aim at somebody else's bucket */
	struct rate_bucket total;
	struct rate_bucket addresses[RATE_ADDRESSES];
};

void rate_init(struct rate *r, uint64_t secret, int64_t now_ms);
/* Takes one token for `address` ("host:port": the port does not count). False = too many. */
bool rate_allow(struct rate *r, const char *address, int64_t now_ms);

#endif

/* rate.c - room controller/gateway: token buckets, one for all and one per address.
 * Never: clocks, heap. */
#include "controller/gateway/rate.h"

#include <string.h>

static const struct bucket_pace of_address = {RATE_ADDRESS_PER_SECOND, RATE_ADDRESS_BURST};
static const struct bucket_pace of_all = {RATE_TOTAL_PER_SECOND, RATE_TOTAL_BURST};

/* The host part. An IPv6 host counts by its /64. */
static size_t host_length(const char *address)
{
	const char *colon = strrchr(address, ':');
	size_t      n = colon != NULL ? (size_t)(colon - address) : strlen(address);
	int         colons = 0;
	for (size_t i = 0; i < n && address[0] == '['; i++)
		if (address[i] == ':' && ++colons == 4)
			return i;
	return n;
}

void rate_init(struct rate *r, uint64_t secret, int64_t now_ms)
{
	buckets_init(&r->addresses, secret);
	bucket_fill(&r->total, &of_all, now_ms);
}

bool rate_allow(struct rate *r, const char *address, int64_t now_ms)
{
	uint64_t       key = buckets_key(&r->addresses, address, host_length(address));
	struct bucket *b = buckets_find(&r->addresses, key, &of_address, now_ms);
	bucket_refill(&r->total, &of_all, now_ms);
	if (!bucket_has(b) || !bucket_has(&r->total))
		return false;
	bucket_take(b);
	bucket_take(&r->total);
	return true;
}

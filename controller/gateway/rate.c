/* rate.c - room controller/gateway: token buckets, one for all and one per address.
 * Never: clocks, heap. */
#include "controller/gateway/rate.h"

#include <string.h>

enum { WAYS = 8 }; /* places where one address may live */

static void refill(struct rate_bucket *b, int64_t now_ms, int64_t per_second, int64_t burst)
{
	int64_t passed = now_ms - b->at_ms;
	if (passed <= 0)
		return;
	if (passed > 3600000)
		passed = 3600000;
	b->at_ms = now_ms;
	b->milli += passed * per_second;
	if (b->milli > burst * 1000)
		b->milli = burst * 1000;
}

/* FNV-1a over the host part, mixed with the secret. An IPv6 host counts by its /64. */
static uint64_t host_key(uint64_t secret, const char *address)
{
	const char *colon = strrchr(address, ':');
	size_t      n = colon != NULL ? (size_t)(colon - address) : strlen(address);
	uint64_t    h = UINT64_C(1469598103934665603) ^ secret;
	int         colons = 0;
	for (size_t i = 0; i < n; i++) {
		if (address[0] == '[' && address[i] == ':' && ++colons == 4)
			break;
		h = (h ^ (uint8_t)address[i]) * UINT64_C(1099511628211);
	}
	h ^= h >> 29;
	h *= secret | 1;
	h ^= h >> 32;
	return h != 0 ? h : 1;
}

static struct rate_bucket *find(struct rate *r, uint64_t key, int64_t now_ms)
{
	struct rate_bucket *set = &r->addresses[key % (RATE_ADDRESSES / WAYS) * WAYS];
	struct rate_bucket *oldest = set;
	for (int i = 0; i < WAYS; i++) {
		if (set[i].key == key)
			return &set[i];
		if (set[i].key == 0 || (oldest->key != 0 && set[i].at_ms < oldest->at_ms))
			oldest = &set[i];
	}
	*oldest = (struct rate_bucket){.key = key, .at_ms = now_ms, .milli = RATE_ADDRESS_BURST * 1000};
	return oldest;
}

void rate_init(struct rate *r, uint64_t secret, int64_t now_ms)
{
	memset(r, 0, sizeof(*r));
	r->secret = secret;
	r->total = (struct rate_bucket){.key = 1, .at_ms = now_ms, .milli = RATE_TOTAL_BURST * 1000};
}

bool rate_allow(struct rate *r, const char *address, int64_t now_ms)
{
	struct rate_bucket *b = find(r, host_key(r->secret, address), now_ms);
	refill(b, now_ms, RATE_ADDRESS_PER_SECOND, RATE_ADDRESS_BURST);
	refill(&r->total, now_ms, RATE_TOTAL_PER_SECOND, RATE_TOTAL_BURST);
	if (b->milli < 1000 || r->total.milli < 1000)
		return false;
	b->milli -= 1000;
	r->total.milli -= 1000;
	return true;
}

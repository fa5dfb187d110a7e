/* quotas.c - room controller/daemon: token buckets in a table of fixed size.
 * Never: clocks, heap, knowing requests. */
#include "controller/daemon/quotas.h"

#include <string.h>

enum { WAYS = 8 }; /* places where one key may live */
#define TOKEN INT64_C(1000000)

struct pace {
	int64_t micro_per_ms, most;
};

static void refill(struct quota_bucket *b, const struct pace *p, int64_t now_ms)
{
	int64_t passed = now_ms - b->at_ms;
	if (passed <= 0) {
		b->at_ms = now_ms; /* a clock that stepped back must not stop the refill until it has caught up */
		return;
	}
	if (passed > 3600000)
		passed = 3600000;
	b->at_ms = now_ms;
	b->micro = p->most - b->micro > passed * p->micro_per_ms ? b->micro + passed * p->micro_per_ms : p->most;
}

/* FNV-1a, mixed with the secret. */
static uint64_t key_of(uint64_t secret, const char *text, size_t n)
{
	uint64_t h = UINT64_C(1469598103934665603) ^ secret;
	for (size_t i = 0; i < n; i++)
		h = (h ^ (uint8_t)text[i]) * UINT64_C(1099511628211);
	h ^= h >> 29;
	h *= secret | 1;
	h ^= h >> 32;
	return h != 0 ? h : 1;
}

static struct quota_bucket *find(struct quota_bucket *all, uint64_t key, const struct pace *p, int64_t now_ms)
{
	struct quota_bucket *set = &all[key % (QUOTA_KEYS / WAYS) * WAYS], *oldest = set;
	for (size_t i = 0; i < WAYS; i++) {
		if (set[i].key == key)
			return &set[i];
		if (set[i].key == 0 || (oldest->key != 0 && set[i].at_ms < oldest->at_ms))
			oldest = &set[i];
	}
	*oldest = (struct quota_bucket){.key = key, .at_ms = now_ms, .micro = p->most};
	return oldest;
}

static unsigned take(struct quota_bucket *all, uint64_t key, const struct pace *p, int64_t now_ms)
{
	struct quota_bucket *b = find(all, key, p, now_ms);
	refill(b, p, now_ms);
	if (b->micro >= TOKEN) {
		b->micro -= TOKEN;
		return 0;
	}
	return (unsigned)((TOKEN - b->micro + p->micro_per_ms * 1000 - 1) / (p->micro_per_ms * 1000));
}

void quotas_init(struct quotas *q, uint64_t secret)
{
	memset(q, 0, sizeof(*q));
	q->secret = secret;
}

unsigned quota_request(struct quotas *q, const char *who, int64_t per_second, int64_t now_ms)
{
	const struct pace p = {.micro_per_ms = per_second * (TOKEN / 1000), .most = 2 * per_second * TOKEN};
	return take(q->requests, key_of(q->secret, who, strlen(who)), &p, now_ms);
}

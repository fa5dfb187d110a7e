/* buckets.c - room shared/base: token buckets by key, in a table of fixed size.
 * Never: clocks, heap, knowing whose they are. */
#include "shared/base/buckets.h"

#include <string.h>

enum { WAYS = 8, TOKEN = 1000, PASSED_MAX_MS = 3600000 }; /* WAYS: places where one key may live */

void buckets_init(struct buckets *all, uint64_t secret)
{
	memset(all, 0, sizeof(*all));
	all->secret = secret;
}

/* FNV-1a, mixed with the secret. */
uint64_t buckets_key(const struct buckets *all, const char *text, size_t n)
{
	uint64_t h = UINT64_C(1469598103934665603) ^ all->secret;
	for (size_t i = 0; i < n; i++)
		h = (h ^ (uint8_t)text[i]) * UINT64_C(1099511628211);
	h ^= h >> 29;
	h *= all->secret | 1;
	h ^= h >> 32;
	return h != 0 ? h : 1;
}

void bucket_fill(struct bucket *b, const struct bucket_pace *pace, int64_t now_ms)
{
	b->at_ms = now_ms;
	b->milli = pace->burst * TOKEN;
}

void bucket_refill(struct bucket *b, const struct bucket_pace *pace, int64_t now_ms)
{
	int64_t passed = now_ms - b->at_ms;
	b->at_ms = now_ms; /* also back: a clock that stepped back must not stop the refill until it has caught up */
	if (passed <= 0)
		return;
	if (passed > PASSED_MAX_MS)
		passed = PASSED_MAX_MS;
	b->milli += passed * pace->per_second;
	if (b->milli > pace->burst * TOKEN)
		b->milli = pace->burst * TOKEN;
}

struct bucket *buckets_find(struct buckets *all, uint64_t key, const struct bucket_pace *pace, int64_t now_ms)
{
	struct bucket *set = &all->bucket[key % (BUCKETS / WAYS) * WAYS], *oldest = set;
	for (size_t i = 0; i < WAYS; i++) {
		if (set[i].key == key) {
			bucket_refill(&set[i], pace, now_ms);
			return &set[i];
		}
		if (set[i].key == 0 || (oldest->key != 0 && set[i].at_ms < oldest->at_ms))
			oldest = &set[i];
	}
	oldest->key = key;
	bucket_fill(oldest, pace, now_ms);
	return oldest;
}

bool bucket_has(const struct bucket *b)
{
	return b->milli >= TOKEN;
}

void bucket_take(struct bucket *b)
{
	b->milli -= TOKEN;
}

unsigned bucket_wait(const struct bucket *b, const struct bucket_pace *pace)
{
	int64_t second = pace->per_second * TOKEN;
	return bucket_has(b) ? 0 : (unsigned)((TOKEN - b->milli + second - 1) / second);
}

/* buckets.h - room shared/base: token buckets by key, in a table of fixed size.
 * Never: clocks, heap, knowing whose they are. */
#ifndef VCC_BUCKETS_H
#define VCC_BUCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BUCKETS = 1024 }; /* remembered; beyond, the one that was quiet for longest is forgotten */

struct bucket_pace {
	int64_t per_second;
	int64_t burst; /* so many may come at once */
};

struct bucket {
	uint64_t key;   /* 0 = free */
	int64_t  at_ms; /* last refill */
	int64_t  milli; /* thousandths of a token */
};

struct buckets {
	uint64_t      secret; /* so that nobody can aim at somebody else's bucket */
	struct bucket bucket[BUCKETS];
};

void buckets_init(struct buckets *all, uint64_t secret);
/* A keyed hash; never 0. */
uint64_t buckets_key(const struct buckets *all, const char *text, size_t n);
/* The key's bucket, refilled; a full one when it was not known. */
struct bucket *buckets_find(struct buckets *all, uint64_t key, const struct bucket_pace *pace, int64_t now_ms);

void bucket_fill(struct bucket *b, const struct bucket_pace *pace, int64_t now_ms); /* a new one, full */
void bucket_refill(struct bucket *b, const struct bucket_pace *pace, int64_t now_ms);
bool bucket_has(const struct bucket *b); /* a whole token? */
void bucket_take(struct bucket *b);      /* one that it has */
/* After how many seconds there is a token again; 0 = there is one. */
unsigned bucket_wait(const struct bucket *b, const struct bucket_pace *pace);

#endif

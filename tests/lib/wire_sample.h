/* wire_sample.h - tests: seeded random payloads of any message, made and compared by its table.
 * Never: a real random source; one seed gives one run. */
#ifndef VCC_WIRE_SAMPLE_H
#define VCC_WIRE_SAMPLE_H

#include "shared/wire/wire.h"

struct rng {
	uint64_t state; /* any value but 0 */
};
uint64_t rng_next(struct rng *r);
size_t   rng_below(struct rng *r, size_t n); /* 0 .. n-1, n > 0 */

enum { SAMPLE_PAYLOAD_MAX = 65536 /* holds the struct of every message and body */ };

/* Fills the struct of `message` with legal values, often the extreme ones. Spans point into a fixed pool and hold at
 * most `span_max` bytes. */
void sample_payload(const struct wire_message *message, struct rng *r, size_t span_max, void *ret);
/* Compares what travels; not padding, not the tails of texts. */
bool sample_equal(const struct wire_message *message, const void *a, const void *b);

/* A message with the table it stands in, or a signed body (`table` NULL). */
struct sample_subject {
	const struct wire_table   *table;
	const struct wire_message *message;
};
/* Every message of every table, then every body; returns how many. */
size_t sample_subjects(const struct sample_subject **ret);

/* Encodes and decodes whichever it is. `payload` is SAMPLE_PAYLOAD_MAX bytes when decoding. */
int subject_encode(const struct sample_subject *s, uint64_t id, const void *payload, struct buf *to);
int subject_decode(const struct sample_subject *s, struct span bytes, void *ret);

#endif

/* cursor.h - room shared/wire: the strict walker over msgpack bytes; it runs before anything else sees a frame.
 * Every read names the type it expects and the limit it allows. The first error sticks: later reads return empty values
 * and change nothing. Never: heap, msgpack-c, skipping what it does not know. */
#ifndef VCC_CURSOR_H
#define VCC_CURSOR_H

#include "shared/wire/wire.h"

struct cursor {
	const uint8_t *p;
	size_t         n;
	size_t         at;
	int            error; /* 0 or E_WIRE_* */
};

struct cursor cursor_of(struct span bytes);

/* Integers in their shortest form only. Over `max` or outside [min, max]: E_WIRE_LIMIT. */
uint64_t    cursor_uint(struct cursor *c, uint64_t max);
int64_t     cursor_int(struct cursor *c, int64_t min, int64_t max);
bool        cursor_bool(struct cursor *c);
struct span cursor_text(struct cursor *c, size_t max); /* strict UTF-8 without control characters */
struct span cursor_bytes(struct cursor *c, size_t min, size_t max);
/* Number of items, at most `max`. A count that cannot fit into the bytes left is E_WIRE_SHORT at once. */
size_t cursor_array(struct cursor *c, size_t max);
size_t cursor_map(struct cursor *c, size_t max);
/* 0 when everything was consumed without error, else the error or E_WIRE_REST. */
_must_check_ int cursor_end(const struct cursor *c);

/* The fields map of a message at nesting `depth` (1 = outermost container). Recursion follows the tables, never the
 * input, and stops at WIRE_DEPTH_MAX. */
void cursor_fields(struct cursor *c, const struct wire_message *message, unsigned depth);

/* Checks a whole frame. On success `ret_fields` stands before the fields map. */
_must_check_ int cursor_frame(const struct wire_table *table, struct span bytes, size_t limit,
			      const struct wire_message **ret_message, uint64_t *ret_id, struct cursor *ret_fields);

#endif

/* wheel.h - room controller/gateway: a hashed timer wheel of one-second slots: setting and firing cost the same for one
 * connection and for 100,000 (the library's own timers are one sorted list). Never: clocks, heap. */
#ifndef VCC_WHEEL_H
#define VCC_WHEEL_H

#include <stdint.h>

#include "shared/base/attr.h"

enum { WHEEL_SLOTS = 64 };

/* Lives inside what it belongs to; all zero = not set. */
struct wheel_entry {
	struct wheel_entry *next, *previous;
	int64_t             due_ms;
};

struct wheel {
	struct wheel_entry slots[WHEEL_SLOTS]; /* list heads */
	int64_t            second;             /* fired up to here */
};

void wheel_init(struct wheel *w, int64_t now_ms);
/* (Re)arms; a time in the past fires at the next turn. */
void wheel_set(struct wheel *w, struct wheel_entry *e, int64_t due_ms);
void wheel_clear(struct wheel_entry *e);
/* Fires everything that is due; an entry is cleared before, and may be set or freed inside `fire`, like any other. */
void wheel_turn(struct wheel *w, int64_t now_ms, void (*fire)(void *ctx, struct wheel_entry *e), void *ctx);

#endif

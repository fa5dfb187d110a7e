/* bombs.h - tests: small msgpack inputs that claim to be huge, and how much memory this process holds.
 * Never: a bomb larger than a frame. */
#ifndef VCC_BOMBS_H
#define VCC_BOMBS_H

#include "shared/base/buf.h"

enum { BOMBS = 12, MEMORY_ALLOWED = 8 << 20 };

/* Appends bomb number `which`, < BOMBS: a claim of 2^32 - 1 items or bytes, or a nest of tens of thousands of containers. */
void bomb_make(struct buf *ret, size_t which);

/* Resident bytes; under a sanitizer, which keeps freed memory back, the bytes in use. */
size_t memory_used(void);

#endif

/* buf.h - room shared/base: growable bytes with a cap from birth, and read-only spans.
 * Never: I/O. */
#ifndef VCC_BUF_H
#define VCC_BUF_H

#include <stdbool.h>
#include <stdint.h>

#include "shared/base/attr.h"

/* Somebody else's bytes; valid as long as their owner keeps them. */
struct span {
	const uint8_t *p;
	size_t         n;
};

#define SPAN_OF(array)  ((struct span){(const uint8_t *)(array), sizeof(array)})
struct span span_text(const char *text); /* without the final NUL */
bool        span_equal(struct span a, struct span b);

/* Owns `p`. Zero-initialised with `max` set is an empty buffer. Appending past `max` or without memory makes the
 * buffer "failed": it keeps its bytes, ignores further appends, and buf_error() tells at the end. */
struct buf {
	uint8_t *p;
	size_t   n;
	size_t   cap;
	size_t   max;
	int      error; /* 0, E_FULL or E_NOMEM */
};

#define BUF_MAX(limit) {.max = (limit)}

void buf_add(struct buf *b, const void *bytes, size_t n);
void buf_add_u8(struct buf *b, uint8_t byte);
void buf_add_text(struct buf *b, const char *text);
void buf_add_fmt(struct buf *b, const char *fmt, ...) _printf_(2, 3);
/* Room for `n` more bytes to be written at the returned place; NULL when failed. Call buf_used() afterwards. */
uint8_t *buf_room(struct buf *b, size_t n);
void     buf_used(struct buf *b, size_t n);
void     buf_drop_front(struct buf *b, size_t n); /* moves the rest to the front */
_must_check_ int buf_error(const struct buf *b);
struct span      buf_span(const struct buf *b);
void             buf_reset(struct buf *b); /* keeps memory, forgets bytes and error */
void             buf_free(struct buf *b);  /* leaves it empty with the same cap; NULL allowed */
void             buf_wipe(struct buf *b);  /* overwrites, then frees: for secrets */
void             buf_take(struct buf *to, struct buf *from); /* moves ownership; `from` is empty afterwards */

/* Overwrites memory in a way the compiler keeps. */
void secret_wipe(void *p, size_t n);

#endif

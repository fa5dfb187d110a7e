/* buf.c - room shared/base: growable bytes with a cap from birth.
 * Never: I/O. */
#include "shared/base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/err.h"

struct span span_text(const char *text)
{
	return (struct span){(const uint8_t *)text, strlen(text)};
}

bool span_equal(struct span a, struct span b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

uint8_t *buf_room(struct buf *b, size_t n)
{
	if (b->error != 0)
		return NULL;
	if (n > b->max || b->n > b->max - n) {
		b->error = E_FULL;
		return NULL;
	}
	if (b->n + n > b->cap || b->p == NULL) {
		size_t cap = b->cap < 64 ? 64 : b->cap;
		while (cap < b->n + n)
			cap *= 2;
		if (cap > b->max && b->max >= 64)
			cap = b->max;
		/* not realloc: the old bytes may be secret and must not stay behind */
		uint8_t *p = malloc(cap);
		if (p == NULL) {
			b->error = E_NOMEM;
			return NULL;
		}
		if (b->n > 0)
			memcpy(p, b->p, b->n);
		if (b->p != NULL)
			secret_wipe(b->p, b->cap);
		free(b->p);
		b->p = p;
		b->cap = cap;
	}
	return b->p + b->n;
}

void buf_used(struct buf *b, size_t n)
{
	b->n += n;
}

void buf_add(struct buf *b, const void *bytes, size_t n)
{
	if (n == 0)
		return;
	uint8_t *room = buf_room(b, n);
	if (room == NULL)
		return;
	memcpy(room, bytes, n);
	b->n += n;
}

void buf_add_u8(struct buf *b, uint8_t byte)
{
	buf_add(b, &byte, 1);
}

void buf_add_text(struct buf *b, const char *text)
{
	buf_add(b, text, strlen(text));
}

void buf_add_fmt(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n <= 0)
		return;
	uint8_t *room = buf_room(b, (size_t)n + 1);
	if (room == NULL)
		return;
	va_start(ap, fmt);
	vsnprintf((char *)room, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->n += (size_t)n;
}

void buf_drop_front(struct buf *b, size_t n)
{
	if (n >= b->n) {
		b->n = 0;
		return;
	}
	memmove(b->p, b->p + n, b->n - n);
	b->n -= n;
}

int buf_error(const struct buf *b)
{
	return b->error;
}

struct span buf_span(const struct buf *b)
{
	return (struct span){b->p, b->n};
}

void buf_reset(struct buf *b)
{
	b->n = 0;
	b->error = 0;
}

void buf_free(struct buf *b)
{
	if (b == NULL)
		return;
	free(b->p);
	*b = (struct buf){.max = b->max};
}

void buf_wipe(struct buf *b)
{
	if (b != NULL && b->p != NULL)
		secret_wipe(b->p, b->cap);
	buf_free(b);
}

void buf_take(struct buf *to, struct buf *from)
{
	buf_free(to);
	*to = *from;
	*from = (struct buf){.max = to->max};
}

void secret_wipe(void *p, size_t n)
{
	explicit_bzero(p, n);
}

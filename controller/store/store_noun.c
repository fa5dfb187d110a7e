/* store_noun.c - room controller/store: one field of a row by its column, whatever its kind.
 * Never: SQL, storage; which columns there are (store_columns.c). */
#include "controller/store/store_noun.h"

#include <stdlib.h>
#include <string.h>

#include "shared/base/times.h"

const struct column *noun_column(const struct noun *noun, size_t at)
{
	for (size_t i = 0; i < noun->n_columns; i++)
		if (noun->column[i].at == at)
			return &noun->column[i];
	abort();
}

int64_t column_number(const struct column *c, const void *row)
{
	const uint8_t *p = (const uint8_t *)row + c->at;
	uint64_t       u64;
	uint32_t       u32;
	uint16_t       u16;
	int            i;
	bool           b;
	if (c->kind == COLUMN_BOOL) {
		memcpy(&b, p, sizeof(b));
		return b;
	}
	if (c->kind == COLUMN_INT && c->size == sizeof(i)) {
		memcpy(&i, p, sizeof(i));
		return i;
	}
	switch (c->size) {
	case sizeof(u64):
		memcpy(&u64, p, sizeof(u64));
		return (int64_t)u64;
	case sizeof(u32):
		memcpy(&u32, p, sizeof(u32));
		return u32;
	case sizeof(u16):
		memcpy(&u16, p, sizeof(u16));
		return u16;
	default:
		abort();
	}
}

int column_set_number(const struct column *c, void *row, int64_t value)
{
	uint8_t *p = (uint8_t *)row + c->at;
	if (c->kind == COLUMN_BOOL) {
		bool b = value != 0;
		memcpy(p, &b, sizeof(b));
		return value == 0 || value == 1 ? 0 : E_STORE_DAMAGED;
	}
	if (c->kind == COLUMN_INT && c->size == sizeof(int)) {
		int i = (int)value;
		memcpy(p, &i, sizeof(i));
		return i == value ? 0 : E_STORE_DAMAGED;
	}
	bool     is_signed = c->kind == COLUMN_INT || c->kind == COLUMN_WHEN || c->kind == COLUMN_DUE;
	uint64_t u64 = (uint64_t)value;
	uint32_t u32 = (uint32_t)u64;
	uint16_t u16 = (uint16_t)u64;
	if (!is_signed && value < 0)
		return E_STORE_DAMAGED;
	switch (c->size) {
	case sizeof(u64):
		memcpy(p, &u64, sizeof(u64));
		return 0;
	case sizeof(u32):
		memcpy(p, &u32, sizeof(u32));
		return u32 == u64 ? 0 : E_STORE_DAMAGED;
	case sizeof(u16):
		memcpy(p, &u16, sizeof(u16));
		return u16 == u64 ? 0 : E_STORE_DAMAGED;
	default:
		abort();
	}
}

int column_set_name(const struct column *c, void *row, const char *text, size_t n)
{
	for (unsigned v = 0; v < c->n_values; v++) {
		const char *name = c->value_name(v);
		if (strlen(name) == n && memcmp(name, text, n) == 0)
			return column_set_number(c, row, v);
	}
	return E_STORE_DAMAGED;
}

struct span column_bytes(const struct column *c, const void *row)
{
	const uint8_t *p = (const uint8_t *)row + c->at;
	uint16_t       n;
	struct span    span;
	switch (c->kind) {
	case COLUMN_TEXT:
		return (struct span){p, strnlen((const char *)p, c->size - 1)};
	case COLUMN_FIXED:
		return (struct span){p, c->size};
	case COLUMN_NAME:
		return span_text(c->value_name((unsigned)column_number(c, row)));
	case COLUMN_BYTES:
		memcpy(&n, (const uint8_t *)row + c->length_at, sizeof(n));
		return (struct span){p, n <= c->size ? n : c->size};
	case COLUMN_SPAN:
		memcpy(&span, p, sizeof(span));
		return span;
	default:
		abort();
	}
}

bool column_is_none(const struct column *c, const void *row)
{
	const uint8_t *p = (const uint8_t *)row + c->at;
	switch (c->kind) {
	case COLUMN_WHEN:
		return column_number(c, row) == 0;
	case COLUMN_DUE:
		return column_number(c, row) == TIME_NEVER;
	case COLUMN_FIXED:
		for (size_t i = 0; i < c->size; i++)
			if (p[i] != 0)
				return false;
		return true;
	default:
		return false;
	}
}

static bool column_ok(const struct column *c, const void *row)
{
	const uint8_t *p = (const uint8_t *)row + c->at;
	uint16_t       n;
	switch (c->kind) {
	case COLUMN_TEXT:
		return memchr(p, '\0', c->size) != NULL;
	case COLUMN_NAME:
		return (uint64_t)column_number(c, row) < c->n_values;
	case COLUMN_UINT:
		return column_number(c, row) >= 0;
	case COLUMN_BYTES:
		memcpy(&n, (const uint8_t *)row + c->length_at, sizeof(n));
		return n <= c->size;
	case COLUMN_SPAN:
		return column_bytes(c, row).n <= c->max;
	default:
		return true;
	}
}

bool noun_row_ok(const struct noun *noun, const void *row)
{
	for (size_t i = 0; i < noun->n_columns; i++)
		if (!column_ok(&noun->column[i], row))
			return false;
	return true;
}

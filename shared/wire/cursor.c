/* cursor.c - room shared/wire: the strict walker over msgpack bytes.
 * Never: heap, msgpack-c, skipping what it does not know. */
#include "shared/wire/cursor.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

struct cursor cursor_of(struct span bytes)
{
	return (struct cursor){.p = bytes.p, .n = bytes.n};
}

static void fail(struct cursor *c, int error)
{
	if (c->error == 0)
		c->error = error;
}

static size_t left(const struct cursor *c)
{
	return c->n - c->at;
}

/* The type byte of the next value. */
static bool head(struct cursor *c, uint8_t *ret)
{
	if (c->error == 0 && left(c) == 0)
		fail(c, E_WIRE_SHORT);
	if (c->error != 0)
		return false;
	*ret = c->p[c->at++];
	return true;
}

/* `n` big-endian bytes, n <= 8, behind a header byte that was read without error. */
static uint64_t number(struct cursor *c, size_t n)
{
	if (left(c) < n) {
		fail(c, E_WIRE_SHORT);
		return 0;
	}
	uint64_t v = 0;
	for (size_t i = 0; i < n; i++)
		v = v << 8 | c->p[c->at++];
	return v;
}

/* How msgpack writes one kind of header. A value below `shortest` has a shorter form and is refused. */
struct form {
	uint8_t  byte;
	uint8_t  bytes;
	uint64_t shortest;
};

/* Reads the number behind a header byte `b` that is one of `forms`; E_WIRE_TYPE when it is none. */
static uint64_t by_form(struct cursor *c, uint8_t b, const struct form *forms, size_t n_forms)
{
	for (size_t i = 0; i < n_forms; i++) {
		if (forms[i].byte != b)
			continue;
		uint64_t v = number(c, forms[i].bytes);
		if (c->error == 0 && v < forms[i].shortest)
			fail(c, E_WIRE_FORM);
		return v;
	}
	fail(c, E_WIRE_TYPE);
	return 0;
}

static const struct form uint_forms[] = {
	{0xcc, 1, 0x80}, {0xcd, 2, 0x100}, {0xce, 4, 0x10000}, {0xcf, 8, UINT64_C(0x100000000)}};
static const struct form text_forms[] = {{0xd9, 1, 32}, {0xda, 2, 0x100}, {0xdb, 4, 0x10000}};
static const struct form bytes_forms[] = {{0xc4, 1, 0}, {0xc5, 2, 0x100}, {0xc6, 4, 0x10000}};
static const struct form array_forms[] = {{0xdc, 2, 16}, {0xdd, 4, 0x10000}};
static const struct form map_forms[] = {{0xde, 2, 16}, {0xdf, 4, 0x10000}};

static uint64_t uint_behind(struct cursor *c, uint8_t b)
{
	return b < 0x80 ? b : by_form(c, b, uint_forms, N_ELEMENTS(uint_forms));
}

uint64_t cursor_uint(struct cursor *c, uint64_t max)
{
	uint8_t b;
	if (!head(c, &b))
		return 0;
	uint64_t v = uint_behind(c, b);
	if (c->error == 0 && v > max)
		fail(c, E_WIRE_LIMIT);
	return c->error == 0 ? v : 0;
}

/* Negative numbers: 0xd0 + k holds 1 << k bytes in two's complement. Non-negative ones in this form are not the
 * shortest. */
static int64_t negative_behind(struct cursor *c, uint8_t b)
{
	size_t   bytes = (size_t)1 << (b - 0xd0);
	uint64_t raw = number(c, bytes);
	if (c->error != 0)
		return 0;
	uint64_t             sign = UINT64_C(1) << (8 * bytes - 1);
	int64_t              v = (int64_t)((raw ^ sign) - sign);
	static const int64_t longest[] = {-33, INT8_MIN - 1, INT16_MIN - 1, (int64_t)INT32_MIN - 1};
	if ((raw & sign) == 0 || v > longest[b - 0xd0])
		fail(c, E_WIRE_FORM);
	return v;
}

int64_t cursor_int(struct cursor *c, int64_t min, int64_t max)
{
	uint8_t b;
	if (!head(c, &b))
		return 0;
	int64_t v = 0;
	if (b >= 0xe0) {
		v = (int64_t)b - 0x100;
	} else if (b >= 0xd0 && b <= 0xd3) {
		v = negative_behind(c, b);
	} else {
		uint64_t u = uint_behind(c, b);
		if (c->error == 0 && u > INT64_MAX)
			fail(c, E_WIRE_LIMIT);
		v = c->error == 0 ? (int64_t)u : 0;
	}
	if (c->error == 0 && (v < min || v > max))
		fail(c, E_WIRE_LIMIT);
	return c->error == 0 ? v : 0;
}

bool cursor_bool(struct cursor *c)
{
	uint8_t b;
	if (!head(c, &b))
		return false;
	if (b != 0xc2 && b != 0xc3)
		fail(c, E_WIRE_TYPE);
	return b == 0xc3;
}

/* `n` bytes of content; the limit is judged before the bytes left, so that the error names the real fault. */
static struct span content(struct cursor *c, uint64_t n, size_t min, size_t max)
{
	if (c->error == 0 && n > max)
		fail(c, E_WIRE_LIMIT);
	if (c->error == 0 && n < min)
		fail(c, E_WIRE_TYPE);
	if (c->error == 0 && n > left(c))
		fail(c, E_WIRE_SHORT);
	if (c->error != 0)
		return (struct span){NULL, 0};
	struct span s = {c->p + c->at, (size_t)n};
	c->at += (size_t)n;
	return s;
}

struct span cursor_text(struct cursor *c, size_t max)
{
	uint8_t b;
	if (!head(c, &b))
		return (struct span){NULL, 0};
	bool        fix = b >= 0xa0 && b <= 0xbf;
	uint64_t    n = fix ? b & 0x1fU : by_form(c, b, text_forms, N_ELEMENTS(text_forms));
	struct span s = content(c, n, 0, max);
	if (c->error == 0 && !text_utf8_ok(s.p, s.n)) {
		fail(c, E_WIRE_UTF8);
		return (struct span){NULL, 0};
	}
	return s;
}

struct span cursor_bytes(struct cursor *c, size_t min, size_t max)
{
	uint8_t b;
	if (!head(c, &b))
		return (struct span){NULL, 0};
	return content(c, by_form(c, b, bytes_forms, N_ELEMENTS(bytes_forms)), min, max);
}

static size_t counted(struct cursor *c, uint64_t n, size_t max, size_t item_min)
{
	if (c->error == 0 && n > max)
		fail(c, E_WIRE_LIMIT);
	if (c->error == 0 && n > left(c) / item_min)
		fail(c, E_WIRE_SHORT);
	return c->error == 0 ? (size_t)n : 0;
}

size_t cursor_array(struct cursor *c, size_t max)
{
	uint8_t b;
	if (!head(c, &b))
		return 0;
	bool     fix = b >= 0x90 && b <= 0x9f;
	uint64_t n = fix ? b & 0x0fU : by_form(c, b, array_forms, N_ELEMENTS(array_forms));
	return counted(c, n, max, 1);
}

size_t cursor_map(struct cursor *c, size_t max)
{
	uint8_t b;
	if (!head(c, &b))
		return 0;
	bool     fix = b >= 0x80 && b <= 0x8f;
	uint64_t n = fix ? b & 0x0fU : by_form(c, b, map_forms, N_ELEMENTS(map_forms));
	return counted(c, n, max, 2);
}

int cursor_end(const struct cursor *c)
{
	if (c->error != 0)
		return c->error;
	return left(c) == 0 ? 0 : E_WIRE_REST;
}

static void field(struct cursor *c, const struct wire_field *f, unsigned depth)
{
	switch (f->kind) {
	case WIRE_U64:
	case WIRE_U32:
	case WIRE_U16:
		(void)cursor_uint(c, f->max);
		return;
	case WIRE_I64:
		(void)cursor_int(c, INT64_MIN, INT64_MAX);
		return;
	case WIRE_INT:
		(void)cursor_int(c, INT32_MIN, INT32_MAX);
		return;
	case WIRE_BOOL:
		(void)cursor_bool(c);
		return;
	case WIRE_TEXT:
		(void)cursor_text(c, f->size - 1);
		return;
	case WIRE_FIXED:
		(void)cursor_bytes(c, f->size, f->size);
		return;
	case WIRE_BYTES:
		(void)cursor_bytes(c, 0, f->max);
		return;
	case WIRE_BLOB:
		(void)cursor_bytes(c, 0, f->size);
		return;
	case WIRE_ROWS: {
		if (depth > WIRE_DEPTH_MAX)
			fail(c, E_WIRE_DEPTH);
		size_t rows = cursor_array(c, f->max);
		for (size_t i = 0; i < rows && c->error == 0; i++)
			cursor_fields(c, f->rows, depth + 1);
		return;
	}
	case WIRE_KIND_COUNT:
		break;
	}
	fail(c, E_INTERNAL); /* a table of ours names no kind */
}

void cursor_fields(struct cursor *c, const struct wire_message *message, unsigned depth)
{
	if (depth > WIRE_DEPTH_MAX)
		fail(c, E_WIRE_DEPTH);
	size_t n = cursor_map(c, UINT32_MAX);
	if (c->error == 0 && n != message->n_fields)
		fail(c, E_WIRE_FIELD);
	for (size_t i = 0; i < message->n_fields && c->error == 0; i++) {
		/* the one legal key at this place: missing, doubled, unknown and unordered ones all differ from it */
		uint64_t key = cursor_uint(c, UINT64_MAX);
		if (c->error == 0 && key != message->fields[i].number)
			fail(c, E_WIRE_FIELD);
		field(c, &message->fields[i], depth + 1);
	}
}

int cursor_frame(const struct wire_table *table, struct span bytes, size_t limit, const struct wire_message **ret_message,
		 uint64_t *ret_id, struct cursor *ret_fields)
{
	size_t max = limit != 0 && limit < table->frame_max ? limit : table->frame_max;
	if (bytes.n > max)
		return E_WIRE_LIMIT;

	struct cursor c = cursor_of(bytes);
	size_t        parts = cursor_array(&c, UINT32_MAX);
	if (c.error == 0 && parts != 4)
		return E_WIRE_FIELD;
	uint64_t version = cursor_uint(&c, UINT64_MAX);
	if (c.error == 0 && version != WIRE_VERSION)
		return E_WIRE_VERSION;
	uint64_t type = cursor_uint(&c, UINT64_MAX);
	uint64_t id = cursor_uint(&c, UINT64_MAX);
	if (c.error != 0)
		return c.error;
	const struct wire_message *message = wire_message_of(table, type);
	if (message == NULL)
		return E_WIRE_MESSAGE;

	struct cursor fields = c;
	cursor_fields(&c, message, 2);
	int r = cursor_end(&c);
	if (r < 0)
		return r;
	*ret_message = message;
	*ret_id = id;
	*ret_fields = fields;
	return 0;
}

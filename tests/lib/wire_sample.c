/* wire_sample.c - tests: seeded random payloads of any message, made and compared by its table.
 * Never: a real random source; one seed gives one run. */
#include "tests/lib/wire_sample.h"

#include <string.h>

#include "shared/base/err.h"

enum { POOL_SIZE = 1 << 19 };

uint64_t rng_next(struct rng *r)
{
	r->state ^= r->state >> 12;
	r->state ^= r->state << 25;
	r->state ^= r->state >> 27;
	return r->state * UINT64_C(0x2545f4914f6cdd1d);
}

size_t rng_below(struct rng *r, size_t n)
{
	return (size_t)(rng_next(r) >> 16) % n;
}

static const uint8_t *pool(void)
{
	static uint8_t bytes[POOL_SIZE];
	static bool    filled;
	struct rng     r = {4711};
	for (size_t i = 0; i < POOL_SIZE && !filled; i++)
		bytes[i] = (uint8_t)rng_next(&r);
	filled = true;
	return bytes;
}

/* Small, extreme and any values alike: forms change at powers of two. */
static uint64_t sample_uint(struct rng *r, uint64_t max)
{
	uint64_t v = rng_next(r) >> rng_below(r, 64);
	if (rng_below(r, 4) == 0)
		v = (UINT64_C(1) << rng_below(r, 64)) - rng_below(r, 2);
	if (rng_below(r, 8) == 0)
		v = max;
	return v <= max || max == UINT64_MAX ? v : v % (max + 1);
}

static int64_t sample_int(struct rng *r, int64_t min, int64_t max)
{
	int64_t v = (int64_t)sample_uint(r, (uint64_t)max);
	if (rng_below(r, 2) == 0)
		v = rng_below(r, 8) == 0 ? min : -v;
	return v;
}

static size_t sample_length(struct rng *r, size_t max)
{
	static const size_t turns[] = {0, 1, 15, 16, 31, 32, 255, 256, 65535, 65536};
	size_t              n = turns[rng_below(r, N_ELEMENTS(turns))];
	if (rng_below(r, 2) == 0)
		n = rng_below(r, max + 1);
	if (rng_below(r, 16) == 0)
		n = max;
	return n <= max ? n : max;
}

static void sample_text(struct rng *r, size_t size, char *ret)
{
	static const char *const letters[] = {"a", "0", "-", ",", " ", "\n", "\xc3\xbc", "\xe2\x82\xac", "\xf0\x9f\x94\x91"};
	size_t                   want = sample_length(r, size - 1);
	size_t                   n = 0;
	while (n < want) {
		const char *letter = letters[rng_below(r, N_ELEMENTS(letters))];
		size_t      len = strlen(letter);
		if (n + len > want) {
			letter = "z";
			len = 1;
		}
		memcpy(ret + n, letter, len);
		n += len;
	}
	ret[n] = '\0';
}

static struct span sample_span(struct rng *r, size_t max)
{
	size_t n = sample_length(r, max);
	return (struct span){pool() + rng_below(r, POOL_SIZE - n + 1), n};
}

static void sample_rows(const struct wire_field *f, struct rng *r, size_t span_max, uint8_t *base)
{
	uint32_t n = (uint32_t)sample_length(r, f->max);
	memcpy(base + f->count_offset, &n, sizeof(n));
	for (uint32_t i = 0; i < n; i++)
		sample_payload(f->rows, r, span_max, base + f->offset + i * f->rows->struct_size);
}

static void sample_field(const struct wire_field *f, struct rng *r, size_t span_max, uint8_t *base)
{
	uint8_t    *at = base + f->offset;
	uint64_t    u64 = sample_uint(r, f->max);
	uint32_t    u32 = (uint32_t)u64;
	uint16_t    u16 = (uint16_t)u64;
	int64_t     i64 = sample_int(r, INT64_MIN, INT64_MAX);
	int         i = (int)sample_int(r, INT32_MIN, INT32_MAX);
	bool        b = rng_below(r, 2) == 1;
	struct span s;
	switch (f->kind) {
	case WIRE_U64:
		memcpy(at, &u64, sizeof(u64));
		break;
	case WIRE_U32:
		memcpy(at, &u32, sizeof(u32));
		break;
	case WIRE_U16:
		memcpy(at, &u16, sizeof(u16));
		break;
	case WIRE_I64:
		memcpy(at, &i64, sizeof(i64));
		break;
	case WIRE_INT:
		memcpy(at, &i, sizeof(i));
		break;
	case WIRE_BOOL:
		memcpy(at, &b, sizeof(b));
		break;
	case WIRE_TEXT:
		sample_text(r, f->size, (char *)at);
		break;
	case WIRE_FIXED:
		memcpy(at, pool() + rng_below(r, POOL_SIZE - f->size), f->size);
		break;
	case WIRE_BYTES:
		s = sample_span(r, f->max < span_max ? f->max : span_max);
		memcpy(at, &s, sizeof(s));
		break;
	case WIRE_BLOB:
		s = sample_span(r, f->size);
		u16 = (uint16_t)s.n;
		memcpy(at, s.p, s.n);
		memcpy(base + f->count_offset, &u16, sizeof(u16));
		break;
	case WIRE_ROWS:
		sample_rows(f, r, span_max, base);
		break;
	case WIRE_KIND_COUNT:
		break;
	}
}

void sample_payload(const struct wire_message *message, struct rng *r, size_t span_max, void *ret)
{
	for (size_t i = 0; i < message->n_fields; i++)
		sample_field(&message->fields[i], r, span_max, ret);
}

static bool rows_equal(const struct wire_field *f, const uint8_t *a, const uint8_t *b)
{
	uint32_t n;
	memcpy(&n, a + f->count_offset, sizeof(n));
	if (memcmp(a + f->count_offset, b + f->count_offset, sizeof(n)) != 0)
		return false;
	for (uint32_t i = 0; i < n; i++) {
		size_t at = f->offset + i * f->rows->struct_size;
		if (!sample_equal(f->rows, a + at, b + at))
			return false;
	}
	return true;
}

static bool field_equal(const struct wire_field *f, const uint8_t *a, const uint8_t *b)
{
	struct span x;
	struct span y;
	switch (f->kind) {
	case WIRE_TEXT:
		return strcmp((const char *)a + f->offset, (const char *)b + f->offset) == 0;
	case WIRE_BYTES:
		memcpy(&x, a + f->offset, sizeof(x));
		memcpy(&y, b + f->offset, sizeof(y));
		return span_equal(x, y);
	case WIRE_BLOB: {
		uint16_t n;
		memcpy(&n, a + f->count_offset, sizeof(n));
		return memcmp(a + f->count_offset, b + f->count_offset, sizeof(n)) == 0 &&
		       memcmp(a + f->offset, b + f->offset, n) == 0;
	}
	case WIRE_ROWS:
		return rows_equal(f, a, b);
	default:
		return memcmp(a + f->offset, b + f->offset, f->size) == 0;
	}
}

bool sample_equal(const struct wire_message *message, const void *a, const void *b)
{
	for (size_t i = 0; i < message->n_fields; i++)
		if (!field_equal(&message->fields[i], a, b))
			return false;
	return true;
}

size_t sample_subjects(const struct sample_subject **ret)
{
	static const struct wire_message *const bodies[] = {&wire_body_csr, &wire_body_identity, &wire_body_receipt,
	                                                    &wire_body_bundle, &wire_body_join, &wire_body_inventory, &wire_body_return};
	static struct sample_subject            list[128];
	size_t                                  n = 0;
	size_t                                  n_tables;
	const struct wire_table *const         *tables = wire_tables(&n_tables);
	for (size_t t = 0; t < n_tables; t++)
		for (size_t m = 0; m < tables[t]->n_messages && n < N_ELEMENTS(list); m++)
			list[n++] = (struct sample_subject){tables[t], tables[t]->messages[m]};
	for (size_t i = 0; i < N_ELEMENTS(bodies) && n < N_ELEMENTS(list); i++)
		list[n++] = (struct sample_subject){NULL, bodies[i]};
	*ret = list;
	return n;
}

int subject_encode(const struct sample_subject *s, uint64_t id, const void *payload, struct buf *to)
{
	if (s->table == NULL)
		return wire_body_encode(s->message, payload, to);
	return wire_encode(s->table, s->message->type, id, payload, to);
}

int subject_decode(const struct sample_subject *s, struct span bytes, void *ret)
{
	if (s->table == NULL)
		return wire_body_decode(s->message, bytes, ret);

	static struct wire_frame frame;
	int                      r = wire_decode(s->table, bytes, 0, &frame);
	if (r < 0)
		return r;
	if (frame.type != s->message->type)
		return E_WIRE_MESSAGE;
	memcpy(ret, &frame.u, s->message->struct_size);
	return 0;
}

/* test_wire_hostile.c - does the decoder refuse every wrong frame, with the right code and within its memory?
 * The frames are made from the tables: each field of each message and row missing, doubled, out of order, over-long, of
 * every wrong type, in a longer form, with a bomb in its place. Envelopes and mutations: test_wire_bombs.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <msgpack.h>

#include "shared/base/err.h"
#include "tests/lib/bombs.h"
#include "tests/lib/wire_sample.h"

/* Where a fields map stands: some subject's bytes before and after it. */
struct place {
	const struct sample_subject *subject;
	const struct wire_message   *message; /* whose fields the map holds: the subject's or a row's */
	struct buf                   before;
	struct buf                   after;
	size_t                       n;
	struct span                  key[WIRE_FIELDS_MAX];
	struct span                  value[WIRE_FIELDS_MAX];
};

static struct buf scratch = BUF_MAX(4 << 20);
static uint8_t    payload[SAMPLE_PAYLOAD_MAX] __attribute__((aligned(16)));

static int verdict(const struct place *p, struct span bytes)
{
	static uint8_t out[SAMPLE_PAYLOAD_MAX] __attribute__((aligned(16)));
	int            r = subject_decode(p->subject, bytes, out);
	if (p->subject->table != NULL) {
		uint16_t type;
		uint64_t id;
		int      checked = wire_check(p->subject->table, bytes, 0, &type, &id);
		if (checked != r && r != E_WIRE_MESSAGE)
			fail_msg("%s: check says %d, decode %d", p->message->name, checked, r);
	}
	return r;
}

static void expect(const struct place *p, int want, const char *what, size_t field)
{
	assert_int_equal(buf_error(&scratch), 0);
	/* a copy of exactly this size, so that a sanitizer sees one byte too many */
	uint8_t *copy = malloc(scratch.n);
	assert_non_null(copy);
	memcpy(copy, scratch.p, scratch.n);
	int got = verdict(p, (struct span){copy, scratch.n});
	free(copy);
	if (got != want)
		fail_msg("%s.%s, %s: %d instead of %d", p->message->name,
		         field < p->n ? p->message->fields[field].name : "-", what, got, want);
}

static size_t object_end(struct span s, size_t at)
{
	msgpack_unpacked u;
	msgpack_unpacked_init(&u);
	assert_int_equal(msgpack_unpack_next(&u, (const char *)s.p, s.n, &at), MSGPACK_UNPACK_SUCCESS);
	msgpack_unpacked_destroy(&u);
	return at;
}

/* Cuts the map at `at` into keys and values; returns where it ends. */
static size_t place_cut(struct place *p, struct span s, size_t at)
{
	at += s.p[at] == 0xde ? 3 : 1;
	p->n = p->message->n_fields;
	for (size_t i = 0; i < p->n; i++) {
		size_t middle = object_end(s, at);
		size_t end = object_end(s, middle);
		p->key[i] = (struct span){s.p + at, middle - at};
		p->value[i] = (struct span){s.p + middle, end - middle};
		at = end;
	}
	return at;
}

static void put_span(struct span s)
{
	buf_add(&scratch, s.p, s.n);
}

static void put_map(size_t n)
{
	if (n < 16) {
		buf_add_u8(&scratch, (uint8_t)(0x80 + n));
	} else {
		const uint8_t head[] = {0xde, (uint8_t)(n >> 8), (uint8_t)n};
		put_span(SPAN_OF(head));
	}
}

static void begin(const struct place *p, size_t fields)
{
	buf_reset(&scratch);
	put_span(buf_span(&p->before));
	put_map(fields);
}

static void put_pair(const struct place *p, size_t i)
{
	put_span(p->key[i]);
	put_span(p->value[i]);
}

static void end(const struct place *p)
{
	put_span(buf_span(&p->after));
}

/* The whole message with field `at` replaced by these bytes. */
static void with_value(const struct place *p, size_t at, struct span value)
{
	begin(p, p->n);
	for (size_t i = 0; i < p->n; i++) {
		put_span(p->key[i]);
		put_span(i == at ? value : p->value[i]);
	}
	end(p);
}

/* ---- keys: missing, doubled, unknown, unordered -------------------------------------------------------------- */

static void keys_of_field(const struct place *p, size_t f)
{
	begin(p, p->n - 1);
	for (size_t i = 0; i < p->n; i++)
		if (i != f)
			put_pair(p, i);
	end(p);
	expect(p, E_WIRE_FIELD, "missing", f);

	begin(p, p->n + 1);
	for (size_t i = 0; i < p->n; i++)
		for (size_t k = 0; k < (i == f ? 2 : 1); k++)
			put_pair(p, i);
	end(p);
	expect(p, E_WIRE_FIELD, "doubled", f);

	if (p->n > 1) {
		begin(p, p->n);
		for (size_t i = 0; i < p->n; i++)
			put_pair(p, i == f ? (f + 1) % p->n : i);
		end(p);
		expect(p, E_WIRE_FIELD, "another one in its place", f);
	}
	if (f + 1 < p->n) {
		begin(p, p->n);
		for (size_t i = 0; i < p->n; i++)
			put_pair(p, i == f ? f + 1 : i == f + 1 ? f : i);
		end(p);
		expect(p, E_WIRE_FIELD, "out of order", f);
	}

	static const uint8_t unknown[] = {0x00, 0x7f, 0xcc, 0xff};
	for (size_t k = 0; k < 3; k++) {
		begin(p, p->n);
		for (size_t i = 0; i < p->n; i++) {
			put_span(i == f ? (struct span){unknown + k, k == 2 ? 2 : 1} : p->key[i]);
			put_span(p->value[i]);
		}
		end(p);
		expect(p, E_WIRE_FIELD, "unknown key", f);
	}
	static const uint8_t text_key[] = {0xa1, '1'};
	begin(p, p->n);
	for (size_t i = 0; i < p->n; i++) {
		put_span(i == f ? SPAN_OF(text_key) : p->key[i]);
		put_span(p->value[i]);
	}
	end(p);
	expect(p, E_WIRE_TYPE, "key is a text", f);
}

/* ---- values: wrong type, over-long, longer form -------------------------------------------------------------- */

struct value_row {
	const char *name;
	uint32_t    fits; /* kinds that may take it, as bits; those are not tried */
	uint8_t     n;
	uint8_t     bytes[24];
};
#define K(kind) (1U << (kind))
#define UINTS (K(WIRE_U64) | K(WIRE_U32) | K(WIRE_U16) | K(WIRE_I64) | K(WIRE_INT))
#define SIGNED (K(WIRE_I64) | K(WIRE_INT))
#define BINS (K(WIRE_BYTES) | K(WIRE_BLOB))

static const struct value_row values[] = {
	{"nil", 0, 1, {0xc0}},
	{"never used", 0, 1, {0xc1}},
	{"false", K(WIRE_BOOL), 1, {0xc2}},
	{"true", K(WIRE_BOOL), 1, {0xc3}},
	{"0", UINTS, 1, {0x00}},
	{"-1", SIGNED, 1, {0xff}},
	{"-128", SIGNED, 2, {0xd0, 0x80}},
	{"float32", 0, 5, {0xca, 0, 0, 0, 0}},
	{"float64", 0, 9, {0xcb, 0, 0, 0, 0, 0, 0, 0, 0}},
	{"empty text", K(WIRE_TEXT), 1, {0xa0}},
	{"empty bytes", BINS, 2, {0xc4, 0}},
	{"empty array", K(WIRE_ROWS), 1, {0x90}},
	{"empty map", 0, 1, {0x80}},
	{"fixext1", 0, 3, {0xd4, 1, 0}},
	{"fixext16", 0, 18, {0xd8, 1}},
	{"ext8", 0, 3, {0xc7, 0, 1}},
	{"timestamp", 0, 6, {0xd6, 0xff, 0, 0, 0, 0}},
};

static void types_of_field(const struct place *p, size_t f)
{
	for (size_t v = 0; v < N_ELEMENTS(values); v++) {
		if ((values[v].fits & K(p->message->fields[f].kind)) != 0)
			continue;
		with_value(p, f, (struct span){values[v].bytes, values[v].n});
		expect(p, E_WIRE_TYPE, values[v].name, f);
	}
}

static void put_head(struct buf *b, uint8_t short_form, size_t n)
{
	/* text: d9 da db, bytes: c4 c5 c6; always the shortest */
	if (short_form == 0xd9 && n < 32) {
		buf_add_u8(b, (uint8_t)(0xa0 + n));
	} else if (n < 0x100) {
		const uint8_t head[] = {short_form, (uint8_t)n};
		buf_add(b, head, sizeof(head));
	} else if (n < 0x10000) {
		const uint8_t head[] = {(uint8_t)(short_form + 1), (uint8_t)(n >> 8), (uint8_t)n};
		buf_add(b, head, sizeof(head));
	} else {
		const uint8_t head[] = {(uint8_t)(short_form + 2), (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8),
		                        (uint8_t)n};
		buf_add(b, head, sizeof(head));
	}
}

static void put_filled(struct buf *b, uint8_t short_form, size_t n)
{
	put_head(b, short_form, n);
	uint8_t *room = buf_room(b, n);
	assert_non_null(room);
	memset(room, 'x', n);
	buf_used(b, n);
}

static void length_of_field(const struct place *p, size_t f)
{
	const struct wire_field       *row = &p->message->fields[f];
	_cleanup_(buf_free) struct buf v = BUF_MAX(1 << 20);
	switch (row->kind) {
	case WIRE_TEXT:
		put_filled(&v, 0xd9, row->size);
		break;
	case WIRE_FIXED:
		put_filled(&v, 0xc4, row->size - 1);
		with_value(p, f, buf_span(&v));
		expect(p, E_WIRE_TYPE, "a byte too short", f);
		buf_reset(&v);
		put_filled(&v, 0xc4, row->size + 1);
		break;
	case WIRE_BYTES:
	case WIRE_BLOB:
		put_filled(&v, 0xc4, row->max + 1);
		break;
	case WIRE_ROWS:
		buf_add_u8(&v, 0xdc);
		buf_add_u8(&v, (uint8_t)(row->max >> 8));
		buf_add_u8(&v, (uint8_t)(row->max + 1));
		if (row->max + 1 < 16) {
			buf_reset(&v);
			buf_add_u8(&v, (uint8_t)(0x90 + row->max + 1));
		}
		put_filled(&v, 0xc4, 2048);
		break;
	case WIRE_U32:
		buf_add(&v, row->max < 127 ? "\x7f" : "\xcf\x00\x00\x00\x01\x00\x00\x00\x00", row->max < 127 ? 1 : 9);
		break;
	case WIRE_U16:
		buf_add(&v, "\xce\x00\x01\x00\x00", 5);
		break;
	case WIRE_INT:
		buf_add(&v, "\xd3\xff\xff\xff\xff\x7f\xff\xff\xff", 9);
		with_value(p, f, buf_span(&v));
		expect(p, E_WIRE_LIMIT, "too small", f);
		buf_reset(&v);
		buf_add(&v, "\xce\x80\x00\x00\x00", 5);
		break;
	case WIRE_I64:
		buf_add(&v, "\xcf\x80\x00\x00\x00\x00\x00\x00\x00", 9);
		break;
	default:
		return;
	}
	with_value(p, f, buf_span(&v));
	expect(p, E_WIRE_LIMIT, "over its limit", f);
}

static const struct value_row longer[] = {
	/* fits = the kinds that would read it, if it were not a byte longer than needed */
	{"uint8 127", UINTS, 2, {0xcc, 0x00}},
	{"uint16 255", UINTS, 3, {0xcd, 0x00, 0x01}},
	{"uint32 65535", UINTS, 5, {0xce, 0, 0, 0, 1}},
	{"uint64 small", UINTS, 9, {0xcf, 0, 0, 0, 0, 0, 0, 0, 1}},
	{"int8 -32", SIGNED, 2, {0xd0, 0xe0}},
	{"int16 -128", SIGNED, 3, {0xd1, 0xff, 0x80}},
	{"int32 -32768", SIGNED, 5, {0xd2, 0xff, 0xff, 0x80, 0x00}},
	{"int64 -2147483648", SIGNED, 9, {0xd3, 0xff, 0xff, 0xff, 0xff, 0x80, 0, 0, 0}},
	{"int8 +1", SIGNED, 2, {0xd0, 0x01}},
	{"int64 +1", SIGNED, 9, {0xd3, 0, 0, 0, 0, 0, 0, 0, 1}},
	{"str8 of 1", K(WIRE_TEXT), 3, {0xd9, 1, 'a'}},
	{"str16 of 1", K(WIRE_TEXT), 4, {0xda, 0, 1, 'a'}},
	{"str32 of 1", K(WIRE_TEXT), 6, {0xdb, 0, 0, 0, 1, 'a'}},
	{"bin16 of 1", BINS | K(WIRE_FIXED), 4, {0xc5, 0, 1, 'a'}},
	{"bin32 of 1", BINS | K(WIRE_FIXED), 6, {0xc6, 0, 0, 0, 1, 'a'}},
	{"array16 of 0", K(WIRE_ROWS), 3, {0xdc, 0, 0}},
	{"array32 of 0", K(WIRE_ROWS), 5, {0xdd, 0, 0, 0, 0}},
};

static void form_of_field(const struct place *p, size_t f)
{
	for (size_t v = 0; v < N_ELEMENTS(longer); v++) {
		if ((longer[v].fits & K(p->message->fields[f].kind)) == 0)
			continue;
		with_value(p, f, (struct span){longer[v].bytes, longer[v].n});
		expect(p, E_WIRE_FORM, longer[v].name, f);
	}
	/* the key, too */
	const uint8_t key[] = {0xcc, p->message->fields[f].number};
	begin(p, p->n);
	for (size_t i = 0; i < p->n; i++) {
		put_span(i == f ? SPAN_OF(key) : p->key[i]);
		put_span(p->value[i]);
	}
	end(p);
	expect(p, E_WIRE_FORM, "key", f);
}

static void utf8_of_field(const struct place *p, size_t f)
{
	static const char *const bad[] = {
		"\xa1\x80",             /* continuation first */
		"\xa2\xc0\xaf",         /* overlong '/' */
		"\xa3\xe0\x80\xaf",     /* overlong */
		"\xa3\xed\xa0\x80",     /* surrogate */
		"\xa4\xf4\x90\x80\x80", /* above U+10FFFF */
		"\xa1\xc3",             /* cut */
		"\xa1\xff", "\xa1\x1b", "\xa1\x7f", "\xa1\r",
	};
	if (p->message->fields[f].kind != WIRE_TEXT)
		return;
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		with_value(p, f, span_text(bad[i]));
		expect(p, E_WIRE_UTF8, "bad UTF-8", f);
	}
	static const uint8_t nul[] = {0xa3, 'a', 0, 'b'};
	with_value(p, f, SPAN_OF(nul));
	expect(p, E_WIRE_UTF8, "NUL inside", f);
}

/* ---- bombs --------------------------------------------------------------------------------------------------- */

static void bombs_of_field(const struct place *p, size_t f)
{
	for (size_t i = 0; i < BOMBS; i++) {
		_cleanup_(buf_free) struct buf bomb = BUF_MAX(1 << 17);
		bomb_make(&bomb, i);
		with_value(p, f, buf_span(&bomb));
		int r = verdict(p, buf_span(&scratch));
		if (r != E_WIRE_TYPE && r != E_WIRE_LIMIT && r != E_WIRE_SHORT && r != E_WIRE_FIELD && r != E_WIRE_FORM)
			fail_msg("%s.%s, bomb %zu: %d", p->message->name, p->message->fields[f].name, i, r);
	}
}

/* ---- all of it, for every place ------------------------------------------------------------------------------ */

static void truncated(const struct place *p)
{
	begin(p, p->n);
	for (size_t i = 0; i < p->n; i++)
		put_pair(p, i);
	end(p);
	expect(p, 0, "untouched", p->n);
	size_t whole = scratch.n;
	size_t step = whole < 2000 ? 1 : whole / 500;
	for (scratch.n = 0; scratch.n < whole; scratch.n += step)
		expect(p, E_WIRE_SHORT, "cut", p->n);
	scratch.n = whole;
	if (p->message != p->subject->message)
		return; /* a byte behind a row is the next field's fault */
	buf_add_u8(&scratch, 0xc0);
	expect(p, E_WIRE_REST, "one byte more", p->n);
}

static void place_try(const struct place *p)
{
	truncated(p);
	for (size_t f = 0; f < p->n; f++) {
		keys_of_field(p, f);
		types_of_field(p, f);
		length_of_field(p, f);
		form_of_field(p, f);
		utf8_of_field(p, f);
		bombs_of_field(p, f);
	}
}

/* The same for each kind of row inside: a message with exactly one such row. */
static size_t rows_try(const struct sample_subject *s, const struct place *outer, const struct wire_field *f)
{
	struct rng                     r = {99};
	static uint8_t                 row[SAMPLE_PAYLOAD_MAX] __attribute__((aligned(16)));
	_cleanup_(buf_free) struct buf bytes = BUF_MAX(1 << 17);
	struct place                   p = {.subject = s, .message = f->rows, .before = BUF_MAX(1 << 17), .after = BUF_MAX(1 << 17)};
	memset(row, 0, sizeof(row));
	sample_payload(f->rows, &r, 100, row);
	assert_int_equal(wire_body_encode(f->rows, row, &bytes), 0);
	size_t end_at = place_cut(&p, buf_span(&bytes), 0);
	assert_int_equal(end_at, bytes.n);

	begin(outer, outer->n);
	buf_add(&p.before, scratch.p, scratch.n);
	for (size_t i = 0; i < outer->n; i++) {
		bool        here = &outer->message->fields[i] == f;
		struct buf *to = i + 1 <= f->number ? &p.before : &p.after;
		buf_add(to, outer->key[i].p, outer->key[i].n);
		if (here)
			buf_add_u8(to, 0x91);
		else
			buf_add(to, outer->value[i].p, outer->value[i].n);
	}
	buf_add(&p.after, outer->after.p, outer->after.n);
	place_try(&p);
	buf_free(&p.before);
	buf_free(&p.after);
	return p.n;
}

static void every_field_of_every_message(void **state)
{
	(void)state;
	const struct sample_subject *s;
	size_t                       n = sample_subjects(&s);
	size_t                       tried = 0;
	size_t                       base = memory_used();
	for (size_t i = 0; i < n; i++) {
		struct rng                     r = {1000 + i};
		_cleanup_(buf_free) struct buf bytes = BUF_MAX(1 << 20);
		struct place                   p = {.subject = &s[i], .message = s[i].message, .before = BUF_MAX(64), .after = BUF_MAX(64)};
		memset(payload, 0, sizeof(payload));
		sample_payload(s[i].message, &r, 300, payload);
		assert_int_equal(subject_encode(&s[i], 1, payload, &bytes), 0);
		/* array head, version, type (one or two bytes), id; bodies have none of it */
		size_t at = s[i].table == NULL ? 0 : s[i].message->type < 128 ? 4 : 5;
		buf_add(&p.before, bytes.p, at);
		assert_int_equal(place_cut(&p, buf_span(&bytes), at), bytes.n);
		place_try(&p);
		tried += p.n;
		for (size_t f = 0; f < p.n; f++)
			if (p.message->fields[f].kind == WIRE_ROWS)
				tried += rows_try(&s[i], &p, &p.message->fields[f]);
		buf_free(&p.before);
		buf_free(&p.after);
	}
	assert_true(tried > 200);
	assert_true(memory_used() < base + MEMORY_ALLOWED);
}

static int scratch_free(void **state)
{
	(void)state;
	buf_free(&scratch);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_field_of_every_message),
	};
	return cmocka_run_group_tests(tests, NULL, scratch_free);
}

/* test_wire_bombs.c - do wrong envelopes, msgpack bombs and 100,000 seeded mutations leave the decoder unmoved, within 8 MiB?
 * Field by field: test_wire_hostile.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "shared/base/err.h"
#include "shared/wire/cursor.h"
#include "tests/lib/bombs.h"
#include "tests/lib/wire_sample.h"

enum { MUTATIONS = 100000 };

static void bombs_as_whole_frames(void **state)
{
	(void)state;
	const struct sample_subject *s;
	size_t                       n = sample_subjects(&s);
	size_t                       base = memory_used();
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < BOMBS; k++) {
			static uint8_t                 out[SAMPLE_PAYLOAD_MAX];
			_cleanup_(buf_free) struct buf bomb = BUF_MAX(1 << 17);
			bomb_make(&bomb, k);
			assert_true(subject_decode(&s[i], buf_span(&bomb), out) < 0);
		}
	}
	assert_true(memory_used() < base + MEMORY_ALLOWED);
}

/* ---- the envelope -------------------------------------------------------------------------------------------- */

struct frame_row {
	int         want;
	const char *hex;
};

static const struct frame_row frames[] = {
	{0, "9401182a8401c410000000000000000000000000000000000201030004a161"}, /* type patched below: the healthy one */
	{E_WIRE_SHORT, ""},
	{E_WIRE_TYPE, "c0"},
	{E_WIRE_TYPE, "8401"},
	{E_WIRE_SHORT, "94"},
	{E_WIRE_FIELD, "93012a01"},
	{E_WIRE_FIELD, "95012a018000"},
	{E_WIRE_FORM, "dc0004012a0180"},
	{E_WIRE_VERSION, "94002a0180"},
	{E_WIRE_VERSION, "94022a0180"},
	{E_WIRE_VERSION, "94cf00000001000000012a0180"},
	{E_WIRE_TYPE, "94ff2a0180"},
	{E_WIRE_TYPE, "94012aff80"},
	{E_WIRE_MESSAGE, "9401000180"},
	{E_WIRE_MESSAGE, "9401ccff0180"},
	{E_WIRE_MESSAGE, "9401ce0001002a0180"}, /* 0x1002a is not 0x2a */
	{E_WIRE_FIELD, "94012a0180"},
	{E_WIRE_TYPE, "94012a0190"},
	{E_WIRE_TYPE, "94012a01c0"},
};

static void envelopes(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(frames); i++) {
		uint8_t bytes[64];
		size_t  n = strlen(frames[i].hex) / 2;
		assert_int_equal(hex_parse(frames[i].hex, bytes, n), 0);
		if (i == 0)
			bytes[2] = MSG_CANCEL;
		uint16_t type;
		uint64_t id;
		int      r = wire_check(&wire_agent, (struct span){bytes, n}, 0, &type, &id);
		if (r != frames[i].want)
			fail_msg("frame %zu: %d instead of %d", i, r, frames[i].want);
	}
}

/* Depth is bounded by the walker itself, not only by today's tables. */
static void depth_is_bounded(void **state)
{
	(void)state;
	static struct wire_message levels[16];
	static struct wire_field   fields[16];
	_cleanup_(buf_free) struct buf b = BUF_MAX(256);
	for (size_t i = 0; i < N_ELEMENTS(levels); i++) {
		bool last = i + 1 == N_ELEMENTS(levels);
		fields[i] = (struct wire_field){.number = 1, .kind = last ? WIRE_BOOL : WIRE_ROWS, .max = 1, .size = 1};
		fields[i].rows = last ? NULL : &levels[i + 1];
		levels[i] = (struct wire_message){.name = "level", .fields = &fields[i], .n_fields = 1};
		buf_add(&b, last ? "\x81\x01\xc3" : "\x81\x01\x91", 3);
	}
	struct cursor c = cursor_of(buf_span(&b));
	cursor_fields(&c, &levels[0], 1);
	assert_int_equal(cursor_end(&c), E_WIRE_DEPTH);
	assert_true(c.at <= 3 * WIRE_DEPTH_MAX);

	/* the deepest legal one: maps and arrays take turns, eight in all */
	fields[15] = (struct wire_field){.number = 1, .kind = WIRE_BOOL, .size = 1};
	c = cursor_of((struct span){b.p + 3 * 12, 3 * 4});
	cursor_fields(&c, &levels[12], 1);
	assert_int_equal(cursor_end(&c), 0);
}

/* ---- seeded mutations ---------------------------------------------------------------------------------------- */

static void mutate(struct rng *r, struct buf *b)
{
	static const uint8_t interesting[] = {0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xc0, 0xc4, 0xc6, 0xc7, 0xc9,
	                                      0xca, 0xcb, 0xcc, 0xcf, 0xd0, 0xd3, 0xd4, 0xd9, 0xdb, 0xdc, 0xdd, 0xde,
	                                      0xdf, 0xe0, 0xff};
	size_t               at = rng_below(r, b->n);
	size_t               len = 1 + rng_below(r, 8);
	switch (rng_below(r, 6)) {
	case 0:
		b->p[at] = (uint8_t)(b->p[at] ^ 1U << rng_below(r, 8));
		break;
	case 1:
		b->p[at] = interesting[rng_below(r, sizeof(interesting))];
		break;
	case 2: /* drop some */
		if (at + len < b->n) {
			memmove(b->p + at, b->p + at + len, b->n - at - len);
			b->n -= len;
		}
		break;
	case 3: /* double some */
		if (at + len <= b->n) {
			uint8_t copy[8];
			memcpy(copy, b->p + at, len);
			buf_add(b, copy, len);
			memmove(b->p + at + len, b->p + at, b->n - at - len);
			memcpy(b->p + at, copy, len);
		}
		break;
	case 4:
		b->n = at + 1;
		break;
	default: /* a claim in the middle */
		for (size_t i = 0; i < 5 && at + i < b->n; i++)
			b->p[at + i] = i == 0 ? interesting[rng_below(r, sizeof(interesting))] : 0xff;
		break;
	}
}

static uint8_t payload[SAMPLE_PAYLOAD_MAX] __attribute__((aligned(16)));

static void hundred_thousand_mutations_within_8_mib(void **state)
{
	(void)state;
	static uint8_t                 out[SAMPLE_PAYLOAD_MAX] __attribute__((aligned(16)));
	const struct sample_subject   *s;
	size_t                         n = sample_subjects(&s);
	struct rng                     r = {31337};
	_cleanup_(buf_free) struct buf frame = BUF_MAX(1 << 20);
	_cleanup_(buf_free) struct buf again = BUF_MAX(1 << 20);
	size_t                         refused = 0;
	size_t                         base = memory_used();
	for (size_t i = 0; i < MUTATIONS; i++) {
		const struct sample_subject *one = &s[i % n];
		buf_reset(&frame);
		memset(payload, 0, sizeof(payload));
		sample_payload(one->message, &r, i % 64 == 0 ? 16384 : 60, payload);
		if (subject_encode(one, rng_next(&r), payload, &frame) < 0)
			continue;
		for (size_t k = 1 + rng_below(&r, 3); k > 0; k--)
			mutate(&r, &frame);
		if (subject_decode(one, buf_span(&frame), out) < 0) {
			refused++;
			continue;
		}
		/* what passes is legal and has this one encoding */
		buf_reset(&again);
		uint16_t type;
		uint64_t id = 0;
		if (one->table != NULL)
			assert_int_equal(wire_check(one->table, buf_span(&frame), 0, &type, &id), 0);
		assert_int_equal(subject_encode(one, id, out, &again), 0);
		assert_true(span_equal(buf_span(&frame), buf_span(&again)));
	}
	assert_true(refused > MUTATIONS / 2);
	assert_true(memory_used() < base + MEMORY_ALLOWED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(envelopes),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(bombs_as_whole_frames),
		cmocka_unit_test(hundred_thousand_mutations_within_8_mib),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

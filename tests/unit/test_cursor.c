/* test_cursor.c - does the walker read each form once, name the right error, and stop at the first one? */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "shared/base/err.h"
#include "shared/wire/cursor.h"

struct number_row {
	const char *hex;
	int         want;
	int64_t     value;
};

static struct cursor cursor_hex(const char *hex, uint8_t bytes[64])
{
	size_t n = strlen(hex) / 2;
	assert_true(n <= 64);
	assert_int_equal(hex_parse(hex, bytes, n), 0);
	return cursor_of((struct span){bytes, n});
}

static const struct number_row unsigned_rows[] = {
	{"", E_WIRE_SHORT, 0},
	{"cc", E_WIRE_SHORT, 0},
	{"cd01", E_WIRE_SHORT, 0},
	{"cf00000000000000", E_WIRE_SHORT, 0},
	{"ff", E_WIRE_TYPE, 0},
	{"d0ff", E_WIRE_TYPE, 0},
	{"ca00000000", E_WIRE_TYPE, 0},
	{"c0", E_WIRE_TYPE, 0},
	{"cc7f", E_WIRE_FORM, 0},
	{"cd00ff", E_WIRE_FORM, 0},
	{"ce0000ffff", E_WIRE_FORM, 0},
	{"cf00000000ffffffff", E_WIRE_FORM, 0},
	{"cf7fffffffffffffff", 0, INT64_MAX},
	{"00", 0, 0},
	{"7f", 0, 127},
	{"cc80", 0, 128},
	{"ccff", 0, 255},
	{"cd0100", 0, 256},
	{"ce00010000", 0, 65536},
	{"cf0000000100000000", 0, 4294967296},
};

static const struct number_row signed_rows[] = {
	{"d0", E_WIRE_SHORT, 0},
	{"d3ffffffff7fffff", E_WIRE_SHORT, 0},
	{"c2", E_WIRE_TYPE, 0},
	{"a0", E_WIRE_TYPE, 0},
	{"cf8000000000000000", E_WIRE_LIMIT, 0},
	{"d0e0", E_WIRE_FORM, 0},
	{"d000", E_WIRE_FORM, 0},
	{"d07f", E_WIRE_FORM, 0},
	{"d1ff80", E_WIRE_FORM, 0},
	{"d10100", E_WIRE_FORM, 0},
	{"d2ffff8000", E_WIRE_FORM, 0},
	{"d3ffffffff80000000", E_WIRE_FORM, 0},
	{"d37fffffffffffffff", E_WIRE_FORM, 0},
	{"e0", 0, -32},
	{"ff", 0, -1},
	{"d0df", 0, -33},
	{"d080", 0, -128},
	{"d1ff7f", 0, -129},
	{"d18000", 0, INT16_MIN},
	{"d2ffff7fff", 0, INT16_MIN - 1},
	{"d280000000", 0, INT32_MIN},
	{"d3ffffffff7fffffff", 0, (int64_t)INT32_MIN - 1},
	{"d38000000000000000", 0, INT64_MIN},
	{"cf7fffffffffffffff", 0, INT64_MAX},
	{"2a", 0, 42},
};

static void numbers_in_their_shortest_form(void **state)
{
	(void)state;
	uint8_t bytes[64];
	for (size_t i = 0; i < N_ELEMENTS(unsigned_rows); i++) {
		struct cursor c = cursor_hex(unsigned_rows[i].hex, bytes);
		uint64_t      v = cursor_uint(&c, UINT64_MAX);
		if (cursor_end(&c) != unsigned_rows[i].want || v != (uint64_t)unsigned_rows[i].value)
			fail_msg("%s: %d, %llu", unsigned_rows[i].hex, c.error, (unsigned long long)v);
	}
	for (size_t i = 0; i < N_ELEMENTS(signed_rows); i++) {
		struct cursor c = cursor_hex(signed_rows[i].hex, bytes);
		int64_t       v = cursor_int(&c, INT64_MIN, INT64_MAX);
		if (cursor_end(&c) != signed_rows[i].want || v != signed_rows[i].value)
			fail_msg("%s: %d, %lld", signed_rows[i].hex, c.error, (long long)v);
	}
}

static void numbers_within_their_limits(void **state)
{
	(void)state;
	uint8_t       bytes[64];
	struct cursor c = cursor_hex("07", bytes);
	assert_int_equal(cursor_uint(&c, 6), 0);
	assert_int_equal(c.error, E_WIRE_LIMIT);
	c = cursor_hex("07", bytes);
	assert_int_equal(cursor_uint(&c, 7), 7);
	c = cursor_hex("f9", bytes);
	assert_int_equal(cursor_int(&c, -6, 6), 0);
	assert_int_equal(c.error, E_WIRE_LIMIT);
	c = cursor_hex("f9", bytes);
	assert_int_equal(cursor_int(&c, -7, 6), -7);
}

static void texts_and_bytes(void **state)
{
	(void)state;
	uint8_t       bytes[64];
	struct cursor c = cursor_hex("a3616263", bytes);
	assert_int_equal(cursor_text(&c, 2).n, 0);
	assert_int_equal(c.error, E_WIRE_LIMIT);
	c = cursor_hex("a3616263", bytes);
	assert_true(span_equal(cursor_text(&c, 3), span_text("abc")));
	c = cursor_hex("a36162", bytes);
	assert_null(cursor_text(&c, 3).p);
	assert_int_equal(c.error, E_WIRE_SHORT);
	c = cursor_hex("dbffffffff", bytes);
	assert_null(cursor_text(&c, SIZE_MAX).p);
	assert_int_equal(c.error, E_WIRE_SHORT);
	c = cursor_hex("a1ff", bytes);
	assert_null(cursor_text(&c, 3).p);
	assert_int_equal(c.error, E_WIRE_UTF8);

	c = cursor_hex("c403010203", bytes);
	assert_int_equal(cursor_bytes(&c, 0, 3).n, 3);
	c = cursor_hex("c403010203", bytes);
	assert_int_equal(cursor_bytes(&c, 4, 8).n, 0);
	assert_int_equal(c.error, E_WIRE_TYPE);
	c = cursor_hex("a3010203", bytes);
	assert_int_equal(cursor_bytes(&c, 0, 3).n, 0);
	assert_int_equal(c.error, E_WIRE_TYPE);
	c = cursor_hex("c3", bytes);
	assert_true(cursor_bool(&c));
	c = cursor_hex("01", bytes);
	(void)cursor_bool(&c);
	assert_int_equal(c.error, E_WIRE_TYPE);
}

static void counts_against_bytes_left(void **state)
{
	(void)state;
	uint8_t       bytes[64];
	struct cursor c = cursor_hex("920000", bytes);
	assert_int_equal(cursor_array(&c, 2), 2);
	c = cursor_hex("9200", bytes);
	assert_int_equal(cursor_array(&c, 2), 0);
	assert_int_equal(c.error, E_WIRE_SHORT);
	c = cursor_hex("920000", bytes);
	assert_int_equal(cursor_array(&c, 1), 0);
	assert_int_equal(c.error, E_WIRE_LIMIT);
	c = cursor_hex("82000000", bytes);
	assert_int_equal(cursor_map(&c, 9), 0); /* two pairs need four bytes */
	assert_int_equal(c.error, E_WIRE_SHORT);
	c = cursor_hex("8200000000", bytes);
	assert_int_equal(cursor_map(&c, 9), 2);
	c = cursor_hex("ddffffffff00", bytes);
	assert_int_equal(cursor_array(&c, SIZE_MAX), 0);
	assert_int_equal(c.error, E_WIRE_SHORT);
}

static void the_first_error_sticks(void **state)
{
	(void)state;
	uint8_t       bytes[64];
	struct cursor c = cursor_hex("c00101a161", bytes);
	(void)cursor_uint(&c, 9);
	size_t at = c.at;
	assert_int_equal(cursor_uint(&c, 9), 0);
	assert_int_equal(cursor_int(&c, -9, 9), 0);
	assert_false(cursor_bool(&c));
	assert_null(cursor_text(&c, 9).p);
	assert_null(cursor_bytes(&c, 0, 9).p);
	assert_int_equal(cursor_array(&c, 9), 0);
	assert_int_equal(cursor_map(&c, 9), 0);
	assert_int_equal(c.at, at);
	assert_int_equal(cursor_end(&c), E_WIRE_TYPE);
}

static void everything_must_be_consumed(void **state)
{
	(void)state;
	uint8_t       bytes[64];
	struct cursor c = cursor_hex("0102", bytes);
	assert_int_equal(cursor_uint(&c, 9), 1);
	assert_int_equal(cursor_end(&c), E_WIRE_REST);
	assert_int_equal(cursor_uint(&c, 9), 2);
	assert_int_equal(cursor_end(&c), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_in_their_shortest_form), cmocka_unit_test(numbers_within_their_limits),
		cmocka_unit_test(texts_and_bytes), cmocka_unit_test(counts_against_bytes_left),
		cmocka_unit_test(the_first_error_sticks), cmocka_unit_test(everything_must_be_consumed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

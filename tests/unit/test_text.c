/* test_text.c - do bounded strings copy all or nothing, and are numbers, lists and UTF-8 judged strictly? */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "shared/base/err.h"
#include "shared/base/text.h"

static void copies_all_or_nothing(void **state)
{
	(void)state;
	char to[4] = "old";
	assert_int_equal(text_copy(to, sizeof(to), "four"), E_FULL);
	assert_int_equal(text_copy_n(to, sizeof(to), "four", 4), E_FULL);
	assert_int_equal(text_copy_n(to, sizeof(to), "a\0b", 3), E_SYNTAX);
	assert_string_equal(to, "old");
	assert_int_equal(text_copy(to, sizeof(to), "new"), 0);
	assert_string_equal(to, "new");
	assert_int_equal(text_copy_n(to, sizeof(to), "ab-no-end", 2), 0);
	assert_string_equal(to, "ab");
	assert_int_equal(text_copy_n(to, sizeof(to), NULL, 0), 0);
	assert_string_equal(to, "");
	text_cut(to, sizeof(to), "long text");
	assert_string_equal(to, "lon");
}

static void comparisons(void **state)
{
	(void)state;
	assert_true(text_equal(NULL, NULL));
	assert_false(text_equal(NULL, ""));
	assert_false(text_equal("a", NULL));
	assert_false(text_equal("a", "A"));
	assert_true(text_equal("a", "a"));
	assert_true(text_starts("abc", "ab"));
	assert_true(text_starts("abc", ""));
	assert_false(text_starts("ab", "abc"));
	assert_true(text_ends("abc", "bc"));
	assert_false(text_ends("bc", "abc"));

	char line[] = "a\tb\nc\x1b[2J\x7f\xc3\xa4";
	text_hide_controls(line);
	assert_string_equal(line, "a?b?c?[2J?\xc3\xa4");
	text_plain(line);
	assert_string_equal(line, "a?b?c?[2J???");
}

/* What a terminal or a page would not show as it stands. */
static void lines(void **state)
{
	(void)state;
	static const struct {
		const char *text, *shown;
	} rows[] = {
		{"", NULL},
		{"a \xc3\xa4 \xe2\x82\xac \xf0\x9f\x94\x91", NULL},
		{"\xc2\xa0 \xe2\x80\x8f \xe2\x80\xa7 \xe2\x80\xaf \xe2\x81\xa5 \xe2\x81\xaa", NULL}, /* beside them */
		{"a\nb", "a?b"},
		{"a\tb", "a?b"},
		{"\x1b[2J", "?[2J"},
		{"\x7f", "?"},
		{"\xc2\x9b" "31m", "??31m"},
		{"\xc2\x80\xc2\x9f", "????"},
		{"a\xe2\x80\xa8" "b\xe2\x80\xa9", "a???b???"},
		{"\xe2\x80\xaa\xe2\x80\xae", "??????"},
		{"\xe2\x81\xa6x\xe2\x81\xa9", "???x???"},
	};
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		char text[32];
		assert_int_equal(text_line_ok(rows[i].text, strlen(rows[i].text)), rows[i].shown == NULL);
		assert_int_equal(text_copy(text, sizeof(text), rows[i].text), 0);
		text_hide_controls(text);
		assert_string_equal(text, rows[i].shown != NULL ? rows[i].shown : rows[i].text);
	}
	assert_false(text_line_ok("\xc2", 1));
	assert_false(text_line_ok("a\0b", 3));
}

struct utf8_row {
	const char *bytes;
	size_t      n;
	bool        want;
};
#define BYTES(text) (text), sizeof(text) - 1

static const struct utf8_row utf8[] = {
	{BYTES("\x80"), false},
	{BYTES("\xc0\x80"), false},
	{BYTES("\xc1\xbf"), false},
	{BYTES("\xc2"), false},
	{BYTES("\xc2\x41"), false},
	{BYTES("\xe0\x9f\xbf"), false},
	{BYTES("\xed\xa0\x80"), false},
	{BYTES("\xe2\x82"), false},
	{BYTES("\xe2\x82\x41"), false},
	{BYTES("\xf0\x8f\xbf\xbf"), false},
	{BYTES("\xf4\x90\x80\x80"), false},
	{BYTES("\xf5\x80\x80\x80"), false},
	{BYTES("\xff"), false},
	{BYTES("a\0b"), false},
	{BYTES("a\x1b"), false},
	{BYTES("a\r\n"), false},
	{BYTES("\x7f"), false},
	{BYTES(""), true},
	{BYTES("a\tb\n"), true},
	{BYTES("\xc2\x80"), true},
	{BYTES("\xdf\xbf"), true},
	{BYTES("\xe0\xa0\x80"), true},
	{BYTES("\xed\x9f\xbf"), true},
	{BYTES("\xef\xbf\xbf"), true},
	{BYTES("\xf0\x90\x80\x80"), true},
	{BYTES("\xf4\x8f\xbf\xbf"), true},
};

static void utf8_is_strict(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(utf8); i++)
		if (text_utf8_ok(utf8[i].bytes, utf8[i].n) != utf8[i].want)
			fail_msg("row %zu", i);
}

struct number_row {
	const char *text;
	int64_t     min, max;
	int         want;
	int64_t     value;
};

static const struct number_row numbers[] = {
	{"", 0, 9, E_SYNTAX, 0},
	{"-", -9, 9, E_SYNTAX, 0},
	{"+1", 0, 9, E_SYNTAX, 0},
	{" 1", 0, 9, E_SYNTAX, 0},
	{"1 ", 0, 9, E_SYNTAX, 0},
	{"0x1", 0, 9, E_SYNTAX, 0},
	{"1e1", 0, 99, E_SYNTAX, 0},
	{"--1", -9, 9, E_SYNTAX, 0},
	{"10", 0, 9, E_RANGE, 0},
	{"-1", 0, 9, E_RANGE, 0},
	{"9223372036854775808", INT64_MIN, INT64_MAX, E_RANGE, 0},
	{"-9223372036854775809", INT64_MIN, INT64_MAX, E_RANGE, 0},
	{"99999999999999999999999", INT64_MIN, INT64_MAX, E_RANGE, 0},
	{"9223372036854775807", INT64_MIN, INT64_MAX, 0, INT64_MAX},
	{"-9223372036854775808", INT64_MIN, INT64_MAX, 0, INT64_MIN},
	{"007", 0, 9, 0, 7},
	{"-0", 0, 9, 0, 0},
};

static void numbers_are_whole_texts(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(numbers); i++) {
		int64_t v = 0;
		int     r = text_i64(numbers[i].text, numbers[i].min, numbers[i].max, &v);
		if (r != numbers[i].want || v != numbers[i].value)
			fail_msg("\"%s\": %d, %lld", numbers[i].text, r, (long long)v);
	}
}

static void items_of_a_list(void **state)
{
	(void)state;
	const char *cursor = " a ,, b c,\t,d";
	char        item[4];
	assert_true(text_item(&cursor, item, sizeof(item)));
	assert_string_equal(item, "a");
	assert_true(text_item(&cursor, item, sizeof(item)));
	assert_string_equal(item, "b c");
	assert_true(text_item(&cursor, item, sizeof(item)));
	assert_string_equal(item, "d");
	assert_false(text_item(&cursor, item, sizeof(item)));
	assert_non_null(cursor);

	cursor = "a,long,b";
	assert_true(text_item(&cursor, item, sizeof(item)));
	assert_false(text_item(&cursor, item, sizeof(item)));
	assert_null(cursor);
	assert_false(text_item(&cursor, item, sizeof(item)));
}

static void what_a_list_names(void **state)
{
	(void)state;
	static const struct {
		const char *list, *item;
		bool        listed;
	} rows[] = {
		{"", "a", false},     {"a", "a", true},          {"ab", "a", false},      {"a", "ab", false},   {"x, a b ,c", "a b", true},
		{"x,,c", "", false},  {" , ,", "", false},       {"x,c\t", "c", true},    {"a,b", "a,b", false}, {"x,long", "long", true},
		{"x,longer", "long", false},
	};
	for (size_t i = 0; i < N_ELEMENTS(rows); i++)
		assert_int_equal(text_listed(rows[i].list, rows[i].item), rows[i].listed);
}

static void distances(void **state)
{
	(void)state;
	char long_text[TEXT_DISTANCE_MAX + 2];
	static const struct {
		const char *a, *b;
		size_t      distance;
	} rows[] = {
		{"", "", 0},          {"", "abc", 3},           {"abc", "", 3},         {"clara", "clara", 0},  {"clarra", "clara", 1},
		{"clra", "clara", 1}, {"clara", "clera", 1},    {"calra", "clara", 1},  {"aclar", "clara", 2},  {"argus", "clara", 5},
		{"ab", "ba", 1},      {"kitten", "sitting", 3}, {"a", "b", 1},
	};
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		assert_int_equal(text_distance(rows[i].a, rows[i].b), rows[i].distance);
		assert_int_equal(text_distance(rows[i].b, rows[i].a), rows[i].distance);
	}
	memset(long_text, 'x', sizeof(long_text));
	long_text[TEXT_DISTANCE_MAX + 1] = '\0';
	assert_true(text_distance(long_text, "x") == SIZE_MAX);
	assert_int_equal(text_distance(long_text + 1, ""), TEXT_DISTANCE_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copies_all_or_nothing), cmocka_unit_test(comparisons),     cmocka_unit_test(utf8_is_strict),
		cmocka_unit_test(numbers_are_whole_texts), cmocka_unit_test(items_of_a_list), cmocka_unit_test(lines), cmocka_unit_test(what_a_list_names), cmocka_unit_test(distances),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

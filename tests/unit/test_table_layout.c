/* test_table_layout.c - does a table fit without losing anything, and is a text broken where a reader would? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "controller/cli/table_layout.h"
#include "shared/base/attr.h"

static void fits(size_t n, const size_t *least, size_t total, size_t *width, const size_t *wanted)
{
	table_fit(n, least, total, width);
	for (size_t k = 0; k < n; k++)
		assert_int_equal(width[k], wanted[k]);
}

static void the_widest_give_first(void **state)
{
	(void)state;
	static const size_t least[] = {4, 4, 10};
	fits(3, least, 50, (size_t[]){10, 10, 10}, (const size_t[]){10, 10, 10});
	fits(3, least, 40, (size_t[]){40, 5, 10}, (const size_t[]){25, 5, 10});
	fits(3, least, 20, (size_t[]){40, 5, 10}, (const size_t[]){5, 5, 10});
	fits(3, least, 30, (size_t[]){40, 40, 10}, (const size_t[]){10, 10, 10});
	fits(3, least, 29, (size_t[]){40, 40, 10}, (const size_t[]){10, 9, 10});
	fits(3, least, 0, (size_t[]){40, 40, 40}, (const size_t[]){4, 4, 10}); /* narrower than any table */
	fits(0, NULL, 0, NULL, NULL);
}

static void a_text_is_broken_where_a_reader_would(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		size_t      width;
		const char *lines;
	} rows[] = {
		{"", 5, ""},
		{"clara01-web", 11, "clara01-web"},
		{"clara01-web", 10, "clara01-\nweb"},
		{"127.0.0.1:443, [::1]:443", 24, "127.0.0.1:443, [::1]:443"},
		{"127.0.0.1:443, [::1]:443", 20, "127.0.0.1:443,\n[::1]:443"},
		{"127.0.0.1:443, [::1]:443", 14, "127.0.0.1:443,\n[::1]:443"},
		{"127.0.0.1:443, [::1]:443", 11, "127.0.0.1:\n443,\n[::1]:443"},
		{"one  two   three", 9, "one  two\nthree"},
		{"one two", 3, "one\ntwo"},
		{"abcdefgh", 3, "abc\ndef\ngh"},
		{"starttls-postgresql", 8, "starttls\n-postgre\nsql"},
		{"abc", 0, "a\nb\nc"},
		{"\xc3\xa4x", 8, "\xc3\xa4\nx"},
	};
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		struct buf to = BUF_MAX(100);
		table_wrap(rows[i].text, rows[i].width, &to);
		assert_int_equal(buf_error(&to), 0);
		assert_string_equal((const char *)to.p, rows[i].lines);
		buf_free(&to);
	}
}

static void widths(void **state)
{
	(void)state;
	assert_int_equal(table_width(""), 0);
	assert_int_equal(table_width("abc d"), 5);
	assert_int_equal(table_width("\xc3\xa4"), 8);
	assert_int_equal(table_word(""), 0);
	assert_int_equal(table_word(" 127.0.0.1:443,  [::1]:443 "), 14);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_widest_give_first),
		cmocka_unit_test(a_text_is_broken_where_a_reader_would),
		cmocka_unit_test(widths),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

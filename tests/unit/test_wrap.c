/* test_wrap.c - room tests: does no line for people get wider than 80 columns, and is no word lost on the way? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/wrap.h"

static const char *wrapped(struct buf *b, const char *text, size_t column, size_t indent)
{
	buf_reset(b);
	wrap_add(b, text, column, indent);
	buf_add_u8(b, 0);
	assert_int_equal(buf_error(b), 0);
	return (const char *)b->p;
}

static void short_text_is_one_line(void **state)
{
	(void)state;
	struct buf b = BUF_MAX(4096);
	assert_string_equal(wrapped(&b, "", 0, 2), "\n");
	assert_string_equal(wrapped(&b, "   ", 5, 2), "\n");
	assert_string_equal(wrapped(&b, "one  two", 0, 2), "one two\n");
	buf_free(&b);
}

static void lines_break_at_blanks(void **state)
{
	(void)state;
	struct buf b = BUF_MAX(4096);
	assert_string_equal(wrapped(&b, "aa bb", 76, 4), "aa\n    bb\n");
	assert_string_equal(wrapped(&b, "aa b", 76, 4), "aa b\n"); /* exactly 80 */
	assert_string_equal(wrapped(&b, "aa", 79, 4), "\n    aa\n");
	buf_free(&b);
}

static void a_word_longer_than_a_line_is_broken_and_whole_again_without_its_breaks(void **state)
{
	(void)state;
	struct buf b = BUF_MAX(4096);
	char       word[301];
	memset(word, 'x', 300);
	word[300] = '\0';
	const char *text = wrapped(&b, word, 10, 6);
	size_t      x = 0;
	for (const char *p = text; *p != '\0'; p++)
		x += *p == 'x';
	assert_int_equal(x, 300);
	for (const char *p = text; *p != '\0'; p += strcspn(p, "\n") + 1)
		assert_true(strcspn(p, "\n") <= WRAP_COLUMNS);
	buf_free(&b);
}

static void no_character_is_cut_in_two(void **state)
{
	(void)state;
	struct buf b = BUF_MAX(4096);
	char       word[241] = "";
	for (int i = 0; i < 80; i++)
		strcat(word, "\xe2\x82\xac");
	const char *text = wrapped(&b, word, 0, 1);
	for (const char *p = text; *p != '\0'; p += strcspn(p, "\n") + 1)
		if (*p == ' ')
			assert_int_equal((unsigned char)p[1], 0xe2);
	buf_free(&b);
}

/* Any words, any place to begin: never wider, nothing lost, nothing new. */
static void whatever_comes_never_wider(void **state)
{
	(void)state;
	struct buf b = BUF_MAX(65536);
	srand(7);
	for (int round = 0; round < 2000; round++) {
		char   text[2000];
		size_t n = (size_t)(rand() % 1900);
		size_t indent = (size_t)(rand() % 40);
		size_t column = (size_t)(rand() % 81);
		for (size_t i = 0; i < n; i++)
			text[i] = rand() % (1 + rand() % 100) == 0 ? ' ' : 'a';
		text[n] = '\0';
		const char *out = wrapped(&b, text, column, indent);
		size_t      in = 0, got = 0;
		for (size_t i = 0; i < n; i++)
			in += text[i] == 'a';
		for (const char *p = out; *p != '\0'; p++)
			got += *p == 'a';
		assert_int_equal(in, got);
		for (const char *p = out; *p != '\0'; p += strcspn(p, "\n") + 1)
			assert_true(strcspn(p, "\n") + (p == out ? column : 0) <= WRAP_COLUMNS);
	}
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(short_text_is_one_line),
		cmocka_unit_test(lines_break_at_blanks),
		cmocka_unit_test(a_word_longer_than_a_line_is_broken_and_whole_again_without_its_breaks),
		cmocka_unit_test(no_character_is_cut_in_two),
		cmocka_unit_test(whatever_comes_never_wider),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_notice_words.c - does a browser get the language that it prefers of the two that there are, and has each text both?
 * Never: HTTP, markup. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "controller/daemon/notice_words.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

static void test_english_where_german_is_not_preferred(void **state)
{
	static const char *const accepted[] = {"", "en", "fr", "den", "d", "q=1", ",,;", "en,de", "fr,en;q=0.5,de;q=0.5", "de;q=0", "de;q=0.000", "de;q=x", "de;q=",
					       "de;q=0.8, en-GB;q=0.9", "de;q=0.7,en", "*", "nde-AT", "x-de"};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(accepted); i++)
		if (notice_words_german(accepted[i]))
			fail_msg("%s", accepted[i]);
}

static void test_german_where_it_is(void **state)
{
	static const char *const accepted[] = {"de", "DE", "de-AT", "de,en", "de-DE,de;q=0.9,en-US;q=0.8,en;q=0.7", "fr, de ; q=0.4", "en;q=0.123,de;q=0.124", "en;q=0,de;q=0.1",
					       "fr;q=0.9,de;q=0.2", "de;q=1,en;q=0.999"};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(accepted); i++)
		if (!notice_words_german(accepted[i]))
			fail_msg("%s", accepted[i]);
}

static void test_a_range_that_is_too_long_ends_the_list(void **state)
{
	char text[256] = "en;q=0.1,";
	(void)state;
	memset(text + strlen(text), 'x', 100);
	text_cut(text + 109, sizeof(text) - 109, ",de");
	assert_false(notice_words_german(text));
}

static void test_each_text_has_both(void **state)
{
	static const int codes[] = {E_LINK_BAD, E_LINK_OVER, E_NOTICE_OVER};
	(void)state;
	for (unsigned w = 0; w < NOTICE_WORD_COUNT; w++) {
		const char *english = notice_word((enum notice_word)w, false), *german = notice_word((enum notice_word)w, true);
		assert_non_null(english);
		assert_non_null(german);
		assert_string_not_equal(english, german);
	}
	for (unsigned e = 0; e < NOTICE_EVENT_COUNT; e++) {
		assert_non_null(notice_event_word((enum notice_event)e, true));
		assert_string_equal(notice_event_word((enum notice_event)e, false), notice_event_name((enum notice_event)e));
	}
	for (unsigned l = 0; l < NOTICE_LEVEL_COUNT; l++) {
		assert_non_null(notice_level_word((enum notice_level)l, true));
		assert_string_not_equal(notice_level_word((enum notice_level)l, true), notice_level_word((enum notice_level)l, false));
	}
	for (size_t i = 0; i < N_ELEMENTS(codes); i++) {
		assert_non_null(notice_refused_german(codes[i]));
		assert_non_null(notice_next_german(codes[i]));
	}
	assert_null(notice_refused_german(E_NOMEM));
	assert_null(notice_next_german(E_NOMEM));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_english_where_german_is_not_preferred),
		cmocka_unit_test(test_german_where_it_is),
		cmocka_unit_test(test_a_range_that_is_too_long_ends_the_list),
		cmocka_unit_test(test_each_text_has_both),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

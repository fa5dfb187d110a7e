/* test_report_words.c - does a report say 100 % only where none is missing, and how long a renewal took where that is less than a minute? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "controller/cli/report_words.h"
#include "shared/base/attr.h"

static void share_is(double n, double whole, bool german, const char *wanted)
{
	char    text[REPORT_WORD_SIZE];
	json_t *v = json_real(n);
	assert_string_equal(report_share(v, whole, german, text), wanted);
	json_decref(v);
}

static void test_a_share_is_rounded_down(void **state)
{
	(void)state;
	share_is(1, 1, false, "100.0%");
	share_is(0.99999, 1, false, "99.9%");
	share_is(2000.0 / 2001, 1, false, "99.9%");
	share_is(0.29, 1, false, "29.0%");
	share_is(0.999, 1, false, "99.9%");
	share_is(97.56, 100, true, "97,5\xc2\xa0%");
	share_is(0, 1, true, "0,0\xc2\xa0%");
	for (int i = 0; i <= 1000; i++) {
		char wanted[REPORT_WORD_SIZE];
		snprintf(wanted, sizeof(wanted), "%d.%d%%", i / 10, i % 10);
		share_is(i / 1000.0, 1, false, wanted);
	}
}

static void test_what_takes_a_second_takes_no_0_minutes(void **state)
{
	(void)state;
	static const struct {
		double      minutes;
		const char *en, *de;
	} rows[] = {
		{0.0135, "0.8 seconds", "0,8 Sekunden"},
		{1.5, "90.0 seconds", "90,0 Sekunden"},
		{2, "2.0 minutes", "2,0 Minuten"},
		{61.25, "61.2 minutes", "61,2 Minuten"},
	};
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		char    text[REPORT_WORD_SIZE];
		json_t *v = json_real(rows[i].minutes);
		assert_string_equal(report_duration(v, false, text), rows[i].en);
		assert_string_equal(report_duration(v, true, text), rows[i].de);
		json_decref(v);
	}
}

static void test_nobody_measured_it(void **state)
{
	(void)state;
	char text[REPORT_WORD_SIZE];
	assert_string_equal(report_share(json_null(), 1, false, text), "-");
	assert_string_equal(report_duration(NULL, true, text), "-");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_share_is_rounded_down),
		cmocka_unit_test(test_what_takes_a_second_takes_no_0_minutes),
		cmocka_unit_test(test_nobody_measured_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

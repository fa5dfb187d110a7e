/* test_times.c - are calendar times and durations read and written exactly, and wrong ones refused? */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "shared/base/err.h"
#include "shared/base/times.h"

struct time_row {
	const char *text;
	int         want;
	int64_t     at;
	const char *again; /* canonical text; NULL = as `text` */
};

static const struct time_row times[] = {
	{"", E_SYNTAX, 0, NULL},
	{"2026-01-01", E_SYNTAX, 0, NULL},
	{"2026-01-01T00:00:00", E_SYNTAX, 0, NULL},
	{"2026-01-01 00:00:00Z", E_SYNTAX, 0, NULL},
	{"2026-1-01T00:00:00Z", E_SYNTAX, 0, NULL},
	{"2026-01-01T00:00:00Z ", E_SYNTAX, 0, NULL},
	{"2026-01-01T00:00:00.Z", E_SYNTAX, 0, NULL},
	{"2026-01-01T00:00:00+0100", E_SYNTAX, 0, NULL},
	{"2026-01-01T00:00:00+24:00", E_SYNTAX, 0, NULL},
	{"+026-01-01T00:00:00Z", E_SYNTAX, 0, NULL},
	{"1969-12-31T23:59:59Z", E_RANGE, 0, NULL},
	{"2026-00-01T00:00:00Z", E_RANGE, 0, NULL},
	{"2026-13-01T00:00:00Z", E_RANGE, 0, NULL},
	{"2026-02-29T00:00:00Z", E_RANGE, 0, NULL},
	{"2100-02-29T00:00:00Z", E_RANGE, 0, NULL},
	{"2026-04-31T00:00:00Z", E_RANGE, 0, NULL},
	{"2026-01-01T24:00:00Z", E_RANGE, 0, NULL},
	{"2026-01-01T00:60:00Z", E_RANGE, 0, NULL},
	{"2026-12-31T23:59:60Z", E_RANGE, 0, NULL}, /* a leap second has no place in POSIX time */
	{"1970-01-01T00:00:01Z", 0, 1000, NULL},
	{"2000-02-29T12:34:56Z", 0, 951827696000, NULL},
	{"2026-11-23T16:42:00.123Z", 0, 1795452120123, NULL},
	{"2026-11-23T16:42:00.1239999Z", 0, 1795452120123, "2026-11-23T16:42:00.123Z"},
	{"2026-11-23T18:42:00+02:00", 0, 1795452120000, "2026-11-23T16:42:00Z"},
	{"2026-11-23T11:12:00-05:30", 0, 1795452120000, "2026-11-23T16:42:00Z"},
	{"2026-11-23t16:42:00z", 0, 1795452120000, "2026-11-23T16:42:00Z"},
	{"9999-12-31T23:59:59Z", 0, 253402300799000, NULL},
};

static void times_are_rfc3339(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(times); i++) {
		int64_t at = 0;
		char    text[TIME_TEXT_SIZE];
		int     r = time_parse(times[i].text, &at);
		if (r != times[i].want || at != times[i].at)
			fail_msg("\"%s\": %d, %lld", times[i].text, r, (long long)at);
		if (r == 0)
			assert_string_equal(time_text(at, text), times[i].again != NULL ? times[i].again : times[i].text);
	}
}

static void times_that_are_none_have_no_text(void **state)
{
	(void)state;
	char text[TIME_TEXT_SIZE];
	assert_string_equal(time_text(0, text), "");
	assert_string_equal(time_text(TIME_NEVER, text), "");
	assert_string_equal(time_text(INT64_MIN, text), "");
	assert_string_equal(time_text(-1, text), "1969-12-31T23:59:59.999Z");
	assert_true(strlen(time_text(TIME_NEVER - 1, text)) < TIME_TEXT_SIZE);
}

static void every_day_there_and_back(void **state)
{
	(void)state;
	struct civil before = time_civil(-MS_DAY);
	for (int64_t day = 0; day < 200000; day++) {
		struct civil c = time_civil(day * MS_DAY + 3723 * MS_SECOND);
		assert_int_equal(time_from_civil(c), day * MS_DAY + 3723 * MS_SECOND);
		assert_int_equal(c.hour * 3600 + c.minute * 60 + c.second, 3723);
		bool next_day = c.day == before.day + 1 && c.month == before.month && c.year == before.year;
		bool next_month = c.day == 1 && c.month == before.month + 1 && c.year == before.year;
		bool next_year = c.day == 1 && c.month == 1 && c.year == before.year + 1 && before.day == 31;
		assert_true(next_day || next_month || next_year);
		before = c;
	}
}

struct duration_row {
	const char *text;
	int         want;
	int64_t     ms;
	const char *again;
};

static const struct duration_row durations[] = {
	{"", E_SYNTAX, 0, NULL},
	{"d", E_SYNTAX, 0, NULL},
	{"-1d", E_SYNTAX, 0, NULL},
	{"1.5d", E_SYNTAX, 0, NULL},
	{"1 d", E_SYNTAX, 0, NULL},
	{"1D", E_SYNTAX, 0, NULL},
	{"1y", E_SYNTAX, 0, NULL},
	{"0", E_RANGE, 0, NULL},
	{"0s", E_RANGE, 0, NULL},
	{"36526d", E_RANGE, 0, NULL},
	{"99999999999999999999d", E_RANGE, 0, NULL},
	{"36525d", 0, 36525 * MS_DAY, NULL},
	{"730d", 0, 730 * MS_DAY, NULL},
	{"2w", 0, 14 * MS_DAY, "14d"},
	{"24h", 0, MS_DAY, "1d"},
	{"90m", 0, 90 * MS_MINUTE, NULL},
	{"90s", 0, 90 * MS_SECOND, NULL},
	{"90", 0, 90 * MS_SECOND, "90s"},
	{"250ms", 0, 250, NULL},
	{"3000ms", 0, 3 * MS_SECOND, "3s"},
};

static void durations_have_units(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(durations); i++) {
		int64_t ms = 0;
		char    text[TIME_TEXT_SIZE];
		int     r = duration_parse(durations[i].text, &ms);
		if (r != durations[i].want || ms != durations[i].ms)
			fail_msg("\"%s\": %d, %lld", durations[i].text, r, (long long)ms);
		if (r == 0)
			assert_string_equal(duration_text(ms, text), durations[i].again != NULL ? durations[i].again : durations[i].text);
	}
	char text[TIME_TEXT_SIZE];
	assert_string_equal(duration_text(0, text), "0ms");
}

static void people_get_durations_at_a_glance(void **state)
{
	(void)state;
	static const struct {
		int64_t     ms;
		const char *text;
	} rows[] = {
		{-5 * MS_DAY, "0s"},
		{0, "0s"},
		{999, "0s"},
		{MS_SECOND, "1s"},
		{119 * MS_SECOND, "119s"},
		{2 * MS_MINUTE, "2m"},
		{2 * MS_HOUR - 1, "119m"},
		{3 * MS_HOUR + 12 * MS_MINUTE, "3h12m"},
		{2 * MS_DAY - 1, "47h59m"},
		{2 * MS_DAY, "2d"},
		{36525 * MS_DAY, "36525d"},
	};
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		char text[TIME_TEXT_SIZE];
		assert_string_equal(duration_brief(rows[i].ms, text), rows[i].text);
		assert_true(strlen(text) <= 7);
	}
}

static void times_of_others_do_not_overflow(void **state)
{
	(void)state;
	assert_true(time_between(7, 3) == 4 && time_between(3, 7) == -4);
	assert_true(time_between(INT64_MIN, 1) == INT64_MIN && time_between(INT64_MAX, -1) == INT64_MAX);
	assert_true(time_between(0, INT64_MIN) == INT64_MAX && time_between(-1, INT64_MIN) == INT64_MAX);
	assert_true(time_between(INT64_MIN, INT64_MAX) == INT64_MIN && time_between(INT64_MIN, INT64_MIN) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_are_rfc3339),
		cmocka_unit_test(times_that_are_none_have_no_text),
		cmocka_unit_test(every_day_there_and_back),
		cmocka_unit_test(durations_have_units),
		cmocka_unit_test(people_get_durations_at_a_glance),
		cmocka_unit_test(times_of_others_do_not_overflow),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

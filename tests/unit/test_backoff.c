/* test_backoff.c - is the first try soon and spread, and do later ones wait longer, but never too long? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/link/backoff.h"

static void first_is_uniform_from_zero(void **state)
{
	(void)state;
	struct backoff low = {.spread_ms = 10000}, middle = low, high = low;
	assert_int_equal(backoff_next(&low, BACKOFF_REFUSED_MS, 0), 0);
	assert_in_range(backoff_next(&middle, BACKOFF_REFUSED_MS, UINT32_MAX / 2), 4990, 5010);
	assert_in_range(backoff_next(&high, BACKOFF_REFUSED_MS, UINT32_MAX), 9990, 9999);
}

static void each_waits_at_least_half_of_a_doubled_range(void **state)
{
	(void)state;
	struct backoff soon = {.spread_ms = 1000}, late = soon;
	assert_int_equal(backoff_next(&soon, BACKOFF_REFUSED_MS, 0), 0);
	assert_in_range(backoff_next(&late, BACKOFF_REFUSED_MS, UINT32_MAX), 990, 999);
	for (int64_t range = 2000; range < BACKOFF_REFUSED_MS; range *= 2) {
		assert_int_equal(backoff_next(&soon, BACKOFF_REFUSED_MS, 0), range / 2);
		assert_in_range(backoff_next(&late, BACKOFF_REFUSED_MS, UINT32_MAX), range - 2, range - 1);
	}
}

static void never_above_the_most(void **state)
{
	(void)state;
	struct backoff b = {.spread_ms = 10000};
	for (int i = 0; i < 1000; i++)
		assert_in_range(backoff_next(&b, BACKOFF_REFUSED_MS, UINT32_MAX), 0, BACKOFF_REFUSED_MS);
	assert_in_range(backoff_next(&b, BACKOFF_REFUSED_MS, 0), BACKOFF_REFUSED_MS / 2, BACKOFF_REFUSED_MS);
	b.failures = UINT32_MAX;
	assert_in_range(backoff_next(&b, BACKOFF_REFUSED_MS, 0), BACKOFF_REFUSED_MS / 2, BACKOFF_REFUSED_MS);
	assert_true(b.failures == UINT32_MAX);
}

static void the_most_is_the_callers(void **state)
{
	(void)state;
	struct backoff b = {.spread_ms = 10000};
	for (int i = 0; i < 20; i++)
		assert_in_range(backoff_next(&b, BACKOFF_AWAY_MS, UINT32_MAX), 0, BACKOFF_AWAY_MS);
	assert_in_range(backoff_next(&b, BACKOFF_REFUSED_MS, UINT32_MAX), BACKOFF_REFUSED_MS - 2, BACKOFF_REFUSED_MS);
	assert_in_range(backoff_next(&b, BACKOFF_AWAY_MS, 0), BACKOFF_AWAY_MS / 2, BACKOFF_AWAY_MS);
}

static void a_spread_above_the_most_is_cut(void **state)
{
	(void)state;
	struct backoff b = {.spread_ms = 10 * MS_MINUTE};
	assert_in_range(backoff_next(&b, BACKOFF_REFUSED_MS, UINT32_MAX), 0, BACKOFF_REFUSED_MS);
}

/* A spread of zero must not become a busy loop. */
static void no_spread_still_waits_after_a_failure(void **state)
{
	(void)state;
	struct backoff b = {.spread_ms = 0};
	assert_int_equal(backoff_next(&b, BACKOFF_REFUSED_MS, 0), 0);
	assert_int_equal(backoff_next(&b, BACKOFF_REFUSED_MS, 0), 100);
	assert_int_equal(backoff_next(&b, BACKOFF_REFUSED_MS, 0), 200);
}

static void reset_begins_anew(void **state)
{
	(void)state;
	struct backoff b = {.spread_ms = 1000};
	for (int i = 0; i < 6; i++)
		(void)backoff_next(&b, BACKOFF_REFUSED_MS, 0);
	backoff_reset(&b);
	assert_int_equal(backoff_next(&b, BACKOFF_REFUSED_MS, 0), 0);
	assert_int_equal(backoff_next(&b, BACKOFF_REFUSED_MS, 0), 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_is_uniform_from_zero),
		cmocka_unit_test(each_waits_at_least_half_of_a_doubled_range),
		cmocka_unit_test(never_above_the_most),
		cmocka_unit_test(the_most_is_the_callers),
		cmocka_unit_test(a_spread_above_the_most_is_cut),
		cmocka_unit_test(no_spread_still_waits_after_a_failure),
		cmocka_unit_test(reset_begins_anew),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

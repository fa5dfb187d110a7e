/* test_forecast.c - room tests/unit: does controller/core/forecast.c add up?
 * Never: real times. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "controller/core/forecast.h"

static const int64_t took[] = {100, 100, 100, 100, 100, 100, 100, 100, 200, 900};

static void test_quantile(void **state)
{
	(void)state;
	assert_int_equal(forecast_quantile(took, 0, 500), 0);
	assert_int_equal(forecast_quantile(took, 10, 500), 100);
	assert_int_equal(forecast_quantile(took, 10, 850), 200);
	assert_int_equal(forecast_quantile(took, 10, 990), 900);
	assert_int_equal(forecast_quantile(took, 10, 1000), 900);
}

static void test_rate(void **state)
{
	(void)state;
	int64_t at[12] = {0, 100, 200, 999, 1000, 1500, 1600, 1700, 1800, 1900, 1950, 9000};
	assert_int_equal(forecast_rate(at, 12), 8); /* 999 to 1950 */
	assert_int_equal(forecast_rate(at, 9), 0);
	assert_int_equal(forecast_rate(at, 0), 0);
}

static void test_groups(void **state)
{
	(void)state;
	struct forecast f = {.took_ms = took, .n = 10};
	forecast_group(&f, 1, 10, 2000, false); /* the slowest of one is the median */
	assert_int_equal(f.duration_ms, 100 + 2000);
	forecast_group(&f, 25, 10, 2000, true);
	assert_int_equal(f.batches, 4);
	assert_int_equal(f.in_flight, 10);
	assert_int_equal(f.pauses_ms, 6000);
	assert_int_equal(f.duration_ms, 100 + 2000 + 900 + 2000 + 900 + 2000 + 200);

	f = (struct forecast){.took_ms = took, .n = 10, .per_second = 50}; /* all at once: as many as there is room for */
	forecast_group(&f, 1000, 0, 2000, true);
	assert_int_equal(f.batches, 1);
	assert_int_equal(f.pauses_ms, 0);
	assert_int_equal(f.duration_ms, 20000);

	f = (struct forecast){.n = 0}; /* nothing was ever renewed */
	forecast_group(&f, 25, 10, 2000, true);
	assert_int_equal(f.duration_ms, 0);
	assert_int_equal(f.batches, 3);
	forecast_group(&f, 0, 10, 2000, true);
	assert_int_equal(f.batches, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quantile),
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_groups),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

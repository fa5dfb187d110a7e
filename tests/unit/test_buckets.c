/* test_buckets.c - tests: do token buckets let through what they promise, and no more?
 * Never: clocks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "shared/base/buckets.h"

static struct buckets all;

/* 0, or after how many seconds there is a token again. */
static unsigned ask(const char *who, int64_t rate, int64_t now)
{
	const struct bucket_pace pace = {rate, 2 * rate};
	struct bucket           *b = buckets_find(&all, buckets_key(&all, who, strlen(who)), &pace, now);
	unsigned                 wait = bucket_wait(b, &pace);
	if (wait == 0)
		bucket_take(b);
	return wait;
}

static unsigned allowed(const char *who, int64_t rate, int64_t now, unsigned n)
{
	unsigned passed = 0;
	for (unsigned i = 0; i < n; i++)
		passed += ask(who, rate, now) == 0;
	return passed;
}

static void test_burst_and_rate(void **state)
{
	(void)state;
	buckets_init(&all, 77);
	assert_int_equal(allowed("ann", 10, 1000, 100), 20);
	assert_int_equal(ask("ann", 10, 1000), 1);
	assert_int_equal(allowed("ann", 10, 1099, 5), 0);
	assert_int_equal(allowed("ann", 10, 1100, 5), 1);
	assert_int_equal(allowed("ann", 10, 2100, 50), 10);
	assert_int_equal(allowed("ann", 10, 900000, 100), 20);
	assert_int_equal(allowed("bob", 10, 900000, 100), 20);
}

static void test_clock_steps_back(void **state)
{
	(void)state;
	buckets_init(&all, 1);
	assert_int_equal(allowed("ann", 5, 1000000, 50), 10);
	assert_int_equal(allowed("ann", 5, 0, 50), 0);
	assert_int_equal(allowed("ann", 5, 1000, 50), 5);
}

static void test_a_crowd_takes_no_room(void **state)
{
	(void)state;
	buckets_init(&all, 9);
	for (unsigned i = 0; i < 100000; i++) {
		char name[32];
		snprintf(name, sizeof(name), "p%u", i);
		assert_int_equal(ask(name, 1, (int64_t)i), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_burst_and_rate),
		cmocka_unit_test(test_clock_steps_back),
		cmocka_unit_test(test_a_crowd_takes_no_room),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

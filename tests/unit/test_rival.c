/* test_rival.c - room tests: does a second writer get one repair a minute, and everybody else at once? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/core/rival.h"

static void test_single_changes_are_repaired_at_once(void **state)
{
	(void)state;
	struct rival r = {0};
	bool         alarm;
	for (int64_t now = 10000; now < 200000; now += 1500) {
		assert_int_equal(rival_changed(&r, now, &alarm), now);
		assert_false(alarm);
		rival_repaired(&r, now + 50);
	}
}

static void test_three_in_a_row_are_a_second_writer(void **state)
{
	(void)state;
	struct rival r = {0};
	bool         alarm;
	int64_t      now = 10000;
	for (int i = 0; i < 3; i++, now += 200) {
		assert_int_equal(rival_changed(&r, now, &alarm), now);
		assert_false(alarm);
		rival_repaired(&r, now + 50);
	}
	int64_t repaired = now - 150;
	assert_int_equal(rival_changed(&r, now, &alarm), repaired + 60000);
	assert_true(alarm);
	/* seen again and again while it waits: still the same, told once */
	for (int64_t later = now; later < repaired + 60000; later += 5000) {
		assert_int_equal(rival_changed(&r, later, &alarm), repaired + 60000);
		assert_false(alarm);
	}
	assert_int_equal(rival_changed(&r, repaired + 61000, &alarm), repaired + 61000);
	rival_repaired(&r, repaired + 61000);
	/* it goes on: once a minute */
	assert_int_equal(rival_changed(&r, repaired + 61100, &alarm), repaired + 121000);
	assert_false(alarm);
	/* that repair holds: all is well again */
	rival_repaired(&r, repaired + 121000);
	assert_int_equal(rival_changed(&r, repaired + 200000, &alarm), repaired + 200000);
	assert_false(r.alarm);
}

static void test_twice_is_not_yet(void **state)
{
	(void)state;
	struct rival r = {0};
	bool         alarm;
	for (int round = 0; round < 5; round++) {
		int64_t now = 100000 * (round + 1);
		for (int i = 0; i < 3; i++, now += 500) {
			assert_int_equal(rival_changed(&r, now, &alarm), now);
			rival_repaired(&r, now + 10);
		}
		assert_false(r.alarm);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_single_changes_are_repaired_at_once),
		cmocka_unit_test(test_three_in_a_row_are_a_second_writer),
		cmocka_unit_test(test_twice_is_not_yet),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

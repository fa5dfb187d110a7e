/* test_link_identity.c - is an identity renewed at half of its life, and asked for often enough, but not too often? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/link/link_identity.h"
#include "shared/base/times.h"

static void half_life(void **state)
{
	(void)state;
	assert_int_equal(link_identity_wait(1000, 21000, 1000), 10000);
	assert_int_equal(link_identity_wait(1000, 21000, 10999), 1);
	assert_int_equal(link_identity_wait(1000, 21000, 11000), 0);
	assert_int_equal(link_identity_wait(1000, 21000, 99000), 0);
	/* not valid yet, because our clock is behind */
	assert_int_equal(link_identity_wait(100000, 120000, 0), 110000);
}

/* The wall clock may be set while we wait. */
static void looked_at_within_the_hour(void **state)
{
	(void)state;
	assert_int_equal(link_identity_wait(0, 30 * MS_DAY, 0), MS_HOUR);
}

static void answers_are_waited_for_below_a_twentieth_of_the_life(void **state)
{
	(void)state;
	const int64_t lives[] = {MS_SECOND, 16 * MS_SECOND, 10 * MS_MINUTE, MS_DAY, 30 * MS_DAY};
	for (size_t i = 0; i < N_ELEMENTS(lives); i++) {
		int64_t before = 0;
		int64_t all = 0;
		for (uint32_t asked = 1; asked < 9; asked++) {
			int64_t wait = link_identity_retry(lives[i], asked);
			assert_true(wait >= 200);
			assert_true(wait <= lives[i] / 20 + 200);
			assert_true(wait <= 10 * MS_MINUTE);
			assert_true(wait >= before);
			before = wait;
			all += wait;
		}
		if (lives[i] > 10 * MS_MINUTE)
			assert_true(all < lives[i] / 2); /* several times before the end */
	}
	assert_int_equal(link_identity_retry(2 * MS_DAY, 1), 15 * MS_SECOND);
	assert_int_equal(link_identity_retry(2 * MS_DAY, 2), 30 * MS_SECOND);
	assert_int_equal(link_identity_retry(2 * MS_DAY, UINT32_MAX), 10 * MS_MINUTE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(half_life),
		cmocka_unit_test(looked_at_within_the_hour),
		cmocka_unit_test(answers_are_waited_for_below_a_twentieth_of_the_life),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

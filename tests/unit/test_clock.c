/* test_clock.c - does the steady clock go on when the host's clock jumps, and is a moment of it told by today's clock? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "shared/sys/clock.h"

static void steady_goes_with_the_monotonic_clock(void **state)
{
	(void)state;
	int64_t steady = clock_steady();
	int64_t mono = clock_monotonic();
	assert_in_range(clock_now() - steady, 0, 5000);
	usleep(20000);
	int64_t apart = (clock_steady() - steady) - (clock_monotonic() - mono);
	assert_true(apart >= -2 && apart <= 2000);
}

static void none_and_never_stay(void **state)
{
	(void)state;
	assert_int_equal(clock_of_steady(0), 0);
	assert_true(clock_of_steady(TIME_NEVER) == TIME_NEVER);
}

#ifdef VCC_FAULTS
static char file[] = "/tmp/vcc-clock-XXXXXX";

static void jump(int64_t ms)
{
	FILE *f = fopen(file, "r+e");
	assert_non_null(f);
	assert_int_equal(fwrite(&ms, sizeof(ms), 1, f), 1);
	assert_int_equal(fclose(f), 0);
}

static void a_jump_moves_the_clock_and_not_the_steady_one(void **state)
{
	(void)state;
	static const int64_t jumps[] = {MS_HOUR, -3 * MS_DAY, 1095 * MS_DAY, 0};
	int64_t              steady = clock_steady();
	for (size_t i = 0; i < sizeof(jumps) / sizeof(jumps[0]); i++) {
		int64_t before = clock_now();
		jump(jumps[i]);
		int64_t moved = clock_now() - before - jumps[i] + (i > 0 ? jumps[i - 1] : 0);
		assert_in_range(moved, 0, 5000);
		assert_in_range(clock_steady() - steady, 0, 20000);
		assert_in_range(clock_of_steady(clock_steady()) - clock_now() + 5000, 0, 10000);
	}
}
#endif

int main(void)
{
#ifdef VCC_FAULTS
	int64_t none = 0;
	int     fd = mkstemp(file);
	if (fd < 0 || write(fd, &none, sizeof(none)) != (ssize_t)sizeof(none) || setenv("VCC_CLOCK_FILE", file, 1) != 0)
		return 1;
	close(fd);
#endif
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(steady_goes_with_the_monotonic_clock),
		cmocka_unit_test(none_and_never_stay),
#ifdef VCC_FAULTS
		cmocka_unit_test(a_jump_moves_the_clock_and_not_the_steady_one),
#endif
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
#ifdef VCC_FAULTS
	unlink(file);
#endif
	return failed;
}

/* test_window.c - room tests: is a maintenance window open when its local clock says so, over midnight, weekends and changes of the clock? */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "shared/base/times.h"
#include "shared/model/window.h"

#define HOUR INT64_C(3600)

static uint8_t   bytes[TZIF_FILE_MAX];
static struct tz berlin;

static int setup(void **state)
{
	(void)state;
	int     fd = open("/usr/share/zoneinfo/Europe/Berlin", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, bytes, sizeof(bytes)) : 0;
	if (fd >= 0)
		close(fd);
	return tzif_parse((struct span){bytes, n > 0 ? (size_t)n : 0}, &berlin);
}

static bool open_at(const char *text, int64_t utc_seconds, int64_t *ret_at)
{
	const struct tz *zones[WINDOWS_MAX];
	struct windows   w;
	char             bad[WINDOW_TEXT_SIZE];
	int64_t          at = 0;
	assert_int_equal(windows_parse(text, &w, bad), 0);
	for (size_t i = 0; i < WINDOWS_MAX; i++)
		zones[i] = &berlin;
	bool open = windows_open(&w, zones, utc_seconds * 1000, &at);
	*ret_at = at == TIME_NEVER ? -1 : at / 1000;
	return open;
}

static void wrong_texts(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"Mon-Fri", "Mon-Fri 22:00-04:00", "22:00-04:00 Europe/Berlin", "Mon-Fry 22:00-04:00 Europe/Berlin", "Mon 22:00 Europe/Berlin",
		"Mon 24:00-04:00 Europe/Berlin", "Mon 22:60-04:00 Europe/Berlin", "Mon 22:00-25:00 Europe/Berlin", "Mon 22:00-22:00 Europe/Berlin",
		"Mon 22:00-04:00 ../../etc/shadow", "Mon 22:00-04:00 /etc/shadow", "Mon 22:00-04:00 Europe//Berlin", "Mon 22:00-04:00 Europe/Berlin now",
		"Mon 2:00-04:00 Europe/Berlin", "mon 22:00-04:00 Europe/Berlin",
		"* 00:00-01:00 UTC, * 00:00-01:00 UTC, * 00:00-01:00 UTC, * 00:00-01:00 UTC, * 00:00-01:00 UTC, * 00:00-01:00 UTC, * 00:00-01:00 UTC, "
		"* 00:00-01:00 UTC, * 00:00-01:00 UTC",
	};
	struct windows w;
	char           bad[WINDOW_TEXT_SIZE];
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (windows_parse(texts[i], &w, bad) == 0)
			fail_msg("`%s` was taken", texts[i]);
	assert_int_equal(windows_parse("", &w, bad), 0);
	assert_int_equal(w.n, 0);
}

static void over_midnight(void **state)
{
	(void)state;
	const char *text = "Mon-Fri 22:00-04:00 Europe/Berlin";
	int64_t     monday = 1799625600; /* 2027-01-11 00:00 UTC */
	int64_t     at;
	assert_false(open_at(text, monday + 12 * HOUR, &at));
	assert_int_equal(at, monday + 21 * HOUR);
	assert_true(open_at(text, monday + 21 * HOUR, &at));
	assert_int_equal(at, monday + 27 * HOUR);
	assert_true(open_at(text, monday + 27 * HOUR - 1, &at));
	assert_false(open_at(text, monday + 27 * HOUR, &at));
	/* Friday's goes on into Saturday; Saturday and Sunday have none; Monday morning has none of Sunday */
	assert_true(open_at(text, monday + 4 * 24 * HOUR + 26 * HOUR, &at));
	assert_false(open_at(text, monday + 5 * 24 * HOUR + 22 * HOUR, &at));
	assert_int_equal(at, monday + 7 * 24 * HOUR + 21 * HOUR);
	assert_false(open_at(text, monday + 2 * HOUR, &at));
}

static void several_and_weekend(void **state)
{
	(void)state;
	const char *text = "Sat-Mon 10:00-11:00 Europe/Berlin, * 10:30-12:00 Europe/Berlin";
	int64_t     sunday = 1799539200; /* 2027-01-10 00:00 UTC */
	int64_t     at;
	assert_true(open_at(text, sunday + 9 * HOUR + 900, &at));
	assert_int_equal(at, sunday + 10 * HOUR);
	assert_true(open_at(text, sunday + 9 * HOUR + 2400, &at)); /* both: the later end counts */
	assert_int_equal(at, sunday + 11 * HOUR);
	int64_t wednesday = sunday + 3 * 24 * HOUR;
	assert_false(open_at(text, wednesday + 9 * HOUR + 900, &at));
	assert_int_equal(at, wednesday + 9 * HOUR + 1800);
	assert_true(open_at("* 00:00-24:00 Europe/Berlin", wednesday, &at));
	assert_true(open_at("", wednesday, &at));
}

/* A missing hour shifts forward, a doubled one counts once. */
static void changes_of_the_clock(void **state)
{
	(void)state;
	int64_t spring = 1806192000, autumn = 1824940800, at; /* midnight UTC of 2027-03-28 and 2027-10-31 */
	assert_false(open_at("Sun 02:15-02:45 Europe/Berlin", spring + HOUR, &at));
	assert_int_equal(at, spring + HOUR + 900); /* 03:15 summer time */
	assert_true(open_at("Sun 02:15-02:45 Europe/Berlin", spring + HOUR + 1800, &at));
	assert_int_equal(at, spring + HOUR + 2700);
	assert_true(open_at("Sun 02:15-02:45 Europe/Berlin", autumn + 1800, &at)); /* the first 02:30 */
	assert_false(open_at("Sun 02:15-02:45 Europe/Berlin", autumn + HOUR + 1800, &at));
	assert_true(open_at("Sat 22:00-04:00 Europe/Berlin", autumn + 2 * HOUR, &at));
	assert_int_equal(at, autumn + 3 * HOUR); /* an hour longer by the clock on the wall */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wrong_texts),
		cmocka_unit_test(over_midnight),
		cmocka_unit_test(several_and_weekend),
		cmocka_unit_test(changes_of_the_clock),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}

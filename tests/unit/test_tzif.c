/* test_tzif.c - room tests: are zone files read as the C library reads them, and are broken ones refused? */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "shared/base/tzif.h"

static uint8_t   bytes[TZIF_FILE_MAX + 1];
static struct tz zone;

static size_t file_get(const char *name)
{
	char path[128];
	snprintf(path, sizeof(path), "/usr/share/zoneinfo/%s", name);
	int     fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, bytes, sizeof(bytes)) : -1;
	if (fd >= 0)
		close(fd);
	if (n <= 0)
		fail_msg("%s cannot be read: package tzdata", path);
	return (size_t)n;
}

static void zone_get(const char *name)
{
	size_t n = file_get(name);
	assert_int_equal(tzif_parse((struct span){bytes, n}, &zone), 0);
}

/* Every six hours and some minutes over a century and a half. */
static void same_as_the_c_library(void **state)
{
	(void)state;
	static const char *const names[] = {"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "America/St_Johns",
	                                    "Europe/Dublin", "Pacific/Apia", "Africa/Casablanca", "America/Santiago", "Antarctica/Troll"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		zone_get(names[i]);
		setenv("TZ", names[i], 1);
		tzset();
		for (int64_t t = INT64_C(-1000000000); t < INT64_C(4200000000); t += 6 * 3600 + 77 * 60 + 13) {
			time_t    now = (time_t)t;
			struct tm tm;
			assert_non_null(localtime_r(&now, &tm));
			if (tm.tm_gmtoff != tz_offset(&zone, t))
				fail_msg("%s at %lld: %ld, not %lld", names[i], (long long)t, tm.tm_gmtoff, (long long)tz_offset(&zone, t));
			int64_t local = t + tm.tm_gmtoff;
			int64_t back = tz_utc(&zone, local);
			if (back != t) { /* only the second pass of a doubled hour may give the first one */
				assert_true(back < t && t - back <= 3 * 3600);
				assert_int_equal(back + tz_offset(&zone, back), local);
			}
		}
	}
	unsetenv("TZ");
}

/* Berlin, 2027-03-28: 02:00 -> 03:00; 2027-10-31: 03:00 -> 02:00. */
static void hours_that_are_missing_or_doubled(void **state)
{
	(void)state;
	zone_get("Europe/Berlin");
	int64_t spring = 1806192000; /* 2027-03-28 00:00 UTC = local midnight of that day as a number */
	assert_int_equal(tz_utc(&zone, spring + 2 * 3600 - 60), spring + 3600 - 60);
	assert_int_equal(tz_utc(&zone, spring + 2 * 3600 + 1800), spring + 3600 + 1800); /* 02:30 is 03:30 */
	assert_int_equal(tz_utc(&zone, spring + 3 * 3600), spring + 3600);
	int64_t autumn = 1824940800; /* 2027-10-31 */
	assert_int_equal(tz_utc(&zone, autumn + 2 * 3600 + 1800), autumn + 1800); /* the first 02:30 */
	assert_int_equal(tz_utc(&zone, autumn + 3 * 3600), autumn + 2 * 3600);
}

static void broken_files_are_refused(void **state)
{
	(void)state;
	size_t         n = file_get("Europe/Berlin");
	static uint8_t good[TZIF_FILE_MAX];
	memcpy(good, bytes, n);
	for (size_t cut = 0; cut < n; cut++) /* the footer may be cut only with its newline */
		assert_int_not_equal(tzif_parse((struct span){good, cut}, &zone), 0);
	for (size_t at = 0; at < n; at++)
		for (int bit = 0; bit < 8; bit++) { /* any outcome but a crash or a read outside */
			memcpy(bytes, good, n);
			bytes[at] ^= (uint8_t)(1 << bit);
			if (tzif_parse((struct span){bytes, n}, &zone) == 0)
				(void)tz_utc(&zone, 1800000000);
		}
	static const char *const footers[] = {"\nCET-1CEST,M13.5.0,M10.5.0\n", "\nCET-1CEST,M3.5.0\n", "\nCET\n", "\n<+01\n", "\nCET-1CEST,J0,J5\n",
	                                      "\nCET-1 \n"};
	size_t end = n;
	while (good[end - 2] != '\n')
		end--;
	for (size_t i = 0; i < sizeof(footers) / sizeof(footers[0]); i++) {
		memcpy(bytes, good, end - 2);
		memcpy(bytes + end - 2, footers[i], strlen(footers[i]));
		assert_int_not_equal(tzif_parse((struct span){bytes, end - 2 + strlen(footers[i])}, &zone), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_as_the_c_library),
		cmocka_unit_test(hours_that_are_missing_or_doubled),
		cmocka_unit_test(broken_files_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

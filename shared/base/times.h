/* times.h - room shared/base: time as a value. Every time in the program is int64_t milliseconds since
 * 1970-01-01T00:00:00Z (names end in _at), every duration int64_t milliseconds (names end in _ms).
 * X.509 and JSON convert at their edge. Never: reading a clock. */
#ifndef VCC_TIMES_H
#define VCC_TIMES_H

#include <stdint.h>

#include "shared/base/attr.h"

#define MS_SECOND INT64_C(1000)
#define MS_MINUTE (60 * MS_SECOND)
#define MS_HOUR   (60 * MS_MINUTE)
#define MS_DAY    (24 * MS_HOUR)
#define TIME_NEVER INT64_MAX /* a due time that never comes */
#define TIME_LAST  (INT64_C(253402300799) * MS_SECOND) /* 9999-12-31T23:59:59Z: what somebody else tells may be no later */

enum { TIME_TEXT_SIZE = 32 };

/* RFC 3339 in UTC: "2026-11-23T16:42:00Z", with ".123" when the milliseconds are not 0. TIME_NEVER and 0 give "". */
const char *time_text(int64_t at, char ret[TIME_TEXT_SIZE]);
/* RFC 3339 with Z or offset, years 1970-9999. */
_must_check_ int time_parse(const char *text, int64_t *ret);

struct civil {
	int year, month, day, hour, minute, second; /* UTC, month 1-12 */
};
struct civil time_civil(int64_t at);
int64_t      time_from_civil(struct civil c);

/* "730d", "8h", "15m", "90s", "250ms", "2w" or a bare number of seconds; > 0 and <= 100 years. */
/* later - earlier, of times that somebody else told: what does not fit is the largest or smallest that does. */
int64_t time_between(int64_t later, int64_t earlier);

_must_check_ int duration_parse(const char *text, int64_t *ret_ms);
/* The shortest exact form: "730d", "90s", "250ms". */
const char *duration_text(int64_t ms, char ret[TIME_TEXT_SIZE]);
/* For people, in at most 7 characters up to 100 years: "41d", "3h12m", "17m", "40s". Less than nothing is "0s". */
const char *duration_brief(int64_t ms, char ret[TIME_TEXT_SIZE]);

#endif

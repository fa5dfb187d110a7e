/* tzif.h - room shared/base: a time zone from its compiled file (RFC 8536): which local time is it, and when is a local time?
 * Never: reading the file; the bytes come from the caller. */
#ifndef VCC_TZIF_H
#define VCC_TZIF_H

#include "shared/base/buf.h"

enum { TZIF_FILE_MAX = 65536, TZIF_TRANSITIONS_MAX = 1200 };

/* A day of the year on which the clock is changed, and when on that day (seconds of local time). */
struct tz_rule {
	char    kind; /* 'M': month, week, weekday; 'J': day 1-365 without 29 February; 'n': day 0-365 */
	int     month, week, weekday, day;
	int64_t at;
};

/* After the last transition: standard time, and daylight saving time by two rules where there is one. */
struct tz_footer {
	bool           known, has_dst;
	int64_t        std_offset, dst_offset; /* seconds east of Greenwich */
	struct tz_rule begin, end;             /* of daylight saving time */
};

struct tz {
	size_t           n;
	int64_t          at[TZIF_TRANSITIONS_MAX];     /* seconds since 1970, ascending */
	int32_t          offset[TZIF_TRANSITIONS_MAX]; /* from then on */
	int32_t          first_offset;                 /* before the first */
	struct tz_footer footer;
};

/* E_SYNTAX for anything that is not a version 2 or later file within the limits. */
_must_check_ int tzif_parse(struct span file, struct tz *ret);

/* Seconds east of Greenwich at this moment (seconds since 1970). */
int64_t tz_offset(const struct tz *z, int64_t utc);
/* When is this local time (seconds since 1970 as if the zone were UTC)? A time that is left out is taken as far behind the gap as it lies
 * in it; of a time that comes twice the first one. */
int64_t tz_utc(const struct tz *z, int64_t local);

#endif

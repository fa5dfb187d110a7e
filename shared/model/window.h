/* window.h - room shared/model: maintenance windows: "Mon-Fri 22:00-04:00 Europe/Berlin", several with commas (LIFECYCLE 4).
 * Never: zone files; whoever asks brings the zone. */
#ifndef VCC_WINDOW_H
#define VCC_WINDOW_H

#include "shared/base/tzif.h"

enum { WINDOWS_MAX = 8, WINDOW_ZONE_SIZE = 48, WINDOW_TEXT_SIZE = 512 };

struct window {
	uint8_t days;       /* bit 0 = Sunday: on which days it begins */
	int     from, to;   /* minutes of the day; to <= from: it ends on the next day */
	char    zone[WINDOW_ZONE_SIZE]; /* IANA name */
};
struct windows {
	size_t        n; /* 0 = always */
	struct window list[WINDOWS_MAX];
};

/* Days: Mon, Mon-Fri, or * for every day. A zone is required. E_SYNTAX; `ret_bad` gets the item at fault. */
_must_check_ int windows_parse(const char *text, struct windows *ret, char ret_bad[WINDOW_TEXT_SIZE]);

/* Is one open at `now` (ms)? `ret_at`: when that changes; TIME_NEVER when nothing of it lies within the next eight days. zones[i] belongs
 * to list[i]. */
bool windows_open(const struct windows *w, const struct tz *const zones[WINDOWS_MAX], int64_t now, int64_t *ret_at);

#endif

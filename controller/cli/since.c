/* since.c - room controller/cli: the times that people type: so long ago, or a moment.
 * Never: local time. */
#include "controller/cli/since.h"

#include <stdio.h>
#include <string.h>

#include "controller/cli/client.h"

int since_read(const char *option, const char *given, int64_t now, int64_t *ret, struct refusal *why)
{
	char    day[TIME_TEXT_SIZE];
	int64_t ms, at;
	if (duration_parse(given[0] == '-' ? given + 1 : given, &ms) == 0 && ms <= now) {
		*ret = now - ms;
		return EXIT_DONE;
	}
	if (strlen(given) == sizeof("2026-01-02") - 1 && snprintf(day, sizeof(day), "%sT00:00:00Z", given) > 0 && time_parse(day, &at) == 0) {
		*ret = at;
		return EXIT_DONE;
	}
	if (time_parse(given, &at) < 0)
		return refuse(why, E_CLI_USAGE, option, "`%s` is neither a duration like 5m nor a time like 2026-01-02 or 2026-01-02T03:04:05Z", given), EXIT_USAGE;
	*ret = at;
	return EXIT_DONE;
}

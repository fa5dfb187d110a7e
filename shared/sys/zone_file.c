/* zone_file.c - room shared/sys: time zones by their IANA name, from the system's files.
 * Never: from more than one thread. */
#include "shared/sys/zone_file.h"

#include <fcntl.h>
#include <stdlib.h>

#include "shared/base/text.h"
#include "shared/sys/file.h"

enum { ZONES_MAX = 16, NAME_SIZE = 48 };

static const char zone_dir[] = "/usr/share/zoneinfo";

static struct {
	char       name[NAME_SIZE];
	struct tz *zone;
} cache[ZONES_MAX];
static size_t cached;

static int zone_read(const char *name, struct tz *ret, struct refusal *why)
{
	struct buf       file = BUF_MAX(TZIF_FILE_MAX);
	_cleanup_fd_ int fd = open(zone_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int              r = fd >= 0 ? file_read(fd, name, false, &file, NULL) : E_NOT_FOUND;
	if (r == 0)
		r = tzif_parse(buf_span(&file), ret);
	buf_free(&file);
	return r != 0 ? refuse(why, r, name, "there is no such time zone in %s (package tzdata)", zone_dir) : 0;
}

int zone_get(const char *name, const struct tz **ret, struct refusal *why)
{
	for (size_t i = 0; i < cached; i++)
		if (text_equal(cache[i].name, name)) {
			*ret = cache[i].zone;
			return 0;
		}
	if (cached == ZONES_MAX || text_copy(cache[cached].name, NAME_SIZE, name) != 0)
		return refuse(why, E_FULL, name, "more than %d time zones", ZONES_MAX);
	struct tz *zone = malloc(sizeof(*zone));
	int        r = zone != NULL ? zone_read(name, zone, why) : refuse(why, E_NOMEM, name, "no memory for a time zone");
	if (r != 0) {
		free(zone);
		return r;
	}
	cache[cached++].zone = zone;
	*ret = zone;
	return 0;
}

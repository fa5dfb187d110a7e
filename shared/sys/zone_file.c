/* zone_file.c - room shared/sys: time zones by their IANA name, from the system's files.
 * Never: from more than one thread. */
#include "shared/sys/zone_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/base/text.h"
#include "shared/sys/file.h"

enum { ZONES_MAX = 16, NAME_SIZE = 48, PATH_SIZE = 128, LINKS_MAX = 4 };

static const char zone_dir[] = "/usr/share/zoneinfo";

static struct {
	char       name[NAME_SIZE];
	struct tz *zone;
} cache[ZONES_MAX];
static size_t cached;

/* "Brazil/East" + "../America/Sao_Paulo" -> "America/Sao_Paulo"; E_NOT_FOUND when it leads out of the folder. */
static int link_target(const char *name, const char *target, char ret[PATH_SIZE])
{
	const char *slash = strrchr(name, '/');
	size_t      n = slash != NULL ? (size_t)(slash - name) : 0;
	memcpy(ret, name, n);
	for (const char *p = target; *p != '\0';) {
		size_t len = strcspn(p, "/");
		bool   up = len == 2 && p[0] == '.' && p[1] == '.';
		if (len == 0 || (up && n == 0) || n + len + 2 > PATH_SIZE) /* absolute, above the folder, or too long */
			return E_NOT_FOUND;
		if (up) {
			while (n > 0 && ret[n - 1] != '/')
				n--;
			n -= n > 0;
		} else {
			if (n > 0)
				ret[n++] = '/';
			memcpy(ret + n, p, len);
			n += len;
		}
		p += len + (p[len] == '/');
	}
	ret[n] = '\0';
	return n > 0 ? 0 : E_NOT_FOUND;
}

/* Many zones are links to the one that they share rules with (UTC -> Etc/UTC): followed as long as they stay in the folder. */
static int zone_resolve(int dir_fd, const char *name, char ret[PATH_SIZE])
{
	char target[PATH_SIZE], next[PATH_SIZE];
	int  r = text_copy(ret, PATH_SIZE, name);
	for (int hop = 0; r == 0 && hop < LINKS_MAX; hop++) {
		ssize_t n = readlinkat(dir_fd, ret, target, sizeof(target) - 1);
		if (n < 0) /* a file, or nothing: reading it tells */
			return 0;
		target[n] = '\0';
		r = (size_t)n == sizeof(target) - 1 ? E_NOT_FOUND : link_target(ret, target, next);
		if (r == 0)
			r = text_copy(ret, PATH_SIZE, next);
	}
	return r < 0 ? r : E_NOT_FOUND; /* too many links */
}

static int zone_read(const char *name, struct tz *ret, struct refusal *why)
{
	struct buf       file = BUF_MAX(TZIF_FILE_MAX);
	_cleanup_fd_ int fd = open(zone_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char             path[PATH_SIZE];
	int              r = fd >= 0 ? zone_resolve(fd, name, path) : E_NOT_FOUND;
	if (r == 0)
		r = file_read(fd, path, false, &file, NULL);
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

/* archive_file.c - room controller/daemon: appends to the archive.
 * Never: shortening a file that holds what nobody else has. */
#include "controller/daemon/archive_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/sys/fault.h"
#include "shared/sys/file.h"

static const uint64_t FILE_BYTES = UINT64_C(64) * 1024 * 1024;

enum { NUMBERS_TRIED = 100000 };

void archive_name(uint64_t number, char ret[ARCHIVE_NAME_SIZE])
{
	snprintf(ret, ARCHIVE_NAME_SIZE, "%06" PRIu64 ".jsonl", number);
}

static int open_folder(const char *folder, int *ret, struct refusal *why)
{
	int r = dir_make(folder, 0700, why);
	return r < 0 ? r : dir_open_safe(folder, geteuid(), ret, why);
}

/* The file that the last lines went to, if it is as they left it. -1: another one is needed. */
static int open_last(int dir, const struct archive_place *place)
{
	struct stat st;
	char        name[ARCHIVE_NAME_SIZE];
	archive_name(place->number, name);
	int fd = place->number > 0 && place->bytes < FILE_BYTES ? openat(dir, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size == place->bytes)
		return fd;
	fd_close(fd);
	return -1;
}

static int open_new(int dir, struct archive_place *place, struct refusal *why)
{
	char name[ARCHIVE_NAME_SIZE];
	int  fd = -1;
	for (int i = 0; i < NUMBERS_TRIED && fd < 0; i++) {
		archive_name(++place->number, name);
		fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd < 0 && errno != EEXIST)
			break;
	}
	place->bytes = 0;
	if (fd < 0)
		return sys_refuse_at(why, dir, name, "make");
	if (dir_sync(dir) < 0) {
		fd_close(fd);
		return sys_refuse_at(why, dir, name, "fsync the folder");
	}
	return fd;
}

static int write_at(int fd, struct span bytes, uint64_t offset)
{
	for (size_t done = 0; done < bytes.n;) {
		ssize_t w = pwrite(fd, bytes.p + done, bytes.n - done, (off_t)(offset + done));
		if (w < 0 && errno != EINTR)
			return -1;
		done += w > 0 ? (size_t)w : 0;
	}
	if (fault_point("controller.archive_written") != 0)
		return -1;
	return fdatasync(fd);
}

int archive_append(const char *folder, struct span lines, struct archive_place *place, uint64_t *ret_offset, struct refusal *why)
{
	struct archive_place next = *place;
	char                 name[ARCHIVE_NAME_SIZE];
	_cleanup_fd_ int     dir = -1, fd = -1;
	int                  r = open_folder(folder, &dir, why);
	if (r < 0)
		return r;
	fd = open_last(dir, &next);
	if (fd < 0)
		fd = open_new(dir, &next, why);
	if (fd < 0)
		return fd;
	archive_name(next.number, name);
	if (write_at(fd, lines, next.bytes) != 0)
		return sys_refuse_at(why, dir, name, "write");
	*ret_offset = next.bytes;
	next.bytes += lines.n;
	*place = next;
	return 0;
}

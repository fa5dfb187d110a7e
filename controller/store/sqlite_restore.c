/* sqlite_restore.c - room controller/store: a backup beside the database, checked whole; later the database itself, in one
 * rename that any start finishes. Never: changing the database before that rename; leaving neither the old nor the new one. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controller/store/sqlite_rows.h"
#include "shared/base/text.h"
#include "shared/sys/fault.h"
#include "shared/sys/file.h"

/* Names beside the database. The candidate is nobody's; READY is the new database, whether or not it has its name yet. */
#define CANDIDATE ".restore"
#define READY     ".restored"
#define BEFORE    ".before"

enum { NAME_MAX_SIZE = 4096, PIECE = 65536, BEFORE_MAX = 9 };

struct names_beside {
	char path[NAME_MAX_SIZE], wal[NAME_MAX_SIZE], shm[NAME_MAX_SIZE];
	char candidate[NAME_MAX_SIZE], ready[NAME_MAX_SIZE];
	char before[NAME_MAX_SIZE], before_wal[NAME_MAX_SIZE];
};

static int name_make(const char *path, const char *end, char ret[NAME_MAX_SIZE], struct refusal *why)
{
	int n = snprintf(ret, NAME_MAX_SIZE, "%s%s", path, end);
	return n > 0 && n < NAME_MAX_SIZE ? 0 : refuse(why, E_STORE_IO, path, "the path is too long");
}

/* The first of vcc.db.before, .before.2 ... .before.9 that is free: what an earlier restore put aside stays, and after a kill it is the same
 * one until the database has it. */
static int name_before(const char *path, struct names_beside *ret, struct refusal *why)
{
	struct stat st;
	char        end[sizeof(BEFORE) + 8], end_wal[sizeof(end) + 4];
	for (int i = 1; i <= BEFORE_MAX; i++) {
		snprintf(end, sizeof(end), i == 1 ? BEFORE : BEFORE ".%d", i);
		snprintf(end_wal, sizeof(end_wal), "%s-wal", end);
		int code = name_make(path, end, ret->before, why);
		if (code == 0)
			code = name_make(path, end_wal, ret->before_wal, why);
		if (code < 0 || (lstat(ret->before, &st) != 0 && errno == ENOENT))
			return code;
	}
	return refuse(why, E_RESTORE_KEPT, path, "%s" BEFORE " to %s" BEFORE ".%d are there", path, path, BEFORE_MAX);
}

static int names_make(const char *path, struct names_beside *ret, struct refusal *why)
{
	int code = name_make(path, "", ret->path, why);
	if (code == 0)
		code = name_make(path, "-wal", ret->wal, why);
	if (code == 0)
		code = name_make(path, "-shm", ret->shm, why);
	if (code == 0)
		code = name_make(path, CANDIDATE, ret->candidate, why);
	if (code == 0)
		code = name_make(path, READY, ret->ready, why);
	return code == 0 ? name_before(path, ret, why) : code;
}

static int remove_file(const char *path, struct refusal *why)
{
	return unlink(path) == 0 || errno == ENOENT ? 0 : sys_refuse(why, path, "remove");
}

static int remove_with(const char *path, struct refusal *why)
{
	static const char *const sides[] = {"", "-wal", "-shm", "-journal", ".lock"};
	char                     name[NAME_MAX_SIZE];
	int                      code = 0;
	for (size_t i = 0; i < N_ELEMENTS(sides) && code == 0; i++) {
		code = name_make(path, sides[i], name, why);
		if (code == 0)
			code = remove_file(name, why);
	}
	return code;
}

static int move_if_there(const char *from, const char *to, struct refusal *why)
{
	return rename(from, to) == 0 || errno == ENOENT ? 0 : sys_refuse(why, from, "rename");
}

static int folder_sync(const char *path, struct refusal *why)
{
	char        folder[NAME_MAX_SIZE] = ".";
	const char *slash = strrchr(path, '/');
	if (slash != NULL)
		snprintf(folder, sizeof(folder), "%.*s", slash == path ? 1 : (int)(slash - path), path);
	_cleanup_fd_ int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir >= 0 && dir_sync(dir) == 0 ? 0 : sys_refuse(why, folder, "fsync");
}

static int point(const char *name, const char *path, struct refusal *why)
{
	return fault_point(name) == 0 ? 0 : sys_refuse(why, path, "restore");
}

/* ---- the candidate --------------------------------------------------------------------------------------------- */

static int write_all(int fd, const uint8_t *p, size_t n)
{
	while (n > 0) {
		ssize_t w = write(fd, p, n);
		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return -1;
		p += w;
		n -= (size_t)w;
	}
	return 0;
}

static int copy_bytes(int from, const char *candidate, struct refusal *why)
{
	static uint8_t   piece[PIECE];
	ssize_t          n = 0;
	_cleanup_fd_ int to = open(candidate, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (to < 0)
		return sys_refuse(why, candidate, "open");
	while ((n = read(from, piece, sizeof(piece))) > 0 || (n < 0 && errno == EINTR)) {
		if (n > 0 && write_all(to, piece, (size_t)n) != 0)
			return sys_refuse(why, candidate, "write");
		int code = point("store_restore_copy", candidate, why);
		if (code < 0)
			return code;
	}
	if (n < 0)
		return sys_refuse(why, candidate, "read the backup");
	return fsync(to) == 0 ? 0 : sys_refuse(why, candidate, "fsync");
}

int store_restore_take(const char *path, int from, const char *name, struct refusal *why)
{
	struct names_beside n;
	_cleanup_fd_ int    lock = -1;
	int                 code = names_make(path, &n, why);
	if (code == 0)
		code = sqlite_lock_beside(path, &lock, why);
	if (code == 0)
		code = remove_with(n.candidate, why);
	if (code == 0)
		code = copy_bytes(from, n.candidate, why);
	if (code == 0)
		code = sqlite_check_backup(n.candidate, name, why);
	if (code < 0)
		store_restore_drop(path);
	return code;
}

void store_restore_drop(const char *path)
{
	struct names_beside n;
	struct refusal      ignored;
	if (names_make(path, &n, &ignored) == 0)
		(void)!remove_with(n.candidate, &ignored); /* the next restore removes what is left */
}

/* ---- the change ------------------------------------------------------------------------------------------------ */

/* Closed and whole: its log has gone into it. */
static int candidate_sync(const struct names_beside *n, struct refusal *why)
{
	struct stat st;
	char        wal[NAME_MAX_SIZE];
	int         code = name_make(n->candidate, "-wal", wal, why);
	if (code < 0)
		return code;
	if (stat(wal, &st) == 0 && st.st_size > 0)
		return refuse(why, E_STORE_IO, n->candidate, "its log could not be closed");
	_cleanup_fd_ int fd = open(n->candidate, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	return fd >= 0 && fsync(fd) == 0 ? 0 : sys_refuse(why, n->candidate, "fsync");
}

/* From the moment READY has its name the new database is the one that counts. Each step may be repeated. The old log goes before
 * the new file comes: SQLite would apply it to that. */
static int finish(const struct names_beside *n, struct refusal *why)
{
	struct stat st;
	if (stat(n->ready, &st) != 0)
		return errno == ENOENT ? 0 : sys_refuse(why, n->ready, "look at");
	int code = point("store_restore_named", n->path, why);
	if (code == 0)
		code = move_if_there(n->wal, n->before_wal, why);
	if (code == 0)
		code = remove_file(n->shm, why);
	if (code == 0)
		code = point("store_restore_log_away", n->path, why);
	if (code == 0)
		code = move_if_there(n->path, n->before, why);
	if (code == 0)
		code = folder_sync(n->path, why);
	if (code == 0)
		code = point("store_restore_old_away", n->path, why);
	if (code == 0 && rename(n->ready, n->path) != 0)
		code = sys_refuse(why, n->ready, "rename");
	return code < 0 ? code : folder_sync(n->path, why);
}

int sqlite_finish_restore(const char *path, struct refusal *why)
{
	struct names_beside n;
	int                 code = names_make(path, &n, why);
	return code < 0 ? code : finish(&n, why);
}

int store_restore_place(const char *path, char *ret_before, size_t size, struct refusal *why)
{
	struct names_beside n;
	_cleanup_fd_ int    lock = -1;
	int                 code = names_make(path, &n, why);
	if (code == 0)
		code = sqlite_lock_beside(path, &lock, why);
	if (code == 0)
		code = candidate_sync(&n, why);
	if (code == 0)
		code = remove_file(n.before_wal, why); /* of one that somebody took away without its log */
	if (code == 0)
		code = point("store_restore_ready", path, why);
	if (code == 0 && rename(n.candidate, n.ready) != 0)
		code = sys_refuse(why, n.candidate, "rename");
	if (code == 0)
		code = folder_sync(path, why);
	if (code == 0)
		code = finish(&n, why);
	store_restore_drop(path);
	if (code == 0)
		text_cut(ret_before, size, n.before);
	return code;
}

/* file.c - room shared/sys: files by descriptor: read with a cap, written whole or not at all.
 * Never: following symbolic links in the last part or, for *_safe calls, anywhere. */
#include "shared/sys/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "shared/base/text.h"
#include "shared/sys/fault.h"

enum { TREE_DEPTH_MAX = 16, READ_STEP = 16384 };

void fd_close(int fd)
{
	int saved = errno;
	if (fd >= 0)
		close(fd);
	errno = saved;
}

void fd_closep(int *fd)
{
	fd_close(*fd);
	*fd = -1;
}

static int errno_code(int e)
{
	if (e == ENOSPC || e == EDQUOT)
		return E_SYS_SPACE;
	if (e == ENOENT)
		return E_NOT_FOUND;
	return e == EEXIST ? E_EXISTS : E_SYS_IO;
}

int sys_refuse(struct refusal *why, const char *object, const char *doing)
{
	int e = errno;
	return refuse(why, errno_code(e), object, "cannot %s: %s", doing, strerror(e));
}

/* The kernel says ENOSPC for both; who has to free something needs to know what. */
static const char *space_words(int dir_fd, int e)
{
	struct statfs fs;
	if (e == ENOSPC && fstatfs(dir_fd, &fs) == 0 && fs.f_files != 0 && fs.f_ffree == 0)
		return "no inodes left on its file system";
	return e == ENOSPC ? "no space left on its file system" : strerror(e);
}

/* "/the/open/folder/NAME" */
static const char *path_at(int dir_fd, const char *name, char object[PATH_MAX + NAME_MAX])
{
	const bool self = text_equal(name, ".");
	char       link[32];
	snprintf(link, sizeof(link), "/proc/self/fd/%d", dir_fd);
	ssize_t n = readlink(link, object, PATH_MAX - 1);
	if (n < 0)
		n = 0;
	snprintf(object + n, PATH_MAX + NAME_MAX - (size_t)n, "%s%s", n > 0 && !self ? "/" : "", self ? "" : name);
	return object;
}

int sys_refuse_at(struct refusal *why, int dir_fd, const char *name, const char *doing)
{
	const int   e = errno;
	const char *words = space_words(dir_fd, e);
	char        object[PATH_MAX + NAME_MAX];
	return refuse(why, errno_code(e), path_at(dir_fd, name, object), "cannot %s: %s", doing, words);
}

/* ---- folders --------------------------------------------------------------------------------------------------- */

/* A part that somebody else may write to is unsafe; a sticky folder of root (like /tmp) is not, on the way to a folder
 * of ours: its entries cannot be replaced by others. */
static int part_check(int fd, const char *path, uid_t owner, bool last, struct refusal *why)
{
	struct stat st;
	if (fstat(fd, &st) != 0)
		return sys_refuse(why, path, "read the folder's owner");
	if (st.st_uid != 0 && st.st_uid != owner)
		return refuse(why, E_SYS_UNSAFE_PATH, path, "a folder of this path belongs to uid %u", (unsigned)st.st_uid);
	if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0 && (last || (st.st_mode & S_ISVTX) == 0 || st.st_uid != 0))
		return refuse(why, E_SYS_UNSAFE_PATH, path, "a folder of this path has mode %04o: others may change it",
		              (unsigned)(st.st_mode & 07777));
	return 0;
}

/* Next part of *path into `part`; 1 = got one, 0 = end, negative = refused. */
static int part_next(const char **path, char part[NAME_MAX + 1])
{
	const char *p = *path;
	while (*p == '/')
		p++;
	size_t n = strcspn(p, "/");
	if (n == 0)
		return 0;
	if (text_copy_n(part, NAME_MAX + 1, p, n) != 0 || text_equal(part, ".."))
		return E_SYS_UNSAFE_PATH;
	p += n;
	while (*p == '/')
		p++;
	*path = p;
	return 1;
}

int dir_open_safe(const char *path, uid_t owner, int *ret_fd, struct refusal *why)
{
	char        part[NAME_MAX + 1];
	const char *rest = path;
	int         more;
	if (path[0] != '/')
		return refuse(why, E_SYS_UNSAFE_PATH, path, "the path is not absolute");

	_cleanup_fd_ int dir = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return sys_refuse(why, path, "open /");
	while ((more = part_next(&rest, part)) > 0) {
		int flags = *rest == '\0' ? O_RDONLY : O_PATH;
		int next = openat(dir, part, flags | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0) {
			if (errno == ELOOP || errno == ENOTDIR)
				return refuse(why, E_SYS_UNSAFE_PATH, path, "`%s` is a link or not a folder", part);
			return sys_refuse(why, path, "open the folder");
		}
		fd_close(dir);
		dir = next;
		int r = part_check(dir, path, owner, *rest == '\0', why);
		if (r != 0)
			return r;
	}
	if (more < 0)
		return refuse(why, E_SYS_UNSAFE_PATH, path, "the path has a part `..` or an over-long one");
	*ret_fd = dir;
	dir = -1;
	return 0;
}

int dir_make(const char *path, mode_t mode, struct refusal *why)
{
	char        so_far[PATH_MAX];
	size_t      n = strlen(path);
	struct stat st;
	if (n == 0 || n >= sizeof(so_far))
		return refuse(why, E_SYS_UNSAFE_PATH, path, "the path is empty or too long");
	if (stat(path, &st) == 0)
		return S_ISDIR(st.st_mode) ? 0 : refuse(why, E_SYS_IO, path, "exists and is not a folder");

	memcpy(so_far, path, n + 1);
	for (size_t i = 1; i <= n; i++) {
		if (so_far[i] != '/' && so_far[i] != '\0')
			continue;
		char kept = so_far[i];
		bool last = strspn(path + i, "/") == n - i;
		so_far[i] = '\0';
		if (mkdir(so_far, last ? mode : 0755) == 0) {
			if (chmod(so_far, last ? mode : 0755) != 0) /* whatever the umask says */
				return sys_refuse(why, so_far, "set the mode of the folder");
		} else if (errno != EEXIST) {
			return sys_refuse(why, so_far, "make the folder");
		}
		if (last)
			return 0;
		so_far[i] = kept;
	}
	return 0;
}

int dir_sync(int dir_fd)
{
	if (fault_point("dir_sync") != 0 || fsync(dir_fd) != 0)
		return E_SYS_IO;
	return 0;
}

int dir_lock(int dir_fd, const char *name, int *ret_fd, struct refusal *why)
{
	char             object[PATH_MAX + NAME_MAX];
	_cleanup_fd_ int fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return sys_refuse_at(why, dir_fd, name, "open the lock file");
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		if (errno == EWOULDBLOCK)
			return refuse(why, E_SYS_LOCKED, path_at(dir_fd, name, object), "another process holds the lock");
		return sys_refuse_at(why, dir_fd, name, "lock");
	}
	*ret_fd = fd;
	fd = -1;
	return 0;
}

/* ---- files ----------------------------------------------------------------------------------------------------- */

static int read_all(int fd, struct buf *to)
{
	for (;;) {
		/* one byte beyond the cap tells "too long" from "just fits" */
		size_t   step = to->max - to->n < READ_STEP ? to->max - to->n : READ_STEP;
		uint8_t  spare;
		uint8_t *room = step > 0 ? buf_room(to, step) : &spare;
		if (room == NULL)
			return buf_error(to);
		ssize_t got = read(fd, room, step > 0 ? step : 1);
		if (got < 0) {
			if (errno == EINTR)
				continue;
			return E_SYS_IO;
		}
		if (got == 0)
			return 0;
		if (step == 0)
			return E_FULL;
		buf_used(to, (size_t)got);
	}
}

int file_read(int dir_fd, const char *name, bool secret, struct buf *to, struct refusal *why)
{
	struct stat      st;
	_cleanup_fd_ int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0) {
		if (errno == ELOOP)
			return refuse(why, E_SYS_UNSAFE_PATH, name, "is a symbolic link");
		return sys_refuse(why, name, "open the file");
	}
	if (fstat(fd, &st) != 0)
		return sys_refuse(why, name, "read the file's owner");
	if (!S_ISREG(st.st_mode))
		return refuse(why, E_SYS_IO, name, "is not a plain file");
	/* root reads what it made for another user: with this mode nobody but that user can have changed it */
	if (secret && ((st.st_mode & 077) != 0 || (st.st_uid != 0 && geteuid() != 0 && st.st_uid != geteuid())))
		return refuse(why, E_CONF_UNSAFE, name, "is secret but has mode %04o and owner %u; wanted: 0600, own user or root",
		              (unsigned)(st.st_mode & 07777), (unsigned)st.st_uid);

	int r = read_all(fd, to);
	if (r == E_SYS_IO)
		return sys_refuse(why, name, "read the file");
	if (r == E_NOMEM)
		return refuse(why, r, name, "no memory to read it");
	if (r != 0)
		return refuse(why, r, name, "is longer than %zu bytes", to->max);
	return 0;
}

static int write_all(int fd, struct span bytes)
{
	while (bytes.n > 0) {
		ssize_t n = write(fd, bytes.p, bytes.n);
		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -1;
		}
		bytes.p += n;
		bytes.n -= (size_t)n;
	}
	return 0;
}

/* A default ACL of the folder gives every new file entries for other users; the mode only masks them. */
int acl_drop(int fd)
{
	static const char *const names[] = {"system.posix_acl_default", "system.posix_acl_access"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (fremovexattr(fd, names[i]) != 0 && errno != ENODATA && errno != EOPNOTSUPP)
			return -1;
	return 0;
}

bool file_has_acl(int dir_fd, const char *name)
{
	_cleanup_fd_ int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	return fd >= 0 && fgetxattr(fd, "system.posix_acl_access", NULL, 0) > 0;
}

static int file_fill(int fd, struct span bytes, uid_t uid, gid_t gid, mode_t mode)
{
	if ((uid != (uid_t)-1 || gid != (gid_t)-1) && fchown(fd, uid, gid) != 0)
		return -1;
	if (acl_drop(fd) != 0 || fchmod(fd, mode) != 0)
		return -1;
	if (fault_point("file_write") != 0 || write_all(fd, bytes) != 0)
		return -1;
	if (fault_point("file_sync") != 0 || fsync(fd) != 0)
		return -1;
	return 0;
}

int file_create(int dir_fd, const char *name, struct span bytes, uid_t uid, gid_t gid, mode_t mode, struct refusal *why)
{
	/* closed to others until owner and mode are as wanted */
	_cleanup_fd_ int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return sys_refuse_at(why, dir_fd, name, "create the file");
	if (file_fill(fd, bytes, uid, gid, mode) != 0) {
		int r = sys_refuse_at(why, dir_fd, name, "write the file");
		unlinkat(dir_fd, name, 0);
		return r;
	}
	return 0;
}

/* The one temporary name of NAME: a leftover of a kill is removed by the next try. */
static int new_name(const char *name, char ret[NAME_MAX + 1], struct refusal *why)
{
	int n = snprintf(ret, NAME_MAX + 1, ".%s.new", name);
	if (n < 0 || n > NAME_MAX || strchr(name, '/') != NULL)
		return refuse(why, E_SYS_IO, name, "is not a usable file name");
	return 0;
}

int file_leftover_remove(int dir_fd, const char *name, struct refusal *why)
{
	char temporary[NAME_MAX + 1];
	int  r = new_name(name, temporary, why);
	if (r == 0 && unlinkat(dir_fd, temporary, 0) != 0 && errno != ENOENT)
		r = sys_refuse_at(why, dir_fd, name, "remove a leftover");
	return r;
}

int file_replace(int dir_fd, const char *name, struct span bytes, uid_t uid, gid_t gid, mode_t mode, struct refusal *why)
{
	char temporary[NAME_MAX + 1];
	int  r = new_name(name, temporary, why);
	if (r != 0)
		return r;
	if (unlinkat(dir_fd, temporary, 0) != 0 && errno != ENOENT)
		return sys_refuse_at(why, dir_fd, name, "remove a leftover");
	r = file_create(dir_fd, temporary, bytes, uid, gid, mode, why);
	if (r != 0)
		return r;
	if (fault_point("file_rename") != 0 || renameat(dir_fd, temporary, dir_fd, name) != 0) {
		r = sys_refuse_at(why, dir_fd, name, "rename the file");
		unlinkat(dir_fd, temporary, 0);
		return r;
	}
	if (dir_sync(dir_fd) != 0)
		return sys_refuse_at(why, dir_fd, name, "sync the folder");
	return 0;
}

int link_flip(int dir_fd, const char *name, const char *to, struct refusal *why)
{
	char temporary[NAME_MAX + 1];
	int  r = new_name(name, temporary, why);
	if (r != 0)
		return r;
	if (unlinkat(dir_fd, temporary, 0) != 0 && errno != ENOENT)
		return sys_refuse_at(why, dir_fd, name, "remove a leftover");
	if (symlinkat(to, dir_fd, temporary) != 0)
		return sys_refuse_at(why, dir_fd, name, "make the link");
	if (fault_point("link_rename") != 0 || renameat(dir_fd, temporary, dir_fd, name) != 0) {
		r = sys_refuse_at(why, dir_fd, name, "flip the link");
		unlinkat(dir_fd, temporary, 0);
		return r;
	}
	if (fault_point("link_sync") != 0 || dir_sync(dir_fd) != 0)
		return sys_refuse_at(why, dir_fd, name, "sync the folder");
	return 0;
}

/* ---- trees ----------------------------------------------------------------------------------------------------- */

static int tree_remove_at(int dir_fd, const char *name, unsigned depth);

static int tree_remove_children(int fd, unsigned depth)
{
	DIR *dir = fdopendir(fd); /* owns fd */
	if (dir == NULL) {
		fd_close(fd);
		return -1;
	}
	struct dirent *e;
	int            r = 0;
	while (r == 0 && (errno = 0, e = readdir(dir)) != NULL) {
		if (text_equal(e->d_name, ".") || text_equal(e->d_name, ".."))
			continue;
		r = tree_remove_at(dirfd(dir), e->d_name, depth + 1);
	}
	if (r == 0 && errno != 0)
		r = -1;
	int saved = errno;
	closedir(dir);
	errno = saved;
	return r;
}

static int tree_remove_at(int dir_fd, const char *name, unsigned depth)
{
	if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -1;
	if (depth > TREE_DEPTH_MAX) {
		errno = ELOOP;
		return -1;
	}
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || tree_remove_children(fd, depth) != 0)
		return -1;
	return unlinkat(dir_fd, name, AT_REMOVEDIR);
}

int tree_remove(int dir_fd, const char *name, struct refusal *why)
{
	if (tree_remove_at(dir_fd, name, 0) != 0)
		return sys_refuse_at(why, dir_fd, name, "remove");
	return 0;
}

/* file_state.c - room agent/survey: one file as it is: bytes, owner, mode, times, extended attributes; and made so again.
 * Never: through a link; half a file. */
#include "agent/survey/file_state.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "shared/base/text.h"
#include "shared/sys/fault.h"
#include "shared/sys/file.h"

enum { NAMES_SIZE = 8192, READ_STEP = 16384 };

int file_place(const char *path, uid_t owner, int *ret_dir, const char **ret_name, struct refusal *why)
{
	char        dir[PATH_MAX];
	const char *slash = strrchr(path, '/');
	if (path[0] != '/' || slash[1] == '\0' || text_copy_n(dir, sizeof(dir), path, (size_t)(slash - path)) != 0)
		return refuse(why, E_SURVEY_UNSAFE, path, "this is no absolute path of a file");
	int r = dir_open_safe(dir[0] != '\0' ? dir : "/", owner, ret_dir, why);
	if (r == 0)
		*ret_name = slash + 1;
	return r;
}

/* ---- reading ------------------------------------------------------------------------------------------------------ */

static int bytes_read(int fd, const char *name, struct buf *to, struct refusal *why)
{
	to->max = FILE_STATE_BYTES_MAX + READ_STEP;
	for (;;) {
		uint8_t *room = buf_room(to, READ_STEP);
		if (room == NULL)
			return refuse(why, E_SURVEY_LIMIT, name, "it is longer than %d bytes", FILE_STATE_BYTES_MAX);
		ssize_t n = read(fd, room, READ_STEP);
		if (n == 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return sys_refuse(why, name, "read the file");
		if (n > 0)
			buf_used(to, (size_t)n);
	}
}

static int xattr_read(int fd, const char *file, const char *name, struct file_xattr *ret, struct refusal *why)
{
	ret->value.max = FILE_XATTR_VALUE_MAX;
	uint8_t *room = buf_room(&ret->value, FILE_XATTR_VALUE_MAX);
	ssize_t  n = room != NULL ? fgetxattr(fd, name, room, FILE_XATTR_VALUE_MAX) : -1;
	if (n < 0 || text_copy(ret->name, sizeof(ret->name), name) != 0)
		return refuse(why, E_SURVEY_LIMIT, file, "its extended attribute %.40s is too large or cannot be read", name);
	buf_used(&ret->value, (size_t)n);
	return 0;
}

static int xattrs_read(int fd, const char *file, struct file_state *s, struct refusal *why)
{
	char    names[NAMES_SIZE];
	ssize_t n = flistxattr(fd, names, sizeof(names));
	if (n < 0)
		return errno == ENOTSUP ? 0
					: refuse(why, E_SURVEY_LIMIT, file, "its extended attributes cannot be listed: %s",
						 strerror(errno));
	s->xattr = calloc(FILE_XATTRS_MAX, sizeof(*s->xattr));
	if (s->xattr == NULL)
		return refuse(why, E_NOMEM, file, "no memory");
	for (const char *name = names; name < names + n; name += strlen(name) + 1) {
		if (s->n_xattrs == FILE_XATTRS_MAX)
			return refuse(why, E_SURVEY_LIMIT, file, "it has more than %d extended attributes", FILE_XATTRS_MAX);
		int r = xattr_read(fd, file, name, &s->xattr[s->n_xattrs++], why);
		if (r != 0)
			return r;
	}
	return 0;
}

int file_state_read(int dir_fd, const char *name, struct file_state *ret, struct refusal *why)
{
	struct stat st;
	*ret = (struct file_state){.uid = 0};
	_cleanup_fd_ int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 && errno == ELOOP)
		return refuse(why, E_SURVEY_UNSAFE, name, "it is a symbolic link");
	if (fd < 0 || fstat(fd, &st) != 0)
		return sys_refuse(why, name, "open the file");
	if (!S_ISREG(st.st_mode) || st.st_nlink != 1)
		return refuse(why, E_SURVEY_UNSAFE, name, "it is not a plain file with one name");
	ret->uid = st.st_uid;
	ret->gid = st.st_gid;
	ret->mode = st.st_mode & 07777;
	ret->accessed = st.st_atim;
	ret->modified = st.st_mtim;
	int r = bytes_read(fd, name, &ret->bytes, why);
	return r == 0 ? xattrs_read(fd, name, ret, why) : r;
}

void file_state_free(struct file_state *s)
{
	buf_wipe(&s->bytes);
	for (size_t i = 0; i < s->n_xattrs; i++)
		buf_free(&s->xattr[i].value);
	free(s->xattr);
	s->xattr = NULL;
	s->n_xattrs = 0;
}

/* ---- writing ------------------------------------------------------------------------------------------------------ */

static bool write_all(int fd, struct span bytes)
{
	while (bytes.n > 0) {
		ssize_t n = write(fd, bytes.p, bytes.n);
		if (n < 0 && errno != EINTR)
			return false;
		if (n > 0) {
			bytes.p += n;
			bytes.n -= (size_t)n;
		}
	}
	return true;
}

/* Owner first, because a change of owner takes capabilities and set-id bits away; no entries of the folder's default ACL: the
 * file's own are among its attributes. */
static bool fill(int fd, const struct file_state *s, bool times)
{
	const struct timespec both[2] = {s->accessed, s->modified};
	if (fchown(fd, s->uid, s->gid) != 0 || acl_drop(fd) != 0 || fchmod(fd, s->mode) != 0 ||
	    !write_all(fd, buf_span(&s->bytes)))
		return false;
	for (size_t i = 0; i < s->n_xattrs; i++)
		if (fsetxattr(fd, s->xattr[i].name, s->xattr[i].value.p, s->xattr[i].value.n, 0) != 0)
			return false;
	if (times && futimens(fd, both) != 0)
		return false;
	return fault_point("survey.file_write") == 0 && fsync(fd) == 0;
}

int file_state_write(int dir_fd, const char *name, const struct file_state *s, bool times, struct refusal *why)
{
	char temporary[NAME_MAX + 1];
	int  n = snprintf(temporary, sizeof(temporary), ".%s.vcc-new", name);
	if (n < 0 || (size_t)n >= sizeof(temporary))
		return refuse(why, E_SURVEY_LIMIT, name, "its name is too long");
	if (unlinkat(dir_fd, temporary, 0) != 0 && errno != ENOENT)
		return sys_refuse(why, name, "remove a leftover");
	_cleanup_fd_ int fd = openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return sys_refuse(why, name, "make the new file");
	int r = fill(fd, s, times) ? 0 : sys_refuse(why, name, "write the new file");
	if (r == 0 && renameat(dir_fd, temporary, dir_fd, name) != 0)
		r = sys_refuse(why, name, "put the new file in place");
	if (r == 0 && dir_sync(dir_fd) != 0)
		r = sys_refuse(why, name, "sync the folder");
	if (r != 0)
		(void)unlinkat(dir_fd, temporary, 0);
	return r;
}

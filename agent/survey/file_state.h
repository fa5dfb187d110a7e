/* file_state.h - room agent/survey: one file as it is: bytes, owner, mode, times, extended attributes; and made so again.
 * Everything by descriptor of its folder, which must be safe (shared/sys/file.h). Never: through a link; half a file. */
#ifndef VCC_FILE_STATE_H
#define VCC_FILE_STATE_H

#include <sys/types.h>
#include <time.h>

#include "shared/base/buf.h"
#include "shared/base/err.h"

enum { FILE_XATTRS_MAX = 32, FILE_XATTR_NAME_SIZE = 256, FILE_XATTR_VALUE_MAX = 16384, FILE_STATE_BYTES_MAX = 1 << 20 };

struct file_xattr {
	char       name[FILE_XATTR_NAME_SIZE];
	struct buf value;
};

struct file_state {
	struct buf         bytes;
	uid_t              uid;
	gid_t              gid;
	mode_t             mode;
	struct timespec    accessed, modified;
	struct file_xattr *xattr; /* on the heap */
	size_t             n_xattrs;
};

/* The folder of an absolute path, opened safely (`owner` as for dir_open_safe), and the file's name in it. */
_must_check_ int file_place(const char *path, uid_t owner, int *ret_dir, const char **ret_name, struct refusal *why);

/* Reads NAME: a plain file with one name. E_NOT_FOUND, E_SURVEY_UNSAFE, E_SURVEY_LIMIT. `ret` is to be freed in any case. */
_must_check_ int file_state_read(int dir_fd, const char *name, struct file_state *ret, struct refusal *why);
/* Puts NAME into this state, whether it is there or not: a new file takes its place in one rename. `times` false: it is a
 * change and may be seen as one. */
_must_check_ int file_state_write(int dir_fd, const char *name, const struct file_state *s, bool times, struct refusal *why);
void             file_state_free(struct file_state *s);

#endif

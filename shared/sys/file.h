/* file.h - room shared/sys: files by descriptor: read with a cap, written whole or not at all, never through links.
 * Never: following symbolic links in the last part or, for *_safe calls, anywhere. */
#ifndef VCC_FILE_H
#define VCC_FILE_H

#include <sys/types.h>

#include "shared/base/buf.h"
#include "shared/base/err.h"

void fd_close(int fd); /* -1 allowed; keeps errno */
void fd_closep(int *fd);
#define _cleanup_fd_ _cleanup_(fd_closep)

/* Opens a folder by absolute path for *at() calls; every part must be a real folder (no links, no "..") that nobody but root
 * and `owner` may write; on the way, a sticky folder of root (/tmp) is accepted. E_SYS_UNSAFE_PATH, E_NOT_FOUND, E_SYS_IO. */
_must_check_ int dir_open_safe(const char *path, uid_t owner, int *ret_fd, struct refusal *why);
/* Makes missing parts with mode 0755 and the last with `mode`. */
_must_check_ int dir_make(const char *path, mode_t mode, struct refusal *why);

/* Whole file, appended to `to` (its cap limits: E_FULL). Missing: E_NOT_FOUND. Secret files: `secret` demands mode & 077 == 0 and owner root or self (root takes any owner): E_CONF_UNSAFE. */
_must_check_ int file_read(int dir_fd, const char *name, bool secret, struct buf *to, struct refusal *why);
/* New file of exactly these bytes: O_CREAT|O_EXCL|O_NOFOLLOW (exists: E_EXISTS), fchown, fchmod (proof against umask and a default ACL), fsync. The folder is not synced. uid/gid -1 = keep. */
_must_check_ int file_create(int dir_fd, const char *name, struct span bytes, uid_t uid, gid_t gid, mode_t mode, struct refusal *why);
/* Replaces NAME: temporary name beside it, fsync, rename, fsync of the folder. */
_must_check_ int file_replace(int dir_fd, const char *name, struct span bytes, uid_t uid, gid_t gid, mode_t mode, struct refusal *why);
/* Removes what a file_replace() of NAME left beside it that was killed. */
_must_check_ int file_leftover_remove(int dir_fd, const char *name, struct refusal *why);
_must_check_ int dir_sync(int dir_fd);
/* Takes every POSIX ACL off an open file or folder; -1 with errno. Nothing to take, or a file system without ACLs, is fine. */
_must_check_ int acl_drop(int fd);
/* Does an ACL give NAME rights that its mode does not show? */
bool file_has_acl(int dir_fd, const char *name);
/* Points the relative link NAME at `to` in one rename, fsyncs the folder. */
_must_check_ int link_flip(int dir_fd, const char *name, const char *to, struct refusal *why);
/* Removes NAME and everything below it (not through links). Missing is fine. */
_must_check_ int tree_remove(int dir_fd, const char *name, struct refusal *why);
/* Exclusive lock on the folder for the life of the process (flock on NAME, kept open). E_SYS_LOCKED. */
_must_check_ int dir_lock(int dir_fd, const char *name, int *ret_fd, struct refusal *why);

/* errno of a failed call as a code: ENOSPC, EDQUOT -> E_SYS_SPACE, ENOENT -> E_NOT_FOUND, EEXIST -> E_EXISTS, others -> E_SYS_IO; words it into `why`. */
int sys_refuse(struct refusal *why, const char *object, const char *doing);
/* The same for NAME in an open folder: the object is its whole path, and of a full file system it says what is used up, bytes or inodes. */
int sys_refuse_at(struct refusal *why, int dir_fd, const char *name, const char *doing);

#endif

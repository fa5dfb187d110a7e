/* copies.c - room agent/keeper: copies of a generation's files at fixed paths, for programs that cannot follow current/.
 * Never: writing into a folder that others may change, or over anything but a plain file. */
#include "agent/keeper/copies.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/keeper/access_check.h"
#include "agent/keeper/generation.h"
#include "shared/base/text.h"
#include "shared/conf/target_copies.h"
#include "shared/sys/fault.h"
#include "shared/sys/file.h"
#include "shared/sys/log.h"

enum { COPY_MAX = 2 * 65536 };

/* One copy on its way: written under its temporary name, or nothing to do. */
struct copying {
	struct target_copy copy;
	int                folder; /* -1 = not opened */
	bool               staged, renamed;
	char               temporary[NAME_MAX + 1];
	uid_t              uid;
	gid_t              gid;
	mode_t             mode;
};

static int copy_refuse(struct refusal *why, const struct target_copy *copy, const char *cause)
{
	return refuse(why, E_SWAP_COPY, copy->path, "%s", cause);
}

/* ---- one copy ---------------------------------------------------------------------------------------------------- */

static int folder_open(struct copying *c, struct refusal *why)
{
	struct refusal inner = {.code = 0};
	struct stat    st;
	int            r = dir_open_safe(c->copy.folder, geteuid(), &c->folder, &inner);
	if (r != 0)
		return refuse(why, E_SWAP_COPY, c->copy.path, "%s", inner.cause);
	if (fstatat(c->folder, c->copy.name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(st.st_mode))
		return copy_refuse(why, &c->copy, "is there already and no plain file: remove it");
	return 0;
}

static bool copy_equal(const struct copying *c, struct span bytes)
{
	struct stat    st;
	struct buf     found = BUF_MAX(COPY_MAX);
	struct refusal why;
	bool           same = fstatat(c->folder, c->copy.name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
		    st.st_nlink == 1 && st.st_uid == c->uid && st.st_gid == c->gid && (st.st_mode & 07777) == c->mode &&
		    !file_has_acl(c->folder, c->copy.name) && (uint64_t)st.st_size == bytes.n && file_read(c->folder, c->copy.name, false, &found, &why) == 0 &&
		    span_equal(bytes, buf_span(&found));
	buf_wipe(&found);
	return same;
}

/* Complete under its temporary name, and readable for the service on the whole way to it. */
static int copy_stage(struct copying *c, struct span bytes, struct refusal *why)
{
	char path[TARGET_PATH_SIZE + NAME_MAX + 2];
	int  n = snprintf(c->temporary, sizeof(c->temporary), ".%s.new", c->copy.name);
	if (n < 0 || (size_t)n >= sizeof(c->temporary))
		return copy_refuse(why, &c->copy, "its name is too long");
	if (unlinkat(c->folder, c->temporary, 0) != 0 && errno != ENOENT)
		return refuse(why, E_SWAP_COPY, c->copy.path, errno == EROFS ? "its folder is not open to the keeper's unit: %s" : "a leftover beside it cannot be removed: %s",
		              strerror(errno));
	struct refusal inner = {.code = 0};
	int            r = file_create(c->folder, c->temporary, bytes, c->uid, c->gid, c->mode, &inner);
	if (r != 0)
		return refuse(why, r == E_SYS_SPACE ? r : E_SWAP_COPY, c->copy.path, "%s", inner.cause);
	c->staged = true;
	snprintf(path, sizeof(path), "%s/%s", c->copy.folder, c->temporary);
	return access_check(path, c->uid, c->gid, why);
}

/* ---- all of a target --------------------------------------------------------------------------------------------- */

static mode_t copy_mode(const struct target_conf *t, const struct copying *c)
{
	return (mode_t)t->mode | (c->copy.source->secret ? 0 : 0444);
}

static int one_stage(const struct target_conf *t, int generation, struct copying *c, struct refusal *why)
{
	struct buf bytes = BUF_MAX(COPY_MAX);
	int        r = access_owner(t->owner, t->group, &c->uid, &c->gid, why);
	c->mode = copy_mode(t, c);
	if (r == 0)
		r = folder_open(c, why);
	if (r == 0)
		r = file_read(generation, c->copy.source->name, false, &bytes, why);
	if (r == 0 && !copy_equal(c, buf_span(&bytes)))
		r = copy_stage(c, buf_span(&bytes), why);
	buf_wipe(&bytes);
	/* an older generation may lack a file that was asked for later: the way back must not end at that */
	return r == E_NOT_FOUND && c->folder >= 0 ? 0 : r;
}

/* Only renames between here and the end: what a reader can see mixed lasts no longer than they do. */
static int all_rename(struct copying *all, size_t n, struct refusal *why)
{
	for (size_t i = 0; i < n; i++) {
		if (!all[i].staged)
			continue;
		if (renameat(all[i].folder, all[i].temporary, all[i].folder, all[i].copy.name) != 0)
			return refuse(why, E_SWAP_COPY, all[i].copy.path, "cannot be replaced: %s", strerror(errno));
		all[i].staged = false;
		all[i].renamed = true;
		(void)fault_point("keeper.copies.rename");
	}
	for (size_t i = 0; i < n; i++)
		if (all[i].renamed && dir_sync(all[i].folder) != 0)
			return sys_refuse(why, all[i].copy.path, "sync the folder");
	return 0;
}

static int generation_open(int dir_fd, uint64_t number, int *ret_fd, struct refusal *why)
{
	char name[GENERATION_NAME_SIZE];
	*ret_fd = openat(dir_fd, generation_name(number, name), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return *ret_fd >= 0 ? 0 : sys_refuse(why, name, "open the generation");
}

int copies_follow(const struct target_conf *t, int dir_fd, uint64_t number, struct refusal *why)
{
	static struct copying all[TARGET_COPIES_MAX]; /* large; the keeper has one thread for files */
	struct target_copy    copy;
	_cleanup_fd_ int      generation = -1;
	size_t                n = 0;
	bool                  work = false;
	if (t->copies[0] == '\0')
		return 0;
	int r = generation_open(dir_fd, number, &generation, why);
	for (const char *cursor = t->copies; r == 0 && n < TARGET_COPIES_MAX && target_copy_next(&cursor, &copy); n++) {
		all[n] = (struct copying){.copy = copy, .folder = -1};
		all[n].copy.name = all[n].copy.path + (copy.name - copy.path);
		r = one_stage(t, generation, &all[n], why);
		work |= all[n].staged;
	}
	if (r == 0 && work && fault_point("keeper.copies") != 0)
		r = sys_refuse(why, "copies", "replace the copies");
	if (r == 0 && work)
		r = all_rename(all, n, why);
	if (work)
		(void)fault_point("keeper.copies.done");
	for (size_t i = 0; i < n; i++) {
		if (all[i].staged)
			unlinkat(all[i].folder, all[i].temporary, 0);
		fd_close(all[i].folder);
	}
	return r;
}

static bool one_equal(const struct target_conf *t, int generation, struct copying *c)
{
	struct buf bytes = BUF_MAX(COPY_MAX);
	c->mode = copy_mode(t, c);
	bool same = access_owner(t->owner, t->group, &c->uid, &c->gid, NULL) == 0 && folder_open(c, NULL) == 0 &&
		    file_read(generation, c->copy.source->name, false, &bytes, NULL) == 0 && copy_equal(c, buf_span(&bytes));
	buf_wipe(&bytes);
	return same;
}

static void copy_drift(const struct copying *c, struct drift *ret)
{
	struct stat st;
	*ret = (struct drift){.kind = DRIFT_COPY, .files = 1, .bytes = true};
	text_cut(ret->file, sizeof(ret->file), c->copy.name);
	if (c->folder < 0)
		return;
	if (fstatat(c->folder, c->copy.name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
		ret->kind = errno == ENOENT ? DRIFT_MISSING : DRIFT_COPY;
		return;
	}
	ret->uid = st.st_uid;
	ret->mode = st.st_mode & 07777;
	ret->links = (uint32_t)st.st_nlink;
	ret->changed_at = (int64_t)st.st_ctim.tv_sec * 1000 + st.st_ctim.tv_nsec / 1000000;
}

void copies_compare(const struct target_conf *t, int dir_fd, uint64_t number, struct drift *ret)
{
	struct target_copy copy;
	_cleanup_fd_ int   generation = -1;
	*ret = (struct drift){.kind = DRIFT_NONE};
	if (t->copies[0] == '\0')
		return;
	(void)!generation_open(dir_fd, number, &generation, NULL); /* then no copy equals anything */
	for (const char *cursor = t->copies; ret->kind == DRIFT_NONE && target_copy_next(&cursor, &copy);) {
		struct copying c = {.copy = copy, .folder = -1};
		c.copy.name = c.copy.path + (copy.name - copy.path);
		if (!one_equal(t, generation, &c))
			copy_drift(&c, ret);
		fd_close(c.folder);
	}
}

int copies_current(const struct target_conf *t, const char *dir, struct refusal *why)
{
	uint64_t         number = 0;
	_cleanup_fd_ int fd = -1;
	if (t->copies[0] == '\0')
		return 0;
	int r = dir_open_safe(dir, geteuid(), &fd, why);
	if (r == 0)
		r = generation_current(fd, &number, why);
	if (r != 0)
		return r == E_NOT_FOUND ? 0 : r;
	return number != 0 ? copies_follow(t, fd, number, why) : 0;
}

void copies_converge(const struct target_conf *t, const char *dir)
{
	struct refusal why = {.code = 0};
	if (copies_current(t, dir, &why) != 0)
		log_refusal(LOG_LEVEL_ERROR, NULL, &why);
}

/* ---- before anything is written ---------------------------------------------------------------------------------- */

static bool copies_below(const struct target_conf *t, const char *dir, const char *whose, struct refusal *why)
{
	struct target_copy copy;
	for (const char *cursor = t->copies; target_copy_next(&cursor, &copy);)
		if (target_path_below(copy.path, dir)) {
			refuse(why, E_SWAP_COPY, copy.path, "lies in the folder %s of %s", dir, whose);
			return true;
		}
	return false;
}

/* A file that was mounted to its place, as containers get their secrets: no rename can replace it. */
static int copies_unmounted(const struct target_conf *t, struct refusal *why)
{
	struct target_copy copy;
	struct statx       stx;
	for (const char *cursor = t->copies; target_copy_next(&cursor, &copy);)
		if (statx(AT_FDCWD, copy.path, AT_SYMLINK_NOFOLLOW, STATX_TYPE, &stx) == 0 && (stx.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0)
			return copy_refuse(why, &copy, "is a mount point and cannot be replaced: mount its folder instead");
	return 0;
}

/* Files of the agent, which a copy must not replace. */
int copies_outside(const struct target_conf *t, const struct agent_conf *conf, struct refusal *why)
{
	const char *const folders[] = {conf->keeper_dir, conf->link_dir, conf->targets_dir};
	char              dir[TARGET_PATH_SIZE];
	for (size_t i = 0; i < N_ELEMENTS(folders); i++)
		if (copies_below(t, folders[i], "the agent", why))
			return E_SWAP_COPY;
	if (agent_target_dir(conf, t, dir) == 0 && copies_below(t, dir, "the target", why))
		return E_SWAP_COPY;
	return copies_unmounted(t, why);
}

int copies_check(const struct target_conf *t, const struct agent_conf *conf, uid_t keeper, struct refusal *why)
{
	struct target_copy copy;
	struct stat        st;
	int                r = copies_outside(t, conf, why);
	if (r != 0)
		return r;
	for (const char *cursor = t->copies; target_copy_next(&cursor, &copy);) {
		struct refusal   inner = {.code = 0};
		_cleanup_fd_ int folder = -1;
		if (dir_open_safe(copy.folder, keeper, &folder, &inner) != 0)
			return refuse(why, E_SWAP_COPY, copy.path, "%s", inner.cause);
		if (fstatat(folder, copy.name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(st.st_mode))
			return copy_refuse(why, &copy, "is there already and no plain file: remove it");
		if (fstat(folder, &st) != 0 || (keeper != 0 && (st.st_uid != keeper || (st.st_mode & S_IWUSR) == 0)))
			return refuse(why, E_SWAP_COPY, copy.path,
				      "its folder belongs to uid %u; the keeper (uid %u) could not write there",
				      (unsigned)st.st_uid, (unsigned)keeper);
	}
	return 0;
}

bool copies_clash(const struct target_conf *a, const char *dir_a, const struct target_conf *b, const char *dir_b,
		  struct refusal *why)
{
	struct target_copy one;
	struct target_copy other;
	if (copies_below(a, dir_b, "another target", why) || copies_below(b, dir_a, "another target", why))
		return true;
	for (const char *cursor = a->copies; target_copy_next(&cursor, &one);)
		for (const char *inner = b->copies; target_copy_next(&inner, &other);)
			if (text_equal(one.path, other.path)) {
				refuse(why, E_SWAP_COPY, one.path, "is a copy of target %s, too", b->stem);
				return true;
			}
	return false;
}

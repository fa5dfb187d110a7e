/* file_change.c - room agent/survey: changes the files of a record, and puts them back exactly.
 * Never: overwriting what somebody else wrote meanwhile. */
#include "agent/survey/file_change.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/survey/edit.h"
#include "shared/base/text.h"
#include "shared/pki/key.h"
#include "shared/sys/fault.h"
#include "shared/sys/file.h"

static struct hash hash_of(const struct buf *b)
{
	struct hash h = {{0}};
	digest_sha256(buf_span(b), &h);
	return h;
}

/* The record's next phase is durable: so must be what it speaks of. */
static int folder_sync(const struct undo_file *f, int dir, struct refusal *why)
{
	return dir_sync(dir) != 0 ? sys_refuse(why, f->path, "sync the folder") : 0;
}

/* ---- forward ------------------------------------------------------------------------------------------------------ */

static int same_as_recorded(const struct undo_file *f, int dir, const char *name, struct refusal *why)
{
	struct file_state now;
	int               r = file_state_read(dir, name, &now, why);
	if (r == 0 && (!span_equal(buf_span(&now.bytes), buf_span(&f->before.bytes)) || now.uid != f->before.uid ||
		       now.mode != f->before.mode))
		r = refuse(why, E_SURVEY_CHANGED, f->path, "it is no longer as it was when the change was planned");
	file_state_free(&now);
	return r;
}

/* "/etc/systemd/system/x.service.d": one folder deep, below one that exists. */
static int folder_make(const struct undo_file *f, struct refusal *why)
{
	char             dir[SOURCE_PATH_SIZE];
	const char      *name = NULL;
	_cleanup_fd_ int parent = -1;
	if (!f->made_dir)
		return 0;
	text_cut(dir, sizeof(dir), f->path);
	*strrchr(dir, '/') = '\0';
	int r = file_place(dir, f->owner, &parent, &name, why);
	if (r == 0 && mkdirat(parent, name, 0755) != 0 && errno != EEXIST)
		r = sys_refuse(why, dir, "make the folder");
	return r == 0 ? folder_sync(f, parent, why) : r;
}

static int take_away(const struct undo_file *f, int dir, const char *name, struct refusal *why)
{
	const char *moved = strrchr(f->moved, '/');
	if (moved == NULL && unlinkat(dir, name, 0) != 0 && errno != ENOENT)
		return sys_refuse(why, f->path, "take the file away");
	if (moved != NULL && renameat2(dir, name, dir, moved + 1, RENAME_NOREPLACE) != 0)
		return sys_refuse(why, f->moved, "rename the file");
	return folder_sync(f, dir, why);
}

int file_change_apply(const struct undo_file *f, struct span after, struct refusal *why)
{
	const char      *name = NULL;
	_cleanup_fd_ int dir = -1;
	int              r = folder_make(f, why);
	if (r == 0)
		r = file_place(f->path, f->owner, &dir, &name, why);
	if (r == 0 && fault_point("survey.change") != 0)
		r = sys_refuse(why, f->path, "change the file");
	if (r == 0 && !f->made)
		r = same_as_recorded(f, dir, name, why);
	if (r != 0)
		return r;
	if (f->removed)
		return take_away(f, dir, name, why);
	if (f->made) {
		r = file_create(dir, name, after, f->before.uid, f->before.gid, f->before.mode, why);
		return r == 0 ? folder_sync(f, dir, why) : r;
	}
	struct file_state next = f->before;
	next.bytes = (struct buf){.p = (uint8_t *)(uintptr_t)after.p, .n = after.n, .max = after.n};
	return file_state_write(dir, name, &next, false, why);
}

/* ---- back --------------------------------------------------------------------------------------------------------- */

static int unmake(const struct undo_file *f, int dir, const char *name, struct refusal *why)
{
	struct file_state now;
	int               r = file_state_read(dir, name, &now, why);
	const bool        ours = r == 0 && hash_equal(hash_of(&now.bytes), f->after);
	file_state_free(&now);
	if (r == E_NOT_FOUND)
		return 0;
	if (r != 0)
		return r;
	if (!ours)
		return refuse(why, E_SURVEY_CHANGED, f->path, "it was written by us and changed since: remove it by hand");
	return unlinkat(dir, name, 0) == 0 ? folder_sync(f, dir, why) : sys_refuse(why, f->path, "remove the file");
}

static void folder_unmake(const struct undo_file *f)
{
	char             path[SOURCE_PATH_SIZE];
	const char      *name = NULL;
	_cleanup_fd_ int parent = -1;
	if (!f->made_dir)
		return;
	text_cut(path, sizeof(path), f->path);
	*strrchr(path, '/') = '\0';
	if (file_place(path, f->owner, &parent, &name, NULL) == 0)
		(void)unlinkat(parent, name, AT_REMOVEDIR); /* others may have put something there: it stays then */
}

static bool still_holds(int dir, const char *name, struct hash wanted)
{
	struct file_state there;
	const bool        same = file_state_read(dir, name, &there, NULL) == 0 && hash_equal(hash_of(&there.bytes), wanted);
	file_state_free(&there);
	return same;
}

/* A file that is there was written by its tool since: it goes on from that one. The name that ours was given goes only when it
 * still is that file. */
static int bring_back(const struct undo_file *f, int dir, const char *name, bool *ret_edited, struct refusal *why)
{
	const char       *moved = strrchr(f->moved, '/');
	const struct hash before = hash_of(&f->before.bytes);
	struct stat       st;
	*ret_edited = fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !still_holds(dir, name, before);
	int r = *ret_edited ? 0 : file_state_write(dir, name, &f->before, true, why);
	if (r == 0 && moved != NULL && still_holds(dir, moved + 1, before))
		(void)unlinkat(dir, moved + 1, 0);
	return r == 0 ? folder_sync(f, dir, why) : r;
}

/* Somebody edited the file since: his edits stay, our values go. */
static int values_back(const struct undo_file *f, const char *target_dir, int dir, const char *name, struct file_state *now,
		       struct refusal *why)
{
	struct buf text = BUF_MAX(2 * FILE_STATE_BYTES_MAX);
	size_t     total = 0;
	int        r = 0;
	for (size_t i = 0; r == 0 && i < f->n_swaps; i++) {
		size_t n = 0;
		buf_reset(&text);
		r = edit_replace(buf_span(&now->bytes), f->swap[i].into, f->swap[i].from, &text, &n);
		total += n;
		now->bytes.max = text.max;
		buf_reset(&now->bytes);
		buf_add(&now->bytes, text.p, text.n);
	}
	buf_free(&text);
	if (r == 0)
		r = buf_error(&now->bytes);
	if (r == 0 && now->bytes.n > 0 && memmem(now->bytes.p, now->bytes.n, target_dir, strlen(target_dir)) != NULL)
		return refuse(why, E_SURVEY_CHANGED, f->path,
			      "it was edited and still names %.150s: put the old paths there by hand", target_dir);
	if (r == 0 && total > 0)
		r = file_state_write(dir, name, now, false, why);
	return r;
}

int file_change_undo(const struct undo_file *f, const char *target_dir, bool *ret_edited, struct refusal *why)
{
	const char       *name = NULL;
	struct file_state now = {.uid = 0};
	_cleanup_fd_ int  dir = -1;
	int               r = file_place(f->path, f->owner, &dir, &name, why);
	*ret_edited = false;
	if (r == E_NOT_FOUND && f->made)
		return 0; /* not even its folder was made */
	if (r != 0)
		return r;
	if (fault_point("survey.undo_file") != 0)
		return sys_refuse(why, f->path, "put the file back");
	if (f->made) {
		r = unmake(f, dir, name, why);
		if (r == 0)
			folder_unmake(f);
		return r;
	}
	if (f->removed)
		return bring_back(f, dir, name, ret_edited, why);
	r = file_state_read(dir, name, &now, why);
	const struct hash found = hash_of(&now.bytes);
	if (r == E_NOT_FOUND || (r == 0 && (hash_equal(found, f->after) || hash_equal(found, hash_of(&f->before.bytes))))) {
		r = file_state_write(dir, name, &f->before, true, why);
	} else if (r == 0) {
		*ret_edited = true;
		r = values_back(f, target_dir, dir, name, &now, why);
	}
	file_state_free(&now);
	return r;
}

/* target_folder.c - room agent/survey: the folder of a new target: `current` leads to `before/`.
 * Never: a generation; those are the keeper's. */
#include "agent/survey/target_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/base/text.h"
#include "shared/sys/fault.h"
#include "shared/sys/file.h"

static int parent_open(const char *dir, uid_t keeper, gid_t keeper_gid, int *ret_fd, const char **ret_name, struct refusal *why)
{
	char        parent[PATH_MAX];
	const char *slash = strrchr(dir, '/');
	if (slash == NULL || slash == dir || text_copy_n(parent, sizeof(parent), dir, (size_t)(slash - dir)) != 0)
		return refuse(why, E_SURVEY_UNSAFE, dir, "this is no path of a target's folder");
	int r = dir_open_safe(parent, keeper, ret_fd, why);
	if (r == E_NOT_FOUND && keeper_gid != (gid_t)-1) { /* the first target of an installation below a folder of its own */
		r = dir_make(parent, 0755, why);
		if (r == 0)
			r = dir_open_safe(parent, keeper, ret_fd, why);
		if (r == 0 && fchown(*ret_fd, keeper, keeper_gid) != 0)
			r = sys_refuse(why, parent, "hand the folder to the keeper");
	}
	*ret_name = slash + 1;
	return r;
}

static int files_write(int dir, const struct target_before *b, struct refusal *why)
{
	const struct {
		const char *name;
		struct span bytes;
		mode_t      mode;
	} files[] = {
		{"key.pem", b->key, b->mode},           {"cert.pem", b->cert, 0644},
		{"fullchain.pem", b->fullchain, 0644},  {"chain.pem", b->chain, 0644},
		{"combined.pem", b->combined, b->mode},
	};
	for (size_t i = 0; i < N_ELEMENTS(files); i++) {
		if (files[i].bytes.n == 0)
			continue;
		int r = file_create(dir, files[i].name, files[i].bytes, b->uid, b->gid, files[i].mode, why);
		if (r != 0)
			return r;
	}
	return dir_sync(dir) != 0 ? sys_refuse(why, "before", "sync the folder") : 0;
}

static int inside_make(int dir, const struct target_before *b, struct refusal *why)
{
	if (mkdirat(dir, "before", 0755) != 0)
		return sys_refuse(why, "before", "make the folder");
	_cleanup_fd_ int before = openat(dir, "before", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (before < 0 || fchmod(before, 0755) != 0)
		return sys_refuse(why, "before", "open the folder");
	int r = files_write(before, b, why);
	return r == 0 ? link_flip(dir, "current", "before", why) : r;
}

int target_folder_make(const char *dir, uid_t keeper, gid_t keeper_gid, const struct target_before *b, struct refusal *why)
{
	_cleanup_fd_ int parent = -1;
	const char      *name = NULL;
	struct stat      st;
	int              r = parent_open(dir, keeper, keeper_gid, &parent, &name, why);
	if (r != 0)
		return r;
	if (mkdirat(parent, name, 0700) != 0)
		return sys_refuse(why, dir, "make the target's folder");
	/* whoever owns the parent could have put another one there meanwhile */
	_cleanup_fd_ int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0)
		return sys_refuse(why, dir, "open the target's folder");
	if (st.st_uid != geteuid())
		return refuse(why, E_SURVEY_UNSAFE, dir, "the folder was exchanged while it was made");
	r = inside_make(fd, b, why);
	if (r == 0 && (fault_point("survey.folder") != 0 || fchown(fd, keeper, keeper_gid) != 0 || fchmod(fd, 0755) != 0))
		r = sys_refuse(why, dir, "hand the folder to the keeper");
	if (r == 0 && (fsync(fd) != 0 || dir_sync(parent) != 0))
		r = sys_refuse(why, dir, "sync the folder");
	return r;
}

int target_folder_remove(const char *dir, uid_t keeper, struct refusal *why)
{
	_cleanup_fd_ int parent = -1;
	const char      *name = NULL;
	int              r = parent_open(dir, keeper, (gid_t)-1, &parent, &name, why);
	if (r == E_NOT_FOUND)
		return 0;
	return r == 0 ? tree_remove(parent, name, why) : r;
}

bool target_readable(const char *path, uid_t uid, gid_t gid)
{
	int   status = 1;
	pid_t pid = fork();
	if (pid == 0) {
		bool dropped = (geteuid() != 0 || setgroups(0, NULL) == 0) && setgid(gid) == 0 && setuid(uid) == 0;
		_exit(dropped && open(path, O_RDONLY | O_CLOEXEC) >= 0 ? 0 : 1);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

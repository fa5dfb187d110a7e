/* config_test.c - room agent/hook: the private mount namespace of a configuration test.
 * Never: changing anything that another process sees. */
#include "agent/hook/config_test.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/hook/program.h"
#include "shared/base/text.h"
#include "shared/sys/file.h"

enum { GENERATION_NAME_SIZE = 24 };

/* A folder beside the generations, and nothing else: mostly one of them, at first what served before. The link was made by the
 * keeper, but its folder is read here again. */
static bool folder_name_ok(const char *name)
{
	return name[0] != '\0' && name[0] != '.' && strchr(name, '/') == NULL;
}

/* Mounts by descriptors, so that no part of the path can be exchanged between check and mount. */
static int mount_over(int dir_fd, const char *new_name, const char *old_name)
{
	char             from[64];
	char             to[64];
	_cleanup_fd_ int new_fd = openat(dir_fd, new_name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_fd_ int old_fd = openat(dir_fd, old_name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (new_fd < 0 || old_fd < 0)
		return E_HOOK_TARGET;
	snprintf(from, sizeof(from), "/proc/self/fd/%d", new_fd);
	snprintf(to, sizeof(to), "/proc/self/fd/%d", old_fd);
	if (mount(from, to, NULL, MS_BIND, NULL) != 0)
		return E_HOOK_NAMESPACE;
	return 0;
}

static int future_make(const char *dir, uint64_t generation, uid_t owner, struct hk_reply *ret)
{
	char           new_name[GENERATION_NAME_SIZE];
	char           old_name[NAME_MAX + 1];
	struct refusal why = {.code = 0};
	snprintf(new_name, sizeof(new_name), "g%06llu", (unsigned long long)generation);

	/* the folder must be opened inside the new namespace: mounts belong to one */
	if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
		snprintf(ret->output, sizeof(ret->output), "no private mount namespace: %s", strerror(errno));
		return E_HOOK_NAMESPACE;
	}
	_cleanup_fd_ int dir_fd = -1;
	if (dir_open_safe(dir, owner, &dir_fd, &why) != 0) {
		text_cut(ret->output, sizeof(ret->output), why.cause);
		return E_HOOK_TARGET;
	}
	ssize_t n = readlinkat(dir_fd, "current", old_name, sizeof(old_name) - 1);
	if (n < 0) {
		text_cut(ret->output, sizeof(ret->output), "first generation: nothing to test against");
		return E_HOOK_NAMESPACE;
	}
	old_name[n] = '\0';
	if (!folder_name_ok(old_name))
		return E_HOOK_TARGET;
	return text_equal(old_name, new_name) ? 0 : mount_over(dir_fd, new_name, old_name);
}

int config_test(const struct target_conf *target, const char *dir, uint64_t generation, uid_t owner, struct hk_reply *ret)
{
	if (target->test[0] == '\0') {
		text_cut(ret->output, sizeof(ret->output), "no test command");
		return 0;
	}
	int r = future_make(dir, generation, owner, ret);
	if (r != 0)
		return r;
	ret->tested = true;
	return program_run(target->test, target->timeout_ms, ret);
}

/* pidfile.c - room agent/hook: from a pid file to one pinned process of the service, and signals to it.
 * Never: a process that is younger than its pid file, pid 1, or one that does not belong to whoever wrote the file. */
#include "agent/hook/pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/conf/target_conf.h"
#include "shared/sys/clock.h"
#include "shared/sys/file.h"

/* A service may write its pid file a moment after it started; its clock ticks are coarse. */
enum { PIDFILE_SLACK_MS = 2000 };

static _printf_(2, 3) int pid_refuse(struct hk_reply *ret, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	vsnprintf(ret->output, sizeof(ret->output), fmt, args);
	va_end(args);
	return E_HOOK_PID;
}

struct pidfile {
	pid_t   pid;
	uid_t   owner;
	int64_t written_at;
};

static int pidfile_read(const char *path, struct pidfile *ret_file, struct hk_reply *ret)
{
	char             text[32];
	struct stat      st;
	int64_t          pid;
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return pid_refuse(ret, "cannot open %s: %s", path, strerror(errno));
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return pid_refuse(ret, "%s is not a plain file", path);
	if ((st.st_mode & S_IWOTH) != 0)
		return pid_refuse(ret, "%s may be written by everybody", path);
	ssize_t n = read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return pid_refuse(ret, "%s is empty", path);
	text[n] = '\0';
	text[strcspn(text, " \t\r\n")] = '\0';
	if (text_i64(text, 2, INT_MAX, &pid) != 0)
		return pid_refuse(ret, "%s holds no process id", path);
	*ret_file = (struct pidfile){
		.pid = (pid_t)pid,
		.owner = st.st_uid,
		.written_at = (int64_t)st.st_mtim.tv_sec * MS_SECOND + st.st_mtim.tv_nsec / 1000000,
	};
	return 0;
}

/* Fields 4 and 22 of /proc/PID/stat. The command name (field 2) may hold anything but ends at the last ')'. */
int process_read(pid_t pid, struct process *ret)
{
	char               path[64];
	char               text[1024];
	int                parent;
	unsigned long long ticks;
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t          n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
	if (n <= 0)
		return E_HOOK_PID;
	text[n] = '\0';
	const char *rest = strrchr(text, ')');
	if (rest == NULL || sscanf(rest + 1, " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
				   &parent, &ticks) != 2)
		return E_HOOK_PID;
	*ret = (struct process){.parent = parent,
				.started_ms = (int64_t)(ticks * 1000 / (unsigned long long)sysconf(_SC_CLK_TCK))};
	return 0;
}

/* When the process started, as wall time: what the pid file's own time can be compared with. */
static int process_started(pid_t pid, int64_t *ret_at)
{
	struct process  process;
	struct timespec wall;
	int             r = process_read(pid, &process);
	clock_gettime(CLOCK_REALTIME, &wall); /* not clock_now(): the file's time is the kernel's, too */
	if (r == 0)
		*ret_at = (int64_t)wall.tv_sec * MS_SECOND + wall.tv_nsec / 1000000 - (clock_boot() - process.started_ms);
	return r;
}

/* The folder of a service user can name any process in its pid file, so only one of the same user is believed. */
static int process_owned(const struct pidfile *file, struct hk_reply *ret)
{
	char        path[64];
	struct stat st;
	snprintf(path, sizeof(path), "/proc/%d", (int)file->pid);
	if (stat(path, &st) != 0)
		return pid_refuse(ret, "process %d of the pid file does not exist", (int)file->pid);
	if (file->owner != 0 && file->owner != geteuid() && st.st_uid != file->owner)
		return pid_refuse(ret, "process %d belongs to uid %u, its pid file to uid %u", (int)file->pid,
				  (unsigned)st.st_uid, (unsigned)file->owner);
	return 0;
}

static int process_is_program(pid_t pid, const char *program, struct hk_reply *ret)
{
	char        link[64];
	char        exe[PATH_MAX];
	char        path[PATH_MAX];
	const char *wanted = program;
	if (program[0] == '\0')
		return 0;
	if (program[0] == '/')
		wanted = realpath(program, path);
	if (wanted == NULL)
		return pid_refuse(ret, "the program of `command` does not exist");
	snprintf(link, sizeof(link), "/proc/%d/exe", (int)pid);
	ssize_t n = readlink(link, exe, sizeof(exe) - 1);
	if (n <= 0)
		return pid_refuse(ret, "process %d: its program cannot be read", (int)pid);
	exe[n] = '\0';
	/* after a package upgrade the running program's file is gone, but it is still the same program */
	if (text_ends(exe, " (deleted)"))
		exe[strlen(exe) - strlen(" (deleted)")] = '\0';
	const char *found = wanted[0] == '/' || strrchr(exe, '/') == NULL ? exe : strrchr(exe, '/') + 1;
	if (!text_equal(found, wanted))
		return pid_refuse(ret, "process %d runs another program than `%s`", (int)pid, program);
	return 0;
}

int pidfile_open(const char *path, const char *program, pid_t *ret_pid, int *ret_pidfd, struct hk_reply *ret)
{
	struct pidfile file = {.pid = -1};
	int64_t        started_at = 0;
	int            r = pidfile_read(path, &file, ret);
	if (r != 0)
		return r;
	_cleanup_fd_ int pidfd = (int)syscall(SYS_pidfd_open, file.pid, 0);
	if (pidfd < 0 || process_started(file.pid, &started_at) != 0)
		return pid_refuse(ret, "process %d of the pid file does not exist", (int)file.pid);
	if (started_at > file.written_at + PIDFILE_SLACK_MS)
		return pid_refuse(ret, "process %d started after the pid file was written: the pid was recycled",
				  (int)file.pid);
	r = process_owned(&file, ret);
	if (r == 0)
		r = process_is_program(file.pid, program, ret);
	if (r != 0)
		return r;
	*ret_pid = file.pid;
	*ret_pidfd = pidfd;
	pidfd = -1;
	return 0;
}

int pidfd_signal(int pidfd, pid_t pid, int number, struct hk_reply *ret)
{
	if (syscall(SYS_pidfd_send_signal, pidfd, number, NULL, 0) != 0)
		return pid_refuse(ret, "process %d cannot be signalled: %s", (int)pid, strerror(errno));
	return 0;
}

int command_program(const char *command, char *ret, size_t size, struct hk_reply *reply)
{
	char  store[TARGET_COMMAND_SIZE];
	char *argv[64];
	if (command[0] == '\0') {
		ret[0] = '\0';
		return 0;
	}
	if (target_argv(command, store, sizeof(store), argv, N_ELEMENTS(argv)) != 0 || text_copy(ret, size, argv[0]) != 0)
		return pid_refuse(reply, "`command` cannot be split into words");
	return 0;
}

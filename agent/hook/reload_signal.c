/* reload_signal.c - room agent/hook: signals the process that a pid file names, through a pidfd.
 * Never: a process that is younger than its pid file (a recycled pid), pid 1, or another program than [reload] command names. */
#include "agent/hook/reload.h"

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
#include "shared/sys/file.h"

/* A service may write its pid file a moment after it started; its clock ticks are coarse. */
enum { PIDFILE_SLACK_MS = 2000 };

static const struct {
	const char *name;
	int         number;
} signals[] = {{"HUP", SIGHUP}, {"USR1", SIGUSR1}, {"USR2", SIGUSR2}, {"WINCH", SIGWINCH}};

static int signal_number(const char *name)
{
	for (size_t i = 0; i < N_ELEMENTS(signals); i++)
		if (text_equal(name, signals[i].name))
			return signals[i].number;
	return 0;
}

static _printf_(2, 3) int pid_refuse(struct hk_reply *ret, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	vsnprintf(ret->output, sizeof(ret->output), fmt, args);
	va_end(args);
	return E_HOOK_PID;
}

static int pidfile_read(const char *path, pid_t *ret_pid, int64_t *ret_written_at, struct hk_reply *ret)
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
	*ret_pid = (pid_t)pid;
	*ret_written_at = (int64_t)st.st_mtim.tv_sec * MS_SECOND + st.st_mtim.tv_nsec / 1000000;
	return 0;
}

/* Field 22 of /proc/PID/stat, as wall time. The command name (field 2) may hold anything but ends at the last ')'. */
static int process_started(pid_t pid, int64_t *ret_at)
{
	char               path[64];
	char               text[1024];
	unsigned long long ticks;
	struct timespec    boot;
	struct timespec    wall;
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t          n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
	if (n <= 0)
		return E_HOOK_PID;
	text[n] = '\0';
	const char *rest = strrchr(text, ')');
	if (rest == NULL || sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
	                           &ticks) != 1)
		return E_HOOK_PID;
	clock_gettime(CLOCK_BOOTTIME, &boot);
	clock_gettime(CLOCK_REALTIME, &wall);
	int64_t started_ms = (int64_t)(ticks * 1000 / (unsigned long long)sysconf(_SC_CLK_TCK));
	int64_t age_ms = (int64_t)boot.tv_sec * MS_SECOND + boot.tv_nsec / 1000000 - started_ms;
	*ret_at = (int64_t)wall.tv_sec * MS_SECOND + wall.tv_nsec / 1000000 - age_ms;
	return 0;
}

/* With `command` in the target file, its first word names the program that may be signalled. */
static int process_is_program(pid_t pid, const char *command, struct hk_reply *ret)
{
	char  store[TARGET_COMMAND_SIZE];
	char *argv[64];
	char  link[64];
	char  exe[PATH_MAX];
	char  wanted[PATH_MAX];
	if (command[0] == '\0')
		return 0;
	if (target_argv(command, store, sizeof(store), argv, N_ELEMENTS(argv)) != 0 || argv[0] == NULL ||
	    realpath(argv[0], wanted) == NULL)
		return pid_refuse(ret, "the program of `command` does not exist");
	snprintf(link, sizeof(link), "/proc/%d/exe", (int)pid);
	ssize_t n = readlink(link, exe, sizeof(exe) - 1);
	if (n <= 0)
		return pid_refuse(ret, "process %d: its program cannot be read", (int)pid);
	exe[n] = '\0';
	/* after a package upgrade the running program's file is gone, but it is still the same program */
	if (text_ends(exe, " (deleted)"))
		exe[strlen(exe) - strlen(" (deleted)")] = '\0';
	if (!text_equal(exe, wanted))
		return pid_refuse(ret, "process %d runs another program than `command`", (int)pid);
	return 0;
}

int reload_signal(const struct target_conf *target, struct hk_reply *ret)
{
	pid_t   pid = 0;
	int64_t written_at = 0;
	int64_t started_at;
	int     number = signal_number(target->signal);
	if (number == 0)
		return pid_refuse(ret, "signal `%.16s` is not known", target->signal);
	int r = pidfile_read(target->pidfile, &pid, &written_at, ret);
	if (r != 0)
		return r;

	/* from here on the descriptor pins the process: all checks and the signal are about the same one */
	_cleanup_fd_ int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0 || process_started(pid, &started_at) != 0)
		return pid_refuse(ret, "process %d of the pid file does not exist", (int)pid);
	if (started_at > written_at + PIDFILE_SLACK_MS)
		return pid_refuse(ret, "process %d started after the pid file was written: the pid was recycled", (int)pid);
	r = process_is_program(pid, target->command, ret);
	if (r != 0)
		return r;
	if (syscall(SYS_pidfd_send_signal, pidfd, number, NULL, 0) != 0)
		return pid_refuse(ret, "process %d cannot be signalled: %s", (int)pid, strerror(errno));
	return 0;
}

/* command.c - room agent/survey: runs one program to its end: argv, no shell, closed input, bounded output and time.
 * Never: a program or an argument that was not written here or checked. */
#include "agent/survey/command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/base/text.h"
#include "shared/conf/target_conf.h"
#include "shared/sys/clock.h"
#include "shared/sys/file.h"

/* Nothing of the caller's environment reaches a program that runs as root. */
static char *const environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "HOME=/root", NULL};

static int start(const char *const *argv, pid_t *ret_pid, int *ret_out)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t          attributes;
	sigset_t                   none;
	sigset_t                   all;
	int                        ends[2];
	if (pipe2(ends, O_CLOEXEC) != 0)
		return errno;
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	int error = posix_spawn(ret_pid, argv[0], &actions, &attributes, (char *const *)(uintptr_t)argv, environment);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	close(ends[1]);
	if (error != 0)
		close(ends[0]);
	*ret_out = ends[0];
	return error;
}

/* True: nothing more will come. */
static bool output_take(int fd, struct buf *out)
{
	uint8_t bytes[4096];
	ssize_t n = read(fd, bytes, sizeof(bytes));
	if (n > 0 && out != NULL) {
		size_t room = out->max - out->n;
		buf_add(out, bytes, (size_t)n < room ? (size_t)n : room);
	}
	return n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN);
}

/* Until the program has ended; a daemon that it leaves behind may keep the pipe open and is not waited for. */
static bool wait_end(pid_t pid, int fd, int64_t until, struct buf *out, int *ret_status)
{
	_cleanup_fd_ int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0)
		return false;
	for (bool closed = false;;) {
		struct pollfd p[2] = {{.fd = pidfd, .events = POLLIN}, {.fd = closed ? -1 : fd, .events = POLLIN}};
		int64_t       left = until - clock_monotonic();
		if (left <= 0)
			return false;
		if (poll(p, 2, (int)(left < 1000 ? left : 1000)) < 0)
			continue;
		if (p[1].revents != 0)
			closed = output_take(fd, out);
		else if (p[0].revents != 0)
			return waitpid(pid, ret_status, 0) == pid;
	}
}

int command_run(const char *const *argv, int64_t timeout_ms, struct buf *out, int *ret_status, struct refusal *why)
{
	pid_t            pid = 0;
	int              status = 0;
	_cleanup_fd_ int fd = -1;
	int              error = start(argv, &pid, &fd);
	if (error != 0) {
		fd = -1; /* closed already */
		return refuse(why, E_SYS_IO, argv[0], "it cannot be started: %s", strerror(error));
	}
	if (!wait_end(pid, fd, clock_monotonic() + timeout_ms, out, &status)) {
		kill(pid, SIGKILL);
		(void)waitpid(pid, &status, 0);
		return refuse(why, E_SYS_TIMEOUT, argv[0], "it did not end within %lld ms and was killed",
			      (long long)timeout_ms);
	}
	*ret_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	return 0;
}

int command_line_run(const char *line, int64_t timeout_ms, struct buf *out, int *ret_status, struct refusal *why)
{
	char  store[TARGET_COMMAND_SIZE];
	char *argv[COMMAND_ARGS_MAX];
	if (target_argv(line, store, sizeof(store), argv, COMMAND_ARGS_MAX) != 0)
		return refuse(why, E_SURVEY_LIMIT, line, "the command is too long");
	return command_run((const char *const *)argv, timeout_ms, out, ret_status, why);
}

static bool speaks_of_error(struct span line)
{
	static const char *const words[] = {"[emerg]", "ALERT", "rror", "annot", "ailed"};
	for (size_t i = 0; line.n > 0 && i < N_ELEMENTS(words); i++)
		if (memmem(line.p, line.n, words[i], strlen(words[i])) != NULL)
			return true;
	return false;
}

void command_why(const struct buf *out, char *ret, size_t size)
{
	struct span last = {NULL, 0};
	for (size_t at = 0; at < out->n;) {
		const uint8_t *end = memchr(out->p + at, '\n', out->n - at);
		struct span    line = {out->p + at, end != NULL ? (size_t)(end - out->p) - at : out->n - at};
		at += line.n + 1;
		if (line.n > 0)
			last = line;
		if (speaks_of_error(line))
			break;
	}
	size_t n = last.n < size - 1 ? last.n : size - 1;
	if (n > 0)
		memcpy(ret, last.p, n);
	ret[n] = '\0';
	text_hide_controls(ret);
}

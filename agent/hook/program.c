/* program.c - room agent/hook: runs one program of a target file and waits for it, not for its children.
 * Never: a shell, text from a request. */
#include "agent/hook/program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/base/text.h"
#include "shared/conf/target_conf.h"
#include "shared/sys/clock.h"
#include "shared/sys/file.h"

enum { LINE_MAX_BYTES = CAUSE_SIZE, READS_MAX = 64 /* in a row: who writes without end does not keep us from the clock */ };

struct program {
	pid_t  pid;
	int    out; /* read end of stdout and stderr */
	int    pidfd;
	char   line[LINE_MAX_BYTES]; /* the line being read */
	size_t n;
	char   last[LINE_MAX_BYTES]; /* the last line that was not empty */
	char   cause[LINE_MAX_BYTES]; /* the first line that names a mistake: what follows is often only the sum */
};

static _Noreturn void program_child(char **argv, int out)
{
	static char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	static char locale[] = "LC_ALL=C.UTF-8";
	char *const environment[] = {path, locale, NULL};
	sigset_t none;
	sigemptyset(&none);
	int null = open("/dev/null", O_RDONLY);
	if (setsid() < 0 || null < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
		_exit(126);
	if (close_range(3, ~0U, 0) != 0 || chdir("/") != 0)
		_exit(126);
	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
	umask(022);
	execve(argv[0], argv, environment);
	_exit(127);
}

static int program_start(char **argv, struct program *p)
{
	int pipes[2];
	if (pipe2(pipes, O_CLOEXEC) != 0)
		return E_SYS_IO;
	p->pid = fork();
	if (p->pid == 0)
		program_child(argv, pipes[1]);
	fd_close(pipes[1]);
	p->out = pipes[0];
	if (p->pid < 0)
		return E_SYS_IO;
	if (fcntl(p->out, F_SETFL, O_NONBLOCK) != 0)
		return E_SYS_IO;
	p->pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
	return p->pidfd >= 0 ? 0 : E_SYS_IO;
}

/* In the words of nginx, HAProxy, Apache, PostgreSQL and shells. */
static bool names_mistake(const char *line)
{
	static const char *const words[] = {"emerg", "alert", "crit", "fatal", "error", "syntax", "invalid", "cannot", "not found", "denied"};
	for (size_t i = 0; i < N_ELEMENTS(words); i++)
		if (strcasestr(line, words[i]) != NULL)
			return true;
	return false;
}

static void line_end(struct program *p)
{
	p->line[p->n] = '\0';
	if (p->n > 0)
		memcpy(p->last, p->line, p->n + 1);
	if (p->cause[0] == '\0' && names_mistake(p->line))
		memcpy(p->cause, p->line, p->n + 1);
	p->n = 0;
}

/* What is there now; keeps only the two lines that tell most, printable ASCII. False at the end of the pipe. */
static bool output_read(struct program *p)
{
	char    bytes[4096];
	ssize_t n = 1;
	for (int turn = 0; turn < READS_MAX && ((n = read(p->out, bytes, sizeof(bytes))) > 0 || (n < 0 && errno == EINTR)); turn++) {
		for (ssize_t i = 0; i < n; i++) {
			char c = bytes[i];
			if (c == '\n')
				line_end(p);
			else if (p->n < sizeof(p->line) - 1)
				p->line[p->n++] = c >= ' ' && c < 0x7f ? c : '?';
		}
	}
	return n != 0;
}

/* True when the program itself has ended before `until`. A child that keeps the pipe open does not count. */
static bool program_wait(struct program *p, int64_t until)
{
	bool open = true;
	for (;;) {
		int64_t left = until - clock_monotonic();
		if (left <= 0)
			return false;
		struct pollfd fds[2] = {{.fd = p->pidfd, .events = POLLIN}, {.fd = open ? p->out : -1, .events = POLLIN}};
		int           r = poll(fds, 2, left > 1000 ? 1000 : (int)left);
		if (r < 0 && errno != EINTR)
			return false;
		if (r > 0 && fds[1].revents != 0)
			open = output_read(p);
		if (r > 0 && fds[0].revents != 0) {
			(void)output_read(p);
			return true;
		}
	}
}

static int program_end(struct program *p, int64_t timeout_ms, struct hk_reply *ret)
{
	int  code = 0;
	int  status = 0;
	bool ended = program_wait(p, clock_monotonic() + timeout_ms);
	if (!ended) {
		code = E_HOOK_TIMEOUT;
		kill(-p->pid, SIGTERM);
		(void)program_wait(p, clock_monotonic() + PROGRAM_KILL_MS);
		kill(-p->pid, SIGKILL); /* also for what the program left in its group */
	}
	while (waitpid(p->pid, &status, 0) < 0 && errno == EINTR)
		;
	line_end(p);
	ret->status = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
	if (code == 0 && ret->status != 0)
		code = E_HOOK_FAILED;
	text_cut(ret->output, sizeof(ret->output), code != 0 && p->cause[0] != '\0' ? p->cause : p->last);
	return code;
}

int program_run(const char *command, int64_t timeout_ms, struct hk_reply *ret)
{
	char           store[TARGET_COMMAND_SIZE];
	char          *argv[PROGRAM_WORDS_MAX];
	struct program p = {.pid = -1, .out = -1, .pidfd = -1};
	int            r = target_argv(command, store, sizeof(store), argv, N_ELEMENTS(argv));
	if (r != 0)
		return r;
	if (argv[0] == NULL || argv[0][0] != '/')
		return E_CONF_VALUE;

	r = program_start(argv, &p);
	if (r == 0) {
		r = program_end(&p, timeout_ms, ret);
	} else if (p.pid > 0) {
		kill(p.pid, SIGKILL);
		waitpid(p.pid, NULL, 0);
	}
	fd_close(p.out);
	fd_close(p.pidfd);
	return r;
}

/* reload_signal.c - room agent/hook: signals the process that a pid file names, through a pidfd.
 * Never: a signal that is not in the table; another process than pidfile.c allows. */
#include <limits.h>
#include <signal.h>
#include <stdio.h>

#include "agent/hook/pidfile.h"
#include "agent/hook/reload.h"
#include "shared/base/text.h"
#include "shared/sys/file.h"

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

int reload_signal(const struct reload_job *job, struct hk_reply *ret)
{
	char             program[PATH_MAX];
	pid_t            pid = 0;
	_cleanup_fd_ int pidfd = -1;
	int              number = signal_number(job->target->signal);
	if (number == 0) {
		snprintf(ret->output, sizeof(ret->output), "signal `%.16s` is not known", job->target->signal);
		return E_HOOK_PID;
	}
	/* with `command` in the target file, its first word names the program that may be signalled */
	int r = command_program(job->target->command, program, sizeof(program), ret);
	if (r == 0)
		r = pidfile_open(job->target->pidfile, program, &pid, &pidfd, ret);
	return r == 0 ? pidfd_signal(pidfd, pid, number, ret) : r;
}

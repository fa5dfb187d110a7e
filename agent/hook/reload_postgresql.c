/* reload_postgresql.c - room agent/hook: makes PostgreSQL read its TLS files again: SIGHUP to the postmaster, or a reload of
 * its unit. PostgreSQL says nothing about a pair that it cannot use but in its own log: 0 means "asked", the proof is a
 * handshake. Never: a connection to the database, another process than the postmaster. */
#include <limits.h>
#include <signal.h>

#include "agent/hook/pidfile.h"
#include "agent/hook/reload.h"
#include "shared/base/text.h"
#include "shared/sys/file.h"

int reload_postgresql(const struct reload_job *job, struct hk_reply *ret)
{
	char             program[PATH_MAX];
	pid_t            pid = 0;
	_cleanup_fd_ int pidfd = -1;
	if (job->target->unit[0] != '\0')
		return reload_systemd(job, ret);
	int r = command_program(job->target->command, program, sizeof(program), ret);
	if (r != 0)
		return r;
	/* the pid file lies in a folder of the database's user: what it names must at least be a PostgreSQL */
	if (program[0] == '\0')
		text_cut(program, sizeof(program), "postgres");
	r = pidfile_open(job->target->pidfile, program, &pid, &pidfd, ret);
	return r == 0 ? pidfd_signal(pidfd, pid, SIGHUP, ret) : r;
}

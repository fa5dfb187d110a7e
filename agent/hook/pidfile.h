/* pidfile.h - room agent/hook: from a pid file to one pinned process of the service, and signals to it.
 * Never: a process that is younger than its pid file (a recycled pid), pid 1, or one that does not belong to whoever wrote the
 * file. */
#ifndef VCC_PIDFILE_H
#define VCC_PIDFILE_H

#include <sys/types.h>

#include "shared/base/err.h"
#include "shared/model/messages.h"

/* The descriptor pins the process of the first line of `path`: all checks and later signals are about the same one. `program`:
 * the only program that it may run; "" = any; a name without `/` is compared with the last part of the path. A file that
 * belongs to a service user can name processes of that user only. E_HOOK_PID; says why in ret->output. */
_must_check_ int pidfile_open(const char *path, const char *program, pid_t *ret_pid, int *ret_pidfd, struct hk_reply *ret);
struct process {
	pid_t   parent;
	int64_t started_ms; /* since the boot; a hundredth of a second exact */
};
/* From /proc/PID/stat. E_HOOK_PID. */
_must_check_ int process_read(pid_t pid, struct process *ret);
_must_check_ int pidfd_signal(int pidfd, pid_t pid, int number, struct hk_reply *ret);
/* First word of [reload] command, or "". */
_must_check_ int command_program(const char *command, char *ret, size_t size, struct hk_reply *reply);

#endif

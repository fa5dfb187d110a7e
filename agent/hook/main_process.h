/* main_process.h - room agent/hook: the process that started all others of a service, by what the target file says of it.
 * Never: a guess; without unit, pid file or admin socket there is none. */
#ifndef VCC_MAIN_PROCESS_H
#define VCC_MAIN_PROCESS_H

#include "agent/hook/reload.h"

struct main_process {
	pid_t pid;
	pid_t current; /* the child that is not old whatever its age (HAProxy takes certificates in place); 0 = none */
};

/* E_HOOK_PID, E_HOOK_UNIT, E_HOOK_SOCKET, E_HOOK_ANSWER, E_HOOK_DRAIN. */
_must_check_ int main_process_find(const struct reload_job *job, struct main_process *ret, struct hk_reply *reply);

#endif

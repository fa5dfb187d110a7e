/* drain.h - room agent/hook: processes of a service from before its last reload that still hold connections: counted, or asked
 * to end. Never: the main process itself, a process that is not its descendant, one without a connection to a listener of the
 * target. */
#ifndef VCC_HOOK_DRAIN_H
#define VCC_HOOK_DRAIN_H

#include "agent/hook/reload.h"

/* `reloaded_ms`: since the boot. Fills ret->old_workers and ret->oldest_ms. With `end` each of them gets SIGTERM through a
 * pidfd, but only where a newer process of the service (PostgreSQL excepted: its processes are connections) shows that the
 * reload had an effect. E_HOOK_DRAIN, E_HOOK_PID, E_HOOK_UNIT, E_HOOK_SOCKET, E_NOMEM. */
_must_check_ int drain_workers(const struct reload_job *job, int64_t reloaded_ms, bool end, struct hk_reply *ret);

#endif

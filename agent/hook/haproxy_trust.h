/* haproxy_trust.h - room agent/hook: does HAProxy judge its clients and servers by the authorities and lists that lie in
 * current/? Where it does not, it loads its configuration anew: a new worker takes over the listeners. Never: `set ssl
 * ca-file`. In 2.6 the second exchange of authorities ends the process when a certificate was exchanged between them, and
 * sessions of clients that are no longer trusted go on. */
#ifndef VCC_HAPROXY_TRUST_H
#define VCC_HAPROXY_TRUST_H

#include "agent/hook/haproxy_cli.h"
#include "agent/hook/reload.h"

/* Looks which ca-file and crl-file it has loaded of this target. Other authorities, and any lists, need a new worker: by
 * [reload] unit, or by SIGUSR2 to the master process, and waited for until another process serves the admin socket.
 * E_HOOK_FILES, E_HOOK_UNIT, E_HOOK_PID, E_HOOK_TIMEOUT and those of haproxy_ask(). */
_must_check_ int haproxy_trust_follow(const struct reload_job *job, struct haproxy_cli *cli, struct hk_reply *ret,
				      bool *ret_reloaded);

#endif

/* reload.h - room agent/hook: the ways to make a service read its files again, one file each.
 * 0 is a hint, never a proof: the keeper looks at handshakes. Never: anything that is not in the target file. */
#ifndef VCC_RELOAD_H
#define VCC_RELOAD_H

#include "shared/conf/target_conf.h"
#include "shared/model/messages.h"

/* Each fills status and output of `ret` and returns 0 or a VCC-22xx code. */
_must_check_ int reload_systemd(const struct target_conf *target, struct hk_reply *ret); /* D-Bus ReloadUnit, waits for the job */
_must_check_ int reload_signal(const struct target_conf *target, struct hk_reply *ret);  /* pidfile, through a pidfd */
_must_check_ int reload_exec(const struct target_conf *target, struct hk_reply *ret);    /* argv, no shell */

#endif

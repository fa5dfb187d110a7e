/* reload.h - room agent/hook: the ways to make a service read its files again, one file each.
 * 0 is a hint, never a proof: the keeper looks at handshakes. Never: anything that is not in the target file. */
#ifndef VCC_RELOAD_H
#define VCC_RELOAD_H

#include <sys/types.h>

#include "shared/conf/target_conf.h"
#include "shared/model/messages.h"

struct reload_job {
	const struct target_conf *target;
	const char               *dir;   /* the target's folder, which holds current/ */
	uid_t                     owner; /* whose that folder may be, beside root */
};

/* Each fills status and output of `ret` and returns 0 or a VCC-22xx code. */
_must_check_ int reload_systemd(const struct reload_job *job, struct hk_reply *ret);    /* D-Bus ReloadUnit, waits for the job */
_must_check_ int reload_signal(const struct reload_job *job, struct hk_reply *ret);     /* pidfile, through a pidfd */
_must_check_ int reload_exec(const struct reload_job *job, struct hk_reply *ret);       /* argv, no shell */
_must_check_ int reload_haproxy(const struct reload_job *job, struct hk_reply *ret);    /* runtime API, no reload */
_must_check_ int reload_postgresql(const struct reload_job *job, struct hk_reply *ret); /* unit, or SIGHUP through a pidfd */

#endif

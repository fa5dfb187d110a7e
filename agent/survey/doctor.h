/* doctor.h - room agent/survey: `vcc-agent doctor`: is everything on this host such that the next renewal will work? One table
 * of checks; each finding names object, cause, code and next step. Never: changing anything but what --fix may (see doctor()).
 */
#ifndef VCC_DOCTOR_H
#define VCC_DOCTOR_H

#include "shared/conf/agent_conf.h"

/* `fix` mends what cannot harm: it raises the kernel's limits of file watches (also for the next boot, in /etc/sysctl.d) and
 * takes rights of others off the agent's own state folders. Prints to stdout, at most 80 columns wide. The exit status: 0 =
 * nothing is wrong, or only warnings are left; 1 = it could not look; 7 = errors are left. */
_must_check_ int doctor(const struct agent_conf *conf, bool fix, bool json);

#endif

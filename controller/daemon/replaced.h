/* replaced.h - room controller/daemon: another host takes the name of one that is lost, broken or captured.
 * What the old host was given ends with the join of the new one; what it serves is revoked when the new host serves its own.
 * Never: deciding that it may; an invite says so. */
#ifndef VCC_REPLACED_H
#define VCC_REPLACED_H

#include "controller/daemon/commit.h"

/* Before the change: orders that the old host was carrying out end. */
_must_check_ int replaced_prepare(struct controller *ctl, const char *name, const struct caller *who);
/* Adds to the change of the join: the old host's identities are revoked, a banned key stays out, and its certificates wait for
 * the new host's keys. `old` is the row as it was. */
_must_check_ int replaced_take(struct controller *ctl, struct commit *c, const struct agent *old, const struct caller *who);

#endif

/* assign.h - room controller/daemon: a target file's proposal becomes a certificate, or not (LIFECYCLE 7).
 * Never: widening what the invite and the template allow. */
#ifndef VCC_ASSIGN_H
#define VCC_ASSIGN_H

#include "controller/daemon/fleet.h"

/* Answers message `id` when what follows from it is stored. */
void assign_target(struct controller *ctl, struct member *m, uint64_t id, const struct msg_target *msg);

#endif

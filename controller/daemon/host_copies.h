/* host_copies.h - room controller/daemon: two hosts with one identity: kept in the agent's row, told to people, ended by a person.
 * Never: deciding which of them is let in; that is controller/core/session.h. */
#ifndef VCC_HOST_COPIES_H
#define VCC_HOST_COPIES_H

#include "controller/daemon/controller.h"

/* What a hello told of the keeper's runs becomes part of the agent's row; a new finding is audited in the same change and logged. */
void host_copies_keep(struct controller *ctl, const struct agent *row, const struct agent_run *run);
/* The address of the one that was refused. */
void host_copies_note(struct controller *ctl, const struct agent *row, const char *address);
/* Two receipts of one host key have one number: somebody else used it. */
void host_copies_suspect(struct controller *ctl, const char *agent, uint64_t seq);

#endif

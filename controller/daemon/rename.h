/* rename.h - room controller/daemon: a host gets another name. Certificates keep their cert_id, names and keys; the host learns its new
 * name from the next welcome and asks for an identity of that name. The old name leads to it for ever. Never: another host's name. */
#ifndef VCC_RENAME_H
#define VCC_RENAME_H

#include "controller/daemon/controller.h"

/* result->agent is the row under its new name. The same name, or the same order again: nothing to do. E_NOT_FOUND, E_NAME, E_AGENT_EVICTED (only an active
 * agent), E_AGENT_NAME_TAKEN, E_AGENT_RENAMED (another renaming is under way). */
void controller_rename(struct controller *ctl, const char *name, const char *new_name, const struct caller *who, api_done_fn *done,
		       void *ctx);

/* A connection of the host under its newest identity: those of its former names end now, and not before. */
void renamed_identity_used(struct controller *ctl, const struct agent *row);

#endif

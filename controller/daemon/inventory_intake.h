/* inventory_intake.h - room controller/daemon: an agent's report of what its host serves, kept as the newest one.
 * Never: deciding anything from it; it is what somebody saw, not what we issued. */
#ifndef VCC_INVENTORY_INTAKE_H
#define VCC_INVENTORY_INTAKE_H

#include "controller/daemon/controller.h"
#include "shared/model/messages.h"

/* What of it counts as news: all but the time. On a worker. E_NOMEM. */
_must_check_ int inventory_digest(const struct body_inventory *body, struct hash *ret);

/* Stores it and acks message `id` when it is durable. True: fleet_ready() follows by itself. */
bool inventory_intake(struct controller *ctl, const char *agent, uint64_t id, const struct body_inventory *body,
		      struct hash digest);

#endif

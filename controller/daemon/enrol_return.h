/* enrol_return.h - room controller/daemon: an agent whose identity has ended comes back by its host key (DESIGN 1, 5).
 * Never: an invite, an approval; letting in who was evicted or banned. */
#ifndef VCC_ENROL_RETURN_H
#define VCC_ENROL_RETURN_H

#include "controller/daemon/controller.h"
#include "shared/model/messages.h"

/* Answered by GW_JOIN_REPLY: with a challenge, ... */
void enrol_return_ask(struct controller *ctl, uint64_t gateway, const struct gw_join *join);
/* ... and with an identity or a code. */
void enrol_return(struct controller *ctl, uint64_t gateway, const struct gw_join *join);

#endif

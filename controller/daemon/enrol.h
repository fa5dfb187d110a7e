/* enrol.h - room controller/daemon: POST /join: one invite, one winner (DESIGN 5); and the way back of who joined before.
 * Never: secrets of the invite; the store knows only its public key. */
#ifndef VCC_ENROL_H
#define VCC_ENROL_H

#include "controller/daemon/controller.h"
#include "shared/model/messages.h"

/* Answers by GW_JOIN_REPLY. */
void enrol_request(struct controller *ctl, uint64_t gateway, const struct gw_join *join);

#endif

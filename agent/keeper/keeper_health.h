/* keeper_health.h - room agent/keeper: how this host is, as the controller is told it: green only when nothing needs a person and every
 * target's last rehearsal went well. Never: deciding anything by it. */
#ifndef VCC_KEEPER_HEALTH_H
#define VCC_KEEPER_HEALTH_H

#include "agent/keeper/keeper.h"

/* As it is now. */
void keeper_health(const struct keeper *k, struct msg_health *ret);
/* Tells the controller. */
void keeper_health_send(struct keeper *k);
/* Every second: tells the controller when something changed. */
void keeper_health_beat(struct keeper *k);

#endif

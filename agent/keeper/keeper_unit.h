/* keeper_unit.h - room agent/keeper: what systemd is told of this process: that its loop turns, and how the host is, in words.
 * Never: deciding anything by it. */
#ifndef VCC_KEEPER_UNIT_H
#define VCC_KEEPER_UNIT_H

#include "agent/keeper/keeper.h"

/* The targets are read: READY, and the first words. */
void keeper_unit_ready(struct keeper *k);
/* Every second, from the loop. */
void keeper_unit_beat(struct keeper *k);

#endif

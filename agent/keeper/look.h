/* look.h - room agent/keeper: now and then one handshake with each listener of a place, by nobody's order: is the issued certificate the one
 * that is served? And when was it last shown that a renewal would work? Never: changing anything. */
#ifndef VCC_LOOK_H
#define VCC_LOOK_H

#include "agent/keeper/keeper.h"

/* Starts a look when one is due. */
void look_beat(struct place *p, int64_t now);
/* Ends one that runs; its answer is not waited for. */
void look_end(struct place *p);
/* The issued certificate was proved to be served: what was seen before is over. */
void look_proved(struct place *p);
/* The same by an order, whose receipt says nothing of what a look had told: that it is over is told. */
void look_proved_by_order(struct place *p);

/* The daily rehearsal: once a day at a time of the place's own; soon after a failure or the first issue. */
bool rehearsal_due(struct place *p, int64_t now);
/* Is one due for hours and has not gone well? Then nobody knows whether a renewal would work. */
bool rehearsal_late(const struct place *p, int64_t now);

#endif

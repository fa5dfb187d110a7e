/* rehearse.h - room agent/keeper: the parts of a rehearsal that a renewal does not have: a key that nobody will use, a certificate that
 * nobody will trust. Never: putting either where a service reads. */
#ifndef VCC_REHEARSE_H
#define VCC_REHEARSE_H

#include "agent/keeper/keeper.h"

/* Makes the key off the loop, then generation `number` from it; the answer (REV_WRITTEN) comes later. */
_must_check_ int rehearse_write(struct place *p, uint64_t number, struct refusal *why);
/* Forgets what is still being made. */
void rehearse_end(struct place *p);
/* It is over: remembers a good one, plans the next. */
void rehearse_ended(struct place *p);

#endif

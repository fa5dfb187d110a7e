/* keeper_status.h - room agent/keeper: the state of this host for people, as one JSON document.
 * Never: secrets. */
#ifndef VCC_KEEPER_STATUS_H
#define VCC_KEEPER_STATUS_H

#include "agent/keeper/keeper.h"

/* To be freed by the caller; NULL without memory. */
char *keeper_status(const struct keeper *k);

#endif

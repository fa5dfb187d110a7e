/* keeper_inventory.h - room agent/keeper: what `vcc-agent observe` found, signed and kept until the controller has it.
 * One report at a time: a newer one takes the place of the older. Lost with the process, because the next look is never far.
 * Never: looking itself. */
#ifndef VCC_KEEPER_INVENTORY_H
#define VCC_KEEPER_INVENTORY_H

#include "agent/keeper/keeper.h"

/* Takes an encoded body_inventory. `ret_sent`: it is on its way; else it waits for the welcome. E_WIRE_*, E_PKI_CRYPTO,
 * E_NOMEM. */
_must_check_ int keeper_inventory_take(struct keeper *k, struct span body, bool *ret_sent);
/* After each welcome. */
void keeper_inventory_send(struct keeper *k);
/* The controller has committed, or refused for good, message `id`. */
void keeper_inventory_acked(struct keeper *k, uint64_t id);

#endif

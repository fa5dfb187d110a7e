/* swap.h - room agent/keeper: performs the actions of deployments (DESIGN 6) and answers each with an event.
 * Never: deciding what comes next; that is agent/core/deploy.c. Any action may be repeated. */
#ifndef VCC_SWAP_H
#define VCC_SWAP_H

#include "agent/keeper/keeper.h"

/* Performs one action of `m`'s deployment. Never fails: a failure is an event. */
void swap_act(struct managed *m, const struct deploy_action *action);
/* Forgets what is in flight (probes, a hook's answer) and what receipts tell of an earlier deployment. */
void swap_reset(struct managed *m);
/* Limits of single steps, from the target file. */
struct deploy_policy swap_policy(const struct managed *m);
/* The target file was read anew: where the proof is still sought, it is sought at the listeners that are named now. */
void swap_target_changed(struct managed *m);
/* Reads again what `current` holds. */
void swap_look(struct managed *m);

#endif

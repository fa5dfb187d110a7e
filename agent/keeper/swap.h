/* swap.h - room agent/keeper: performs the actions of deployments (DESIGN 6) and answers each with an event.
 * Never: deciding what comes next; that is agent/core/deploy.c. Any action may be repeated. */
#ifndef VCC_SWAP_H
#define VCC_SWAP_H

#include "agent/keeper/keeper.h"

/* Performs one action of `m`'s deployment. Never fails: a failure is an event. */
void swap_act(struct managed *m, const struct deploy_action *action);
/* Forgets what is in flight (probes, a hook's answer) and what receipts tell of an earlier deployment. */
void swap_reset(struct managed *m);
/* Revocation lists may have come: checks that wait for the first ones go on, also when their time is over. */
void swap_lists_look(struct keeper *k);
/* May a swap of `m` begin at `now`? `ret_at`: when to ask again. */
bool swap_window(const struct managed *m, int64_t now, int64_t *ret_at);
/* Limits of single steps, from the target file. */
struct deploy_policy swap_policy(const struct managed *m);
/* What the probe streams of all places know now; unchanged where none runs. */
void swap_summary(const struct managed *m, struct probe_summary *ret);
/* Why the last handshake failed, in words; "" = none did. Valid until the next turn of the loop. */
const char *swap_trouble(const struct managed *m);
/* What each listener of the running streams served last; returns how many. 0 in `ret_first_new_at`: not yet. */
uint32_t swap_listeners(const struct managed *m, struct receipt_listener ret[MSG_LISTENERS_MAX], int64_t *ret_first_new_at);
/* Which generation of the deployment is in use in all places: its new one, its old one, or SWAP_MIXED. */
#define SWAP_MIXED UINT64_MAX
uint64_t swap_current(const struct managed *m);
/* A target file was read anew: where the proof is still sought, it is sought at the listeners that are named now. */
void swap_target_changed(struct managed *m);

#endif

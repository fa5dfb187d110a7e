/* drain_watch.h - room agent/keeper: old workers of a service that still hold connections after a swap: how many, how old, until when.
 * Asks vcc-hook, which finds them. Never: deciding about a deployment; a swap settles with old workers as without. */
#ifndef VCC_DRAIN_WATCH_H
#define VCC_DRAIN_WATCH_H

#include "shared/model/messages.h"

struct managed;
struct drain_watch;

/* A reload is about to be asked for: whatever started before this moment is old. */
void drain_reloading(struct managed *m);
/* The new certificate is served: from now on old workers are counted. */
void drain_verified(struct managed *m);
/* The swap is settled: they are watched until they are gone; after [reload] max_drain they are reported or asked to end. */
void drain_settled(struct managed *m);
/* Keeper start: goes on with the limit of the last swap, by the wall clock. */
void drain_resume(struct managed *m);
void drain_stop(struct managed *m);

/* What was last counted goes into a settled receipt: number, age, ORDER_DRAINING. */
void drain_fill(const struct managed *m, struct body_receipt *b);
/* False when nothing is known or nothing is left. */
bool drain_now(const struct managed *m, uint32_t *ret_old_workers, int64_t *ret_oldest_ms);

#endif

/* drain_watch.h - room agent/keeper: old workers of a service that still hold connections after a swap: how many, how old, until when.
 * Asks vcc-hook, which finds them. Never: deciding about a deployment; a swap settles with old workers as without. */
#ifndef VCC_DRAIN_WATCH_H
#define VCC_DRAIN_WATCH_H

#include "shared/model/messages.h"

struct place;
struct drain_watch;

/* A reload is about to be asked for: whatever started before this moment is old. */
void drain_reloading(struct place *p);
/* The new certificate is served: from now on old workers are counted. */
void drain_verified(struct place *p);
/* The swap is settled: they are watched until they are gone; after [reload] max_drain they are reported or asked to end. */
void drain_settled(struct place *p);
/* Keeper start: goes on with the limit of the last swap, by the wall clock. */
void drain_resume(struct place *p);
void drain_stop(struct place *p);

/* What was last counted is added to a settled receipt: number, age, ORDER_DRAINING. */
void drain_fill(const struct place *p, struct body_receipt *b);
/* False when nothing is known or nothing is left. */
bool drain_now(const struct place *p, uint32_t *ret_old_workers, int64_t *ret_oldest_ms);

#endif

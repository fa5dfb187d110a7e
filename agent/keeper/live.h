/* live.h - room agent/keeper: the issuance in use of a certificate, kept apart from the deployment that may be under way: its key stays in
 * the keeper's own folder, so that what somebody destroys can be made again. Never: a key that nothing needs any more. */
#ifndef VCC_LIVE_H
#define VCC_LIVE_H

#include "agent/keeper/keeper.h"

/* What a receipt of `next` with this outcome says is in use from now on: into the open journal batch. Nothing for other outcomes. */
_must_check_ int live_record(struct managed *m, const struct deploy *next, enum receipt_outcome outcome);
/* After the batch is durable. */
void live_adopt(struct managed *m, const struct deploy *next, enum receipt_outcome outcome);
struct record_live live_of(const struct managed *m);
_must_check_ int   live_load(struct managed *m, const struct record_live *record);
void               live_free(struct managed *m);

/* Removes the keys that no issuance in use and no deployment under way needs. */
void live_sweep(struct keeper *k);

#endif

/* stage.h - room agent/keeper: the next key of each certificate, made in quiet time and offered to the controller, so that a renewal can
 * begin with its certificate. Its file lies beside the other keys, under an id of its own and attempt 0.
 * Never: leaving the host; a key for signing code; two at a time being made. */
#ifndef VCC_STAGE_H
#define VCC_STAGE_H

#include "agent/keeper/keeper.h"
#include "agent/keeper/records.h"

enum { STAGE_ATTEMPT = 0 }; /* those of orders begin with 1 */

/* Every second: what is due is made, what is too old or has no use goes. */
void stage_beat(struct keeper *k);
/* After each welcome, and every minute: what is not acknowledged is offered (again). */
void stage_offer_all(struct keeper *k);
/* True: message `id` was an offer. */
bool stage_acked(struct keeper *k, uint64_t id, int code);
/* Another one is wanted, or none. Keys are made `keeper.stage_after` apart, whatever is asked. */
void stage_asked(struct managed *m, const struct msg_restage *r);

/* Is the key with this hash here, and may it still be used? */
bool stage_holds(const struct managed *m, struct hash spki_hash);
/* The deployment that is under way is for the staged key: it becomes that attempt's. Nothing to do where it is not. May be repeated. */
_must_check_ int stage_take(struct managed *m, struct refusal *why);

/* ---- journal, sweep ---- */
struct record_stage stage_record(const struct managed *m);
void                stage_load(struct managed *m, const struct record_stage *r);
bool                stage_needs(const struct managed *m, struct id id, uint32_t attempt);

/* For the status: "none", "making", "offered", "ready". */
const char *stage_state_name(enum stage_state s);

#endif

/* swap_check.h - room agent/keeper: step 1 of a swap with everything around it: the stored messages, the target as it is now,
 * the probe stream that begins before the flip. Never: writing. */
#ifndef VCC_SWAP_CHECK_H
#define VCC_SWAP_CHECK_H

#include "agent/keeper/keeper.h"

/* Checks the stored answer of `m`, fills had_old, old_valid, old_generation, old_fingerprint of `ret`, and starts the probe streams
 * of the places that are verified by TLS. */
_must_check_ int swap_check(struct managed *m, struct deploy_event *ret, struct refusal *why);

/* After a restart: the probe streams of a swap that is under way. None where verify is not tls. */
_must_check_ int swap_probe_again(struct managed *m, struct refusal *why);

/* A probe stream of `p` that looks for the issuance in use. `round`'s ctx is the place. */
_must_check_ int swap_probe_live(struct place *p, probe_round_fn *round, struct probe **ret, struct refusal *why);

/* Called by the probe stream after each handshake; ctx is the place. In swap.c. */
void swap_round(void *ctx);

#endif

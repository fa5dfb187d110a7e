/* rollover_root.h - room controller/daemon: a root gives way with everything below it: which root comes next, how it and its
 * authorities become ours, and who signs for whom then. For rollover_act.c, rollover_ask.c and rollovers.c. Never: making an
 * authority: a person did, on the signer's host; saying what hosts trust: bundles.h hands that on. */
#ifndef VCC_ROLLOVER_ROOT_H
#define VCC_ROLLOVER_ROOT_H

#include "controller/core/rollover_flow.h"
#include "controller/daemon/catalog.h"
#include "controller/daemon/commit.h"

/* The root that hosts were told to trust beside this one, with an authority of each role below it: ours already, or as the
 * signer told of them. E_ROLLOVER_ROOT: there is none, or it is not complete; the cause says what is missing. */
_must_check_ int rollover_root_next(struct controller *ctl, const struct issuer *old, char ret[ISSUER_ID_SIZE],
				    struct refusal *why);
/* SHA-256 of its certificate; none = it is not there. */
struct hash rollover_root_print(struct controller *ctl, const char *root_id);

/* Rows of a commit, and what follows in memory. */
_must_check_ int rollover_root_adopt(struct controller *ctl, struct commit *c, const struct rollover *next);
void             rollover_root_switch(struct controller *ctl, struct commit *c, const struct rollover *next);
void             rollover_root_switch_back(struct controller *ctl, struct commit *c, const struct rollover *next);
void             rollover_root_retire(struct controller *ctl, struct commit *c, const struct rollover *next);

/* A role would have nobody who signs: what should is revoked. */
bool rollover_root_leads_nowhere(struct controller *ctl, const struct rollover *next);

/* The i-th authority below this root; NULL beyond the last. */
struct catalog_issuer *rollover_root_below(struct controller *ctl, const char *root_id, size_t i);

#endif

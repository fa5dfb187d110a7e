/* rollover_act.h - room controller/daemon: the actions of a rollover as rows of a commit, and what follows in memory when it is
 * stored. For rollovers.c. Never: deciding; the signer; the rollover's own row. */
#ifndef VCC_ROLLOVER_ACT_H
#define VCC_ROLLOVER_ACT_H

#include "controller/core/rollover_flow.h"
#include "controller/daemon/commit.h"

/* `made`: the successor's certificate, where the step adopts one. E_PKI_*, E_INTERNAL: the commit is to be dropped. */
_must_check_ int rollover_act(struct controller *ctl, struct commit *c, const struct rollover_step *s, struct span made,
			      const struct caller *who);
/* What an authority does from this commit on. */
void             rollover_act_standing(struct commit *c, const char *issuer_id, enum issuer_standing standing,
				       const char *successor_id, bool retired);
/* Nobody wants its last campaign any more. Repeated: nothing. */
void             rollover_act_end_campaign(struct controller *ctl, const struct rollover *r);
void             rollover_act_begin(struct commit *c, const struct rollover *first, const struct caller *who);

#endif

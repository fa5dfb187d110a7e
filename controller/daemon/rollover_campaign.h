/* rollover_campaign.h - room controller/daemon: plans the campaigns that issue again what an authority signed that gives way.
 * For rollovers.c. Never: deciding when; the rollover's own row. */
#ifndef VCC_ROLLOVER_CAMPAIGN_H
#define VCC_ROLLOVER_CAMPAIGN_H

#include "controller/daemon/answer.h"
#include "shared/model/rollover.h"

/* On a worker; then rollovers_planned() says whether it is made. `answer` is taken over, and given when the campaign is stored,
 * or nothing was left; NULL = nobody waits. */
void rollover_campaign_begin(struct controller *ctl, const struct rollover *r, const struct caller *who, struct answer *answer);

#endif

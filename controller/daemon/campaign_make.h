/* campaign_make.h - room controller/daemon: a plan becomes a campaign with its members; and what the trail says of campaigns.
 * Never: sending anything (campaigns.h). */
#ifndef VCC_CAMPAIGN_MAKE_H
#define VCC_CAMPAIGN_MAKE_H

#include "controller/daemon/campaign_plan.h"
#include "controller/daemon/commit.h"

/* Stores the campaign of a plan with all its members, and begins it, or lets it wait for a second person. result->campaign. */
void campaigns_create(struct controller *ctl, const struct campaign_plan *plan, const struct caller *who, api_done_fn *done,
		      void *ctx);

/* Adds a record about the campaign as it is now. */
void campaign_record(struct commit *c, const struct campaign *g, enum audit_event event, const struct caller *who, int64_t now);

#endif

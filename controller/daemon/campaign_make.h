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
/* Adds a campaign without members to the commit that stores version `version` of `object` ("template:ID", "service:NAME"); its members
 * are those that the walk over the certificates finds (policy_walk.h). What an earlier version left unsent is meant by this one.
 * E_API_UNAVAILABLE: later; nothing was added then. */
_must_check_ int campaign_make_policy(struct controller *ctl, struct commit *c, const char *object, uint32_t version,
				      const struct caller *who, struct id *ret);

void campaign_record(struct commit *c, const struct campaign *g, enum audit_event event, const struct caller *who, int64_t now);

#endif

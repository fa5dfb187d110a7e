/* campaign_once.h - room controller/daemon: one plan becomes one campaign. The hash of a plan counts the campaign in that the
 * same plan became last, so it is never the hash of a second one; who applies it once more is told what became of it. Never:
 * deciding what a plan holds. */
#ifndef VCC_CAMPAIGN_ONCE_H
#define VCC_CAMPAIGN_ONCE_H

#include "controller/daemon/campaign_plan.h"
#include "controller/daemon/campaigns.h"

/* On a worker: from p->content_hash to p->hash and p->before. E_STORE_*. */
_must_check_ int campaign_once_hash(struct campaign_plan *p, struct store_view *view);
/* On a worker, first of all: E_CAMPAIGN_APPLIED when the plan that the request names became a campaign, whatever it would mean
 * now. */
_must_check_ int campaign_once_applied(struct campaign_plan *p, struct store_view *view);

/* On the loop, before the campaign is made: E_CAMPAIGN_APPLIED and `why` when this plan became one since it was made, or is on
 * its way to the store as one. Only where the request names a plan: who names none asks for what there is now. */
_must_check_ int campaign_once_check(struct controller *ctl, const struct campaign_plan *p, struct refusal *why);
/* It is on its way to the store; and it is there, or will never be. */
void campaign_once_begin(struct controller *ctl, const struct campaign *c);
void campaign_once_end(struct controller *ctl, struct id campaign_id);
void campaign_once_free(struct campaigns *all);

#endif

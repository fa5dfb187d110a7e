/* policy_walk.h - room controller/daemon: a change of policy goes through the certificates that it concerns, page by page and
 * over restarts: due times are reckoned anew, what waits is tried, and what would be issued differently joins a campaign. Never:
 * more than one page in one tick; deciding what a change means (controller/core/policy_change.h). */
#ifndef VCC_POLICY_WALK_H
#define VCC_POLICY_WALK_H

#include "controller/daemon/commit.h"

struct policy_walks;
_must_check_ int policy_walks_open(struct policy_walks **ret);
_must_check_ int policy_walks_load(struct controller *ctl); /* start: goes on where it was */
void             policy_walks_free(struct policy_walks *w);
void             policy_walks_tick(struct controller *ctl, int64_t now);

/* Adds the beginning of a walk to the commit that stores the change. `object`: "template:ID" or "service:NAME"; what is to be renewed
 * joins the campaign (campaign_make_policy()). */
void policy_walk_begin(struct controller *ctl, struct commit *c, const char *object, uint32_t version, struct id campaign_id,
		       const struct caller *who);

/* A changed template is on its way, and this certificate may only be made from it when a person agrees again. */
bool policy_walk_holds(struct controller *ctl, const struct certificate *cert, const struct template *t);

#endif

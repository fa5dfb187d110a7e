/* campaign_send.h - room controller/daemon: what a campaign does with one certificate when its turn comes: order, takeover,
 * revocation, ban. Never: deciding whose turn it is (controller/core/campaign_flow.h). */
#ifndef VCC_CAMPAIGN_SEND_H
#define VCC_CAMPAIGN_SEND_H

#include "controller/daemon/commit.h"
#include "shared/model/campaign.h"

/* Who a campaign acts as. */
void campaign_caller(const struct campaign *campaign, struct caller *ret);

/* Adds to the commit whatever the campaign wants of this member, and says in the member what became of it: its next state,
 * order, code. */
void campaign_send_member(struct controller *ctl, struct commit *c, const struct campaign *campaign, struct campaign_member *m);

/* A held member whose host came back with a new key, or whose certificate has ended: nothing is waited for any more. */
bool campaign_held_goes_on(struct controller *ctl, const struct campaign_member *m);

/* So long a host may be without connection before nobody waits for it: a restart of it, of its gateway, or of ours. */
#define CAMPAIGN_AWAY_MS (15 * MS_SECOND)

#endif

/* campaign_member.c - room controller/core: what the order that a member of a campaign waits for means for that member.
 * Never: the campaign's counters (campaign_flow.c), clocks, files, sockets, heap. */
#include "controller/core/campaign_member.h"

#include "shared/base/err.h"
#include "shared/base/times.h"

#define SOON_MS MS_MINUTE /* an order that is tried again within this time did not fail yet */

bool campaign_member_follows(const struct order *open)
{
	return open->phase == ORDER_SIGNING || open->phase == ORDER_ISSUED || open->phase == ORDER_DELIVERED ||
	       open->phase == ORDER_VERIFIED || open->phase == ORDER_SETTLED || open->phase == ORDER_ROLLING_BACK;
}

static bool has_failed(const struct order *o, int64_t now)
{
	return o->phase == ORDER_FAILED || o->phase == ORDER_PAUSED ||
	       (o->phase == ORDER_RETRY_WAIT && o->next_at - now > SOON_MS);
}

static enum member_state own_order(const struct campaign *c, const struct order *o, int64_t now)
{
	if ((o->flags & ORDER_PEER_REFUSED) != 0) /* whatever becomes of the way back */
		return MEMBER_FAILED;
	if (o->phase == ORDER_COMPLETED)
		return (o->flags & ORDER_ROLLBACK_ASKED) != 0 ? MEMBER_KEPT : MEMBER_DONE;
	if (o->phase == ORDER_ROLLING_BACK || o->phase == ORDER_ROLLED_BACK)
		return o->phase == ORDER_ROLLED_BACK ? MEMBER_ROLLED_BACK : MEMBER_GOING_BACK;
	if (o->phase == ORDER_CANCELLED && o->code == E_DRILL_AWAY)
		return MEMBER_FAILED; /* nobody ended it: its host was not reached */
	if (o->phase == ORDER_CANCELLED && c->state == CAMPAIGN_CANCELLED)
		return MEMBER_DROPPED;
	if (o->phase == ORDER_CANCELLED)
		return o->code == E_ORDER_NO_AGENT ? MEMBER_FAILED : MEMBER_SKIPPED; /* its host was removed: it was not renewed */
	return has_failed(o, now) ? MEMBER_FAILED : MEMBER_ORDERED;
}

enum member_state campaign_member_state(const struct campaign *c, const struct order *o, bool follows, int64_t now)
{
	if (follows && (c->kind == CAMPAIGN_POLICY || c->kind == CAMPAIGN_CA)) {
		enum member_state own = own_order(c, o, now);
		return own == MEMBER_ORDERED ? MEMBER_FOLLOWING : own;
	}
	if (follows && o->phase == ORDER_COMPLETED) /* what stayed because a rollback failed was made before the campaign */
		return c->fresh_keys || (o->flags & ORDER_ROLLBACK_ASKED) != 0 ? MEMBER_WAITING : MEMBER_DONE;
	if (follows)
		return has_failed(o, now) || o->phase == ORDER_CANCELLED || !campaign_member_follows(o) ? MEMBER_WAITING
												      : MEMBER_FOLLOWING;
	return own_order(c, o, now);
}

/* campaign_member.h - room controller/core: the state of one member of a campaign by its order.
 * Never: clocks, files, sockets, heap. */
#ifndef VCC_CAMPAIGN_MEMBER_H
#define VCC_CAMPAIGN_MEMBER_H

#include "shared/model/campaign.h"
#include "shared/model/order.h"

/* A member's state by the state of the order that it waits for. A failed attempt counts as failed, though it is tried again.
 * `follows`: the order was not made for it; WAITING = it needs one of its own. To a change of policy or of a CA any order is
 * as good as its own: its certificate is made by what is in force. */
enum member_state campaign_member_state(const struct campaign *c, const struct order *o, bool follows, int64_t now);

/* May an open order of a certificate stay, because an emergency finds it past the point where it can be replaced? Else it is
 * cancelled. */
bool campaign_member_follows(const struct order *open);

#endif

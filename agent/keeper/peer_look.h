/* peer_look.h - room agent/keeper: this host as a relying party: tells the controller what its services rely on, looks when asked, and
 * signs what was seen. The link makes the handshakes; where to stands in agent.conf alone.
 * Never: a look at what the host's owner has not named; two looks at once. */
#ifndef VCC_PEER_LOOK_H
#define VCC_PEER_LOOK_H

#include "agent/keeper/keeper.h"

_must_check_ int peer_look_open(struct keeper *k, struct refusal *why); /* sets k->peer_look */
void             peer_look_close(struct keeper *k);

void peer_look_welcomed(struct keeper *k); /* what this host relies on is told anew */
void peer_look_asked(struct keeper *k, const struct msg_peer_look *m);
void peer_look_saw(struct keeper *k, const struct lk_peer_saw *saw); /* by the link: one handshake */
void peer_look_lost(struct keeper *k); /* the controller or the link is away: who needs it asks again */

#endif

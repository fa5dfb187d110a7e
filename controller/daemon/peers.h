/* peers.h - room controller/daemon: relying parties: who they are, what they saw, and whether an order may end by that.
 * A host says in its own file what its services rely on and where they reach it; it counts where the controller knows that its
 * service is this one or depends on it. Never: an address in a message to a host. */
#ifndef VCC_PEERS_H
#define VCC_PEERS_H

#include "controller/daemon/controller.h"
#include "shared/model/messages.h"

struct peers;
_must_check_ int peers_open(struct peers **ret);
void             peers_free(struct peers *p);

/* Both: true when something is on its way to the store; fleet_ready() follows then. Else *ret_code says why it is refused, or
 * 0. */
bool peers_declared(struct controller *ctl, const char *agent, const struct body_relies *body, int *ret_code);
bool peers_saw(struct controller *ctl, const char *agent, const struct body_peer_saw *body, int *ret_code);

/* Does it count? Also on a worker. */
bool peers_count_one(struct store_view *view, const struct peer *p, const struct certificate *cert);
/* Each host that says it relies on the certificate, page by page: at most every host of the fleet. `fn` answers false when it has seen enough. */
typedef bool     peer_fn(void *ctx, const struct peer *p, bool counts);
_must_check_ int peers_each(struct store_view *view, const struct certificate *cert, peer_fn *fn, void *ctx);
/* Is there anybody who counts? True also when that cannot be read: then they are waited for. */
bool peers_any(struct store_view *view, const struct certificate *cert);

/* ACT_ASK_PEERS: who has not answered is asked, and the order hears when all have, or one has seen something else. Between two of these an
 * answer asks nobody, and a host that comes back is asked alone. */
void peers_look(struct controller *ctl, const void *renewal_id, size_t n);
/* Who has not answered, for people. */
void peers_missing(struct controller *ctl, const struct order *o, char ret[CAUSE_SIZE]);

/* A person asks: those that are there look now. E_NOT_FOUND, E_PEER_NONE. */
_must_check_ int peers_ask(struct controller *ctl, const char *cert_id, uint32_t *ret_asked, uint32_t *ret_away);

#endif

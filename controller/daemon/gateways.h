/* gateways.h - room controller/daemon: the local socket where gateways connect; their frames in, ours out.
 * A gateway is known by the number of its connection, which is never used again in this run. Never: knowing orders. */
#ifndef VCC_GATEWAYS_H
#define VCC_GATEWAYS_H

#include "controller/daemon/controller.h"
#include "shared/model/messages.h"

struct gateways;

/* `also` may connect beside root and our own user; -1 = nobody. */
_must_check_ int gateways_open(struct controller *ctl, uid_t also, struct gateways **ret, struct refusal *why);
void             gateways_close(struct gateways *g); /* before the loop runs dry */
void             gateways_free(struct gateways *g);

/* Encodes and queues one message; false when that gateway is gone or does not read. */
bool gateways_send(struct controller *ctl, uint64_t gateway, uint16_t type, uint64_t id, const void *payload);
/* An agent's frame or join request was dealt with: the gateway may send another. */
void     gateways_done(struct controller *ctl, uint64_t gateway);
void     gateways_tick(struct controller *ctl); /* gives credit back when the store is no longer behind */
uint32_t gateways_count(const struct controller *ctl);

/* Is the gateway still telling its roster (welcomes are paced then)? */
bool gateways_in_roster(const struct controller *ctl, uint64_t gateway);

/* Of those that said hello. */
typedef void gateway_fn(struct controller *ctl, uint64_t gateway);
void         gateways_each(struct controller *ctl, gateway_fn *fn);

#endif

/* order_waits.h - room controller/daemon: what an order that is under way waits for, in words for people who look at it.
 * On the loop, which knows who is connected. Never: deciding anything by it. */
#ifndef VCC_ORDER_WAITS_H
#define VCC_ORDER_WAITS_H

#include <jansson.h>

#include "controller/daemon/controller.h"
#include "shared/model/order.h"

/* Adds waits_for (and next_at, where it waits for a window) to what has a renewal_id of an order that is under way. */
void order_waits_show(struct controller *ctl, json_t *o, int64_t now);
void order_waits_show_all(struct controller *ctl, json_t *list, int64_t now);

#endif

/* order_window.h - room controller/daemon: does an order wait for a maintenance window of its service? For people who look at it.
 * On the loop. Never: judging for the host, which also knows the windows of its target file. */
#ifndef VCC_ORDER_WINDOW_H
#define VCC_ORDER_WINDOW_H

#include <jansson.h>

#include "controller/daemon/controller.h"
#include "shared/model/order.h"

/* The certificate is on the host, and no window of the service is open: *ret_at is when one opens. */
bool order_window_waits(struct controller *ctl, const struct order *o, int64_t now, int64_t *ret_at);

/* What an order, or a member with its order, shows of that: waits_for, and next_at where it waits. `o` has a renewal_id, or null. */
void order_window_show(struct controller *ctl, json_t *o, int64_t now);
void order_window_show_all(struct controller *ctl, json_t *list, int64_t now);

#endif

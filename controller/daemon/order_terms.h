/* order_terms.h - room controller/daemon: what templates, settings and stored rows say about an order now, as its core wants to
 * know it. Never: deciding what follows from it; changing anything. */
#ifndef VCC_ORDER_TERMS_H
#define VCC_ORDER_TERMS_H

#include "controller/core/order_flow.h"
#include "controller/daemon/controller.h"

/* `new_cert`: of a certificate that is not stored yet; else NULL. */
void order_terms(struct controller *ctl, const struct order *o, const struct order_event *event,
		 const struct certificate *new_cert, struct order_policy *ret);

#endif

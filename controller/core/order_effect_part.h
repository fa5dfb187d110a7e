/* order_effect_part.h - room controller/core: what the effects of order_effect.c and order_effect_peers.c are put together from.
 * Never: included by anybody else. */
#ifndef VCC_ORDER_EFFECT_PART_H
#define VCC_ORDER_EFFECT_PART_H

#include "controller/core/order_effect.h"

/* What a receipt may say about a completed order; the other flags are the controller's own. */
#define RECEIPT_FLAGS (ORDER_UNVERIFIED | ORDER_DRAINING | ORDER_SERVICE_WAS_DOWN | ORDER_HOOK_FAILED)

struct order_action *effect_add(struct order_step *s, enum order_action_kind kind);
void effect_add_audit(struct order_step *s, enum order_audit audit, int code);
void effect_note_failure(const struct order_context *c, struct order_step *s);
/* The host has proved what this order brought. */
void effect_prove(const struct order_context *c, struct order_step *s);
/* What it replaced ends after the grace. */
void effect_supersede(const struct order_context *c, struct order_step *s);
void effect_complete(const struct order_context *c, struct order_step *s);
void effect_end(const struct order_context *c, struct order_step *s);

#endif

/* order_actions.h - room controller/daemon: turns the actions of one order step into verbs of a change and into messages.
 * Never: choosing actions. */
#ifndef VCC_ORDER_ACTIONS_H
#define VCC_ORDER_ACTIONS_H

#include "controller/daemon/orders.h"

/* The newest outbox message of an order, to know what an agent's ack is about. */
struct sent_message {
	uint64_t  id; /* 0 = none */
	uint16_t  type;
	struct id renewal_id;
	char      agent[AGENT_NAME_SIZE];
};

/* Adds everything that `step` asks for to the commit: order row, actions, certificate and issuances. `was` is the order before.
 * `cert` NULL: the certificate is read and put here; else the caller puts it afterwards. `ret_message`: what the order's outbox
 * holds afterwards (id 0 = nothing), untouched when no action concerns it. On failure the commit must be dropped. */
_must_check_ int order_actions_apply(struct controller *ctl, struct commit *commit, struct certificate *cert,
				     const struct order *was, const struct order_step *step, const struct order_input *in,
				     struct sent_message *ret_message);

struct ticket order_actions_ticket(const struct order *o);
/* Sends the signing request of an order's intent, once more. Value of commit_then(): struct ticket. */
void order_actions_sign(struct controller *ctl, const void *value, size_t n);

#endif

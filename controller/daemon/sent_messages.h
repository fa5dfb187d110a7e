/* sent_messages.h - room controller/daemon: which outbox message an agent's ack is about; sending an outbox again.
 * One newest message for each order. Never: deciding what is sent. */
#ifndef VCC_SENT_MESSAGES_H
#define VCC_SENT_MESSAGES_H

#include "controller/daemon/order_actions.h"

struct sent_messages;
_must_check_ int sent_messages_open(struct sent_messages **ret);
void             sent_messages_free(struct sent_messages *all);

/* Replaces what was known of that order; id 0 = its outbox is empty now. */
void sent_message_set(struct sent_messages *all, const struct sent_message *sent);
bool sent_message_find(const struct sent_messages *all, uint64_t id, struct sent_message *ret);

void sent_messages_renamed(struct sent_messages *all, const char *from, const char *to);
/* After hello: everything that is in the agent's outbox, in order. */
void sent_messages_resend(struct controller *ctl, const char *agent);

#endif

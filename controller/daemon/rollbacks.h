/* rollbacks.h - room controller/daemon: back to the issuance before the one in use, while that can still be used.
 * Never: choosing which (campaigns.h, api_lifecycle.c); the steps of it (controller/core/order_flow.h). */
#ifndef VCC_ROLLBACKS_H
#define VCC_ROLLBACKS_H

#include "controller/daemon/commit.h"

/* Adds to the commit that the host is to go back: E_ROLLBACK_*, E_ORDER_*, E_AGENT_* when it cannot be. */
_must_check_ int rollback_begin(struct controller *ctl, struct commit *c, struct id renewal_id, const struct caller *who);

/* The issuance in use of one certificate gives way to the one before it. result->order. */
void controller_rollback(struct controller *ctl, const char *cert_id, const struct caller *who, api_done_fn *done, void *ctx);

/* An issuance is due to be superseded: until when does the campaign that replaced it keep it? `now` = it does not. A campaign's
 * grace begins when nothing of it is in flight. */
int64_t rollback_kept_until(struct controller *ctl, const struct issuance *old, int64_t now);

#endif

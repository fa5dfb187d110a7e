/* order_request.h - room controller/daemon: a host's checked certificate request becomes the intent of its order's attempt.
 * Never: a key of another type than the template's; names from the request. */
#ifndef VCC_ORDER_REQUEST_H
#define VCC_ORDER_REQUEST_H

#include "controller/daemon/controller.h"
#include "shared/model/messages.h"

/* `spki` and `key_type` come from the checked request. Acked when the intent is stored. E_SYS_AGAIN: no serial numbers yet.
 * E_NOT_FOUND: no such order of this agent. E_POLICY_CSR, E_KEY_*. */
_must_check_ int order_request_take(struct controller *ctl, const char *agent, uint64_t id, const struct body_csr *body,
				    struct span spki, enum key_type key_type);

#endif

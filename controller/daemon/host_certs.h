/* host_certs.h - room controller/daemon: what a host was given, walked over when the host goes: its certificates, and the orders that it was
 * carrying out. Never: the host's own row. */
#ifndef VCC_HOST_CERTS_H
#define VCC_HOST_CERTS_H

#include "controller/daemon/controller.h"

/* The newest row of each certificate of the host that is not over. */
typedef int      host_certs_fn(void *ctx, struct certificate *cert);
_must_check_ int host_certs_each(struct controller *ctl, const char *agent, host_certs_fn *each, void *ctx);

/* Nobody will tell how it settled: an open order of it that is proved is completed, and what it replaced goes after the grace. A change of its
 * own; `cert` is read again. */
_must_check_ int host_certs_left(struct controller *ctl, struct certificate *cert, const char *cause, const struct caller *who);

/* The host will do nothing more for its orders, also for those of certificates that are over: what is proved is completed, the others count as
 * failed there and are cancelled by `code` and `cause`. Changes of their own: to be repeated after a failure. */
_must_check_ int host_certs_end_orders(struct controller *ctl, const char *agent, int code, const char *cause, const struct caller *who);

#endif

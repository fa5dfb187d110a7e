/* inbox.h - room agent/keeper: what arrives from the controller and from the link, checked and turned into events.
 * Never: acting on a message itself, except bundle and identity, which are no deployments. */
#ifndef VCC_INBOX_H
#define VCC_INBOX_H

#include "agent/keeper/keeper.h"

/* One frame of the agent protocol, as the link got it. E_NOMEM: it was not read, and the connection has to end so that it comes again; a frame that says
 * nothing we know is told in the log and is no error. */
_must_check_ int inbox_frame(struct keeper *k, struct span bytes);
/* Every minute: receipts that are still unacknowledged go out again, health every tenth time. */
void inbox_tick(struct keeper *k);
/* The link wants a new identity for this request. */
void inbox_link_csr(struct keeper *k, struct span csr);

#endif

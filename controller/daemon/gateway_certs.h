/* gateway_certs.h - room controller/daemon: a gateway's request for its own TLS certificate: checked, issued, answered.
 * Never: handing out before it is stored. */
#ifndef VCC_GATEWAY_CERTS_H
#define VCC_GATEWAY_CERTS_H

#include "controller/daemon/controller.h"

struct gateway_certs;
_must_check_ int gateway_certs_open(struct gateway_certs **ret);
void             gateway_certs_free(struct gateway_certs *g); /* after identities_free(): that answers who still waits */

/* Answers GW_IDENTITY_REPLY with envelope id `id`. What comes before the last answer is a repetition and is not answered. More
 * than a burst: E_API_BUSY, or nothing. */
void gateway_certs_ask(struct controller *ctl, uint64_t gateway, const char *name, uint64_t id, struct span csr);

#endif

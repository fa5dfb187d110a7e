/* gateway_trust.h - room controller/daemon: gateways are told whose certificates make a client an agent, and which chain they
 * should show: while an agents' authority or a root gives way there are two of each. Never: a gateway's own certificate. */
#ifndef VCC_GATEWAY_TRUST_H
#define VCC_GATEWAY_TRUST_H

#include "controller/daemon/controller.h"

void gateway_trust_tell(struct controller *ctl, uint64_t gateway); /* one, after its hello */
void gateway_trust_changed(struct controller *ctl);                /* all */

#endif

/* enrol_reply.h - room controller/daemon: what the join port answers: an identity with everything that goes with it, or a code.
 * Never: deciding. */
#ifndef VCC_ENROL_REPLY_H
#define VCC_ENROL_REPLY_H

#include "controller/daemon/controller.h"
#include "shared/model/messages.h"

void enrol_reply_refused(struct controller *ctl, uint64_t gateway, uint64_t request, int code);
/* The agent's row, this certificate, the address and today's trust bundle. Nothing is sent after a failure. */
_must_check_ int enrol_reply_identity(struct controller *ctl, uint64_t gateway, uint64_t request, const char *agent,
				      const struct issuance *issued);
void enrol_reply_challenge(struct controller *ctl, uint64_t gateway, uint64_t request, const struct msg_challenge *m);

#endif

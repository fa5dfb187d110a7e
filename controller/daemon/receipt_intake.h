/* receipt_intake.h - room controller/daemon: an agent's signed account of a deployment becomes evidence and an event of its
 * order. Taken strictly in sequence; acked when durable. Never: unchecked bytes. */
#ifndef VCC_RECEIPT_INTAKE_H
#define VCC_RECEIPT_INTAKE_H

#include "controller/daemon/controller.h"
#include "shared/model/messages.h"

/* `receipt` was parsed from `body` after `signature` had been checked with the agent's host key. True: a change is on its way,
 * and fleet_ready() follows from here; receipts of one agent are stored one after the other, so that a higher one is never
 * durable without the lower. */
_must_check_ bool receipt_intake(struct controller *ctl, const char *agent, uint64_t id, const struct body_receipt *receipt,
				 struct span body, struct span signature);

#endif

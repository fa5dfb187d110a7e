/* uplink.h - room agent/keeper: the local socket: one link to the controller at a time, and people who ask for the status.
 * Never: sending anything to the controller before its welcome. */
#ifndef VCC_UPLINK_H
#define VCC_UPLINK_H

#include "agent/keeper/keeper.h"

_must_check_ int uplink_open(struct keeper *k, struct refusal *why); /* sets k->uplink */
void uplink_close(struct uplink *u);                                 /* NULL allowed */

/* Encodes and sends one agent message; returns its id, or 0 when nobody is connected or the queue is full (what must arrive is
 * sent again after the next welcome). */
uint64_t uplink_send(struct uplink *u, uint16_t type, const void *payload);
/* A body signed by the host key. */
_must_check_ int uplink_send_signed(struct uplink *u, uint16_t type, const char *label, const struct wire_message *table,
                                    const void *body);
void uplink_send_receipt(struct uplink *u, const struct receipt_kept *receipt);
void uplink_ack(struct uplink *u, uint64_t id, int code, const char *text);
/* Asks the link to get something from the public listener; its pieces come to crl_fetch_piece(). E_SYS_CLOSED, E_SYS_AGAIN. */
_must_check_ int uplink_fetch(struct uplink *u, const struct lk_fetch *want);
/* A new identity for the link. */
void uplink_identity(struct uplink *u, const struct lk_identity *identity);

#endif

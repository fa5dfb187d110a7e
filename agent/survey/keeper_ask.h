/* keeper_ask.h - room agent/survey: one question to this host's keeper over its local socket.
 * Never: the network. */
#ifndef VCC_KEEPER_ASK_H
#define VCC_KEEPER_ASK_H

#include "shared/base/err.h"
#include "shared/wire/wire.h"

/* Sends one message and gives the one answer, which must be of type `want`. `bytes` holds what spans of the frame point into.
 * No keeper there: E_NOT_FOUND or E_SYS_IO of the socket. */
_must_check_ int keeper_ask(const char *socket, uint16_t type, const void *payload, uint16_t want, struct buf *bytes,
			    struct wire_frame *ret, struct refusal *why);

#endif

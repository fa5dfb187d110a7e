/* gateway_session.h - room controller/gateway: the connections of agents from accept to end, and the table of those that stand.
 * Never: the websocket library (agents_ws.c), knowing what a frame means. */
#ifndef VCC_GATEWAY_SESSION_H
#define VCC_GATEWAY_SESSION_H

#include <uthash.h>

#include "controller/gateway/liveness.h"
#include "controller/gateway/outbox.h"
#include "controller/gateway/overhead.h"
#include "controller/gateway/tls_gateway.h"
#include "controller/gateway/wheel.h"
#include "shared/sys/tcp.h"

struct session {
	struct wheel_entry timer;
	struct liveness    live;
	struct tls_tap     tap;       /* what TLS reads, from the handshake's end on */
	struct overhead    overhead;
	struct gateway    *gateway;
	void              *wsi;       /* NULL before the library made it, and after it is gone */
	uint64_t           number;    /* from 1 within one run; 0 = does not stand */
	struct tls_peer    peer;      /* who, once it stands */
	char               address[TCP_ADDRESS_SIZE];
	struct buf         in;        /* message in parts; empty for a message that comes in one */
	unsigned           fragments; /* of that message */
	struct outbox      out;
	bool               welcomed;  /* the controller has greeted: full frame size */
	struct outbox      waiting;   /* its frames without credit, bounded as the outbox is */
	bool               held;      /* there are some: it stands in the gateway's ring */
	bool               ended;     /* reported down; only last words are written */
	bool               ping;      /* one is to be written */
	int                code;      /* why */
	struct session    *held_previous, *held_next;
	UT_hash_handle     hh;        /* by number, while it stands */
};

#endif

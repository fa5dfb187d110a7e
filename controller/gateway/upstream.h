/* upstream.h - room controller/gateway: the one local connection to the controller: frames out with credit, frames in decoded.
 * Connects again for ever. Never: remembering frames across connections. */
#ifndef VCC_UPSTREAM_H
#define VCC_UPSTREAM_H

#include <stdbool.h>

#include <uv.h>

#include "shared/base/err.h"
#include "shared/wire/wire.h"

struct upstream;

struct upstream_events {
	void (*connected)(void *ctx); /* say hello and the roster now */
	void (*lost)(void *ctx, int code);
	void (*frame)(void *ctx, const struct wire_frame *frame); /* spans live until return; credit is dealt with before */
	void (*ready)(void *ctx); /* upstream_may_send() may be true again */
};

/* `queue_max`: bytes that may wait for the controller; must hold a whole roster. */
_must_check_ int upstream_start(uv_loop_t *loop, const char *path, size_t queue_max, const struct upstream_events *events, void *ctx,
                                struct upstream **ret);
void upstream_stop(struct upstream *u);
bool upstream_connected(const struct upstream *u);

/* Frames and joins need credit: true when one more may be sent now. */
bool upstream_may_send(const struct upstream *u);
/* Encodes and queues. A GW_FRAME or GW_JOIN uses up one credit. A full queue means that the controller hangs: the connection
 * is given up, and the next one begins with a roster. E_SYS_CLOSED, E_SYS_AGAIN, E_WIRE_*. */
_must_check_ int upstream_send(struct upstream *u, uint16_t type, const void *payload);

#endif

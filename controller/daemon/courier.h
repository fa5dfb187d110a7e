/* courier.h - room controller/daemon: a thread that sends one message after another, so that a receiver that hangs holds up
 * nobody but its own channel. Messages go to it and results come back as values. Never: deciding what is sent, or whether it is
 * tried again. */
#ifndef VCC_COURIER_H
#define VCC_COURIER_H

#include <uv.h>

#include "controller/daemon/outbound.h"

struct courier;

/* On the loop. `o` belongs to the callback's owner again, and is freed by outbound_free(). */
typedef void courier_done_fn(void *ctx, struct outbound *o, const struct outbound_result *result);

_must_check_ int courier_open(uv_loop_t *loop, struct courier **ret);
bool             courier_busy(const struct courier *c);
/* Not while it is busy. Takes over what `o` owns. The thread starts with the first message. */
void courier_send(struct courier *c, struct outbound *o, courier_done_fn *done, void *ctx);
/* Ends what it does within seconds (its result is E_SYS_AGAIN, and is delivered); the loop runs until then. */
void courier_close(struct courier *c);
void courier_free(struct courier *c); /* the loop has run dry */

#endif

/* serials.h - room controller/daemon: serial counters, reserved in blocks before they are used.
 * Reserved above everything in the store and above the signer's window, so that a restored backup goes on. Never: giving one
 * twice. */
#ifndef VCC_SERIALS_H
#define VCC_SERIALS_H

#include "controller/daemon/controller.h"

struct serials;
_must_check_ int serials_open(struct controller *ctl, struct serials **ret);
void             serials_free(struct serials *s);

/* The signer told the top of its window: nothing at or below it is used any more. Starts the first reservation. */
void serials_floor(struct controller *ctl, uint64_t window_top);
void serials_tick(struct controller *ctl); /* repeats a reservation that failed */

void serials_stop(struct controller *ctl); /* calls everybody who waits; the controller is stopping */

/* The next serial; E_SYS_AGAIN while none is reserved (serials_wait() tells when). */
_must_check_ int serials_take(struct controller *ctl, struct serial *ret);
/* Calls `ready` once, on the loop, when serials are there again. E_FULL when too many wait. */
typedef void     serials_ready_fn(struct controller *ctl, void *ctx);
_must_check_ int serials_wait(struct controller *ctl, serials_ready_fn *ready, void *ctx);

#endif

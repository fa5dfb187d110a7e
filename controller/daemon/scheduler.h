/* scheduler.h - room controller/daemon: the controller's clock: once a tick, everything that is due.
 * Never: more than a bounded amount of work in one tick. */
#ifndef VCC_SCHEDULER_H
#define VCC_SCHEDULER_H

#include "controller/daemon/controller.h"

struct scheduler;
_must_check_ int scheduler_open(struct controller *ctl, struct scheduler **ret);
void             scheduler_start(struct controller *ctl);
void             scheduler_close(struct scheduler *s);
void             scheduler_free(struct scheduler *s);

#endif

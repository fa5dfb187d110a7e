/* pruner.h - room controller/daemon: what ended long ago leaves the database: to the archive first, then from its rows.
 * Never: scanning or writing files on the loop; removing what is in use, or what is not safe in the archive. */
#ifndef VCC_PRUNER_H
#define VCC_PRUNER_H

#include "controller/daemon/controller.h"

struct pruner;
_must_check_ int pruner_open(struct pruner **ret);
void             pruner_free(struct pruner *p);
_must_check_ int pruner_load(struct controller *ctl);

/* At most one piece is under way; the next one begins with the next tick, the next walk at schedule.prune. */
void pruner_tick(struct controller *ctl, int64_t now);
/* The clock may be wrong: nothing goes for a day, so that somebody can look. */
void pruner_wait(struct controller *ctl);

#endif

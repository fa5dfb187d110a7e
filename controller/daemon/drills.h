/* drills.h - room controller/daemon: drills beside the campaigns that run them: the row that stays, and the report at the end.
 * Report, its hash in the row and the record in the trail are one change. Never: running one (campaigns.h). */
#ifndef VCC_DRILLS_H
#define VCC_DRILLS_H

#include "controller/daemon/commit.h"

struct drills;
_must_check_ int drills_open(struct drills **ret);
void             drills_free(struct drills *all);

/* With the change that begins its campaign. */
void drills_begin(struct commit *c, const struct campaign *g);
/* One may be over: its report is made. Also what an earlier run left without one; a report that could not be stored is made
 * again. */
void drills_look(struct controller *ctl);
void drills_tick(struct controller *ctl, int64_t now);

#endif

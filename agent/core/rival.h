/* rival.h - room agent/core: is there a second writer that undoes our repairs? (LIFECYCLE 4: changed again within 1 s of its repair, three
 * times running: alarm, then one repair a minute.) Never: clocks of its own. */
#ifndef VCC_RIVAL_H
#define VCC_RIVAL_H

#include <stdbool.h>
#include <stdint.h>

struct rival {
	int64_t  repaired_at; /* monotonic, ms; 0 = nothing was repaired yet */
	uint32_t again;       /* changes in a row that came soon after a repair */
	bool     judged;      /* the change after the last repair was counted */
	bool     alarm;       /* a second writer is at work */
};

/* A change is seen at `now`. Returns when it may be repaired: now, or later. `ret_alarm`: the alarm begins with this one. */
int64_t rival_changed(struct rival *r, int64_t now, bool *ret_alarm);
void    rival_repaired(struct rival *r, int64_t now);

#endif

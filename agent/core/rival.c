/* rival.c - room agent/core: is there a second writer that undoes our repairs?
 * Never: clocks of its own. */
#include "agent/core/rival.h"

enum { SOON_MS = 1000, TIMES = 3, PAUSE_MS = 60 * 1000 };

int64_t rival_changed(struct rival *r, int64_t now, bool *ret_alarm)
{
	*ret_alarm = false;
	if (!r->judged) {
		bool soon = r->repaired_at != 0 && now - r->repaired_at <= SOON_MS;
		r->judged = true;
		r->again = soon ? r->again + 1 : 0;
		*ret_alarm = r->again >= TIMES && !r->alarm;
		r->alarm = r->again >= TIMES;
	}
	if (!r->alarm)
		return now;
	return r->repaired_at + PAUSE_MS > now ? r->repaired_at + PAUSE_MS : now;
}

void rival_repaired(struct rival *r, int64_t now)
{
	r->repaired_at = now;
	r->judged = false;
}

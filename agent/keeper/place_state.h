/* place_state.h - room agent/keeper: what is the matter with one place, in few words: for people, for health, for the controller. Everything
 * that tells of a place's state asks here, so that they cannot disagree. Never: changing anything. */
#ifndef VCC_PLACE_STATE_H
#define VCC_PLACE_STATE_H

#include "agent/keeper/keeper.h"

/* Is the issued certificate the one that is served? */
enum served_state {
	SERVED_NOTHING,  /* nothing was issued yet */
	SERVED_YES,      /* every listener serves it, as far as was looked */
	SERVED_STALE,    /* issued but not served: a listener serves another one */
	SERVED_DOWN,     /* nobody answers at all */
	SERVED_PARTLY,   /* not every listener answers */
	SERVED_CHANGING, /* a swap is in its middle */
	SERVED_UNSEEN,   /* not looked at since the keeper was started, or about to be looked at again */
	SERVED_UNPROBED, /* the target file says that no handshake can tell */
	SERVED_STATE_COUNT,
};
const char *served_state_name(enum served_state s);

/* `ret_since_at`: since when it is stale or down; else 0. */
enum served_state place_served(const struct place *p, int64_t *ret_since_at);

/* What went wrong and was not made good since, worst first; 0 = nothing. A renewal that completed leaves nothing of what happened on
 * its way. `ret_text` lives as long as the place. */
int place_trouble(const struct place *p, const char **ret_text);

/* Would a renewal work, as far as the last rehearsal tells? False also when none went well for too long. */
bool place_rehearsed(const struct place *p, int64_t now);

/* Nothing of it needs a person. `now`: by the clock that validity is judged by. */
bool place_ok(const struct place *p, int64_t now);

/* What comes next here, in one word; `ret_at`: when, at the latest (0 = at once, or nobody knows). */
const char *place_next(const struct place *p, int64_t *ret_at);

#endif

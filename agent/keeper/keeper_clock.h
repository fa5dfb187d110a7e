/* keeper_clock.h - room agent/keeper: how far this host's clock is off, and what follows from it (DESIGN 4).
 * The controller's time is known from its welcome and carried on by a clock that nobody sets. Never: setting a clock; deciding
 * anything but by which time validity is judged. */
#ifndef VCC_KEEPER_CLOCK_H
#define VCC_KEEPER_CLOCK_H

#include "agent/keeper/keeper.h"

enum clock_state {
	CLOCK_RIGHT,      /* within the tolerance, or nothing to compare it with yet */
	CLOCK_CONTROLLER, /* off by more than 5 min: validity is judged by the controller's time */
	CLOCK_ALLOWED,    /* off by more than a day, and a person allowed swaps all the same */
	CLOCK_WRONG,      /* off by more than a day: swaps are refused */
	CLOCK_STATE_COUNT,
};
const char *clock_state_name(enum clock_state s);

/* The person's flag: a file of this name in the keeper's folder. It is taken away when the clock is right again. */
#define CLOCK_FLAG "allow-wrong-clock"

void             keeper_clock_told(struct keeper *k, int64_t now_at); /* by the controller */
void             keeper_clock_tick(struct keeper *k);                 /* now and then */
int64_t          keeper_clock_skew(const struct keeper *k);           /* own minus the controller's; 0 = not known */
enum clock_state keeper_clock_state(const struct keeper *k);
/* The time by which something is valid or has ended. */
int64_t keeper_clock_judge(const struct keeper *k);
/* Has the clock moved since the controller was last told of it? */
bool keeper_clock_moved(const struct keeper *k);

#endif

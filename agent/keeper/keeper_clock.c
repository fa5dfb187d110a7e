/* keeper_clock.c - room agent/keeper: how far this host's clock is off, and what follows from it.
 * Never: setting a clock; deciding anything but by which time validity is judged. */
#include "agent/keeper/keeper_clock.h"

#include <fcntl.h>
#include <unistd.h>

#include "agent/keeper/answer_check.h"
#include "shared/sys/clock.h"
#include "shared/sys/log.h"

enum { MOVED_MS = 60 * 1000 };

const char *clock_state_name(enum clock_state s)
{
	static const char *const names[CLOCK_STATE_COUNT] = {
		[CLOCK_RIGHT] = "right",
		[CLOCK_CONTROLLER] = "controller",
		[CLOCK_ALLOWED] = "allowed",
		[CLOCK_WRONG] = "wrong",
	};
	return (size_t)s < N_ELEMENTS(names) ? names[s] : "unknown";
}

static int64_t distance(int64_t a)
{
	return a < 0 ? -a : a;
}

int64_t keeper_clock_skew(const struct keeper *k)
{
	return k->controller_at == 0 ? 0 : clock_now() - (k->controller_at + clock_boot() - k->controller_since);
}

static bool flag_is_set(const struct keeper *k)
{
	return faccessat(k->state.dir_fd, CLOCK_FLAG, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

enum clock_state keeper_clock_state(const struct keeper *k)
{
	int64_t off = distance(keeper_clock_skew(k));
	if (off <= ANSWER_TOLERANCE_MS)
		return CLOCK_RIGHT;
	if (off <= ANSWER_SKEW_MAX_MS)
		return CLOCK_CONTROLLER;
	return flag_is_set(k) ? CLOCK_ALLOWED : CLOCK_WRONG;
}

int64_t keeper_clock_judge(const struct keeper *k)
{
	int64_t skew = keeper_clock_skew(k);
	return distance(skew) > ANSWER_TOLERANCE_MS ? clock_now() - skew : clock_now();
}

bool keeper_clock_moved(const struct keeper *k)
{
	return distance(keeper_clock_skew(k) - k->skew_told_ms) > MOVED_MS;
}

/* The flag was for a clock that was wrong: the next wrong one needs a person again. */
static void flag_take_away(struct keeper *k)
{
	if (unlinkat(k->state.dir_fd, CLOCK_FLAG, 0) == 0)
		log_line(LOG_LEVEL_NOTICE, NULL, "the clock is right again: %s is taken away", CLOCK_FLAG);
}

void keeper_clock_told(struct keeper *k, int64_t now_at)
{
	if (now_at <= 0 || now_at > TIME_LAST)
		return; /* no time of anybody's clock; and what is reckoned with it must not overflow */
	k->controller_at = now_at;
	k->controller_since = clock_boot();
	keeper_clock_tick(k);
}

void keeper_clock_tick(struct keeper *k)
{
	if (k->controller_at != 0 && keeper_clock_state(k) == CLOCK_RIGHT)
		flag_take_away(k);
}

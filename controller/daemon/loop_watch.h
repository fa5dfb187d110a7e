/* loop_watch.h - room controller/daemon: how long the loop is busy without a pause: what is long here delays everybody.
 * Processor time of the loop's thread for each turn; what the machine gives to others meanwhile does not count. Never: acting on it. */
#ifndef VCC_LOOP_WATCH_H
#define VCC_LOOP_WATCH_H

#include <uv.h>

#include <jansson.h>

#include "shared/base/attr.h"

enum { LOOP_LIMITS = 5 };

struct loop_watch {
	uv_prepare_t prepare;
	int64_t      begun_us; /* of this turn */
	int64_t      longest_us;
	uint64_t     turns;
	uint64_t     over[LOOP_LIMITS]; /* turns that took longer than the limits of loop_watch.c */
};

_must_check_ int loop_watch_start(struct loop_watch *w, uv_loop_t *loop); /* does not keep the loop alive */
void             loop_watch_close(struct loop_watch *w);                  /* the loop has to run once more */
int loop_watch_limit_ms(int i); /* turns that are counted in over[i] took longer */
/* {"turns", "longest_us", "over_1ms", ...}: since the start. */
json_t *loop_watch_json(const struct loop_watch *w);

#endif

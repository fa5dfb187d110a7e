/* daily_digest.h - room controller/daemon: what went as it should, once a day, so that silence is not the only sign of life
 * (LIFECYCLE 8). Never: telling of a single renewal; scanning on the loop. */
#ifndef VCC_DAILY_DIGEST_H
#define VCC_DAILY_DIGEST_H

#include "controller/daemon/controller.h"

struct digests;
_must_check_ int digests_open(struct digests **ret);
void             digests_free(struct digests *d);
void             digests_tick(struct controller *ctl, int64_t now);

#endif

/* since.h - room controller/cli: the times that people type: so long ago, or a moment.
 * Never: local time. */
#ifndef VCC_SINCE_H
#define VCC_SINCE_H

#include "shared/base/err.h"
#include "shared/base/times.h"

/* "5m", "90d" or "-90d" before `now`; "2026-01-02", its first moment in UTC; or a whole time. EXIT_USAGE: `why` names `option`. */
_must_check_ int since_read(const char *option, const char *given, int64_t now, int64_t *ret, struct refusal *why);

#endif

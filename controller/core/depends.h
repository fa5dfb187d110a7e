/* depends.h - room controller/core: declared dependencies between services: circles are found and named.
 * Pure: values in, values out. Never: heap, reading anything. */
#ifndef VCC_DEPENDS_H
#define VCC_DEPENDS_H

#include "shared/base/err.h"
#include "shared/model/agent.h"

enum { DEPENDS_MAX = 200, DEPENDS_TEXT_SIZE = 160 };

/* May `next` be put in place of the service of its name? `list`: what it leads to, at most DEPENDS_MAX. E_SERVICE_FILE: it names a
 * service that does not exist; E_SERVICE_CYCLE: the circle is in `why` ("a -> b -> a"). */
_must_check_ int depends_check(const struct service *const *list, size_t n, const struct service *next, struct refusal *why);

#endif

/* zone_file.h - room shared/sys: time zones by their IANA name, from the system's files, each read once in the life of the process.
 * Never: from more than one thread. */
#ifndef VCC_ZONE_FILE_H
#define VCC_ZONE_FILE_H

#include "shared/base/err.h"
#include "shared/base/tzif.h"

/* The name was checked by windows_parse(). Stays valid. E_NOT_FOUND, E_SYNTAX, E_FULL (more than 16 zones). */
_must_check_ int zone_get(const char *name, const struct tz **ret, struct refusal *why);

#endif

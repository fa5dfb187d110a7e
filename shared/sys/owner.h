/* owner.h - room shared/sys: commands that root starts work as the user whose folder they fill.
 * Never: a way back. */
#ifndef VCC_OWNER_H
#define VCC_OWNER_H

#include "shared/base/err.h"

/* Root becomes the owner of the folder `dir` for good: user, group, no other groups, no capabilities; what is made afterwards
 * belongs to the user whose unit will run. Anybody else, and root in root's folder, stays who he is. A missing folder is
 * nobody's: 0. E_SYS_IO. */
_must_check_ int owner_become(const char *dir, struct refusal *why);

#endif

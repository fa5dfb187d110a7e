/* restore.h - room controller/daemon: `vcc-controller restore FILE`: a backup becomes the store, while no controller runs.
 * Never: changing the store in force before the backup was checked and prepared whole. */
#ifndef VCC_RESTORE_H
#define VCC_RESTORE_H

#include "shared/base/attr.h"

/* argv[0] = "restore". Returns the exit status. */
_must_check_ int daemon_restore(int argc, char **argv);

#endif

/* backup_drill.h - room controller/cli: vccctl restore BACKUP --drill: could this backup and this signer's folder be the installation again?
 * Never: touching what runs; opening backup or keys itself. */
#ifndef VCC_BACKUP_DRILL_H
#define VCC_BACKUP_DRILL_H

#include "controller/cli/verb.h"

/* EXIT_DONE: proved and recorded. EXIT_PARTLY: proved, but no controller answered to record it. EXIT_FAILED: it could not be restored. */
int backup_drill(const struct invocation *in);

#endif

/* targets.h - room agent/keeper: the target files of this host and what the controller is told of them.
 * Never: retiring a certificate because its file has a mistake; only a missing file ends it. */
#ifndef VCC_TARGETS_H
#define VCC_TARGETS_H

#include "agent/keeper/keeper.h"

/* Reads all target files again; tells the controller what changed (when welcomed). Mistakes are logged, the last good settings stay. */
void targets_scan(struct keeper *k);
/* Tells the controller all targets: after each welcome. */
void targets_report(struct keeper *k);
void target_report(struct place *p);
/* The controller's answer to message `id`: a refusal or a remark is kept for people, a retired target may be forgotten.
 * False: the message was about no target. */
bool targets_answered(struct keeper *k, uint64_t id, int code, const char *text);

#endif

/* putback.h - room agent/survey: takes back what a record says: target file, renewer, configuration, reload, folder.
 * Never: giving up the record before everything is back. */
#ifndef VCC_PUTBACK_H
#define VCC_PUTBACK_H

#include "agent/survey/undo.h"

/* Tells each step on stdout. E_SURVEY_UNDO when something could not be put back (`why` says the first); the record stays then,
 * and the call may be repeated. */
_must_check_ int putback(const struct agent_conf *conf, const struct undo_dir *d, struct undo *u, struct refusal *why);

#endif

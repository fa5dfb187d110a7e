/* file_change.h - room agent/survey: changes the files of a record, and puts them back exactly. Both may be repeated after a
 * kill. Never: overwriting what somebody else wrote meanwhile. */
#ifndef VCC_FILE_CHANGE_H
#define VCC_FILE_CHANGE_H

#include "agent/survey/undo.h"

/* `after` are the new bytes. E_SURVEY_CHANGED: the file is no longer as it was recorded. */
_must_check_ int file_change_apply(const struct undo_file *f, struct span after, struct refusal *why);

/* `target_dir` is what the file named. *ret_edited: somebody edited it meanwhile, or made the removed one anew; only our values
 * were put back.
 * E_SURVEY_CHANGED: it still names the target, in a way that we did not write. */
_must_check_ int file_change_undo(const struct undo_file *f, const char *target_dir, bool *ret_edited, struct refusal *why);

#endif

/* generation_part.h - room agent/keeper: what the files of a generation have in common; for generation_files.c and capath_folder.c.
 * Never: included elsewhere. */
#ifndef VCC_GENERATION_PART_H
#define VCC_GENERATION_PART_H

#include <sys/stat.h>

#include "agent/keeper/generation.h"

/* Who may read the key may read the rest; certificates are no secret, but the folder's mode is the service's business. */
static inline mode_t file_mode(mode_t mode, bool secret)
{
	return secret ? mode : mode | 0444;
}

/* Of the whole content; false when it cannot be read as a plain file. */
bool generation_file_hash(int fd, const char *name, struct hash *ret);
/* Number of names, owner, mode of a plain file that holds what it should. */
enum drift_kind file_meta_differs(int fd, const char *name, const struct made *made, bool secret, const struct stat *st);
/* `st` does not count when the file is missing, and may be NULL then. */
void drift_note(struct drift *d, enum drift_kind kind, const char *file, const struct stat *st);

#endif

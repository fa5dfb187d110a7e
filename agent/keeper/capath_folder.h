/* capath_folder.h - room agent/keeper: the sub-folder capath/ of a generation: authorities and lists for programs that take a CApath.
 * What lies in it follows from the generation's ca.pem and crl.pem; the manifest keeps one hash of all of it.
 * Never: links. */
#ifndef VCC_CAPATH_FOLDER_H
#define VCC_CAPATH_FOLDER_H

#include "agent/keeper/generation.h"

#define CAPATH_FOLDER "capath"

/* Made new in the open generation, complete and synced. Owner and modes as the generation's other public files. */
_must_check_ int capath_folder_write(int generation, struct span ca_pem, struct span crl_pem, uid_t uid, gid_t gid, mode_t mode,
                                     struct hash *ret, struct refusal *why);
/* Notes every difference from what was made, by file. */
void capath_folder_compare(int generation, const struct made *made, const struct made_file *m, struct drift *d);
/* The first names in it, by name; how many. */
size_t capath_folder_names(int generation, char (*ret)[GENERATION_FILE_SIZE], size_t max);

#endif

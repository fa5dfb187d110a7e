/* evidence_file.h - room controller/cli: evidence packs as files: fetched whole or not at all, recognised, verified, told.
 * Never: judging; that is evidence_verify.h. */
#ifndef VCC_EVIDENCE_FILE_H
#define VCC_EVIDENCE_FILE_H

#include "controller/cli/evidence_verify.h"
#include "controller/cli/verb.h"

/* Does the file begin like one? False also where it cannot be read, and for standard input. */
bool evidence_file_is(const char *path);
/* Verifies and prints. Exit code: EXIT_PARTLY where records name what is not in the pack. */
int evidence_file_verify(const struct invocation *in, const char *path, struct span roots, const struct known_head *known, size_t n_known);

#endif

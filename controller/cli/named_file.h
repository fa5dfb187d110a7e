/* named_file.h - room controller/cli: reads a file that a person named.
 * Never: a file of the installation. */
#ifndef VCC_NAMED_FILE_H
#define VCC_NAMED_FILE_H

#include "shared/base/buf.h"
#include "shared/base/err.h"

/* As file_read(); a file that is missing or cannot be read is E_CLI_FILE. */
_must_check_ int named_file_read(const char *path, bool secret, struct buf *to, struct refusal *why);
/* The same of a file that could not be opened or read in another way: errno says why. Returns E_CLI_FILE. */
int named_file_refuse(const char *path, const char *doing, struct refusal *why);
/* How a program ends that did not look at a file, or found what it should not: EXIT_USAGE where nothing was looked at. */
int named_file_exit(int r);

#endif

/* token_file.h - room controller/cli: what becomes of a token that an answer holds: a file of its owner, or a line on the terminal.
 * Never: both. */
#ifndef VCC_TOKEN_FILE_H
#define VCC_TOKEN_FILE_H

#include "controller/cli/verb.h"

#define TOKEN_FILE_OPTION {"out", "FILE", "writes the token into this new file (mode 0600) instead of printing it"}

/* With --out, before anything is asked for: a token that has no place to go is not made. Exit code. */
_must_check_ int token_file_free(const struct invocation *in, struct refusal *why);
/* With --out: moves the answer's token, if it has one, into the file; it must not exist yet. Exit code. */
_must_check_ int token_file_take(const struct invocation *in, json_t *answer, struct refusal *why);
/* Table form only: the token on a line of its own, when the answer has one. */
void token_file_print(const struct invocation *in, const json_t *answer);

#endif

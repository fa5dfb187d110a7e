/* command.h - room agent/survey: runs one program to its end: argv, no shell, closed input, bounded output and time.
 * Never: a program or an argument that was not written here or checked (source_program). */
#ifndef VCC_COMMAND_H
#define VCC_COMMAND_H

#include "shared/base/buf.h"
#include "shared/base/err.h"

enum { COMMAND_OUTPUT_MAX = 65536, COMMAND_ARGS_MAX = 32 };

/* Standard output and error of the program go to `out` (NULL = thrown away; what is too much is lost). *ret_status is its exit
 * status, or 128 + the signal that ended it. E_SYS_IO: it could not be started; E_SYS_TIMEOUT: it was killed. */
_must_check_ int command_run(const char *const *argv, int64_t timeout_ms, struct buf *out, int *ret_status,
			     struct refusal *why);

/* "/usr/sbin/nginx -t -c /etc/nginx/nginx.conf", as in a target file. */
_must_check_ int command_line_run(const char *line, int64_t timeout_ms, struct buf *out, int *ret_status, struct refusal *why);

/* The line of a failed program's output that says why, for people: the first that speaks of an error, else the last that is not
 * empty. */
void command_why(const struct buf *out, char *ret, size_t size);

#endif

/* program.h - room agent/hook: runs one program of a target file: fixed argv, cleared environment, own session, time limit.
 * Never: a shell, text from a request, waiting for what the program leaves behind. */
#ifndef VCC_PROGRAM_H
#define VCC_PROGRAM_H

#include "shared/model/messages.h"

enum { PROGRAM_WORDS_MAX = 64, PROGRAM_KILL_MS = 2000 };

/* `command` as in the target file (words by blanks, quotes). 0 when it exited with 0, E_HOOK_FAILED, E_HOOK_TIMEOUT (its whole
 * process group was killed), E_CONF_VALUE, E_SYS_IO. Always fills ret->status (exit status or -signal) and ret->output (last line). */
_must_check_ int program_run(const char *command, int64_t timeout_ms, struct hk_reply *ret);

#endif

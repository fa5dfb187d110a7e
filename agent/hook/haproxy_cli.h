/* haproxy_cli.h - room agent/hook: one command and its answer on HAProxy's admin socket (management.txt, 9.3).
 * Never: a socket that somebody else than root or the owner of its folder serves; an answer without limit in bytes and time. */
#ifndef VCC_HAPROXY_CLI_H
#define VCC_HAPROXY_CLI_H

#include <sys/types.h>

#include "shared/base/buf.h"
#include "shared/base/err.h"
#include "shared/model/messages.h"

enum { HAPROXY_ANSWER_MAX = 1 << 20 };

struct haproxy_cli {
	const char *path;  /* of the socket */
	int64_t     until; /* monotonic: the end of all commands */
	uid_t       owner; /* of the socket's folder, set by each command: only he and root may have answered */
};

/* Sends `command` (with its newline, and its payload) on a connection of its own and reads until HAProxy closes it; `answer` is
 * emptied first and ends with a NUL that is not counted. E_HOOK_SOCKET, E_HOOK_TIMEOUT, E_HOOK_ANSWER (too long, or no text).
 * Says why in ret->output, never in words of the answer: it may repeat what was sent. */
_must_check_ int haproxy_ask(struct haproxy_cli *cli, struct span command, struct buf *answer, struct hk_reply *ret);

#endif

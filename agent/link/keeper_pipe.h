/* keeper_pipe.h - room agent/link: the socket to the keeper as bounded frames, without blocking.
 * Never: knowing what is in an agent frame. */
#ifndef VCC_KEEPER_PIPE_H
#define VCC_KEEPER_PIPE_H

#include "shared/base/err.h"
#include "shared/wire/wire.h"

enum { PIPE_OUT_MAX = 1 << 20, PIPE_OUT_KEPT = 1 << 14, PIPE_IN_MAX = 1 << 18 };

struct keeper_pipe {
	int        fd; /* -1 = not connected */
	struct buf in;
	struct buf out;
};

void             keeper_pipe_init(struct keeper_pipe *p);
_must_check_ int keeper_pipe_open(struct keeper_pipe *p, const char *path, struct refusal *why);
void             keeper_pipe_close(struct keeper_pipe *p);
/* Queues one message; keeper_pipe_flush() sends. E_FULL: the keeper does not read any more. */
_must_check_ int keeper_pipe_send(struct keeper_pipe *p, uint16_t type, const void *payload);
/* Writes what the socket takes. 0 = all gone, 1 = something is left, negative = the keeper is gone. */
_must_check_ int keeper_pipe_flush(struct keeper_pipe *p);
/* Reads what is there; then keeper_pipe_next() gives frames: 1 = one in `ret` (valid until the next fill), 0 = no more. */
_must_check_ int keeper_pipe_fill(struct keeper_pipe *p);
_must_check_ int keeper_pipe_next(struct keeper_pipe *p, size_t *at, struct wire_frame *ret);
void             keeper_pipe_done(struct keeper_pipe *p, size_t at);

#endif

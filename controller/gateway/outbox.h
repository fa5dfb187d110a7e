/* outbox.h - room controller/gateway: the bounded queue of frames to one agent; urgent ones overtake routine ones.
 * Never: writing to a socket. */
#ifndef VCC_OUTBOX_H
#define VCC_OUTBOX_H

#include <stdbool.h>

#include "shared/base/buf.h"

enum { OUTBOX_MAX = 262144, OUTBOX_HEADROOM = 16 };

struct outbox_frame {
	struct outbox_frame *next;
	size_t               n;
	uint8_t              room[OUTBOX_HEADROOM]; /* the websocket header is written here, in front of the bytes */
	uint8_t              bytes[];
};

/* All zero = empty. */
struct outbox {
	struct outbox_frame *first[2], *last[2]; /* urgent, routine */
	size_t               bytes;
};

/* E_FULL above OUTBOX_MAX bytes, E_NOMEM. */
_must_check_ int outbox_add(struct outbox *o, bool urgent, struct span frame);
/* The next frame to be written, owned by the caller (free()); NULL = empty. */
struct outbox_frame *outbox_take(struct outbox *o);
bool outbox_empty(const struct outbox *o);
void outbox_clear(struct outbox *o);

#endif

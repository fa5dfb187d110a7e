/* acceptor.h - room controller/gateway: our own listening sockets and how fast they are emptied.
 * At most `limit` connections in progress, nothing while the loop lags, a pause when descriptors run out; what waits stays
 * in the kernel's backlog. Never: TLS, reading from a connection. */
#ifndef VCC_ACCEPTOR_H
#define VCC_ACCEPTOR_H

#include <stdbool.h>

#include <uv.h>

#include "shared/base/err.h"
#include "shared/sys/tcp.h"

struct acceptor {
	int        fd;
	char       bound[TCP_ADDRESS_SIZE];
	uv_poll_t  poll;
	uv_timer_t pause;
	int64_t    limit;
	int64_t    in_progress;
	bool       started;
	bool       watching;
	bool       lagging;
	bool       pausing; /* after EMFILE and the like */
	/* Takes the connected, non-blocking socket; false = it was closed at once and does not count. */
	bool (*accepted)(void *ctx, int fd, const char *address);
	void *ctx;
};

/* Binds and listens; connections wait in the backlog until acceptor_start(). */
_must_check_ int acceptor_bind(struct acceptor *a, const char *address, int64_t limit, struct refusal *why);
_must_check_ int acceptor_start(struct acceptor *a, uv_loop_t *loop, bool (*accepted)(void *, int, const char *), void *ctx);
void acceptor_done(struct acceptor *a);              /* one accepted connection stands or is gone */
void acceptor_lag(struct acceptor *a, bool lagging); /* the loop is late, or no longer */
void acceptor_stop(struct acceptor *a);              /* closes; the handles end on the loop */

#endif

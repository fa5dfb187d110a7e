/* acceptor.c - room controller/gateway: our own listening sockets and how fast they are emptied.
 * Never: TLS, reading from a connection. */
#include "controller/gateway/acceptor.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "shared/sys/file.h"
#include "shared/sys/log.h"

/* A whole fleet that comes back at once waits in the backlog, which costs nothing: who finds it full tries again only after seconds that double, all
 * in step, and the gateway would have nothing to do between. */
enum { BACKLOG = 4096, PER_TURN = 16, PAUSE_MS = 1000, LAG_CHECK_MS = 20 };

static void on_readable(uv_poll_t *poll, int status, int events);

static void watch(struct acceptor *a)
{
	bool wanted = a->started && !a->lagging && !a->pausing && a->in_progress < a->limit;
	if (wanted == a->watching)
		return;
	a->watching = wanted;
	if (wanted)
		uv_poll_start(&a->poll, UV_READABLE, on_readable);
	else
		uv_poll_stop(&a->poll);
}

static void on_pause_end(uv_timer_t *timer)
{
	struct acceptor *a = timer->data;
	a->pausing = false;
	a->lagging = false;
	watch(a);
}

/* Out of descriptors or memory: the socket stays readable, and asking again at once would only burn the processor. */
static void take_a_pause(struct acceptor *a, int error)
{
	log_line(LOG_LEVEL_WARNING, NULL, "cannot accept on %s: %s; trying again in a second", a->bound, strerror(error));
	a->pausing = true;
	uv_timer_start(&a->pause, on_pause_end, PAUSE_MS, 0);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct acceptor *a = poll->data;
	(void)status;
	(void)events;
	for (int i = 0; i < PER_TURN && a->in_progress < a->limit; i++) {
		char address[TCP_ADDRESS_SIZE];
		int  on = 1;
		int  fd = accept4(a->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0) {
			if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
				take_a_pause(a, errno);
			break; /* EAGAIN: empty; others: that one connection is gone already */
		}
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		tcp_peer(fd, address);
		a->in_progress++;
		if (!a->accepted(a->ctx, fd, address))
			a->in_progress--;
	}
	watch(a);
}

int acceptor_bind(struct acceptor *a, const char *address, int64_t limit, struct refusal *why)
{
	*a = (struct acceptor){.fd = -1, .limit = limit};
	return tcp_listen(address, BACKLOG, &a->fd, a->bound, why);
}

int acceptor_start(struct acceptor *a, uv_loop_t *loop, bool (*accepted)(void *, int, const char *), void *ctx)
{
	if (uv_poll_init(loop, &a->poll, a->fd) != 0)
		return E_SYS_IO;
	uv_timer_init(loop, &a->pause);
	a->poll.data = a;
	a->pause.data = a;
	a->accepted = accepted;
	a->ctx = ctx;
	a->started = true;
	watch(a);
	return 0;
}

void acceptor_done(struct acceptor *a)
{
	a->in_progress--;
	watch(a);
}

void acceptor_lag(struct acceptor *a, bool lagging)
{
	if (!a->started || a->lagging == lagging)
		return;
	a->lagging = lagging;
	/* an idle loop would never come back to say that it no longer lags */
	if (lagging && !a->pausing)
		uv_timer_start(&a->pause, on_pause_end, LAG_CHECK_MS, 0);
	watch(a);
}

void acceptor_stop(struct acceptor *a)
{
	if (a->started) {
		a->started = false;
		watch(a);
		uv_close((uv_handle_t *)&a->poll, NULL);
		uv_close((uv_handle_t *)&a->pause, NULL);
	}
	fd_close(a->fd);
	a->fd = -1;
}

/* ipc_loop.c - room shared/sys: the same frames on a libuv loop, with a bounded output queue.
 * Never: knowing what is in a frame; calling back from inside ipc_send. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/base/be.h"
#include "shared/sys/file.h"
#include "shared/sys/ipc.h"

enum { IPC_LOOP_HANDLES = 2 };

struct ipc {
	uv_poll_t         poll;
	uv_idle_t         idle; /* runs once before the loop waits again: flush of the turn */
	int               fd;
	struct ipc_events events;
	void             *ctx;
	struct buf        in;
	size_t            taken; /* bytes of `in` already delivered */
	struct buf        out;
	size_t            sent; /* bytes of `out` already written */
	bool              blocked; /* the kernel's buffer is full: wait for POLLOUT */
	bool              over;    /* `closed` was said */
	bool              freed;
	int               handles; /* not yet closed by libuv */
};

static void on_poll(uv_poll_t *handle, int status, int events);
static void on_idle(uv_idle_t *handle);

static void handle_closed(uv_handle_t *handle)
{
	struct ipc *c = handle->data;
	if (--c->handles > 0)
		return;
	buf_free(&c->in);
	buf_free(&c->out);
	free(c);
}

static void watch(struct ipc *c)
{
	if (c->over || c->freed)
		uv_poll_stop(&c->poll);
	else
		uv_poll_start(&c->poll, UV_READABLE | (c->blocked ? UV_WRITABLE : 0), on_poll);
}

static void close_now(struct ipc *c, int code)
{
	if (c->over || c->freed)
		return;
	c->over = true;
	watch(c);
	uv_idle_stop(&c->idle);
	c->events.closed(c->ctx, code);
}

/* Writes what the kernel takes. All frames of a turn lie in one buffer, so one call carries them. */
static void flush(struct ipc *c)
{
	bool was_full = c->out.n > 0;
	while (c->sent < c->out.n) {
		ssize_t put = send(c->fd, c->out.p + c->sent, c->out.n - c->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0 && errno == EAGAIN) {
			c->blocked = true;
			watch(c);
			return;
		}
		if (put < 0) {
			close_now(c, errno == EPIPE || errno == ECONNRESET ? E_SYS_CLOSED : E_SYS_IO);
			return;
		}
		c->sent += (size_t)put;
	}
	buf_reset(&c->out);
	c->sent = 0;
	if (c->blocked) {
		c->blocked = false;
		watch(c);
	}
	if (was_full && c->events.drained != NULL)
		c->events.drained(c->ctx);
}

static void deliver(struct ipc *c)
{
	struct span frame;
	int         r = 0;
	while (!c->over && !c->freed && (r = ipc_take(&c->in, &c->taken, IPC_FRAME_MAX, &frame)) > 0)
		c->events.frame(c->ctx, frame);
	if (c->freed || c->over)
		return;
	buf_drop_front(&c->in, c->taken);
	c->taken = 0;
	if (r < 0)
		close_now(c, r);
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
	struct ipc *c = handle->data;
	if (status < 0) {
		/* the peer went without reading all of ours; what it said before still counts */
		while (!c->over && !c->freed && ipc_fill(c->fd, &c->in) == 0)
			deliver(c);
		close_now(c, E_SYS_CLOSED);
		return;
	}
	if ((events & UV_WRITABLE) != 0)
		flush(c);
	if ((events & UV_READABLE) == 0 || c->over || c->freed)
		return;
	int r = ipc_fill(c->fd, &c->in);
	if (r == E_SYS_AGAIN)
		return;
	if (r != 0)
		close_now(c, r);
	else
		deliver(c);
}

static void on_idle(uv_idle_t *handle)
{
	struct ipc *c = handle->data;
	uv_idle_stop(&c->idle);
	if (!c->blocked)
		flush(c);
}

int ipc_open(uv_loop_t *loop, int fd, size_t out_max, const struct ipc_events *events, void *ctx, struct ipc **ret)
{
	struct ipc *c = calloc(1, sizeof(*c));
	int         flags = fcntl(fd, F_GETFL);
	if (c == NULL || flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 || uv_poll_init(loop, &c->poll, fd) != 0) {
		free(c);
		fd_close(fd);
		return E_NOMEM;
	}
	uv_idle_init(loop, &c->idle);
	c->poll.data = c;
	c->idle.data = c;
	c->handles = IPC_LOOP_HANDLES;
	c->fd = fd;
	c->events = *events;
	c->ctx = ctx;
	c->in.max = IPC_HEAD + IPC_FRAME_MAX;
	c->out.max = out_max + IPC_HEAD + IPC_FRAME_MAX;
	watch(c);
	*ret = c;
	return 0;
}

int ipc_send(struct ipc *c, struct span frame)
{
	if (c->over || c->freed)
		return E_SYS_CLOSED;
	if (frame.n > IPC_FRAME_MAX)
		return E_FULL;
	if (ipc_queued(c) > 0 && ipc_queued(c) + IPC_HEAD + frame.n > c->out.max - IPC_HEAD - IPC_FRAME_MAX)
		return E_SYS_AGAIN;
	if (c->sent > 0) {
		buf_drop_front(&c->out, c->sent);
		c->sent = 0;
	}
	uint8_t *room = buf_room(&c->out, IPC_HEAD + frame.n);
	if (room == NULL) {
		c->out.error = 0; /* this frame is refused; the queue stays usable */
		return E_NOMEM;
	}
	be_put(room, frame.n, IPC_HEAD);
	if (frame.n > 0)
		memcpy(room + IPC_HEAD, frame.p, frame.n);
	buf_used(&c->out, IPC_HEAD + frame.n);
	if (!c->blocked)
		uv_idle_start(&c->idle, on_idle);
	return 0;
}

size_t ipc_queued(const struct ipc *c)
{
	return c->out.n - c->sent;
}

void ipc_free(struct ipc *c)
{
	if (c == NULL || c->freed)
		return;
	c->freed = true;
	uv_close((uv_handle_t *)&c->poll, handle_closed);
	uv_close((uv_handle_t *)&c->idle, handle_closed);
	fd_close(c->fd); /* after uv_close: libuv must still find it in its epoll set */
	c->fd = -1;
}

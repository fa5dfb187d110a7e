/* keeper_pipe.c - room agent/link: the socket to the keeper as bounded frames, without blocking.
 * Never: knowing what is in an agent frame. */
#include "agent/link/keeper_pipe.h"

#include <errno.h>
#include <sys/socket.h>

#include "shared/base/be.h"
#include "shared/sys/file.h"
#include "shared/sys/ipc.h"

void keeper_pipe_init(struct keeper_pipe *p)
{
	*p = (struct keeper_pipe){.fd = -1, .in = BUF_MAX(PIPE_IN_MAX), .out = BUF_MAX(PIPE_OUT_MAX)};
}

int keeper_pipe_open(struct keeper_pipe *p, const char *path, struct refusal *why)
{
	return ipc_connect(path, &p->fd, why);
}

void keeper_pipe_close(struct keeper_pipe *p)
{
	fd_close(p->fd);
	p->fd = -1;
	buf_free(&p->in);
	buf_free(&p->out);
}

int keeper_pipe_send(struct keeper_pipe *p, uint16_t type, const void *payload)
{
	static const uint8_t no_length[IPC_HEAD];
	size_t               at = p->out.n;
	if (p->fd < 0)
		return E_SYS_CLOSED;
	buf_add(&p->out, no_length, sizeof(no_length));
	int r = buf_error(&p->out);
	if (r == 0)
		r = wire_encode(&wire_link, type, 0, payload, &p->out);
	if (r == 0)
		r = buf_error(&p->out);
	if (r < 0) {
		p->out.n = at; /* a message that does not fit leaves no piece of itself */
		p->out.error = 0;
		return r;
	}
	be_put(p->out.p + at, p->out.n - at - sizeof(no_length), sizeof(no_length));
	return 0;
}

int keeper_pipe_flush(struct keeper_pipe *p)
{
	while (p->out.n > 0) {
		ssize_t n = send(p->fd, p->out.p, p->out.n, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK ? 1 : E_SYS_CLOSED;
		buf_drop_front(&p->out, (size_t)n);
	}
	if (p->out.cap > PIPE_OUT_KEPT) /* it grew for something rare */
		buf_free(&p->out);
	return 0;
}

int keeper_pipe_fill(struct keeper_pipe *p)
{
	return ipc_fill(p->fd, &p->in);
}

int keeper_pipe_next(struct keeper_pipe *p, size_t *at, struct wire_frame *ret)
{
	struct span bytes;
	int         r = ipc_take(&p->in, at, wire_link.frame_max, &bytes);
	if (r <= 0)
		return r;
	r = wire_decode(&wire_link, bytes, 0, ret);
	return r < 0 ? r : 1;
}

void keeper_pipe_done(struct keeper_pipe *p, size_t at)
{
	buf_drop_front(&p->in, at);
}

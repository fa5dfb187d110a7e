/* keeper_ask.c - room agent/survey: one question to this host's keeper over its local socket.
 * Never: the network. */
#include "agent/survey/keeper_ask.h"

#include "shared/sys/file.h"
#include "shared/sys/ipc.h"

enum { ANSWER_MS = 10000 };

int keeper_ask(const char *socket, uint16_t type, const void *payload, uint16_t want, struct buf *bytes, struct wire_frame *ret,
	       struct refusal *why)
{
	_cleanup_fd_ int fd = -1;
	struct buf       out = BUF_MAX(wire_link.frame_max);
	int              r = ipc_connect(socket, &fd, why);
	if (r < 0)
		return r;
	r = wire_encode(&wire_link, type, 0, payload, &out);
	if (r == 0)
		r = ipc_write(fd, buf_span(&out), ANSWER_MS);
	if (r == 0)
		r = ipc_read(fd, wire_link.frame_max, ANSWER_MS, bytes);
	if (r == 0)
		r = wire_decode(&wire_link, buf_span(bytes), 0, ret);
	if (r == 0 && ret->type != want)
		r = E_WIRE_MESSAGE;
	buf_free(&out);
	return r < 0 ? refuse(why, r, socket, "the keeper does not answer: %s", err_what(r)) : 0;
}

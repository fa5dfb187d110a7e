/* dialer.c - room agent/keeper: what the keeper asks of the process that connects.
 * Never: a socket of the internet. */
#include "agent/keeper/dialer.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "agent/keeper/dialer_process.h"
#include "shared/sys/file.h"

enum { READY_MS = 10 * 1000 };

int dialer_start(int *ret_fd, struct refusal *why)
{
	int           pair[2];
	uint8_t       ready;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return refuse(why, E_SYS_IO, "dialer", "cannot be spoken to: %s", strerror(errno));
	pid_t pid = fork();
	if (pid == 0)
		dialer_main(pair[1]);
	fd_close(pair[1]);
	struct pollfd p = {.fd = pair[0], .events = POLLIN};
	if (pid < 0 || poll(&p, 1, READY_MS) != 1 || recv(pair[0], &ready, 1, 0) != 1) {
		fd_close(pair[0]);
		return refuse(why, E_SYS_IO, "dialer", "the process that connects to listeners of this host does not start");
	}
	*ret_fd = pair[0];
	return 0;
}

int dialer_connect(int dialer, const struct sockaddr *to, socklen_t n, int *ret_fd)
{
	int pair[2];
	union {
		struct cmsghdr align;
		char           bytes[CMSG_SPACE(sizeof(int))];
	} room;
	memset(&room, 0, sizeof(room));
	struct sockaddr_in6 address; /* the longest that there is */
	struct iovec        part = {&address, n};
	struct msghdr       m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = room.bytes, .msg_controllen = sizeof(room.bytes)};
	if (n > sizeof(address) || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0)
		return E_SYS_IO;
	memcpy(&address, to, n);
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	*c = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
	memcpy(CMSG_DATA(c), &pair[1], sizeof(int));
	ssize_t sent = sendmsg(dialer, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	int     error = errno;
	fd_close(pair[1]);
	if (sent != (ssize_t)n) {
		fd_close(pair[0]);
		return sent < 0 && error == EAGAIN ? E_SYS_AGAIN : E_SYS_IO;
	}
	*ret_fd = pair[0];
	return 0;
}

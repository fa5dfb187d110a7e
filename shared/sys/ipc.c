/* ipc.c - room shared/sys: bounded frames over local stream sockets: making sockets, and frames without a loop.
 * Never: knowing what is in a frame; libuv (that is ipc_loop.c, so that small programs need not load it). */
#include "shared/sys/ipc.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "shared/base/be.h"
#include "shared/base/text.h"
#include "shared/sys/clock.h"
#include "shared/sys/fault.h"
#include "shared/sys/file.h"
#include "shared/sys/listen_fds.h"

enum { IPC_BACKLOG = 512, IPC_READ_STEP = 16384 };

/* ---- sockets ------------------------------------------------------------------------------------------------------ */

static int address_make(const char *path, struct sockaddr_un *ret, struct refusal *why)
{
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (path[0] != '/' || text_copy(ret->sun_path, sizeof(ret->sun_path), path) != 0)
		return refuse(why, E_SYS_ADDRESS, path, "a socket path is absolute and at most %zu bytes long",
		              sizeof(ret->sun_path) - 1);
	return 0;
}

static bool path_fits(const struct sockaddr *at, socklen_t n, const void *ctx)
{
	const struct sockaddr_un *un = (const void *)at;
	return at->sa_family == AF_UNIX && n > offsetof(struct sockaddr_un, sun_path) && un->sun_path[0] == '/' &&
	       text_equal(un->sun_path, ctx);
}

/* Whether somebody answers behind a socket file that already exists. */
static bool socket_lives(const struct sockaddr_un *at)
{
	_cleanup_fd_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return fd < 0 || connect(fd, (const struct sockaddr *)at, sizeof(*at)) == 0 || errno == EAGAIN;
}

int ipc_listen(const char *path, mode_t mode, int *ret_fd, struct refusal *why)
{
	struct sockaddr_un at;
	struct stat        st;
	int                r = address_make(path, &at, why);
	if (r != 0)
		return r;
	int passed = listen_fds_take(path_fits, path);
	if (passed >= 0) {
		*ret_fd = passed;
		return 0;
	}

	_cleanup_fd_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return sys_refuse(why, path, "make a socket");
	if (lstat(path, &st) == 0) {
		if (!S_ISSOCK(st.st_mode))
			return refuse(why, E_SYS_IO, path, "exists and is not a socket");
		if (socket_lives(&at))
			return refuse(why, E_SYS_LOCKED, path, "another process listens there");
		if (unlink(path) != 0)
			return sys_refuse(why, path, "remove the old socket");
	}
	/* the mode of the unbound socket limits the file from its first moment; chmod then undoes the umask */
	if (fchmod(fd, mode) != 0 || bind(fd, (const struct sockaddr *)&at, sizeof(at)) != 0 || chmod(path, mode) != 0 ||
	    listen(fd, IPC_BACKLOG) != 0)
		return sys_refuse(why, path, "listen");
	*ret_fd = fd;
	fd = -1;
	return 0;
}

int ipc_connect(const char *path, int *ret_fd, struct refusal *why)
{
	struct sockaddr_un at;
	int                r = address_make(path, &at, why);
	if (r != 0)
		return r;
	/* completes at once or fails; a listener that hangs with a full backlog would hold up a blocking one for ever */
	_cleanup_fd_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return sys_refuse(why, path, "make a socket");
	if (connect(fd, (const struct sockaddr *)&at, sizeof(at)) != 0) {
		int cause = errno;
		r = refuse(why, E_SYS_CLOSED, path, "cannot connect: %s", strerror(cause));
		fd_close(fd);
		fd = -1;
		errno = cause;
		return r;
	}
	*ret_fd = fd;
	fd = -1;
	return 0;
}

int ipc_peer_check(int fd, uid_t also, uid_t *ret_uid)
{
	struct ucred peer;
	socklen_t    n = sizeof(peer);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) != 0)
		return E_SYS_PEER_UID;
	if (peer.uid != 0 && peer.uid != geteuid() && (also == (uid_t)-1 || peer.uid != also))
		return E_SYS_PEER_UID;
	*ret_uid = peer.uid;
	return 0;
}

/* ---- frames without a loop ---------------------------------------------------------------------------------------- */

static int wait_for(int fd, short events, int64_t until)
{
	for (;;) {
		int64_t left = until - clock_monotonic();
		if (left <= 0)
			return E_SYS_TIMEOUT;
		struct pollfd p = {.fd = fd, .events = events};
		int           r = poll(&p, 1, left > 60000 ? 60000 : (int)left);
		if (r > 0)
			return 0;
		if (r < 0 && errno != EINTR)
			return E_SYS_IO;
	}
}

/* send(2) spares us SIGPIPE, but the frames of `join` go through pipes. */
static ssize_t put_some(int fd, const uint8_t *p, size_t n)
{
	ssize_t put = send(fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (put < 0 && errno == ENOTSOCK)
		put = write(fd, p, n);
	return put;
}

static int put_all(int fd, const uint8_t *p, size_t n, int64_t until)
{
	while (n > 0) {
		int r = wait_for(fd, POLLOUT, until);
		if (r != 0)
			return r;
		ssize_t put = put_some(fd, p, n);
		if (put < 0) {
			if (errno == EAGAIN || errno == EINTR)
				continue;
			return errno == EPIPE || errno == ECONNRESET ? E_SYS_CLOSED : E_SYS_IO;
		}
		p += put;
		n -= (size_t)put;
	}
	return 0;
}

int ipc_write(int fd, struct span frame, int64_t timeout_ms)
{
	if (frame.n > IPC_FRAME_MAX)
		return E_FULL;
	int64_t until = clock_monotonic() + timeout_ms;
	uint8_t head[IPC_HEAD];
	be_put(head, frame.n, sizeof(head));
	int r = put_all(fd, head, sizeof(head), until);
	return r != 0 ? r : put_all(fd, frame.p, frame.n, until);
}

static int get_all(int fd, uint8_t *p, size_t n, int64_t until, bool at_start)
{
	for (size_t got = 0; got < n;) {
		int r = wait_for(fd, POLLIN, until);
		if (r != 0)
			return r;
		ssize_t more = read(fd, p + got, n - got);
		if (more < 0) {
			if (errno == EAGAIN || errno == EINTR)
				continue;
			return errno == ECONNRESET ? E_SYS_CLOSED : E_SYS_IO;
		}
		if (more == 0)
			return at_start && got == 0 ? E_SYS_CLOSED : E_SYS_IO;
		got += (size_t)more;
	}
	return 0;
}

int ipc_read(int fd, size_t limit, int64_t timeout_ms, struct buf *to)
{
	uint8_t head[IPC_HEAD];
	int64_t until = clock_monotonic() + timeout_ms;
	buf_reset(to);
	int r = get_all(fd, head, sizeof(head), until, true);
	if (r != 0)
		return r;
	size_t n = be_get(head, sizeof(head));
	if (n > limit || n > IPC_FRAME_MAX)
		return E_FULL;
	if (n == 0)
		return 0;
	uint8_t *room = buf_room(to, n);
	if (room == NULL)
		return buf_error(to);
	r = get_all(fd, room, n, until, false);
	if (r == 0)
		buf_used(to, n);
	return r;
}

int ipc_fill(int fd, struct buf *in)
{
	size_t room = in->max - in->n < IPC_READ_STEP ? in->max - in->n : IPC_READ_STEP;
	if (room == 0)
		return E_FULL;
	uint8_t *to = buf_room(in, room);
	if (to == NULL)
		return buf_error(in);
	struct pollfd p = {.fd = fd, .events = POLLIN};
	for (;;) {
		if (poll(&p, 1, 0) == 0)
			return E_SYS_AGAIN;
		ssize_t got = read(fd, to, room);
		if (got > 0) {
			buf_used(in, (size_t)got);
			return 0;
		}
		if (got == 0 || errno == ECONNRESET)
			return E_SYS_CLOSED;
		if (errno == EAGAIN)
			return E_SYS_AGAIN;
		if (errno != EINTR)
			return E_SYS_IO;
	}
}

int ipc_take(struct buf *in, size_t *at, size_t limit, struct span *ret)
{
	size_t left = in->n - *at;
	if (left < IPC_HEAD)
		return 0;
	size_t n = be_get(in->p + *at, IPC_HEAD);
	if (n > limit || n > IPC_FRAME_MAX)
		return E_FULL;
	if (left - IPC_HEAD < n)
		return 0;
	*ret = (struct span){in->p + *at + IPC_HEAD, n};
	*at += IPC_HEAD + n;
	return 1;
}

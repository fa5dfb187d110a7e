/* dialer_process.c - room agent/keeper: the process that connects and hands bytes on.
 * Never: reading what it hands on; a file; waiting for one connection while others wait. */
#include "agent/keeper/dialer_process.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "agent/keeper/dialer.h"
#include "shared/sys/clock.h"
#include "shared/sys/file.h"
#include "shared/sys/jail.h"
#include "shared/sys/log.h"
#include "shared/sys/tcp_to.h"

enum { CONTROL = 3, PIPE_SIZE = 4096 };

/* ---- one connection ---------------------------------------------------------------------------------------------- */

struct pipe {
	uint8_t b[PIPE_SIZE];
	size_t  at, n;
	bool    ended, passed_on; /* nothing more comes; the other side was told */
};

struct relay {
	int         local, tcp; /* local < 0 = free */
	bool        connecting;
	int64_t     until;
	struct pipe up, down; /* to the listener, from it */
};

static struct relay relays[DIALER_RELAYS_MAX];

static void relay_end(struct relay *r)
{
	fd_close(r->local);
	fd_close(r->tcp);
	r->local = r->tcp = -1;
}

/* The keeper's end has room: it is the first byte. */
static void relay_tell(struct relay *r, int error)
{
	uint8_t byte = (uint8_t)error;
	if (send(r->local, &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL) != 1 || error != 0)
		relay_end(r);
	else
		r->connecting = false;
}

static bool would_wait(ssize_t n)
{
	return n < 0 && (errno == EAGAIN || errno == EINTR);
}

/* Hands on what is there. False: one side is broken. */
static bool pump(struct pipe *p, int from, int to)
{
	if (p->n == 0 && !p->ended) {
		ssize_t n = recv(from, p->b, sizeof(p->b), MSG_DONTWAIT);
		if (n < 0 && !would_wait(n))
			return false;
		p->ended = n == 0;
		p->at = 0;
		p->n = n > 0 ? (size_t)n : 0;
	}
	if (p->n > 0) {
		ssize_t n = send(to, p->b + p->at, p->n, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && !would_wait(n))
			return false;
		p->at += n > 0 ? (size_t)n : 0;
		p->n -= n > 0 ? (size_t)n : 0;
	}
	if (p->ended && p->n == 0 && !p->passed_on)
		p->passed_on = shutdown(to, SHUT_WR) == 0 || errno == ENOTCONN;
	return true;
}

static int connect_end(int fd)
{
	int       error = 0;
	socklen_t n = sizeof(error);
	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) == 0 ? error : errno;
}

static void relay_turn(struct relay *r, short local, short tcp)
{
	bool gone = (local & (POLLHUP | POLLERR | POLLNVAL)) != 0; /* the keeper closed its end, and wants nothing more */
	if (r->connecting && tcp != 0)
		relay_tell(r, connect_end(r->tcp));
	if (r->local < 0 || r->connecting) {
		if (r->local >= 0 && gone)
			relay_end(r);
		return;
	}
	if (!pump(&r->up, r->local, r->tcp) || !pump(&r->down, r->tcp, r->local) || (r->up.passed_on && r->down.passed_on) || (gone && r->up.n == 0))
		relay_end(r);
}

static struct relay *relay_free(void)
{
	for (size_t i = 0; i < DIALER_RELAYS_MAX; i++)
		if (relays[i].local < 0)
			return &relays[i];
	return NULL;
}

static void relay_start(int local, const struct tcp_to *to)
{
	struct relay *r = relay_free();
	if (r == NULL) {
		fd_close(local);
		return;
	}
	*r = (struct relay){.local = local, .tcp = -1, .connecting = true, .until = clock_monotonic() + DIALER_LIFE_MS};
	int error = tcp_to_own(to, &r->tcp);
	if (error != 0)
		relay_tell(r, error);
}

/* ---- the process ------------------------------------------------------------------------------------------------- */

/* A request: the bytes of a socket address, and one descriptor. */
static int request_read(int control, struct tcp_to *ret, int *ret_fd)
{
	union {
		struct cmsghdr align;
		char           bytes[CMSG_SPACE(sizeof(int))];
	} room;
	struct iovec  part = {&ret->any, sizeof(ret->v6)};
	struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = room.bytes, .msg_controllen = sizeof(room.bytes)};
	ssize_t       n = recvmsg(control, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n <= 0)
		return would_wait(n) ? E_SYS_AGAIN : E_SYS_CLOSED;
	const struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	bool                  fits = (ret->any.sa_family == AF_INET && (size_t)n == sizeof(ret->v4)) ||
				     (ret->any.sa_family == AF_INET6 && (size_t)n == sizeof(ret->v6));
	size_t given = c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS ? (c->cmsg_len - CMSG_LEN(0)) / sizeof(int) : 0;
	for (size_t i = 0; i < given; i++) { /* the room has place for one more than is asked for */
		memcpy(ret_fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
		if (given != 1 || !fits)
			fd_close(*ret_fd);
	}
	ret->n = (socklen_t)n;
	return given == 1 && fits ? 0 : E_SYNTAX;
}

/* False when the keeper is gone. */
static bool requests_take(int control)
{
	struct tcp_to to;
	int           fd, r;
	while ((r = request_read(control, &to, &fd)) == 0 || r == E_SYNTAX)
		if (r == 0)
			relay_start(fd, &to);
	return r == E_SYS_AGAIN;
}

static short events_of(const struct pipe *in, const struct pipe *out)
{
	return (short)((in->n == 0 && !in->ended ? POLLIN : 0) | (out->n > 0 ? POLLOUT : 0));
}

/* What poll() shall watch. A side that nothing can be done for is left out, since its end would be told without end. */
static void relay_watch(const struct relay *r, struct pollfd ret[2])
{
	short local = r->connecting ? 0 : events_of(&r->up, &r->down), tcp = r->connecting ? POLLOUT : events_of(&r->down, &r->up);
	ret[0] = (struct pollfd){.fd = local == 0 && r->up.n > 0 ? -1 : r->local, .events = local};
	ret[1] = (struct pollfd){.fd = tcp == 0 ? -1 : r->tcp, .events = tcp};
}

static _Noreturn void dialer_run(int control)
{
	static struct pollfd  fds[1 + 2 * DIALER_RELAYS_MAX];
	static struct relay  *of[DIALER_RELAYS_MAX];
	for (size_t i = 0; i < DIALER_RELAYS_MAX; i++)
		relays[i].local = relays[i].tcp = -1;
	for (;;) {
		size_t n = 0;
		for (size_t i = 0; i < DIALER_RELAYS_MAX; i++)
			if (relays[i].local >= 0) {
				relay_watch(&relays[i], &fds[1 + 2 * n]);
				of[n++] = &relays[i];
			}
		fds[0] = (struct pollfd){.fd = control, .events = POLLIN};
		if (poll(fds, 1 + 2 * n, n > 0 ? 1000 : -1) < 0 && errno != EINTR)
			_exit(1);
		for (size_t i = 0; i < n; i++)
			if (clock_monotonic() >= of[i]->until)
				relay_end(of[i]);
			else
				relay_turn(of[i], fds[1 + 2 * i].revents, fds[2 + 2 * i].revents);
		if (fds[0].revents != 0 && !requests_take(control))
			_exit(0);
	}
}

_Noreturn void dialer_main(int control)
{
	struct refusal why = {.code = 0};
	uint8_t        ready = 1;
	(void)prctl(PR_SET_NAME, "vcc-dialer");
	/* it ends with the keeper, which may still have a handshake to finish */
	const int left_alone[] = {SIGTERM, SIGINT, SIGHUP, SIGPIPE};
	for (size_t i = 0; i < N_ELEMENTS(left_alone); i++)
		signal(left_alone[i], SIG_IGN);
	if (jail_enter(JAIL_DIALER, NULL, 0, &why) != 0) {
		log_refusal(LOG_LEVEL_ERROR, NULL, &why);
		_exit(1);
	}
	if (dup2(control, CONTROL) < 0 || close_range(CONTROL + 1, ~0U, 0) != 0 || send(CONTROL, &ready, 1, MSG_NOSIGNAL) != 1)
		_exit(1);
	dialer_run(CONTROL);
}

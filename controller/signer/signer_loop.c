/* signer_loop.c - room controller/signer: poll over the listener and at most CONNECTIONS controllers.
 * Never: opening anything. */
#include "controller/signer/signer_loop.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/base/times.h"
#include "shared/sys/clock.h"
#include "shared/sys/fault.h"
#include "shared/sys/file.h"
#include "shared/sys/ipc.h"
#include "shared/sys/log.h"
#include "shared/sys/notify.h"

enum { CONNECTIONS = 4 };

struct connection {
	int        fd; /* -1 = free */
	struct buf in, out;
};

struct loop {
	struct signer    *signer;
	struct serve     *serve;
	struct connection conn[CONNECTIONS];
	int64_t           watchdog_ms, watchdog_at;
};

static volatile sig_atomic_t stopping;

static void on_stop(int signal_number)
{
	(void)signal_number;
	stopping = 1;
}

void signer_signals(void)
{
	struct sigaction stop = {.sa_handler = on_stop};
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	sigset_t         set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGPIPE, &ignore, NULL);
}

static void connection_close(struct connection *c)
{
	fd_close(c->fd);
	c->fd = -1;
	buf_free(&c->in);
	buf_free(&c->out);
}

static void connection_drop(struct connection *c, int code)
{
	if (code != E_SYS_CLOSED)
		log_line(LOG_LEVEL_WARNING, NULL, "controller disconnected: %s", err_what(code));
	connection_close(c);
}

static struct connection *connection_free(struct loop *l)
{
	for (size_t i = 0; i < CONNECTIONS; i++)
		if (l->conn[i].fd < 0)
			return &l->conn[i];
	return NULL;
}

static void accept_one(struct loop *l, int listen_fd, uid_t also)
{
	struct connection *c = connection_free(l);
	uid_t              uid = (uid_t)-1;
	int                fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	int r = ipc_peer_check(fd, also, &uid);
	if (r < 0 || c == NULL) {
		log_line(LOG_LEVEL_WARNING, NULL, "connection refused: %s", r < 0 ? err_what(r) : "too many controllers");
		fd_close(fd);
		return;
	}
	*c = (struct connection){.fd = fd, .in.max = SERVE_IN_MAX, .out.max = SERVE_OUT_MAX};
	r = serve_hello(l->serve, &c->out);
	if (r < 0)
		connection_drop(c, r);
	else
		log_line(LOG_LEVEL_INFO, NULL, "controller connected (uid %u)", (unsigned)uid);
}

/* Sends what can be sent now. */
static int flush(struct connection *c)
{
	while (c->out.n > 0) {
		ssize_t put = send(c->fd, c->out.p, c->out.n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return errno == EAGAIN ? 0 : E_SYS_CLOSED;
		buf_drop_front(&c->out, (size_t)put);
	}
	return 0;
}

static void watchdog(struct loop *l)
{
	int64_t now = clock_monotonic();
	if (l->watchdog_ms > 0 && now >= l->watchdog_at) {
		notify_send("WATCHDOG=1");
		l->watchdog_at = now + l->watchdog_ms;
	}
}

/* Batches until nothing is waiting or the peer reads too slowly; more input is fetched between batches, so that a batch
 * grows with the load. E_SYS_IO means the end of the process. */
static int serve_all(struct loop *l, struct connection *c)
{
	size_t done = 1;

	while (done > 0 && c->out.n == 0) {
		watchdog(l); /* with a slow token this lasts */
		int filled = ipc_fill(c->fd, &c->in);
		if (filled < 0 && filled != E_SYS_AGAIN && filled != E_FULL)
			return filled == E_SYS_IO ? E_SYS_CLOSED : filled;
		int r = serve_batch(l->serve, &c->in, clock_now(), clock_monotonic(), &c->out, &done);
		if (r < 0)
			return r;
		r = flush(c);
		if (r < 0)
			return r;
		if (done > 0 && fault_point("signer.answered") != 0)
			return E_SYS_IO;
		if (hsm_is_lost(l->signer->hsm, NULL))
			return E_SIGNER_TOKEN; /* everybody was told to ask again: of the next process */
		if (done == 0 && filled == 0)
			done = 1; /* half a frame came: look for its rest */
	}
	return 0;
}

static int serve_connection(struct loop *l, struct connection *c, short events)
{
	int r = 0;

	if ((events & POLLOUT) != 0)
		r = flush(c);
	if (r == 0) /* also after POLLOUT: whole frames may have been waiting here for the peer to read */
		r = serve_all(l, c);
	if (r == E_SYS_IO || r == E_SIGNER_TOKEN)
		return r;
	if (r < 0)
		connection_drop(c, r);
	return 0;
}

static int turn(struct loop *l, int listen_fd, uid_t also, const sigset_t *waiting)
{
	struct pollfd   p[CONNECTIONS + 1] = {{.fd = listen_fd, .events = POLLIN}};
	int64_t         wait = l->watchdog_ms > 0 ? l->watchdog_ms / 2 + 1 : 60 * MS_SECOND;
	struct timespec timeout = {.tv_sec = wait / 1000, .tv_nsec = wait % 1000 * 1000000};

	for (size_t i = 0; i < CONNECTIONS; i++) /* a peer that does not read is not read from */
		p[i + 1] = (struct pollfd){.fd = l->conn[i].fd, .events = l->conn[i].out.n > 0 ? POLLOUT : POLLIN};
	int n = ppoll(p, CONNECTIONS + 1, &timeout, waiting);
	if (n < 0 && errno != EINTR)
		return E_SYS_IO;
	watchdog(l);
	if (n <= 0)
		return 0;
	for (size_t i = 0; i < CONNECTIONS; i++) {
		int r = l->conn[i].fd >= 0 && p[i + 1].revents != 0 ? serve_connection(l, &l->conn[i], p[i + 1].revents) : 0;
		if (r < 0)
			return r;
	}
	if (p[0].revents != 0)
		accept_one(l, listen_fd, also);
	int r = sign_log_tidy(l->signer->log, clock_now());
	if (r < 0)
		log_line(LOG_LEVEL_WARNING, NULL, "the signing log cannot be rotated: %s; tried again in a minute", err_what(r));
	return 0;
}

int signer_loop(struct signer *s, int listen_fd, uid_t also)
{
	struct loop l = {.signer = s, .watchdog_ms = notify_watchdog_ms()};
	sigset_t    waiting;

	for (size_t i = 0; i < CONNECTIONS; i++)
		l.conn[i].fd = -1;
	sigprocmask(SIG_BLOCK, NULL, &waiting);
	sigdelset(&waiting, SIGTERM);
	sigdelset(&waiting, SIGINT);
	int r = serve_new(s, &l.serve);
	while (r == 0 && !stopping)
		r = turn(&l, listen_fd, also, &waiting);
	for (size_t i = 0; i < CONNECTIONS; i++)
		if (l.conn[i].fd >= 0)
			connection_close(&l.conn[i]);
	serve_free(l.serve);
	return r;
}

/* listen_fds.c - room shared/sys: sockets that systemd opened for us (sd_listen_fds(3)), without libsystemd.
 * Never: closing a socket that nobody asked for. */
#include "shared/sys/listen_fds.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "shared/base/text.h"

enum { LISTEN_FDS_FIRST = 3, LISTEN_FDS_MAX = 16 };

static int listen_fds_count(void)
{
	const char *pid_text = getenv("LISTEN_PID");
	const char *n_text = getenv("LISTEN_FDS");
	int64_t     pid;
	int64_t     n;
	if (pid_text == NULL || n_text == NULL || text_i64(pid_text, 1, INT32_MAX, &pid) != 0 || pid != getpid())
		return 0;
	return text_i64(n_text, 0, LISTEN_FDS_MAX, &n) == 0 ? (int)n : 0;
}

int listen_fds_take(bool (*fits)(const struct sockaddr *at, socklen_t n, const void *ctx), const void *ctx)
{
	int n = listen_fds_count();
	for (int fd = LISTEN_FDS_FIRST; fd < LISTEN_FDS_FIRST + n; fd++) {
		struct sockaddr_storage at = {0};
		socklen_t               len = sizeof(at);
		int                     listening = 0;
		socklen_t               size = sizeof(listening);
		if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0 || !listening ||
		    getsockname(fd, (struct sockaddr *)&at, &len) != 0 || !fits((const struct sockaddr *)&at, len, ctx))
			continue;
		int flags = fcntl(fd, F_GETFL);
		if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
			continue;
		return fd;
	}
	return -1;
}

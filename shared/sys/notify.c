/* notify.c - room shared/sys: the sd_notify datagram, sent without libsystemd.
 * Never: waiting. */
#include "shared/sys/notify.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "shared/base/text.h"

static int notify_socket = -1;

/* A path, or "@name" for the abstract namespace (sd_notify(3)). */
static int notify_connect(const char *where)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	size_t             n = strlen(where);
	if (n < 2 || n >= sizeof(to.sun_path) || (where[0] != '/' && where[0] != '@'))
		return -1;
	memcpy(to.sun_path, where, n);
	if (where[0] == '@')
		to.sun_path[0] = '\0';

	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&to, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) != 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static bool notify_is_open(void)
{
	const char *where = notify_socket < 0 ? getenv("NOTIFY_SOCKET") : NULL;
	if (where != NULL)
		notify_socket = notify_connect(where);
	return notify_socket >= 0;
}

void notify_send(const char *state)
{
	if (notify_is_open()) {
		ssize_t ignored = send(notify_socket, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT);
		(void)ignored;
	}
}

void notify_keep_socket(int fd)
{
	static char text[] = "FDSTORE=1\nFDNAME=listener";
	union {
		struct cmsghdr align;
		char           bytes[CMSG_SPACE(sizeof(int))];
	} control = {.bytes = {0}};
	struct iovec  part = {.iov_base = text, .iov_len = sizeof(text) - 1};
	struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)};
	if (!notify_is_open())
		return;
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	ssize_t ignored = sendmsg(notify_socket, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	(void)ignored;
}

int64_t notify_watchdog_ms(void)
{
	const char *usec = getenv("WATCHDOG_USEC");
	const char *pid = getenv("WATCHDOG_PID");
	int64_t     value = 0;
	int64_t     owner = 0;
	if (usec == NULL || text_i64(usec, 1, INT64_MAX / 2, &value) != 0)
		return 0;
	if (pid != NULL && (text_i64(pid, 1, INT32_MAX, &owner) != 0 || owner != getpid()))
		return 0;
	return value / 2000;
}

/* tcp_to.c - room shared/sys: where a TCP connection goes to, and connections that stay on this host. */
#include "shared/sys/tcp_to.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>

#include "shared/sys/file.h"

int tcp_to(const char *host, uint16_t port, struct tcp_to *ret)
{
	struct tcp_to to = {.v6 = {.sin6_family = AF_UNSPEC}};
	if (inet_pton(AF_INET, host, &to.v4.sin_addr) == 1) {
		to.v4.sin_family = AF_INET;
		to.v4.sin_port = htons(port);
		to.n = sizeof(to.v4);
	} else if (inet_pton(AF_INET6, host, &to.v6.sin6_addr) == 1) {
		to.v6.sin6_family = AF_INET6;
		to.v6.sin6_port = htons(port);
		to.n = sizeof(to.v6);
	} else {
		return E_SYS_ADDRESS;
	}
	*ret = to;
	return 0;
}

/* Binding to the listener's own address first proves that it is one of this host's: nothing ever leaves it. */
static int bind_to_own(int fd, const struct tcp_to *to)
{
	struct tcp_to from = *to;
	if (to->any.sa_family == AF_INET6)
		from.v6.sin6_port = 0;
	else
		from.v4.sin_port = 0;
	return bind(fd, &from.any, from.n) == 0 ? 0 : errno;
}

int tcp_to_own(const struct tcp_to *to, int *ret_fd)
{
	int one = 1;
	int fd = socket(to->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return errno;
	(void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	int error = bind_to_own(fd, to);
	if (error == 0 && connect(fd, &to->any, to->n) != 0 && errno != EINPROGRESS)
		error = errno;
	if (error != 0) {
		fd_close(fd);
		return error;
	}
	*ret_fd = fd;
	return 0;
}

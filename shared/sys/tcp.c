/* tcp.c - room shared/sys: listening TCP sockets for servers that accept themselves.
 * Never: connecting, TLS. */
#include "shared/sys/tcp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/base/text.h"
#include "shared/sys/file.h"
#include "shared/sys/listen_fds.h"

int tcp_split(const char *address, char ret_host[TCP_HOST_SIZE], uint16_t *ret_port)
{
	return text_host_port(address, ret_host, TCP_HOST_SIZE, ret_port) == 0 ? 0 : E_SYS_ADDRESS;
}

static uint16_t sockaddr_port(const struct sockaddr *a)
{
	if (a->sa_family == AF_INET)
		return ntohs(((const struct sockaddr_in *)(const void *)a)->sin_port);
	if (a->sa_family == AF_INET6)
		return ntohs(((const struct sockaddr_in6 *)(const void *)a)->sin6_port);
	return 0;
}

static void sockaddr_text(const struct sockaddr_storage *a, char ret[TCP_ADDRESS_SIZE])
{
	char                       host[INET6_ADDRSTRLEN] = "";
	const struct sockaddr_in  *v4 = (const void *)a;
	const struct sockaddr_in6 *v6 = (const void *)a;
	ret[0] = '\0';
	if (a->ss_family == AF_INET && inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host)) != NULL)
		snprintf(ret, TCP_ADDRESS_SIZE, "%s:%u", host, ntohs(v4->sin_port));
	else if (a->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr) &&
	         inet_ntop(AF_INET, v6->sin6_addr.s6_addr + 12, host, sizeof(host)) != NULL)
		snprintf(ret, TCP_ADDRESS_SIZE, "%s:%u", host, ntohs(v6->sin6_port));
	else if (a->ss_family == AF_INET6 && inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host)) != NULL)
		snprintf(ret, TCP_ADDRESS_SIZE, "[%s]:%u", host, ntohs(v6->sin6_port));
}

void tcp_peer(int fd, char ret[TCP_ADDRESS_SIZE])
{
	struct sockaddr_storage at = {0};
	socklen_t               n = sizeof(at);
	ret[0] = '\0';
	if (getpeername(fd, (struct sockaddr *)&at, &n) == 0)
		sockaddr_text(&at, ret);
}

static bool port_fits(const struct sockaddr *at, socklen_t n, const void *ctx)
{
	const uint16_t *port = ctx;
	(void)n;
	return *port != 0 && sockaddr_port(at) == *port;
}

static int listener_open(const struct addrinfo *a, int backlog)
{
	int on = 1;
	int off = 0;
	int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (a->ai_family == AF_INET6) /* "[::]:port" serves both families */
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0 || bind(fd, a->ai_addr, a->ai_addrlen) != 0 ||
	    listen(fd, backlog) != 0) {
		fd_close(fd);
		return -1;
	}
	return fd;
}

static int listener_find(const char *host, uint16_t port, int backlog)
{
	const struct addrinfo wanted = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
	struct addrinfo      *list = NULL;
	char                  service[8];
	snprintf(service, sizeof(service), "%u", port);
	if (getaddrinfo(host[0] != '\0' ? host : NULL, service, &wanted, &list) != 0) {
		errno = EADDRNOTAVAIL;
		return -1;
	}
	int fd = -1;
	/* "all addresses" gives 0.0.0.0 and [::]: the second serves both, where the host has IPv6 */
	for (int pass = 0; pass < 2 && fd < 0; pass++)
		for (const struct addrinfo *a = list; a != NULL && fd < 0; a = a->ai_next)
			if ((host[0] == '\0' && a->ai_family == AF_INET6) == (pass == 0) || host[0] != '\0')
				fd = listener_open(a, backlog);
	int saved = errno;
	freeaddrinfo(list);
	errno = saved;
	return fd;
}

int tcp_listen(const char *address, int backlog, int *ret_fd, char ret_bound[TCP_ADDRESS_SIZE], struct refusal *why)
{
	char     host[TCP_HOST_SIZE];
	uint16_t port;
	if (tcp_split(address, host, &port) != 0)
		return refuse(why, E_SYS_ADDRESS, address, "not of the form host:port or [ipv6]:port");

	int fd = listen_fds_take(port_fits, &port);
	if (fd < 0)
		fd = listener_find(host, port, backlog);
	if (fd < 0)
		return refuse(why, E_SYS_ADDRESS, address, "cannot listen: %s", strerror(errno));

	struct sockaddr_storage at = {0};
	socklen_t               n = sizeof(at);
	if (getsockname(fd, (struct sockaddr *)&at, &n) != 0) {
		fd_close(fd);
		return refuse(why, E_SYS_ADDRESS, address, "cannot read the bound address");
	}
	sockaddr_text(&at, ret_bound);
	*ret_fd = fd;
	return 0;
}

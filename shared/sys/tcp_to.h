/* tcp_to.h - room shared/sys: where a TCP connection goes to, and connections that stay on this host.
 * Never: names (somebody else would choose the address), waiting. */
#ifndef VCC_TCP_TO_H
#define VCC_TCP_TO_H

#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>

#include "shared/base/err.h"

struct tcp_to {
	union {
		struct sockaddr     any;
		struct sockaddr_in  v4;
		struct sockaddr_in6 v6;
	};
	socklen_t n; /* bytes of it */
};

/* A literal address, IPv6 without brackets. A scope behind '%' stays unread: a link-local address is nobody's service. E_SYS_ADDRESS. */
_must_check_ int tcp_to(const char *host, uint16_t port, struct tcp_to *ret);

/* Starts a connection: non-blocking, close-on-exec, without Nagle's delay. 0, or the errno of what failed; EADDRNOTAVAIL: not an address of this
 * host, or it has no port left; nothing was sent. */
_must_check_ int tcp_to_own(const struct tcp_to *to, int *ret_fd);

#endif

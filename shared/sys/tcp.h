/* tcp.h - room shared/sys: listening TCP sockets for servers that accept themselves.
 * Never: connecting, TLS. */
#ifndef VCC_TCP_H
#define VCC_TCP_H

#include <stdint.h>

#include "shared/base/err.h"

enum { TCP_ADDRESS_SIZE = 72, TCP_HOST_SIZE = 64 };

/* "host:port", "[v6]:port", ":port" or "*:port" (all addresses). `ret_host` without brackets, "" for all. E_SYS_ADDRESS. */
_must_check_ int tcp_split(const char *address, char ret_host[TCP_HOST_SIZE], uint16_t *ret_port);

/* Binds and listens: SO_REUSEADDR, SO_REUSEPORT (several processes share one port), non-blocking, close-on-exec. Port 0 lets
 * the kernel choose. A socket that systemd passed (LISTEN_FDS) with the wanted port is taken instead of a new one. `ret_bound` is the address as
 * bound. E_SYS_ADDRESS. */
_must_check_ int tcp_listen(const char *address, int backlog, int *ret_fd, char ret_bound[TCP_ADDRESS_SIZE], struct refusal *why);

/* "192.0.2.1:443" or "[2001:db8::1]:443" of the other end; "" when it is not TCP. */
void tcp_peer(int fd, char ret[TCP_ADDRESS_SIZE]);

#endif

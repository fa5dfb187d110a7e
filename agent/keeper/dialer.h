/* dialer.h - room agent/keeper: the only way from the keeper to a listener: a process beside it, which connects to addresses of this host and hands
 * bytes on. It holds nothing; the keeper, which holds keys, cannot make a socket of the internet, nor turn one that it was given to another place.
 * Never: a connection to another host: the dialer binds to the address first. */
#ifndef VCC_DIALER_H
#define VCC_DIALER_H

#include <sys/socket.h>

#include "shared/base/err.h"

enum { DIALER_RELAYS_MAX = 256, DIALER_LIFE_MS = 15 * 1000 };

/* Before threads, keys and the keeper's lock-in: the process locks itself in and answers, or E_SYS_JAIL, E_SYS_IO. It ends when `*ret_fd` is closed
 * by everybody. What can be read there is its end. */
_must_check_ int dialer_start(int *ret_fd, struct refusal *why);

/* One connection, of DIALER_LIFE_MS at most. `*ret_fd`: a local stream, non-blocking; its first byte is 0 when the connection is there, else the errno
 * of the connection that failed (EADDRNOTAVAIL: not an address of this host), and the end. E_SYS_AGAIN: too many at once; E_SYS_IO: the dialer is
 * gone. */
_must_check_ int dialer_connect(int dialer, const struct sockaddr *to, socklen_t n, int *ret_fd);

#endif

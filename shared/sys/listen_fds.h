/* listen_fds.h - room shared/sys: sockets that systemd opened for us (sd_listen_fds(3)), without libsystemd.
 * Never: closing a socket that nobody asked for. */
#ifndef VCC_LISTEN_FDS_H
#define VCC_LISTEN_FDS_H

#include <stdbool.h>

#include <sys/socket.h>

/* Walks the passed sockets; `fits` sees each bound address. The first that fits is made non-blocking and close-on-exec and
 * returned; -1 = none. */
int listen_fds_take(bool (*fits)(const struct sockaddr *at, socklen_t n, const void *ctx), const void *ctx);

#endif

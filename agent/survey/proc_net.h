/* proc_net.h - room agent/survey: the listening TCP sockets of this network namespace, from /proc/net/tcp and tcp6.
 * Never: connecting, processes. */
#ifndef VCC_PROC_NET_H
#define VCC_PROC_NET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "shared/base/err.h"
#include "shared/model/names.h"

enum { LISTEN_SOCKETS_MAX = 1024 };

struct listen_socket {
	char     address[ADDRESS_SIZE]; /* as bound: "0.0.0.0:443", "[::]:443" */
	char     reach[ADDRESS_SIZE];   /* where it is asked: an address of this host */
	uint16_t port;
	uid_t    uid;   /* who opened it */
	uint64_t inode; /* names the socket among the descriptors of processes */
};

/* One line of /proc/net/tcp (`v6`: of tcp6). False: no listening socket, or not a line of that file. */
bool proc_net_line(const char *line, bool v6, struct listen_socket *ret);

/* All listening sockets, by port and address, each address once; at most `max`, and of one user but root half of that; `ret_more`
 * tells of the rest. E_SYS_IO. */
_must_check_ int proc_net_list(struct listen_socket *ret, size_t max, size_t *ret_n, size_t *ret_more, struct refusal *why);

#endif

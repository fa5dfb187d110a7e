/* fleet_real.h - the real hosts of a fleet: vcc-hook, vcc-keeper and vcc-agent as they are installed, and a TLS service that
 * they reload. What a host serves is what a handshake shows. Never: a host that outlives vcc-fleet. */
#ifndef VCC_FLEET_REAL_H
#define VCC_FLEET_REAL_H

#include <sys/types.h>

#include "shared/model/messages.h"
#include "tests/fleet/fleet_options.h"

enum { FLEET_REAL_MAX = 200, REAL_PROCESSES = 4 };

/* One member before its process has it. */
struct seat {
	char  name[AGENT_NAME_SIZE];
	char *token; /* NULL = it has joined */
	bool  real;
};

/* What the process that keeps the hosts has seen; read by the parent at any moment. */
struct real_seen {
	volatile uint64_t certificates; /* how often a handshake has shown another one than before */
	volatile int64_t  at;           /* the last time */
	volatile pid_t    pids[REAL_PROCESSES];
};
struct fleet_real {
	volatile int64_t joined, restarts;
	volatile int     failed;
	uint32_t         n;
	struct real_seen host[FLEET_REAL_MAX];
	uint64_t         marked[FLEET_REAL_MAX]; /* the parent's own */
};

/* Names of real hosts that have joined before, appended to `seats`. */
_must_check_ int real_find(int dir_fd, struct seat *seats, size_t *n, size_t max, struct refusal *why);

/* In a process of its own: starts `n` hosts, looks what they serve until `stop`, ends them. 0 or 1, for _exit(). */
int real_run(const struct fleet_options *o, const struct seat *seats, struct fleet_real *shared, struct hash *served,
	     const volatile int *stop);

#endif

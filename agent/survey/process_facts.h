/* process_facts.h - room agent/survey: which process holds a listening socket: program, user, systemd unit.
 * Never: another process's memory or descriptors beyond the names of the links in /proc. */
#ifndef VCC_PROCESS_FACTS_H
#define VCC_PROCESS_FACTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "shared/base/err.h"
#include "shared/model/inventory.h"

enum { PROCESS_EXE_SIZE = 256 };

struct process_facts {
	pid_t   pid; /* 0 = not found, or not ours to see */
	uid_t   uid;
	char    user[INVENTORY_USER_SIZE];
	char    program[INVENTORY_PROGRAM_SIZE]; /* the kernel's short name; `?` for what is not printable */
	char    exe[PROCESS_EXE_SIZE];           /* "" when it cannot be read */
	char    unit[INVENTORY_UNIT_SIZE];       /* "" = none */
	int64_t started;                         /* clock ticks since boot */
};

/* For each inode the oldest process that holds it, pid 1 only when nobody else does: a server's master is older than its
 * workers, and systemd keeps the sockets that it hands over. At most LISTEN_SOCKETS_MAX. */
_must_check_ int process_facts_find(const uint64_t *inodes, size_t n, struct process_facts *ret, struct refusal *why);

/* Facts of a process by its number. False: there is none. */
bool process_facts_of(pid_t pid, struct process_facts *ret);

/* Climbs from a worker to the master that started it: the parent as long as it is the same program in the same unit. */
void process_master(struct process_facts *p);

/* The service unit of a /proc/PID/cgroup file, "" when it is in none. */
void process_unit(const char *cgroup, char ret[INVENTORY_UNIT_SIZE]);
/* Field 22 of a /proc/PID/stat line; -1 when it is none. */
int64_t process_start(const char *stat_line);

#endif

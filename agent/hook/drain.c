/* drain.c - room agent/hook: processes of a service from before its last reload that still hold connections.
 * Never: the main process itself, a process that is not its descendant, one without a connection to a listener of the target.
 */
#include "agent/hook/drain.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/hook/main_process.h"
#include "agent/hook/pidfile.h"
#include "shared/base/text.h"
#include "shared/sys/clock.h"
#include "shared/sys/file.h"

enum {
	PROCESSES_MAX = 4096,
	DEPTH_MAX = 4,
	SOCKETS_MAX = 65536, /* beyond that the count is too low, not wrong */
	START_SLACK_MS = 20, /* start times are rounded down to a hundredth of a second */
	TCP_ESTABLISHED = 1,
};

struct scan {
	const struct reload_job *job;
	int64_t                  reloaded_ms;
	struct main_process      main;
	uint16_t                 ports[TARGET_LISTENERS_MAX];
	size_t                   n_ports;
	pid_t                    old[PROCESSES_MAX];
	int64_t                  started_ms[PROCESSES_MAX];
	size_t                   n_old;
	bool                     newer;   /* a descendant that is not old */
	uint64_t                *sockets; /* inodes of connections to the listeners, sorted */
	size_t                   n_sockets;
};

/* ---- processes --------------------------------------------------------------------------------------------------- */

static void process_take(struct scan *s, pid_t pid, unsigned depth);

/* Each thread lists the children that it forked. */
static void children_take(struct scan *s, pid_t pid, pid_t thread, unsigned depth)
{
	char path[96];
	int  child;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)thread);
	FILE *f = fopen(path, "re");
	while (f != NULL && fscanf(f, "%9d", &child) == 1)
		process_take(s, child, depth);
	if (f != NULL)
		fclose(f);
}

static void descendants_take(struct scan *s, pid_t pid, unsigned depth)
{
	char           path[64];
	struct dirent *e;
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	DIR *d = depth < DEPTH_MAX ? opendir(path) : NULL;
	while (d != NULL && (e = readdir(d)) != NULL) {
		int64_t thread;
		if (text_i64(e->d_name, 1, INT32_MAX, &thread) == 0)
			children_take(s, pid, (pid_t)thread, depth + 1);
	}
	if (d != NULL)
		closedir(d);
}

static void process_take(struct scan *s, pid_t pid, unsigned depth)
{
	struct process p;
	if (pid <= 1 || process_read(pid, &p) != 0)
		return;
	bool old = pid != s->main.current && p.started_ms + START_SLACK_MS < s->reloaded_ms;
	s->newer |= !old;
	if (old && s->n_old < PROCESSES_MAX) {
		s->started_ms[s->n_old] = p.started_ms;
		s->old[s->n_old++] = pid;
	}
	descendants_take(s, pid, depth);
}

/* ---- connections ------------------------------------------------------------------------------------------------- */

static void ports_take(struct scan *s)
{
	char        item[ADDRESS_SIZE];
	const char *cursor = s->job->target->connect;
	while (s->n_ports < N_ELEMENTS(s->ports) && text_item(&cursor, item, sizeof(item))) {
		const char *colon = strrchr(item, ':');
		int64_t     port;
		if (colon != NULL && text_i64(colon + 1, 1, UINT16_MAX, &port) == 0)
			s->ports[s->n_ports++] = (uint16_t)port;
	}
}

static bool port_ours(const struct scan *s, unsigned port)
{
	for (size_t i = 0; i < s->n_ports; i++)
		if (s->ports[i] == port)
			return true;
	return false;
}

/* In the network namespace of the service, which may be a container's. */
static void sockets_take(struct scan *s, const char *table)
{
	char path[64];
	char line[512];
	snprintf(path, sizeof(path), "/proc/%d/net/%s", (int)s->main.pid, table);
	FILE *f = fopen(path, "re");
	while (f != NULL && s->n_sockets < SOCKETS_MAX && fgets(line, sizeof(line), f) != NULL) {
		unsigned           port;
		unsigned           state;
		unsigned long long inode;
		/* sl local:port remote:port st queues timer retransmits uid timeout inode */
		if (sscanf(line, " %*u: %*[0-9A-Fa-f]:%4X %*[0-9A-Fa-f]:%*4X %2X %*s %*s %*s %*u %*u %llu", &port, &state,
			   &inode) == 3 &&
		    state == TCP_ESTABLISHED && inode != 0 && port_ours(s, port))
			s->sockets[s->n_sockets++] = inode;
	}
	if (f != NULL)
		fclose(f);
}

static int by_inode(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

static bool holds_connection(const struct scan *s, pid_t pid)
{
	char           path[64];
	char           link[64];
	struct dirent *e;
	bool           found = false;
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	DIR *d = opendir(path);
	while (d != NULL && !found && (e = readdir(d)) != NULL) {
		unsigned long long inode;
		uint64_t           key;
		ssize_t            n = readlinkat(dirfd(d), e->d_name, link, sizeof(link) - 1);
		if (n <= 0)
			continue;
		link[n] = '\0';
		if (sscanf(link, "socket:[%llu]", &inode) != 1)
			continue;
		key = inode;
		found = bsearch(&key, s->sockets, s->n_sockets, sizeof(key), by_inode) != NULL;
	}
	if (d != NULL)
		closedir(d);
	return found;
}

/* ---- judging ----------------------------------------------------------------------------------------------------- */

/* The descriptor is taken first, then everything is looked at again: the signal reaches the process that was judged, or none.
 */
static bool worker_end(const struct scan *s, size_t i)
{
	struct process   p;
	struct hk_reply  unheard = {.code = 0};
	_cleanup_fd_ int pidfd = (int)syscall(SYS_pidfd_open, s->old[i], 0);
	return pidfd >= 0 && process_read(s->old[i], &p) == 0 && p.started_ms == s->started_ms[i] &&
	       holds_connection(s, s->old[i]) && pidfd_signal(pidfd, s->old[i], SIGTERM, &unheard) == 0;
}

static void workers_judge(struct scan *s, bool end, struct hk_reply *ret)
{
	unsigned ended = 0;
	int64_t  now = clock_boot();
	for (size_t i = 0; i < s->n_old; i++) {
		if (!holds_connection(s, s->old[i]))
			continue;
		int64_t age = now - s->started_ms[i];
		ret->old_workers++;
		ret->oldest_ms = age > ret->oldest_ms ? age : ret->oldest_ms;
		if (end)
			ended += worker_end(s, i);
	}
	if (end)
		snprintf(ret->output, sizeof(ret->output), "%u of %u old workers were asked to end", ended,
			 (unsigned)ret->old_workers);
	else
		snprintf(ret->output, sizeof(ret->output), "%u old workers hold connections", (unsigned)ret->old_workers);
}

static int scan_do(struct scan *s, bool end, struct hk_reply *ret)
{
	descendants_take(s, s->main.pid, 0);
	/* A service without one newer process takes its files in place, or the time is wrong: nobody is old then. PostgreSQL's processes
	 * are connections, and there may be no new one. */
	if (!s->newer && s->job->target->reload != RELOAD_POSTGRESQL) {
		text_cut(ret->output, sizeof(ret->output), "no process of the service is newer than the reload");
		return end && s->n_old > 0 ? E_HOOK_DRAIN : 0;
	}
	ports_take(s);
	if (s->n_old > 0) {
		sockets_take(s, "tcp");
		sockets_take(s, "tcp6");
		qsort(s->sockets, s->n_sockets, sizeof(s->sockets[0]), by_inode);
	}
	workers_judge(s, end, ret);
	return 0;
}

int drain_workers(const struct reload_job *job, int64_t reloaded_ms, bool end, struct hk_reply *ret)
{
	if (!target_drains(job->target) || reloaded_ms <= 0 || reloaded_ms > clock_boot()) {
		text_cut(ret->output, sizeof(ret->output),
			 "the target file names no unit, pid file or listener, or there was no reload");
		return E_HOOK_DRAIN;
	}
	struct scan *s = calloc(1, sizeof(*s));
	uint64_t    *sockets = calloc(SOCKETS_MAX, sizeof(*sockets));
	int          r = E_NOMEM;
	if (s != NULL && sockets != NULL) {
		s->job = job;
		s->reloaded_ms = reloaded_ms;
		s->sockets = sockets;
		r = main_process_find(job, &s->main, ret);
		if (r == 0)
			r = scan_do(s, end, ret);
	}
	free(sockets);
	free(s);
	return r;
}

/* main.c - vcc-fleet: plays many agents with real keys, TLS, frames and decisions towards a real gateway, and reports what they saw.
 * One process for each share of the fleet; this one starts them, reports and ends them. Never: more than it was asked for, in
 * number, time or memory. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/base/text.h"
#include "shared/pki/token.h"
#include "shared/sys/clock.h"
#include "shared/sys/file.h"
#include "tests/fleet/fleet_part.h"
#include "tests/fleet/fleet_real.h"
#include "tests/fleet/fleet_sandbox.h"

enum { REPORT_MS = 500, END_MS = 30000, TOKENS_BYTES = FLEET_AGENTS_MAX * TOKEN_JOIN_SIZE };

struct shared {
	volatile int       stop;
	volatile int64_t   storm;
	struct fleet_count counts[FLEET_PROCESSES_MAX];
	struct fleet_real  real;
};

static volatile sig_atomic_t asked_end, asked_mark, asked_storm;

static void on_signal(int n)
{
	if (n == SIGUSR1)
		asked_mark = 1;
	else if (n == SIGUSR2)
		asked_storm = 1;
	else
		asked_end = 1;
}

static void signals(void)
{
	const struct sigaction act = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	const int              list[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2};
	for (size_t i = 0; i < N_ELEMENTS(list); i++)
		sigaction(list[i], &act, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
}

/* ---- who takes part ------------------------------------------------------------------------------------------------------------- */

static bool has_joined(char (*names)[AGENT_NAME_SIZE], size_t n, const char *name)
{
	return bsearch(name, names, n, sizeof(*names), (int (*)(const void *, const void *))strcmp) != NULL;
}

static int seats_from_tokens(const char *file, struct seat *seats, size_t *n, size_t max, struct refusal *why)
{
	char(*names)[AGENT_NAME_SIZE] = calloc(*n + 1, sizeof(*names));
	struct buf text = BUF_MAX(TOKENS_BYTES);
	char      *rest = NULL;
	uint8_t    seed[TOKEN_SECRET];
	size_t     joined = *n;
	if (names == NULL)
		return refuse(why, E_NOMEM, file, "out of memory");
	for (size_t i = 0; i < joined; i++)
		memcpy(names[i], seats[i].name, sizeof(names[i]));
	qsort(names, joined, sizeof(*names), (int (*)(const void *, const void *))strcmp);
	int r = file_read(AT_FDCWD, file, true, &text, why);
	buf_add_u8(&text, 0);
	for (char *line = r == 0 ? strtok_r((char *)text.p, "\r\n", &rest) : NULL; line != NULL && *n < max && r == 0; line = strtok_r(NULL, "\r\n", &rest)) {
		struct seat *s = &seats[*n];
		r = token_join_parse(line, seed, s->name);
		if (r != 0)
			r = refuse(why, r, file, "a line is no join token");
		else if (!has_joined(names, joined, s->name)) {
			s->token = strdup(line);
			(*n)++;
		}
	}
	secret_wipe(seed, sizeof(seed));
	buf_wipe(&text);
	free(names);
	return r;
}

static int seats_find(struct fleet_options *o, int dir_fd, struct seat **ret, struct refusal *why)
{
	char(*names)[AGENT_NAME_SIZE] = NULL;
	size_t       n = 0;
	struct seat *seats = calloc(o->agents, sizeof(*seats));
	int          r = seats != NULL ? keep_names(dir_fd, o->agents, &names, &n, why) : refuse(why, E_NOMEM, "fleet", "out of memory");
	for (size_t i = 0; r == 0 && i < n; i++)
		memcpy(seats[i].name, names[i], sizeof(names[i]));
	free(names);
	if (r == 0)
		r = real_find(dir_fd, seats, &n, o->agents, why);
	if (r == 0 && n < o->agents && o->sandbox != NULL)
		r = fleet_sandbox_invite(o, (uint32_t)n, why);
	if (r == 0 && n < o->agents && o->tokens != NULL)
		r = seats_from_tokens(o->tokens, seats, &n, o->agents, why);
	if (r == 0 && n < o->agents)
		r = refuse(why, E_RANGE, "--agents", "only %zu have joined or hold a token", n);
	*ret = seats;
	return r;
}

/* Simulated hosts first. Who has joined stays what it is. */
static int seats_part(struct fleet_options *o, struct seat *seats, uint32_t *ret_simulated, struct refusal *why)
{
	struct seat *parted = calloc(o->agents, sizeof(*parted));
	uint32_t     n = 0;
	if (parted == NULL)
		return refuse(why, E_NOMEM, "fleet", "out of memory");
	for (uint32_t i = 0; i < o->agents; i++)
		seats[i].real = seats[i].real || (seats[i].token != NULL && fleet_share_has(o->real_share, o->agents, i, 1));
	for (int real = 0; real < 2; real++) {
		for (uint32_t i = 0; i < o->agents; i++)
			if (seats[i].real == (real != 0))
				parted[n++] = seats[i];
		*ret_simulated = real == 0 ? n : *ret_simulated;
	}
	memcpy(seats, parted, o->agents * sizeof(*seats));
	free(parted);
	if (*ret_simulated < o->processes)
		return refuse(why, E_RANGE, "--real", "each process needs a simulated host");
	if (o->agents - *ret_simulated > FLEET_REAL_MAX)
		return refuse(why, E_RANGE, "--real", "%u hosts would be real; at most %d may be", o->agents - *ret_simulated, FLEET_REAL_MAX);
	return 0;
}

/* ---- one process ------------------------------------------------------------------------------------------------------------------ */

static int member_fill(struct fleet *f, struct member *m, const struct seat *seat, uint32_t index, struct refusal *why)
{
	const struct fleet_options *o = f->options;
	m->index = index;
	m->peer.fd = -1;
	m->last_id = (uint64_t)clock_now() << 16; /* above those of an earlier run */
	m->failing = fleet_share_has(o->fail_share, o->agents, index, 0);
	m->leaves = fleet_share_has(o->offline_share, o->agents, index, 3);
	m->slow = fleet_share_has(o->slow_share, o->agents, index, 5);
	m->skew_ms = o->skew_ms > 0 ? (int64_t)(fleet_random(f) % (uint64_t)(2 * o->skew_ms + 1)) - o->skew_ms : 0;
	m->receipts.last_seq = 0;
	entropy(&m->boot_id, sizeof(m->boot_id));
	memcpy(m->name, seat->name, sizeof(m->name));
	f->count->gauge[GAUGE_MEMBERS]++;
	m->state = seat->token != NULL ? MEMBER_NEW : MEMBER_AWAY;
	m->token = seat->token;
	int r = seat->token != NULL ? 0 : keep_load(f->dir_fd, m, why);
	f->count->gauge[GAUGE_STAGED] += m->stage_ready;
	f->served[index] = m->serves;
	return r;
}

static int process_prepare(struct fleet *f, const struct seat *seats, uint32_t p, struct refusal *why)
{
	const struct fleet_options *o = f->options;
	struct buf                  root = BUF_MAX(ROOTS_DER_MAX);
	f->n = (o->agents - p + o->processes - 1) / o->processes;
	f->members = calloc(f->n, sizeof(*f->members));
	f->heap = calloc(f->n, sizeof(struct member *));
	f->epoll = epoll_create1(EPOLL_CLOEXEC);
	f->out = (struct buf)BUF_MAX(FRAME_MAX);
	f->packet = (struct buf)BUF_MAX(FRAME_MAX + WS_HEAD_MAX);
	entropy(&f->random, sizeof(f->random));
	f->random |= 1;
	if (f->members == NULL || f->heap == NULL || f->epoll < 0)
		return refuse(why, E_NOMEM, "fleet", "out of memory or descriptors");
	int r = keep_root_load(f->dir_fd, &root, why);
	if (r == E_NOT_FOUND)
		r = o->has_pin ? 0 : refuse(why, r, o->state_dir, "nobody has joined here; --pin is needed");
	if (r == 0 && o->address != NULL && fleet_place_parse(o->address, &f->join_place) != 0)
		r = refuse(why, E_SYS_ADDRESS, o->address, "must be numeric HOST:PORT");
	if (r == 0)
		r = fleet_tls_new(buf_span(&root), o->pin, &f->tls, why);
	for (size_t i = 0; i < f->n && r == 0; i++) {
		uint32_t index = p + (uint32_t)i * o->processes;
		r = member_fill(f, &f->members[i], &seats[index], index, why);
	}
	buf_free(&root);
	return r;
}

static void process_end(struct fleet *f)
{
	struct refusal why;
	for (size_t i = 0; i < f->n; i++) {
		struct member *m = &f->members[i];
		if (m->state != MEMBER_NEW && m->state != MEMBER_JOINING && m->state != MEMBER_REFUSED && m->leaf != NULL)
			(void)keep_save(f->dir_fd, m, &why);
		fleet_peer_close(&m->peer);
		buf_free(&m->in);
		receipts_free(&m->receipts);
		buf_free(&m->request);
		key_free(m->service_key);
		key_free(m->stage_key);
		key_free(m->host_key);
		key_free(m->link_key);
		fleet_identity_free(m->identity);
		free(m->leaf);
		free(m->token);
	}
	free(f->members);
	free(f->heap);
	buf_free(&f->out);
	buf_free(&f->packet);
	fleet_tls_free(f->tls);
	fd_close(f->epoll);
}

static int process_run(const struct fleet_options *o, struct shared *shared, struct hash *served, const struct seat *seats, int dir_fd,
                       uint32_t p)
{
	struct refusal why = {.code = 0};
	char           text[640];
	struct fleet  *f = calloc(1, sizeof(*f));
	if (f == NULL)
		return 1;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	(void)signal(SIGINT, SIG_IGN); /* the parent says when */
	(void)signal(SIGTERM, SIG_IGN);
	f->options = o;
	f->count = &shared->counts[p];
	f->storm = &shared->storm;
	f->served = served;
	f->dir_fd = dir_fd;
	int r = process_prepare(f, seats, p, &why);
	if (r == 0)
		r = fleet_run(f, &shared->stop);
	if (r == E_NOMEM && why.code == 0)
		refuse(&why, r, "--memory", "process %u has grown to its limit", p);
	if (r != 0)
		fprintf(stderr, "vcc-fleet: %s\n", refusal_text(&why, text, sizeof(text)));
	process_end(f);
	free(f);
	return r == 0 ? 0 : 1;
}

static int real_process(const struct fleet_options *o, struct shared *shared, struct hash *served, const struct seat *seats)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGTERM, SIG_IGN);
	return real_run(o, seats + o->agents, &shared->real, served + o->agents, &shared->stop);
}

/* ---- the parent --------------------------------------------------------------------------------------------------------------------- */

static void mark(struct shared *shared, uint32_t processes)
{
	for (uint32_t i = 0; i < shared->real.n; i++)
		shared->real.marked[i] = shared->real.host[i].certificates;
	for (uint32_t p = 0; p < processes; p++) {
		struct fleet_count *c = &shared->counts[p];
		memset(c->tally, 0, sizeof(c->tally));
		memset(c->time, 0, sizeof(c->time));
		c->first_order_at = c->last_verified_at = c->last_settled_at = c->last_welcome_at = 0;
	}
}

static const char *seat_name(const void *ctx, uint32_t index)
{
	return ((const struct seat *)ctx)[index].name;
}

/* What is served first: who sees a report finds it at least as new. */
static void report(struct fleet_report *r, const struct fleet_options *o, const struct seat *seats, const char *phase)
{
	struct refusal why;
	char           text[640];
	r->phase = phase;
	r->now_at = clock_now();
	if (o->served != NULL && fleet_served_write(r, seat_name, seats, o->served, &why) != 0)
		fprintf(stderr, "vcc-fleet: %s\n", refusal_text(&why, text, sizeof(text)));
	if (o->json != NULL && fleet_report_write(r, o->json, &why) != 0)
		fprintf(stderr, "vcc-fleet: %s\n", refusal_text(&why, text, sizeof(text)));
}

/* True while all run; a process that ends by itself ends the fleet. */
static bool all_run(const pid_t *pids, uint32_t n, int *ret_status)
{
	bool all = true;
	for (uint32_t p = 0; p < n; p++) {
		int status;
		if (pids[p] > 0 && waitpid(pids[p], &status, WNOHANG) == pids[p]) {
			all = false;
			if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
				*ret_status = 1;
			((pid_t *)(uintptr_t)pids)[p] = 0;
		}
	}
	return all;
}

/* A service that has shown nothing else yet serves what it had. */
static int64_t real_ready(const struct fleet_real *real)
{
	int64_t ready = 0;
	for (uint32_t i = 0; i < real->n; i++)
		ready += real->host[i].certificates > 0;
	return ready;
}

static void watch(const struct fleet_options *o, struct shared *shared, struct fleet_report *r, const struct seat *seats, pid_t *pids,
                  int *status)
{
	int64_t begun = clock_monotonic();
	int64_t next = 0;
	bool    told = false;
	while (all_run(pids, o->processes + (shared->real.n > 0), status) && asked_end == 0) {
		int64_t ready = fleet_report_gauge(r, GAUGE_READY) + real_ready(&shared->real);
		if (asked_mark != 0) {
			asked_mark = 0;
			mark(shared, o->processes);
			r->marked_at = clock_now();
			next = 0;
		}
		if (asked_storm != 0 || (o->storm_ms > 0 && shared->storm == 0 && clock_monotonic() - begun >= o->storm_ms)) {
			asked_storm = 0;
			shared->storm++;
		}
		if (clock_monotonic() >= next) {
			next = clock_monotonic() + REPORT_MS;
			report(r, o, seats, ready < r->agents ? "joining" : "running");
		}
		if (!told && ready == r->agents) {
			told = true;
			printf("ready %lld\n", (long long)ready);
			fflush(stdout);
		}
		nanosleep(&(struct timespec){.tv_nsec = 20 * 1000000L}, NULL);
	}
}

/* `o`: of the simulated hosts alone; the first seats are theirs, `real` more follow. */
static int fleet_start(const struct fleet_options *o, const struct seat *seats, uint32_t real, int dir_fd)
{
	static pid_t   pids[FLEET_PROCESSES_MAX + 1]; /* the last is that of the real hosts, where there are any */
	pid_t          running[FLEET_PROCESSES_MAX + 1];
	uint32_t       processes = o->processes + (real > 0);
	int            status = 0;
	struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	size_t         served_size = (o->agents + real) * sizeof(struct hash);
	struct hash   *served = mmap(NULL, served_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED || served == MAP_FAILED)
		return 1;
	shared->real.n = real;
	for (uint32_t p = 0; p < processes; p++) {
		pids[p] = fork();
		if (pids[p] == 0)
			_exit(p < o->processes ? process_run(o, shared, served, seats, dir_fd, p) : real_process(o, shared, served, seats));
		if (pids[p] < 0) {
			perror("vcc-fleet: a process cannot be started");
			asked_end = status = 1;
		}
	}
	memcpy(running, pids, sizeof(running));
	struct fleet_report r = {
		.agents = o->agents + real, .processes = o->processes, .pids = pids, .counts = shared->counts, .real = &shared->real, .begun_at = clock_now(),
		.served = served,
	};
	r.marked_at = r.begun_at;
	watch(o, shared, &r, seats, running, &status);
	shared->stop = 1;
	for (uint32_t p = 0; p < processes; p++) {
		int     s = 0;
		int64_t end = clock_monotonic() + END_MS;
		while (running[p] > 0 && waitpid(running[p], &s, WNOHANG) == 0) {
			if (clock_monotonic() > end)
				kill(running[p], SIGKILL);
			nanosleep(&(struct timespec){.tv_nsec = 10 * 1000000L}, NULL);
		}
		if (running[p] > 0 && (!WIFEXITED(s) || WEXITSTATUS(s) != 0))
			status = 1;
	}
	report(&r, o, seats, "ended");
	munmap(served, served_size);
	munmap(shared, sizeof(*shared));
	return status;
}

int main(int argc, char **argv)
{
	static struct fleet_options o;
	struct refusal              why = {.code = 0};
	struct rlimit               files;
	char                        text[640];
	int                         dir_fd = -1, lock_fd = -1;
	uint32_t                    simulated = 0;
	struct seat                *seats = NULL;
	fleet_options_parse(argc, argv, &o);
	signals();
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	int r = keep_open(o.state_dir, &dir_fd, &why);
	if (r == 0)
		r = dir_lock(dir_fd, "lock", &lock_fd, &why);
	if (r == 0 && o.sandbox != NULL)
		r = fleet_sandbox_read(&o, &why);
	if (r == 0)
		r = seats_find(&o, dir_fd, &seats, &why);
	if (r == 0)
		r = seats_part(&o, seats, &simulated, &why);
	if (r == 0 && o.agents / o.processes + 64 > files.rlim_cur)
		r = refuse(&why, E_RANGE, "--processes", "a process may open only %llu files", (unsigned long long)files.rlim_cur);
	if (r != 0) {
		fprintf(stderr, "vcc-fleet: %s\n", refusal_text(&why, text, sizeof(text)));
		return 1;
	}
	uint32_t agents = o.agents;
	o.agents = simulated;
	int status = fleet_start(&o, seats, agents - simulated, dir_fd);
	for (uint32_t i = 0; i < agents; i++)
		free(seats[i].token);
	free(seats);
	fd_close(lock_fd);
	fd_close(dir_fd);
	return status;
}

/* fleet_loop.c - the loop of one process: connections by epoll, timers in a heap, joins in a bounded pipeline.
 * Never: waiting for one member while others have work. */
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#include "shared/sys/clock.h"
#include "shared/sys/file.h"
#include "tests/fleet/fleet_part.h"

enum { EVENTS = 256, HANDSHAKE_MS = 25 * 1000, TURN_MS = 100, SLOW_MS = 200, SLOW_BYTES = 1024 };

uint32_t fleet_random(struct fleet *f)
{
	f->random ^= f->random << 13; /* xorshift64: spreads load, keeps nothing secret */
	f->random ^= f->random >> 7;
	f->random ^= f->random << 17;
	return (uint32_t)(f->random >> 32);
}

/* ---- timers: a heap by each member's first ------------------------------------------------------------------------------------ */

static void heap_put(struct fleet *f, size_t i, struct member *m)
{
	f->heap[i] = m;
	m->heap_at = i;
}

static void heap_move(struct fleet *f, struct member *m)
{
	size_t i = m->heap_at;
	while (i > 0 && f->heap[(i - 1) / 2]->due_first > m->due_first) {
		heap_put(f, i, f->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	for (size_t child; (child = 2 * i + 1) < f->n_heap; i = child) {
		if (child + 1 < f->n_heap && f->heap[child + 1]->due_first < f->heap[child]->due_first)
			child++;
		if (f->heap[child]->due_first >= m->due_first)
			break;
		heap_put(f, i, f->heap[child]);
	}
	heap_put(f, i, m);
}

void fleet_timer(struct fleet *f, struct member *m, enum member_timer t, int64_t at)
{
	m->due[t] = at;
	int64_t first = TIME_NEVER;
	for (int i = 0; i < TIMER_COUNT; i++)
		first = m->due[i] < first ? m->due[i] : first;
	if (first == m->due_first)
		return;
	m->due_first = first;
	heap_move(f, m);
}

/* ---- connections --------------------------------------------------------------------------------------------------------------- */

void fleet_open(struct fleet *f, struct member *m)
{
	struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = m};
	(void)epoll_ctl(f->epoll, EPOLL_CTL_ADD, m->peer.fd, &e);
}

/* How long until the next try, or none. `code` 0: the plan says so, not the network. */
static int64_t next_connection(struct fleet *f, struct member *m, int code)
{
	if (m->leaves && m->ready) {
		m->leaves = false;
		m->state = MEMBER_OFFLINE;
		f->count->gauge[GAUGE_OFFLINE]++;
		return f->options->return_ms > 0 ? f->now + f->options->return_ms : TIME_NEVER;
	}
	int64_t most = code == E_LINK_REFUSED ? BACKOFF_REFUSED_MS : BACKOFF_AWAY_MS;
	return f->now + backoff_next(&m->backoff, most, fleet_random(f));
}

void fleet_lost(struct fleet *f, struct member *m, int code)
{
	bool was_open = m->state == MEMBER_OPEN;
	if (m->welcomed)
		f->count->gauge[GAUGE_CONNECTED]--;
	if (code != 0)
		f->count->tally[was_open ? TALLY_LOST : TALLY_CONNECT_FAILED]++;
	fleet_peer_close(&m->peer);
	buf_free(&m->in);
	m->welcomed = false;
	m->state = MEMBER_AWAY;
	fleet_timer(f, m, TIMER_SLOW, TIME_NEVER);
	fleet_timer(f, m, TIMER_CONNECT, next_connection(f, m, code));
}

static void connect_now(struct fleet *f, struct member *m)
{
	if (m->state == MEMBER_OFFLINE)
		f->count->gauge[GAUGE_OFFLINE]--;
	m->state = MEMBER_DIALING;
	m->begun_us = clock_monotonic_us();
	m->in = (struct buf)BUF_MAX(FRAME_MAX + WS_HEAD_MAX);
	fleet_timer(f, m, TIMER_CONNECT, f->now + HANDSHAKE_MS);
	int r = fleet_peer_open(&m->peer, f->tls, &m->place, m->index, m->identity);
	if (r != 0)
		fleet_lost(f, m, r);
	else
		fleet_open(f, m);
}

/* Whole messages are taken; the rest stays with the member. False = the connection is no more. */
static bool take_messages(struct fleet *f, struct member *m, struct span *in)
{
	int         opcode, r;
	struct span payload;
	while ((r = fleet_ws_next(in, FRAME_MAX, &opcode, &payload)) == 1) {
		if (opcode == WS_BINARY)
			member_frame(f, m, payload);
		else if (opcode == WS_PING)
			member_pong(f, m, payload);
		else if (opcode == WS_CLOSE)
			r = E_LINK_DOWN;
		if (r < 0 || m->state != MEMBER_OPEN)
			break;
	}
	if (m->state != MEMBER_OPEN)
		return false;
	if (r < 0)
		fleet_lost(f, m, r);
	return r >= 0;
}

static bool take_upgrade(struct fleet *f, struct member *m, struct span *in)
{
	size_t used = 0;
	int    r = fleet_ws_upgraded(*in, &used);
	if (r < 0) {
		fleet_lost(f, m, r);
		return false;
	}
	if (r == 1) {
		m->state = MEMBER_OPEN;
		in->p += used;
		in->n -= used;
		fleet_timer(f, m, TIMER_CONNECT, TIME_NEVER);
	}
	return true;
}

static bool take_bytes(struct fleet *f, struct member *m, size_t n)
{
	struct span in = {f->bytes, n};
	bool        kept = m->in.n > 0;
	if (kept) {
		buf_add(&m->in, f->bytes, n);
		if (buf_error(&m->in) != 0) {
			fleet_lost(f, m, E_WIRE_LIMIT);
			return false;
		}
		in = buf_span(&m->in);
	}
	if (m->state == MEMBER_UPGRADING && !take_upgrade(f, m, &in))
		return false;
	if (m->state == MEMBER_OPEN && !take_messages(f, m, &in))
		return false;
	if (kept)
		buf_drop_front(&m->in, m->in.n - in.n);
	else
		buf_add(&m->in, in.p, in.n);
	if (m->in.n == 0)
		buf_free(&m->in);
	return true;
}

static void read_some(struct fleet *f, struct member *m)
{
	for (;;) {
		int n = fleet_peer_read(&m->peer, f->bytes, m->slow ? SLOW_BYTES : sizeof(f->bytes));
		if (n < 0)
			fleet_lost(f, m, n);
		if (n <= 0 || !take_bytes(f, m, (size_t)n))
			return;
		if (m->slow) {
			fleet_timer(f, m, TIMER_SLOW, f->now + SLOW_MS);
			return;
		}
	}
}

static void turn(struct fleet *f, struct member *m)
{
	if (m->state == MEMBER_JOINING) {
		fleet_join_turn(f, m);
		return;
	}
	if (m->state == MEMBER_DIALING) {
		int r = fleet_peer_shake(&m->peer);
		if (r == 1)
			r = fleet_peer_write(&m->peer, span_text(fleet_ws_upgrade)) == 0 ? 1 : E_LINK_DOWN;
		if (r < 0)
			fleet_lost(f, m, r);
		if (r != 1)
			return;
		m->state = MEMBER_UPGRADING;
	}
	if (m->state != MEMBER_UPGRADING && m->state != MEMBER_OPEN)
		return;
	if (fleet_peer_flush(&m->peer) != 0)
		fleet_lost(f, m, E_LINK_DOWN);
	else if (m->due[TIMER_SLOW] == TIME_NEVER)
		read_some(f, m);
}

/* ---- the loop -------------------------------------------------------------------------------------------------------------------- */

static void connect_timer(struct fleet *f, struct member *m)
{
	if (m->state == MEMBER_NEW)
		return; /* the pipeline takes it when there is room */
	if (m->state == MEMBER_JOINING) {
		m->in.n = 0;
		fleet_peer_close(&m->peer);
		f->joining--;
		m->state = MEMBER_NEW;
		f->count->tally[TALLY_JOIN_AGAIN]++;
	} else if (m->state == MEMBER_AWAY || m->state == MEMBER_OFFLINE) {
		connect_now(f, m);
	} else {
		fleet_lost(f, m, E_LINK_DOWN);
	}
}

static void run_timers(struct fleet *f)
{
	while (f->n_heap > 0 && f->heap[0]->due_first <= f->now) {
		struct member *m = f->heap[0];
		for (int t = 0; t < TIMER_COUNT; t++) {
			if (m->due[t] > f->now)
				continue;
			fleet_timer(f, m, (enum member_timer)t, TIME_NEVER);
			if (t == TIMER_CONNECT)
				connect_timer(f, m);
			else if (t == TIMER_SLOW)
				read_some(f, m);
			else
				member_timer(f, m, (enum member_timer)t);
		}
	}
}

static void start_joins(struct fleet *f)
{
	size_t room = f->options->joins / f->options->processes;
	size_t looked = 0;
	while (f->joining < (room > 0 ? room : 1) && looked++ < f->n) {
		struct member *m = &f->members[f->next_new];
		f->next_new = (f->next_new + 1) % f->n;
		if (m->state == MEMBER_NEW && m->due[TIMER_CONNECT] == TIME_NEVER)
			fleet_join_begin(f, m);
	}
}

/* Power comes back everywhere at once. */
static void storm(struct fleet *f)
{
	if (*f->storm == f->storms_seen)
		return;
	f->storms_seen = *f->storm;
	for (size_t i = 0; i < f->n; i++)
		if (f->members[i].state == MEMBER_OPEN)
			fleet_lost(f, &f->members[i], 0);
}

static int memory_check(const struct fleet *f)
{
	struct rusage u;
	return getrusage(RUSAGE_SELF, &u) == 0 && u.ru_maxrss / 1024 > f->options->memory_mib ? E_NOMEM : 0;
}

static void begin(struct fleet *f)
{
	for (size_t i = 0; i < f->n; i++) {
		struct member *m = &f->members[i];
		m->backoff.spread_ms = f->options->spread_ms;
		m->due_first = TIME_NEVER;
		for (int t = 0; t < TIMER_COUNT; t++)
			m->due[t] = TIME_NEVER;
		heap_put(f, f->n_heap++, m);
		if (m->state == MEMBER_AWAY)
			fleet_timer(f, m, TIMER_CONNECT, f->now + (f->options->spread_ms > 0 ? (int64_t)(fleet_random(f) % (uint64_t)f->options->spread_ms) : 0));
	}
}

int fleet_run(struct fleet *f, volatile int *stop)
{
	struct epoll_event events[EVENTS];
	size_t             kept = fleet_tls_root(f->tls).n;
	int64_t            end = clock_steady() + f->options->for_ms;
	int                code = 0;
	f->now = clock_steady();
	begin(f);
	while (*stop == 0 && code == 0 && f->now < end) {
		int64_t first = f->n_heap > 0 ? f->heap[0]->due_first : TIME_NEVER;
		int64_t wait = first - f->now < TURN_MS ? first - f->now : TURN_MS;
		int     n = epoll_wait(f->epoll, events, EVENTS, wait > 0 ? (int)wait : 0);
		f->now = clock_steady();
		for (int i = 0; i < n; i++)
			turn(f, events[i].data.ptr);
		run_timers(f);
		start_joins(f);
		storm(f);
		struct span    roots = fleet_tls_root(f->tls);
		struct refusal why;
		if (roots.n > kept && keep_root_save(f->dir_fd, roots, &why) == 0)
			kept = roots.n;
		code = memory_check(f);
	}
	return code;
}

/* test_keeper_pipe.c - do frames pass in order and whole, however the socket cuts them, and is a stalled keeper noticed? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/link/keeper_pipe.h"
#include "shared/base/text.h"
#include "shared/sys/file.h"
#include "shared/sys/ipc.h"

static struct keeper_pipe p;
static int                other; /* the keeper's end */

static int setup(void **state)
{
	int pair[2];
	(void)state;
	keeper_pipe_init(&p);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	p.fd = pair[0];
	other = pair[1];
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	keeper_pipe_close(&p);
	fd_close(other);
	return 0;
}

static int send_state(int code)
{
	struct lk_state s = {.code = code};
	text_cut(s.text, sizeof(s.text), "why");
	return keeper_pipe_send(&p, LK_STATE, &s);
}

/* What the keeper reads next; its code. */
static int read_code(void)
{
	static struct wire_frame frame;
	struct buf               in = BUF_MAX(wire_link.frame_max);
	assert_int_equal(ipc_read(other, wire_link.frame_max, 5000, &in), 0);
	assert_int_equal(wire_decode(&wire_link, buf_span(&in), 0, &frame), 0);
	assert_int_equal(frame.type, LK_STATE);
	int code = frame.u.lk_state.code;
	buf_free(&in);
	return code;
}

static void messages_arrive_in_order(void **state)
{
	(void)state;
	for (int i = 1; i <= 100; i++)
		assert_int_equal(send_state(-i), 0);
	assert_int_equal(keeper_pipe_flush(&p), 0);
	for (int i = 1; i <= 100; i++)
		assert_int_equal(read_code(), -i);
}

static void nothing_is_sent_without_a_connection(void **state)
{
	struct keeper_pipe none;
	(void)state;
	keeper_pipe_init(&none);
	struct lk_state s = {.code = 1};
	assert_int_equal(keeper_pipe_send(&none, LK_STATE, &s), E_SYS_CLOSED);
	assert_int_equal(none.out.n, 0);
	keeper_pipe_close(&none);
}

static void nobody_listens(void **state)
{
	struct keeper_pipe none;
	struct refusal     why = {.code = 0};
	(void)state;
	keeper_pipe_init(&none);
	assert_int_equal(keeper_pipe_open(&none, "/nowhere/at/all.sock", &why), E_SYS_CLOSED);
	assert_int_equal(none.fd, -1);
	keeper_pipe_close(&none);
}

/* A keeper that does not read: bounded, and what was taken still arrives whole. */
static void a_stalled_keeper_fills_the_queue(void **state)
{
	static uint8_t  bytes[30000];
	struct lk_frame f = {.frame = {bytes, sizeof(bytes)}};
	size_t          taken = 0;
	int             r;
	(void)state;
	while ((r = keeper_pipe_send(&p, LK_FRAME, &f)) == 0) {
		taken++;
		assert_true(taken < 1000);
		assert_true(p.out.n <= PIPE_OUT_MAX);
	}
	assert_int_equal(r, E_FULL);
	size_t n = p.out.n;
	assert_int_equal(keeper_pipe_send(&p, LK_FRAME, &f), E_FULL);
	assert_int_equal(p.out.n, n); /* no piece of what did not fit */
	assert_int_equal(keeper_pipe_flush(&p), 1);

	struct buf in = BUF_MAX(wire_link.frame_max);
	for (size_t i = 0; i < taken; i++) {
		assert_int_equal(ipc_read(other, wire_link.frame_max, 5000, &in), 0);
		assert_true(keeper_pipe_flush(&p) >= 0);
	}
	buf_free(&in);
	assert_int_equal(keeper_pipe_flush(&p), 0);
	assert_int_equal(p.out.cap, 0); /* an idle link is small */
	assert_int_equal(send_state(-7), 0);
	assert_int_equal(keeper_pipe_flush(&p), 0);
	assert_int_equal(read_code(), -7);
}

/* Frames of the keeper as bytes on its socket. */
static void put_frames(struct buf *to, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t         byte = (uint8_t)i;
		struct lk_frame f = {.frame = {&byte, 1}};
		struct buf      one = BUF_MAX(1024);
		assert_int_equal(wire_encode(&wire_link, LK_FRAME, 0, &f, &one), 0);
		const uint8_t head[4] = {0, 0, (uint8_t)(one.n >> 8), (uint8_t)one.n};
		buf_add(to, head, sizeof(head));
		buf_add(to, one.p, one.n);
		buf_free(&one);
	}
}

static size_t take_frames(size_t expected)
{
	static struct wire_frame frame;
	size_t                   at = 0;
	int                      r;
	while ((r = keeper_pipe_next(&p, &at, &frame)) == 1) {
		assert_int_equal(frame.type, LK_FRAME);
		assert_int_equal(frame.u.lk_frame.frame.n, 1);
		assert_int_equal(frame.u.lk_frame.frame.p[0], expected);
		expected++;
	}
	assert_int_equal(r, 0);
	keeper_pipe_done(&p, at);
	return expected;
}

static void frames_come_whole_wherever_they_are_cut(void **state)
{
	(void)state;
	struct buf all = BUF_MAX(4096);
	put_frames(&all, 5);
	for (size_t cut = 0; cut <= all.n; cut++) {
		assert_int_equal(write(other, all.p, cut), (ssize_t)cut);
		int r = keeper_pipe_fill(&p);
		assert_int_equal(r, cut > 0 ? 0 : E_SYS_AGAIN);
		size_t got = take_frames(0);
		assert_int_equal(write(other, all.p + cut, all.n - cut), (ssize_t)(all.n - cut));
		r = keeper_pipe_fill(&p);
		assert_int_equal(r, cut < all.n ? 0 : E_SYS_AGAIN);
		assert_int_equal(take_frames(got), 5);
		assert_int_equal(p.in.n, 0);
	}
	buf_free(&all);
}

static void wrong_bytes_are_refused(void **state)
{
	static const uint8_t     long_frame[] = {0x00, 0xff, 0xff, 0xff, 1, 2, 3};
	static const uint8_t     garbage[] = {0, 0, 0, 4, 0xde, 0xad, 0xbe, 0xef};
	static struct wire_frame frame;
	size_t                   at = 0;
	(void)state;
	assert_int_equal(write(other, long_frame, sizeof(long_frame)), sizeof(long_frame));
	assert_int_equal(keeper_pipe_fill(&p), 0);
	assert_int_equal(keeper_pipe_next(&p, &at, &frame), E_FULL);
	keeper_pipe_done(&p, p.in.n);
	at = 0;
	assert_int_equal(write(other, garbage, sizeof(garbage)), sizeof(garbage));
	assert_int_equal(keeper_pipe_fill(&p), 0);
	assert_true(keeper_pipe_next(&p, &at, &frame) < 0);
}

static void the_keeper_goes_away(void **state)
{
	(void)state;
	fd_close(other);
	other = -1;
	assert_int_equal(keeper_pipe_fill(&p), E_SYS_CLOSED);
	assert_int_equal(send_state(1), 0);
	assert_int_equal(keeper_pipe_flush(&p), E_SYS_CLOSED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(messages_arrive_in_order, setup, teardown),
		cmocka_unit_test(nothing_is_sent_without_a_connection),
		cmocka_unit_test(nobody_listens),
		cmocka_unit_test_setup_teardown(a_stalled_keeper_fills_the_queue, setup, teardown),
		cmocka_unit_test_setup_teardown(frames_come_whole_wherever_they_are_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(wrong_bytes_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(the_keeper_goes_away, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_ipc.c - do frames arrive whole, in order and bounded, with and without a loop; are sockets made and matched right? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/base/text.h"
#include "shared/sys/file.h"
#include "shared/sys/ipc.h"
#include "shared/sys/notify.h"
#include "shared/sys/tcp.h"

enum { LONG_MS = 20000 };

static void pair(int fd[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
}

/* ---- without a loop ----------------------------------------------------------------------------------------------- */

static void reads_what_was_written(void **state)
{
	(void)state;
	int        fd[2];
	struct buf got = BUF_MAX(IPC_FRAME_MAX);
	pair(fd);
	assert_int_equal(ipc_write(fd[0], span_text("hello"), LONG_MS), 0);
	assert_int_equal(ipc_write(fd[0], (struct span){0}, LONG_MS), 0);
	assert_int_equal(ipc_read(fd[1], 100, LONG_MS, &got), 0);
	assert_true(span_equal(buf_span(&got), span_text("hello")));
	assert_int_equal(ipc_read(fd[1], 100, LONG_MS, &got), 0);
	assert_int_equal(got.n, 0);
	assert_int_equal(ipc_read(fd[1], 100, 20, &got), E_SYS_TIMEOUT);
	close(fd[0]);
	assert_int_equal(ipc_read(fd[1], 100, LONG_MS, &got), E_SYS_CLOSED);
	assert_int_equal(ipc_write(fd[1], span_text("x"), LONG_MS), E_SYS_CLOSED); /* and no SIGPIPE */
	close(fd[1]);
	buf_free(&got);
}

static void refuses_long_and_cut_frames(void **state)
{
	(void)state;
	int        fd[2];
	struct buf got = BUF_MAX(IPC_FRAME_MAX);
	pair(fd);
	assert_int_equal(ipc_write(fd[0], span_text("hello"), LONG_MS), 0);
	assert_int_equal(ipc_read(fd[1], 4, LONG_MS, &got), E_FULL);
	close(fd[0]);
	close(fd[1]);

	pair(fd);
	assert_int_equal(write(fd[0], "\xff\xff\xff\xff", 4), 4); /* 4 GiB announced: nothing is allocated for it */
	assert_int_equal(ipc_read(fd[1], (size_t)-1, LONG_MS, &got), E_FULL);
	assert_true(got.cap < 65536);
	close(fd[0]);
	close(fd[1]);

	pair(fd);
	assert_int_equal(write(fd[0], "\0\0\0\5he", 6), 6);
	close(fd[0]);
	assert_int_equal(ipc_read(fd[1], 100, LONG_MS, &got), E_SYS_IO);
	close(fd[1]);
	buf_free(&got);
}

static void takes_frames_from_any_split(void **state)
{
	(void)state;
	static const uint8_t stream[] = "\0\0\0\3one\0\0\0\0\0\0\0\5three";
	for (size_t cut = 0; cut < sizeof(stream) - 1; cut++) {
		int         fd[2];
		struct buf  in = BUF_MAX(256);
		struct span frame;
		size_t      at = 0;
		size_t      n = 0;
		pair(fd);
		const size_t parts[2] = {cut, sizeof(stream) - 1 - cut};
		for (int part = 0; part < 2; part++) {
			if (parts[part] == 0)
				continue;
			assert_int_equal(write(fd[0], stream + (part == 0 ? 0 : cut), parts[part]), (ssize_t)parts[part]);
			assert_int_equal(ipc_fill(fd[1], &in), 0);
			while (ipc_take(&in, &at, 5, &frame) == 1)
				n++;
		}
		assert_int_equal(n, 3);
		assert_true(span_equal(frame, span_text("three")));
		assert_int_equal(ipc_fill(fd[1], &in), E_SYS_AGAIN);
		close(fd[0]);
		assert_int_equal(ipc_fill(fd[1], &in), E_SYS_CLOSED);
		close(fd[1]);
		buf_free(&in);
	}
	struct buf  in = BUF_MAX(16);
	struct span frame;
	size_t      at = 0;
	buf_add(&in, "\0\0\0\6", 4);
	assert_int_equal(ipc_take(&in, &at, 5, &frame), E_FULL);
	buf_free(&in);
}

/* A hung process accepts nobody; whoever wants to speak to it must not hang with it. */
static void a_full_backlog_does_not_hold_up(void **state)
{
	(void)state;
	enum { TRIES = 16 };
	char               dir[] = "/tmp/vcc-ipc-XXXXXX";
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int                fd[TRIES];
	int                n = 0;
	int                r = 0;
	assert_non_null(mkdtemp(dir));
	snprintf(at.sun_path, sizeof(at.sun_path), "%s/s", dir);
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(listener, 1), 0);
	for (; n < TRIES && r == 0; n += r == 0)
		r = ipc_connect(at.sun_path, &fd[n], NULL);
	assert_int_equal(r, E_SYS_CLOSED);
	assert_true(n > 0);
	while (n > 0)
		close(fd[--n]);
	close(listener);
	unlink(at.sun_path);
	rmdir(dir);
}

/* ---- on a loop ----------------------------------------------------------------------------------------------------- */

struct end {
	struct ipc *ipc;
	uv_loop_t  *loop;
	size_t      frames;
	size_t      bytes;
	size_t      wanted; /* stop the loop at this many frames */
	int         closed;
	int         drained;
	bool        echo;
};

static void on_frame(void *ctx, struct span frame)
{
	struct end *e = ctx;
	e->frames++;
	e->bytes += frame.n;
	if (e->echo)
		assert_int_equal(ipc_send(e->ipc, frame), 0);
	if (e->frames == e->wanted)
		uv_stop(e->loop);
}

static void on_closed(void *ctx, int code)
{
	struct end *e = ctx;
	e->closed = code;
	uv_stop(e->loop);
}

static void on_drained(void *ctx)
{
	struct end *e = ctx;
	e->drained++;
}

static const struct ipc_events events = {on_frame, on_closed, on_drained};

static void open_end(uv_loop_t *loop, int fd, size_t out_max, struct end *e)
{
	e->loop = loop;
	assert_int_equal(ipc_open(loop, fd, out_max, &events, e, &e->ipc), 0);
}

static void loop_end(uv_loop_t *loop)
{
	uv_run(loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(loop), 0);
}

static void loop_carries_frames_both_ways(void **state)
{
	(void)state;
	uv_loop_t   loop;
	int         fd[2];
	struct end  a = {.wanted = 301};
	struct end  b = {.echo = true};
	static char big[IPC_FRAME_MAX];
	pair(fd);
	uv_loop_init(&loop);
	open_end(&loop, fd[0], 1 << 20, &a);
	open_end(&loop, fd[1], 4 << 20, &b);
	for (int i = 0; i < 300; i++)
		assert_int_equal(ipc_send(a.ipc, span_text("frame")), 0);
	assert_int_equal(ipc_queued(a.ipc), 300 * 9);
	uv_run(&loop, UV_RUN_NOWAIT);
	assert_int_equal(ipc_send(a.ipc, (struct span){(uint8_t *)big, sizeof(big)}), 0); /* one frame may exceed out_max */
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(a.frames, 301);
	assert_int_equal(a.bytes, 300 * 5 + sizeof(big));
	assert_true(a.drained > 0);
	ipc_free(a.ipc);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(b.closed, E_SYS_CLOSED);
	assert_int_equal(ipc_send(b.ipc, span_text("x")), E_SYS_CLOSED);
	ipc_free(b.ipc);
	loop_end(&loop);
}

static void output_is_bounded(void **state)
{
	(void)state;
	uv_loop_t   loop;
	int         fd[2];
	struct end  a = {0};
	static char part[1000];
	int         r = 0;
	size_t      sent = 0;
	pair(fd);
	uv_loop_init(&loop);
	open_end(&loop, fd[0], 100000, &a);
	while (r == 0 && sent < 100000) {
		r = ipc_send(a.ipc, (struct span){(uint8_t *)part, sizeof(part)});
		sent++;
		uv_run(&loop, UV_RUN_NOWAIT); /* nobody reads at the other end */
	}
	assert_int_equal(r, E_SYS_AGAIN);
	assert_true(ipc_queued(a.ipc) <= 100000);
	assert_int_equal(ipc_send(a.ipc, (struct span){(uint8_t *)part, IPC_FRAME_MAX + 1}), E_FULL);
	close(fd[1]);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(a.closed, E_SYS_CLOSED);
	ipc_free(a.ipc);
	loop_end(&loop);
}

static void a_frame_that_is_too_long_ends_the_connection(void **state)
{
	(void)state;
	uv_loop_t  loop;
	int        fd[2];
	struct end a = {.wanted = 5};
	pair(fd);
	uv_loop_init(&loop);
	open_end(&loop, fd[0], 1000, &a);
	for (int i = 0; i < 5; i++)
		assert_int_equal(ipc_write(fd[1], span_text("f"), LONG_MS), 0);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(a.frames, 5);
	assert_int_equal(write(fd[1], "\x7f\0\0\0", 4), 4);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(a.closed, E_FULL);
	ipc_free(a.ipc);
	close(fd[1]);
	loop_end(&loop);
}

static void free_in_frame(void *ctx, struct span frame)
{
	struct end *e = ctx;
	(void)frame;
	e->frames++;
	ipc_free(e->ipc);
}

static void may_be_freed_inside_an_event(void **state)
{
	(void)state;
	static const struct ipc_events freeing = {free_in_frame, on_closed, NULL};
	uv_loop_t                      loop;
	int                            fd[2];
	struct end                     a = {0};
	pair(fd);
	uv_loop_init(&loop);
	a.loop = &loop;
	assert_int_equal(ipc_open(&loop, fd[0], 1000, &freeing, &a, &a.ipc), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(ipc_write(fd[1], span_text("f"), LONG_MS), 0);
	loop_end(&loop);
	assert_int_equal(a.frames, 1);
	assert_int_equal(a.closed, 0);
	close(fd[1]);
}

/* ---- sockets -------------------------------------------------------------------------------------------------------- */

static void sockets_are_made_with_care(void **state)
{
	(void)state;
	char           dir[] = "/tmp/vcc-test-ipc-XXXXXX";
	char           path[128];
	char           long_path[200];
	struct refusal why = {0};
	struct stat    st;
	int            fd = -1;
	int            other = -1;
	uid_t          uid = 99;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/s", dir);
	memset(long_path, 'x', sizeof(long_path));
	long_path[0] = '/';
	long_path[sizeof(long_path) - 1] = '\0';
	assert_int_equal(ipc_listen(long_path, 0600, &fd, &why), E_SYS_ADDRESS);
	assert_int_equal(ipc_listen("relative", 0600, &fd, &why), E_SYS_ADDRESS);
	assert_int_equal(ipc_connect(path, &other, &why), E_SYS_CLOSED);

	mode_t old = umask(0);
	assert_int_equal(ipc_listen(path, 0600, &fd, &why), 0);
	umask(old);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(ipc_listen(path, 0600, &other, &why), E_SYS_LOCKED); /* somebody lives there */
	assert_int_equal(ipc_connect(path, &other, &why), 0);
	int peer;
	while ((peer = accept(fd, NULL, NULL)) < 0) { /* the "lives" test above is first in the queue */
	}
	assert_int_equal(ipc_peer_check(peer, (uid_t)-1, &uid), 0);
	assert_int_equal(uid, geteuid());
	close(peer);
	close(other);
	close(fd);
	assert_int_equal(ipc_listen(path, 0660, &fd, &why), 0); /* a dead one is replaced */
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	close(fd);

	unlink(path);
	int file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	close(file);
	assert_int_equal(ipc_listen(path, 0600, &fd, &why), E_SYS_IO); /* never removes what is no socket */
	assert_int_equal(tree_remove(AT_FDCWD, dir, NULL), 0);
}

/* In a child, because the sockets must be descriptors 3 and 4 of the process that LISTEN_PID names. */
static int passed_sockets_child(const char *path)
{
	struct refusal     why = {0};
	char               bound[TCP_ADDRESS_SIZE];
	char               pid[16];
	char               wanted[TCP_ADDRESS_SIZE + 16];
	int                fd = -1;
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int                tcp = -1;
	text_cut(at.sun_path, sizeof(at.sun_path), path);
	int local = socket(AF_UNIX, SOCK_STREAM, 0);
	if (local < 0 || bind(local, (struct sockaddr *)&at, sizeof(at)) != 0 || listen(local, 5) != 0 ||
	    tcp_listen("127.0.0.1:0", 5, &tcp, bound, &why) != 0)
		return 1;
	int keep_local = fcntl(local, F_DUPFD, 20);
	int keep_tcp = fcntl(tcp, F_DUPFD, 20);
	if (dup2(keep_local, 3) != 3 || dup2(keep_tcp, 4) != 4)
		return 2;
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", "2", 1);
	if (ipc_listen(path, 0600, &fd, &why) != 0 || fd != 3 || (fcntl(fd, F_GETFD) & FD_CLOEXEC) == 0)
		return 3;
	snprintf(wanted, sizeof(wanted), "0.0.0.0%s", strrchr(bound, ':'));
	if (tcp_listen(wanted, 5, &fd, bound, &why) != 0 || fd != 4)
		return 4;
	setenv("LISTEN_PID", "1", 1); /* meant for another process */
	if (ipc_listen(path, 0600, &fd, &why) != E_SYS_LOCKED)
		return 5;
	return 0;
}

static void takes_sockets_from_systemd(void **state)
{
	(void)state;
	char dir[] = "/tmp/vcc-test-ipc-XXXXXX";
	char path[128];
	int  status = -1;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/s", dir);
	pid_t pid = fork();
	if (pid == 0)
		_exit(passed_sockets_child(path));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(tree_remove(AT_FDCWD, dir, NULL), 0);
}

/* systemd gets a copy of the listening socket, which goes on taking connections when ours is closed. */
static void gives_systemd_its_socket_to_keep(void **state)
{
	(void)state;
	char           dir[] = "/tmp/vcc-test-ipc-XXXXXX";
	char           where[64], path[64], text[64] = "";
	struct refusal why = {0};
	int            fd = -1, client = -1;
	assert_non_null(mkdtemp(dir));
	snprintf(where, sizeof(where), "%s/notify", dir);
	snprintf(path, sizeof(path), "%s/s", dir);
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	text_cut(at.sun_path, sizeof(at.sun_path), where);
	int manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(manager, (struct sockaddr *)&at, sizeof(at)), 0);
	setenv("NOTIFY_SOCKET", where, 1);
	assert_int_equal(ipc_listen(path, 0600, &fd, &why), 0);
	notify_keep_socket(fd);
	fd_close(fd);
	char            control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec    part = {.iov_base = text, .iov_len = sizeof(text) - 1};
	struct msghdr   m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	assert_true(recvmsg(manager, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) > 0);
	assert_string_equal(text, "FDSTORE=1\nFDNAME=listener");
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	assert_non_null(c);
	assert_int_equal(c->cmsg_type, SCM_RIGHTS);
	int kept = -1;
	memcpy(&kept, CMSG_DATA(c), sizeof(int));
	assert_int_equal(ipc_connect(path, &client, &why), 0);
	fd_close(client);
	fd_close(kept);
	assert_int_equal(ipc_connect(path, &client, &why), E_SYS_CLOSED);
	unsetenv("NOTIFY_SOCKET");
	fd_close(manager);
	assert_int_equal(tree_remove(AT_FDCWD, dir, NULL), 0);
}

static void tcp_addresses(void **state)
{
	(void)state;
	char           host[TCP_HOST_SIZE];
	uint16_t       port = 0;
	char           bound[TCP_ADDRESS_SIZE];
	char           again[TCP_ADDRESS_SIZE];
	struct refusal why = {0};
	int            fd = -1;
	int            second = -1;
	static const char *const bad[] = {"", "host", "host:", "host:x", "host:65536", "::1:80", "[::1:80", "a b:80", "host:-1"};
	for (size_t i = 0; i < N_ELEMENTS(bad); i++)
		assert_int_equal(tcp_split(bad[i], host, &port), E_SYS_ADDRESS);
	assert_int_equal(tcp_split("[::1]:80", host, &port), 0);
	assert_string_equal(host, "::1");
	assert_int_equal(port, 80);
	assert_int_equal(tcp_split("*:8442", host, &port), 0);
	assert_string_equal(host, "");
	assert_int_equal(tcp_split(":0", host, &port), 0);
	assert_int_equal(port, 0);

	assert_int_equal(tcp_listen("192.0.2.1:0", 5, &fd, bound, &why), E_SYS_ADDRESS);
	assert_int_equal(tcp_listen("127.0.0.1:0", 5, &fd, bound, &why), 0);
	assert_int_equal(tcp_listen(bound, 5, &second, again, &why), 0); /* two processes may share a port */
	assert_string_equal(bound, again);
	assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	close(fd);
	close(second);
	assert_int_equal(tcp_listen(":0", 5, &fd, bound, &why), 0);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_was_written),       cmocka_unit_test(refuses_long_and_cut_frames),
		cmocka_unit_test(takes_frames_from_any_split),  cmocka_unit_test(loop_carries_frames_both_ways),
		cmocka_unit_test(output_is_bounded),            cmocka_unit_test(a_frame_that_is_too_long_ends_the_connection),
		cmocka_unit_test(may_be_freed_inside_an_event), cmocka_unit_test(sockets_are_made_with_care),
		cmocka_unit_test(takes_sockets_from_systemd), cmocka_unit_test(gives_systemd_its_socket_to_keep),   cmocka_unit_test(tcp_addresses),
		cmocka_unit_test(a_full_backlog_does_not_hold_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_dialer.c - does the dialer reach listeners of this host and nobody else, hand on every byte and every end, and end with its keeper? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/keeper/dialer.h"
#include "shared/sys/file.h"

enum { LONG_MS = 20000, MANY = 300000 };

static int listener(int family, struct sockaddr_storage *ret, socklen_t *ret_n)
{
	struct sockaddr_in  v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int                 fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	*ret_n = family == AF_INET ? sizeof(v4) : sizeof(v6);
	if (fd < 0 || bind(fd, family == AF_INET ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6, *ret_n) != 0)
		return -1;
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)ret, ret_n), 0);
	return fd;
}

static int start(void)
{
	struct refusal why = {.code = 0};
	int            dialer = -1;
	assert_int_equal(dialer_start(&dialer, &why), 0);
	return dialer;
}

/* It ends with its keeper, of itself. */
static void end(int dialer)
{
	int status;
	fd_close(dialer);
	assert_true(wait(&status) > 0);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void wait_for(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};
	assert_int_equal(poll(&p, 1, LONG_MS), 1);
}

static ssize_t get(int fd, void *to, size_t n)
{
	wait_for(fd, POLLIN);
	return recv(fd, to, n, 0);
}

static void put(int fd, const uint8_t *p, size_t n)
{
	while (n > 0) {
		wait_for(fd, POLLOUT);
		ssize_t sent = send(fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
		assert_true(sent > 0);
		p += sent;
		n -= (size_t)sent;
	}
}

static int dialled(int dialer, const struct sockaddr_storage *to, socklen_t n, int expected)
{
	int     fd = -1;
	uint8_t first = 255;
	assert_int_equal(dialer_connect(dialer, (const struct sockaddr *)to, n, &fd), 0);
	assert_int_equal(get(fd, &first, 1), 1);
	assert_int_equal(first, expected);
	if (expected != 0)
		assert_int_equal(get(fd, &first, 1), 0);
	return fd;
}

static void bytes_and_ends_go_both_ways(int family)
{
	struct sockaddr_storage to;
	socklen_t               n;
	int                     l = listener(family, &to, &n);
	if (l < 0)
		skip(); /* no IPv6 here */
	int     dialer = start(), fd = dialled(dialer, &to, n, 0), other = accept(l, NULL, NULL);
	uint8_t byte;
	assert_true(other >= 0);
	put(fd, (const uint8_t *)"hello", 5);
	for (size_t i = 0; i < 5; i++) {
		assert_int_equal(get(other, &byte, 1), 1);
		assert_int_equal(byte, "hello"[i]);
	}
	/* the goodbye of one side leaves the other one open */
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	assert_int_equal(get(other, &byte, 1), 0);
	put(other, (const uint8_t *)"bye", 3);
	assert_int_equal(get(fd, &byte, 1), 1);
	assert_int_equal(byte, 'b');
	fd_close(other);
	uint8_t rest[16];
	ssize_t got;
	while ((got = get(fd, rest, sizeof(rest))) > 0)
		;
	assert_int_equal(got, 0);
	fd_close(fd);
	fd_close(l);
	end(dialer);
}

static void reaches_ipv4(void **state)
{
	(void)state;
	bytes_and_ends_go_both_ways(AF_INET);
}

static void reaches_ipv6(void **state)
{
	(void)state;
	bytes_and_ends_go_both_ways(AF_INET6);
}

/* More than any buffer between them holds, while nobody reads at first. */
static void nothing_is_lost_when_one_side_is_slow(void **state)
{
	(void)state;
	struct sockaddr_storage to;
	socklen_t               n;
	int                     l = listener(AF_INET, &to, &n), dialer = start(), fd = dialled(dialer, &to, n, 0), other = accept(l, NULL, NULL);
	uint8_t                *sent = malloc(MANY), *got = malloc(MANY);
	size_t                  at = 0, have = 0;
	assert_true(sent != NULL && got != NULL && other >= 0);
	for (size_t i = 0; i < MANY; i++)
		sent[i] = (uint8_t)(i * 2654435761u >> 24);
	while (have < MANY) {
		struct pollfd p[2] = {{.fd = fd, .events = at < MANY ? POLLOUT : 0}, {.fd = other, .events = POLLIN}};
		assert_true(poll(p, 2, LONG_MS) > 0);
		if (at < MANY && (p[0].revents & POLLOUT) != 0) {
			ssize_t k = send(fd, sent + at, MANY - at, MSG_DONTWAIT | MSG_NOSIGNAL);
			at += k > 0 ? (size_t)k : 0;
		} else if ((p[1].revents & POLLIN) != 0) {
			ssize_t k = recv(other, got + have, MANY - have, MSG_DONTWAIT);
			have += k > 0 ? (size_t)k : 0;
		}
	}
	assert_memory_equal(sent, got, MANY);
	free(sent);
	free(got);
	fd_close(fd);
	wait_for(other, POLLIN);
	assert_int_equal(recv(other, &(uint8_t){0}, 1, 0), 0); /* who closes is gone there, too */
	fd_close(other);
	fd_close(l);
	end(dialer);
}

static void says_why_not(void **state)
{
	(void)state;
	struct sockaddr_storage to;
	socklen_t               n;
	int                     l = listener(AF_INET, &to, &n), dialer = start();
	fd_close(l);
	fd_close(dialled(dialer, &to, n, ECONNREFUSED));
	((struct sockaddr_in *)&to)->sin_addr.s_addr = htonl(0xc0000201); /* 192.0.2.1: documentation, nobody's */
	fd_close(dialled(dialer, &to, n, EADDRNOTAVAIL));
	end(dialer);
}

/* An address and two descriptors: nobody is connected, and both are closed there. */
static void send_two(int dialer, const struct sockaddr_storage *to, socklen_t n)
{
	union {
		struct cmsghdr align;
		char           bytes[CMSG_SPACE(2 * sizeof(int))];
	} room;
	int           fd[2], other[2];
	uint8_t       byte;
	struct iovec  part = {(void *)(uintptr_t)to, n};
	struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = room.bytes, .msg_controllen = sizeof(room.bytes)};
	memset(&room, 0, sizeof(room));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, other), 0);
	const int given[2] = {fd[1], other[1]};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	*c = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(given)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
	memcpy(CMSG_DATA(c), given, sizeof(given));
	assert_int_equal(sendmsg(dialer, &m, 0), n);
	fd_close(fd[1]);
	fd_close(other[1]);
	assert_int_equal(get(fd[0], &byte, 1), 0);
	assert_int_equal(get(other[0], &byte, 1), 0);
	fd_close(fd[0]);
	fd_close(other[0]);
}

/* Whoever has taken the keeper over may ask for anything. */
static void what_is_no_request_is_passed_over(void **state)
{
	(void)state;
	struct sockaddr_storage to;
	socklen_t               n;
	int                     l = listener(AF_INET, &to, &n), dialer = start(), fd = -1;
	struct sockaddr_storage odd = {.ss_family = AF_UNIX};
	uint8_t                 byte;
	send_two(dialer, &to, n);
	assert_int_equal(send(dialer, "x", 1, 0), 1);
	assert_int_equal(send(dialer, &to, n, 0), n); /* without a descriptor */
	for (socklen_t k = 1; k <= sizeof(struct sockaddr_in6); k++) {
		assert_int_equal(dialer_connect(dialer, (struct sockaddr *)&odd, k, &fd), 0);
		assert_int_equal(get(fd, &byte, 1), 0);
		fd_close(fd);
	}
	assert_int_equal(dialer_connect(dialer, (struct sockaddr *)&to, sizeof(struct sockaddr_in6) + 1, &fd), E_SYS_IO);
	fd_close(dialled(dialer, &to, n, 0)); /* it still does its work */
	fd_close(l);
	end(dialer);
}

static void has_a_limit_and_recovers(void **state)
{
	(void)state;
	struct sockaddr_storage to;
	socklen_t               n;
	int                     l = listener(AF_INET, &to, &n), dialer = start();
	static int              fd[DIALER_RELAYS_MAX + 20];
	size_t                  there = 0, refused = 0;
	uint8_t                 byte;
	for (size_t i = 0; i < sizeof(fd) / sizeof(fd[0]); i++) {
		int r = dialer_connect(dialer, (struct sockaddr *)&to, n, &fd[i]);
		assert_true(r == 0 || r == E_SYS_AGAIN);
		if (r != 0) {
			fd[i] = -1;
			refused++;
			continue;
		}
		struct pollfd p = {.fd = fd[i], .events = POLLIN};
		if (i < 8) /* the listener takes as many at once, and the others wait */
			assert_int_equal(poll(&p, 1, LONG_MS), 1);
		there++;
	}
	for (size_t i = 0; i < sizeof(fd) / sizeof(fd[0]); i++) /* those beyond the limit are ended without a word */
		if (fd[i] >= 0 && i >= DIALER_RELAYS_MAX && get(fd[i], &byte, 1) == 0)
			refused++;
	assert_true(there > 0 && refused >= 20);
	for (size_t i = 0; i < sizeof(fd) / sizeof(fd[0]); i++)
		fd_close(fd[i]);
	fd_close(l);
	l = listener(AF_INET, &to, &n);
	for (byte = 255; byte != 0;) { /* until it has seen that they are closed */
		int again = -1;
		assert_int_equal(dialer_connect(dialer, (struct sockaddr *)&to, n, &again), 0);
		if (get(again, &byte, 1) != 1)
			byte = 255;
		fd_close(again);
	}
	fd_close(l);
	end(dialer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reaches_ipv4),
		cmocka_unit_test(reaches_ipv6),
		cmocka_unit_test(nothing_is_lost_when_one_side_is_slow),
		cmocka_unit_test(says_why_not),
		cmocka_unit_test(what_is_no_request_is_passed_over),
		cmocka_unit_test(has_a_limit_and_recovers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

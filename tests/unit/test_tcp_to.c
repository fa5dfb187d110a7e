/* test_tcp_to.c - which texts are addresses, and does a connection that shall stay on this host reach its listeners and nobody else? */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shared/base/attr.h"
#include "shared/sys/file.h"
#include "shared/sys/tcp_to.h"

static void addresses(void **state)
{
	(void)state;
	static const struct {
		const char *host;
		int         family;
	} rows[] = {
		{"127.0.0.1", AF_INET}, {"::1", AF_INET6},      {"2001:db8::1", AF_INET6}, {"", 0},          {"localhost", 0},
		{"[::1]", 0},           {"fe80::1%eth0", 0},    {"127.1", 0},              {"127.0.0.1 ", 0}, {"1.2.3.256", 0},
	};
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		struct tcp_to to = {.n = 0};
		assert_int_equal(tcp_to(rows[i].host, 8443, &to), rows[i].family != 0 ? 0 : E_SYS_ADDRESS);
		assert_int_equal(to.any.sa_family, rows[i].family);
		assert_int_equal(to.n, rows[i].family == AF_INET ? sizeof(to.v4) : rows[i].family == AF_INET6 ? sizeof(to.v6) : 0);
		assert_int_equal(rows[i].family == AF_INET ? ntohs(to.v4.sin_port) : rows[i].family == AF_INET6 ? ntohs(to.v6.sin6_port) : 8443, 8443);
	}
}

/* A listener of its own at `host`, and where it is. */
static int listener(const char *host, struct tcp_to *ret)
{
	assert_int_equal(tcp_to(host, 0, ret), 0);
	int fd = socket(ret->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0 && bind(fd, &ret->any, ret->n) == 0 && listen(fd, 4) == 0);
	assert_int_equal(getsockname(fd, &ret->any, &ret->n), 0);
	return fd;
}

/* How the connection ended, whose socket is closed. */
static int outcome(int fd)
{
	int           error = 0;
	socklen_t     n = sizeof(error);
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	assert_int_equal(poll(&p, 1, 5000), 1);
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n), 0);
	fd_close(fd);
	return error;
}

static void a_listener_of_this_host(void **state)
{
	(void)state;
	static const char *const hosts[] = {"127.0.0.1", "127.0.0.2", "::1"};
	for (size_t i = 0; i < N_ELEMENTS(hosts); i++) {
		struct tcp_to           to;
		struct sockaddr_storage from;
		socklen_t               n = sizeof(from);
		int                     there = listener(hosts[i], &to), fd = -1;
		assert_int_equal(tcp_to_own(&to, &fd), 0);
		int other = accept(there, (struct sockaddr *)&from, &n);
		assert_true(other >= 0);
		if (to.any.sa_family == AF_INET) /* it comes from the very address that it goes to */
			assert_int_equal(((struct sockaddr_in *)&from)->sin_addr.s_addr, to.v4.sin_addr.s_addr);
		assert_int_equal(outcome(fd), 0);
		fd_close(other);
		fd_close(there);
		assert_int_equal(tcp_to_own(&to, &fd), 0); /* begun; nobody listens any more */
		assert_int_equal(outcome(fd), ECONNREFUSED);
	}
}

static void nobody_else(void **state)
{
	(void)state;
	static const char *const hosts[] = {"192.0.2.1", "2001:db8::1"}; /* RFC 5737, RFC 3849: nobody's */
	for (size_t i = 0; i < N_ELEMENTS(hosts); i++) {
		struct tcp_to to;
		int           fd = -1;
		assert_int_equal(tcp_to(hosts[i], 443, &to), 0);
		assert_int_equal(tcp_to_own(&to, &fd), EADDRNOTAVAIL);
		assert_int_equal(fd, -1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(addresses), cmocka_unit_test(a_listener_of_this_host), cmocka_unit_test(nobody_else)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

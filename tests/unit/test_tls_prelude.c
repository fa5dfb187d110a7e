/* test_tls_prelude.c - is the plain-text exchange before TLS exact, and does it leave every byte of the handshake where it is? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/keeper/tls_prelude.h"
#include "shared/base/err.h"

static const uint8_t request[] = {0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f};

static void pair(int fds[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
}

static int turn(struct tls_prelude *p, int fd, bool *readable, const char **cause)
{
	*readable = false;
	*cause = NULL;
	return tls_prelude_turn(p, fd, readable, cause);
}

static void nothing_is_said_where_tls_comes_first(void **state)
{
	(void)state;
	struct tls_prelude p = {.kind = VERIFY_TLS};
	int                fds[2];
	uint8_t            byte;
	bool               readable;
	const char        *cause;
	pair(fds);
	assert_int_equal(turn(&p, fds[0], &readable, &cause), 0);
	assert_int_equal(recv(fds[1], &byte, 1, 0), -1);
	close(fds[0]);
	close(fds[1]);
}

static void asks_and_takes_one_byte(void **state)
{
	(void)state;
	struct tls_prelude p = {.kind = VERIFY_STARTTLS_POSTGRESQL};
	int                fds[2];
	uint8_t            bytes[32];
	bool               readable;
	const char        *cause;
	pair(fds);
	assert_int_equal(turn(&p, fds[0], &readable, &cause), E_SYS_AGAIN);
	assert_true(readable);
	assert_int_equal(turn(&p, fds[0], &readable, &cause), E_SYS_AGAIN); /* asked once only */
	assert_int_equal(recv(fds[1], bytes, sizeof(bytes), 0), sizeof(request));
	assert_memory_equal(bytes, request, sizeof(request));

	assert_int_equal(send(fds[1], "S\x16\x03\x01", 4, 0), 4);
	assert_int_equal(turn(&p, fds[0], &readable, &cause), 0);
	assert_int_equal(turn(&p, fds[0], &readable, &cause), 0);
	assert_int_equal(recv(fds[0], bytes, sizeof(bytes), 0), 3);
	assert_memory_equal(bytes, "\x16\x03\x01", 3);
	close(fds[0]);
	close(fds[1]);
}

static void waits_for_room_to_ask(void **state)
{
	(void)state;
	struct tls_prelude p = {.kind = VERIFY_STARTTLS_POSTGRESQL};
	int                fds[2];
	uint8_t            bytes[4096] = {0};
	bool               readable = true;
	const char        *cause;
	size_t             n = 0;
	ssize_t            got;
	pair(fds);
	while ((got = send(fds[0], bytes, sizeof(bytes), 0)) > 0)
		n += (size_t)got;
	assert_int_equal(turn(&p, fds[0], &readable, &cause), E_SYS_AGAIN);
	assert_false(readable);
	while (n > 0) {
		got = recv(fds[1], bytes, n < sizeof(bytes) ? n : sizeof(bytes), 0);
		assert_true(got > 0);
		n -= (size_t)got;
	}
	assert_int_equal(turn(&p, fds[0], &readable, &cause), E_SYS_AGAIN);
	assert_true(readable);
	assert_int_equal(recv(fds[1], bytes, sizeof(bytes), 0), sizeof(request));
	close(fds[0]);
	close(fds[1]);
}

static void says_why_there_is_no_tls(void **state)
{
	(void)state;
	static const struct {
		const char *answer;
		size_t      n;
		const char *says;
	} rows[] = {
		{"N", 1, "switched off"}, {"E\0\0\0", 4, "refused"}, {"HTTP/1.1 400", 12, "not the protocol"}, {"", 0, "closed"}, {"\0", 1, "not the protocol"},
	};
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		struct tls_prelude p = {.kind = VERIFY_STARTTLS_POSTGRESQL};
		int                fds[2];
		bool               readable;
		const char        *cause;
		pair(fds);
		assert_int_equal(send(fds[1], rows[i].answer, rows[i].n, 0), rows[i].n);
		assert_int_equal(shutdown(fds[1], SHUT_WR), 0);
		assert_int_equal(turn(&p, fds[0], &readable, &cause), E_SWAP_PROBE);
		assert_non_null(strstr(cause, rows[i].says));
		close(fds[0]);
		close(fds[1]);
	}
}

static void a_closed_peer_is_no_signal(void **state)
{
	(void)state;
	struct tls_prelude p = {.kind = VERIFY_STARTTLS_POSTGRESQL};
	int                fds[2];
	bool               readable;
	const char        *cause;
	pair(fds);
	close(fds[1]);
	assert_int_equal(turn(&p, fds[0], &readable, &cause), E_SWAP_PROBE);
	assert_non_null(strstr(cause, "closed"));
	close(fds[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_said_where_tls_comes_first),
		cmocka_unit_test(asks_and_takes_one_byte),
		cmocka_unit_test(waits_for_room_to_ask),
		cmocka_unit_test(says_why_there_is_no_tls),
		cmocka_unit_test(a_closed_peer_is_no_signal),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* bench_peer.c - a small peer for measuring: a raw mTLS accept loop (the floor), or a client that opens many connections and holds them.
 *   bench_peer server CHAIN.pem KEY.pem CA.pem         prints its port, accepts until stdin ends; for a byte there it pushes a message of
 *                                                      PUSHED bytes to everybody
 *   bench_peer client HOST:PORT N CHAIN.pem KEY.pem    opens N websockets, prints "held N", answers pings until stdin ends, prints "lost N";
 *                                                      for a byte there it prints "got N": binary messages so far
 * Never: judging what it measures; loopback addresses only. */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "shared/base/text.h"

enum { CONNECTIONS_MAX = 16000, EVENTS = 256, PUSHED = 200 };

static const char upgrade[] = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
			      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
			      "Sec-WebSocket-Protocol: vcc-agent.v1\r\n\r\n";

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "bench_peer: %s: %s\n", what, errno != 0 ? strerror(errno) : "");
	ERR_print_errors_fp(stderr);
	exit(1);
}

static SSL_CTX *context(bool server, const char *chain, const char *key)
{
	SSL_CTX *ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
	if (ctx == NULL || (server ? SSL_CTX_use_certificate_chain_file(ctx, chain) : SSL_CTX_use_certificate_file(ctx, chain, SSL_FILETYPE_PEM)) != 1 || SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
		die("key and chain"); /* a client sends its leaf alone, as an agent does */
	SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
	SSL_CTX_set_num_tickets(ctx, 0);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	return ctx;
}

/* False: a byte was there, or nothing. */
static bool stdin_ended(bool *ret_asked)
{
	struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
	char          byte;
	if (poll(&p, 1, 0) <= 0)
		return false;
	*ret_asked = read(STDIN_FILENO, &byte, 1) == 1;
	return !*ret_asked;
}

/* ---- the floor: accept, handshake with client certificate, upgrade by a ready answer, hold ---- */

/* The sample key and its answer of RFC 6455 1.3. */
static const char upgraded[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
			       "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: vcc-agent.v1\r\n\r\n";

static SSL *accepted[CONNECTIONS_MAX]; /* whose handshake began, by descriptor */

/* As a server sends it: unmasked, one record each. */
static void push(void)
{
	static unsigned char message[4 + PUSHED] = {0x82, 126, 0, PUSHED};
	for (int fd = 0; fd < CONNECTIONS_MAX; fd++)
		if (accepted[fd] != NULL && SSL_is_init_finished(accepted[fd]) && SSL_write(accepted[fd], message, sizeof(message)) <= 0)
			die("push");
}

static void serve(int epoll, SSL *ssl)
{
	int r = SSL_accept(ssl);
	int why = SSL_get_error(ssl, r);
	if (r == 1) {
		X509 *peer = SSL_get1_peer_certificate(ssl);
		X509_free(peer);
		char request[1024];
		while (SSL_read(ssl, request, sizeof(request)) > 0)
			(void)SSL_write(ssl, upgraded, sizeof(upgraded) - 1);
		why = SSL_get_error(ssl, -1);
	}
	if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
		return;
	ERR_clear_error();
	int fd = SSL_get_fd(ssl);
	epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL);
	if (fd < CONNECTIONS_MAX)
		accepted[fd] = NULL;
	SSL_free(ssl);
	close(fd);
}

static void accept_all(int epoll, int listener, SSL_CTX *ctx)
{
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			return;
		SSL *ssl = SSL_new(ctx);
		if (ssl == NULL || SSL_set_fd(ssl, fd) != 1)
			die("SSL_new");
		if (fd < CONNECTIONS_MAX)
			accepted[fd] = ssl;
		struct epoll_event e = {.events = EPOLLIN, .data.ptr = ssl};
		epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e);
	}
}

static int server(char **argv)
{
	SSL_CTX           *ctx = context(true, argv[2], argv[3]);
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t          n = sizeof(a);
	int                listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int                epoll = epoll_create1(EPOLL_CLOEXEC);
	if (SSL_CTX_load_verify_locations(ctx, argv[4], NULL) != 1)
		die("CA file");
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	/* the clients' CA is the anchor, as the gateway has it: one signature to verify */
	X509_STORE_set_flags(SSL_CTX_get_cert_store(ctx), X509_V_FLAG_PARTIAL_CHAIN);
	if (listener < 0 || bind(listener, (struct sockaddr *)&a, n) != 0 || listen(listener, 512) != 0 ||
	    getsockname(listener, (struct sockaddr *)&a, &n) != 0)
		die("listen");
	struct epoll_event on_listener = {.events = EPOLLIN, .data.ptr = NULL};
	struct epoll_event on_stdin = {.events = EPOLLIN, .data.ptr = ctx};
	epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &on_listener);
	epoll_ctl(epoll, EPOLL_CTL_ADD, STDIN_FILENO, &on_stdin);
	printf("%d\n", ntohs(a.sin_port));
	fflush(stdout);
	for (;;) {
		struct epoll_event events[EVENTS];
		int                k = epoll_wait(epoll, events, EVENTS, -1);
		for (int i = 0; i < k; i++) {
			if (events[i].data.ptr == NULL)
				accept_all(epoll, listener, ctx);
			else if (events[i].data.ptr != ctx)
				serve(epoll, events[i].data.ptr);
			else {
				bool asked = false;
				if (stdin_ended(&asked))
					return 0;
				if (asked)
					push();
			}
		}
	}
}

/* ---- the client ---- */

static int64_t lost; /* connections that ended before we let go */
static int64_t got;  /* binary messages */

static int connect_to(const char *address)
{
	char             host[64];
	const char      *colon = strrchr(address, ':');
	struct addrinfo  hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
	struct addrinfo *found;
	if (colon == NULL || text_copy_n(host, sizeof(host), address, (size_t)(colon - address)) < 0 || !text_starts(host, "127.") ||
	    getaddrinfo(host, colon + 1, &hints, &found) != 0)
		die("address must be 127.x.x.x:PORT");
	int one = 1;
	int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	/* or the request to upgrade waits for the acknowledgement of the last part of the handshake */
	if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) != 0 || connect(fd, found->ai_addr, found->ai_addrlen) != 0)
		die("connect");
	freeaddrinfo(found);
	return fd;
}

static SSL *open_one(SSL_CTX *ctx, const char *address)
{
	char answer[1024];
	SSL *ssl = SSL_new(ctx);
	if (ssl == NULL || SSL_set_fd(ssl, connect_to(address)) != 1 || SSL_connect(ssl) != 1)
		die("handshake");
	if (SSL_write(ssl, upgrade, sizeof(upgrade) - 1) <= 0)
		die("upgrade");
	int n = SSL_read(ssl, answer, sizeof(answer) - 1);
	answer[n > 0 ? n : 0] = '\0';
	if (!text_starts(answer, "HTTP/1.1 101"))
		die("the upgrade was refused");
	return ssl;
}

/* What comes on a held connection is a ping or a pushed message, small enough to come as a whole; or its end. */
static void answer(int epoll, SSL *ssl)
{
	unsigned char in[1024];
	unsigned char pong[6 + 125] = {0x8a, 0x80}; /* masked with zeros */
	int           n = SSL_read(ssl, in, sizeof(in));
	if (n > 2 && in[0] == 0x82) {
		got++;
		return;
	}
	if (n < 2 || in[0] != 0x89 || in[1] > 125 || n != 2 + in[1]) {
		epoll_ctl(epoll, EPOLL_CTL_DEL, SSL_get_fd(ssl), NULL);
		lost++;
		return;
	}
	pong[1] |= in[1];
	memcpy(pong + 6, in + 2, in[1]);
	if (SSL_write(ssl, pong, 6 + in[1]) <= 0)
		lost++;
}

/* False when stdin has ended. */
static bool attend(int epoll, int timeout_ms)
{
	struct epoll_event events[EVENTS];
	int                k = epoll_wait(epoll, events, EVENTS, timeout_ms);
	for (int i = 0; i < k; i++) {
		bool asked = false;
		if (events[i].data.ptr == NULL && stdin_ended(&asked))
			return false;
		if (asked) {
			printf("got %lld\n", (long long)got);
			fflush(stdout);
		}
		if (events[i].data.ptr != NULL)
			answer(epoll, events[i].data.ptr);
	}
	return true;
}

static int client(char **argv)
{
	static SSL        *held[CONNECTIONS_MAX];
	int64_t            n;
	int                epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event on_stdin = {.events = EPOLLIN, .data.ptr = NULL};
	if (text_i64(argv[3], 1, CONNECTIONS_MAX, &n) < 0)
		die("N");
	SSL_CTX *ctx = context(false, argv[4], argv[5]);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
	epoll_ctl(epoll, EPOLL_CTL_ADD, STDIN_FILENO, &on_stdin);
	for (int64_t i = 0; i < n; i++) {
		held[i] = open_one(ctx, argv[2]);
		struct epoll_event e = {.events = EPOLLIN, .data.ptr = held[i]};
		epoll_ctl(epoll, EPOLL_CTL_ADD, SSL_get_fd(held[i]), &e);
		(void)attend(epoll, 0);
	}
	printf("held %lld\n", (long long)(n - lost));
	fflush(stdout);
	while (attend(epoll, -1))
		continue;
	printf("lost %lld\n", (long long)lost);
	for (int64_t i = 0; i < n; i++)
		SSL_free(held[i]);
	SSL_CTX_free(ctx);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 5 && text_equal(argv[1], "server"))
		return server(argv);
	if (argc == 6 && text_equal(argv[1], "client"))
		return client(argv);
	fprintf(stderr, "usage: bench_peer server CHAIN KEY CA | client HOST:PORT N CHAIN KEY\n");
	return 2;
}

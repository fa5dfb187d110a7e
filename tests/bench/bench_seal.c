/* bench_seal.c - what one message of N bytes costs both ends of a TLS 1.3 connection and the kernel between them, and nothing else:
 * one SSL_write and one SSL_read over a socket pair. Prints one JSON object. usage: bench_seal [BYTES]
 * Never: failing because of a time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <openssl/ec.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "shared/base/text.h"

enum { ROUNDS = 5, MESSAGES = 5000, BYTES_MAX = 16000 };

static void must(bool ok)
{
	if (!ok)
		abort();
}

static X509 *self_signed(EVP_PKEY *key)
{
	X509 *x = X509_new();
	must(x != NULL && ASN1_INTEGER_set(X509_get_serialNumber(x), 1) == 1);
	must(X509_gmtime_adj(X509_getm_notBefore(x), -60) != NULL && X509_gmtime_adj(X509_getm_notAfter(x), 3600) != NULL);
	must(X509_set_pubkey(x, key) == 1 && X509_sign(x, key, EVP_sha256()) > 0);
	return x;
}

static SSL *end_of(SSL_CTX *ctx, int fd, bool server)
{
	SSL *ssl = SSL_new(ctx);
	must(ssl != NULL && SSL_set_fd(ssl, fd) == 1);
	if (server)
		SSL_set_accept_state(ssl);
	else
		SSL_set_connect_state(ssl);
	return ssl;
}

/* Both ends are in this thread: each takes what the other left in the socket. */
static void shake(SSL *a, SSL *b)
{
	for (int i = 0; i < 10 && !(SSL_is_init_finished(a) && SSL_is_init_finished(b)); i++) {
		(void)SSL_do_handshake(a);
		(void)SSL_do_handshake(b);
	}
	must(SSL_is_init_finished(a) && SSL_is_init_finished(b));
}

static double cpu_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

int main(int argc, char **argv)
{
	static char bytes[BYTES_MAX];
	int64_t     n = 500;
	int         fd[2];
	double      best = 0;
	if (argc > 2 || (argc == 2 && text_i64(argv[1], 1, BYTES_MAX, &n) < 0)) {
		fprintf(stderr, "usage: bench_seal [BYTES]\n");
		return 2;
	}
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509     *x = self_signed(key);
	SSL_CTX  *server = SSL_CTX_new(TLS_server_method());
	SSL_CTX  *client = SSL_CTX_new(TLS_client_method());
	must(SSL_CTX_use_certificate(server, x) == 1 && SSL_CTX_use_PrivateKey(server, key) == 1);
	SSL_CTX_set_num_tickets(server, 0);
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) == 0);
	SSL *a = end_of(server, fd[0], true);
	SSL *b = end_of(client, fd[1], false);
	shake(a, b);
	for (int round = 0; round < ROUNDS; round++) {
		double begun = cpu_us();
		for (int i = 0; i < MESSAGES; i++)
			must(SSL_write(a, bytes, (int)n) == n && SSL_read(b, bytes, sizeof(bytes)) == n);
		double each = (cpu_us() - begun) / MESSAGES;
		best = round == 0 || each < best ? each : best;
	}
	printf("{\"id\": \"seal-and-open\", \"value\": %.2f, \"unit\": \"us\", \"bytes\": %lld}\n", best, (long long)n);
	SSL_free(a);
	SSL_free(b);
	SSL_CTX_free(server);
	SSL_CTX_free(client);
	X509_free(x);
	EVP_PKEY_free(key);
	return 0;
}

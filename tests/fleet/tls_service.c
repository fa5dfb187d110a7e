/* tls_service.c - one handshake after the other, with the pair that was there at the last reload.
 * Never: a session that is resumed; it would show an old certificate for a new one. */
#include "tests/fleet/tls_service.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <netinet/in.h>
#include <openssl/ssl.h>

enum { PATIENCE_S = 2, PATH_LONG = 4096 };

static volatile sig_atomic_t asked_reload;

static void on_hup(int n)
{
	(void)n;
	asked_reload = 1;
}

static SSL_CTX *pair_load(const char *dir)
{
	char     chain[PATH_LONG], key[PATH_LONG];
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	snprintf(chain, sizeof(chain), "%s/current/fullchain.pem", dir);
	snprintf(key, sizeof(key), "%s/current/key.pem", dir);
	if (ctx != NULL && SSL_CTX_use_certificate_chain_file(ctx, chain) == 1 &&
	    SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) == 1 && SSL_CTX_check_private_key(ctx) == 1) {
		SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
		SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
		SSL_CTX_set_num_tickets(ctx, 0);
		return ctx;
	}
	SSL_CTX_free(ctx);
	return NULL;
}

static void patience(int fd)
{
	const struct timeval t = {.tv_sec = PATIENCE_S};
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
}

/* Says what it was told, once. */
static void serve(SSL_CTX *ctx, int fd)
{
	SSL *ssl = ctx != NULL ? SSL_new(ctx) : NULL;
	char bytes[1024];
	patience(fd);
	if (ssl != NULL && SSL_set_fd(ssl, fd) == 1 && SSL_accept(ssl) == 1) {
		int n = SSL_read(ssl, bytes, sizeof(bytes));
		if (n > 0)
			(void)SSL_write(ssl, bytes, n);
		(void)SSL_shutdown(ssl);
	}
	SSL_free(ssl);
	close(fd);
}

/* As one rename: whoever is to signal us reads the file at any moment. */
static void pid_write(const char *pidfile)
{
	char temporary[PATH_LONG];
	snprintf(temporary, sizeof(temporary), "%s.new", pidfile);
	FILE *f = fopen(temporary, "w");
	bool  written = f != NULL && fprintf(f, "%d\n", (int)getpid()) > 0;
	if (f == NULL || fclose(f) != 0 || !written || rename(temporary, pidfile) != 0) {
		perror(pidfile);
		_exit(1);
	}
}

_Noreturn void service_run(int listener, const char *dir, const char *pidfile)
{
	sigset_t hup, others;
	sigemptyset(&hup);
	sigaddset(&hup, SIGHUP);
	sigprocmask(SIG_BLOCK, &hup, &others);
	sigdelset(&others, SIGHUP);
	sigaction(SIGHUP, &(const struct sigaction){.sa_handler = on_hup}, NULL);
	SSL_CTX *pair = pair_load(dir);
	pid_write(pidfile);
	for (;;) {
		struct pollfd p = {.fd = listener, .events = POLLIN};
		int           n = ppoll(&p, 1, NULL, &others);
		if (asked_reload != 0) {
			asked_reload = 0;
			SSL_CTX *next = pair_load(dir);
			if (next != NULL) {
				SSL_CTX_free(pair);
				pair = next;
			}
		}
		int fd = n > 0 ? accept(listener, NULL, NULL) : -1;
		if (fd >= 0)
			serve(pair, fd);
		else if (n < 0 && errno != EINTR)
			_exit(1);
	}
}

static int leaf_of(SSL *ssl, struct hash *ret)
{
	X509    *leaf = SSL_get1_peer_certificate(ssl);
	unsigned n = sizeof(*ret);
	int      r = leaf != NULL && X509_digest(leaf, EVP_sha256(), ret->b, &n) == 1 ? 0 : E_LINK_DOWN;
	X509_free(leaf);
	return r;
}

int service_look(uint16_t port, const char *sni, struct hash *ret)
{
	static SSL_CTX          *ctx;
	const struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
	if (ctx == NULL)
		ctx = SSL_CTX_new(TLS_client_method());
	int  fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	SSL *ssl = ctx != NULL ? SSL_new(ctx) : NULL;
	int  r = E_LINK_DOWN;
	if (fd >= 0)
		patience(fd);
	if (ssl != NULL && fd >= 0 && connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0 && SSL_set_fd(ssl, fd) == 1 &&
	    (sni[0] == '\0' || SSL_set_tlsext_host_name(ssl, sni) == 1) && SSL_connect(ssl) == 1)
		r = leaf_of(ssl, ret);
	SSL_free(ssl);
	if (fd >= 0)
		close(fd);
	return r;
}

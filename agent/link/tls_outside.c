/* tls_outside.c - room agent/link: TCP and TLS of a look from outside.
 * Never: verifying; the chain is judged by the keeper, who holds the roots. */
#include "agent/link/tls_outside.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "shared/sys/file.h"
#include "shared/sys/tcp_to.h"

struct tls_outside {
	SSL_CTX *ctx;
};

struct tls_handshake {
	SSL               *ssl;
	int                fd;
	bool               connected;
	struct tls_prelude prelude;
};

static int verify_nothing(X509_STORE_CTX *store, void *ctx)
{
	(void)store;
	(void)ctx;
	return 1;
}

int tls_outside_open(struct tls_outside **ret)
{
	struct tls_outside *t = calloc(1, sizeof(*t));
	if (t == NULL)
		return E_NOMEM;
	t->ctx = SSL_CTX_new(TLS_client_method());
	if (t->ctx == NULL) {
		free(t);
		return E_NOMEM;
	}
	SSL_CTX_set_mode(t->ctx, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(t->ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(t->ctx, SSL_OP_NO_TICKET);
	SSL_CTX_set_verify(t->ctx, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_cert_verify_callback(t->ctx, verify_nothing, NULL);
	*ret = t;
	return 0;
}

void tls_outside_close(struct tls_outside *t)
{
	if (t == NULL)
		return;
	SSL_CTX_free(t->ctx);
	free(t);
}

/* ---- the beginning ----------------------------------------------------------------------------------------------- */

static bool is_address(const char *name)
{
	struct tcp_to scratch;
	return tcp_to(name, 0, &scratch) == 0;
}

static int ssl_make(const struct tls_outside *t, int fd, const char *name, SSL **ret)
{
	SSL *ssl = SSL_new(t->ctx);
	if (ssl != NULL && SSL_set_fd(ssl, fd) == 1 && (is_address(name) || SSL_set_tlsext_host_name(ssl, name) == 1)) {
		*ret = ssl;
		return 0;
	}
	SSL_free(ssl);
	return E_NOMEM;
}

int tls_handshake_begin(struct tls_outside *t, const char *host, uint16_t port, const char *name, enum tls_prelude_kind prelude,
			struct tls_handshake **ret, int *ret_fd)
{
	int           one = 1;
	struct tcp_to to;
	int           r = tcp_to(host, port, &to);
	if (r != 0)
		return r;
	_cleanup_fd_ int fd = socket(to.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return E_SYS_IO;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	struct tls_handshake *h = calloc(1, sizeof(*h));
	if (h == NULL)
		return E_NOMEM;
	h->prelude.kind = prelude;
	h->connected = connect(fd, &to.any, to.n) == 0;
	r = h->connected || errno == EINPROGRESS ? ssl_make(t, fd, name, &h->ssl) : E_SYS_IO;
	if (r != 0) {
		free(h);
		return r;
	}
	h->fd = *ret_fd = fd;
	fd = -1;
	*ret = h;
	return 0;
}

void tls_handshake_free(struct tls_handshake *h)
{
	if (h == NULL)
		return;
	SSL_free(h->ssl);
	free(h);
}

/* ---- the handshake ----------------------------------------------------------------------------------------------- */

/* A server that refuses our missing certificate has shown its own by then, and proved its key: the alert is read behind them.
 */
static bool refused_after_proof(SSL *ssl, int error)
{
	int           nid = 0;
	unsigned long e = ERR_peek_last_error();
	return error == SSL_ERROR_SSL && ERR_GET_REASON(e) >= SSL_AD_REASON_OFFSET && SSL_get0_peer_certificate(ssl) != NULL &&
	       SSL_get_peer_signature_type_nid(ssl, &nid) == 1;
}

static int connect_turn(struct tls_handshake *h, bool *ret_write, const char **ret_cause)
{
	int       error = 0;
	socklen_t n = sizeof(error);
	char      scratch[sizeof(struct tcp_to)];
	socklen_t m = sizeof(scratch);
	if (getsockopt(h->fd, SOL_SOCKET, SO_ERROR, &error, &n) != 0 || error != 0) {
		*ret_cause = error == ECONNREFUSED ? "connection refused" : "cannot connect";
		return E_PEER_CONNECT;
	}
	if (getpeername(h->fd, (struct sockaddr *)(void *)scratch, &m) != 0) {
		*ret_write = true; /* still on the way */
		return E_SYS_AGAIN;
	}
	h->connected = true;
	return 0;
}

static int prelude_turn(struct tls_handshake *h, bool *ret_write, const char **ret_cause)
{
	bool readable = false;
	int  r = tls_prelude_turn(&h->prelude, h->fd, &readable, ret_cause);
	*ret_write = r == E_SYS_AGAIN && !readable;
	return r == 0 || r == E_SYS_AGAIN ? r : E_PEER_CONNECT;
}

int tls_handshake_turn(struct tls_handshake *h, bool *ret_write, const char **ret_cause)
{
	int r = h->connected ? 0 : connect_turn(h, ret_write, ret_cause);
	if (r == 0)
		r = prelude_turn(h, ret_write, ret_cause);
	if (r != 0)
		return r;
	ERR_clear_error();
	r = SSL_connect(h->ssl);
	int error = SSL_get_error(h->ssl, r);
	if (r == 1 || refused_after_proof(h->ssl, error))
		return 0;
	if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
		*ret_write = error == SSL_ERROR_WANT_WRITE;
		return E_SYS_AGAIN;
	}
	*ret_cause = "the TLS handshake failed";
	return E_PEER_CONNECT;
}

int tls_handshake_served(const struct tls_handshake *h, struct buf *to)
{
	STACK_OF(X509) *served = SSL_get_peer_cert_chain(h->ssl);
	for (int i = 0; served != NULL && i < sk_X509_num(served); i++) {
		int      n = i2d_X509(sk_X509_value(served, i), NULL);
		uint8_t *room = n > 0 ? buf_room(to, (size_t)n) : NULL;
		if (room == NULL)
			return E_FULL;
		buf_used(to, (size_t)i2d_X509(sk_X509_value(served, i), &room));
	}
	return to->n > 0 ? buf_error(to) : E_NOT_FOUND;
}

bool tls_handshake_leave(struct tls_handshake *h)
{
	return SSL_is_init_finished(h->ssl) && SSL_shutdown(h->ssl) >= 0 && shutdown(h->fd, SHUT_WR) == 0;
}

/* tls_probe.c - room agent/keeper: one fresh TLS handshake with one of the host's own listeners, on the loop.
 * Never: a socket of the internet; that is the dialer's. */
#include "agent/keeper/tls_probe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <utlist.h>

#include "agent/keeper/dialer.h"
#include "agent/keeper/trust_proof.h"
#include "shared/base/text.h"
#include "shared/sys/file.h"
#include "shared/sys/tcp.h"
#include "shared/sys/tcp_to.h"
#include "shared/sys/tls_prelude.h"

enum { SERVED_MAX = 32768, LEAVE_MS = 1000 };

struct tls_probes {
	int               dialer;
	SSL_CTX          *ctx;
	struct tls_probe *all; /* those that leave outlive their owners */
};

struct tls_probe {
	uv_poll_t          poll;
	uv_timer_t         timer;
	struct tls_probes *probes;
	struct tls_probe  *prev, *next;
	int                handles; /* of the loop that must close before the memory goes */
	bool               over;
	bool               leaving;
	int                fd;
	bool               connected;
	struct tls_prelude prelude;
	SSL               *ssl;
	tls_probe_fn      *done;
	void              *ctx;
	const char        *cause; /* why it failed before the loop turned */
};

/* ---- set-up ------------------------------------------------------------------------------------------------------ */

/* What is served is compared with bytes that we know: building and checking a chain here would prove nothing more. */
static int verify_nothing(X509_STORE_CTX *store, void *ctx)
{
	(void)store;
	(void)ctx;
	return 1;
}

int tls_probes_open(int dialer, struct tls_probes **ret)
{
	struct tls_probes *t = calloc(1, sizeof(*t));
	if (t == NULL)
		return E_NOMEM;
	/* OpenSSL's words for its errors are told to nobody here: 60 KiB less on every host */
	(void)OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_SSL_STRINGS | OPENSSL_INIT_NO_LOAD_CRYPTO_STRINGS, NULL);
	t->ctx = SSL_CTX_new(TLS_client_method());
	if (t->ctx == NULL) {
		free(t);
		return E_NOMEM;
	}
	t->dialer = dialer;
	SSL_CTX_set_mode(t->ctx, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(t->ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(t->ctx, SSL_OP_NO_TICKET);
	SSL_CTX_set_verify(t->ctx, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_cert_verify_callback(t->ctx, verify_nothing, NULL);
	*ret = t;
	return 0;
}

static void probe_drop(struct tls_probe *p)
{
	DL_DELETE(p->probes->all, p);
	SSL_free(p->ssl);
	fd_close(p->fd);
	free(p);
}

void tls_probes_close(struct tls_probes *t)
{
	if (t == NULL)
		return;
	while (t->all != NULL) /* the loop has closed their handles with all others */
		probe_drop(t->all);
	SSL_CTX_free(t->ctx);
	free(t);
}

/* Literal addresses only: a name would let DNS choose what is probed. What listens at every address listens at the loopback one. */
static int address_read(const char *text, struct tcp_to *ret)
{
	char     host[TCP_HOST_SIZE];
	uint16_t port;
	if (tcp_split(text, host, &port) != 0 || port == 0)
		return E_SYS_ADDRESS;
	bool v4_loopback = text_equal(host, "localhost") || text_equal(host, "0.0.0.0");
	return tcp_to(v4_loopback ? "127.0.0.1" : host, port, ret);
}

/* ---- the end ----------------------------------------------------------------------------------------------------- */

static void handle_closed(uv_handle_t *handle)
{
	struct tls_probe *p = handle->data;
	if (--p->handles == 0)
		probe_drop(p);
}

static void probe_close(struct tls_probe *p)
{
	if (p->over)
		return;
	p->over = true;
	if (p->fd >= 0)
		uv_close((uv_handle_t *)&p->poll, handle_closed);
	uv_close((uv_handle_t *)&p->timer, handle_closed);
}

static void seen_by_nobody(void *ctx, const struct tls_probe_seen *seen)
{
	(void)ctx;
	(void)seen;
}

void tls_probe_forget(struct tls_probe *p)
{
	if (p == NULL)
		return;
	p->done = seen_by_nobody;
	p->ctx = NULL;
}

static void probe_fail(struct tls_probe *p, const char *cause)
{
	struct tls_probe_seen seen = {.code = E_SWAP_PROBE, .cause = cause};
	probe_close(p);
	p->done(p->ctx, &seen);
}

/* RFC 8446, 4.2.4 (certificate_authorities in a CertificateRequest); RFC 5246, 7.4.4. */
static struct hash ca_names(SSL *ssl)
{
	struct hash set = {{0}};
	const STACK_OF(X509_NAME) *names = SSL_get0_peer_CA_list(ssl);
	for (int i = 0; names != NULL && i < sk_X509_NAME_num(names); i++) {
		uint8_t *der = NULL;
		int      n = i2d_X509_NAME(sk_X509_NAME_value(names, i), &der);
		if (n > 0)
			trust_names_add(&set, (struct span){der, (size_t)n});
		OPENSSL_free(der);
	}
	return set;
}

static void on_poll(uv_poll_t *poll, int status, int events);
static void on_timer(uv_timer_t *timer);

/* A server whose last bytes (session tickets) nobody reads gets a reset, and logs it at each handshake: say goodbye and read until it
 * closes, too. Nobody waits for that. */
static void probe_leave(struct tls_probe *p)
{
	bool open = SSL_is_init_finished(p->ssl) && SSL_shutdown(p->ssl) >= 0 && shutdown(p->fd, SHUT_WR) == 0;
	SSL_free(p->ssl);
	p->ssl = NULL;
	p->leaving = true;
	if (!open || uv_poll_start(&p->poll, UV_READABLE, on_poll) != 0 || uv_timer_start(&p->timer, on_timer, LEAVE_MS, 0) != 0)
		probe_close(p);
}

static void leave_turn(struct tls_probe *p)
{
	uint8_t scratch[4096];
	ssize_t n = recv(p->fd, scratch, sizeof(scratch), 0);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		probe_close(p);
}

static void probe_seen(struct tls_probe *p)
{
	struct tls_probe_seen seen = {.code = 0, .cause = ""};
	struct buf            chain = BUF_MAX(SERVED_MAX);
	STACK_OF(X509) *served = SSL_get_peer_cert_chain(p->ssl);
	for (int i = 0; served != NULL && i < sk_X509_num(served); i++) {
		int      n = i2d_X509(sk_X509_value(served, i), NULL);
		uint8_t *room = n > 0 ? buf_room(&chain, (size_t)n) : NULL;
		if (room == NULL)
			break;
		buf_used(&chain, (size_t)i2d_X509(sk_X509_value(served, i), &room));
	}
	unsigned n = 0;
	X509    *leaf = SSL_get0_peer_certificate(p->ssl);
	if (leaf == NULL || X509_digest(leaf, EVP_sha256(), seen.fingerprint.b, &n) != 1) {
		seen.code = E_SWAP_PROBE;
		seen.cause = "no certificate was served";
	}
	seen.chain = buf_span(&chain);
	seen.ca_names = ca_names(p->ssl);
	probe_leave(p);
	p->done(p->ctx, &seen);
	buf_free(&chain);
}

/* ---- the handshake ----------------------------------------------------------------------------------------------- */

/* An alert of the server after its own flight: in TLS 1.3 and 1.2 its certificate and its proof of the key have been checked by
 * then, because the alert is read behind them. */
static bool refused_after_proof(SSL *ssl, int error)
{
	int           nid = 0;
	unsigned long e = ERR_peek_last_error();
	return error == SSL_ERROR_SSL && ERR_GET_REASON(e) >= SSL_AD_REASON_OFFSET && SSL_get0_peer_certificate(ssl) != NULL &&
	       SSL_get_peer_signature_type_nid(ssl, &nid) == 1;
}

static void probe_wait(struct tls_probe *p, bool readable)
{
	if (uv_poll_start(&p->poll, readable ? UV_READABLE : UV_WRITABLE, on_poll) != 0)
		probe_fail(p, "the loop refused the socket");
}

static void probe_turn(struct tls_probe *p)
{
	bool        readable = false;
	const char *cause = "";
	int         before = tls_prelude_turn(&p->prelude, p->fd, &readable, &cause);
	if (before == E_SYS_AGAIN) {
		probe_wait(p, readable);
		return;
	}
	if (before != 0) {
		probe_fail(p, cause);
		return;
	}
	ERR_clear_error();
	int r = SSL_connect(p->ssl);
	int error = SSL_get_error(p->ssl, r);
	if (r == 1 || refused_after_proof(p->ssl, error)) {
		probe_seen(p);
		return;
	}
	if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
		probe_fail(p, "the TLS handshake failed");
		return;
	}
	probe_wait(p, error == SSL_ERROR_WANT_READ);
}

/* The first byte of the dialer says whether anybody is there. */
static void connect_turn(struct tls_probe *p)
{
	uint8_t error;
	ssize_t n = recv(p->fd, &error, 1, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	p->connected = n == 1 && error == 0;
	if (p->connected)
		probe_turn(p);
	else
		probe_fail(p, n != 1                   ? "cannot connect"
		              : error == ECONNREFUSED  ? "connection refused"
		              : error == EADDRNOTAVAIL ? "not an address of this host"
		                                       : "cannot connect");
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct tls_probe *p = poll->data;
	(void)status; /* what is wrong with the socket is told by reading it */
	(void)events;
	if (p->leaving)
		leave_turn(p);
	else if (!p->connected)
		connect_turn(p);
	else
		probe_turn(p);
}

static void on_timer(uv_timer_t *timer)
{
	struct tls_probe *p = timer->data;
	if (p->leaving)
		probe_close(p);
	else
		probe_fail(p, p->cause != NULL ? p->cause : "no answer in time");
}

static int ssl_make(struct tls_probes *t, struct tls_probe *p, const char *sni)
{
	p->ssl = SSL_new(t->ctx);
	if (p->ssl == NULL || SSL_set_fd(p->ssl, p->fd) != 1)
		return E_NOMEM;
	if (sni[0] != '\0' && SSL_set_tlsext_host_name(p->ssl, sni) != 1)
		return E_NOMEM;
	return 0;
}

int tls_probe_start(struct tls_probes *t, uv_loop_t *loop, const char *address, enum verify_kind kind, const char *sni,
                    int64_t timeout_ms, tls_probe_fn *done, void *ctx, struct tls_probe **ret)
{
	struct tcp_to to;
	int           r = address_read(address, &to);
	if (r != 0)
		return r;
	struct tls_probe *p = calloc(1, sizeof(*p));
	if (p == NULL)
		return E_NOMEM;
	p->fd = -1;
	p->prelude.kind = kind == VERIFY_STARTTLS_POSTGRESQL ? TLS_PRELUDE_POSTGRESQL : TLS_PRELUDE_NONE;
	p->done = done;
	p->ctx = ctx;
	p->timer.data = p;
	p->poll.data = p;
	p->probes = t;
	DL_APPEND(t->all, p);
	uv_timer_init(loop, &p->timer);
	p->handles = 1;

	/* what fails at once is told by the timer, so that `done` never runs inside this call */
	r = dialer_connect(t->dialer, &to.any, to.n, &p->fd);
	if (r == 0)
		r = ssl_make(t, p, sni);
	if (r == 0 && uv_poll_init(loop, &p->poll, p->fd) == 0) {
		p->handles = 2;
		r = uv_poll_start(&p->poll, UV_READABLE, on_poll) == 0 ? 0 : E_SYS_IO;
	} else if (p->fd >= 0) {
		fd_close(p->fd);
		p->fd = -1;
		r = r != 0 ? r : E_SYS_IO;
	}
	if (r != 0)
		p->cause = "cannot connect";
	uv_timer_start(&p->timer, on_timer, r == 0 ? (uint64_t)timeout_ms : 0, 0);
	*ret = p;
	return 0;
}

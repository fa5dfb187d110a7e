/* tls_link.c - room agent/link: TLS towards the gateway.
 * Never: reconnecting, frames; trusting a name instead of the pinned root. */
#include "agent/link/tls_link.h"

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "shared/base/text.h"
#include "shared/pki/cert.h"
#include "shared/sys/clock.h"
#include "shared/sys/file.h"
#include "shared/sys/tcp.h"

enum { CONNECT_MS = 20000, ANSWER_MS = 60000, HEAD_MAX = 4096 };

static int tls_refuse(struct refusal *why, int code, const char *object)
{
	char          text[160];
	unsigned long error = ERR_peek_last_error();
	ERR_error_string_n(error, text, sizeof(text));
	ERR_clear_error();
	return refuse(why, code, object, "%s", error != 0 ? text : "the connection was cut or the other side does not answer");
}

static bool trust_root(SSL_CTX *ctx, struct span root)
{
	const unsigned char *p = root.p;
	X509                *x = root.n <= LONG_MAX ? d2i_X509(NULL, &p, (long)root.n) : NULL;
	X509_STORE          *store = X509_STORE_new();
	bool                 ok = x != NULL && store != NULL && X509_STORE_add_cert(store, x) == 1 &&
	          X509_STORE_set_flags(store, X509_V_FLAG_NO_CHECK_TIME | X509_V_FLAG_X509_STRICT) == 1;
	X509_free(x);
	if (!ok) {
		X509_STORE_free(store);
		return false;
	}
	SSL_CTX_set_cert_store(ctx, store); /* takes it over, and with it goes any trust in the system's roots */
	return true;
}

/* The leaf alone is sent: its issuer is the gateway's own anchor, and reading it again would cost the gateway a fifth of each
 * handshake and of the memory of each connection. */
static bool use_identity(SSL_CTX *ctx, struct span pem)
{
	BIO      *bio = pem.n <= INT_MAX ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
	EVP_PKEY *key = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;
	X509     *leaf = bio != NULL ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
	ERR_clear_error();
	bool ok = key != NULL && leaf != NULL && SSL_CTX_use_cert_and_key(ctx, leaf, key, NULL, 1) == 1;
	X509_free(leaf);
	EVP_PKEY_free(key);
	BIO_free(bio);
	return ok;
}

int tls_link_setup(void *ssl_ctx, struct span root, struct span identity_pem, struct refusal *why)
{
	SSL_CTX *ctx = ssl_ctx;
	SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	if (!trust_root(ctx, root))
		return tls_refuse(why, E_PKI_CERT, "pinned root");
	if (identity_pem.n > 0 && !use_identity(ctx, identity_pem))
		return tls_refuse(why, E_PKI_MISMATCH, "link identity");
	return 0;
}

static int seen_index(void)
{
	static int index = -1;
	if (index < 0)
		index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	return index;
}

static void on_info(const SSL *ssl, int where, int what)
{
	struct tls_seen *seen = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), seen_index());
	if (seen == NULL)
		return;
	if (where == SSL_CB_READ_ALERT)
		seen->alert = what & 0xff;
	if ((where & SSL_CB_HANDSHAKE_DONE) != 0)
		seen->shaken = true;
}

void tls_link_watch(void *ssl_ctx, struct tls_seen *seen)
{
	if (SSL_CTX_set_ex_data(ssl_ctx, seen_index(), seen) == 1)
		SSL_CTX_set_info_callback(ssl_ctx, on_info);
}

bool tls_seen_expired(const struct tls_seen *seen)
{
	return seen->alert == SSL_AD_CERTIFICATE_EXPIRED;
}

/* The certificates that the peer sent, leaf first, as one run of DER. */
static int peer_chain(SSL *ssl, struct buf *to)
{
	STACK_OF(X509) *sent = SSL_get_peer_cert_chain(ssl);
	int             n = sent != NULL ? sk_X509_num(sent) : 0;
	if (n < 1 || n > CHAIN_MAX + 1)
		return E_PKI_CHAIN;
	for (int i = 0; i < n; i++) {
		unsigned char *der = NULL;
		int            len = i2d_X509(sk_X509_value(sent, i), &der);
		if (len <= 0)
			return E_PKI_CHAIN;
		buf_add(to, der, (size_t)len);
		OPENSSL_free(der);
	}
	return buf_error(to);
}

/* Offset of the last certificate in the chain. */
static size_t last_certificate(struct span chain)
{
	struct span rest = chain;
	struct span one = chain;
	while (der_next(&rest, &one))
		continue;
	return (size_t)(one.p - chain.p);
}

/* spiffe://DOMAIN/gateway/...; any domain while joining (`domain` NULL). */
static bool is_gateway(const char *uri, const char *domain)
{
	static const char scheme[] = "spiffe://";
	if (!text_starts(uri, scheme))
		return false;
	const char *host = uri + strlen(scheme);
	const char *path = strchr(host, '/');
	if (path == NULL || path == host || !text_starts(path, "/gateway/"))
		return false;
	return domain == NULL || (strlen(domain) == (size_t)(path - host) && strncmp(domain, host, strlen(domain)) == 0);
}

static int judge_chain(struct span chain, struct span root, const char *domain, struct refusal *why)
{
	struct span      leaf;
	struct cert_info info;
	if (!der_next(&chain, &leaf))
		return refuse(why, E_PKI_CHAIN, "server", "it sent no certificate");
	int r = cert_verify(leaf, chain, root, EKU_SERVER_AUTH, 0, why);
	if (r == 0)
		r = cert_read(leaf, &info);
	if (r < 0)
		return r;
	if (!is_gateway(info.uri, domain))
		return refuse(why, E_LINK_REFUSED, "server", "`%s` is not a gateway of this installation", info.uri);
	return 0;
}

int tls_link_peer(void *ssl, struct span root, const char *domain, struct refusal *why)
{
	struct buf  chain = BUF_MAX(CHAIN_DER_MAX);
	int         r = peer_chain(ssl, &chain);
	struct span sent = buf_span(&chain);
	size_t      last = r == 0 ? last_certificate(sent) : 0;
	if (r == 0 && last > 0 && span_equal((struct span){sent.p + last, sent.n - last}, root))
		sent.n = last; /* the join port sends the root, too, for those who know only its pin */
	if (r == 0)
		r = judge_chain(sent, root, domain, why);
	else
		refuse(why, r, "server", "its chain is empty or too long");
	buf_free(&chain);
	return r;
}

/* ---- joining ---------------------------------------------------------------------------------------------------- */

struct tls_join {
	int        fd;
	SSL_CTX   *ctx;
	SSL       *ssl;
	struct buf chain; /* as sent; the root is its last certificate */
	size_t     root_at;
	int64_t    until; /* the whole exchange; monotonic */
};

static int connect_one(const struct addrinfo *a)
{
	_cleanup_fd_ int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	if (connect(fd, a->ai_addr, a->ai_addrlen) != 0) {
		struct pollfd p = {.fd = fd, .events = POLLOUT};
		int           error = 0;
		socklen_t     n = sizeof(error);
		if (errno != EINPROGRESS)
			return -1;
		if (poll(&p, 1, CONNECT_MS) != 1) {
			errno = ETIMEDOUT;
			return -1;
		}
		if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) != 0 || error != 0) {
			errno = error;
			return -1;
		}
	}
	int keep = fd;
	fd = -1;
	return keep;
}

static int connect_to(const char *address, int *ret_fd, struct refusal *why)
{
	char             host[TCP_HOST_SIZE];
	char             service[8];
	uint16_t         port;
	struct addrinfo  hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG};
	struct addrinfo *found = NULL;
	int              fd = -1;
	if (tcp_split(address, host, &port) < 0 || host[0] == '\0' || port == 0)
		return refuse(why, E_SYS_ADDRESS, address, "the address must be HOST:PORT");
	snprintf(service, sizeof(service), "%u", port);
	int error = getaddrinfo(host, service, &hints, &found);
	if (error != 0)
		return refuse(why, E_LINK_DOWN, address, "the name cannot be resolved: %s", gai_strerror(error));
	for (struct addrinfo *a = found; a != NULL && fd < 0; a = a->ai_next)
		fd = connect_one(a);
	freeaddrinfo(found);
	if (fd < 0)
		return refuse(why, E_LINK_DOWN, address, "%s", strerror(errno));
	*ret_fd = fd;
	return 0;
}

/* The socket does not block: one deadline holds for the whole exchange, however slowly the bytes come. 1 = try again. */
static int wait_more(struct tls_join *j, int result)
{
	struct pollfd p = {.fd = j->fd};
	int64_t       left = j->until - clock_monotonic();
	switch (SSL_get_error(j->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		p.events = POLLIN;
		break;
	case SSL_ERROR_WANT_WRITE:
		p.events = POLLOUT;
		break;
	default:
		return 0;
	}
	return left > 0 && poll(&p, 1, (int)left) == 1;
}

static bool tls_connect(struct tls_join *j)
{
	int n;
	do {
		ERR_clear_error();
		n = SSL_connect(j->ssl);
	} while (n != 1 && wait_more(j, n) == 1);
	return n == 1;
}

/* The handshake accepts any chain: whether it is ours is judged from the pin, before a byte is sent. */
static int handshake(struct tls_join *j, const char *address, struct hash pin, struct refusal *why)
{
	struct hash hash;
	j->ctx = SSL_CTX_new(TLS_client_method());
	if (j->ctx == NULL || SSL_CTX_set_min_proto_version(j->ctx, TLS1_3_VERSION) != 1 || (j->ssl = SSL_new(j->ctx)) == NULL ||
	    SSL_set_fd(j->ssl, j->fd) != 1)
		return tls_refuse(why, E_PKI_CRYPTO, "TLS");
	if (!tls_connect(j))
		return tls_refuse(why, E_LINK_DOWN, address);
	if (peer_chain(j->ssl, &j->chain) < 0)
		return refuse(why, E_PKI_CHAIN, address, "its chain is empty or too long");
	j->root_at = last_certificate(buf_span(&j->chain));
	digest_sha256(tls_join_root(j), &hash);
	if (!hash_equal(hash, pin)) {
		char text[HASH_TEXT_SIZE];
		return refuse(why, E_LINK_PIN, address, "its root certificate is sha256:%s", hash_text(hash, text));
	}
	return judge_chain((struct span){j->chain.p, j->root_at}, tls_join_root(j), NULL, why);
}

int tls_join_open(const char *address, struct hash pin, struct tls_join **ret, struct refusal *why)
{
	struct tls_join *j = calloc(1, sizeof(*j));
	if (j == NULL)
		return refuse(why, E_NOMEM, "join", "out of memory");
	j->fd = -1;
	j->chain = (struct buf)BUF_MAX(CHAIN_DER_MAX);
	j->until = clock_monotonic() + ANSWER_MS;
	int r = connect_to(address, &j->fd, why);
	if (r == 0)
		r = handshake(j, address, pin, why);
	if (r < 0) {
		tls_join_close(j);
		return r;
	}
	*ret = j;
	return 0;
}

struct span tls_join_root(const struct tls_join *j)
{
	return (struct span){j->chain.p + j->root_at, j->chain.n - j->root_at};
}

static int write_all(struct tls_join *j, struct span bytes)
{
	int n;
	do {
		ERR_clear_error();
		n = SSL_write(j->ssl, bytes.p, (int)bytes.n); /* all or nothing */
	} while (n <= 0 && wait_more(j, n) == 1);
	return n > 0 ? 0 : E_LINK_DOWN;
}

/* Reads to the end of the connection; the server closes after its one answer. A cut one is seen when it is decoded. */
static int read_answer(struct tls_join *j, struct buf *to)
{
	for (;;) {
		uint8_t *room = buf_room(to, 1024);
		if (room == NULL)
			return buf_error(to);
		ERR_clear_error();
		int n = SSL_read(j->ssl, room, 1024);
		if (n > 0) {
			buf_used(to, (size_t)n);
			continue;
		}
		if (wait_more(j, n) == 1)
			continue;
		int  error = SSL_get_error(j->ssl, n);
		bool ended = error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE;
		ERR_clear_error();
		return ended && to->n > 0 ? 0 : E_LINK_DOWN;
	}
}

/* "HTTP/1.x 200 ..." and the body after the empty line. Anything less is a cut connection: asked again, it is answered again. */
static int split_answer(struct buf *answer, int *ret_status, struct span *ret_body)
{
	buf_add_u8(answer, 0);
	if (buf_error(answer) != 0 || sscanf((const char *)answer->p, "HTTP/1.%*d %3d", ret_status) != 1)
		return E_LINK_DOWN;
	const uint8_t *end = memmem(answer->p, answer->n, "\r\n\r\n", 4);
	if (end == NULL)
		return E_LINK_DOWN;
	*ret_body = (struct span){end + 4, answer->n - 1 - (size_t)(end + 4 - answer->p)};
	return 0;
}

int tls_join_post(struct tls_join *j, const char *address, struct span body, struct buf *ret_answer, struct refusal *why)
{
	struct buf  request = BUF_MAX(body.n + HEAD_MAX);
	struct buf  answer = BUF_MAX(ret_answer->max + HEAD_MAX);
	struct span found = {NULL, 0};
	int         status = 0;
	buf_add_fmt(&request, "POST /join HTTP/1.1\r\nHost: %s\r\nContent-Type: application/octet-stream\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
	            address, body.n);
	buf_add(&request, body.p, body.n);
	int r = buf_error(&request);
	if (r == 0)
		r = write_all(j, buf_span(&request));
	if (r == 0)
		r = read_answer(j, &answer);
	if (r == 0)
		r = split_answer(&answer, &status, &found);
	if (r < 0)
		refuse(why, r, address, "the join port gave no whole answer; `vccctl status` on its host tells what is missing");
	else if (status != 200)
		r = refuse(why, status == 429 || status == 503 ? E_JOIN_RATE : E_LINK_REFUSED, address, "the join port answered with HTTP status %d", status);
	if (r == 0) {
		buf_add(ret_answer, found.p, found.n);
		r = buf_error(ret_answer);
	}
	buf_free(&request);
	buf_free(&answer);
	return r;
}

void tls_join_close(struct tls_join *j)
{
	if (j == NULL)
		return;
	SSL_free(j->ssl);
	SSL_CTX_free(j->ctx);
	fd_close(j->fd);
	buf_free(&j->chain);
	free(j);
}

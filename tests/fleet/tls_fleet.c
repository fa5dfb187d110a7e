/* tls_fleet.c - TLS 1.3 and websocket frames of a simulated host over a socket that never blocks.
 * Never: a session ticket; a chain that leads neither to the pinned root nor to one of a bundle. */
#include "tests/fleet/tls_fleet.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "shared/base/be.h"
#include "shared/base/text.h"
#include "shared/pki/cert.h"
#include "shared/pki/key_evp.h"
#include "shared/sys/tcp.h"

enum { OUT_MAX = 1 << 20, JUDGED_MAX = 8 };

struct fleet_tls {
	SSL_CTX    *ctx;
	struct buf  root; /* those that count, one after the other */
	struct hash pin;
	bool        pinned; /* the pinned one is among them, or none is pinned */
	struct hash judged[JUDGED_MAX]; /* leaves of servers whose chains were good */
	size_t      n_judged;
};

struct fleet_identity {
	X509     *leaf;
	EVP_PKEY *key;
};

/* ---- trust --------------------------------------------------------------------------------------------------------- */

static int add_der(X509 *x, struct buf *to)
{
	unsigned char *der = NULL;
	int            n = i2d_X509(x, &der);
	if (n <= 0)
		return E_PKI_CHAIN;
	buf_add(to, der, (size_t)n);
	OPENSSL_free(der);
	return buf_error(to);
}

static bool has_root(const struct fleet_tls *t, struct hash hash)
{
	struct span rest = buf_span(&t->root), one;
	struct hash other;
	while (der_next(&rest, &one)) {
		digest_sha256(one, &other);
		if (hash_equal(other, hash))
			return true;
	}
	return false;
}

void fleet_tls_trust(struct fleet_tls *t, struct span root)
{
	struct hash hash;
	digest_sha256(root, &hash);
	if (!has_root(t, hash) && t->root.n + root.n <= ROOTS_DER_MAX)
		buf_add(&t->root, root.p, root.n);
	t->pinned |= hash_equal(hash, t->pin);
}

/* The join port sends its root last; it is taken when it is the pinned one. */
static int take_root(struct fleet_tls *t, X509 *last)
{
	struct hash hash;
	struct buf  der = BUF_MAX(CERT_DER_MAX);
	int         r = add_der(last, &der);
	if (r == 0) {
		digest_sha256(buf_span(&der), &hash);
		r = hash_equal(hash, t->pin) ? 0 : E_LINK_PIN;
	}
	if (r == 0)
		fleet_tls_trust(t, buf_span(&der));
	buf_free(&der);
	return r;
}

static int judge(struct fleet_tls *t, X509 *leaf, STACK_OF(X509) * sent)
{
	struct buf     chain = BUF_MAX(CHAIN_DER_MAX);
	struct buf     own = BUF_MAX(CERT_DER_MAX);
	struct refusal why;
	int            n = sk_X509_num(sent);
	int            r = n > 0 && n <= 8 ? add_der(leaf, &own) : E_PKI_CHAIN;
	if (r == 0 && !t->pinned && (r = take_root(t, sk_X509_value(sent, n - 1))) < 0 && t->root.n > 0)
		r = 0; /* the agents' port sends no root: one that is known may do */
	for (int i = 1; i < n && r == 0; i++) {
		if (X509_check_issued(sk_X509_value(sent, i), sk_X509_value(sent, i)) != X509_V_OK) /* the root itself comes from us */
			r = add_der(sk_X509_value(sent, i), &chain);
	}
	if (r == 0)
		r = cert_verify(buf_span(&own), buf_span(&chain), buf_span(&t->root), EKU_SERVER_AUTH, 0, &why);
	buf_free(&chain);
	buf_free(&own);
	return r;
}

/* One judgement for each certificate of a server, not for each of ten thousand connections; that the server has its key TLS proves
 * each time. */
static int on_chain(X509_STORE_CTX *store, void *arg)
{
	struct fleet_tls *t = arg;
	X509             *leaf = X509_STORE_CTX_get0_cert(store);
	struct hash       hash;
	unsigned          n = sizeof(hash);
	if (leaf == NULL || X509_digest(leaf, EVP_sha256(), hash.b, &n) != 1)
		return 0;
	for (size_t i = 0; i < t->n_judged; i++)
		if (hash_equal(t->judged[i], hash))
			return 1;
	int r = judge(t, leaf, X509_STORE_CTX_get0_untrusted(store));
	if (r < 0)
		return 0;
	t->judged[t->n_judged < JUDGED_MAX ? t->n_judged++ : JUDGED_MAX - 1] = hash;
	return 1;
}

int fleet_tls_new(struct span roots, struct hash pin, struct fleet_tls **ret, struct refusal *why)
{
	struct fleet_tls *t = calloc(1, sizeof(*t));
	if (t == NULL)
		return refuse(why, E_NOMEM, "TLS", "out of memory");
	t->root = (struct buf)BUF_MAX(ROOTS_DER_MAX);
	t->pin = pin;
	buf_add(&t->root, roots.p, roots.n);
	t->pinned = has_root(t, pin) || (roots.n > 0 && hash_is_none(pin));
	t->ctx = SSL_CTX_new(TLS_client_method());
	if (t->ctx == NULL || buf_error(&t->root) != 0 || SSL_CTX_set_min_proto_version(t->ctx, TLS1_3_VERSION) != 1) {
		fleet_tls_free(t);
		return refuse(why, E_PKI_CRYPTO, "TLS", "it cannot be set up");
	}
	SSL_CTX_set_session_cache_mode(t->ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(t->ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_verify(t->ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_cert_verify_callback(t->ctx, on_chain, t);
	*ret = t;
	return 0;
}

void fleet_tls_free(struct fleet_tls *t)
{
	if (t == NULL)
		return;
	SSL_CTX_free(t->ctx);
	buf_free(&t->root);
	free(t);
}

struct span fleet_tls_root(const struct fleet_tls *t)
{
	return buf_span(&t->root);
}

int fleet_identity_new(struct span der, const struct key *key, struct fleet_identity **ret)
{
	const unsigned char   *p = der.p;
	struct fleet_identity *i = calloc(1, sizeof(*i));
	if (i == NULL)
		return E_NOMEM;
	i->leaf = der.n <= CERT_DER_MAX ? d2i_X509(NULL, &p, (long)der.n) : NULL;
	if (i->leaf == NULL || EVP_PKEY_up_ref(key->evp) != 1) {
		fleet_identity_free(i);
		ERR_clear_error();
		return E_PKI_CERT;
	}
	i->key = key->evp;
	*ret = i;
	return 0;
}

void fleet_identity_free(struct fleet_identity *i)
{
	if (i == NULL)
		return;
	X509_free(i->leaf);
	EVP_PKEY_free(i->key);
	free(i);
}

/* ---- the connection --------------------------------------------------------------------------------------------------- */

int fleet_place_parse(const char *address, struct fleet_place *ret)
{
	char             host[TCP_HOST_SIZE];
	char             service[8];
	uint16_t         port;
	struct addrinfo  hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
	struct addrinfo *found = NULL;
	if (tcp_split(address, host, &port) < 0 || host[0] == '\0' || port == 0)
		return E_SYS_ADDRESS;
	snprintf(service, sizeof(service), "%u", port);
	if (getaddrinfo(host, service, &hints, &found) != 0)
		return E_SYS_ADDRESS;
	memcpy(&ret->to, found->ai_addr, found->ai_addrlen);
	ret->n = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}

/* 127.1.0.1 and on: limits by address see as many hosts as there are. */
static int source_bind(int fd, const struct fleet_place *place, uint32_t source)
{
	const struct sockaddr_in *to = (const struct sockaddr_in *)(const void *)&place->to;
	int                       on = 1;
	if (to->sin_family != AF_INET || ntohl(to->sin_addr.s_addr) >> 24 != 127)
		return 0;
	uint32_t           host = UINT32_C(0x7f010000) + (source / 250 << 8) + source % 250 + 1;
	struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(host)};
	(void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	return bind(fd, (struct sockaddr *)&from, sizeof(from));
}

int fleet_peer_open(struct fleet_peer *p, struct fleet_tls *t, const struct fleet_place *place, uint32_t source,
                    const struct fleet_identity *identity)
{
	int on = 1;
	*p = (struct fleet_peer){.fd = -1, .out = BUF_MAX(OUT_MAX)};
	p->fd = socket(place->to.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	p->ssl = p->fd >= 0 ? SSL_new(t->ctx) : NULL;
	bool ok = p->ssl != NULL && SSL_set_fd(p->ssl, p->fd) == 1 && source_bind(p->fd, place, source) == 0;
	if (ok && identity != NULL)
		ok = SSL_use_certificate(p->ssl, identity->leaf) == 1 && SSL_use_PrivateKey(p->ssl, identity->key) == 1;
	if (ok) {
		(void)setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		SSL_set_connect_state(p->ssl);
		p->dialing = p->shaking = true;
		ok = connect(p->fd, (const struct sockaddr *)&place->to, place->n) == 0 || errno == EINPROGRESS;
	}
	if (!ok) {
		ERR_clear_error();
		fleet_peer_close(p);
		return E_LINK_DOWN;
	}
	return 0;
}

static bool must_wait(SSL *ssl, int result)
{
	int error = SSL_get_error(ssl, result);
	ERR_clear_error();
	return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

int fleet_peer_shake(struct fleet_peer *p)
{
	if (p->dialing) {
		int       error = 0;
		socklen_t n = sizeof(error);
		struct tcp_info info;
		socklen_t       m = sizeof(info);
		if (getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &error, &n) != 0 || error != 0)
			return E_LINK_DOWN;
		if (getsockopt(p->fd, IPPROTO_TCP, TCP_INFO, &info, &m) != 0 || info.tcpi_state == TCP_SYN_SENT)
			return 0;
		p->dialing = false;
	}
	int r = SSL_do_handshake(p->ssl);
	if (r == 1) {
		p->shaking = false;
		SSL_certs_clear(p->ssl); /* said once; the identity stays with the host */
		return 1;
	}
	int           error = SSL_get_error(p->ssl, r);
	unsigned long reason = (unsigned long)ERR_GET_REASON(ERR_peek_error());
	ERR_clear_error();
	if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
		return 0;
	return reason >= SSL_AD_REASON_OFFSET ? E_LINK_REFUSED : E_LINK_DOWN; /* an alert, or a cut connection */
}

int fleet_peer_flush(struct fleet_peer *p)
{
	while (p->out.n > 0) {
		size_t done = 0;
		int    r = SSL_write_ex(p->ssl, p->out.p, p->out.n, &done);
		if (r != 1)
			return must_wait(p->ssl, r) ? 0 : E_LINK_DOWN;
		buf_drop_front(&p->out, done);
	}
	buf_free(&p->out);
	return 0;
}

/* Each message is a record of its own, as a host sends it. */
int fleet_peer_write(struct fleet_peer *p, struct span bytes)
{
	if (p->out.n == 0) {
		size_t done = 0;
		int    r = SSL_write_ex(p->ssl, bytes.p, bytes.n, &done);
		if (r == 1)
			return 0;
		if (!must_wait(p->ssl, r))
			return E_LINK_DOWN;
	}
	buf_add(&p->out, bytes.p, bytes.n);
	return buf_error(&p->out);
}

int fleet_peer_read(struct fleet_peer *p, void *to, size_t size)
{
	size_t n = 0;
	int    r = SSL_read_ex(p->ssl, to, size, &n);
	if (r == 1)
		return (int)n;
	return must_wait(p->ssl, r) ? 0 : E_LINK_DOWN;
}

void fleet_peer_close(struct fleet_peer *p)
{
	SSL_free(p->ssl);
	if (p->fd >= 0)
		close(p->fd);
	buf_free(&p->out);
	*p = (struct fleet_peer){.fd = -1};
}

/* ---- websocket ---------------------------------------------------------------------------------------------------------- */

/* Key and answer of RFC 6455 1.3: a proxy that does not know the protocol would not give it. */
const char fleet_ws_upgrade[] = "GET / HTTP/1.1\r\nHost: gateway\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
				"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
				"Sec-WebSocket-Protocol: vcc-agent.v1\r\n\r\n";
static const char accepted[] = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

int fleet_ws_upgraded(struct span answer, size_t *ret_used)
{
	const uint8_t *end = memmem(answer.p, answer.n, "\r\n\r\n", 4);
	if (end == NULL)
		return answer.n > 4096 ? E_LINK_REFUSED : 0;
	size_t n = (size_t)(end - answer.p);
	*ret_used = n + 4;
	bool good = n > 12 && memcmp(answer.p, "HTTP/1.1 101", 12) == 0 && memmem(answer.p, n, accepted, sizeof(accepted) - 1) != NULL;
	return good ? 1 : E_LINK_REFUSED;
}

void fleet_ws_frame(int opcode, struct span payload, uint32_t mask, struct buf *to)
{
	uint8_t head[WS_HEAD_MAX] = {(uint8_t)(0x80 | opcode)};
	size_t  n = 2;
	if (payload.n < 126) {
		head[1] = (uint8_t)(0x80 | payload.n);
	} else {
		head[1] = 0x80 | 126; /* frames of agents are at most 64 KiB, and one of just that size is not sent by this fleet */
		head[2] = (uint8_t)(payload.n >> 8);
		head[3] = (uint8_t)payload.n;
		n = 4;
	}
	uint8_t key[4];
	memcpy(key, &mask, sizeof(key));
	memcpy(head + n, key, sizeof(key));
	buf_add(to, head, n + sizeof(key));
	uint8_t *room = buf_room(to, payload.n);
	if (room == NULL)
		return;
	for (size_t i = 0; i < payload.n; i++)
		room[i] = payload.p[i] ^ key[i & 3];
	buf_used(to, payload.n);
}

int fleet_ws_next(struct span *in, size_t limit, int *ret_opcode, struct span *ret_payload)
{
	size_t head = 2;
	if (in->n < 2)
		return 0;
	uint64_t n = in->p[1] & 0x7f;
	if ((in->p[0] & 0xf0) != 0x80 || (in->p[1] & 0x80) != 0)
		return E_WIRE_LIMIT; /* a gateway sends whole messages, unmasked */
	if (n == 126) {
		head = 4;
		if (in->n < head)
			return 0;
		n = (uint64_t)in->p[2] << 8 | in->p[3];
	} else if (n == 127) {
		head = 10;
		if (in->n < head)
			return 0;
		n = be_get(in->p + 2, 8);
	}
	if (n > limit)
		return E_WIRE_LIMIT;
	if (in->n < head + n)
		return 0;
	*ret_opcode = in->p[0] & 0x0f;
	*ret_payload = (struct span){in->p + head, (size_t)n};
	in->p += head + n;
	in->n -= head + n;
	return 1;
}

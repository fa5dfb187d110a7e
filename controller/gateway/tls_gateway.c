/* tls_gateway.c - room controller/gateway: the gateway's own TLS key and certificate, the settings of its TLS servers, and who a
 * client is by its certificate. Never: sockets, deciding who may connect beyond the certificate. */
#include "controller/gateway/tls_gateway.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "shared/base/text.h"
#include "shared/pki/cert.h"
#include "shared/pki/cert_parts.h"
#include "shared/sys/fault.h"
#include "shared/sys/file.h"

#define IDENTITY_FILE "identity.pem"
#define DOMAIN_PREFIX "spiffe://"

enum { IDENTITY_FILE_MAX = 65536 };

struct tls_gateway {
	int         dir_fd;
	struct key *key;
	struct key *waiting; /* its certificate is asked for */
	struct buf  leaf;    /* DER */
	struct buf  chain;   /* DER: issuing CA, ..., root */
	struct buf  agents;  /* DER of the agents' authorities, as the controller told; empty = our own issuing CA is the one */
	struct hash wanted;  /* of the chain that the controller would give now; none = not known */
	int64_t     not_before_at, not_after_at;
	char        domain[URI_SIZE]; /* "spiffe://DOMAIN" of our own URI */
	SSL_CTX    *served[TLS_PORT_COUNT];
};

/* ---- pieces ----------------------------------------------------------------------------------------------------------- */

static bool is_root(struct span der)
{
	struct cert_parts parts;
	return cert_parts_read(der, &parts) == 0 && span_equal(parts.t.issuer, parts.t.subject);
}

/* Issuing CAs first; then the root, and another one while the root changes. */
static int chain_split(struct span chain, struct span *ret_issuing, struct span *ret_roots)
{
	struct span rest = chain;
	struct span one;
	size_t      roots_at = 0;
	while (der_next(&rest, &one) && !is_root(one))
		roots_at = (size_t)(rest.p - chain.p);
	while (der_next(&rest, &one))
		continue;
	if (rest.n != 0 || roots_at == 0 || roots_at == chain.n)
		return E_GW_TLS;
	*ret_issuing = (struct span){chain.p, roots_at};
	*ret_roots = (struct span){chain.p + roots_at, chain.n - roots_at};
	return 0;
}

static X509 *x509_from(struct span der)
{
	const unsigned char *p = der.p;
	return d2i_X509(NULL, &p, (long)der.n);
}

static EVP_PKEY *pkey_from(const struct key *k)
{
	struct buf der = BUF_MAX(4096);
	EVP_PKEY  *pkey = NULL;
	if (key_to_der(k, &der) == 0) {
		const unsigned char *p = der.p;
		pkey = d2i_AutoPrivateKey(NULL, &p, (long)der.n);
	}
	buf_wipe(&der);
	return pkey;
}

static STACK_OF(X509) *stack_from(struct span ders)
{
	STACK_OF(X509) *stack = sk_X509_new_null();
	struct span one;
	while (stack != NULL && der_next(&ders, &one)) {
		X509 *x = x509_from(one);
		if (x == NULL || sk_X509_push(stack, x) == 0) {
			X509_free(x);
			sk_X509_pop_free(stack, X509_free);
			return NULL;
		}
	}
	return stack;
}

/* Puts key, certificate and chain into a context in one call that also checks that they fit. */
static int install_pair(SSL_CTX *ctx, const struct key *k, struct span leaf, struct span chain)
{
	EVP_PKEY       *pkey = pkey_from(k);
	X509           *x = x509_from(leaf);
	STACK_OF(X509) *others = stack_from(chain);
	int ok = pkey != NULL && x != NULL && others != NULL && SSL_CTX_use_cert_and_key(ctx, x, pkey, others, 1) == 1 &&
	         SSL_CTX_check_private_key(ctx) == 1;
	sk_X509_pop_free(others, X509_free);
	X509_free(x);
	EVP_PKEY_free(pkey);
	return ok ? 0 : E_GW_TLS;
}

static bool anchors_add(X509_STORE *store, struct span ders)
{
	struct span one;
	bool        ok = true;
	while (ok && der_next(&ders, &one)) {
		X509 *x = x509_from(one);
		ok = x != NULL && X509_STORE_add_cert(store, x) == 1;
		X509_free(x);
	}
	return ok;
}

/* Only what the agents' CA itself issued is an agent: the CA is the anchor, not the root, below which other CAs stand, too. It is
 * the first of our own chain; `agents` are all of them that the controller told of, while one gives way to another. */
static int install_client_ca(SSL_CTX *ctx, struct span issuing, struct span agents)
{
	X509_STORE *store = X509_STORE_new();
	struct span own;
	if (store == NULL || !der_next(&issuing, &own) || !anchors_add(store, own) || !anchors_add(store, agents)) {
		X509_STORE_free(store);
		return E_GW_TLS;
	}
	X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
	SSL_CTX_set_cert_store(ctx, store); /* owns it */
	return 0;
}

static int install(SSL_CTX *ctx, enum tls_port port, const struct key *k, struct span leaf, struct span chain, struct span agents)
{
	struct span issuing;
	struct span root;
	int         r = chain_split(chain, &issuing, &root);
	/* agents keep the root themselves; who joins needs it to compare the pin */
	if (r == 0)
		r = install_pair(ctx, k, leaf, port == TLS_JOIN ? chain : issuing);
	if (r == 0 && port == TLS_AGENTS)
		r = install_client_ca(ctx, issuing, agents);
	return r;
}

/* ---- the stored identity ---------------------------------------------------------------------------------------------- */

/* "spiffe://DOMAIN/gateway/NAME" -> "spiffe://DOMAIN" */
static int domain_of(const char *uri, char ret[URI_SIZE])
{
	const char *slash = text_starts(uri, DOMAIN_PREFIX) ? strchr(uri + strlen(DOMAIN_PREFIX), '/') : NULL;
	if (slash == NULL || !text_starts(slash, "/gateway/"))
		return E_GW_TLS;
	return text_copy_n(ret, URI_SIZE, uri, (size_t)(slash - uri));
}

/* Everything that must hold before a certificate is used. */
static int identity_check(const struct key *k, struct span leaf, struct span chain, struct cert_info *ret_info,
                          char ret_domain[URI_SIZE], struct refusal *why)
{
	struct span issuing;
	struct span root;
	int         r = cert_fits_key(leaf, k);
	if (r != 0)
		return refuse(why, r, "gateway certificate", "does not belong to the gateway's key");
	if (chain_split(chain, &issuing, &root) != 0)
		return refuse(why, E_GW_TLS, "gateway certificate", "the chain does not hold issuing CA and root");
	r = cert_verify(leaf, issuing, root, EKU_SERVER_AUTH, 0, why);
	if (r != 0)
		return r;
	r = cert_read(leaf, ret_info);
	if (r != 0 || domain_of(ret_info->uri, ret_domain) != 0)
		return refuse(why, E_GW_TLS, "gateway certificate", "carries no name spiffe://DOMAIN/gateway/NAME");

	const struct span nobody = {NULL, 0};
	SSL_CTX          *trial = SSL_CTX_new(TLS_server_method());
	r = trial == NULL ? E_GW_TLS : install(trial, TLS_JOIN, k, leaf, chain, nobody);
	if (r == 0)
		r = install(trial, TLS_AGENTS, k, leaf, chain, nobody);
	SSL_CTX_free(trial);
	return r == 0 ? 0 : refuse(why, E_GW_TLS, "gateway certificate", "the TLS library does not accept it");
}

/* Takes ownership of `k`. */
static int identity_use(struct tls_gateway *t, struct key *k, struct span leaf, struct span chain, const struct cert_info *info,
                        const char *domain)
{
	buf_reset(&t->leaf);
	buf_reset(&t->chain);
	buf_add(&t->leaf, leaf.p, leaf.n);
	buf_add(&t->chain, chain.p, chain.n);
	key_free(t->key);
	t->key = k;
	t->not_before_at = info->not_before_at;
	t->not_after_at = info->not_after_at;
	text_cut(t->domain, sizeof(t->domain), domain);
	int r = buf_error(&t->leaf) != 0 ? buf_error(&t->leaf) : buf_error(&t->chain);
	for (int port = 0; r == 0 && port < TLS_PORT_COUNT; port++)
		if (t->served[port] != NULL)
			r = install(t->served[port], (enum tls_port)port, k, leaf, chain, buf_span(&t->agents));
	return r;
}

static int identity_parse(struct tls_gateway *t, struct span file, struct refusal *why)
{
	static const char begin[] = "-----BEGIN CERTIFICATE-----";
	const uint8_t    *certs = memmem(file.p, file.n, begin, strlen(begin));
	struct buf        ders = BUF_MAX(CERT_DER_MAX + CHAIN_DER_MAX);
	struct key       *k = NULL;
	struct cert_info  info;
	struct span       leaf = {0};
	char              domain[URI_SIZE];
	if (certs == NULL)
		return refuse(why, E_GW_TLS, IDENTITY_FILE, "holds no certificate");
	struct span key_part = {file.p, (size_t)(certs - file.p)};
	struct span cert_part = {certs, file.n - key_part.n};
	int         r = key_from_pem(key_part, &k);
	if (r == 0)
		r = cert_from_pem(cert_part, &ders);
	struct span rest = buf_span(&ders);
	if (r != 0 || !der_next(&rest, &leaf))
		r = refuse(why, E_GW_TLS, IDENTITY_FILE, "cannot be read; remove it and the gateway asks for a new one");
	if (r == 0)
		r = identity_check(k, leaf, rest, &info, domain, why);
	if (r == 0) {
		r = identity_use(t, k, leaf, rest, &info, domain);
		k = NULL;
	}
	key_free(k);
	buf_free(&ders);
	return r;
}

static int identity_store(const struct tls_gateway *t, struct span leaf, struct span chain, struct refusal *why)
{
	struct buf file = BUF_MAX(IDENTITY_FILE_MAX);
	int        r = key_to_pem(t->waiting, &file);
	if (r == 0)
		r = cert_pem_add(leaf, &file);
	if (r == 0)
		r = cert_pem_add(chain, &file);
	if (r != 0)
		r = refuse(why, r, IDENTITY_FILE, "cannot be written as PEM");
	else
		r = file_replace(t->dir_fd, IDENTITY_FILE, buf_span(&file), (uid_t)-1, (gid_t)-1, 0600, why);
	buf_wipe(&file);
	return r;
}

int tls_gateway_open(int dir_fd, struct tls_gateway **ret, struct refusal *why)
{
	struct tls_gateway *t = calloc(1, sizeof(*t));
	struct buf          file = BUF_MAX(IDENTITY_FILE_MAX);
	if (t == NULL)
		return refuse(why, E_NOMEM, IDENTITY_FILE, "no memory");
	t->dir_fd = dir_fd;
	t->leaf.max = CERT_DER_MAX;
	t->chain.max = CHAIN_DER_MAX;
	t->agents.max = CHAIN_DER_MAX;
	int r = file_read(dir_fd, IDENTITY_FILE, true, &file, why);
	if (r == 0)
		r = identity_parse(t, buf_span(&file), why);
	else if (r == E_NOT_FOUND)
		r = 0;
	buf_wipe(&file);
	if (r != 0) {
		tls_gateway_free(t);
		return r;
	}
	*ret = t;
	return 0;
}

void tls_gateway_free(struct tls_gateway *t)
{
	if (t == NULL)
		return;
	key_free(t->key);
	key_free(t->waiting);
	buf_free(&t->leaf);
	buf_free(&t->chain);
	buf_free(&t->agents);
	free(t);
}

bool tls_gateway_ready(const struct tls_gateway *t)
{
	return t->key != NULL;
}

int64_t tls_gateway_renew_at(const struct tls_gateway *t)
{
	struct hash chain;
	digest_sha256(buf_span(&t->chain), &chain);
	if (t->key == NULL || (!hash_is_none(t->wanted) && !hash_equal(t->wanted, chain)))
		return 0;
	return t->not_before_at + (t->not_after_at - t->not_before_at) / 2;
}

int tls_gateway_trust(struct tls_gateway *t, struct span agents, struct hash chain, struct refusal *why)
{
	struct span issuing, roots;
	buf_reset(&t->agents);
	buf_add(&t->agents, agents.p, agents.n);
	t->wanted = chain;
	if (t->served[TLS_AGENTS] == NULL)
		return buf_error(&t->agents);
	int r = chain_split(buf_span(&t->chain), &issuing, &roots);
	if (r == 0)
		r = install_client_ca(t->served[TLS_AGENTS], issuing, agents);
	return r == 0 ? 0 : refuse(why, r, "agents' authorities", "they cannot be used");
}

int tls_gateway_request(struct tls_gateway *t, struct buf *to_csr)
{
	struct key *k = NULL;
	int         r = t->waiting != NULL ? 0 : key_make(KEY_EC_P256, &k);
	if (r != 0)
		return r;
	if (k != NULL)
		t->waiting = k;
	return csr_make(t->waiting, to_csr);
}

int tls_gateway_accept(struct tls_gateway *t, struct span certificate, struct span chain, struct refusal *why)
{
	struct cert_info info;
	char             domain[URI_SIZE];
	if (t->waiting == NULL)
		return refuse(why, E_GW_TLS, "gateway certificate", "was not asked for");
	int r = identity_check(t->waiting, certificate, chain, &info, domain, why);
	if (r == 0)
		r = identity_store(t, certificate, chain, why);
	if (r != 0)
		return r;
	(void)fault_point("gateway_identity_stored");
	struct key *k = t->waiting;
	t->waiting = NULL;
	r = identity_use(t, k, certificate, chain, &info, domain);
	t->wanted = (struct hash){{0}}; /* whatever came is what there is: asked again when the controller tells of another one */
	return r == 0 ? 0 : refuse(why, r, "gateway certificate", "cannot be put into the running servers");
}

/* ---- servers ----------------------------------------------------------------------------------------------------------- */

int tls_gateway_serve(struct tls_gateway *t, enum tls_port port, SSL_CTX *ctx)
{
	static const unsigned char context_id[] = "vcc";
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	if (SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) != 1 || SSL_CTX_set_num_tickets(ctx, 0) != 1 ||
	    SSL_CTX_set_session_id_context(ctx, context_id, sizeof(context_id)) != 1 ||
	    SSL_CTX_set1_groups_list(ctx, "X25519:P-256") != 1 ||
	    SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256") != 1)
		return E_GW_TLS;
	/* no callback: nothing of ours may turn a failed verification into success */
	if (port == TLS_AGENTS)
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	else
		SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
	int r = install(ctx, port, t->key, buf_span(&t->leaf), buf_span(&t->chain), buf_span(&t->agents));
	if (r == 0)
		t->served[port] = ctx;
	return r;
}

int tls_gateway_peer(const struct tls_gateway *t, SSL *ssl, struct tls_peer *ret)
{
	struct tls_peer  peer = {0};
	struct cert_info info;
	X509            *x = ssl != NULL ? SSL_get0_peer_certificate(ssl) : NULL;
	unsigned char   *der = NULL;
	int              n = x != NULL ? i2d_X509(x, &der) : -1;
	if (n <= 0)
		return E_GW_CLIENT;
	int r = SSL_get_verify_result(ssl) == X509_V_OK ? cert_read((struct span){der, (size_t)n}, &info) : E_GW_CLIENT;
	OPENSSL_free(der);
	if (r != 0)
		return E_GW_CLIENT;

	size_t      prefix = strlen(t->domain);
	const char *path = text_starts(info.uri, t->domain) ? info.uri + prefix : "";
	if (!text_starts(path, "/agent/") || text_copy(peer.agent, sizeof(peer.agent), path + strlen("/agent/")) != 0 ||
	    !name_agent_ok(peer.agent) || hash_parse(info.host_hash, &peer.host_hash) != 0 || serial_is_none(info.serial))
		return E_GW_CLIENT;
	peer.identity = info.serial;
	peer.not_after_at = info.not_after_at;
	*ret = peer;
	return 0;
}

static long on_bio(BIO *bio, int what, const char *bytes, size_t len, int argi, long argl, int ret, size_t *processed)
{
	(void)bytes;
	(void)len;
	(void)argi;
	(void)argl;
	struct tls_tap *tap = (struct tls_tap *)(void *)BIO_get_callback_arg(bio);
	if (what == (BIO_CB_READ | BIO_CB_RETURN) && ret > 0 && !tap->read(tap, *processed))
		return -1; /* without a retry flag: an error for good */
	return ret;
}

void tls_gateway_tap(SSL *ssl, struct tls_tap *tap)
{
	BIO *bio = SSL_get_rbio(ssl);
	BIO_set_callback_arg(bio, (char *)tap);
	BIO_set_callback_ex(bio, on_bio);
}

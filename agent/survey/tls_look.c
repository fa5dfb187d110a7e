/* tls_look.c - room agent/survey: one fresh TLS handshake with each of many own listeners, and what they serve.
 * Never: connecting anywhere but to an address of this host; judging a certificate. */
#include "agent/survey/tls_look.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "shared/base/text.h"
#include "shared/sys/clock.h"
#include "shared/sys/file.h"
#include "shared/sys/tcp.h"
#include "shared/sys/tcp_to.h"

enum { AT_ONCE = 128, TURN_MS = 1000, LEAVE_MS = 1000 };

enum stage { STAGE_FREE, STAGE_CONNECT, STAGE_ASK /* STARTTLS: SSLRequest */, STAGE_ANSWER, STAGE_TLS, STAGE_LEAVE };

/* A handshake under way. */
struct attempt {
	struct look *look;
	enum stage   stage;
	int          fd;
	SSL         *ssl;
	short        wants; /* POLLIN or POLLOUT */
	int64_t      until;
};

const char *look_result_name(enum look_result r)
{
	static const char *const names[] = {"unknown", "served", "none", "plain", "silent", "refused"};
	return (size_t)r < N_ELEMENTS(names) ? names[r] : "unknown";
}

/* ---- a certificate in words --------------------------------------------------------------------------------------- */

static void name_words(const X509_NAME *name, char ret[INVENTORY_DN_SIZE])
{
	char *text = NULL;
	BIO  *out = BIO_new(BIO_s_mem());
	ret[0] = '\0';
	if (out == NULL)
		return;
	/* RFC 4514; everything that is not printable ASCII comes out escaped */
	if (X509_NAME_print_ex(out, name, 0, XN_FLAG_RFC2253) >= 0) {
		long n = BIO_get_mem_data(out, &text);
		if (n > 0)
			snprintf(ret, INVENTORY_DN_SIZE, "%.*s", (int)(n < INVENTORY_DN_SIZE ? n : INVENTORY_DN_SIZE - 1),
				 text);
	}
	BIO_free(out);
	text_hide_controls(ret);
}

static int64_t time_ms(const ASN1_TIME *t)
{
	struct tm civil;
	if (t == NULL || ASN1_TIME_to_tm(t, &civil) != 1)
		return 0;
	return (int64_t)timegm(&civil) * MS_SECOND;
}

/* One alternative name; false: a kind that is only counted. */
static bool san_words(const GENERAL_NAME *san, char *ret, size_t size)
{
	char                  address[INET6_ADDRSTRLEN] = "";
	const ASN1_IA5STRING *dns = san->d.dNSName;
	if (san->type == GEN_DNS) {
		int n = snprintf(ret, size, "DNS:%.*s", ASN1_STRING_length(dns), (const char *)ASN1_STRING_get0_data(dns));
		for (char *p = ret; *p != '\0'; p++)
			if ((unsigned char)*p <= ' ' || (unsigned char)*p >= 0x7f || *p == ',')
				*p = '?';
		return n > 0 && (size_t)n < size;
	}
	if (san->type != GEN_IPADD)
		return false;
	int n = ASN1_STRING_length(san->d.iPAddress);
	if ((n != 4 && n != 16) ||
	    inet_ntop(n == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(san->d.iPAddress), address, sizeof(address)) == NULL)
		return false;
	snprintf(ret, size, "IP:%s", address);
	return true;
}

static void sans_words(const X509 *leaf, struct look *l)
{
	GENERAL_NAMES *sans = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
	size_t         used = 0;
	for (int i = 0; sans != NULL && i < sk_GENERAL_NAME_num(sans); i++) {
		char one[DNS_NAME_SIZE + 8];
		l->n_names++;
		if (!san_words(sk_GENERAL_NAME_value(sans, i), one, sizeof(one)))
			continue;
		size_t n = strlen(one);
		if (used + n + 1 >= sizeof(l->names)) /* in whole names only */
			continue;
		used += (size_t)snprintf(l->names + used, sizeof(l->names) - used, "%s%s", used > 0 ? "," : "", one);
	}
	GENERAL_NAMES_free(sans);
}

static void leaf_words(X509 *leaf, struct look *l)
{
	unsigned n = 0;
	if (X509_digest(leaf, EVP_sha256(), l->fingerprint.b, &n) != 1)
		return;
	name_words(X509_get_subject_name(leaf), l->subject);
	name_words(X509_get_issuer_name(leaf), l->issuer);
	sans_words(leaf, l);
	l->not_before_at = time_ms(X509_get0_notBefore(leaf));
	l->not_after_at = time_ms(X509_get0_notAfter(leaf));
	l->self_signed = X509_self_signed(leaf, 1) == 1;
	l->result = LOOK_SERVED;
}

/* What stands behind a passphrase is nothing to us: nobody is asked. */
static int no_passphrase(char *buf, int size, int writing, void *ctx)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)ctx;
	return -1;
}

int look_pem(struct span pem, struct look *ret)
{
	BIO  *in = pem.n <= INT32_MAX ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
	X509 *leaf = in != NULL ? PEM_read_bio_X509(in, NULL, no_passphrase, NULL) : NULL;
	BIO_free(in);
	ERR_clear_error();
	if (leaf == NULL)
		return E_PKI_CERT;
	memset(ret, 0, sizeof(*ret));
	ret->chain = 1;
	leaf_words(leaf, ret);
	X509_free(leaf);
	return ret->result == LOOK_SERVED ? 0 : E_PKI_CERT;
}

int look_pair(struct span cert, struct span key)
{
	BIO  *cert_in = cert.n <= INT32_MAX ? BIO_new_mem_buf(cert.p, (int)cert.n) : NULL;
	BIO  *key_in = key.n <= INT32_MAX ? BIO_new_mem_buf(key.p, (int)key.n) : NULL;
	X509 *leaf = cert_in != NULL ? PEM_read_bio_X509(cert_in, NULL, no_passphrase, NULL) : NULL;
	EVP_PKEY *private = key_in != NULL ? PEM_read_bio_PrivateKey(key_in, NULL, no_passphrase, NULL) : NULL;
	int r = leaf == NULL                                 ? E_PKI_CERT
		: private == NULL                            ? E_PKI_KEY
		: X509_check_private_key(leaf, private) == 1 ? 0
							     : E_PKI_MISMATCH;
	EVP_PKEY_free(private);
	X509_free(leaf);
	BIO_free(key_in);
	BIO_free(cert_in);
	ERR_clear_error();
	return r;
}

/* ---- connect ------------------------------------------------------------------------------------------------------ */

static int socket_start(const char *address)
{
	char          host[TCP_HOST_SIZE];
	uint16_t      port;
	struct tcp_to to;
	int           fd;
	return tcp_split(address, host, &port) == 0 && tcp_to(host, port, &to) == 0 && tcp_to_own(&to, &fd) == 0 ? fd : -1;
}

/* ---- one handshake ------------------------------------------------------------------------------------------------ */

static void attempt_end(struct attempt *a, enum look_result result)
{
	if (a->look->result != LOOK_SERVED)
		a->look->result = result;
	SSL_free(a->ssl);
	fd_close(a->fd);
	*a = (struct attempt){.stage = STAGE_FREE, .fd = -1};
}

static void attempt_start(struct attempt *a, SSL_CTX *ctx, struct look *l, int64_t timeout_ms)
{
	*a = (struct attempt){.look = l, .stage = STAGE_CONNECT, .fd = socket_start(l->address), .wants = POLLOUT};
	a->until = clock_monotonic() + timeout_ms;
	if (a->fd < 0) {
		attempt_end(a, LOOK_REFUSED);
		return;
	}
	a->ssl = SSL_new(ctx);
	if (a->ssl == NULL || SSL_set_fd(a->ssl, a->fd) != 1 ||
	    (l->sni[0] != '\0' && SSL_set_tlsext_host_name(a->ssl, l->sni) != 1))
		attempt_end(a, LOOK_REFUSED);
}

static void take_certificate(struct attempt *a)
{
	int   nid = 0;
	X509 *leaf = SSL_get0_peer_certificate(a->ssl);
	const STACK_OF(X509) *chain = SSL_get_peer_cert_chain(a->ssl);
	if (leaf == NULL)
		return;
	a->look->chain = chain != NULL && sk_X509_num(chain) > 0 ? (uint32_t)sk_X509_num(chain) : 1;
	/* with RSA key exchange (TLS 1.2 and older) only the finished handshake proves the key */
	a->look->proved = SSL_is_init_finished(a->ssl) || SSL_get_peer_signature_type_nid(a->ssl, &nid) == 1;
	leaf_words(leaf, a->look);
}

/* A server whose last bytes nobody reads logs a reset: say goodbye, then read until it closes, too. */
static void leave_start(struct attempt *a)
{
	if (!SSL_is_init_finished(a->ssl) || SSL_shutdown(a->ssl) < 0 || shutdown(a->fd, SHUT_WR) != 0) {
		attempt_end(a, LOOK_NONE);
		return;
	}
	a->stage = STAGE_LEAVE;
	a->wants = POLLIN;
	a->until = clock_monotonic() + LEAVE_MS;
}

static void leave_turn(struct attempt *a)
{
	uint8_t scratch[4096];
	ssize_t n = recv(a->fd, scratch, sizeof(scratch), 0);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		attempt_end(a, LOOK_NONE);
}

/* A fatal alert is TLS; anything else that cannot be read as a record is another protocol. */
static bool was_alert(void)
{
	return ERR_GET_REASON(ERR_peek_last_error()) >= SSL_AD_REASON_OFFSET;
}

static void tls_turn(struct attempt *a)
{
	ERR_clear_error();
	int r = SSL_connect(a->ssl);
	int error = SSL_get_error(a->ssl, r);
	if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
		a->wants = error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
		return;
	}
	bool alert = error == SSL_ERROR_SSL && was_alert();
	/* refused for want of a client certificate, say: what was served before counts */
	take_certificate(a);
	if (r == 1)
		leave_start(a);
	else
		attempt_end(a, alert ? LOOK_NONE : LOOK_PLAIN);
	ERR_clear_error();
}

static void connected_turn(struct attempt *a)
{
	int       error = 0;
	socklen_t n = sizeof(error);
	if (getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &error, &n) != 0 || error != 0) {
		attempt_end(a, LOOK_REFUSED);
		return;
	}
	a->stage = a->look->starttls ? STAGE_ASK : STAGE_TLS;
}

/* PostgreSQL's SSLRequest: length and a number that is no protocol version; answered by one byte, S or N. */
static void ask_turn(struct attempt *a)
{
	static const uint8_t request[8] = {0, 0, 0, 8, 4, 210, 22, 47};
	if (send(a->fd, request, sizeof(request), MSG_NOSIGNAL) != (ssize_t)sizeof(request)) {
		attempt_end(a, LOOK_PLAIN);
		return;
	}
	a->stage = STAGE_ANSWER;
	a->wants = POLLIN;
}

static void answer_turn(struct attempt *a)
{
	char    answer = '\0';
	ssize_t n = recv(a->fd, &answer, 1, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n != 1 || answer != 'S') {
		attempt_end(a, LOOK_PLAIN);
		return;
	}
	a->stage = STAGE_TLS;
	tls_turn(a);
}

static void attempt_turn(struct attempt *a)
{
	if (a->stage == STAGE_CONNECT)
		connected_turn(a);
	if (a->stage == STAGE_ASK)
		ask_turn(a);
	else if (a->stage == STAGE_ANSWER)
		answer_turn(a);
	else if (a->stage == STAGE_TLS)
		tls_turn(a);
	else if (a->stage == STAGE_LEAVE)
		leave_turn(a);
}

/* ---- many --------------------------------------------------------------------------------------------------------- */

static int verify_nothing(X509_STORE_CTX *store, void *ctx)
{
	(void)store;
	(void)ctx;
	return 1;
}

/* Level 0 and no lowest version, whatever the system's configuration says: nothing is sent over these connections. */
static SSL_CTX *context_make(void)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	if (ctx == NULL)
		return NULL;
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_LEGACY_SERVER_CONNECT);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_cert_verify_callback(ctx, verify_nothing, NULL);
	SSL_CTX_set_security_level(ctx, 0);
	if (SSL_CTX_set_min_proto_version(ctx, 0) != 1 || SSL_CTX_set_cipher_list(ctx, "ALL:!aNULL:!eNULL:@SECLEVEL=0") != 1) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

/* What it means that the time is over. */
static const enum look_result too_late[] = {
	[STAGE_FREE] = LOOK_UNKNOWN,  [STAGE_CONNECT] = LOOK_REFUSED, [STAGE_ASK] = LOOK_SILENT,
	[STAGE_ANSWER] = LOOK_SILENT, [STAGE_TLS] = LOOK_SILENT,      [STAGE_LEAVE] = LOOK_NONE,
};

static int64_t first_until(const struct attempt *attempts)
{
	int64_t until = INT64_MAX;
	for (size_t i = 0; i < AT_ONCE; i++)
		if (attempts[i].stage != STAGE_FREE && attempts[i].until < until)
			until = attempts[i].until;
	return until;
}

static void wait_turn(struct attempt *attempts)
{
	struct pollfd fds[AT_ONCE];
	int64_t       wait = first_until(attempts) - clock_monotonic();
	for (size_t i = 0; i < AT_ONCE; i++)
		fds[i] = (struct pollfd){.fd = attempts[i].stage != STAGE_FREE ? attempts[i].fd : -1,
					 .events = attempts[i].wants};
	wait = wait < 0 ? 0 : wait > TURN_MS ? TURN_MS : wait;
	if (poll(fds, AT_ONCE, (int)wait) < 0)
		return;
	int64_t now = clock_monotonic();
	for (size_t i = 0; i < AT_ONCE; i++) {
		if (attempts[i].stage == STAGE_FREE)
			continue;
		if (fds[i].revents != 0)
			attempt_turn(&attempts[i]);
		if (attempts[i].stage != STAGE_FREE && now >= attempts[i].until)
			attempt_end(&attempts[i], too_late[attempts[i].stage]);
	}
}

int look_all(struct look *looks, size_t n, int64_t timeout_ms)
{
	struct attempt attempts[AT_ONCE];
	size_t         next = 0;
	size_t         open;
	SSL_CTX       *ctx = context_make();
	if (ctx == NULL)
		return E_NOMEM;
	for (size_t i = 0; i < AT_ONCE; i++)
		attempts[i] = (struct attempt){.stage = STAGE_FREE, .fd = -1};
	do {
		open = 0;
		for (size_t i = 0; i < AT_ONCE; i++) {
			while (attempts[i].stage == STAGE_FREE && next < n)
				attempt_start(&attempts[i], ctx, &looks[next++], timeout_ms);
			open += attempts[i].stage != STAGE_FREE;
		}
		if (open > 0)
			wait_turn(attempts);
	} while (open > 0);
	SSL_CTX_free(ctx);
	return 0;
}

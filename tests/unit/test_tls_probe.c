/* test_tls_probe.c - is the served certificate seen, and does a handshake that nobody wants any more still go to its end, so that no server logs it? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "agent/keeper/dialer.h"
#include "agent/keeper/tls_probe.h"
#include "shared/sys/file.h"

enum { LONG_MS = 20000 };

struct server {
	pid_t pid;
	int   says, hears; /* a byte when a client is there; a byte lets the handshake begin */
	char  address[32];
};

static SSL_CTX *own_certificate(void)
{
	SSL_CTX  *ctx = SSL_CTX_new(TLS_server_method());
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509     *cert = X509_new();
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), 0);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	X509_set_pubkey(cert, key);
	X509_sign(cert, key, EVP_sha256());
	if (SSL_CTX_use_certificate(ctx, cert) != 1 || SSL_CTX_use_PrivateKey(ctx, key) != 1)
		_exit(3);
	X509_free(cert);
	EVP_PKEY_free(key);
	return ctx;
}

/* 0 = a whole handshake and a goodbye, which is what a server has nothing to log of. */
static int serve(int listener, int says, int hears)
{
	uint8_t  byte = 1;
	SSL_CTX *ctx = own_certificate();
	int      fd = accept(listener, NULL, NULL);
	if (fd < 0 || write(says, &byte, 1) != 1 || read(hears, &byte, 1) != 1)
		return 4;
	SSL *ssl = SSL_new(ctx);
	SSL_set_fd(ssl, fd);
	int result = SSL_accept(ssl) != 1 ? 1 : SSL_read(ssl, &byte, 1) != 0 || (SSL_get_shutdown(ssl) & SSL_RECEIVED_SHUTDOWN) == 0 ? 2 : 0;
	SSL_free(ssl);
	fd_close(fd);
	SSL_CTX_free(ctx);
	return result;
}

static void server_start(struct server *s)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t          n = sizeof(a);
	int                says[2], hears[2], listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&a, n), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&a, &n), 0);
	assert_true(pipe(says) == 0 && pipe(hears) == 0);
	snprintf(s->address, sizeof(s->address), "127.0.0.1:%u", (unsigned)ntohs(a.sin_port));
	s->pid = fork();
	if (s->pid == 0)
		_exit(serve(listener, says[1], hears[0]));
	fd_close(listener);
	fd_close(says[1]);
	fd_close(hears[0]);
	s->says = says[0];
	s->hears = hears[1];
}

static void someone_is_there(const struct server *s)
{
	uint8_t byte;
	assert_int_equal(read(s->says, &byte, 1), 1);
}

static void begin(const struct server *s)
{
	assert_int_equal(write(s->hears, "x", 1), 1);
}

static void server_is_content(struct server *s)
{
	int status;
	assert_int_equal(waitpid(s->pid, &status, 0), s->pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	fd_close(s->says);
	fd_close(s->hears);
}

struct world {
	uv_loop_t          loop;
	int                dialer;
	struct tls_probes *probes;
	unsigned           seen;
	int                code;
	bool               certificate;
};

static void world_open(struct world *w)
{
	struct refusal why = {.code = 0};
	*w = (struct world){.dialer = -1};
	assert_int_equal(dialer_start(&w->dialer, &why), 0);
	assert_int_equal(uv_loop_init(&w->loop), 0);
	assert_int_equal(tls_probes_open(w->dialer, &w->probes), 0);
}

/* `s`: the server that has to be content; NULL = none is there any more. */
static void world_close(struct world *w, struct server *s)
{
	assert_int_equal(uv_run(&w->loop, UV_RUN_DEFAULT), 0);
	if (s != NULL)
		server_is_content(s);
	tls_probes_close(w->probes);
	assert_int_equal(uv_loop_close(&w->loop), 0);
	fd_close(w->dialer);
	assert_true(wait(NULL) > 0);
}

static void on_seen(void *ctx, const struct tls_probe_seen *seen)
{
	struct world *w = ctx;
	w->seen++;
	w->code = seen->code;
	w->certificate = seen->chain.n > 0 && !hash_is_none(seen->fingerprint);
}

static struct tls_probe *probe(struct world *w, const char *address)
{
	struct tls_probe *p = NULL;
	assert_int_equal(tls_probe_start(w->probes, &w->loop, address, VERIFY_TLS, "a.example", LONG_MS, on_seen, w, &p), 0);
	return p;
}

static void sees_what_is_served(void **state)
{
	(void)state;
	struct server s;
	struct world  w;
	server_start(&s);
	world_open(&w);
	(void)probe(&w, s.address);
	someone_is_there(&s);
	begin(&s);
	while (w.seen == 0)
		uv_run(&w.loop, UV_RUN_ONCE);
	assert_true(w.code == 0 && w.certificate);
	world_close(&w, &s);
}

static void what_is_forgotten_ends_as_it_should(void **state)
{
	(void)state;
	struct server s;
	struct world  w;
	server_start(&s);
	world_open(&w);
	struct tls_probe *p = probe(&w, s.address);
	someone_is_there(&s);
	tls_probe_forget(p); /* in the middle: the server has not said a word yet */
	begin(&s);
	world_close(&w, &s);
	assert_int_equal(w.seen, 0);
}

static void says_that_nobody_is_there(void **state)
{
	(void)state;
	struct world w;
	world_open(&w);
	(void)probe(&w, "127.0.0.1:1");
	(void)probe(&w, "192.0.2.1:443"); /* documentation, nobody's: not an address of this host */
	while (w.seen < 2)
		uv_run(&w.loop, UV_RUN_ONCE);
	assert_int_equal(w.code, E_SWAP_PROBE);
	world_close(&w, NULL);
}

/* The keeper ends while a handshake runs. */
static void ends_in_the_middle(void **state)
{
	(void)state;
	struct server s;
	struct world  w;
	server_start(&s);
	world_open(&w);
	tls_probe_forget(probe(&w, s.address));
	someone_is_there(&s);
	uv_run(&w.loop, UV_RUN_NOWAIT);
	fd_close(w.dialer);
	begin(&s);
	w.dialer = -1;
	assert_int_equal(waitpid(s.pid, NULL, 0), s.pid); /* its handshake may break off here */
	fd_close(s.says);
	fd_close(s.hears);
	world_close(&w, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sees_what_is_served),
		cmocka_unit_test(what_is_forgotten_ends_as_it_should),
		cmocka_unit_test(says_that_nobody_is_there),
		cmocka_unit_test(ends_in_the_middle),
	};
	signal(SIGPIPE, SIG_IGN); /* as the keeper does */
	return cmocka_run_group_tests(tests, NULL, NULL);
}

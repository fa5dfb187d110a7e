/* bench_empty.c - what do the libraries cost that an agent stands on? A process that does nothing, beside which the agent's memory is read.
 *   bench_empty link    a libwebsockets context with a TLS client, as vcc-agent has      bench_empty keeper    an OpenSSL client context
 * Linked with those libraries alone. Prints "ready", holds until stdin ends. Never: anything useful. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <libwebsockets.h>
#include <openssl/ssl.h>

static const struct lws_protocols protocols[] = {{.name = "none", .callback = lws_callback_http_dummy}, {0}};

static int hold(void)
{
	char byte;
	printf("ready\n");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		continue;
	return 0;
}

static int link_like(void)
{
	struct lws_context_creation_info info = {
		.port = CONTEXT_PORT_NO_LISTEN,
		.options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT | LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS,
		.protocols = protocols,
		.fd_limit_per_thread = 64,
		.uid = -1,
		.gid = -1,
	};
	lws_set_log_level(0, NULL);
	struct lws_context *context = lws_create_context(&info);
	if (context == NULL)
		return 1;
	int r = hold();
	lws_context_destroy(context);
	return r;
}

static int keeper_like(void)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	if (ctx == NULL)
		return 1;
	int r = hold();
	SSL_CTX_free(ctx);
	return r;
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "link") == 0)
		return link_like();
	if (argc == 2 && strcmp(argv[1], "keeper") == 0)
		return keeper_like();
	fprintf(stderr, "usage: bench_empty link | keeper\n");
	return 2;
}

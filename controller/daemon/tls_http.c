/* tls_http.c - room controller/daemon: the TLS settings of the admin listener.
 * Never: sockets. */
#include "controller/daemon/tls_http.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

void tls_http_harden(void *ssl_ctx)
{
	SSL_CTX *ctx = ssl_ctx;
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_num_tickets(ctx, 0);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20");
}

int tls_http_load(void *ssl_ctx, const char *chain_path, const char *key_path, struct refusal *why)
{
	SSL_CTX *ctx = ssl_ctx;
	ERR_clear_error();
	if (SSL_CTX_use_certificate_chain_file(ctx, chain_path) == 1 &&
	    SSL_CTX_use_PrivateKey_file(ctx, key_path, SSL_FILETYPE_PEM) == 1 && SSL_CTX_check_private_key(ctx) == 1)
		return 0;
	char text[160];
	ERR_error_string_n(ERR_peek_last_error(), text, sizeof(text));
	ERR_clear_error();
	return refuse(why, E_GW_TLS, chain_path, "%s", text);
}

int tls_http_check(const char *chain_path, const char *key_path, struct refusal *why)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	if (ctx == NULL)
		return refuse(why, E_GW_TLS, chain_path, "no TLS context");
	int r = tls_http_load(ctx, chain_path, key_path, why);
	SSL_CTX_free(ctx);
	return r;
}

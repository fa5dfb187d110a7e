/* tls_http.c - room controller/daemon: the TLS settings of the admin listener.
 * Never: sockets, files. */
#include "controller/daemon/tls_http.h"

#include <limits.h>

#include <openssl/err.h>
#include <openssl/pem.h>
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

static BIO *pem_reader(struct span pem)
{
	return pem.n <= INT_MAX ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
}

/* All or nothing: SSL_CTX_use_cert_and_key checks that leaf and key belong together before it replaces anything. */
static bool load(SSL_CTX *ctx, BIO *chain_pem, BIO *key_pem)
{
	X509     *leaf = PEM_read_bio_X509(chain_pem, NULL, NULL, NULL);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(key_pem, NULL, NULL, NULL);
	STACK_OF(X509) *chain = sk_X509_new_null();
	for (X509 *next; chain != NULL && (next = PEM_read_bio_X509(chain_pem, NULL, NULL, NULL)) != NULL;)
		if (sk_X509_push(chain, next) <= 0)
			X509_free(next);
	ERR_clear_error(); /* the end of the PEM text is no error */
	bool ok = leaf != NULL && key != NULL && chain != NULL && SSL_CTX_use_cert_and_key(ctx, leaf, key, chain, 1) == 1;
	X509_free(leaf);
	EVP_PKEY_free(key);
	sk_X509_pop_free(chain, X509_free);
	return ok;
}

int tls_http_load(void *ssl_ctx, struct span chain_pem, struct span key_pem, struct refusal *why)
{
	ERR_clear_error();
	BIO *chain = pem_reader(chain_pem);
	BIO *key = pem_reader(key_pem);
	bool ok = chain != NULL && key != NULL && load(ssl_ctx, chain, key);
	BIO_free(chain);
	BIO_free(key);
	if (ok)
		return 0;
	char text[160];
	ERR_error_string_n(ERR_peek_last_error(), text, sizeof(text));
	ERR_clear_error();
	return refuse(why, E_GW_TLS, "admin listener", "key and certificate cannot be used: %s", text);
}

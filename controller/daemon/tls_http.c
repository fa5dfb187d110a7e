/* tls_http.c - room controller/daemon: the TLS settings of the admin listener.
 * Never: sockets, files. */
#include "controller/daemon/tls_http.h"

#include <limits.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

enum { CLIENT_CHAIN_MAX = 16384 };

/* A chain is not built: whoever shows a certificate has proved its key, and the store knows which certificates count and which were
 * revoked a moment ago. So a stranger's odd chain costs nothing. */
static int take_any(X509_STORE_CTX *ctx, void *arg)
{
	(void)arg;
	X509_STORE_CTX_set_error(ctx, X509_V_OK);
	return 1;
}

void tls_http_harden(void *ssl_ctx)
{
	SSL_CTX *ctx = ssl_ctx;
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_num_tickets(ctx, 0);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_cert_verify_callback(ctx, take_any, NULL);
	SSL_CTX_set_max_cert_list(ctx, CLIENT_CHAIN_MAX);
	SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20");
}

bool tls_http_peer(void *ssl, struct serial *ret_serial, struct hash *ret_fingerprint)
{
	const X509         *cert = ssl != NULL ? SSL_get0_peer_certificate(ssl) : NULL;
	const ASN1_INTEGER *number = cert != NULL ? X509_get0_serialNumber(cert) : NULL;
	int                 length = number != NULL ? ASN1_STRING_length(number) : 0;
	unsigned            n = sizeof(ret_fingerprint->b);
	if (length <= 0 || length > (int)sizeof(ret_serial->b) || X509_digest(cert, EVP_sha256(), ret_fingerprint->b, &n) != 1)
		return false; /* no serial number of ours */
	*ret_serial = (struct serial){{0}}; /* DER leaves leading zeros out */
	memcpy(ret_serial->b + sizeof(ret_serial->b) - (size_t)length, ASN1_STRING_get0_data(number), (size_t)length);
	return true;
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

/* tls_http.h - room controller/daemon: the TLS settings of the admin listener. OpenSSL stays in tls_http.c.
 * Never: sockets, files. */
#ifndef VCC_TLS_HTTP_H
#define VCC_TLS_HTTP_H

#include "shared/base/buf.h"
#include "shared/base/err.h"
#include "shared/base/id.h"

/* The certificate that the other side of this connection (the library's SSL) showed and whose key it holds; false without one. Nothing
 * else of it was judged: whether it counts is for whoever knows what was issued. */
bool tls_http_peer(void *ssl, struct serial *ret_serial, struct hash *ret_fingerprint);
/* `ssl_ctx` is the library's context of the listener: TLS 1.2 with AEAD or 1.3, no tickets; a client
 * certificate is asked for and may be missing. */
void tls_http_harden(void *ssl_ctx);
/* Puts chain and key into the context for new connections; a pair that does not fit changes nothing. E_GW_TLS. */
_must_check_ int tls_http_load(void *ssl_ctx, struct span chain_pem, struct span key_pem, struct refusal *why);

#endif

/* tls_http.h - room controller/daemon: the TLS settings of the admin listener. OpenSSL stays in tls_http.c.
 * Never: sockets, files. */
#ifndef VCC_TLS_HTTP_H
#define VCC_TLS_HTTP_H

#include "shared/base/buf.h"
#include "shared/base/err.h"

/* `ssl_ctx` is the library's context of the listener: TLS 1.2 with AEAD or 1.3, no tickets. */
void tls_http_harden(void *ssl_ctx);
/* Puts chain and key into the context for new connections; a pair that does not fit changes nothing. E_GW_TLS. */
_must_check_ int tls_http_load(void *ssl_ctx, struct span chain_pem, struct span key_pem, struct refusal *why);

#endif

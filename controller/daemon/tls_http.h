/* tls_http.h - room controller/daemon: the TLS settings of the admin listener. OpenSSL stays in tls_http.c.
 * Never: sockets. */
#ifndef VCC_TLS_HTTP_H
#define VCC_TLS_HTTP_H

#include "shared/base/err.h"

/* `ssl_ctx` is the library's context of the listener: TLS 1.2 with AEAD or 1.3, no tickets. */
void tls_http_harden(void *ssl_ctx);
/* Loads both files into a throw-away context. E_GW_TLS. */
_must_check_ int tls_http_check(const char *chain_path, const char *key_path, struct refusal *why);
/* Replaces the pair for new connections. */
_must_check_ int tls_http_load(void *ssl_ctx, const char *chain_path, const char *key_path, struct refusal *why);

#endif

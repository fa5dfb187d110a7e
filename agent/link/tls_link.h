/* tls_link.h - room agent/link: TLS towards the gateway: which server is ours, and who we are. OpenSSL stays in tls_link.c.
 * The server is known by its root and by a gateway's SPIFFE id, never by a DNS name; times are ignored (the clock may be
 * wrong). Never: reconnecting, frames. */
#ifndef VCC_TLS_LINK_H
#define VCC_TLS_LINK_H

#include "shared/base/buf.h"
#include "shared/base/err.h"
#include "shared/base/id.h"
#include "shared/model/names.h"

/* Settings of the library's client context: TLS 1.3, our root only, our identity (may be empty while joining). */
_must_check_ int tls_link_setup(void *ssl_ctx, struct span root, struct span identity_pem, struct refusal *why);
/* After the handshake, before anything is sent: the peer's chain leads to the root and its leaf is a gateway of `domain`. E_PKI_CHAIN, E_LINK_REFUSED. */
_must_check_ int tls_link_peer(void *ssl, struct span root, const char *domain, struct refusal *why);

/* What the newest handshake told beyond the library's words. */
struct tls_seen {
	int  alert;  /* of the server; 0 = none */
	bool shaken; /* our side of the handshake was done: the server was reached, and it judges us after that */
};
void tls_link_watch(void *ssl_ctx, struct tls_seen *seen); /* `seen` must live as long as the context */
bool tls_seen_expired(const struct tls_seen *seen);        /* the server says that our certificate has ended */

/* ---- joining: one blocking exchange ---- */
struct tls_join;
/* Connects, takes the server's root (the last certificate it sends) when its SHA-256 is `pin`, and checks the chain to it. E_LINK_PIN, E_LINK_DOWN, E_PKI_CHAIN. */
_must_check_ int tls_join_open(const char *address, struct hash pin, struct tls_join **ret, struct refusal *why);
struct span      tls_join_root(const struct tls_join *j); /* DER */
/* POST /join with `body`; the answer's body, at most its buffer's cap. */
_must_check_ int tls_join_post(struct tls_join *j, const char *address, struct span body, struct buf *ret_answer, struct refusal *why);
void             tls_join_close(struct tls_join *j);

#endif

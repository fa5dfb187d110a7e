/* tls_gateway.h - room controller/gateway: the gateway's own TLS key and certificate, the settings of its two TLS servers, and
 * who a client is by its certificate. Never: sockets, deciding who may connect beyond the certificate. */
#ifndef VCC_TLS_GATEWAY_H
#define VCC_TLS_GATEWAY_H

#include <openssl/types.h>

#include "shared/base/buf.h"
#include "shared/base/err.h"
#include "shared/base/id.h"
#include "shared/model/names.h"

enum tls_port { TLS_AGENTS, TLS_JOIN, TLS_PORT_COUNT };

/* Key, certificate and chain live in one file, so that they always belong together. */
struct tls_gateway;

/* Reads NAME in the state folder if it is there. E_GW_TLS when it is damaged. `dir_fd` stays the caller's. */
_must_check_ int tls_gateway_open(int dir_fd, struct tls_gateway **ret, struct refusal *why);
void    tls_gateway_free(struct tls_gateway *t);
bool    tls_gateway_ready(const struct tls_gateway *t);     /* there is a certificate */
int64_t tls_gateway_renew_at(const struct tls_gateway *t);  /* half of its life; 0 without one, and where another chain is wanted */
/* The controller's word: `agents`: DER of the authorities whose certificates make a client an agent, beside the one that issued our
 * own; `chain`: hash of the chain that a new certificate would come with. */
_must_check_ int tls_gateway_trust(struct tls_gateway *t, struct span agents, struct hash chain, struct refusal *why);

/* A request for a fresh key, which is kept in memory until the answer comes. */
_must_check_ int tls_gateway_request(struct tls_gateway *t, struct buf *to_csr);
/* Checks the answer against the waiting key, its chain (the last of `chain` is the root) and a throw-away server, stores it, then
 * swaps it into the running servers. E_GW_TLS and pki codes; nothing changes then. */
_must_check_ int tls_gateway_accept(struct tls_gateway *t, struct span certificate, struct span chain, struct refusal *why);

/* Settings of a server's context, and its place for later swaps. The context outlives `t`'s use of it. E_GW_TLS. */
_must_check_ int tls_gateway_serve(struct tls_gateway *t, enum tls_port port, SSL_CTX *ctx);

struct tls_peer {
	char          agent[AGENT_NAME_SIZE];
	struct serial identity;
	struct hash   host_hash;
	int64_t       not_after_at;
};
/* Reads the verified client certificate. E_GW_CLIENT when it is not an agent's of our domain. */
_must_check_ int tls_gateway_peer(const struct tls_gateway *t, SSL *ssl, struct tls_peer *ret);

/* Is told of every byte that a connection reads off the network from now on. False from `read` = that was enough: nothing is read
 * any more, and the connection fails. */
struct tls_tap {
	bool (*read)(struct tls_tap *tap, size_t n);
};
void tls_gateway_tap(SSL *ssl, struct tls_tap *tap); /* lives as long as the connection */

#endif

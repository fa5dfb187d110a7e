/* tls_fleet.h - one TLS client connection of a simulated host, never waiting, and the two kinds of websocket frames it needs.
 * libwebsockets is not used here: one library connection costs the simulation more than the host that it plays (docs/decisions.md).
 * Never: decisions about the connection; trusting a root that is neither pinned nor of a bundle. */
#ifndef VCC_TLS_FLEET_H
#define VCC_TLS_FLEET_H

#include <sys/socket.h>

#include "shared/base/buf.h"
#include "shared/base/err.h"
#include "shared/pki/key.h"

enum { ROOTS_DER_MAX = 8 * CERT_DER_MAX };

struct fleet_tls; /* of one process: trusts the roots that it knows, remembers which server chains it has judged */

/* `roots`: DER, one after the other. The one whose digest is `pin` is taken from the join port where it is not among them; a pin of
 * zeros names none. */
_must_check_ int fleet_tls_new(struct span roots, struct hash pin, struct fleet_tls **ret, struct refusal *why);
void             fleet_tls_free(struct fleet_tls *t);
struct span      fleet_tls_root(const struct fleet_tls *t); /* those that count; empty until one was seen */
void             fleet_tls_trust(struct fleet_tls *t, struct span root); /* one more, from a bundle that a welcomed member was given */

struct fleet_place {
	struct sockaddr_storage to;
	socklen_t               n;
};
_must_check_ int fleet_place_parse(const char *address, struct fleet_place *ret); /* numeric HOST:PORT only */

struct fleet_identity; /* certificate and link key, decoded once */
_must_check_ int fleet_identity_new(struct span der, const struct key *key, struct fleet_identity **ret);
void             fleet_identity_free(struct fleet_identity *i);

struct fleet_peer {
	void      *ssl;
	int        fd;
	bool       dialing, shaking;
	struct buf out; /* what the socket did not take */
};

/* Begins to connect; `source` tells hosts apart on loopback, where each gets an address of its own. `identity` NULL = none is shown. */
_must_check_ int fleet_peer_open(struct fleet_peer *p, struct fleet_tls *t, const struct fleet_place *place, uint32_t source,
                                 const struct fleet_identity *identity);
_must_check_ int fleet_peer_shake(struct fleet_peer *p); /* 1 = done, 0 = wait, E_LINK_* */
_must_check_ int fleet_peer_write(struct fleet_peer *p, struct span bytes); /* kept when it cannot be sent now: 0, E_LINK_DOWN, E_FULL */
_must_check_ int fleet_peer_flush(struct fleet_peer *p);
_must_check_ int fleet_peer_read(struct fleet_peer *p, void *to, size_t size); /* bytes, 0 = no more now, E_LINK_DOWN */
void             fleet_peer_close(struct fleet_peer *p); /* abruptly, as a host that loses its power */

/* ---- websocket (RFC 6455): whole binary messages, pings, close ---- */
enum { WS_BINARY = 2, WS_CLOSE = 8, WS_PING = 9, WS_PONG = 10, WS_HEAD_MAX = 14 };
extern const char   fleet_ws_upgrade[]; /* request */
_must_check_ int fleet_ws_upgraded(struct span answer, size_t *ret_used); /* 1 = yes, 0 = more bytes, E_LINK_REFUSED */
/* Appends one masked frame. */
void             fleet_ws_frame(int opcode, struct span payload, uint32_t mask, struct buf *to);
/* The next whole frame of `in`: 1 and `in` behind it, 0 = more bytes, E_WIRE_LIMIT. */
_must_check_ int fleet_ws_next(struct span *in, size_t limit, int *ret_opcode, struct span *ret_payload);

#endif

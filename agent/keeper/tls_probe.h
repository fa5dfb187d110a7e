/* tls_probe.h - room agent/keeper: one fresh TLS handshake with one of the host's own listeners, on the loop.
 * Success = the server's certificate and its proof of the key were seen; a later refusal of our missing client certificate
 * changes nothing. Never: a socket of the internet; that is the dialer's. */
#ifndef VCC_TLS_PROBE_H
#define VCC_TLS_PROBE_H

#include <uv.h>

#include "shared/base/buf.h"
#include "shared/base/err.h"
#include "shared/base/id.h"
#include "shared/conf/target_conf.h"

/* Shared by all probes: no verification (the expected bytes are known), no sessions, little memory. */
struct tls_probes;
_must_check_ int tls_probes_open(int dialer, struct tls_probes **ret); /* of dialer_start(); it stays the caller's */
void tls_probes_close(struct tls_probes *t);

struct tls_probe_seen {
	int         code;        /* 0, E_SWAP_PROBE */
	struct hash fingerprint; /* of the served certificate */
	struct span chain;       /* all that was served, DER one after the other; valid during the call */
	struct hash ca_names; /* trust_names_add() over the authorities that it names when it asks for a client's certificate; none = none */
	const char *cause;
};
typedef void tls_probe_fn(void *ctx, const struct tls_probe_seen *seen);

struct tls_probe;
/* `address` "127.0.0.1:443", "[::1]:443", "localhost:443"; `kind` tells what is said before TLS. Calls `done` once, later, on the loop.
 * E_SYS_ADDRESS, E_NOMEM. */
_must_check_ int tls_probe_start(struct tls_probes *t, uv_loop_t *loop, const char *address, enum verify_kind kind, const char *sni,
                                 int64_t timeout_ms, tls_probe_fn *done, void *ctx, struct tls_probe **ret);
/* `done` is not called any more; NULL allowed. The handshake goes to its end by itself: a server would log one that breaks off. */
void tls_probe_forget(struct tls_probe *p);

#endif

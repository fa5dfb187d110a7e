/* tls_outside.h - room agent/link: one fresh TLS handshake with a service on another host, without waiting. OpenSSL stays in tls_outside.c.
 * Whoever calls waits for the socket and judges what was served; that the other side holds the key was proved by then.
 * Never: our identity; a session; a byte beyond the handshake. */
#ifndef VCC_TLS_OUTSIDE_H
#define VCC_TLS_OUTSIDE_H

#include <stdbool.h>

#include "shared/base/buf.h"
#include "shared/base/err.h"
#include "shared/sys/tls_prelude.h"

struct tls_outside;           /* shared by all handshakes */
_must_check_ int tls_outside_open(struct tls_outside **ret);
void             tls_outside_close(struct tls_outside *t); /* NULL allowed */

struct tls_handshake;
/* `host` is a numeric address; `name` is asked for (SNI) unless it is an address, too; `prelude` is said before TLS. Connecting has begun; `ret_fd` stays the caller's to
 * watch and to close. E_SYS_ADDRESS, E_SYS_IO, E_NOMEM. */
_must_check_ int tls_handshake_begin(struct tls_outside *t, const char *host, uint16_t port, const char *name,
				     enum tls_prelude_kind prelude, struct tls_handshake **ret, int *ret_fd);
void             tls_handshake_free(struct tls_handshake *h); /* the socket stays; NULL allowed */

/* Goes on as far as the socket lets it. 0: the certificate and the proof of its key were seen; E_SYS_AGAIN: wait until the socket can be
 * read or, with *ret_write, written; else it failed, and *ret_cause says how. */
_must_check_ int tls_handshake_turn(struct tls_handshake *h, bool *ret_write, const char **ret_cause);
/* After 0: all that was served, DER one after the other. */
_must_check_ int tls_handshake_served(const struct tls_handshake *h, struct buf *to);
/* Says goodbye, so that the server logs no reset. True: there are bytes to be read until the other side closes, too. */
bool tls_handshake_leave(struct tls_handshake *h);

#endif

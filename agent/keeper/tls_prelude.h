/* tls_prelude.h - room agent/keeper: what some protocols say in plain text before their TLS handshake.
 * Never: reading a byte of the handshake itself; more than a fixed number of bytes. */
#ifndef VCC_TLS_PRELUDE_H
#define VCC_TLS_PRELUDE_H

#include <stdbool.h>

#include "shared/conf/target_conf.h"

/* One exchange on a connected, non-blocking socket. Zero with `kind` set is its beginning. */
struct tls_prelude {
	enum verify_kind kind;
	size_t           sent;
	bool             done;
};

/* Goes on as far as the socket allows. 0 = done (at once for protocols without a prelude). E_SYS_AGAIN: call again when the
 * socket is readable (`*ret_read`) or writable. E_SWAP_PROBE with a cause: the other side does not want TLS. */
_must_check_ int tls_prelude_turn(struct tls_prelude *p, int fd, bool *ret_read, const char **ret_cause);

#endif

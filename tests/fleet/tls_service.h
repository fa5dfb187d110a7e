/* tls_service.h - the TLS service of a real host of a fleet, and a look at what such a service serves.
 * Never: knowing hosts, orders or who manages its files. */
#ifndef VCC_TLS_SERVICE_H
#define VCC_TLS_SERVICE_H

#include <stdint.h>

#include "shared/base/err.h"
#include "shared/base/id.h"

/* Answers handshakes on `listener` with DIR/current/fullchain.pem and key.pem; reads both again on SIGHUP and keeps the old
 * pair when it cannot. Without a pair it closes what connects. Ends with the process. */
_Noreturn void service_run(int listener, const char *dir, const char *pidfile);

/* Fingerprint of the leaf that a handshake on 127.0.0.1:PORT shows; E_LINK_DOWN = none does. */
_must_check_ int service_look(uint16_t port, const char *sni, struct hash *ret);

#endif

/* resolver.h - room agent/link: the gateway's address, by name service or, when that fails or
 * leads nowhere, the last one that worked.
 * Never: trusting a name; the pinned root decides who is at the other end. */
#ifndef VCC_RESOLVER_H
#define VCC_RESOLVER_H

#include <stdbool.h>
#include <stdint.h>

#include "shared/base/err.h"
#include "shared/model/names.h"

struct resolver {
	char last[ADDRESS_SIZE]; /* numeric host of the last good connection, "" = none yet */
	bool try_last;           /* the resolved one failed: every other try goes to `last` */
};

/* "host:port" -> numeric host and port. E_SYS_ADDRESS (form), E_LINK_DOWN (no address and none remembered). `ret_host` may be
 * the place of the last answer. */
_must_check_ int resolver_find(const struct resolver *r, const char *address, uint32_t random, char ret_host[ADDRESS_SIZE], uint16_t *ret_port,
                               struct refusal *why);
/* The next one is the last one that worked: name service may take its time, and something else may not wait. */
void resolver_spare(struct resolver *r);
void resolver_worked(struct resolver *r, const char *host);
void resolver_failed(struct resolver *r); /* no connection to what was found */

#endif

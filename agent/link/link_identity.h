/* link_identity.h - room agent/link: when the link's certificate is renewed: the times, without a clock.
 * Never: anything but arithmetic here. */
#ifndef VCC_LINK_IDENTITY_H
#define VCC_LINK_IDENTITY_H

#include <stdint.h>

/* How long until half of the life is over, at most an hour; 0 = it is. */
int64_t link_identity_wait(int64_t not_before_at, int64_t not_after_at, int64_t now);
/* How long to wait for the answer to the `asked`-th request: doubling, and well below the life that is left. */
int64_t link_identity_retry(int64_t life_ms, uint32_t asked);

#endif

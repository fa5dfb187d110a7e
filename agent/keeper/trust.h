/* trust.h - room agent/keeper: the trust bundle: which roots this host accepts, and how it may change (DESIGN 5).
 * Never: accepting a bundle that the current roots did not sign, except the very first one, which the pin covers. */
#ifndef VCC_TRUST_H
#define VCC_TRUST_H

#include "shared/base/err.h"
#include "shared/model/messages.h"

struct trust {
	uint64_t    epoch;
	uint32_t    threshold;
	struct hash hash;  /* SHA-256 of the signed body */
	struct buf  roots; /* DER one after the other */
	struct buf  frame; /* the MSG_BUNDLE frame as received */
};

/* At join: `pin` is one of the bundle's roots and among the signers; threshold met by the bundle's own roots. */
_must_check_ int trust_first(struct span frame, struct hash pin, struct trust *ret, struct refusal *why);
/* Higher epoch, names the current bundle as previous, signed by >= threshold roots of the current one. E_SWAP_BUNDLE. */
_must_check_ int trust_next(const struct trust *now, struct span frame, struct trust *ret, struct refusal *why);
/* From our own file; it was judged before. */
_must_check_ int trust_read(struct span frame, struct trust *ret, struct refusal *why);
void trust_free(struct trust *t);
void trust_take(struct trust *to, struct trust *from); /* frees `to` first; `from` is empty afterwards */

#endif

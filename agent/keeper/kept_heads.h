/* kept_heads.h - room agent/keeper: the newest heads of the controller's audit trail that this host has seen: whoever rewrites
 * the trail would have to rewrite them here, too. Never: believing one that no authority below the bundle's roots has signed.
 */
#ifndef VCC_KEPT_HEADS_H
#define VCC_KEPT_HEADS_H

#include "shared/base/err.h"
#include "shared/model/messages.h"

enum { KEPT_HEADS_MAX = 4, KEPT_CERTIFICATE_MAX = CERT_DER_MAX / 3 };

struct kept_head {
	uint64_t    size;
	struct hash root;
	int64_t     at;
	uint8_t     certificate[KEPT_CERTIFICATE_MAX]; /* DER of the authority */
	uint16_t    certificate_len;
	uint8_t     signature[MSG_SIGNATURE_MAX];
	uint16_t    signature_len;
};

struct kept_heads {
	uint32_t         n;
	struct kept_head row[KEPT_HEADS_MAX]; /* newest first */
};

/* Signature and chain to `roots` (DER one after the other), time apart: a host whose clock is wrong is a witness, too.
 * E_PKI_CHAIN, E_PKI_SIGNATURE. */
_must_check_ int kept_heads_check(const struct msg_head *m, struct span roots, struct refusal *why);
/* Takes a head that was checked. *ret_new: it is to be saved. E_AUDIT_HEAD_KEPT: it contradicts one that is kept, or the size
 * falls. */
_must_check_ int kept_heads_take(struct kept_heads *h, const struct msg_head *m, bool *ret_new, struct refusal *why);

#endif

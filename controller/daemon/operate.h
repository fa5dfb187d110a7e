/* operate.h - room controller/daemon: what people order: the changing calls of controller.h, and the revocation of one issuance.
 * Never: rights (the API has checked them). */
#ifndef VCC_OPERATE_H
#define VCC_OPERATE_H

#include "controller/daemon/commit.h"

/* Adds one revocation to the commit: the row, its audit record, its CRL shard; and, of a certificate's current issuance, the row of the
 * certificate, which its caller reads again before changing it. Already revoked: nothing. */
void operate_revoke_issuance(struct controller *ctl, struct commit *c, const struct issuance *i, enum revoke_reason reason,
			     int64_t now, const struct caller *who);

/* Unexpired and not ended, or on its way to the signer. */
bool operate_in_use(const struct issuance *i, int64_t now);
/* Every issuance of an owner, as newest known; each may be changed in a commit that is not handed over yet. */
typedef void     each_issuance_fn(void *ctx, const struct issuance *i);
_must_check_ int operate_each_issuance(struct controller *ctl, enum issuance_owner owner, const char *owner_id, each_issuance_fn *each, void *ctx);

/* May this agent be sent orders? E_AGENT_EVICTED, E_AGENT_BANNED, E_ORDER_NO_AGENT. */
_must_check_ int operate_agent_usable(struct controller *ctl, const char *agent);

/* Adds to the commit that an agent is evicted, banned or removed: its row, the end of its identities, the record; its connection is cut when
 * that is stored. E_AGENT_BANNED, E_EXISTS with `why`. */
_must_check_ int operate_agent_end(struct controller *ctl, struct commit *c, struct agent *row, enum agent_state to, const struct caller *who,
				   struct refusal *why);

#endif

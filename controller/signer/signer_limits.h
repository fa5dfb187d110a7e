/* signer_limits.h - room controller/signer: what the signer refuses whatever the controller asks.
 * The table in the .c file is fixed; signer.conf can only narrow it. Never: trusting the caller's policy. */
#ifndef VCC_SIGNER_LIMITS_H
#define VCC_SIGNER_LIMITS_H

#include "controller/signer/ca_store.h"
#include "shared/conf/signer_conf.h"
#include "shared/model/messages.h"

/* E_SIGNER_LIMIT with what was asked and what is allowed; E_SIGNER_STALE for a list from more than an hour ago. `now`: the
 * signer's own clock. */
_must_check_ int limits_leaf(const struct signer_conf *conf, const struct ca *ca, const struct cert_facts *facts, int64_t now,
                             struct refusal *why);
/* E_SIGNER_STALE. Not asked of what the log holds already: that is signed again as it was. */
_must_check_ int limits_leaf_age(const struct cert_facts *facts, int64_t now, struct refusal *why);
_must_check_ int limits_crl(const struct ca *ca, const struct sg_crl *crl, int64_t now, struct refusal *why);
_must_check_ int limits_head(const struct sg_head *head, int64_t now, struct refusal *why);

/* Token bucket: `rate` signatures a second, at most one second's worth at once. */
struct rate_cap {
	int64_t rate;
	int64_t milli_tokens;
	int64_t at_ms; /* monotonic */
};
void signer_limits_rate_init(struct rate_cap *r, int64_t rate, int64_t now_ms);
bool signer_limits_rate_take(struct rate_cap *r, int64_t now_ms);

#endif

/* rollover_ask.h - room controller/daemon: what a second person has to agree to before an authority gives way, and before it is
 * retired; and the request that is made by itself when an authority grows old. Never: a step of a rollover (rollovers.h). */
#ifndef VCC_ROLLOVER_ASK_H
#define VCC_ROLLOVER_ASK_H

#include <jansson.h>

#include "controller/daemon/commit.h"

enum { ROLLOVER_CONSUMERS_MAX = 64, ROLLOVER_CONSUMERS_TEXT = 1536 };

/* Asks; nothing else is done: result.waits. E_NOT_FOUND, E_ROLLOVER_ROOT, E_ROLLOVER_STATE (it is retired), E_ROLLOVER_OPEN. */
void rollover_ask_begin(struct controller *ctl, const char *issuer_id, bool emergency, const struct caller *who,
			api_done_fn *done, void *ctx);

/* Would asking be possible? The same codes; changes nothing. */
_must_check_ int rollover_ask_possible(struct controller *ctl, const char *issuer_id, bool emergency, struct refusal *why);
/* What has to be known before an emergency, as texts. */
json_t *rollover_ask_warnings(struct controller *ctl, const char *issuer_id);
/* The newest request about this CA that waits for somebody. */
bool rollover_ask_waits(struct controller *ctl, const char *issuer_id, struct id *ret);

/* `consumers`: list of texts, as rollover_consumers_check() took it: what trusts the CA outside of the agents. The caller
 * vouches for it, the approver agrees to it, and its hash stands in the trail. Codes of rollovers_may_retire(). */
void             rollover_ask_retire(struct controller *ctl, const char *issuer_id, const json_t *consumers, bool override,
				     const struct caller *who, api_done_fn *done, void *ctx);
_must_check_ int rollover_consumers_check(const json_t *consumers, struct refusal *why);

/* A request for each authority whose rest has become too short. */
void rollover_ask_tick(struct controller *ctl, int64_t now);

/* ---- for approvals.c ---- */
_must_check_ int rollover_describe(struct controller *ctl, const struct approval *a, json_t **ret);
_must_check_ int rollover_carry_out(struct controller *ctl, struct commit *c, const struct approval *a,
				    const struct caller *who, struct api_result *ret);
_must_check_ int retirement_describe(struct controller *ctl, const struct approval *a, json_t **ret);
_must_check_ int retirement_carry_out(struct controller *ctl, struct commit *c, const struct approval *a,
				      const struct caller *who, struct api_result *ret);

#endif

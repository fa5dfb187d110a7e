/* approvals.h - room controller/daemon: what waits for a second person: asked for, shown, decided once, or over after a week.
 * What is approved is what was shown: a decision names the hash of the text, and the text must still be true. Never: deciding who may
 * decide (controller/core/rights.h). */
#ifndef VCC_APPROVALS_H
#define VCC_APPROVALS_H

#include <jansson.h>

#include "controller/daemon/commit.h"

struct approvals;
_must_check_ int approvals_open(struct approvals **ret);
void             approvals_free(struct approvals *a);
void             approvals_tick(struct controller *ctl, int64_t now); /* ends what is over or untrue */

/* Adds a request to the commit that makes the thing wait. `a` comes with kind, object, service and perhaps an id; the rest is filled in.
 * Takes over `what`. */
void approvals_request(struct controller *ctl, struct commit *c, struct approval *a, json_t *what, const struct caller *who);
/* The same where nothing is done about an emergency before a second person agrees: told at once, to the security contact, too. */
void approvals_request_urgent(struct controller *ctl, struct commit *c, struct approval *a, json_t *what, const struct caller *who);
/* The request of an order that was just made to wait; `spki` is the key that came with it, empty when its host makes one. */
void approvals_request_order(struct controller *ctl, struct commit *c, const struct order *o, const struct certificate *cert,
			     struct span spki, const struct caller *who);
/* The request about a campaign that was just made: before it begins, or to confirm it afterwards. */
void approvals_request_campaign(struct controller *ctl, struct commit *c, const struct campaign *campaign, const struct caller *who);
/* A certificate's names wait (`approved` false) or do no longer: its older requests end, and there is exactly one for what waits. */
void approvals_follow_target(struct controller *ctl, struct commit *c, const struct certificate *cert, const struct caller *who);

/* Was an order of this certificate rejected lately? A no counts as long as a request. */
bool approvals_said_no(struct controller *ctl, const char *cert_id);

/* One decision. `shown` is the hash that the decider saw. Codes of rights_decide(), E_APPROVAL_STALE, E_APPROVAL_GONE. */
struct approval_decision {
	struct id        approval_id;
	struct hash      shown;
	bool             approve;
	char             comment[CAUSE_SIZE];
	struct principal by; /* with what its token leaves of it */
};
void approvals_decide(struct controller *ctl, const struct approval_decision *d, const struct caller *who, api_done_fn *done,
		      void *ctx);

/* For order_actions.c: an order leaves awaiting_approval. `decision` NULL: for another reason than a decision. */
void approvals_order_left(struct controller *ctl, struct commit *c, struct id renewal_id, const struct approval *decision,
			  const struct caller *who, const char *cause);

#endif

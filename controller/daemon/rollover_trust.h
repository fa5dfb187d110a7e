/* rollover_trust.h - room controller/daemon: how far hosts are with the trust bundle that a change of the root waits for:
 * counted on a worker from what their receipts acknowledged after the reload, judged on the loop, which knows who is here.
 * Never: changing anything. */
#ifndef VCC_ROLLOVER_TRUST_H
#define VCC_ROLLOVER_TRUST_H

#include <jansson.h>

#include "controller/core/rollover_flow.h"
#include "controller/daemon/controller.h"

struct trust_host {
	char    name[AGENT_NAME_SIZE];
	int64_t seen_at;  /* as stored */
	bool    behind;   /* a service of it has not acknowledged the bundle */
	bool    unproved; /* all did, and of one nobody can tell whether it uses what lies there */
};

struct rollover_trust {
	uint64_t           epoch; /* what is waited for; 0 = nothing */
	struct trust_host *hosts; /* owned: all that joined and were not removed */
	size_t             n, cap;
};

/* What this rollover waits for in its phase: the first bundle with the next root; then the one without the old. 0 = nothing
 * yet. */
uint64_t rollover_trust_epoch(struct controller *ctl, const struct rollover *r);

/* On a worker. `epoch` is set. E_STORE_*, E_NOMEM. */
_must_check_ int rollover_trust_count(struct rollover_trust *t, struct store_view *view);
void             rollover_trust_free(struct rollover_trust *t);

/* Of those seen within 30 days: who does not have it, and of whom it is not proved. */
void    rollover_trust_judge(struct controller *ctl, const struct rollover_trust *t, int64_t now, uint32_t *ret_missing,
			     uint32_t *ret_unproved);
void    rollover_trust_figures(struct controller *ctl, const struct rollover *r, const struct rollover_trust *t, int64_t now,
			       struct rollover_figures *figures);
json_t *rollover_trust_json(struct controller *ctl, const struct rollover *r, const struct rollover_trust *t, int64_t now);
void    rollover_trust_rows(struct controller *ctl, const struct rollover_trust *t, int64_t now, json_t *to);

#endif

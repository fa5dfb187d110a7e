/* policy_edit.h - room controller/daemon: somebody changes a template or a service: looked at on the live set, shown, agreed to
 * by a second person where that is wanted, stored as a new version, and carried to the certificates that it concerns. Never:
 * deciding what a change means (controller/core/policy_change.h). */
#ifndef VCC_POLICY_EDIT_H
#define VCC_POLICY_EDIT_H

#include <jansson.h>

#include "controller/daemon/commit.h"

struct policy_edit {
	bool of_service;
	struct template template; /* the next version; template_id names it */
	struct service service;   /* of_service: the same; name names it */
	bool           expects;   /* If-Match: what is in force must still be version `base`; 0 = nothing */
	uint32_t       base;
	bool           force;   /* although renewals become impossible */
	bool           dry_run; /* only the report */
};

struct policy_edit_result {
	int             code; /* E_POLICY_TEMPLATE, E_SERVICE_*, E_POLICY_STALE, E_POLICY_BLOCKS; `why` is filled */
	struct refusal  why;
	bool            waits; /* nothing was done yet: `approval` waits for a second person */
	struct approval approval;
	bool            changed; /* false with code 0: it says already what is asked for, or dry_run */
	uint32_t        version; /* in force afterwards */
	struct id       campaign_id; /* changed: it renews what the change concerns */
	json_t *report; /* what it does: versions, changes, certificates, violations; lives until the callback returns */
};
typedef void policy_edit_done_fn(void *ctx, const struct policy_edit_result *result);

void policy_edit_start(struct controller *ctl, const struct policy_edit *edit, const struct caller *who,
		       policy_edit_done_fn *done, void *ctx);

/* ---- for approvals.c: requests of the kinds TEMPLATE and SERVICE ---- */
_must_check_ int policy_edit_describe(struct controller *ctl, const struct approval *a, json_t **ret);
_must_check_ int policy_edit_carry_out(struct controller *ctl, struct commit *c, const struct approval *a,
				       const struct caller *who, struct api_result *ret);

#endif

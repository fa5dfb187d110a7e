/* policy_preview.h - room controller/daemon: what a changed template or service would do to the live set (dry run).
 * On a worker, page by page. Never: changing anything. */
#ifndef VCC_POLICY_PREVIEW_H
#define VCC_POLICY_PREVIEW_H

#include <jansson.h>

#include "controller/store/store.h"

struct policy_preview {
	/* in */
	bool            of_service;
	struct template template; /* the next version */
	struct service  service;  /* of_service: the next version */
	int64_t         issuer_not_after_at; /* of `template`'s issuer */
	int64_t         now;
	/* out; the caller's */
	int            code;
	struct refusal why;
	uint64_t       certificates; /* live ones that it concerns */
	uint64_t       renewals;     /* of these: what is issued changes */
	uint64_t       blocked;      /* of these: could be renewed unattended before, and no longer */
	json_t        *renewed;      /* their cert_ids, the first PREVIEW_LISTED */
	json_t        *violations;   /* [{cert_id, field, reason}], the first PREVIEW_LISTED */
};
enum { PREVIEW_LISTED = 100 };

/* `view` NULL: the store cannot be read. */
void policy_preview_run(struct policy_preview *p, struct store_view *view);
void policy_preview_done(struct policy_preview *p); /* drops the lists */

/* Is the certificate one that a change of policy concerns? */
bool policy_preview_live(const struct certificate *c);

#endif

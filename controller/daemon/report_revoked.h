/* report_revoked.h - room controller/daemon: walks what was revoked in a period: certificates of services, not the hosts' own identities.
 * Never: what was archived since; deciding what a figure counts (core/report_figure.h). */
#ifndef VCC_REPORT_REVOKED_H
#define VCC_REPORT_REVOKED_H

#include "controller/daemon/report_judge.h"

/* All zero: the beginning. */
struct report_revoked_place {
	char          issuer_id[ISSUER_ID_SIZE];
	bool          within; /* of that issuer: the shard below was begun */
	uint32_t      shard;
	struct serial after;
};

/* A positive answer of `fn` ends the walk behind that row. */
typedef int report_revoked_fn(void *ctx, const struct revoked_row *row, unsigned figures);
_must_check_ int report_revoked(struct store_view *view, const struct report_ask *ask, struct report_revoked_place *place, size_t max_pages,
				report_revoked_fn *fn, void *ctx, bool *ret_more);

#endif

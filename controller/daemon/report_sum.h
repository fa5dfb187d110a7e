/* report_sum.h - room controller/daemon: the figures of a compliance report, added up on a worker over bounded pages of the store.
 * Memory hangs on the number of services, not of certificates. Never: writing them; that is report_json.h. */
#ifndef VCC_REPORT_SUM_H
#define VCC_REPORT_SUM_H

#include <uthash.h>

#include "controller/daemon/report_judge.h"

enum { RISKS_LISTED = 500, SAMPLES = 5, SERVICES_COUNTED_MAX = 10000 };

struct service_sum {
	char           name[SERVICE_SIZE];
	uint64_t       n[FIGURE_COUNT];
	UT_hash_handle hh;
};

struct rule_sum {
	uint64_t                      n[COMPLIANCE_RESULT_COUNT];
	const struct compliance_text *why[COMPLIANCE_RESULT_COUNT]; /* of the first with that result */
	char                          sample[SAMPLES][CERT_ID_SIZE]; /* that fail */
};

struct risk_row {
	char     cert_id[CERT_ID_SIZE];
	char     service[SERVICE_SIZE];
	unsigned risks;
	int64_t  not_after_at;
	uint64_t rules[RULES_MAX / 64]; /* places in the rule book of error-level rules that fail */
};

struct report_sum {
	const struct report_ask *ask;
	struct compliance_system system;
	uint64_t                 n[FIGURE_COUNT];
	int64_t                  duration_ms; /* of all that were completed, together */
	uint64_t                 in_profile[PROFILES_N];
	struct rule_sum          rule[RULES_MAX];
	struct service_sum      *services;
	uint64_t                 uncounted_services; /* beyond SERVICES_COUNTED_MAX: in the totals alone */
	struct risk_row          risk[RISKS_LISTED];
	size_t                   n_risks;
	int64_t                  trail_at; /* the first audit record; 0 = there is none */
};

/* `ask` must live as long. Codes of the store. */
_must_check_ int report_sum_make(struct store_view *view, const struct report_ask *ask, struct report_sum **ret);
void             report_sum_free(struct report_sum *s); /* NULL allowed */

/* Every order that a figure of the period may count, by its end, paused ones last. A positive answer of `fn` ends the walk. */
typedef int report_order_fn(void *ctx, const struct order *o, unsigned figures);
struct report_order_place {
	bool      paused; /* the walk is among those */
	int64_t   at;
	struct id after;
};
_must_check_ int report_orders(struct store_view *view, const struct report_ask *ask, struct report_order_place *place, size_t max_pages,
			       report_order_fn *fn, void *ctx, bool *ret_more);
/* Emergency campaigns of the period, newest first; after `before`. */
typedef int report_campaign_fn(void *ctx, const struct campaign *c);
_must_check_ int report_campaigns(struct store_view *view, const struct report_ask *ask, struct id before, report_campaign_fn *fn, void *ctx);

/* A rule about the installation. */
enum compliance_result report_system_judge(const struct report_ask *ask, size_t rule, const struct compliance_system *s,
					   const struct compliance_text **ret_why);

#endif

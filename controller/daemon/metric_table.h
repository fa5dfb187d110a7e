/* metric_table.h - room controller/daemon: every metric of /metrics, one row each: name, type, labels, what it says, where it comes from.
 * The exposition, docs/metrics.md and the tests of rules and dashboards are made from it. Never: values. */
#ifndef VCC_METRIC_TABLE_H
#define VCC_METRIC_TABLE_H

#include "shared/base/buf.h"

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM, METRIC_TYPE_COUNT };
const char *metric_type_name(enum metric_type t);

enum metric {
	/* of the brief, unchanged */
	METRIC_RENEWALS,
	METRIC_RENEWAL_DURATION,
	METRIC_EXPIRING_BRIEF,
	METRIC_EMERGENCIES,
	METRIC_SUCCESS_RATE,
	METRIC_CLARA_MODELS,
	METRIC_SERVICE_HEALTH,
	/* certificates and targets */
	METRIC_CERTIFICATES,
	METRIC_EXPIRING,
	METRIC_URGENT,
	METRIC_OVERDUE,
	METRIC_TARGETS,
	METRIC_UNREHEARSED,
	METRIC_DRIFTS,
	METRIC_DEPLOYMENTS,
	METRIC_ROLLBACKS,
	/* of each, up to metrics.targets */
	METRIC_NOT_BEFORE,
	METRIC_NOT_AFTER,
	METRIC_RENEW_AFTER,
	METRIC_CERTIFICATE_INFO,
	METRIC_LIVE,
	METRIC_NOT_LIVE,
	METRIC_SERVED_NOT_AFTER,
	METRIC_REHEARSAL_LAST,
	METRIC_REHEARSAL,
	METRIC_AGENT_SEEN,
	METRIC_AGENT_IDENTITY,
	METRIC_AGENT_SKEW,
	METRIC_AGENT_INFO,
	METRIC_DETAIL,
	/* hosts, orders, campaigns */
	METRIC_AGENTS,
	METRIC_GATEWAYS,
	METRIC_ORDERS_OPEN,
	METRIC_ORDERS_PAUSED,
	METRIC_ORDERS_PAUSED_TOTAL,
	METRIC_TO_VERIFIED,
	METRIC_STEPS,
	METRIC_CAMPAIGNS,
	METRIC_CAMPAIGN_TARGETS,
	METRIC_CA_NOT_AFTER,
	METRIC_SIGNATURES,
	METRIC_SIGN_DURATION,
	METRIC_SIGNER_QUEUE,
	METRIC_CRL_THIS,
	METRIC_CRL_NEXT,
	METRIC_CRL_ENTRIES,
	METRIC_OCSP,
	METRIC_STORE_WRITE,
	METRIC_STORE_SIZE,
	METRIC_AUDIT_RECORDS,
	METRIC_HEAD_WITNESSED,
	METRIC_HEAD_UNWITNESSED,
	METRIC_BACKUP,
	METRIC_HTTP,
	METRIC_HTTP_DURATION,
	METRIC_NOTIFICATIONS,
	METRIC_CONF_WELL,
	METRIC_CONF_AT,
	METRIC_READY,
	METRIC_LOOP_TURNS,
	METRIC_LOOP_LONGEST,
	METRIC_FIGURES_AT,
	METRIC_FIGURES_TOOK,
	METRIC_BUILD,
	METRIC_CPU,
	METRIC_MEMORY,
	METRIC_FDS,
	METRIC_MAX_FDS,
	METRIC_START,
	METRIC_COUNT,
};

enum { METRIC_BOUNDS_MAX = 16 };

struct metric_row {
	const char      *name; /* of its samples; those of a histogram add _bucket, _sum, _count */
	enum metric_type type;
	const char      *labels; /* comma list in the order of writing, "" = none */
	const char      *help;   /* one line, without quotes and backslashes */
	const char      *from;   /* where the value comes from */
	const int       *bounds; /* of a histogram, in ms, 0 ends them; NULL = none */
};
const struct metric_row *metric_row(enum metric m);
/* How many bounds the histogram has; at most METRIC_BOUNDS_MAX. */
size_t metric_bounds(enum metric m);
/* The table as a page. */
void metrics_document(struct buf *to);

#endif

/* metric_counts.h - room controller/daemon: what is counted in this run, as plain values: one is the loop's, a worker gets a
 * copy. Never: the store, text. */
#ifndef VCC_METRIC_COUNTS_H
#define VCC_METRIC_COUNTS_H

#include "controller/daemon/metric_table.h"
#include "shared/model/campaign.h"
#include "shared/model/messages.h"

enum { METRIC_SERVICES_MAX = 128, METRIC_ROUTES_MAX = 192 };

/* How a renewal ended. */
enum metric_status { METRIC_COMPLETED, METRIC_FAILED, METRIC_ROLLED_BACK, METRIC_CANCELLED, METRIC_STATUS_COUNT };
const char *metric_status_name(enum metric_status s);

enum metric_result { METRIC_VERIFIED, METRIC_UNVERIFIED, METRIC_NOT_DEPLOYED, METRIC_RESULT_COUNT };
const char *metric_result_name(enum metric_result r);

enum metric_back { METRIC_BACK_FAILED, METRIC_BACK_ASKED, METRIC_BACK_COUNT };
const char *metric_back_name(enum metric_back b);

enum metric_http { METRIC_HTTP_2XX, METRIC_HTTP_4XX, METRIC_HTTP_5XX, METRIC_HTTP_COUNT };
const char *metric_http_name(enum metric_http h);

struct metric_histogram {
	uint64_t bucket[METRIC_BOUNDS_MAX + 1]; /* each by itself; after the bounds what is above all of them */
	int64_t  sum_us;
};
/* `m` names the bounds; below 0 counts as 0: a clock was set. */
void metric_observe(struct metric_histogram *h, enum metric m, int64_t us);

struct metric_service { /* metric_write.c: add_service() and any_counted() go through all numbers */
	char     name[SERVICE_SIZE];
	uint64_t renewals[TRIGGER_COUNT][METRIC_STATUS_COUNT];
	uint64_t paused;
};

/* Orders that ended in the last day, in quarters of an hour: which share had its certificate in use. */
enum { METRIC_SLOT_MS = 15 * 60 * 1000, METRIC_SLOTS = 97 };
struct metric_day {
	int64_t  slot[METRIC_SLOTS]; /* number of the quarter since the epoch */
	uint64_t good[METRIC_SLOTS], bad[METRIC_SLOTS];
};
void metric_day_add(struct metric_day *d, int64_t at, bool good);
/* Adds what of the day before `now` is in it. */
void metric_day_sum(const struct metric_day *d, int64_t now, uint64_t *good, uint64_t *bad);

struct metric_counts {
	struct metric_service service[METRIC_SERVICES_MAX + 1]; /* as they came; the last one: all that found no room */
	size_t                n_services;
	uint64_t              emergencies[INCIDENT_TYPE_COUNT], drifts[DRIFT_KIND_COUNT], deployments[METRIC_RESULT_COUNT];
	uint64_t              rollbacks[METRIC_BACK_COUNT], signed_ok, signed_refused;
	uint64_t http[METRIC_ROUTES_MAX + 1][METRIC_HTTP_COUNT]; /* by place in api_routes.c; the last one: none of them */
	struct metric_histogram renewal, to_verified, step[STEP_COUNT], sign, store_write, http_took;
	struct metric_day       day;
};
/* The row of this service; it is made where there is none. */
struct metric_service *metric_counts_service(struct metric_counts *c, const char *name);

/* What of an order's step counts; plain, so that it can wait until the step is stored. */
struct metric_move {
	char         service[SERVICE_SIZE];
	enum trigger trigger;
	unsigned     ended;  /* 1 + enum metric_status, of a renewal; 0 = it did not end, or was none */
	unsigned     result; /* 1 + enum metric_result; 0 = none */
	uint32_t     failures;
	bool         back, paused;
	int          day;         /* 1 = good, -1 = bad, 0 = neither */
	int64_t      at;          /* the end, where it ended */
	int64_t      took_ms;     /* of a completed renewal, else -1 */
	int64_t      verified_ms; /* when it was proved by this step, else -1 */
};
/* False: nothing of it counts. */
bool metric_move_of(const struct order *was, const struct order *next, int64_t now, struct metric_move *ret);
void metric_counts_move(struct metric_counts *c, const struct metric_move *m);

#endif

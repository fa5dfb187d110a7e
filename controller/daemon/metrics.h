/* metrics.h - room controller/daemon: counts what happens, and answers GET /metrics. What has to be read or written for an
 * answer is done on a worker; the loop copies what it knows and sends the text. Never: a scan on the loop, two answers made at
 * once. */
#ifndef VCC_METRICS_H
#define VCC_METRICS_H

#include "controller/daemon/commit.h"
#include "controller/daemon/metric_counts.h"

struct metrics;

/* Before the lock-in: opens what the kernel tells of this process. */
_must_check_ int metrics_open(struct controller *ctl, struct metrics **ret);
void             metrics_stop(struct controller *ctl); /* reading ends early */
void             metrics_free(struct metrics *m);

/* What counts when the change is stored. */
void metrics_order_later(struct commit *c, const struct order *was, const struct order *next, int64_t now);
void metrics_steps_later(struct commit *c, const struct order_step_row *rows, size_t n);
void metrics_emergency_later(struct commit *c, enum incident_type type);
void metrics_drift_later(struct commit *c, enum drift_kind kind);
/* What counts at once. */
void metrics_stored(struct controller *ctl, int64_t took_us);
void metrics_signed(struct controller *ctl, bool well, int64_t took_us);
/* `route`: place in api_routes.c; beyond the last = none of them. */
void metrics_request(struct controller *ctl, size_t route, int status, int64_t took_us);

#endif

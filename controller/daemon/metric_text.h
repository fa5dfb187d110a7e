/* metric_text.h - room controller/daemon: writes samples as Prometheus reads them: text 0.0.4 or OpenMetrics 1.0.
 * Never: knowing where a value comes from. */
#ifndef VCC_METRIC_TEXT_H
#define VCC_METRIC_TEXT_H

#include "controller/daemon/metric_counts.h"

enum metric_format { METRIC_PLAIN, METRIC_OPEN, METRIC_FORMAT_COUNT };
const char *metric_content_type(enum metric_format f);
/* What the header Accept asks for; what it does not know, or "", is plain text. */
enum metric_format metric_format_of(const char *accept);

enum { METRIC_LABELS_MAX = 8 };

struct metric_text {
	struct buf        *to;
	enum metric_format format;
	/* of the metric that is being written */
	enum metric m;
	size_t      n_labels;
	char        label[METRIC_LABELS_MAX][24];
};

/* HELP and TYPE; the samples follow, then the next metric or metric_end(). */
void metric_begin(struct metric_text *t, enum metric m);
/* `values` of the labels in the order of the table; NULL where it has none. */
void metric_sample(struct metric_text *t, const char *const *values, int64_t value);
void metric_sample_ms(struct metric_text *t, const char *const *values, int64_t ms);                     /* as seconds */
void metric_sample_share(struct metric_text *t, const char *const *values, uint64_t part, uint64_t all); /* 1 of nothing */
void metric_samples_of(struct metric_text *t, const char *const *values, const struct metric_histogram *h);
void metric_end(struct metric_text *t);

#endif

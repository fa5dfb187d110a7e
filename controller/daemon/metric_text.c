/* metric_text.c - room controller/daemon: lines of the exposition formats, and which of them a scraper wants.
 * Never: a name that is not in the table; numbers by the locale. */
#include "controller/daemon/metric_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "shared/base/text.h"

enum { BOUND_SIZE = 32 };

const char *metric_content_type(enum metric_format f)
{
	return f == METRIC_OPEN ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
				: "text/plain; version=0.0.4; charset=utf-8";
}

/* ---- what is accepted -------------------------------------------------------------------------------------------- */

/* Of one item its weight per mille (RFC 9110, 12.4.2); what cannot be read is not wanted. */
static int weight_of(const char *params)
{
	const char *q = strcasestr(params, "q=");
	if (q == NULL)
		return 1000;
	char  *end;
	double weight = strtod(q + 2, &end);
	return end == q + 2 || weight < 0 || weight > 1 ? 0 : (int)(weight * 1000);
}

static bool media_is(const char *item, const char *media)
{
	size_t n = strlen(media);
	return strncasecmp(item, media, n) == 0 && strchr("; \t", item[n]) != NULL;
}

/* Its version 1.0.0 is the only one that is written here. */
static bool is_open(const char *item)
{
	const char *version = strcasestr(item, "version=");
	return media_is(item, "application/openmetrics-text") && (version == NULL || strncmp(version + 8, "1.0.0", 5) == 0);
}

enum metric_format metric_format_of(const char *accept)
{
	const char *cursor = accept;
	char        item[128];
	int         open = 0, plain = 0;
	while (text_item(&cursor, item, sizeof(item))) {
		int weight = weight_of(item);
		if (is_open(item))
			open = weight > open ? weight : open;
		else if (media_is(item, "text/plain"))
			plain = weight > plain ? weight : plain;
	}
	return open > 0 && open >= plain ? METRIC_OPEN : METRIC_PLAIN;
}

/* ---- lines ------------------------------------------------------------------------------------------------------- */

/* OpenMetrics names a counter without what its samples end with. */
static void family_name(const struct metric_text *t, struct buf *to)
{
	const struct metric_row *row = metric_row(t->m);
	size_t                   n = strlen(row->name);
	if (t->format == METRIC_OPEN && row->type == METRIC_COUNTER)
		n -= strlen("_total");
	buf_add(to, row->name, n);
}

void metric_begin(struct metric_text *t, enum metric m)
{
	const struct metric_row *row = metric_row(m);
	const char              *cursor = row->labels;
	t->m = m;
	t->n_labels = 0;
	while (t->n_labels < METRIC_LABELS_MAX && text_item(&cursor, t->label[t->n_labels], sizeof(t->label[0])))
		t->n_labels++;
	buf_add_text(t->to, "# HELP ");
	family_name(t, t->to);
	buf_add_fmt(t->to, " %s\n# TYPE ", row->help);
	family_name(t, t->to);
	buf_add_fmt(t->to, " %s\n", metric_type_name(row->type));
}

static void label_value(struct buf *to, const char *value)
{
	for (const char *p = value; *p != '\0'; p++) {
		if (*p == '\n') {
			buf_add_text(to, "\\n");
			continue;
		}
		if (*p == '"' || *p == '\\')
			buf_add_u8(to, '\\');
		buf_add_u8(to, (uint8_t)*p);
	}
}

/* name{a="x"} with a space after it; `le` NULL = none. */
static void series(struct metric_text *t, const char *ending, const char *const *values, const char *le)
{
	struct buf *to = t->to;
	buf_add_text(to, metric_row(t->m)->name);
	buf_add_text(to, ending);
	const char *between = "{";
	for (size_t i = 0; i < t->n_labels; i++) {
		buf_add_text(to, between);
		buf_add_text(to, t->label[i]);
		buf_add_text(to, "=\"");
		label_value(to, values[i]);
		buf_add_u8(to, '"');
		between = ",";
	}
	if (le != NULL)
		buf_add_fmt(to, "%sle=\"%s\"", between, le);
	buf_add_text(to, t->n_labels > 0 || le != NULL ? "} " : " ");
}

/* `value` / 10^digits, exactly. */
static void decimal(struct buf *to, int64_t value, int digits)
{
	uint64_t whole = value < 0 ? 0 - (uint64_t)value : (uint64_t)value, unit = 1;
	for (int i = 0; i < digits; i++)
		unit *= 10;
	buf_add_fmt(to, "%s%llu", value < 0 ? "-" : "", (unsigned long long)(whole / unit));
	if (whole % unit != 0)
		buf_add_fmt(to, ".%0*llu", digits, (unsigned long long)(whole % unit));
}

static void line(struct metric_text *t, const char *ending, const char *const *values, const char *le, int64_t value,
		 int digits)
{
	series(t, ending, values, le);
	decimal(t->to, value, digits);
	buf_add_u8(t->to, '\n');
}

void metric_sample(struct metric_text *t, const char *const *values, int64_t value)
{
	line(t, "", values, NULL, value, 0);
}

void metric_sample_ms(struct metric_text *t, const char *const *values, int64_t ms)
{
	line(t, "", values, NULL, ms, 3);
}

void metric_sample_share(struct metric_text *t, const char *const *values, uint64_t part, uint64_t all)
{
	line(t, "", values, NULL, all == 0 ? 1000000 : (int64_t)(part * 1000000 / all), 6);
}

/* A bound in seconds; OpenMetrics wants a whole one written as a float. */
static const char *bound_text(const struct metric_text *t, int ms, char ret[BOUND_SIZE])
{
	if (ms % 1000 == 0) {
		(void)snprintf(ret, BOUND_SIZE, "%d%s", ms / 1000, t->format == METRIC_OPEN ? ".0" : "");
		return ret;
	}
	(void)snprintf(ret, BOUND_SIZE, "%d.%03d", ms / 1000, ms % 1000);
	for (size_t n = strlen(ret); ret[n - 1] == '0'; n--)
		ret[n - 1] = '\0';
	return ret;
}

void metric_samples_of(struct metric_text *t, const char *const *values, const struct metric_histogram *h)
{
	const int *bounds = metric_row(t->m)->bounds;
	size_t     n = metric_bounds(t->m);
	uint64_t   count = 0;
	char       le[BOUND_SIZE];
	for (size_t i = 0; i < n; i++) {
		count += h->bucket[i];
		line(t, "_bucket", values, bound_text(t, bounds[i], le), (int64_t)count, 0);
	}
	count += h->bucket[n];
	line(t, "_bucket", values, "+Inf", (int64_t)count, 0);
	line(t, "_sum", values, NULL, h->sum_us, 6);
	line(t, "_count", values, NULL, (int64_t)count, 0);
}

void metric_end(struct metric_text *t)
{
	if (t->format == METRIC_OPEN)
		buf_add_text(t->to, "# EOF\n");
}

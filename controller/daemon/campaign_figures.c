/* campaign_figures.c - room controller/daemon: how fast a campaign is and how much longer it takes, by the orders that it made.
 * Never: promising anything. */
#include "controller/daemon/campaign_figures.h"

#include <stdlib.h>

#include "controller/core/forecast.h"
#include "controller/core/waves.h"
#include "shared/base/times.h"

enum { SAMPLE = 200 };
#define RATE_MS (10 * MS_SECOND)

struct figures {
	int64_t took[SAMPLE]; /* ascending */
	int64_t ended[SAMPLE];
	size_t  n;
};

static int by_time(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return x < y ? -1 : x > y;
}

/* Of those that were sent last. */
static int read_newest(const struct campaign *c, struct store_view *view, struct figures *f)
{
	struct campaign_member *rows = calloc(SAMPLE, sizeof(*rows));
	struct order            o;
	size_t                  n = 0;
	int r = rows != NULL ? view_members_newest(view, c->campaign_id, MEMBER_DONE, rows, SAMPLE, &n) : E_NOMEM;
	for (size_t i = 0; r == 0 && i < n; i++) {
		if (view_order(view, rows[i].renewal_id, &o) < 0 || o.completed_at == 0)
			continue;
		f->took[f->n] = o.completed_at - o.created_at;
		f->ended[f->n++] = o.completed_at;
	}
	free(rows);
	qsort(f->took, f->n, sizeof(f->took[0]), by_time);
	qsort(f->ended, f->n, sizeof(f->ended[0]), by_time);
	return r;
}

/* Over the last seconds; where the sample does not reach back so far, over as much as it does. */
static double per_second(const struct figures *f, int64_t now)
{
	size_t  n = 0;
	int64_t over = RATE_MS;
	while (n < f->n && f->ended[f->n - 1 - n] > now - RATE_MS)
		n++;
	if (n == SAMPLE && now - f->ended[0] < over)
		over = now - f->ended[0] > 0 ? now - f->ended[0] : 1;
	return (double)n * MS_SECOND / (double)over;
}

/* What waits, wave by wave, and the end of what is under way. */
static int64_t left_ms(const struct campaign *c, struct store_view *view, const struct figures *f)
{
	struct forecast left = {.took_ms = f->took, .n = f->n, .per_second = forecast_rate(f->ended, f->n)};
	uint64_t        first, last, n;
	if (c->wave == 0)
		forecast_group(&left, c->waiting, c->batch, c->pause_ms, true);
	for (uint32_t w = c->wave; w > 0 && waves_span(c->waves, w, &first, &last); w++)
		if (view_members_span(view, c->campaign_id, MEMBER_WAITING, first, last, &n) == 0)
			forecast_group(&left, (uint32_t)n, c->batch, c->pause_ms, last == c->total);
	if (c->ordered + c->following > 0)
		left.duration_ms += forecast_quantile(f->took, f->n, 500);
	return left.duration_ms;
}

static json_t *seconds(bool known, int64_t ms)
{
	return known ? json_real((double)ms / MS_SECOND) : json_null();
}

json_t *json_campaign_figures(const struct campaign *c, struct store_view *view, int64_t now)
{
	json_t         *o = json_object();
	struct figures *f = calloc(1, sizeof(*f));
	bool            known = f != NULL && read_newest(c, view, f) == 0 && f->n > 0;
	bool            runs = c->state == CAMPAIGN_PROCESSING;
	json_object_set_new(o, "order_seconds_p50", seconds(known, known ? forecast_quantile(f->took, f->n, 500) : 0));
	json_object_set_new(o, "order_seconds_p99", seconds(known, known ? forecast_quantile(f->took, f->n, 990) : 0));
	json_object_set_new(o, "certificates_per_second", known ? json_real(per_second(f, now)) : json_null());
	json_object_set_new(o, "seconds_left", seconds(known && runs, known && runs ? left_ms(c, view, f) : 0));
	free(f);
	return o;
}

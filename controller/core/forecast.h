/* forecast.h - room controller/core: how long a campaign will take, by how long orders took lately.
 * Pure: values in, values out. Never: reading orders; promising anything. */
#ifndef VCC_FORECAST_H
#define VCC_FORECAST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct forecast {
	const int64_t *took_ms; /* of past orders, ascending; the caller's */
	size_t         n;
	uint32_t       per_second; /* most orders that were seen to end within one second; 0 = not known */
	/* so far */
	uint32_t batches;
	uint32_t in_flight; /* most at a time */
	int64_t  pauses_ms;
	int64_t  duration_ms; /* 0 while `n` is 0 */
};

/* Of ascending values; 0 when there are none. */
int64_t forecast_quantile(const int64_t *sorted, size_t n, uint32_t per_mille);
/* Most of these ascending times within one second of each other. */
uint32_t forecast_rate(const int64_t *ended_at, size_t n);

/* One more group (a wave, or a stage of it) of `members`: batches of `batch` (0 = all at once), a pause after each but the last
 * of all. A batch lasts as long as its slowest, and no shorter than so many orders ever took together. */
void forecast_group(struct forecast *f, uint32_t members, uint32_t batch, int64_t pause_ms, bool last);

#endif

/* forecast.c - room controller/core: how long a campaign will take, by how long orders took lately.
 * Never: reading orders. */
#include "controller/core/forecast.h"

#include "shared/base/times.h"

enum { RATE_LEAST = 10 /* fewer say nothing about what many do */ };

int64_t forecast_quantile(const int64_t *sorted, size_t n, uint32_t per_mille)
{
	size_t i = n * per_mille / 1000;
	return n == 0 ? 0 : sorted[i < n ? i : n - 1];
}

uint32_t forecast_rate(const int64_t *ended_at, size_t n)
{
	size_t most = 0;
	for (size_t first = 0, end = 0; end < n; end++) {
		while (ended_at[end] - ended_at[first] >= MS_SECOND)
			first++;
		if (end - first + 1 > most)
			most = end - first + 1;
	}
	return n < RATE_LEAST ? 0 : (uint32_t)most;
}

/* The slowest of k is where one of k + 1 would be above. */
static int64_t batch_ms(const struct forecast *f, uint32_t k)
{
	int64_t slowest = forecast_quantile(f->took_ms, f->n, (uint32_t)((uint64_t)k * 1000 / (k + 1)));
	int64_t together = f->per_second > 0 ? (int64_t)k * MS_SECOND / f->per_second : 0;
	return slowest > together ? slowest : together;
}

void forecast_group(struct forecast *f, uint32_t members, uint32_t batch, int64_t pause_ms, bool last)
{
	while (members > 0) {
		uint32_t k = batch > 0 && batch < members ? batch : members;
		members -= k;
		f->batches++;
		if (k > f->in_flight)
			f->in_flight = k;
		if (f->n > 0)
			f->duration_ms += batch_ms(f, k);
		if (batch > 0 && (members > 0 || !last)) {
			f->pauses_ms += pause_ms;
			if (f->n > 0)
				f->duration_ms += pause_ms;
		}
	}
}

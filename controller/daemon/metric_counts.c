/* metric_counts.c - room controller/daemon: counting: which step of an order counts as what, and where it is added.
 * Never: clocks, the store; a walk over more than the services. */
#include "controller/daemon/metric_counts.h"

#include <string.h>

#include "shared/base/text.h"
#include "shared/base/times.h"

#define NAME_OF(value, names) ((size_t)(value) < N_ELEMENTS(names) ? (names)[value] : "unknown")

const char *metric_status_name(enum metric_status s)
{
	static const char *const names[METRIC_STATUS_COUNT] = {"completed", "failed", "rolled_back", "cancelled"};
	return NAME_OF(s, names);
}

const char *metric_result_name(enum metric_result r)
{
	static const char *const names[METRIC_RESULT_COUNT] = {"verified", "unverified", "failed"};
	return NAME_OF(r, names);
}

const char *metric_back_name(enum metric_back b)
{
	static const char *const names[METRIC_BACK_COUNT] = {"failed", "asked"};
	return NAME_OF(b, names);
}

const char *metric_http_name(enum metric_http h)
{
	static const char *const names[METRIC_HTTP_COUNT] = {"2xx", "4xx", "5xx"};
	return NAME_OF(h, names);
}

void metric_observe(struct metric_histogram *h, enum metric m, int64_t us)
{
	const int *bounds = metric_row(m)->bounds;
	size_t     n = metric_bounds(m), i = 0;
	int64_t    took = us > 0 ? us : 0;
	while (i < n && took > bounds[i] * INT64_C(1000))
		i++;
	h->bucket[i]++;
	h->sum_us += took;
}

/* ---- the last day ------------------------------------------------------------------------------------------------ */

void metric_day_add(struct metric_day *d, int64_t at, bool good)
{
	int64_t slot = at / METRIC_SLOT_MS;
	size_t  i = (size_t)(slot % METRIC_SLOTS);
	if (slot < d->slot[i])
		return; /* more than a day before what is counted there */
	if (slot > d->slot[i])
		d->good[i] = d->bad[i] = 0;
	d->slot[i] = slot;
	if (good)
		d->good[i]++;
	else
		d->bad[i]++;
}

void metric_day_sum(const struct metric_day *d, int64_t now, uint64_t *good, uint64_t *bad)
{
	int64_t last = now / METRIC_SLOT_MS, first = (now - MS_DAY) / METRIC_SLOT_MS;
	for (size_t i = 0; i < METRIC_SLOTS; i++)
		if (d->slot[i] >= first && d->slot[i] <= last) {
			*good += d->good[i];
			*bad += d->bad[i];
		}
}

/* ---- orders ------------------------------------------------------------------------------------------------------ */

struct metric_service *metric_counts_service(struct metric_counts *c, const char *name)
{
	for (size_t i = 0; i < c->n_services; i++)
		if (text_equal(c->service[i].name, name))
			return &c->service[i];
	if (c->n_services == METRIC_SERVICES_MAX)
		return &c->service[METRIC_SERVICES_MAX];
	struct metric_service *s = &c->service[c->n_services++];
	text_cut(s->name, sizeof(s->name), name);
	return s;
}

/* One that was completed and goes back counts a second time, as rolled back; one that was to go back and could not is what it
 * was. */
static bool ends(const struct order *was, const struct order *next)
{
	if (!order_phase_final(next->phase) || was->phase == next->phase)
		return false;
	return next->phase == ORDER_ROLLED_BACK || was->phase != ORDER_ROLLING_BACK;
}

static void ended_as(const struct order *next, bool renewal, struct metric_move *m)
{
	static const struct {
		enum order_phase   phase;
		enum metric_status status;
		int                day;
	} as[] = {{ORDER_COMPLETED, METRIC_COMPLETED, 1},
		  {ORDER_FAILED, METRIC_FAILED, -1},
		  {ORDER_ROLLED_BACK, METRIC_ROLLED_BACK, -1},
		  {ORDER_CANCELLED, METRIC_CANCELLED, 0}};
	for (size_t i = 0; i < N_ELEMENTS(as); i++) {
		if (as[i].phase != next->phase)
			continue;
		m->day = as[i].day;
		m->ended = renewal ? 1 + as[i].status : 0;
	}
	if (next->phase == ORDER_COMPLETED) {
		m->result = 1 + ((next->flags & ORDER_UNVERIFIED) != 0 ? METRIC_UNVERIFIED : METRIC_VERIFIED);
		m->took_ms = renewal ? m->at - next->created_at : -1;
	}
	m->back = next->phase == ORDER_ROLLED_BACK;
}

bool metric_move_of(const struct order *was, const struct order *next, int64_t now, struct metric_move *ret)
{
	struct metric_move m = {.trigger = next->trigger,
				.at = next->completed_at != 0 ? next->completed_at : now,
				.took_ms = -1,
				.verified_ms = -1};
	if ((next->flags & ORDER_DRILL) != 0)
		return false;
	text_cut(m.service, sizeof(m.service), next->service[0] != '\0' ? next->service : "none");
	if (ends(was, next))
		ended_as(next, !serial_is_none(next->old_serial), &m);
	m.paused = next->phase == ORDER_PAUSED && was->phase != ORDER_PAUSED;
	if (m.paused)
		m.day = -1;
	if (next->failures > was->failures)
		m.failures = next->failures - was->failures;
	if (next->verified_at != 0 && was->verified_at == 0)
		m.verified_ms = next->verified_at - next->created_at;
	*ret = m;
	return m.ended != 0 || m.result != 0 || m.back || m.paused || m.day != 0 || m.failures != 0 || m.verified_ms >= 0;
}

void metric_counts_move(struct metric_counts *c, const struct metric_move *m)
{
	struct metric_service *s = m->ended != 0 || m->paused ? metric_counts_service(c, m->service) : NULL;
	if (m->ended != 0)
		s->renewals[m->trigger][m->ended - 1]++;
	if (m->paused)
		s->paused++;
	if (m->result != 0)
		c->deployments[m->result - 1]++;
	c->deployments[METRIC_NOT_DEPLOYED] += m->failures;
	if (m->back)
		c->rollbacks[METRIC_BACK_ASKED]++;
	if (m->day != 0)
		metric_day_add(&c->day, m->at, m->day > 0);
	if (m->took_ms >= 0)
		metric_observe(&c->renewal, METRIC_RENEWAL_DURATION, m->took_ms * 1000);
	if (m->verified_ms >= 0)
		metric_observe(&c->to_verified, METRIC_TO_VERIFIED, m->verified_ms * 1000);
}

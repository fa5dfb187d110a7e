/* keeper_health.c - room agent/keeper: how this host is, as the controller is told it.
 * Never: deciding anything by it. */
#include "agent/keeper/keeper_health.h"

#include "agent/keeper/crl_fetch.h"
#include "agent/keeper/keeper_clock.h"
#include "agent/keeper/place_state.h"
#include "agent/keeper/uplink.h"
#include "agent/keeper/watch.h"
#include "shared/sys/clock.h"

static uint32_t served_bits(const struct place *p, uint32_t *stale)
{
	int64_t since_at;
	switch (place_served(p, &since_at)) {
	case SERVED_STALE:
		(*stale)++;
		return HEALTH_STALE;
	case SERVED_DOWN:
	case SERVED_PARTLY:
		return HEALTH_DOWN;
	default:
		return 0;
	}
}

/* A failed rehearsal is told as such; any other failure of the care is one of the files. */
static uint32_t files_bits(const struct place *p)
{
	bool care_failed = p->care.code != 0 && p->care.reason != REFRESH_REHEARSE && p->care.reason != REFRESH_HEAL;
	return p->files_code != 0 || care_failed || p->rival.alarm ? HEALTH_FILES : 0;
}

static uint32_t place_bits(const struct place *p, int64_t now, uint32_t *stale)
{
	uint32_t bits = served_bits(p, stale) | files_bits(p);
	if (!place_rehearsed(p, now))
		bits |= HEALTH_REHEARSAL;
	if (p->told_code != 0)
		bits |= HEALTH_TARGETS;
	return bits;
}

static uint32_t host_bits(const struct keeper *k)
{
	uint32_t bits = 0;
	if (keeper_clock_state(k) != CLOCK_RIGHT)
		bits |= HEALTH_CLOCK;
	if (k->targets_unwatched || watch_degraded(k))
		bits |= HEALTH_WATCH;
	if (k->n_unread > 0)
		bits |= HEALTH_TARGETS;
	if (k->journal_code != 0)
		bits |= HEALTH_JOURNAL;
	if (crl_fetch_wanted(k) && crl_fetch_trouble(k, &(const char *){NULL}) != 0)
		bits |= HEALTH_LISTS;
	return bits;
}

void keeper_health(const struct keeper *k, struct msg_health *ret)
{
	*ret = (struct msg_health){.now_at = clock_now(), .skew_ms = keeper_clock_skew(k), .degraded = host_bits(k)};
	for (size_t i = 0; i < k->n_managed; i++)
		for (size_t j = 0; j < k->managed[i]->n_places; j++) {
			const struct place *p = k->managed[i]->places[j];
			ret->targets += p->present;
			if (!p->retired)
				ret->degraded |= place_bits(p, ret->now_at, &ret->stale);
		}
}

void keeper_health_send(struct keeper *k)
{
	struct msg_health h;
	keeper_health(k, &h);
	if (uplink_send(k->uplink, MSG_HEALTH, &h) == 0)
		return;
	k->skew_told_ms = h.skew_ms;
	k->told = h;
}

void keeper_health_beat(struct keeper *k)
{
	struct msg_health h;
	if (!k->welcomed)
		return;
	keeper_health(k, &h);
	if (h.degraded != k->told.degraded || h.stale != k->told.stale || h.targets != k->told.targets)
		keeper_health_send(k);
}

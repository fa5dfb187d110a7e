/* delivery_runs.c - room controller/daemon: what each channel does in this run, and how it passes over to channels that were
 * read anew: a channel of the same name keeps its courier, its pace and its counts. Never: deciding what is sent. */
#include "controller/daemon/delivery_runs.h"

#include <stdlib.h>
#include <string.h>

#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/sys/clock.h"
#include "shared/sys/log.h"

/* ---- which channel has which ------------------------------------------------------------------------------------- */

static struct run *run_named(struct deliveries *all, const char *name)
{
	for (size_t i = 0; i < RUNS_MAX; i++)
		if (all->run[i].courier != NULL && text_equal(all->run[i].state.name, name))
			return &all->run[i];
	return NULL;
}

/* Those of channels that are in force count as busy: each may be so in a moment. */
static bool has_room(const struct deliveries *all, const struct channels *fresh)
{
	size_t kept = 0, free_ones = 0;
	for (size_t i = 0; i < RUNS_MAX; i++) {
		const struct run *run = &all->run[i];
		if (run->courier != NULL && channels_find(fresh, run->state.name) != NULL)
			kept++;
		else
			free_ones += run->courier == NULL || (run->gone && !run->busy);
	}
	return fresh->n - kept <= free_ones;
}

/* One that no channel has; has_room() has seen it. */
static struct run *run_unused(struct controller *ctl, struct deliveries *all, const char *name)
{
	struct run *run = all->run;
	while (run->courier != NULL && (!run->gone || run->busy))
		run++;
	if (run->courier == NULL && courier_open(ctl->loop, &run->courier) < 0)
		abort(); /* only without memory */
	*run = (struct run){.ctl = ctl, .courier = run->courier};
	text_cut(run->state.name, sizeof(run->state.name), name);
	return run;
}

static void run_take(struct run *run, const struct channel *ch, const struct controller_conf *conf)
{
	run->gone = false;
	run->state.ch = ch;
	run->pace.failing = false; /* what was wrong may be mended: that is what it was read anew for */
	run->pace.wait_ms = conf->notify_wait_ms;
	run->pace.interval_ms = conf->notify_interval_ms;
	if (ch->problem.code != 0)
		log_refusal(LOG_LEVEL_ERROR, NULL, &ch->problem);
}

static void runs_take(struct controller *ctl, struct deliveries *all, const struct controller_conf *conf)
{
	for (size_t i = 0; i < RUNS_MAX; i++) {
		all->run[i].gone = all->run[i].courier != NULL;
		all->run[i].state.ch = NULL;
	}
	for (size_t i = 0; i < all->channels->n; i++) {
		all->of[i] = run_named(all, all->channels->row[i].conf.name);
		if (all->of[i] != NULL)
			all->of[i]->gone = false;
	}
	for (size_t i = 0; i < all->channels->n; i++) {
		const struct channel *ch = &all->channels->row[i];
		if (all->of[i] == NULL)
			all->of[i] = run_unused(ctl, all, ch->conf.name);
		run_take(all->of[i], ch, conf);
	}
}

void deliveries_sweep(struct deliveries *all)
{
	all->sweep = true;
	all->again = true;
	all->sweep_before = UINT64_MAX;
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

int deliveries_open(struct controller *ctl, struct deliveries **ret, struct refusal *why)
{
	struct deliveries *all = calloc(1, sizeof(*all));
	if (all == NULL || outbound_prepare() < 0) {
		free(all);
		return refuse(why, E_NOMEM, "deliveries", "no memory");
	}
	int r = channels_load(ctl->conf, &all->channels, why);
	if (r == 0)
		runs_take(ctl, all, ctl->conf);
	deliveries_sweep(all);
	*ret = all; /* the caller frees it, also half built */
	return r;
}

int deliveries_room(struct controller *ctl, const struct channels *fresh, struct refusal *why)
{
	return has_room(ctl->deliveries, fresh) ? 0 : refuse(why, E_NOTIFY_RELOAD, "notify.dir", "%s", err_what(E_NOTIFY_RELOAD));
}

void deliveries_reload(struct controller *ctl, struct channels *fresh, const struct controller_conf *conf)
{
	struct deliveries *all = ctl->deliveries;
	channels_free(all->channels); /* what is under way keeps them */
	all->channels = fresh;
	runs_take(ctl, all, conf);
	deliveries_sweep(all);
}

void deliveries_close(struct deliveries *all)
{
	static const struct outbound_result ended = {.code = E_SYS_AGAIN, .cause = "the controller ends"};
	for (size_t i = 0; all != NULL && i < RUNS_MAX; i++) {
		struct run *run = &all->run[i];
		if (run->courier == NULL)
			continue;
		if (run->tested != NULL && !courier_busy(run->courier)) { /* one that waits */
			run->tested(run->tested_ctx, &ended);
			run->tested = NULL;
		}
		courier_close(run->courier);
	}
}

void deliveries_free(struct deliveries *all)
{
	if (all == NULL)
		return;
	for (size_t i = 0; i < RUNS_MAX; i++)
		courier_free(all->run[i].courier);
	channels_free(all->channels);
	free(all);
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

const struct channels *deliveries_channels(const struct deliveries *all)
{
	return all->channels;
}

size_t deliveries_state(const struct deliveries *all, struct channel_state ret[CHANNELS_MAX])
{
	for (size_t i = 0; i < all->channels->n; i++) {
		ret[i] = all->of[i]->state;
		ret[i].busy = courier_busy(all->of[i]->courier);
	}
	return all->channels->n;
}

/* campaign_drills.c - room controller/daemon: a drill that runs ends when an emergency begins, also one that could not be read in that moment, or
 * whose own first change was on its way. Never: the orders of a drill; they end with its campaign. */
#include "controller/daemon/campaign_drive.h"
#include "controller/daemon/state.h"

static bool runs(const struct campaign *c)
{
	return c->state == CAMPAIGN_PROCESSING || c->state == CAMPAIGN_HALTED;
}

static bool is_drill(const struct entry *e)
{
	return e->c.kind == CAMPAIGN_DRILL && runs(&e->c);
}

static void end(struct commit *c, struct entry *e, const struct caller *who)
{
	struct campaign_event ev = {.kind = CAMPAIGN_EV_CANCEL, .cause = "an emergency took its place"};
	struct campaign_step  step;
	if (!e->lost && campaigns_step(e, &ev, &step) == 0)
		campaigns_take_step(c, e, &step, false, who);
}

/* The emergency is stored: whatever runs now and was not ended with it was there before. */
static void emergency_stored(struct controller *ctl, const void *value, size_t n)
{
	struct entry *e, *tmp;
	(void)value;
	(void)n;
	HASH_ITER (hh, ctl->campaigns->open, e, tmp)
		e->gives_way |= is_drill(e);
}

void campaigns_end_drills(struct controller *ctl, struct commit *c, const struct caller *who)
{
	struct entry *e, *tmp;
	HASH_ITER (hh, ctl->campaigns->open, e, tmp)
		if (is_drill(e))
			end(c, e, who); /* else as soon as it can be read */
	commit_then(c, emergency_stored, "", 1);
}

void campaign_drill_gives_way(struct controller *ctl, struct entry *e)
{
	if (!e->gives_way || !is_drill(e) || e->lost || e->pending > 0)
		return;
	struct commit *c = commit_new(ctl);
	end(c, e, NULL); /* of one that is lost again it is tried again */
	commit_fault_points(c, "controller.campaign", "controller.campaign_stored");
	commit_now(c, NULL, NULL);
}

/* What was to give way when we ended. */
void campaign_drills_loaded(struct controller *ctl)
{
	struct entry *e, *etmp, *d, *dtmp;
	HASH_ITER (hh, ctl->campaigns->open, e, etmp)
		if (e->c.kind == CAMPAIGN_EMERGENCY && runs(&e->c))
			HASH_ITER (hh, ctl->campaigns->open, d, dtmp)
				d->gives_way |= is_drill(d) && d->c.created_at <= e->c.started_at;
}

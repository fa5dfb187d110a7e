/* campaign_load.c - room controller/daemon: campaigns that are not closed, read from the store: at start, and after a change that was lost. Their counts are
 * made of their members' states. Never: what follows from them. */
#include <stdlib.h>

#include "controller/daemon/campaign_drive.h"
#include "controller/daemon/state.h"
#include "shared/sys/fault.h"

enum { PAGE = 100 };

/* One that was let go on the way back is over: what becomes of its order is not ours. */
static bool is_watched(const struct campaign_member *m)
{
	return !id_is_none(m->renewal_id) && !(m->state == MEMBER_FAILED && m->code == E_CAMPAIGN_FOLLOWED);
}

static int watch_members(struct controller *ctl, struct entry *e, enum member_state state)
{
	struct campaign_member *rows = calloc(PAGE, sizeof(*rows));
	uint64_t                after = 0;
	size_t                  n = PAGE;
	int                     r = rows != NULL ? 0 : E_NOMEM;
	while (r == 0 && n == PAGE && (r = view_members_in(ctl->view, e->c.campaign_id, state, after, rows, PAGE, &n)) == 0)
		for (size_t i = 0; i < n; i++) {
			after = rows[i].position;
			if (is_watched(&rows[i]))
				campaigns_watch(ctl, &rows[i]);
		}
	free(rows);
	return r;
}

static int recount(struct controller *ctl, struct campaign *c)
{
	for (size_t i = 0; i < MEMBER_STATE_COUNT; i++) {
		uint64_t n = 0;
		int      r = view_members_count(ctl->view, c->campaign_id, (enum member_state)i, &n);
		if (r < 0)
			return r;
		*campaign_flow_counter(c, (enum member_state)i) = (uint32_t)n;
	}
	return 0;
}

/* The stored state, with counts made of the members' states. */
int campaigns_reload(struct controller *ctl, struct entry *e)
{
	struct campaign c;
	int             r = fault_point("controller.campaign_read") != 0 ? E_STORE_IO : view_campaign(ctl->view, e->c.campaign_id, &c);
	if (r == 0)
		r = recount(ctl, &c);
	if (r < 0)
		return r;
	e->c = c;
	campaigns_watches_end(ctl, c.campaign_id);
	r = watch_members(ctl, e, MEMBER_ORDERED);
	if (r == 0)
		r = watch_members(ctl, e, MEMBER_FOLLOWING);
	if (r == 0)
		r = watch_members(ctl, e, MEMBER_GOING_BACK);
	if (r == 0)
		r = watch_members(ctl, e, MEMBER_FAILED); /* a later attempt may still succeed */
	e->lost = r < 0;
	return r;
}

static int load_some(struct controller *ctl, bool unconfirmed)
{
	struct campaign *rows = calloc(PAGE, sizeof(*rows));
	struct id        after = {{0}};
	size_t           n = PAGE;
	int              r = rows != NULL ? 0 : E_NOMEM;
	while (r == 0 && n == PAGE) {
		r = unconfirmed ? view_campaigns_unconfirmed(ctl->view, after, rows, PAGE, &n)
				: view_campaigns_open(ctl->view, after, rows, PAGE, &n);
		for (size_t i = 0; r == 0 && i < n; i++) {
			after = rows[i].campaign_id;
			if (campaigns_entry(ctl, after) == NULL)
				r = campaigns_reload(ctl, campaigns_entry_add(ctl, &rows[i]));
		}
	}
	free(rows);
	return r;
}

int campaigns_load(struct controller *ctl)
{
	int r = load_some(ctl, false);
	if (r == 0)
		r = load_some(ctl, true);
	if (r == 0)
		campaign_drills_loaded(ctl);
	return r;
}

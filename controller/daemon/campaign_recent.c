/* campaign_recent.c - room controller/daemon: how many certificates a principal renewed by campaigns of the last day that nobody else
 * agreed to. Kept in memory from the moment of the decision, so that two at once cannot both be small. Never: deciding. */
#include "controller/daemon/campaign_recent.h"

#include <stdlib.h>

#include <utlist.h>

#include "controller/daemon/campaigns.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/sys/clock.h"

enum { PAGE = 100 };
#define RECENT_MS MS_DAY

struct recent {
	struct id      campaign_id;
	char           actor[ACTOR_SIZE];
	int64_t        created_at;
	uint32_t       members; /* while it is on its way to the store */
	struct recent *prev, *next;
};

struct campaigns_recent {
	struct recent *list; /* oldest first */
};

int campaigns_recent_open(struct campaigns_recent **ret)
{
	struct campaigns_recent *all = calloc(1, sizeof(*all));
	if (all == NULL)
		return E_NOMEM;
	*ret = all;
	return 0;
}

void campaigns_recent_free(struct campaigns_recent *all)
{
	struct recent *r, *tmp;
	if (all == NULL)
		return;
	DL_FOREACH_SAFE (all->list, r, tmp)
		free(r);
	free(all);
}

/* An emergency has its own rule, and a change of policy was agreed to. */
static bool counts(const struct campaign *c)
{
	return c->kind == CAMPAIGN_BULK || c->kind == CAMPAIGN_SERVICE;
}

/* What somebody agreed to, or will be asked about, is no longer one person's. Of what was cancelled only that counts which was sent. */
static uint32_t members_of(const struct campaign *c)
{
	bool     alone = !c->approved && c->started_at != 0;
	uint32_t none = c->dropped + c->skipped;
	return alone && c->total > none ? c->total - none : 0;
}

static struct recent *row_new(const struct campaign *c)
{
	struct recent *r = calloc(1, sizeof(*r));
	if (r == NULL)
		abort();
	r->campaign_id = c->campaign_id;
	r->created_at = c->created_at;
	r->members = members_of(c);
	text_cut(r->actor, sizeof(r->actor), c->actor);
	return r;
}

int campaigns_recent_load(struct controller *ctl)
{
	struct campaign *rows = calloc(PAGE, sizeof(*rows));
	struct id        before = {{0}};
	size_t           n = PAGE;
	int64_t          since = clock_now() - RECENT_MS;
	int              r = rows != NULL ? 0 : E_NOMEM;
	bool             old = false;
	while (r == 0 && n == PAGE && !old && (r = view_campaigns(ctl->view, before, rows, PAGE, &n)) == 0)
		for (size_t i = 0; i < n && !old; i++) {
			before = rows[i].campaign_id;
			old = rows[i].created_at < since;
			if (!old && counts(&rows[i])) {
				struct recent *row = row_new(&rows[i]);
				DL_PREPEND(ctl->campaigns_recent->list, row);
			}
		}
	free(rows);
	return r;
}

void campaigns_recent_add(struct controller *ctl, const struct campaign *c)
{
	if (!counts(c))
		return;
	struct recent *row = row_new(c);
	DL_APPEND(ctl->campaigns_recent->list, row);
}

void campaigns_recent_remove(struct controller *ctl, struct id campaign_id)
{
	struct campaigns_recent *all = ctl->campaigns_recent;
	struct recent           *r, *tmp;
	DL_FOREACH_SAFE (all->list, r, tmp)
		if (id_equal(r->campaign_id, campaign_id)) {
			DL_DELETE(all->list, r);
			free(r);
		}
}

uint32_t campaigns_recent_sum(struct controller *ctl, const char *actor, int64_t now)
{
	struct campaigns_recent *all = ctl->campaigns_recent;
	struct recent           *r, *tmp;
	uint64_t                 sum = 0;
	DL_FOREACH_SAFE (all->list, r, tmp) {
		struct campaign c;
		if (now - r->created_at >= RECENT_MS) {
			DL_DELETE(all->list, r);
			free(r);
		} else if (text_equal(r->actor, actor)) {
			sum += campaigns_find(ctl, r->campaign_id, &c) == 0 ? members_of(&c) : r->members;
		}
	}
	return sum < UINT32_MAX ? (uint32_t)sum : UINT32_MAX;
}

/* campaign_progress.c - room controller/daemon: proved and failed members of a campaign by the time of their end.
 * Never: holding more than one page of members. */
#include "controller/daemon/campaign_progress.h"

#include <stdlib.h>

#include "controller/daemon/api_json.h"
#include "shared/base/times.h"

enum { PAGE = 500, STEPS = 60 };

struct progress {
	int64_t  from, to;
	uint64_t proved[STEPS], failed[STEPS]; /* that ended in this step */
};

/* A member that ended a moment after its campaign was looked at is of the last step. */
static size_t step_of(const struct progress *p, int64_t at)
{
	if (at <= p->from)
		return 0;
	int64_t step = (at - p->from) * STEPS / (p->to - p->from + 1);
	return step < STEPS ? (size_t)step : STEPS - 1;
}

static int count(const struct campaign *c, struct store_view *view, const struct progress *p, enum member_state state, uint64_t steps[STEPS])
{
	struct campaign_member *rows = calloc(PAGE, sizeof(*rows));
	uint64_t                after = 0;
	size_t                  n = PAGE;
	int                     r = rows != NULL ? 0 : E_NOMEM;
	while (r == 0 && n == PAGE) {
		r = view_members_in(view, c->campaign_id, state, after, rows, PAGE, &n);
		for (size_t i = 0; r == 0 && i < n; i++)
			steps[step_of(p, rows[i].changed_at)]++;
		if (r == 0 && n > 0)
			after = rows[n - 1].position;
	}
	free(rows);
	return r;
}

static json_t *points_json(const struct progress *p)
{
	json_t  *list = json_array();
	uint64_t proved = 0, failed = 0;
	for (size_t i = 0; i < STEPS; i++) {
		double seconds = (double)(p->to - p->from) * (double)(i + 1) / STEPS / MS_SECOND;
		proved += p->proved[i];
		failed += p->failed[i];
		json_array_append_new(list, json_pack("{s:f,s:I,s:I}", "seconds", seconds, "proved", (json_int_t)proved, "failed", (json_int_t)failed));
	}
	return list;
}

int campaign_progress(const struct campaign *c, struct store_view *view, int64_t now, json_t **ret)
{
	struct progress p = {.from = c->started_at != 0 ? c->started_at : c->created_at, .to = c->completed_at != 0 ? c->completed_at : now};
	if (p.to <= p.from)
		p.to = p.from + 1;
	int r = count(c, view, &p, MEMBER_DONE, p.proved);
	if (r == 0)
		r = count(c, view, &p, MEMBER_FAILED, p.failed);
	if (r < 0)
		return r;
	*ret = json_pack("{s:o,s:I,s:o,s:o,s:o}", "campaign_id", json_id(c->campaign_id), "total_certificates", (json_int_t)c->total, "from",
			 json_time(p.from), "to", json_time(p.to), "points", points_json(&p));
	return 0;
}

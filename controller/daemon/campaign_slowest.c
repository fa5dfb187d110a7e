/* campaign_slowest.c - room controller/daemon: of a campaign's orders that are under way those that take longest.
 * Never: ending one. */
#include "controller/daemon/campaign_slowest.h"

#include <stdlib.h>

#include "controller/daemon/api_json.h"
#include "controller/daemon/order_waits.h"
#include "controller/daemon/state.h"
#include "shared/base/times.h"

enum { READ = 200, SHOWN = 5 };

static json_t *json_open(const struct campaign_member *m, int64_t now)
{
	int64_t waited = now > m->changed_at ? now - m->changed_at : 0;
	return json_pack("{s:s,s:s,s:s,s:s,s:o,s:o,s:o}", "cert_id", m->cert_id, "service", m->service, "agent", m->agent,
			 "state", member_state_name(m->state), "renewal_id", json_id(m->renewal_id), "since",
			 json_time(m->changed_at), "seconds", json_real((double)waited / MS_SECOND));
}

static int by_time(const void *a, const void *b)
{
	const struct campaign_member *x = a, *y = b;
	return x->changed_at != y->changed_at ? (x->changed_at < y->changed_at ? -1 : 1) : x->position < y->position ? -1 : 1;
}

json_t *json_campaign_open(const struct campaign *c, struct store_view *view, int64_t now)
{
	static const enum member_state states[] = {MEMBER_ORDERED, MEMBER_FOLLOWING, MEMBER_GOING_BACK};
	json_t                        *list = json_array();
	struct campaign_member        *rows = calloc(N_ELEMENTS(states) * READ, sizeof(*rows));
	size_t                         n = 0, more = 0;
	for (size_t i = 0; rows != NULL && i < N_ELEMENTS(states); i++, n += more)
		if (view_members_in(view, c->campaign_id, states[i], 0, rows + n, READ, &more) < 0)
			more = 0;
	if (n > 0)
		qsort(rows, n, sizeof(rows[0]), by_time);
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_open(&rows[i], now));
	free(rows);
	return list;
}

static bool is_there(struct controller *ctl, const json_t *o)
{
	const char *agent = json_string_value(json_object_get(o, "agent"));
	return agent != NULL && controller_connected(ctl, agent);
}

void campaign_slowest_cut(struct controller *ctl, json_t *list, int64_t now)
{
	json_t *shown = json_array(), *o;
	size_t  i;
	for (int there = 1; there >= 0; there--)
		json_array_foreach(list, i, o) if (json_array_size(shown) < SHOWN && is_there(ctl, o) == (there == 1))
			json_array_append(shown, o);
	order_waits_show_all(ctl, shown, now);
	json_array_clear(list);
	json_array_extend(list, shown);
	json_decref(shown);
}

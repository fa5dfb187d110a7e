/* api_wait.c - room controller/daemon: answers that wait until a renewal or a campaign has come to rest (RFC 7240, Prefer: wait=N).
 * Each looks at the stored row a few times a second, so that an answer never tells what could still be lost. Never: holding the loop. */
#include "controller/daemon/api_wait.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "controller/daemon/api_routes.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/sys/clock.h"

/* WAITS_MAX: the smaller listener works at 64 calls at a time; these must leave room for whoever wants to look, halt or cancel. */
enum { WAITS_MAX = 48, WAIT_MAX = 60, LOOK_MS = 100 };

typedef bool rests_fn(struct api_call *call, struct id id);

struct waiting {
	struct api_call *call;
	struct id        id;
	rests_fn        *rests;
	api_waited_fn   *done;
	int64_t          until; /* monotonic */
	uv_timer_t       timer;
};

static size_t running; /* on the loop only */

bool api_wait_order_rests(const struct order *o)
{
	return order_phase_final(o->phase) || o->phase == ORDER_PAUSED || o->phase == ORDER_AWAITING_APPROVAL;
}

/* What the caller may not see is not waited for: the route refuses it at once. */
static bool renewal_rests(struct api_call *call, struct id id)
{
	struct order o;
	return view_order(controller_view(call->ctl), id, &o) < 0 || !rights_service(&call->principal, o.service) || api_wait_order_rests(&o);
}

static bool campaign_rests(struct api_call *call, struct id id)
{
	struct campaign c;
	return view_campaign(controller_view(call->ctl), id, &c) < 0 || !api_campaign_visible(call, &c) ||
	       c.state != CAMPAIGN_PROCESSING;
}

int64_t api_wait_asked(struct api_call *call, int64_t fallback, int64_t max)
{
	const char *cursor = http_call_request(call->http)->prefer;
	char        item[64], applied[32];
	int64_t     seconds;
	while (text_item(&cursor, item, sizeof(item))) {
		if (strncasecmp(item, "wait=", 5) != 0 || text_i64(item + 5, 0, INT32_MAX, &seconds) < 0)
			continue; /* a preference that is not understood is not there */
		seconds = seconds < max ? seconds : max;
		snprintf(applied, sizeof(applied), "wait=%lld", (long long)seconds);
		http_call_header(call->http, "preference-applied", applied);
		return seconds;
	}
	return fallback;
}

static void on_closed(uv_handle_t *timer)
{
	struct waiting *w = timer->data;
	running--;
	free(w);
}

static void look(struct waiting *w)
{
	if (!http_call_left(w->call->http) && clock_monotonic() < w->until && !w->rests(w->call, w->id))
		return;
	w->call->now_at = clock_now();
	w->done(w->call);
	uv_close((uv_handle_t *)&w->timer, on_closed);
}

static void on_timer(uv_timer_t *timer)
{
	look(timer->data);
}

/* False: it is not waited for. */
static bool begin(struct api_call *call, struct id id, rests_fn *rests, api_waited_fn *done)
{
	bool    room = running < WAITS_MAX; /* else the preference is one that cannot be honoured: the answer comes at once */
	int64_t seconds = room ? api_wait_asked(call, 0, WAIT_MAX) : 0;
	if (seconds == 0 || rests(call, id))
		return false;
	struct waiting *w = calloc(1, sizeof(*w));
	if (w == NULL)
		abort();
	*w = (struct waiting){.call = call, .id = id, .rests = rests, .done = done, .until = clock_monotonic() + seconds * MS_SECOND};
	w->timer.data = w;
	running++;
	uv_timer_init(controller_loop(call->ctl), &w->timer);
	uv_timer_start(&w->timer, on_timer, LOOK_MS, LOOK_MS);
	return true;
}

void api_wait_renewal(struct api_call *call, struct id renewal_id, api_waited_fn *done)
{
	if (!begin(call, renewal_id, renewal_rests, done))
		done(call);
}

bool api_wait_before(struct api_call *call, api_waited_fn *done)
{
	static const struct {
		const char *path;
		rests_fn   *rests;
	} routes[] = {
		{"/api/v1/renewals/{renewal_id}", renewal_rests},
		{"/api/v1/campaigns/{campaign_id}", campaign_rests},
	};
	struct id id;
	for (size_t i = 0; i < N_ELEMENTS(routes); i++)
		if (text_equal(routes[i].path, call->route->path))
			return id_parse(call->params[0], &id) == 0 && begin(call, id, routes[i].rests, done);
	return false;
}

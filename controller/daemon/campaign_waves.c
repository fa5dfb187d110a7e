/* campaign_waves.c - room controller/daemon: the waves of a campaign between the API, the plan and the stored campaign.
 * Never: releasing one. */
#include "controller/daemon/campaign_waves.h"

#include <stdlib.h>
#include <string.h>

#include "controller/core/campaign_flow.h"
#include "controller/daemon/api_json.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"

enum { WAVE_TEXT_SIZE = DNS_NAME_SIZE + 32, PER_CENT = 100 };

/* ---- what is asked for ------------------------------------------------------------------------------------------ */

static int add_wave(struct campaign_request *q, const char *text, struct refusal *why)
{
	if (q->n_waves == N_ELEMENTS(q->waves))
		return refuse(why, E_CAMPAIGN_WAVES, "waves", "at most %zu with the canary", N_ELEMENTS(q->waves));
	int r = wave_parse(text, &q->waves[q->n_waves], why);
	if (r < 0)
		return r;
	if (q->n_waves > 0 && wave_takes_all(&q->waves[q->n_waves - 1]))
		return refuse(why, E_CAMPAIGN_WAVES, text, "it comes after `%s`, which leaves nothing for it",
			      q->waves[q->n_waves - 1].amount == WAVE_REST ? "rest" : "100%");
	q->n_waves++;
	return 0;
}

static int read_waves(struct api_call *call, struct campaign_request *q)
{
	json_t *list = json_object_get(call->body, "waves");
	char    canary[WAVE_TEXT_SIZE];
	int     r = api_field_text(call, "canary", "", canary, sizeof(canary));
	if (r == 0 && canary[0] != '\0') {
		q->canary = true;
		r = add_wave(q, canary, &call->why);
	}
	if (r < 0 || list == NULL || json_is_null(list))
		return r;
	if (!json_is_array(list))
		return refuse(&call->why, E_API_BODY, "waves", "must be a list of texts like \"10%%\"");
	for (size_t i = 0; r == 0 && i < json_array_size(list); i++) {
		const char *text = json_string_value(json_array_get(list, i));
		if (text == NULL)
			r = refuse(&call->why, E_API_BODY, "waves", "entry %zu is no text", i + 1);
		else if (text[0] == '\0')
			r = refuse(&call->why, E_CAMPAIGN_WAVES, "waves", "entry %zu of %zu is empty", i + 1, json_array_size(list));
		else
			r = add_wave(q, text, &call->why);
	}
	return r;
}

static int read_limits(struct api_call *call, struct campaign_request *q)
{
	char    share[16], digits[16];
	json_t *count = json_object_get(call->body, "halt_count");
	int64_t value = 0;
	int     r = api_field_text(call, "halt_share", "", share, sizeof(share));
	size_t  n = strlen(share);
	q->halt_share = -1;
	if (r == 0 && n > 0) {
		if (share[n - 1] != '%' || text_copy_n(digits, sizeof(digits), share, n - 1) < 0 ||
		    text_i64(digits, 0, PER_CENT, &value) < 0)
			return refuse(&call->why, E_API_BODY, "halt_share", "must be a share like \"3%%\"");
		q->halt_share = value * 10;
	}
	if (r == 0 && count != NULL && !json_is_null(count)) {
		value = json_is_integer(count) ? (int64_t)json_integer_value(count) : -1;
		if (value < 1 || value > CAMPAIGN_MEMBERS_MAX) /* 0 failures would halt what has not begun */
			return refuse(&call->why, E_API_BODY, "halt_count",
				      "must be a number from 1 to %d; where any number may fail it is left out", CAMPAIGN_MEMBERS_MAX);
		q->halt_count = (uint32_t)value;
	}
	return r == 0 ? api_field_bool(call, "rollback_on_halt", false, &q->rollback_on_halt) : r;
}

int campaign_waves_read(struct api_call *call, struct campaign_request *q)
{
	int  r = read_waves(call, q);
	bool gone_at_once = q->kind == CAMPAIGN_EMERGENCY && q->revoke_old != REVOKE_OLD_GRACE;
	if (r == 0)
		r = read_limits(call, q);
	if (r == 0 && q->rollback_on_halt && gone_at_once)
		r = refuse(&call->why, E_API_BODY, "rollback_on_halt",
			   "an emergency revokes what it replaces once the new one is proved: there is nothing to go back to");
	return r;
}

/* ---- the plan --------------------------------------------------------------------------------------------------- */

uint32_t campaign_waves_fit(const struct campaign_request *q, const struct certificate *c, const char *domain)
{
	uint32_t fits = 0;
	for (size_t i = 0; i < q->n_waves; i++)
		if (q->waves[i].selects && selector_matches(&q->waves[i].selector, c, false, domain))
			fits |= 1u << i;
	return fits;
}

/* What is not sent comes last, in no wave. `turn`: the order within. */
static int by_wave(const void *a, const void *b)
{
	const struct planned *x = a, *y = b;
	uint32_t              p = x->wave != 0 ? x->wave : UINT32_MAX, q = y->wave != 0 ? y->wave : UINT32_MAX;
	if (p != q)
		return p < q ? -1 : 1;
	return x->turn < y->turn ? -1 : x->turn > y->turn;
}

static void take_waves(struct campaign_plan *p, const struct wave_member *members, uint32_t sizes[WAVES_MAX])
{
	size_t n = 0;
	for (size_t i = 0; i < p->n; i++) {
		p->rows[i].turn = (uint32_t)i;
		if (p->rows[i].state != MEMBER_WAITING)
			continue;
		p->rows[i].wave = members[n++].wave;
		sizes[p->rows[i].wave - 1]++;
	}
}

/* Else the wave after it would be taken for the canary. */
static bool canary_takes(const struct wave_spec *canary, const struct wave_member *members, size_t n)
{
	bool any = !canary->selects;
	for (size_t i = 0; i < n; i++)
		any |= (members[i].fits & 1) != 0;
	return any;
}

int campaign_waves_cut(struct campaign_plan *p)
{
	const struct campaign_request *q = &p->request;
	uint32_t                       sizes[WAVES_MAX] = {0};
	size_t                         n = 0;
	if (q->n_waves == 0 || p->n == 0)
		return 0;
	struct wave_member *members = calloc(p->n, sizeof(*members));
	if (members == NULL)
		return E_NOMEM;
	for (size_t i = 0; i < p->n; i++)
		if (p->rows[i].state == MEMBER_WAITING)
			members[n++].fits = p->rows[i].fits;
	if (q->canary && n > 0 && !canary_takes(&q->waves[0], members, n)) {
		free(members);
		return refuse(&p->why, E_CAMPAIGN_WAVES, "canary", "nothing that is to be renewed is of `%s`: nothing would be tried first",
			      q->waves[0].selector.value);
	}
	size_t waves = waves_divide(q->waves, q->n_waves, members, n);
	take_waves(p, members, sizes);
	free(members);
	qsort(p->rows, p->n, sizeof(p->rows[0]), by_wave);
	waves_write(sizes, waves, p->waves);
	return 0;
}

void campaign_waves_hash(const struct campaign_request *q, struct buf *to)
{
	buf_add_fmt(to, "%d %lld %u %d\n", q->canary, (long long)q->halt_share, (unsigned)q->halt_count, q->rollback_on_halt);
}

void campaign_waves_fill(const struct campaign_plan *p, const struct controller *ctl, struct campaign *c)
{
	const struct campaign_request *q = &p->request;
	bool                           waves = p->waves[0] != '\0';
	text_cut(c->waves, sizeof(c->waves), p->waves);
	c->wave = waves ? 1 : 0;
	c->canary = waves && q->canary;
	c->halt_share = (uint32_t)(q->halt_share >= 0 ? q->halt_share
				   : waves            ? ctl->conf->wave_halt_share
						      : ctl->conf->bulk_halt_share);
	c->halt_count = q->halt_count;
	c->rollback_on_halt = q->rollback_on_halt;
}

/* ---- shown ------------------------------------------------------------------------------------------------------ */

static json_t *json_wave(uint32_t wave, bool canary, uint32_t total)
{
	json_t *o = json_object();
	json_object_set_new(o, "wave", json_integer((json_int_t)wave));
	json_object_set_new(o, "canary", json_boolean(canary && wave == 1));
	json_object_set_new(o, "total", json_integer((json_int_t)total));
	return o;
}

json_t *json_waves(const char *waves, bool canary)
{
	json_t *list = json_array();
	for (uint32_t w = 1; w <= waves_count(waves); w++)
		json_array_append_new(list, json_wave(w, canary, waves_size(waves, w)));
	return list;
}

json_t *json_plan_waves(const struct campaign_plan *p)
{
	return json_waves(p->waves, p->request.canary);
}

static const char *wave_status(const struct campaign *c, uint32_t wave)
{
	if (wave > c->wave)
		return c->state == CAMPAIGN_CANCELLED ? "dropped" : "waiting";
	return wave < c->wave || c->completed_at != 0 ? "over" : "released";
}

json_t *json_campaign_waves(const struct campaign *c, struct store_view *view)
{
	static const struct {
		const char       *name;
		enum member_state states[4];
		size_t            n;
	} counts[] = {
		{"waiting", {MEMBER_WAITING, MEMBER_HELD}, 2},
		{"in_progress", {MEMBER_ORDERED, MEMBER_FOLLOWING, MEMBER_GOING_BACK}, 3},
		{"done", {MEMBER_DONE}, 1},
		{"failed", {MEMBER_FAILED}, 1},
		{"skipped", {MEMBER_SKIPPED, MEMBER_DROPPED}, 2},
		{"rolled_back", {MEMBER_ROLLED_BACK}, 1},
		{"kept", {MEMBER_KEPT}, 1},
	};
	json_t  *list = json_array();
	uint64_t first, last;
	for (uint32_t w = 1; waves_span(c->waves, w, &first, &last); w++) {
		json_t *o = json_wave(w, c->canary, (uint32_t)(last - first + 1));
		json_object_set_new(o, "status", json_string(wave_status(c, w)));
		for (size_t i = 0; i < N_ELEMENTS(counts); i++) {
			uint64_t sum = 0, n;
			for (size_t s = 0; s < counts[i].n; s++)
				if (view_members_span(view, c->campaign_id, counts[i].states[s], first, last, &n) == 0)
					sum += n;
			json_object_set_new(o, counts[i].name, json_integer((json_int_t)sum));
		}
		json_array_append_new(list, o);
	}
	return list;
}

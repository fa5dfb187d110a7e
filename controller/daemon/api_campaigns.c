/* api_campaigns.c - room controller/daemon: routes of campaigns and their members.
 * Never: making campaigns (api_bulk.c), deciding. */
#include <stdio.h>
#include <stdlib.h>

#include "controller/daemon/api_json.h"
#include "controller/daemon/api_routes.h"
#include "controller/daemon/campaign_figures.h"
#include "controller/daemon/campaign_json.h"
#include "controller/daemon/campaign_progress.h"
#include "controller/daemon/campaign_slowest.h"
#include "controller/daemon/campaign_waves.h"
#include "controller/daemon/campaigns.h"
#include "controller/daemon/order_waits.h"
#include "shared/base/text.h"

enum { MEMBERS_SHOWN = 500 };

bool api_campaign_visible(const struct api_call *call, const struct campaign *c)
{
	const char *cursor = c->services;
	char        service[CAMPAIGN_TEXT_SIZE];
	if (!rights_limited(&call->principal))
		return true;
	while (text_item(&cursor, service, sizeof(service)))
		if (!rights_service(&call->principal, service))
			return false;
	return true;
}

int api_campaign_list(struct api_call *call, struct store_view *view)
{
	char      text[API_PARAM_SIZE], last[ID_TEXT_SIZE];
	struct id before = {{0}};
	size_t    limit, n;
	int       r = api_arg_limit(call, &limit);
	if (r == 0)
		r = api_arg_cursor(call, text, sizeof(text));
	if (r == 0 && text[0] != '\0' && id_parse(text, &before) < 0)
		r = refuse(&call->why, E_API_BODY, "cursor", "this is not a cursor of ours");
	if (r < 0)
		return r;
	struct campaign *rows = calloc(limit, sizeof(*rows));
	if (rows == NULL)
		return E_NOMEM;
	r = view_campaigns(view, before, rows, limit, &n);
	if (r == 0) {
		json_t *items = json_array();
		for (size_t i = 0; i < n; i++)
			if (api_campaign_visible(call, &rows[i]))
				json_array_append_new(items, json_campaign(&rows[i], call->now_at));
		call->answer = api_page(call, items, n == limit ? id_text(rows[n - 1].campaign_id, last) : NULL);
	}
	free(rows);
	return r;
}

static int campaign_of(struct api_call *call, struct store_view *view, struct campaign *ret)
{
	struct id id;
	int       r = id_parse(call->params[0], &id) < 0 ? E_NOT_FOUND : view_campaign(view, id, ret);
	if (r == 0 && !api_campaign_visible(call, ret))
		r = E_NOT_FOUND;
	return r < 0 ? refuse(&call->why, r, call->params[0], "there is no such campaign") : 0;
}

/* What the lists of a campaign show of a member. */
typedef json_t *show_fn(const struct campaign_member *m);

static json_t *show_id(const struct campaign_member *m)
{
	return json_string(m->cert_id);
}

static json_t *show_failure(const struct campaign_member *m)
{
	return json_failure(m->cert_id, m->code, m->cause);
}

static void add_members(struct store_view *view, const struct campaign *c, int state, show_fn *show, json_t *list)
{
	struct campaign_member *rows = calloc(MEMBERS_SHOWN, sizeof(*rows));
	size_t                  n = 0;
	int                     r = rows == NULL ? E_NOMEM
				    : state < 0  ? view_members(view, c->campaign_id, 0, rows, MEMBERS_SHOWN, &n)
						: view_members_in(view, c->campaign_id, (enum member_state)state, 0, rows, MEMBERS_SHOWN, &n);
	for (size_t i = 0; r == 0 && i < n; i++)
		json_array_append_new(list, show(&rows[i]));
	free(rows);
}

int api_campaign_show(struct api_call *call, struct store_view *view)
{
	static const struct {
		const char *name;
		int         state; /* -1 = all */
		show_fn    *show;
	} lists[] = {
		{"affected_certificates", -1, show_id},
		{"successful_renewals", MEMBER_DONE, show_id},
		{"failed_renewals", MEMBER_FAILED, show_failure},
		{"skipped_renewals", MEMBER_SKIPPED, show_failure},
		{"renewal_processes", MEMBER_ORDERED, json_member},
		{"renewal_processes", MEMBER_FOLLOWING, json_member},
		{"renewal_processes", MEMBER_GOING_BACK, json_member},
	};
	struct campaign c;
	int             r = campaign_of(call, view, &c);
	if (r < 0)
		return r;
	const char *members = api_arg(call, "members");
	if (members != NULL && !text_equal(members, "no"))
		return refuse(&call->why, E_API_BODY, "members", "must be no, or not be given");
	call->answer = json_campaign(&c, call->now_at);
	json_object_set_new(call->answer, "waves", json_campaign_waves(&c, view));
	json_object_set_new(call->answer, "figures", json_campaign_figures(&c, view, call->now_at));
	json_object_set_new(call->answer, "slowest", json_campaign_open(&c, view, call->now_at));
	for (size_t i = 0; members == NULL && i < N_ELEMENTS(lists); i++) {
		if (json_object_get(call->answer, lists[i].name) == NULL)
			json_object_set_new(call->answer, lists[i].name, json_array());
		add_members(view, &c, lists[i].state, lists[i].show, json_object_get(call->answer, lists[i].name));
	}
	return 0;
}

/* Who is away is known on the loop alone. */
void api_campaign_enrich(struct api_call *call)
{
	struct id id;
	uint32_t  away = id_parse(call->params[0], &id) == 0 ? campaigns_away(call->ctl, id) : 0;
	json_object_set_new(call->answer, "offline_count", json_integer(away));
	campaign_slowest_cut(call->ctl, json_object_get(call->answer, "slowest"), call->now_at);
	order_waits_show_all(call->ctl, json_object_get(call->answer, "renewal_processes"), call->now_at);
}

void api_campaign_members_enrich(struct api_call *call)
{
	order_waits_show_all(call->ctl, json_object_get(call->answer, "items"), call->now_at);
}

static const char *state_word(unsigned v)
{
	return member_state_name((enum member_state)v);
}

int api_campaign_members(struct api_call *call, struct store_view *view)
{
	struct campaign c;
	char            text[API_PARAM_SIZE], last[24];
	int64_t         after = 0;
	int             state = -1;
	size_t          limit, n = 0;
	int             r = campaign_of(call, view, &c);
	if (r == 0)
		r = api_arg_limit(call, &limit);
	if (r == 0)
		r = api_arg_cursor(call, text, sizeof(text));
	if (r == 0 && text[0] != '\0' && text_i64(text, 0, INT64_MAX, &after) < 0)
		r = refuse(&call->why, E_API_BODY, "cursor", "this is not a cursor of ours");
	if (r == 0)
		r = api_arg_word(call, "state", state_word, MEMBER_STATE_COUNT, &state);
	if (r < 0)
		return r;
	struct campaign_member *rows = calloc(limit, sizeof(*rows));
	if (rows == NULL)
		return E_NOMEM;
	r = state < 0 ? view_members(view, c.campaign_id, (uint64_t)after, rows, limit, &n)
		      : view_members_in(view, c.campaign_id, (enum member_state)state, (uint64_t)after, rows, limit, &n);
	if (r == 0) {
		json_t *items = json_array();
		for (size_t i = 0; i < n; i++)
			json_array_append_new(items, json_member(&rows[i]));
		if (n == limit)
			snprintf(last, sizeof(last), "%llu", (unsigned long long)rows[n - 1].position);
		call->answer = api_page(call, items, n == limit ? last : NULL);
	}
	free(rows);
	return r;
}

int api_campaign_progress(struct api_call *call, struct store_view *view)
{
	struct campaign c;
	int             r = campaign_of(call, view, &c);
	return r == 0 ? campaign_progress(&c, view, call->now_at, &call->answer) : r;
}

/* ---- halt, resume, cancel --------------------------------------------------------------------------------------- */

static void word_done(void *ctx, const struct api_result *result)
{
	struct api_call *call = ctx;
	if (result->code < 0)
		api_refuse_why(call, &result->why);
	else
		api_finish(call, 200, json_campaign(&result->campaign, call->now_at));
}

/* Absent = all that was touched. */
static int read_wave(struct api_call *call, const struct campaign *c, uint32_t *ret)
{
	const json_t *wave = json_object_get(call->body, "wave");
	json_int_t    n = json_integer_value(wave);
	if (wave == NULL || json_is_null(wave))
		return 0;
	if (!json_is_integer(wave) || n < 1 || n > (json_int_t)waves_count(c->waves))
		return refuse(&call->why, E_API_BODY, "wave", "must be the number of a wave, from 1 to %zu", waves_count(c->waves));
	*ret = (uint32_t)n;
	return 0;
}

/* Who may not order an emergency may not stop one; who may not let a CA give way may halt what follows, and not turn it back. */
static void word(struct api_call *call, enum campaign_event_kind kind)
{
	struct campaign          c;
	uint32_t                 wave = 0;
	int                      r = campaign_of(call, controller_view(call->ctl), &c);
	if (r == 0)
		r = api_body(call);
	if (r == 0 && kind == CAMPAIGN_EV_ROLLBACK)
		r = read_wave(call, &c, &wave);
	bool emergency = r == 0 && (c.kind == CAMPAIGN_EMERGENCY || c.kind == CAMPAIGN_DRILL || c.trigger == TRIGGER_EMERGENCY);
	if (emergency)
		r = api_may(call, PERM_CERT_EMERGENCY, call->params[0], "");
	bool to_old_ca =
		r == 0 && c.kind == CAMPAIGN_CA && kind == CAMPAIGN_EV_ROLLBACK; /* two persons took hosts away from it */
	if (to_old_ca)
		r = api_may(call, PERM_CA_MANAGE, call->params[0], "it brings certificates of a CA back that gives way");
	if (r < 0)
		api_refuse_why(call, &call->why);
	else
		campaigns_order(call->ctl, c.campaign_id, kind, wave, &call->caller, word_done, call);
}

void api_campaign_halt(struct api_call *call)
{
	word(call, CAMPAIGN_EV_HALT);
}

void api_campaign_resume(struct api_call *call)
{
	word(call, CAMPAIGN_EV_RESUME);
}

void api_campaign_cancel(struct api_call *call)
{
	word(call, CAMPAIGN_EV_CANCEL);
}

void api_campaign_rollback(struct api_call *call)
{
	word(call, CAMPAIGN_EV_ROLLBACK);
}

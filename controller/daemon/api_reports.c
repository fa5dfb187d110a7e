/* api_reports.c - room controller/daemon: routes of the compliance report, of the rows behind each of its figures, and of evidence packs.
 * All run on a worker and take nothing of the loop but settings that never change. Never: counting. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/daemon/api_json.h"
#include "controller/daemon/api_routes.h"
#include "controller/daemon/evidence_pack.h"
#include "controller/daemon/report_json.h"
#include "controller/daemon/report_revoked.h"
#include "controller/daemon/report_system.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/conf/controller_conf.h"

enum { ROW_PAGES = 40, PLACE_SIZE = 80 };

/* ---- what is asked ----------------------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	int64_t     days;
} periods[] = {{"daily", 1}, {"weekly", 7}, {"monthly", 30}, {"quarterly", 91}, {"yearly", 365}};

static int named_period(struct api_call *call, const char *name, struct report_ask *ask)
{
	for (size_t i = 0; i < N_ELEMENTS(periods); i++) {
		if (!text_equal(periods[i].name, name))
			continue;
		ask->to = ask->now;
		ask->from = ask->now - periods[i].days * MS_DAY;
		text_cut(ask->period, sizeof(ask->period), name);
		return 0;
	}
	return refuse(&call->why, E_REPORT_PERIOD, "period", "`%s` is none", name);
}

static int given_period(struct api_call *call, const char *from, const char *to, struct report_ask *ask)
{
	if (from != NULL && time_parse(from, &ask->from) < 0)
		return refuse(&call->why, E_REPORT_PERIOD, "from", "must be a time like 2026-01-02T03:04:05Z");
	if (to != NULL && time_parse(to, &ask->to) < 0)
		return refuse(&call->why, E_REPORT_PERIOD, "to", "must be a time like 2026-01-02T03:04:05Z");
	if (from == NULL || to == NULL)
		return refuse(&call->why, E_REPORT_PERIOD, from == NULL ? "from" : "to", "is needed beside the other one");
	if (ask->from >= ask->to)
		return refuse(&call->why, E_REPORT_PERIOD, "from", "`%s` is not before `to`, `%s`", from, to);
	if (ask->from < 0)
		return refuse(&call->why, E_REPORT_PERIOD, "from", "must not lie before 1970");
	(void)snprintf(ask->period, sizeof(ask->period), "%s/%s", from, to);
	return 0;
}

static int arg_ask(struct api_call *call, struct store_view *view, struct report_ask *ret)
{
	const struct controller_conf *conf = controller_conf_of(call->ctl);
	const char *period = api_arg(call, "period"), *from = api_arg(call, "from"), *to = api_arg(call, "to"), *lang = api_arg(call, "lang");
	*ret = (struct report_ask){.now = call->now_at,
				   .kept_ms = conf->keep_orders_ms < conf->keep_issuances_ms ? conf->keep_orders_ms : conf->keep_issuances_ms,
				   .kept_orders_ms = conf->keep_orders_ms,
				   .lang = lang != NULL && text_equal(lang, "de") ? LANG_DE : LANG_EN,
				   .book = controller_rule_book(call->ctl)};
	(void)snprintf(ret->contacts, sizeof(ret->contacts), "%s,%s", conf->contact_admin, conf->contact_security);
	int r = exceptions_read(view, &ret->own);
	if (r < 0)
		return r;
	if (period != NULL && (from != NULL || to != NULL))
		return refuse(&call->why, E_REPORT_PERIOD, "period", "stands beside from and to");
	if (from == NULL && to == NULL)
		return named_period(call, period != NULL ? period : "monthly", ret);
	return given_period(call, from, to, ret);
}

/* ---- the report -------------------------------------------------------------------------------------------------- */

static int make_report(struct api_call *call, struct store_view *view, const struct report_ask *ask)
{
	struct report_sum *sum = NULL;
	int                r = report_sum_make(view, ask, &sum);
	if (r == 0)
		call->answer = json_report(sum);
	report_sum_free(sum);
	return r;
}

int api_report_compliance(struct api_call *call, struct store_view *view)
{
	struct report_ask ask;
	int               r = arg_ask(call, view, &ask);
	return r == 0 ? make_report(call, view, &ask) : r;
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

/* One page of rows on its way. */
struct rows_page {
	const struct report_ask *ask;
	unsigned                 bit; /* of the figure */
	const char              *service, *rule;
	json_t                  *items;
	size_t                   limit;
	char                     last[PLACE_SIZE]; /* looked at */
};

static bool fails(const struct rows_page *p, const struct verdict *v)
{
	const struct compliance_rule *r = rule_book_find(p->ask->book, p->rule);
	return r != NULL && v->result[r - p->ask->book->rule] == COMPLIANCE_FAIL;
}

static int take_certificate(void *ctx, const struct verdict *v)
{
	struct rows_page *p = ctx;
	bool              is_one = p->rule != NULL ? fails(p, v) : (v->figures & p->bit) != 0;
	text_cut(p->last, sizeof(p->last), v->cert->cert_id);
	if (!is_one || (p->service != NULL && !text_equal(p->service, v->cert->service)))
		return 0;
	json_array_append_new(p->items, json_report_certificate(p->ask, v));
	return json_array_size(p->items) >= p->limit;
}

static int add_installation(struct store_view *view, struct rows_page *p)
{
	struct compliance_system s;
	int                      r = report_system_read(view, p->ask->now, p->ask->kept_ms, &s);
	json_t                  *row = r == 0 ? json_report_installation(p->ask, &s) : NULL;
	if (row != NULL)
		json_array_append_new(p->items, row);
	return r;
}

static int certificate_rows(struct store_view *view, const char *cursor, struct rows_page *p, bool *ret_more)
{
	struct judge *j = NULL;
	int           r = 0;
	bool          whole = p->bit == FIGURE_BIT(VIOLATIONS) && p->rule == NULL && p->service == NULL && cursor[0] == '\0';
	if (whole)
		r = add_installation(view, p);
	if (r == 0)
		r = judge_open(view, p->ask, &j);
	text_cut(p->last, sizeof(p->last), cursor);
	if (r == 0)
		r = judge_certificates(j, cursor, ROW_PAGES, take_certificate, p, ret_more);
	judge_close(j);
	return r;
}

static int take_order(void *ctx, const struct order *o, unsigned figures)
{
	struct rows_page *p = ctx;
	if ((figures & p->bit) == 0 || (p->service != NULL && !text_equal(p->service, o->service)))
		return 0;
	json_array_append_new(p->items, json_report_order(o));
	return json_array_size(p->items) >= p->limit;
}

static int place_parse(const char *cursor, struct report_order_place *ret)
{
	int       paused, n = 0;
	long long at;
	*ret = (struct report_order_place){.paused = false};
	if (cursor[0] == '\0')
		return 0;
	if (sscanf(cursor, "%1d:%18lld:%n", &paused, &at, &n) != 2 || n == 0 || id_parse(cursor + n, &ret->after) < 0)
		return E_SYNTAX;
	ret->paused = paused != 0;
	ret->at = at;
	return 0;
}

static int order_rows(struct api_call *call, struct store_view *view, const char *cursor, struct rows_page *p, bool *ret_more)
{
	struct report_order_place place;
	char                      id[ID_TEXT_SIZE];
	if (place_parse(cursor, &place) != 0)
		return refuse(&call->why, E_API_BODY, "cursor", "this is not a cursor of ours");
	int r = report_orders(view, p->ask, &place, ROW_PAGES, take_order, p, ret_more);
	(void)snprintf(p->last, sizeof(p->last), "%d:%lld:%s", (int)place.paused, (long long)place.at, id_text(place.after, id));
	return r;
}

static int take_revocation(void *ctx, const struct revoked_row *r, unsigned figures)
{
	struct rows_page *p = ctx;
	if ((figures & p->bit) == 0)
		return 0;
	json_array_append_new(p->items, json_report_revocation(r));
	return json_array_size(p->items) >= p->limit;
}

static int revoked_place_parse(const char *cursor, struct report_revoked_place *ret)
{
	const char *shard = strchr(cursor, ':'), *serial = shard != NULL ? strchr(shard + 1, ':') : NULL;
	char        number[24];
	int64_t     n = 0;
	*ret = (struct report_revoked_place){.within = false};
	if (cursor[0] == '\0')
		return 0;
	if (serial == NULL || text_copy_n(ret->issuer_id, sizeof(ret->issuer_id), cursor, (size_t)(shard - cursor)) < 0 ||
	    text_copy_n(number, sizeof(number), shard + 1, (size_t)(serial - shard - 1)) < 0 || text_i64(number, 0, UINT32_MAX, &n) < 0 ||
	    serial_parse(serial + 1, &ret->after) < 0)
		return E_SYNTAX;
	ret->within = true;
	ret->shard = (uint32_t)n;
	return 0;
}

/* Of all services: an issuance says which certificate it was of, and that one may be gone. */
static int revocation_rows(struct api_call *call, struct store_view *view, const char *cursor, struct rows_page *p, bool *ret_more)
{
	struct report_revoked_place place;
	char                        serial[SERIAL_TEXT_SIZE];
	if (p->service != NULL)
		return refuse(&call->why, E_REPORT_ROWS, "service", "revocations are not listed by service");
	if (revoked_place_parse(cursor, &place) != 0)
		return refuse(&call->why, E_API_BODY, "cursor", "this is not a cursor of ours");
	int r = report_revoked(view, p->ask, &place, ROW_PAGES, take_revocation, p, ret_more);
	(void)snprintf(p->last, sizeof(p->last), "%s:%u:%s", place.issuer_id, (unsigned)place.shard, serial_text(place.after, serial));
	return r;
}

static int take_campaign(void *ctx, const struct campaign *c)
{
	struct rows_page *p = ctx;
	char              id[ID_TEXT_SIZE];
	json_array_append_new(p->items, json_report_campaign(c));
	text_cut(p->last, sizeof(p->last), id_text(c->campaign_id, id));
	return json_array_size(p->items) >= p->limit;
}

static int campaign_rows(struct api_call *call, struct store_view *view, const char *cursor, struct rows_page *p, bool *ret_more)
{
	struct id before = {{0}};
	if (cursor[0] != '\0' && id_parse(cursor, &before) < 0)
		return refuse(&call->why, E_API_BODY, "cursor", "this is not a cursor of ours");
	int r = report_campaigns(view, p->ask, before, take_campaign, p);
	*ret_more = json_array_size(p->items) >= p->limit;
	return r;
}

static int arg_figure(struct api_call *call, const struct report_ask *ask, struct rows_page *ret, enum figure_noun *ret_noun)
{
	const char *name = api_arg(call, "figure");
	enum figure f;
	name = name != NULL ? name : figure_info(FIGURE_TOTAL)->name;
	if (figure_parse(name, &f) != 0)
		return refuse(&call->why, E_REPORT_ROWS, "figure", "`%s` is none", name);
	*ret = (struct rows_page){.ask = ask, .bit = 1u << f, .service = api_arg(call, "service"), .rule = api_arg(call, "rule")};
	const struct compliance_rule *r = ret->rule != NULL ? rule_book_find(ask->book, ret->rule) : NULL;
	if (ret->rule != NULL && (f != FIGURE_VIOLATIONS || r == NULL || r->check->of_cert == NULL))
		return refuse(&call->why, E_REPORT_ROWS, "rule", "`%s` is no rule about certificates that `%s` counts", ret->rule, name);
	*ret_noun = figure_info(f)->noun;
	return 0;
}

int api_report_rows(struct api_call *call, struct store_view *view)
{
	struct report_ask ask;
	struct rows_page  page;
	enum figure_noun  noun = FIGURE_OF_CERTIFICATE;
	char              cursor[PLACE_SIZE];
	bool              more = false;
	size_t            limit;
	int               r = arg_ask(call, view, &ask);
	if (r == 0)
		r = arg_figure(call, &ask, &page, &noun);
	if (r == 0)
		r = api_arg_limit(call, &limit);
	if (r == 0)
		r = api_arg_cursor(call, cursor, sizeof(cursor));
	if (r != 0)
		return r;
	page.limit = limit;
	page.items = json_array();
	if (noun == FIGURE_OF_CERTIFICATE)
		r = certificate_rows(view, cursor, &page, &more);
	else if (noun == FIGURE_OF_ORDER)
		r = order_rows(call, view, cursor, &page, &more);
	else if (noun == FIGURE_OF_REVOCATION)
		r = revocation_rows(call, view, cursor, &page, &more);
	else
		r = campaign_rows(call, view, cursor, &page, &more);
	if (r < 0)
		json_decref(page.items);
	else
		call->answer = api_page(call, page.items, more ? page.last : NULL);
	return r;
}

/* ---- evidence ---------------------------------------------------------------------------------------------------- */

int api_report_evidence(struct api_call *call, struct store_view *view)
{
	const char *cert_id = api_arg(call, "certificate"), *campaign = api_arg(call, "campaign"), *part = api_arg(call, "part");
	struct id   campaign_id;
	int64_t     number = 0;
	if (part != NULL && (campaign == NULL || text_i64(part, 1, EVIDENCE_PARTS_MAX, &number) < 0))
		return refuse(&call->why, E_API_BODY, "part", "goes with campaign=, and is a number from 1");
	if ((cert_id != NULL) == (campaign != NULL))
		return refuse(&call->why, E_API_BODY, "certificate", "one of certificate= and campaign= is needed");
	if (cert_id != NULL)
		return evidence_of_certificate(view, cert_id, &call->answer, &call->why);
	if (id_parse(campaign, &campaign_id) < 0)
		return refuse(&call->why, E_API_BODY, "campaign", "must be a UUID");
	return evidence_of_campaign(view, campaign_id, (uint32_t)number, &call->answer, &call->why);
}

/* report_sum.c - room controller/daemon: adds up the figures of a compliance report: certificates, orders of the period, campaigns.
 * Never: deciding what a figure counts (core/report_figure.h, core/compliance.h). */
#include "controller/daemon/report_sum.h"

#include <stdlib.h>
#include <string.h>

#include "controller/daemon/report_revoked.h"
#include "controller/daemon/report_system.h"
#include "shared/base/text.h"
#include "shared/base/times.h"

enum { PAGE = STORE_LIST_MAX, CAMPAIGN_PAGE = 100 };

/* An emergency that waits for somebody before it begins is given up after a month (limits.approval_life). */
#define BEGIN_LATEST_MS (31 * MS_DAY)

static struct service_sum *service_of(struct report_sum *s, const char *name)
{
	struct service_sum *row = NULL;
	HASH_FIND_STR(s->services, name, row);
	if (row != NULL || HASH_COUNT(s->services) >= SERVICES_COUNTED_MAX)
		return row;
	row = calloc(1, sizeof(*row));
	if (row != NULL) {
		text_cut(row->name, sizeof(row->name), name);
		HASH_ADD_STR(s->services, name, row);
	}
	return row;
}

static void count(struct report_sum *s, const char *service, unsigned figures)
{
	struct service_sum *row = service_of(s, service);
	s->uncounted_services += row == NULL;
	for (unsigned f = 0; f < FIGURE_COUNT; f++) {
		s->n[f] += figures >> f & 1;
		if (row != NULL)
			row->n[f] += figures >> f & 1;
	}
}

/* ---- certificates ----------------------------------------------------------------------------------------------- */

static bool is_violation(const struct report_ask *ask, size_t rule, enum compliance_result result)
{
	return result == COMPLIANCE_FAIL && rule_severity(&ask->book->rule[rule], ask->now) == SEVERITY_ERROR;
}

static void add_rules(struct report_sum *s, const struct verdict *v)
{
	for (size_t i = 0; i < s->ask->book->n_rules; i++) {
		struct rule_sum *sum = &s->rule[i];
		unsigned         result = v->result[i];
		if (result >= COMPLIANCE_RESULT_COUNT)
			continue;
		if (result == COMPLIANCE_FAIL && sum->n[result] < SAMPLES)
			text_cut(sum->sample[sum->n[result]], CERT_ID_SIZE, v->cert->cert_id);
		if (sum->n[result]++ == 0)
			sum->why[result] = v->why[i];
		s->n[FIGURE_VIOLATIONS] += is_violation(s->ask, i, (enum compliance_result)result);
	}
}

static void add_risk(struct report_sum *s, const struct verdict *v)
{
	struct risk_row *row = &s->risk[s->n_risks];
	if (s->n_risks == RISKS_LISTED)
		return;
	*row = (struct risk_row){.risks = v->risks, .not_after_at = v->cert->not_after_at};
	text_cut(row->cert_id, sizeof(row->cert_id), v->cert->cert_id);
	text_cut(row->service, sizeof(row->service), v->cert->service);
	for (size_t i = 0; i < s->ask->book->n_rules; i++)
		if (v->result[i] < COMPLIANCE_RESULT_COUNT && is_violation(s->ask, i, (enum compliance_result)v->result[i]))
			row->rules[i / 64] |= UINT64_C(1) << i % 64;
	s->n_risks++;
}

static int add_certificate(void *ctx, const struct verdict *v)
{
	struct report_sum *s = ctx;
	count(s, v->cert->service, v->figures & ~FIGURE_BIT(VIOLATIONS)); /* one may have several */
	for (size_t i = 0; i < s->ask->book->n_profiles; i++)
		s->in_profile[i] += v->profiles >> i & 1;
	if (v->profiles != 0)
		add_rules(s, v);
	if ((v->figures & FIGURE_BIT(HIGH_RISK)) != 0)
		add_risk(s, v);
	return 0;
}

static int add_certificates(struct store_view *view, struct report_sum *s)
{
	struct judge *j = NULL;
	bool          more;
	int           r = judge_open(view, s->ask, &j);
	if (r == 0)
		r = judge_certificates(j, "", SIZE_MAX, add_certificate, s, &more);
	judge_close(j);
	return r;
}

/* ---- orders ----------------------------------------------------------------------------------------------------- */

static int read_orders(struct store_view *view, const struct report_ask *ask, const struct report_order_place *place, struct order *page, size_t *ret_n)
{
	if (place->paused)
		return view_orders_paused(view, place->after, page, PAGE, ret_n);
	return view_orders_ended(view, ask->to - 1, place->at, place->after, page, PAGE, ret_n);
}

int report_orders(struct store_view *view, const struct report_ask *ask, struct report_order_place *place, size_t max_pages, report_order_fn *fn,
		  void *ctx, bool *ret_more)
{
	struct order *page = calloc(PAGE, sizeof(*page));
	size_t        n;
	int           r = page != NULL ? 0 : E_NOMEM;
	*ret_more = true;
	if (!place->paused && place->at < ask->from - 1) {
		place->at = ask->from - 1;
		memset(&place->after, 0xff, sizeof(place->after));
	}
	for (size_t pages = 0; r == 0 && *ret_more && pages < max_pages; pages++) {
		r = read_orders(view, ask, place, page, &n);
		for (size_t i = 0; r == 0 && i < n; i++) {
			unsigned figures = figure_of_order(&page[i], ask->from, ask->to);
			place->at = page[i].completed_at;
			place->after = page[i].renewal_id;
			r = figures != 0 ? fn(ctx, &page[i], figures) : 0;
		}
		if (r != 0 || n == PAGE)
			continue;
		*ret_more = !place->paused;
		*place = (struct report_order_place){.paused = true};
	}
	free(page);
	return r < 0 ? r : 0;
}

static int add_order(void *ctx, const struct order *o, unsigned figures)
{
	struct report_sum *s = ctx;
	count(s, o->service, figures);
	if ((figures & FIGURE_BIT(COMPLETED)) != 0)
		s->duration_ms += o->completed_at > o->created_at ? o->completed_at - o->created_at : 0;
	return 0;
}

static int add_orders(struct store_view *view, struct report_sum *s)
{
	struct report_order_place place = {.paused = false};
	bool                      more;
	return report_orders(view, s->ask, &place, SIZE_MAX, add_order, s, &more);
}

/* ---- campaigns -------------------------------------------------------------------------------------------------- */

int report_campaigns(struct store_view *view, const struct report_ask *ask, struct id before, report_campaign_fn *fn, void *ctx)
{
	struct campaign *page = calloc(CAMPAIGN_PAGE, sizeof(*page));
	size_t           n = CAMPAIGN_PAGE;
	bool             older = false;
	int              r = page != NULL ? 0 : E_NOMEM;
	while (r == 0 && n == CAMPAIGN_PAGE && !older) {
		r = view_campaigns(view, before, page, CAMPAIGN_PAGE, &n);
		for (size_t i = 0; r == 0 && i < n && !older; i++) {
			before = page[i].campaign_id;
			older = page[i].created_at < ask->from - BEGIN_LATEST_MS;
			if (figure_of_campaign(&page[i], ask->from, ask->to) != 0)
				r = fn(ctx, &page[i]);
		}
	}
	free(page);
	return r < 0 ? r : 0;
}

static int add_campaign(void *ctx, const struct campaign *c)
{
	struct report_sum *s = ctx;
	s->n[FIGURE_EMERGENCIES] += figure_of_campaign(c, s->ask->from, s->ask->to) != 0;
	return 0;
}

static int add_campaigns(struct store_view *view, struct report_sum *s)
{
	return report_campaigns(view, s->ask, (struct id){{0}}, add_campaign, s);
}

/* ---- revocations ------------------------------------------------------------------------------------------------ */

static int add_revocation(void *ctx, const struct revoked_row *row, unsigned figures)
{
	struct report_sum *s = ctx;
	(void)row;
	for (unsigned f = 0; f < FIGURE_COUNT; f++)
		s->n[f] += figures >> f & 1;
	return 0;
}

static int add_revocations(struct store_view *view, struct report_sum *s)
{
	struct report_revoked_place place = {.within = false};
	bool                        more;
	return report_revoked(view, s->ask, &place, SIZE_MAX, add_revocation, s, &more);
}

/* ---- the installation ------------------------------------------------------------------------------------------- */

enum compliance_result report_system_judge(const struct report_ask *ask, size_t rule, const struct compliance_system *s,
					   const struct compliance_text **ret_why)
{
	static const struct compliance_text later = {{"the rule is not in force yet", "die Regel ist noch nicht in Kraft"}};
	const struct compliance_rule       *r = &ask->book->rule[rule];
	*ret_why = &later;
	if (ask->now < r->valid_from_at || r->check->of_system == NULL)
		return COMPLIANCE_NOT_ASSESSABLE;
	return r->check->of_system(s, &r->params, ret_why);
}

static int add_system(struct store_view *view, struct report_sum *s)
{
	const struct rule_book *book = s->ask->book;
	int                     r = report_system_read(view, s->ask->now, s->ask->kept_ms, &s->system);
	for (size_t i = 0; r == 0 && i < book->n_rules; i++) {
		const struct compliance_text *why = NULL;
		if (book->rule[i].check->of_system == NULL || s->in_profile[book->rule[i].profile] == 0)
			continue;
		enum compliance_result result = report_system_judge(s->ask, i, &s->system, &why);
		s->rule[i].n[result] = 1;
		s->rule[i].why[result] = why;
		s->n[FIGURE_VIOLATIONS] += is_violation(s->ask, i, result);
	}
	return r;
}

/* ---- the trail -------------------------------------------------------------------------------------------------- */

static int add_trail(struct store_view *view, struct report_sum *s)
{
	struct audit *first = calloc(1, sizeof(*first)); /* large */
	size_t        n = 0;
	int           r = first != NULL ? view_audit(view, 0, first, 1, &n) : E_NOMEM;
	if (r == 0 && n > 0)
		s->trail_at = first->at;
	free(first);
	return r;
}

/* ---- the whole -------------------------------------------------------------------------------------------------- */

int report_sum_make(struct store_view *view, const struct report_ask *ask, struct report_sum **ret)
{
	static int (*const parts[])(struct store_view *, struct report_sum *) = {add_certificates, add_orders, add_campaigns, add_revocations,
										   add_system, add_trail};
	static const char *const named[] = {"clara", "covina", "argus", "veritas", "vpb"}; /* they have their row in any case */
	struct report_sum       *s = calloc(1, sizeof(*s));
	int                      r = s != NULL ? 0 : E_NOMEM;
	if (r == 0)
		s->ask = ask;
	for (size_t i = 0; r == 0 && i < N_ELEMENTS(named); i++)
		if (service_of(s, named[i]) == NULL)
			r = E_NOMEM;
	for (size_t i = 0; r == 0 && i < N_ELEMENTS(parts); i++)
		r = parts[i](view, s);
	if (r < 0) {
		report_sum_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void report_sum_free(struct report_sum *s)
{
	struct service_sum *row, *tmp;
	if (s == NULL)
		return;
	HASH_ITER (hh, s->services, row, tmp) {
		HASH_DEL(s->services, row);
		free(row);
	}
	free(s);
}

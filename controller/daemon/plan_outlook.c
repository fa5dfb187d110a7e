/* plan_outlook.c - room controller/daemon: what a plan says beside its certificates.
 * Never: choosing certificates. */
#include "controller/daemon/plan_outlook.h"

#include <stdlib.h>
#include <string.h>

#include "controller/core/policy_change.h"
#include "controller/daemon/campaign_plan.h"
#include "controller/daemon/service_policy.h"
#include "shared/base/text.h"

enum { SAMPLE = 500 };

/* ---- what policy has against it --------------------------------------------------------------------------------- */

static void count_rule(struct plan_outlook *o, const char *template_id, const char *profile, const char *field,
		       const char *text)
{
	struct outlook_rule *r = o->rules;
	for (; r < o->rules + o->n_rules; r++)
		if (text_equal(r->template_id, template_id) && text_equal(r->profile, profile) && text_equal(r->text, text)) {
			r->certificates++;
			return;
		}
	if (o->n_rules == OUTLOOK_RULES_MAX)
		return;
	*r = (struct outlook_rule){.profile = profile, .field = field, .text = text, .certificates = 1};
	text_cut(r->template_id, sizeof(r->template_id), template_id);
	o->n_rules++;
}

static int policy_of(struct plan_outlook *o, struct store_view *view, const struct certificate *c)
{
	if (o->policy_known && text_equal(o->policy.template_id, c->template_id) && text_equal(o->policy_service, c->service))
		return 0;
	int r = service_policy_view(view, c->template_id, c->service, &o->policy);
	o->policy_known = r == 0;
	text_cut(o->policy_service, sizeof(o->policy_service), c->service);
	return r;
}

static int judge(struct campaign_plan *p, struct store_view *view, const struct certificate *c)
{
	struct plan_outlook *o = &p->outlook;
	const char          *profile, *field, *text;
	struct order         open;
	bool                 approval = false, is_open = !id_is_none(c->open_order);
	int                  r = policy_of(o, view, c);
	if (r == E_NOT_FOUND) {
		count_rule(o, c->template_id, "", "template_id", "its template is not there any more");
		return 0;
	}
	if (r == 0 && is_open && (r = view_order(view, c->open_order, &open)) == E_NOT_FOUND)
		is_open = false, r = 0;
	if (r < 0)
		return r;
	for (size_t i = 0; policy_violation(&o->policy, i, &profile, &field, &text); i++)
		count_rule(o, c->template_id, profile, field, text);
	if (!policy_change_fits(&o->policy, c))
		count_rule(o, c->template_id, "", "subject_alt_names", "names are outside the template's patterns");
	r = policy_eligible_in_campaign(c, &o->policy, is_open ? &open : NULL, p->request.trigger, &approval);
	if (r < 0 && p->request.kind != CAMPAIGN_EMERGENCY && p->request.kind != CAMPAIGN_DRILL)
		count_rule(o, c->template_id, "", "", err_what(r));
	else if (approval && p->request.kind != CAMPAIGN_DRILL)
		count_rule(o, c->template_id, "", "max_renewals",
			   "the next renewal waits for a person, unless the whole campaign is approved");
	return 0;
}

int plan_outlook_take(struct campaign_plan *p, struct store_view *view, const struct certificate *c, uint32_t *ret_targets)
{
	uint64_t targets = 0;
	int      r = view_targets_count(view, c->cert_id, &targets);
	if (r == 0)
		r = judge(p, view, c);
	*ret_targets = (uint32_t)targets;
	return r;
}

/* ---- whom it touches -------------------------------------------------------------------------------------------- */

static int by_place(const void *a, const void *b)
{
	const struct planned *x = *(const struct planned *const *)a, *y = *(const struct planned *const *)b;
	int                   d = strcmp(x->service, y->service);
	return d != 0 ? d : strcmp(x->agent, y->agent);
}

static struct outlook_service *service_next(struct plan_outlook *o, const char *name)
{
	struct outlook_service *last = o->n_services > 0 ? &o->services[o->n_services - 1] : NULL;
	if (last != NULL && text_equal(last->name, name))
		return last;
	struct outlook_service *grown = reallocarray(o->services, o->n_services + 1, sizeof(*grown));
	if (grown == NULL)
		return NULL;
	o->services = grown;
	last = &grown[o->n_services++];
	*last = (struct outlook_service){.certificates = 0};
	text_cut(last->name, sizeof(last->name), name);
	return last;
}

static int count_services(struct campaign_plan *p)
{
	struct plan_outlook   *o = &p->outlook;
	const struct planned **rows = calloc(p->n + 1, sizeof(*rows));
	size_t                 n = 0;
	if (rows == NULL)
		return E_NOMEM;
	for (size_t i = 0; i < p->n; i++)
		if (p->rows[i].state == MEMBER_WAITING)
			rows[n++] = &p->rows[i];
	qsort(rows, n, sizeof(rows[0]), by_place);
	for (size_t i = 0; i < n; i++) {
		struct outlook_service *s = service_next(o, rows[i]->service);
		if (s == NULL) {
			free(rows);
			return E_NOMEM;
		}
		s->certificates++;
		s->targets += rows[i]->targets;
		s->hosts += s->certificates == 1 || !text_equal(rows[i]->agent, rows[i - 1]->agent);
	}
	free(rows);
	return 0;
}

/* ---- how long it will take -------------------------------------------------------------------------------------- */

static int by_time(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return x < y ? -1 : x > y;
}

/* What the newest orders took that nobody had to agree to. A drill's say nothing of flips and reloads. */
static int read_past(struct store_view *view, int64_t *took, int64_t *ended, size_t *ret_n)
{
	struct order *orders = calloc(SAMPLE, sizeof(*orders));
	size_t        n = 0, used = 0;
	int           r = orders != NULL ? view_orders(view, NULL, (struct id){{0}}, orders, SAMPLE, &n) : E_NOMEM;
	for (size_t i = 0; r == 0 && i < n; i++) {
		if (orders[i].phase != ORDER_COMPLETED || orders[i].agent[0] == '\0' || (orders[i].flags & (ORDER_APPROVED | ORDER_DRILL)) != 0)
			continue;
		took[used] = orders[i].completed_at - orders[i].created_at;
		ended[used++] = orders[i].completed_at;
	}
	free(orders);
	qsort(took, used, sizeof(took[0]), by_time);
	qsort(ended, used, sizeof(ended[0]), by_time);
	*ret_n = used;
	return r;
}

static bool same_group(const struct planned *a, const struct planned *b, bool staged)
{
	return a->wave == b->wave && (!staged || a->stage == b->stage);
}

static void forecast(struct campaign_plan *p)
{
	struct plan_outlook  *o = &p->outlook;
	size_t                n = p->by_state[MEMBER_WAITING], done = 0;
	uint32_t              group = 0;
	const struct planned *last = NULL;
	for (size_t i = 0; i < p->n; i++) {
		if (p->rows[i].state != MEMBER_WAITING)
			continue;
		if (last != NULL && !same_group(last, &p->rows[i], o->batch > 0)) {
			forecast_group(&o->forecast, group, o->batch, o->pause_ms, false);
			group = 0;
		}
		last = &p->rows[i];
		group++;
		done++;
	}
	forecast_group(&o->forecast, group, o->batch, o->pause_ms, done == n);
}

int plan_outlook_make(struct campaign_plan *p, struct store_view *view)
{
	struct plan_outlook *o = &p->outlook;
	int64_t             *took = calloc(SAMPLE, sizeof(*took)), *ended = calloc(SAMPLE, sizeof(*ended));
	size_t               n = 0;
	int                  r = took != NULL && ended != NULL ? count_services(p) : E_NOMEM;
	if (r == 0)
		r = read_past(view, took, ended, &n);
	if (r == 0) {
		o->sample = n;
		o->p50_ms = forecast_quantile(took, n, 500);
		o->p99_ms = forecast_quantile(took, n, 990);
		o->forecast = (struct forecast){.took_ms = took, .n = n, .per_second = forecast_rate(ended, n)};
		forecast(p);
		o->forecast.took_ms = NULL;
	}
	free(took);
	free(ended);
	return r;
}

void plan_outlook_free(struct plan_outlook *o)
{
	free(o->services);
	o->services = NULL;
	o->n_services = 0;
}

/* ---- shown ------------------------------------------------------------------------------------------------------ */

static json_t *seconds(const struct plan_outlook *o, int64_t ms)
{
	return o->sample == 0 ? json_null() : json_real((double)ms / 1000);
}

json_t *json_outlook_prediction(const struct plan_outlook *o)
{
	json_t *j = json_object();
	json_object_set_new(j, "duration_seconds", seconds(o, o->forecast.duration_ms));
	json_object_set_new(j, "batches", json_integer((json_int_t)o->forecast.batches));
	json_object_set_new(j, "pauses_seconds", json_real((double)o->forecast.pauses_ms / 1000));
	json_object_set_new(j, "orders_in_flight", json_integer((json_int_t)o->forecast.in_flight));
	json_object_set_new(j, "orders_per_second",
			    o->forecast.per_second > 0 ? json_integer((json_int_t)o->forecast.per_second) : json_null());
	json_object_set_new(j, "order_seconds_p50", seconds(o, o->p50_ms));
	json_object_set_new(j, "order_seconds_p99", seconds(o, o->p99_ms));
	json_object_set_new(j, "past_orders", json_integer((json_int_t)o->sample));
	return j;
}

json_t *json_outlook_services(const struct plan_outlook *o)
{
	json_t *all = json_object();
	for (size_t i = 0; i < o->n_services; i++) {
		const struct outlook_service *s = &o->services[i];
		json_object_set_new(all, s->name,
				    json_pack("{s:I,s:I,s:I,s:i,s:i}", "certificates", (json_int_t)s->certificates, "hosts",
					      (json_int_t)s->hosts, "targets", (json_int_t)s->targets, "offline", 0,
					      "loses_service", 0));
	}
	return all;
}

json_t *json_outlook_violations(const struct plan_outlook *o)
{
	json_t *list = json_array();
	for (size_t i = 0; i < o->n_rules; i++) {
		const struct outlook_rule *r = &o->rules[i];
		json_array_append_new(list, json_pack("{s:s,s:s*,s:s,s:s,s:I}", "template_id", r->template_id, "profile",
						      r->profile[0] != '\0' ? r->profile : NULL, "field", r->field, "text",
						      r->text, "certificates", (json_int_t)r->certificates));
	}
	return list;
}

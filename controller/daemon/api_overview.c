/* api_overview.c - room controller/daemon: the whole on one page: what needs somebody, what ends when, and when it was proved last.
 * Walks the lists on a worker; who is limited to services sees theirs. Never: holding rows beyond one page of them. */
#include <stdlib.h>
#include <string.h>

#include "controller/core/policy.h"
#include "controller/daemon/api_json.h"
#include "controller/daemon/api_routes.h"
#include "controller/daemon/service_policy.h"
#include "shared/base/text.h"
#include "shared/base/times.h"

enum { PAGE = 200, WEEKS = 13 /* the last one is all that is later */, DAYS = 90, SERVICES = 128, POLICIES = 32, REQUESTS_MAX = 500 };

struct service_sum {
	char     name[SERVICE_SIZE];
	uint64_t total, active, expiring, expired, not_served;
	uint64_t ends[WEEKS], renews[WEEKS];
};

struct overview {
	struct api_call   *call;
	struct store_view *view;
	uint64_t           status[CERT_STATUS_COUNT], total, overdue;
	uint64_t           targets, not_served, changed, failing, agents, other_services;
	uint64_t           day_ends[DAYS], day_renews[DAYS];
	int64_t            proved_at;
	size_t             n_services, n_policies, next_policy;
	struct service_sum services[SERVICES];
	struct template    policies[POLICIES];
	char               policy_service[POLICIES][SERVICE_SIZE];
};

static bool sees(const struct overview *o, const char *service)
{
	return rights_service(&o->call->principal, service);
}

/* NULL: there are more services than a page can show; they are counted in the whole alone. */
static struct service_sum *sum_of(struct overview *o, const char *service)
{
	for (size_t i = 0; i < o->n_services; i++)
		if (text_equal(o->services[i].name, service))
			return &o->services[i];
	if (o->n_services == SERVICES)
		return NULL;
	struct service_sum *s = &o->services[o->n_services++];
	text_cut(s->name, sizeof(s->name), service);
	return s;
}

static const struct template *policy_of(struct overview *o, const struct certificate *c)
{
	for (size_t i = 0; i < o->n_policies; i++)
		if (text_equal(o->policies[i].template_id, c->template_id) && text_equal(o->policy_service[i], c->service))
			return &o->policies[i];
	size_t at = o->next_policy++ % POLICIES;
	if (service_policy_view(o->view, c->template_id, c->service, &o->policies[at]) < 0) {
		o->policies[at].template_id[0] = '\0';
		return NULL;
	}
	text_cut(o->policy_service[at], sizeof(o->policy_service[at]), c->service);
	if (at >= o->n_policies)
		o->n_policies = at + 1;
	return &o->policies[at];
}

static size_t week_of(int64_t at, int64_t now)
{
	int64_t week = at <= now ? 0 : (at - now) / (7 * MS_DAY);
	return week < WEEKS - 1 ? (size_t)week : WEEKS - 1;
}

static int64_t first_day(int64_t now)
{
	return now - now % MS_DAY;
}

static void add_day(uint64_t days[DAYS], int64_t at, int64_t now)
{
	int64_t day = (at - first_day(now)) / MS_DAY;
	if (at >= first_day(now) && day < DAYS)
		days[day]++;
}

/* A quarter of the time between the day it was due and its end has passed. */
static bool is_overdue(const struct certificate *c, int64_t now)
{
	return c->renew_at != 0 && c->renew_at != TIME_NEVER && c->not_after_at > c->renew_at && now > c->renew_at + (c->not_after_at - c->renew_at) / 4;
}

static void add_certificate(struct overview *o, const struct certificate *c)
{
	int64_t          now = o->call->now_at;
	enum cert_status status = policy_status(c, policy_of(o, c), now);
	bool             lives = c->retired_at == 0 && (status == CERT_ACTIVE || status == CERT_EXPIRING || status == CERT_ISSUED);
	o->total++;
	o->status[status]++;
	if ((lives || status == CERT_EXPIRED) && c->retired_at == 0 && is_overdue(c, now))
		o->overdue++;
	if (lives && !serial_is_none(c->serial)) {
		add_day(o->day_ends, c->not_after_at, now);
		if (c->renew_at != TIME_NEVER)
			add_day(o->day_renews, c->renew_at, now);
	}
	struct service_sum *s = sum_of(o, c->service);
	if (s == NULL) {
		o->other_services++;
		return;
	}
	s->total++;
	s->active += status == CERT_ACTIVE;
	s->expiring += status == CERT_EXPIRING;
	s->expired += status == CERT_EXPIRED;
	if (!lives || serial_is_none(c->serial))
		return;
	s->ends[week_of(c->not_after_at, now)]++;
	if (c->renew_at != TIME_NEVER && c->renew_at != 0)
		s->renews[week_of(c->renew_at, now)]++;
}

static int walk_certificates(struct overview *o, struct certificate *rows)
{
	struct cert_filter filter = {.now = o->call->now_at};
	char               after[CERT_ID_SIZE] = "";
	size_t             n = PAGE;
	int                r = 0;
	while (r == 0 && n == PAGE) {
		r = view_certificates(o->view, &filter, after, rows, PAGE, &n);
		for (size_t i = 0; r == 0 && i < n; i++)
			if (sees(o, rows[i].service))
				add_certificate(o, &rows[i]);
		if (r == 0 && n > 0)
			text_cut(after, sizeof(after), rows[n - 1].cert_id);
	}
	return r;
}

/* Only where something is to be said of it is the certificate read. */
static void add_target(struct overview *o, const struct target *t)
{
	struct certificate c;
	bool               stale = t->stale_since_at != 0, changed = t->drifted_at > o->call->now_at - MS_DAY, failing = t->state_code != 0;
	bool               limited = rights_limited(&o->call->principal);
	if ((stale || changed || failing || limited) && (view_certificate(o->view, t->cert_id, &c) < 0 || c.retired_at != 0 || !sees(o, c.service)))
		return;
	o->targets++;
	o->changed += changed;
	o->failing += failing;
	o->not_served += stale;
	if (t->proved_at > o->proved_at)
		o->proved_at = t->proved_at;
	struct service_sum *s = stale ? sum_of(o, c.service) : NULL;
	if (s != NULL)
		s->not_served++;
}

static int walk_targets(struct overview *o, struct target *rows)
{
	char   after[TARGET_ID_SIZE] = "";
	size_t n = PAGE;
	int    r = 0;
	while (r == 0 && n == PAGE) {
		r = view_targets(o->view, NULL, after, rows, PAGE, &n);
		for (size_t i = 0; r == 0 && i < n; i++)
			add_target(o, &rows[i]);
		if (r == 0 && n > 0)
			text_cut(after, sizeof(after), rows[n - 1].target_id);
	}
	return r;
}

static int walk_agents(struct overview *o, struct agent *rows)
{
	char   after[AGENT_NAME_SIZE] = "";
	size_t n = PAGE;
	int    r = 0;
	while (r == 0 && n == PAGE) {
		r = view_agents(o->view, after, rows, PAGE, &n);
		for (size_t i = 0; r == 0 && i < n; i++)
			o->agents += rows[i].state == AGENT_ACTIVE && sees(o, rows[i].service);
		if (r == 0 && n > 0)
			text_cut(after, sizeof(after), rows[n - 1].name);
	}
	return r;
}

/* ---- what waits for somebody ---- */

static int count_requests(struct overview *o, json_t *attention)
{
	size_t           n = 0, waiting = 0;
	struct approval *rows = rights_allow(&o->call->principal, PERM_APPROVAL_READ) ? calloc(REQUESTS_MAX, sizeof(*rows)) : NULL;
	int              r = rows != NULL ? view_approvals(o->view, true, (struct id){{0}}, rows, REQUESTS_MAX, &n) : 0;
	for (size_t i = 0; r == 0 && i < n; i++)
		waiting += api_approval_visible(o->call, &rows[i]);
	json_object_set_new(attention, "approvals_waiting", rows != NULL ? json_integer((json_int_t)waiting) : json_null());
	free(rows);
	return r;
}

static int count_paused(struct overview *o, json_t *attention)
{
	size_t        n = 0, paused = 0;
	struct order *rows = calloc(REQUESTS_MAX, sizeof(*rows));
	int           r = rows != NULL ? view_orders_paused(o->view, (struct id){{0}}, rows, REQUESTS_MAX, &n) : E_NOMEM;
	for (size_t i = 0; r == 0 && i < n; i++)
		paused += sees(o, rows[i].service);
	json_object_set_new(attention, "renewals_paused", json_integer((json_int_t)paused));
	free(rows);
	return r;
}

static int count_campaigns(struct overview *o, json_t *attention)
{
	size_t           n = 0, open = 0, halted = 0;
	struct campaign *rows = calloc(REQUESTS_MAX, sizeof(*rows));
	int              r = rows != NULL ? view_campaigns_open(o->view, (struct id){{0}}, rows, REQUESTS_MAX, &n) : E_NOMEM;
	for (size_t i = 0; r == 0 && i < n; i++) {
		bool mine = rows[i].kind != CAMPAIGN_DRILL && api_campaign_visible(o->call, &rows[i]);
		open += mine;
		halted += mine && rows[i].state == CAMPAIGN_HALTED;
	}
	json_object_set_new(attention, "campaigns_open", json_integer((json_int_t)open));
	json_object_set_new(attention, "campaigns_halted", json_integer((json_int_t)halted));
	free(rows);
	return r;
}

/* ---- the answer ---- */

static json_t *counts_json(const uint64_t *counts, size_t n)
{
	json_t *list = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_integer((json_int_t)counts[i]));
	return list;
}

static json_t *days_json(const struct overview *o)
{
	return json_pack("{s:o, s:o, s:o}", "first", json_time(first_day(o->call->now_at)), "ends", counts_json(o->day_ends, DAYS), "renews",
			 counts_json(o->day_renews, DAYS));
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct service_sum *)a)->name, ((const struct service_sum *)b)->name);
}

static json_t *services_json(struct overview *o)
{
	json_t *list = json_array();
	qsort(o->services, o->n_services, sizeof(o->services[0]), by_name);
	for (size_t i = 0; i < o->n_services; i++) {
		const struct service_sum *s = &o->services[i];
		json_array_append_new(list, json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "service", s->name, "total", (json_int_t)s->total, "active",
						      (json_int_t)s->active, "expiring", (json_int_t)s->expiring, "expired", (json_int_t)s->expired,
						      "not_served", (json_int_t)s->not_served, "ends", counts_json(s->ends, WEEKS), "renews", counts_json(s->renews, WEEKS)));
	}
	return list;
}

static json_t *status_json(const struct overview *o)
{
	json_t *counts = json_object();
	for (int i = 0; i < CERT_STATUS_COUNT; i++)
		if (i != CERT_RENEWED) /* an issuance's */
			json_object_set_new(counts, cert_status_name((enum cert_status)i), json_integer((json_int_t)o->status[i]));
	return counts;
}

static int attention_json(struct overview *o, json_t *ret)
{
	json_object_set_new(ret, "overdue", json_integer((json_int_t)o->overdue));
	json_object_set_new(ret, "expired", json_integer((json_int_t)o->status[CERT_EXPIRED]));
	json_object_set_new(ret, "not_served", json_integer((json_int_t)o->not_served));
	json_object_set_new(ret, "changed_files", json_integer((json_int_t)o->changed));
	json_object_set_new(ret, "targets_failing", json_integer((json_int_t)o->failing));
	int r = count_requests(o, ret);
	if (r == 0)
		r = count_paused(o, ret);
	return r == 0 ? count_campaigns(o, ret) : r;
}

static int walk(struct overview *o)
{
	union rows {
		struct certificate certificate;
		struct target      target;
		struct agent       agent;
	};
	void *rows = calloc(PAGE, sizeof(union rows));
	int   r = rows != NULL ? walk_certificates(o, rows) : E_NOMEM;
	if (r == 0)
		r = walk_targets(o, rows);
	if (r == 0)
		r = walk_agents(o, rows);
	free(rows);
	return r;
}

int api_overview(struct api_call *call, struct store_view *view)
{
	struct overview *o = calloc(1, sizeof(*o));
	json_t          *attention = json_object();
	if (o == NULL)
		abort();
	o->call = call;
	o->view = view;
	int r = walk(o);
	if (r == 0)
		r = attention_json(o, attention);
	if (r == 0)
		call->answer = json_pack("{s:o, s:I, s:O, s:o, s:I, s:I, s:o, s:n, s:o, s:o, s:I}", "generated_at", json_time(call->now_at), "certificates",
					 (json_int_t)o->total, "attention", attention, "by_status", status_json(o), "targets", (json_int_t)o->targets,
					 "agents", (json_int_t)o->agents, "proved_at", json_time(o->proved_at), "agents_connected", "services",
					 services_json(o), "days", days_json(o), "certificates_of_other_services", (json_int_t)o->other_services);
	json_decref(attention);
	free(o);
	return r;
}

/* How many hosts are here is known on the loop, and of the whole alone. */
void api_overview_enrich(struct api_call *call)
{
	struct controller_state s;
	if (rights_limited(&call->principal))
		return;
	controller_state(call->ctl, &s);
	json_object_set_new(call->answer, "agents_connected", json_integer(s.connected));
}

/* metric_write.c - room controller/daemon: one function for each kind of metric; the table says which are there and in which
 * order. Never: a series that is there at one time and not at another, but for what is gone. */
#include "controller/daemon/metric_write.h"

#include <stdio.h>
#include <string.h>

#include "controller/daemon/api.h"
#include "controller/daemon/metric_detail.h"
#include "shared/base/text.h"
#include "shared/base/times.h"

#define V(...) ((const char *const[]){__VA_ARGS__})

enum { NUMBER_SIZE = 24 };

static const char *number(char ret[NUMBER_SIZE], const char *format, int n)
{
	(void)snprintf(ret, NUMBER_SIZE, format, n);
	return ret;
}

/* ---- by service -------------------------------------------------------------------------------------------------- */

typedef void service_fn(struct metric_writing *w, const struct figure_service *s);

/* What belongs to no service, or to one too many, has series only where there is something. */
static void each_service(struct metric_writing *w, service_fn *fn)
{
	const struct figures *f = w->f;
	for (size_t i = 0; i + 2 < f->n_services; i++)
		fn(w, &f->service[i]);
	for (size_t i = 0; i < 2; i++)
		if (f->used[i])
			fn(w, &f->service[f->n_services - 2 + i]);
}

static void renewals_of(struct metric_writing *w, const struct metric_service *s, const char *name)
{
	for (unsigned t = 0; t < TRIGGER_COUNT; t++)
		for (unsigned e = 0; e < METRIC_STATUS_COUNT; e++)
			metric_sample(w->t, V(name, trigger_name((enum trigger)t), metric_status_name((enum metric_status)e)),
				      (int64_t)s->renewals[t][e]);
}

static void add_service(struct metric_service *to, const struct metric_service *s)
{
	to->paused += s->paused;
	for (unsigned t = 0; t < TRIGGER_COUNT; t++)
		for (unsigned e = 0; e < METRIC_STATUS_COUNT; e++)
			to->renewals[t][e] += s->renewals[t][e];
}

/* What was counted for the row `i` of the figures; for the last one also for services that have no row. */
static struct metric_service counted(const struct metric_writing *w, size_t i)
{
	struct metric_service       sum = {.paused = 0};
	const struct metric_counts *c = w->c;
	for (size_t k = 0; k < c->n_services; k++)
		if (figures_service(w->f, c->service[k].name) == i)
			add_service(&sum, &c->service[k]);
	if (i + 1 == w->f->n_services)
		add_service(&sum, &c->service[METRIC_SERVICES_MAX]);
	return sum;
}

static bool any_counted(const struct metric_service *s)
{
	uint64_t any = s->paused;
	for (unsigned t = 0; t < TRIGGER_COUNT; t++)
		for (unsigned e = 0; e < METRIC_STATUS_COUNT; e++)
			any |= s->renewals[t][e];
	return any != 0;
}

static void each_counted(struct metric_writing *w,
			 void (*fn)(struct metric_writing *w, const struct metric_service *s, const char *name))
{
	for (size_t i = 0; i < w->f->n_services; i++) {
		struct metric_service s = counted(w, i);
		bool                  last = i + 2 >= w->f->n_services;
		if (!last || w->f->used[i + 2 - w->f->n_services] || any_counted(&s))
			fn(w, &s, w->f->service[i].name);
	}
}

static void renewals(struct metric_writing *w)
{
	each_counted(w, renewals_of);
}

static void paused_of(struct metric_writing *w, const struct metric_service *s, const char *name)
{
	metric_sample(w->t, V(name), (int64_t)s->paused);
}

static void paused_total(struct metric_writing *w)
{
	each_counted(w, paused_of);
}

static void expiring_brief_of(struct metric_writing *w, const struct figure_service *s)
{
	char days[NUMBER_SIZE];
	for (size_t i = 1; i < FIGURES_WITHIN; i++) /* 7, 30, 60, 90 */
		metric_sample(w->t, V(number(days, "%d", figures_within_days(i)), s->name), (int64_t)s->expiring[i]);
}

static void expiring_brief(struct metric_writing *w)
{
	each_service(w, expiring_brief_of);
}

static void expiring_of(struct metric_writing *w, const struct figure_service *s)
{
	char days[NUMBER_SIZE];
	for (size_t i = 0; i < FIGURES_WITHIN; i++)
		metric_sample(w->t, V(number(days, "%dd", figures_within_days(i)), s->name), (int64_t)s->expiring[i]);
}

static void expiring(struct metric_writing *w)
{
	each_service(w, expiring_of);
}

static void health_of(struct metric_writing *w, const struct figure_service *s)
{
	uint64_t all = 0;
	for (unsigned i = 0; i < FIGURE_TARGET_COUNT; i++)
		all += s->targets[i];
	metric_sample_share(w->t, V(s->name), s->targets[FIGURE_LIVE], all - s->unissued);
}

static void health(struct metric_writing *w)
{
	each_service(w, health_of);
}

static void certificates_of(struct metric_writing *w, const struct figure_service *s)
{
	for (unsigned p = 0; p < PURPOSE_COUNT; p++)
		for (unsigned e = 0; e < CERT_STATUS_COUNT; e++)
			if (e != CERT_RENEWED) /* a state of issuances alone */
				metric_sample(w->t,
					      V(s->name, cert_purpose_name((enum cert_purpose)p),
						cert_status_name((enum cert_status)e)),
					      (int64_t)s->certificates[p][e]);
}

static void certificates(struct metric_writing *w)
{
	each_service(w, certificates_of);
}

static void targets_of(struct metric_writing *w, const struct figure_service *s)
{
	for (unsigned i = 0; i < FIGURE_TARGET_COUNT; i++)
		metric_sample(w->t, V(s->name, figure_target_name((enum figure_target)i)), (int64_t)s->targets[i]);
}

static void targets(struct metric_writing *w)
{
	each_service(w, targets_of);
}

static void service_number_of(struct metric_writing *w, const struct figure_service *s)
{
	const uint64_t n = w->t->m == METRIC_URGENT ? s->urgent : w->t->m == METRIC_OVERDUE ? s->overdue : s->unrehearsed;
	metric_sample(w->t, V(s->name), (int64_t)n);
}

static void service_number(struct metric_writing *w)
{
	each_service(w, service_number_of);
}

/* ---- counted ----------------------------------------------------------------------------------------------------- */

static void emergencies(struct metric_writing *w)
{
	for (unsigned i = 0; i < INCIDENT_TYPE_COUNT; i++)
		metric_sample(w->t, V(incident_type_name((enum incident_type)i)), (int64_t)w->c->emergencies[i]);
}

/* A label of one word for each kind; drift_kind_name() is a sentence. */
static void drifts(struct metric_writing *w)
{
	static const char *const kinds[DRIFT_KIND_COUNT] = {
		[DRIFT_LINK] = "link",   [DRIFT_MISSING] = "missing", [DRIFT_BYTES] = "content",
		[DRIFT_TYPE] = "type",   [DRIFT_MODE] = "mode",       [DRIFT_OWNER] = "owner",
		[DRIFT_LINKS] = "links", [DRIFT_COPY] = "copy",       [DRIFT_ADDED] = "added",
	};
	for (unsigned i = DRIFT_NONE + 1; i < DRIFT_KIND_COUNT; i++)
		metric_sample(w->t, V(kinds[i]), (int64_t)w->c->drifts[i]);
}

static void deployments(struct metric_writing *w)
{
	for (unsigned i = 0; i < METRIC_RESULT_COUNT; i++)
		metric_sample(w->t, V(metric_result_name((enum metric_result)i)), (int64_t)w->c->deployments[i]);
}

static void rollbacks(struct metric_writing *w)
{
	for (unsigned i = 0; i < METRIC_BACK_COUNT; i++)
		metric_sample(w->t, V(metric_back_name((enum metric_back)i)), (int64_t)w->c->rollbacks[i]);
}

static void success_rate(struct metric_writing *w)
{
	uint64_t good = 0, bad = 0;
	metric_day_sum(&w->c->day, w->l->now, &good, &bad);
	metric_day_sum(&w->f->day, w->l->now, &good, &bad);
	metric_sample_share(w->t, NULL, good, good + bad);
}

static void histogram(struct metric_writing *w)
{
	const struct metric_counts    *c = w->c;
	const struct metric_histogram *h = w->t->m == METRIC_RENEWAL_DURATION ? &c->renewal
					   : w->t->m == METRIC_TO_VERIFIED    ? &c->to_verified
					   : w->t->m == METRIC_SIGN_DURATION  ? &c->sign
					   : w->t->m == METRIC_STORE_WRITE    ? &c->store_write
									      : &c->http_took;
	metric_samples_of(w->t, NULL, h);
}

static void steps(struct metric_writing *w)
{
	for (unsigned i = 0; i < STEP_COUNT; i++)
		metric_samples_of(w->t, V(workflow_step_name((enum workflow_step)i)), &w->c->step[i]);
}

static void signatures(struct metric_writing *w)
{
	metric_sample(w->t, V("signed"), (int64_t)w->c->signed_ok);
	metric_sample(w->t, V("refused"), (int64_t)w->c->signed_refused);
}

static void http(struct metric_writing *w)
{
	size_t                  n;
	const struct api_route *routes = api_routes(&n);
	char                    name[128];
	for (size_t i = 0; i <= n && i < METRIC_ROUTES_MAX; i++) {
		const uint64_t *counts = i < n ? w->c->http[i] : w->c->http[METRIC_ROUTES_MAX];
		(void)snprintf(name, sizeof(name), "%s %s", i < n ? routes[i].method : "none", i < n ? routes[i].path : "");
		if (i == n)
			name[strlen("none")] = '\0';
		for (unsigned k = 0; k < METRIC_HTTP_COUNT; k++)
			metric_sample(w->t, V(name, metric_http_name((enum metric_http)k)), (int64_t)counts[k]);
	}
}

/* ---- hosts, campaigns -------------------------------------------------------------------------------------------- */

/* Who was not here in this run at all is silent when the run is old enough to know. */
static void agents(struct metric_writing *w)
{
	const struct figures *f = w->f;
	uint64_t              active = f->agents_in[AGENT_ACTIVE], known = w->l->connected + f->away + f->silent;
	uint64_t              never = active > known ? active - known : 0;
	bool                  silent = w->l->now - w->l->started_at > w->l->silent_ms;
	metric_sample(w->t, V("connected"), w->l->connected);
	metric_sample(w->t, V("away"), (int64_t)(f->away + (silent ? 0 : never)));
	metric_sample(w->t, V("silent"), (int64_t)(f->silent + (silent ? never : 0)));
	metric_sample(w->t, V("evicted"), (int64_t)f->agents_in[AGENT_EVICTED]);
	metric_sample(w->t, V("banned"), (int64_t)f->agents_in[AGENT_BANNED]);
}

static void campaigns(struct metric_writing *w)
{
	for (unsigned i = 0; i < CAMPAIGN_STATE_COUNT; i++)
		metric_sample(w->t, V(campaign_state_name((enum campaign_state)i)), (int64_t)w->f->campaigns[i]);
}

static void members(struct metric_writing *w)
{
	for (unsigned i = 0; i < MEMBER_STATE_COUNT; i++)
		metric_sample(w->t, V(member_state_name((enum member_state)i)), (int64_t)w->f->members[i]);
}

/* ---- authorities ------------------------------------------------------------------------------------------------- */

static void ca_end(struct metric_writing *w)
{
	for (size_t i = 0; i < w->l->n_cas; i++)
		if (w->l->ca[i].not_after_at != 0)
			metric_sample_ms(w->t, V(w->l->ca[i].issuer_id, issuer_role_name(w->l->ca[i].role)),
					 w->l->ca[i].not_after_at);
}

static void crl(struct metric_writing *w)
{
	for (size_t i = 0; i < w->l->n_cas; i++) {
		const struct metric_ca *ca = &w->l->ca[i];
		if (!ca->listed)
			continue;
		if (w->t->m == METRIC_CRL_ENTRIES)
			metric_sample(w->t, V(ca->issuer_id), (int64_t)ca->entries);
		else
			metric_sample_ms(w->t, V(ca->issuer_id),
					 w->t->m == METRIC_CRL_THIS ? ca->this_update_at : ca->next_update_at);
	}
}

static void ocsp(struct metric_writing *w)
{
	const struct ocsp_figures *o = &w->l->ocsp;
	metric_sample(w->t, V("from_cache"), (int64_t)o->from_cache);
	metric_sample(w->t, V("signed"), (int64_t)o->signed_now);
	metric_sample(w->t, V("malformed"), (int64_t)o->malformed);
	metric_sample(w->t, V("unauthorized"), (int64_t)o->unauthorized);
	metric_sample(w->t, V("try_later"), (int64_t)o->put_off);
}

static void notifications(struct metric_writing *w)
{
	for (size_t i = 0; i < w->l->n_channels; i++) {
		const struct metric_channel *c = &w->l->channel[i];
		metric_sample(w->t, V(c->name, "delivered"), (int64_t)c->sent);
		metric_sample(w->t, V(c->name, "failed"), (int64_t)c->failed);
		metric_sample(w->t, V(c->name, "given_up"), (int64_t)c->dead);
	}
}

static void ready(struct metric_writing *w)
{
	static const char *const checks[METRIC_CHECKS] = {"store", "signer", "crl", "gateway"};
	for (size_t i = 0; i < METRIC_CHECKS; i++)
		metric_sample(w->t, V(checks[i]), w->l->ready[i]);
}

static void turns(struct metric_writing *w)
{
	char limit[NUMBER_SIZE];
	for (size_t i = 0; i < METRIC_TURNS; i++)
		metric_sample(w->t, V(number(limit, "%dms", w->l->turn_limit_ms[i])), (int64_t)w->l->turns_over[i]);
}

/* ---- single numbers ---------------------------------------------------------------------------------------------- */

static int64_t plain_number(const struct metric_writing *w)
{
	const struct figures     *f = w->f;
	const struct metric_live *l = w->l;
	switch ((int)w->t->m) {
	case METRIC_CLARA_MODELS:
		return (int64_t)f->clara_models;
	case METRIC_DETAIL:
		return f->detail;
	case METRIC_CONF_WELL:
		return l->conf_well;
	case METRIC_GATEWAYS:
		return l->gateways;
	case METRIC_ORDERS_OPEN:
		return l->open_orders;
	case METRIC_ORDERS_PAUSED:
		return (int64_t)f->orders_paused;
	case METRIC_SIGNER_QUEUE:
		return (int64_t)l->signer_queue;
	case METRIC_STORE_SIZE:
		return (int64_t)f->store_bytes;
	case METRIC_AUDIT_RECORDS:
		return (int64_t)f->audit_records;
	case METRIC_MEMORY:
		return l->self.resident_bytes;
	case METRIC_FDS:
		return l->self.fds;
	default:
		return l->self.max_fds;
	}
}

static void plain(struct metric_writing *w)
{
	metric_sample(w->t, NULL, plain_number(w));
}

static int64_t time_number(const struct metric_writing *w)
{
	switch ((int)w->t->m) {
	case METRIC_HEAD_WITNESSED:
		return w->f->witnessed_at;
	case METRIC_HEAD_UNWITNESSED:
		return w->f->unwitnessed_ms;
	case METRIC_BACKUP:
		return w->f->backup_at;
	case METRIC_CONF_AT:
		return w->l->conf_at;
	case METRIC_FIGURES_AT:
		return w->f->at;
	case METRIC_FIGURES_TOOK:
		return w->f->took_ms;
	case METRIC_LOOP_LONGEST:
		return w->l->longest_turn_us / 1000;
	case METRIC_CPU:
		return w->l->self.cpu_ms;
	default:
		return w->l->started_at;
	}
}

static void plain_time(struct metric_writing *w)
{
	metric_sample_ms(w->t, NULL, time_number(w));
}

static void build(struct metric_writing *w)
{
	metric_sample(w->t, V(VCC_VERSION), 1);
}

/* ---- all --------------------------------------------------------------------------------------------------------- */

static void (*const writers[METRIC_COUNT])(struct metric_writing *w) = {
	[METRIC_RENEWALS] = renewals,
	[METRIC_RENEWAL_DURATION] = histogram,
	[METRIC_EXPIRING_BRIEF] = expiring_brief,
	[METRIC_EMERGENCIES] = emergencies,
	[METRIC_SUCCESS_RATE] = success_rate,
	[METRIC_CLARA_MODELS] = plain,
	[METRIC_SERVICE_HEALTH] = health,
	[METRIC_CERTIFICATES] = certificates,
	[METRIC_EXPIRING] = expiring,
	[METRIC_URGENT] = service_number,
	[METRIC_OVERDUE] = service_number,
	[METRIC_TARGETS] = targets,
	[METRIC_UNREHEARSED] = service_number,
	[METRIC_DRIFTS] = drifts,
	[METRIC_DEPLOYMENTS] = deployments,
	[METRIC_ROLLBACKS] = rollbacks,
	[METRIC_NOT_BEFORE] = metric_certificates,
	[METRIC_NOT_AFTER] = metric_certificates,
	[METRIC_RENEW_AFTER] = metric_certificates,
	[METRIC_CERTIFICATE_INFO] = metric_certificates,
	[METRIC_LIVE] = metric_places,
	[METRIC_NOT_LIVE] = metric_places,
	[METRIC_SERVED_NOT_AFTER] = metric_places,
	[METRIC_REHEARSAL_LAST] = metric_places,
	[METRIC_REHEARSAL] = metric_places,
	[METRIC_AGENT_SEEN] = metric_agents,
	[METRIC_AGENT_IDENTITY] = metric_agents,
	[METRIC_AGENT_SKEW] = metric_agents,
	[METRIC_AGENT_INFO] = metric_agents,
	[METRIC_DETAIL] = plain,
	[METRIC_AGENTS] = agents,
	[METRIC_GATEWAYS] = plain,
	[METRIC_ORDERS_OPEN] = plain,
	[METRIC_ORDERS_PAUSED] = plain,
	[METRIC_ORDERS_PAUSED_TOTAL] = paused_total,
	[METRIC_TO_VERIFIED] = histogram,
	[METRIC_STEPS] = steps,
	[METRIC_CAMPAIGNS] = campaigns,
	[METRIC_CAMPAIGN_TARGETS] = members,
	[METRIC_CA_NOT_AFTER] = ca_end,
	[METRIC_SIGNATURES] = signatures,
	[METRIC_SIGN_DURATION] = histogram,
	[METRIC_SIGNER_QUEUE] = plain,
	[METRIC_CRL_THIS] = crl,
	[METRIC_CRL_NEXT] = crl,
	[METRIC_CRL_ENTRIES] = crl,
	[METRIC_OCSP] = ocsp,
	[METRIC_STORE_WRITE] = histogram,
	[METRIC_STORE_SIZE] = plain,
	[METRIC_AUDIT_RECORDS] = plain,
	[METRIC_HEAD_WITNESSED] = plain_time,
	[METRIC_HEAD_UNWITNESSED] = plain_time,
	[METRIC_BACKUP] = plain_time,
	[METRIC_HTTP] = http,
	[METRIC_HTTP_DURATION] = histogram,
	[METRIC_NOTIFICATIONS] = notifications,
	[METRIC_CONF_WELL] = plain,
	[METRIC_CONF_AT] = plain_time,
	[METRIC_READY] = ready,
	[METRIC_LOOP_TURNS] = turns,
	[METRIC_LOOP_LONGEST] = plain_time,
	[METRIC_FIGURES_AT] = plain_time,
	[METRIC_FIGURES_TOOK] = plain_time,
	[METRIC_BUILD] = build,
	[METRIC_CPU] = plain_time,
	[METRIC_MEMORY] = plain,
	[METRIC_FDS] = plain,
	[METRIC_MAX_FDS] = plain,
	[METRIC_START] = plain_time,
};

void metrics_write(struct buf *to, enum metric_format format, const struct figures *f, const struct metric_counts *c,
		   const struct metric_live *l)
{
	struct metric_text    t = {.to = to, .format = format};
	struct metric_writing w = {.t = &t, .f = f, .c = c, .l = l};
	for (unsigned m = 0; m < METRIC_COUNT; m++) {
		metric_begin(&t, (enum metric)m);
		writers[m](&w);
	}
	metric_end(&t);
}

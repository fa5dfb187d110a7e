/* metrics.c - room controller/daemon: the counts, and the one job that makes the text for whoever waits for it.
 * Never: reading the store on the loop. */
#include "controller/daemon/metrics.h"

#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "controller/daemon/api_routes.h"
#include "controller/daemon/catalog.h"
#include "controller/daemon/conf_reload.h"
#include "controller/daemon/crls.h"
#include "controller/daemon/deliveries.h"
#include "controller/daemon/fleet.h"
#include "controller/daemon/metric_write.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/sys/clock.h"

enum { FRESH_MS = 2000, REST = 20 /* times as long as reading took */, TEXT_FRESH_MS = 1000, WAITING_MAX = 64 };

_Static_assert((int)METRIC_CAS_MAX >= (int)CATALOG_ISSUERS_MAX && (int)METRIC_TURNS == (int)LOOP_LIMITS,
	       "there is room for all of them");

struct waiter {
	struct api_call   *call;
	enum metric_format format;
	struct waiter     *prev, *next;
};

/* What a worker has while it makes the text; nobody else touches it then. */
struct metric_job {
	struct figures       figures;
	struct metric_counts counts;
	struct metric_live   live;
	struct figures_ask   ask;
	struct figure_seen  *seen;
	size_t               seen_cap;
	bool                 gather;
	bool                 wanted[METRIC_FORMAT_COUNT];
	struct buf           text[METRIC_FORMAT_COUNT];
	struct self_stat    *self;
	int                  code;
};

struct metrics {
	struct controller   *ctl;
	struct metric_counts counts;
	struct metric_job    job;
	bool                 busy;
	struct waiter       *waiting;
	size_t               n_waiting;
	int64_t              text_at[METRIC_FORMAT_COUNT], figures_at; /* monotonic; 0 = there is none */
	atomic_bool          stop;
};

int metrics_open(struct controller *ctl, struct metrics **ret)
{
	struct metrics *m = calloc(1, sizeof(*m));
	if (m == NULL)
		return E_NOMEM;
	m->ctl = ctl;
	for (size_t i = 0; i < METRIC_FORMAT_COUNT; i++)
		m->job.text[i] = (struct buf)BUF_MAX(METRICS_TEXT_MAX);
	if (self_stat_open(&m->job.self) < 0)
		m->job.self = NULL; /* without /proc these are 0 */
	*ret = m;
	return 0;
}

void metrics_stop(struct controller *ctl)
{
	if (ctl->metrics != NULL)
		atomic_store(&ctl->metrics->stop, true);
}

void metrics_free(struct metrics *m)
{
	if (m == NULL)
		return;
	struct waiter *w, *tmp;
	DL_FOREACH_SAFE (m->waiting, w, tmp)
		free(w);
	for (size_t i = 0; i < METRIC_FORMAT_COUNT; i++)
		buf_free(&m->job.text[i]);
	figures_free(&m->job.figures);
	self_stat_close(m->job.self);
	free(m->job.seen);
	free(m);
}

/* ---- counting ---------------------------------------------------------------------------------------------------- */

static void order_stored(struct controller *ctl, const void *value, size_t n)
{
	struct metric_move move;
	memcpy(&move, value, n);
	metric_counts_move(&ctl->metrics->counts, &move);
}

void metrics_order_later(struct commit *c, const struct order *was, const struct order *next, int64_t now)
{
	struct metric_move move;
	if (metric_move_of(was, next, now, &move))
		commit_then(c, order_stored, &move, sizeof(move));
}

struct steps_took {
	size_t  n;
	int     step[STORE_STEPS_MAX];
	int64_t took_ms[STORE_STEPS_MAX];
	bool    back;
};

static void steps_stored(struct controller *ctl, const void *value, size_t n)
{
	struct steps_took s;
	memcpy(&s, value, n);
	for (size_t i = 0; i < s.n; i++)
		metric_observe(&ctl->metrics->counts.step[s.step[i]], METRIC_STEPS, s.took_ms[i] * 1000);
	ctl->metrics->counts.rollbacks[METRIC_BACK_FAILED] += s.back;
}

void metrics_steps_later(struct commit *c, const struct order_step_row *rows, size_t n)
{
	struct steps_took s = {.n = 0};
	for (size_t i = 0; i < n && s.n < STORE_STEPS_MAX; i++) {
		s.step[s.n] = (int)rows[i].step;
		s.took_ms[s.n++] = rows[i].took_ms;
		s.back |= rows[i].step == STEP_ROLLBACK && rows[i].code == 0;
	}
	if (s.n > 0)
		commit_then(c, steps_stored, &s, sizeof(s));
}

static void emergency_stored(struct controller *ctl, const void *value, size_t n)
{
	enum incident_type type;
	memcpy(&type, value, n);
	ctl->metrics->counts.emergencies[type]++;
}

void metrics_emergency_later(struct commit *c, enum incident_type type)
{
	if ((unsigned)type < INCIDENT_TYPE_COUNT)
		commit_then(c, emergency_stored, &type, sizeof(type));
}

static void drift_stored(struct controller *ctl, const void *value, size_t n)
{
	enum drift_kind kind;
	memcpy(&kind, value, n);
	ctl->metrics->counts.drifts[kind]++;
}

void metrics_drift_later(struct commit *c, enum drift_kind kind)
{
	if ((unsigned)kind < DRIFT_KIND_COUNT)
		commit_then(c, drift_stored, &kind, sizeof(kind));
}

void metrics_stored(struct controller *ctl, int64_t took_us)
{
	if (ctl->metrics != NULL)
		metric_observe(&ctl->metrics->counts.store_write, METRIC_STORE_WRITE, took_us);
}

void metrics_signed(struct controller *ctl, bool well, int64_t took_us)
{
	struct metric_counts *c = &ctl->metrics->counts;
	*(well ? &c->signed_ok : &c->signed_refused) += 1;
	metric_observe(&c->sign, METRIC_SIGN_DURATION, took_us);
}

void metrics_request(struct controller *ctl, size_t route, int status, int64_t took_us)
{
	struct metric_counts *c = &ctl->metrics->counts;
	c->http[route < METRIC_ROUTES_MAX ? route : METRIC_ROUTES_MAX][status < 400   ? METRIC_HTTP_2XX
								       : status < 500 ? METRIC_HTTP_4XX
										      : METRIC_HTTP_5XX]++;
	metric_observe(&c->http_took, METRIC_HTTP_DURATION, took_us);
}

/* ---- what the loop knows ----------------------------------------------------------------------------------------- */

static void live_cas(struct controller *ctl, struct metric_live *l)
{
	const struct catalog_issuer *i;
	for (l->n_cas = 0; (i = catalog_issuer_at(ctl->catalog, l->n_cas)) != NULL; l->n_cas++) {
		struct metric_ca *ca = &l->ca[l->n_cas];
		struct crl_state  list;
		text_cut(ca->issuer_id, sizeof(ca->issuer_id), i->row.issuer_id);
		ca->role = i->row.role;
		ca->not_after_at =
			i->row.standing == ISSUER_ISSUES && !i->row.retired && i->row.revoked_at == 0 ? i->row.not_after_at : 0;
		ca->listed = crls_soonest(ctl, ca->issuer_id, &list);
		ca->this_update_at = list.this_update_at;
		ca->next_update_at = list.next_update_at;
		ca->entries = list.entries;
	}
}

static void live_channels(struct controller *ctl, struct metric_live *l)
{
	struct channel_state state[CHANNELS_MAX];
	l->n_channels = deliveries_state(ctl->deliveries, state);
	for (size_t i = 0; i < l->n_channels; i++) {
		struct metric_channel *c = &l->channel[i];
		*c = (struct metric_channel){.sent = state[i].sent, .failed = state[i].failed, .dead = state[i].dead};
		text_cut(c->name, sizeof(c->name), state[i].name);
	}
}

static void live_take(struct controller *ctl, struct metric_live *l)
{
	struct controller_state s;
	controller_state(ctl, &s);
	*l = (struct metric_live){.now = s.now_at,
				  .started_at = s.started_at,
				  .connected = s.connected,
				  .gateways = s.gateways,
				  .open_orders = s.open_orders,
				  .ready = {s.store, s.signer, s.crl_fresh, s.gateways > 0},
				  .signer_queue = signer_waiting(ctl),
				  .longest_turn_us = s.loop->longest_us,
				  .silent_ms = ctl->conf->metrics_silent_ms,
				  .conf_well = conf_reading(ctl)->well,
				  .conf_at = conf_reading(ctl)->well_at};
	for (int i = 0; i < LOOP_LIMITS; i++) {
		l->turns_over[i] = s.loop->over[i];
		l->turn_limit_ms[i] = loop_watch_limit_ms(i);
	}
	ocsp_serve_figures(ctl, &l->ocsp);
	live_cas(ctl, l);
	live_channels(ctl, l);
}

/* Those that are here are named only while there are few: else their number is enough. */
static void seen_take(struct metrics *m)
{
	struct metric_job   *j = &m->job;
	size_t               size = fleet_size(m->ctl), n = 0;
	const struct member *at = NULL;
	if (size > j->seen_cap) {
		free(j->seen);
		j->seen = calloc(size, sizeof(*j->seen));
		j->seen_cap = j->seen != NULL ? size : 0;
	}
	while ((at = fleet_next(m->ctl, at)) != NULL && n < j->seen_cap) {
		bool here = fleet_is_here(at);
		if (here && size > j->ask.limit)
			continue;
		struct figure_seen *s = &j->seen[n++];
		*s = (struct figure_seen){.here = here, .left_at = at->left_at};
		memcpy(s->name, at->name, sizeof(s->name));
	}
	j->ask.seen = j->seen;
	j->ask.n_seen = n;
}

static void ask_take(struct metrics *m)
{
	const struct controller_conf *conf = m->ctl->conf;
	m->job.ask = (struct figures_ask){.state_dir = conf->state_dir,
					  .jitter = conf->jitter,
					  .limit = (size_t)conf->metrics_targets,
					  .now = m->job.live.now,
					  .started_at = m->ctl->started_at,
					  .silent_ms = conf->metrics_silent_ms,
					  .stop = &m->stop};
	seen_take(m);
}

/* ---- on a worker ------------------------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct figure_seen *)a)->name, ((const struct figure_seen *)b)->name);
}

static void make(void *job, struct store_view *view)
{
	struct metric_job *j = job;
	j->code = view != NULL ? 0 : E_STORE_IO;
	if (j->code == 0 && j->gather) {
		if (j->ask.n_seen > 0)
			qsort(j->seen, j->ask.n_seen, sizeof(*j->seen), by_name);
		j->code = figures_gather(&j->figures, view, &j->ask);
	}
	self_stat_read(j->self, &j->live.self);
	for (unsigned i = 0; j->code == 0 && i < METRIC_FORMAT_COUNT; i++) {
		if (!j->wanted[i])
			continue;
		buf_reset(&j->text[i]);
		metrics_write(&j->text[i], (enum metric_format)i, &j->figures, &j->counts, &j->live);
		j->code = buf_error(&j->text[i]);
	}
}

/* ---- on the loop ------------------------------------------------------------------------------------------------- */

static void made(void *job);

static void start(struct metrics *m)
{
	struct metric_job *j = &m->job;
	struct waiter     *w;
	int64_t            age = clock_monotonic() - m->figures_at;
	m->busy = true;
	memset(j->wanted, 0, sizeof(j->wanted));
	DL_FOREACH (m->waiting, w)
		j->wanted[w->format] = true;
	live_take(m->ctl, &j->live);
	j->counts = m->counts;
	j->gather = m->figures_at == 0 || (age > FRESH_MS && age > REST * j->figures.took_ms);
	if (j->gather)
		ask_take(m);
	j->code = E_STORE_IO; /* stands when no view could be opened */
	workers_read(m->ctl->workers, make, made, j);
}

static void answer(struct metrics *m, struct waiter *w)
{
	struct metric_job *j = &m->job;
	struct refusal     why;
	DL_DELETE(m->waiting, w);
	m->n_waiting--;
	if (j->code < 0) {
		(void)refuse(&why, j->code, "metrics", "%s", err_what(j->code));
		api_refuse_why(w->call, &why);
	} else {
		api_finish_text(w->call, metric_content_type(w->format), buf_span(&j->text[w->format]));
	}
	free(w);
}

static void made(void *job)
{
	struct metrics *m = (struct metrics *)(void *)((uint8_t *)job - offsetof(struct metrics, job));
	struct waiter  *w, *tmp;
	int64_t         now = clock_monotonic();
	m->busy = false;
	if (m->job.gather)
		m->figures_at = m->job.code == 0 ? now : 0;
	for (size_t i = 0; i < METRIC_FORMAT_COUNT; i++)
		if (m->job.wanted[i])
			m->text_at[i] = m->job.code == 0 ? now : 0;
	DL_FOREACH_SAFE (m->waiting, w, tmp)
		if (m->job.wanted[w->format])
			answer(m, w);
	if (m->waiting != NULL)
		start(m); /* who came meanwhile and wants the other format */
}

void api_metrics(struct api_call *call)
{
	struct metrics    *m = call->ctl->metrics;
	enum metric_format format = metric_format_of(http_call_request(call->http)->accept);
	if (!m->busy && m->text_at[format] != 0 && clock_monotonic() - m->text_at[format] < TEXT_FRESH_MS) {
		api_finish_text(call, metric_content_type(format), buf_span(&m->job.text[format]));
		return;
	}
	struct waiter *w = m->n_waiting < WAITING_MAX ? calloc(1, sizeof(*w)) : NULL;
	if (w == NULL) {
		api_refuse(call, E_API_BUSY, "metrics", "enough scrapers wait for the same figures");
		return;
	}
	w->call = call;
	w->format = format;
	DL_APPEND(m->waiting, w);
	m->n_waiting++;
	if (!m->busy)
		start(m);
}

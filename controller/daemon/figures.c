/* figures.c - room controller/daemon: walks certificates, targets and hosts in pages, and counts. A page is one short read.
 * Never: a copy of a whole table, more detail than was asked for. */
#include "controller/daemon/figures.h"

#include <stdlib.h>
#include <string.h>

#include "controller/core/policy.h"
#include "controller/daemon/figures_read.h"
#include "controller/daemon/service_policy.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/pki/cert_parts.h"
#include "shared/pki/key.h"
#include "shared/sys/clock.h"

enum { PAGE = 1000, POLICIES = 64, GATHER_MAX_MS = 20 * 1000, URGENT_H = 48, LONG_LIVED_D = 4, REHEARSED_H = 49 };

static const int within_days[FIGURES_WITHIN] = {2, 7, 30, 60, 90};
/* They are there from the start, whatever is stored, as in the report. */
static const char *const always[] = {"clara", "covina", "argus", "veritas", "vpb"};

int figures_within_days(size_t i)
{
	return within_days[i];
}

const char *figure_target_name(enum figure_target t)
{
	static const char *const names[FIGURE_TARGET_COUNT] = {"live", "stale", "unproved", "unanswered"};
	return (size_t)t < N_ELEMENTS(names) ? names[t] : "unknown";
}

/* ---- lists ------------------------------------------------------------------------------------------------------- */

/* The next row; NULL where there is no detail (any more). */
static void *list_add(struct figures *f, struct figure_list *l, size_t size, size_t limit)
{
	if (!f->detail)
		return NULL;
	if (l->n == limit) {
		f->detail = false;
		return NULL;
	}
	if (l->n == l->cap) {
		size_t cap = l->cap == 0 ? 64 : 2 * l->cap;
		void  *more = reallocarray(l->row, cap, size);
		if (more == NULL) {
			f->detail = false;
			return NULL;
		}
		l->row = more;
		l->cap = cap;
	}
	void *row = (uint8_t *)l->row + size * l->n++;
	memset(row, 0, size);
	return row;
}

void figures_free(struct figures *f)
{
	free(f->certificates.row);
	free(f->places.row);
	free(f->agents.row);
	free(f->issued);
	memset(f, 0, sizeof(*f));
}

/* ---- services ---------------------------------------------------------------------------------------------------- */

size_t figures_service(const struct figures *f, const char *name)
{
	if (name[0] == '\0')
		return f->n_services - 2;
	for (size_t i = 0; i < f->n_services; i++)
		if (text_equal(f->service[i].name, name))
			return i;
	return f->n_services - 1;
}

static void service_add(struct figures *f, const char *name)
{
	for (size_t i = 0; i < f->n_services; i++)
		if (text_equal(f->service[i].name, name))
			return;
	text_cut(f->service[f->n_services++].name, SERVICE_SIZE, name);
}

static int read_services(struct figures *f, struct store_view *view)
{
	char            after[SERVICE_SIZE] = "";
	struct service *page = calloc(STORE_LIST_MAX, sizeof(*page));
	size_t          n = STORE_LIST_MAX;
	int             r = page != NULL ? 0 : E_NOMEM;
	memset(f->service, 0, sizeof(f->service));
	f->n_services = 0;
	for (size_t i = 0; i < N_ELEMENTS(always); i++)
		service_add(f, always[i]);
	while (r == 0 && n == STORE_LIST_MAX && f->n_services < METRIC_SERVICES_MAX &&
	       (r = view_services(view, after, page, STORE_LIST_MAX, &n)) == 0)
		for (size_t i = 0; i < n; i++) {
			text_cut(after, sizeof(after), page[i].name);
			if (f->n_services < METRIC_SERVICES_MAX)
				service_add(f, page[i].name);
		}
	service_add(f, "none");
	service_add(f, "_other");
	free(page);
	return r;
}

/* ---- policies: few templates and services stand behind many certificates ------------------------------------------ */

struct policy_known {
	char template_id[TEMPLATE_ID_SIZE], service[SERVICE_SIZE];
	bool known;
	struct template t;
};

/* A certificate of the page: what a walk has seen of it, and then what its targets need. */
struct fact {
	char          cert_id[CERT_ID_SIZE], template_id[TEMPLATE_ID_SIZE], service_name[SERVICE_SIZE], agent[AGENT_NAME_SIZE];
	struct serial serial;
	int64_t       not_before_at, not_after_at, suspended_at, revoked_at, retired_at, serial_revoked_at;
	bool          proved;
	uint16_t      service;
	bool          in_use;
};

struct gathering {
	struct figures           *f;
	struct store_view        *view;
	const struct figures_ask *ask;
	struct policy_known      *policy;
	size_t                    n_policies, last_policy;
	struct fact              *page;
	struct certificate        one;        /* of a fact, for policy: large, and only what figures need is in it */
	size_t                    n_page, at; /* which of the page the targets have come to */
	int64_t                   until;      /* monotonic */
	char                      after[CERT_ID_SIZE];
};

/* NULL: there is no such template any more. */
static const struct template *policy_of(struct gathering *g, const struct certificate *c)
{
	for (size_t k = 0; k < g->n_policies; k++) {
		struct policy_known *p = &g->policy[(g->last_policy + k) % g->n_policies];
		if (!text_equal(p->template_id, c->template_id) || !text_equal(p->service, c->service))
			continue;
		g->last_policy = (size_t)(p - g->policy);
		return p->known ? &p->t : NULL;
	}
	if (g->n_policies < POLICIES)
		g->last_policy = g->n_policies++;
	else
		g->last_policy = (g->last_policy + 1) % POLICIES;
	struct policy_known *p = &g->policy[g->last_policy];
	text_cut(p->template_id, sizeof(p->template_id), c->template_id);
	text_cut(p->service, sizeof(p->service), c->service);
	p->known = service_policy_view(g->view, c->template_id, c->service, &p->t) != E_NOT_FOUND;
	return p->known ? &p->t : NULL;
}

/* ---- certificates ------------------------------------------------------------------------------------------------ */

static int64_t due_at(const struct gathering *g, const struct certificate *c, const struct template *t)
{
	const struct policy_limits limits = {.jitter_share = g->ask->jitter};
	if (t == NULL || serial_is_none(c->serial) || c->suspended_at != 0)
		return TIME_NEVER;
	return policy_renew_at(t, c->cert_id, c->serial, c->not_before_at, c->not_after_at, &limits);
}

static void count_ends(const struct gathering *g, struct figure_service *s, const struct certificate *c, int64_t renew_at)
{
	int64_t now = g->ask->now, rest = c->not_after_at - now;
	for (size_t i = 0; i < FIGURES_WITHIN; i++)
		s->expiring[i] += rest <= within_days[i] * MS_DAY;
	s->urgent += rest < URGENT_H * MS_HOUR && c->not_after_at - c->not_before_at > LONG_LIVED_D * MS_DAY;
	s->overdue += renew_at != TIME_NEVER && now > renew_at + (c->not_after_at - renew_at) / 4;
}

static void add_detail(struct gathering *g, const struct certificate *c, uint16_t service, enum cert_status status,
		       int64_t renew_at)
{
	struct figure_certificate *d = list_add(g->f, &g->f->certificates, sizeof(*d), g->ask->limit);
	if (d == NULL)
		return;
	text_cut(d->cert_id, sizeof(d->cert_id), c->cert_id);
	text_cut(d->template_id, sizeof(d->template_id), c->template_id);
	text_cut(d->agent, sizeof(d->agent), c->agent);
	d->service = service;
	d->status = status;
	d->not_before_at = serial_is_none(c->serial) ? 0 : c->not_before_at;
	d->not_after_at = serial_is_none(c->serial) ? 0 : c->not_after_at;
	d->renew_at = renew_at;
	d->serial = c->serial;
}

static bool is_removed(const struct certificate *c, int64_t now)
{
	return c->retired_at != 0 && (c->not_after_at <= now || c->revoked_at != 0);
}

/* During the walk nothing else can be read. */
static int take_certificate(void *ctx, const struct certificate *c)
{
	struct gathering *g = ctx;
	struct fact      *f = &g->page[g->n_page++];
	*f = (struct fact){.serial = c->serial,
			   .not_before_at = c->not_before_at,
			   .not_after_at = c->not_after_at,
			   .suspended_at = c->suspended_at,
			   .revoked_at = c->revoked_at,
			   .retired_at = c->retired_at,
			   .serial_revoked_at = c->serial_revoked_at,
			   .proved = c->proved};
	memcpy(f->cert_id, c->cert_id, sizeof(f->cert_id));
	memcpy(f->template_id, c->template_id, sizeof(f->template_id));
	memcpy(f->service_name, c->service, sizeof(f->service_name));
	memcpy(f->agent, c->agent, sizeof(f->agent));
	return 0;
}

static const struct certificate *certificate_of(struct gathering *g, const struct fact *f)
{
	struct certificate *c = &g->one;
	memcpy(c->cert_id, f->cert_id, sizeof(c->cert_id));
	memcpy(c->template_id, f->template_id, sizeof(c->template_id));
	memcpy(c->service, f->service_name, sizeof(c->service));
	memcpy(c->agent, f->agent, sizeof(c->agent));
	c->serial = f->serial;
	c->not_before_at = f->not_before_at;
	c->not_after_at = f->not_after_at;
	c->suspended_at = f->suspended_at;
	c->revoked_at = f->revoked_at;
	c->retired_at = f->retired_at;
	c->serial_revoked_at = f->serial_revoked_at;
	c->proved = f->proved;
	return c;
}

static void count_certificate(struct gathering *g, struct fact *fact)
{
	const struct certificate *c = certificate_of(g, fact);
	const struct template    *t = policy_of(g, c);
	size_t                    service = figures_service(g->f, c->service);
	struct figure_service    *s = &g->f->service[service];
	enum cert_status          status = policy_status(c, t, g->ask->now);
	enum cert_purpose         purpose = t != NULL ? t->purpose : PURPOSE_SERVICE_AUTH;
	int64_t                   renew_at = due_at(g, c, t);
	fact->service = (uint16_t)service;
	fact->in_use = c->retired_at == 0 && policy_revoked_at(c) == 0;
	if (is_removed(c, g->ask->now))
		return;
	if (service + 2 >= g->f->n_services)
		g->f->used[service + 2 - g->f->n_services] = true;
	s->certificates[purpose][status]++;
	g->f->clara_models += purpose == PURPOSE_CODE_SIGNING && (status == CERT_ACTIVE || status == CERT_EXPIRING) &&
			      text_equal(c->service, "clara");
	if (!fact->in_use)
		return;
	if (!serial_is_none(c->serial))
		count_ends(g, s, c, renew_at);
	add_detail(g, c, fact->service, status, renew_at);
}

/* ---- targets: in the order of the page's certificates ------------------------------------------------------------- */

static enum figure_target target_state(const struct target *t, const struct fact *fact)
{
	if (t->stale_since_at != 0)
		return FIGURE_STALE;
	if (t->state_code == E_SWAP_PROBE)
		return FIGURE_UNANSWERED;
	return !serial_is_none(fact->serial) && serial_equal(t->served, fact->serial) ? FIGURE_LIVE : FIGURE_UNPROVED;
}

static int take_target(void *ctx, const struct target *t)
{
	struct gathering *g = ctx;
	while (g->at < g->n_page && strcmp(g->page[g->at].cert_id, t->cert_id) < 0)
		g->at++;
	const struct fact *fact = &g->page[g->at];
	if (g->at == g->n_page || !text_equal(fact->cert_id, t->cert_id) || !fact->in_use)
		return 0;
	struct figure_service *s = &g->f->service[fact->service];
	enum figure_target     state = target_state(t, fact);
	int64_t                well_at = t->rehearsed_at != 0 ? t->rehearsed_at : t->proved_at;
	bool                   unrehearsed = well_at != 0 && g->ask->now - well_at > REHEARSED_H * MS_HOUR;
	s->targets[state]++;
	s->unissued += serial_is_none(fact->serial);
	s->unrehearsed += unrehearsed;
	struct figure_place *d = list_add(g->f, &g->f->places, sizeof(*d), g->ask->limit);
	if (d == NULL)
		return 0;
	text_cut(d->target_id, sizeof(d->target_id), t->target_id);
	text_cut(d->cert_id, sizeof(d->cert_id), t->cert_id);
	text_cut(d->agent, sizeof(d->agent), t->agent);
	d->service = fact->service;
	d->state = state;
	d->stale_since_at = t->stale_since_at;
	d->rehearsed_at = t->rehearsed_at;
	d->unrehearsed = unrehearsed;
	d->served = t->served;
	d->served_not_after_at = serial_equal(t->served, fact->serial) ? fact->not_after_at : 0;
	return 0;
}

/* ---- hosts ------------------------------------------------------------------------------------------------------- */

static int seen_compare(const void *a, const void *b)
{
	return strcmp(a, ((const struct figure_seen *)b)->name);
}

static int take_agent(void *ctx, const struct agent *a)
{
	struct gathering         *g = ctx;
	const struct figures_ask *ask = g->ask;
	const struct figure_seen *seen =
		ask->n_seen > 0 ? bsearch(a->name, ask->seen, ask->n_seen, sizeof(*ask->seen), seen_compare) : NULL;
	g->n_page++;
	text_cut(g->after, sizeof(g->after), a->name);
	g->f->agents_in[a->state]++;
	if (a->state != AGENT_ACTIVE)
		return 0;
	if (seen != NULL && !seen->here && ask->now - seen->left_at > ask->silent_ms)
		g->f->silent++;
	else if (seen != NULL && !seen->here)
		g->f->away++;
	struct figure_agent *d = list_add(g->f, &g->f->agents, sizeof(*d), ask->limit);
	if (d == NULL)
		return 0;
	text_cut(d->name, sizeof(d->name), a->name);
	text_cut(d->service, sizeof(d->service), a->service);
	text_cut(d->version, sizeof(d->version), a->version);
	d->seen_at = seen == NULL ? a->seen_at : seen->here ? ask->now : seen->left_at;
	d->identity_not_after_at = a->identity_not_after_at;
	d->skew_ms = a->skew_ms;
	return 0;
}

/* ---- what issuances say ------------------------------------------------------------------------------------------ */

static int go_on(const struct gathering *g)
{
	if (atomic_load(g->ask->stop))
		return E_SYS_AGAIN;
	return clock_monotonic() > g->until ? E_METRICS_SLOW : 0;
}

/* What went to the archive is not known any more. */
static int read_issuance(struct gathering *g, struct serial serial, struct issuance *i)
{
	int r = serial_is_none(serial) ? E_NOT_FOUND : view_issuance(g->view, serial, i);
	if (r == E_NOT_FOUND)
		memset(i, 0, sizeof(*i));
	return r == E_NOT_FOUND ? 0 : r;
}

static int read_issued(struct gathering *g, struct figure_issued *d, struct serial serial, struct issuance *i)
{
	struct cert_parts parts;
	int               r = read_issuance(g, serial, i);
	if (r < 0) /* asked for again with the next gathering */
		return r;
	*d = (struct figure_issued){.serial = serial};
	if (i->state != ISSUANCE_INTENT && cert_parts_read((struct span){i->der, i->der_len}, &parts) == 0 &&
	    key_spki_type(parts.t.spki, &d->key) == 0)
		text_cut(d->issuer_id, sizeof(d->issuer_id), i->issuer_id);
	return 0;
}

static int issued_grow(struct figures *f)
{
	if (f->certificates.n <= f->issued_cap)
		return 0;
	struct figure_issued *more = reallocarray(f->issued, f->certificates.cap, sizeof(*more));
	if (more == NULL)
		return E_NOMEM;
	memset(more + f->issued_cap, 0, (f->certificates.cap - f->issued_cap) * sizeof(*more));
	f->issued = more;
	f->issued_cap = f->certificates.cap;
	return 0;
}

static int read_issuances(struct gathering *g)
{
	struct figures                  *f = g->f;
	const struct figure_certificate *certificate = f->certificates.row;
	struct figure_place             *place = f->places.row;
	struct issuance                 *i = calloc(1, sizeof(*i));
	int                              r = i == NULL ? E_NOMEM : issued_grow(f);
	for (size_t k = 0; r == 0 && f->detail && k < f->certificates.n; k++)
		if (!serial_equal(f->issued[k].serial, certificate[k].serial) && (r = go_on(g)) == 0)
			r = read_issued(g, &f->issued[k], certificate[k].serial, i);
	for (size_t k = 0; r == 0 && f->detail && k < f->places.n; k++)
		if (place[k].served_not_after_at == 0 && (r = go_on(g)) == 0 && (r = read_issuance(g, place[k].served, i)) == 0)
			place[k].served_not_after_at = i->not_after_at;
	free(i);
	return r;
}

/* ---- all of it --------------------------------------------------------------------------------------------------- */

static int walk_certificates(struct gathering *g)
{
	int r = 0;
	g->n_page = PAGE;
	while (r == 0 && g->n_page == PAGE && (r = go_on(g)) == 0) {
		char after[CERT_ID_SIZE];
		memcpy(after, g->after, sizeof(after));
		g->n_page = g->at = 0;
		r = view_each_certificate(g->view, after, PAGE, take_certificate, g);
		if (r < 0 || g->n_page == 0)
			break;
		for (size_t i = 0; i < g->n_page; i++)
			count_certificate(g, &g->page[i]);
		memcpy(g->after, g->page[g->n_page - 1].cert_id, sizeof(g->after));
		r = view_each_target(g->view, after, g->after, take_target, g);
	}
	return r;
}

static int walk_agents(struct gathering *g)
{
	int r = 0;
	g->after[0] = '\0';
	g->n_page = PAGE;
	while (r == 0 && g->n_page == PAGE && (r = go_on(g)) == 0) {
		char after[CERT_ID_SIZE];
		memcpy(after, g->after, sizeof(after));
		g->n_page = 0;
		r = view_each_agent(g->view, after, PAGE, take_agent, g);
	}
	return r;
}

static void begin(struct figures *f)
{
	f->detail = true;
	f->certificates.n = f->places.n = f->agents.n = 0;
	f->used[0] = f->used[1] = false;
	f->away = f->silent = f->clara_models = 0;
	memset(f->agents_in, 0, sizeof(f->agents_in));
}

int figures_gather(struct figures *f, struct store_view *view, const struct figures_ask *ask)
{
	int64_t          begun = clock_monotonic();
	struct gathering g = {
		.f = f, .view = view, .ask = ask, .until = begun + GATHER_MAX_MS}; /* some KiB: a worker's stack has them */
	g.policy = calloc(POLICIES, sizeof(*g.policy));
	g.page = calloc(PAGE, sizeof(*g.page));
	int r = g.policy != NULL && g.page != NULL ? 0 : E_NOMEM;
	begin(f);
	if (r == 0)
		r = read_services(f, view);
	if (r == 0)
		r = walk_certificates(&g);
	if (r == 0)
		r = walk_agents(&g);
	if (r == 0)
		r = read_issuances(&g);
	if (r == 0)
		r = figures_read_rest(f, view, ask);
	free(g.policy);
	free(g.page);
	if (r == 0)
		f->at = ask->now;
	f->took_ms = clock_monotonic() - begun;
	return r;
}

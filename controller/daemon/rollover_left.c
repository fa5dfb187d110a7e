/* rollover_left.c - room controller/daemon: one walk over what lives below an authority.
 * Never: changing anything. */
#include "controller/daemon/rollover_left.h"

#include <stdlib.h>
#include <string.h>

#include "controller/daemon/api_json.h"
#include "controller/daemon/fleet.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/sys/clock.h"

enum { PAGE = 200, LATER = 8 };
static const int64_t seen_lately_ms = 30 * MS_DAY; /* LIFECYCLE 7 */

const char *left_kind_name(enum left_kind k)
{
	static const char *const names[LEFT_KIND_COUNT] = {
		[LEFT_REISSUABLE] = "reissuable", [LEFT_SUSPENDED] = "suspended", [LEFT_EXTERNAL] = "external",
		[LEFT_SIGNING] = "signing",       [LEFT_ENDING] = "ending",       [LEFT_AGENT] = "identities",
		[LEFT_GATEWAY] = "gateways",
	};
	return (size_t)k < N_ELEMENTS(names) ? names[k] : "unknown";
}

void rollover_left_free(struct rollover_left *l)
{
	free(l->agents);
	free(l->ids);
	l->agents = NULL;
	l->ids = NULL;
	l->n_agents = l->cap_agents = l->n_ids = l->cap_ids = 0;
	rollover_trust_free(&l->trust);
}

/* ---- one walk --------------------------------------------------------------------------------------------------- */

struct walk {
	struct rollover_left *l;
	struct store_view    *view;
	struct certificate    cert;
	struct agent          agent;
	struct template template;
	struct issuance later[LATER];
};

static int room(void **at, size_t n, size_t *cap, size_t size)
{
	if (n < *cap)
		return 0;
	size_t wanted = *cap == 0 ? 64 : *cap * 2;
	void  *grown = reallocarray(*at, wanted, size);
	if (grown == NULL)
		return E_NOMEM;
	*at = grown;
	*cap = wanted;
	return 0;
}

/* Doubles are taken out at the end. */
static int add_agent(struct rollover_left *l, const struct agent *a)
{
	void *at = l->agents;
	int   r = room(&at, l->n_agents, &l->cap_agents, sizeof(*l->agents));
	if (r < 0)
		return r;
	l->agents = at;
	struct left_agent *row = &l->agents[l->n_agents++];
	text_cut(row->name, sizeof(row->name), a->name);
	row->seen_at = a->seen_at;
	return 0;
}

static int add_id(struct rollover_left *l, const char *cert_id)
{
	void *at = l->ids;
	int   r = l->n_ids < CAMPAIGN_IDS_MAX ? room(&at, l->n_ids, &l->cap_ids, sizeof(*l->ids)) : 0;
	if (r < 0 || l->n_ids == CAMPAIGN_IDS_MAX)
		return r; /* the rest is for the next campaign */
	l->ids = at;
	text_cut(l->ids[l->n_ids++], CERT_ID_SIZE, cert_id);
	return 0;
}

static void add_row(struct rollover_left *l, enum left_kind kind, const char *id, const char *agent, const char *service,
		    int64_t ends_at)
{
	l->n_of[kind]++;
	if (l->n_rows == LEFT_ROWS_MAX || kind == LEFT_ENDING)
		return;
	struct left_row *row = &l->rows[l->n_rows++];
	*row = (struct left_row){.kind = kind, .ends_at = ends_at};
	text_cut(row->id, sizeof(row->id), id);
	text_cut(row->agent, sizeof(row->agent), agent);
	text_cut(row->service, sizeof(row->service), service);
}

static bool signs_code(struct walk *w, const char *template_id)
{
	if (!text_equal(w->template.template_id, template_id) && view_template(w->view, template_id, 0, &w->template) < 0)
		w->template = (struct template){0};
	return w->template.purpose == PURPOSE_CODE_SIGNING && text_equal(w->template.template_id, template_id);
}

static bool agent_in_use(struct walk *w, const char *name)
{
	return name[0] != '\0' && view_agent(w->view, name, &w->agent) == 0 && w->agent.state == AGENT_ACTIVE;
}

static int take_certificate(struct walk *w, const struct issuance *i)
{
	struct certificate *c = &w->cert;
	int                 r = view_certificate(w->view, i->owner_id, c);
	if (r < 0)
		return r == E_NOT_FOUND ? 0 : r;
	bool           over = !serial_equal(c->serial, i->serial) || c->retired_at != 0 || c->revoked_at != 0;
	bool           hosted = !over && agent_in_use(w, c->agent);
	enum left_kind kind = over                            ? LEFT_ENDING
			      : signs_code(w, c->template_id) ? LEFT_SIGNING
			      : !hosted                       ? LEFT_EXTERNAL
			      : c->suspended_at != 0          ? LEFT_SUSPENDED
							      : LEFT_REISSUABLE;
	add_row(w->l, kind, c->cert_id, c->agent, c->service, i->not_after_at);
	if (kind == LEFT_REISSUABLE)
		r = add_id(w->l, c->cert_id);
	if (r == 0 && (kind == LEFT_REISSUABLE || kind == LEFT_SUSPENDED))
		r = add_agent(w->l, &w->agent);
	return r;
}

/* Of an identity only the one in use counts; the one before it lives on for the connection that was opened with it. */
static int take_identity(struct walk *w, const struct issuance *i)
{
	if (!agent_in_use(w, i->owner_id) || !serial_equal(w->agent.identity, i->serial))
		return 0;
	add_row(w->l, LEFT_AGENT, w->agent.name, w->agent.name, w->agent.service, i->not_after_at);
	return add_agent(w->l, &w->agent);
}

/* So too of a gateway, which has no row: the one in use is what was made last. */
static int take_gateway(struct walk *w, const struct issuance *i)
{
	size_t n = 0;
	bool   replaced = false;
	int    r = view_issuances(w->view, OWNER_GATEWAY, i->owner_id, i->serial, w->later, LATER, &n); /* serials only grow */
	for (size_t k = 0; r == 0 && k < n; k++)
		replaced |= w->later[k].state == ISSUANCE_ACTIVE;
	if (r == 0 && !replaced)
		add_row(w->l, LEFT_GATEWAY, i->owner_id, "", "", i->not_after_at);
	return r;
}

static int take(struct walk *w, const struct issuance *i)
{
	switch (i->owner) {
	case OWNER_CERTIFICATE:
		return take_certificate(w, i);
	case OWNER_AGENT:
		return take_identity(w, i);
	case OWNER_GATEWAY:
		return take_gateway(w, i);
	default: /* our own listener and the responders: made anew by ourselves */
		return 0;
	}
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct left_agent *)a)->name, ((const struct left_agent *)b)->name);
}

static void make_unique(struct rollover_left *l)
{
	size_t n = 0;
	if (l->n_agents == 0)
		return;
	qsort(l->agents, l->n_agents, sizeof(l->agents[0]), by_name);
	for (size_t i = 1; i < l->n_agents; i++)
		if (strcmp(l->agents[n].name, l->agents[i].name) != 0)
			l->agents[++n] = l->agents[i];
	l->n_agents = n + 1;
}

static int walk_issuer(struct walk *w, const char *issuer_id, int64_t now, struct issuance *page)
{
	struct serial after = {{0}};
	size_t        n = PAGE;
	int           r = 0;
	while (r == 0 && n == PAGE) {
		r = view_live_issuances(w->view, issuer_id, now, after, page, PAGE, &n);
		for (size_t i = 0; r == 0 && i < n; i++) {
			after = page[i].serial;
			r = take(w, &page[i]);
		}
	}
	return r;
}

/* The authority itself; of a root, which signs no leaves, those below it. */
static int walk_all(struct walk *w, int64_t now, struct issuance *page)
{
	struct issuer *rows = calloc(STORE_LIST_MAX, sizeof(*rows));
	size_t         n = 0;
	int            r = rows != NULL ? view_issuers(w->view, "", rows, STORE_LIST_MAX, &n) : E_NOMEM;
	for (size_t i = 0; r == 0 && i < n; i++)
		if (text_equal(rows[i].issuer_id, w->l->issuer_id) || text_equal(rows[i].parent_id, w->l->issuer_id))
			r = walk_issuer(w, rows[i].issuer_id, now, page);
	free(rows);
	return r;
}

void rollover_left_count(struct rollover_left *l, struct store_view *view, int64_t now)
{
	struct walk     *w = calloc(1, sizeof(*w)); /* large rows */
	struct issuance *page = calloc(PAGE, sizeof(*page));
	int64_t          begun = clock_monotonic();
	l->code = w != NULL && page != NULL ? 0 : E_NOMEM;
	if (l->code == 0) {
		*w = (struct walk){.l = l, .view = view};
		l->code = walk_all(w, now, page);
	}
	if (l->code == 0 && l->trust.epoch != 0)
		l->code = rollover_trust_count(&l->trust, view);
	make_unique(l);
	l->counted_at = now;
	l->took_ms = clock_monotonic() - begun;
	free(page);
	free(w);
}

/* ---- judged on the loop ----------------------------------------------------------------------------------------- */

void rollover_left_agents(struct controller *ctl, const struct rollover_left *l, int64_t now, uint32_t *ret_seen,
			  uint32_t *ret_here)
{
	*ret_seen = *ret_here = 0;
	for (size_t i = 0; i < l->n_agents; i++) {
		bool    here = fleet_connected(ctl, l->agents[i].name);
		int64_t seen_at = fleet_seen_at(ctl, l->agents[i].name);
		if (l->agents[i].seen_at > seen_at)
			seen_at = l->agents[i].seen_at;
		*ret_here += here;
		*ret_seen += here || now - seen_at < seen_lately_ms;
	}
}

json_t *rollover_left_json(struct controller *ctl, const struct rollover_left *l, int64_t now)
{
	uint32_t seen, here;
	json_t  *o = json_object();
	rollover_left_agents(ctl, l, now, &seen, &here);
	json_object_set_new(o, "counted_at", json_time(l->counted_at));
	for (int k = 0; k < LEFT_KIND_COUNT; k++)
		json_object_set_new(o, left_kind_name((enum left_kind)k), json_integer(l->n_of[k]));
	json_object_set_new(o, "agents", json_integer(seen));
	json_object_set_new(o, "agents_away", json_integer(seen - here));
	json_object_set_new(o, "agents_unseen", json_integer((json_int_t)(l->n_agents - seen)));
	return o;
}

static const char *state_of(struct controller *ctl, const struct left_row *row)
{
	static const char *const states[LEFT_KIND_COUNT] = {
		[LEFT_REISSUABLE] = "pending", [LEFT_SUSPENDED] = "suspended", [LEFT_EXTERNAL] = "external",
		[LEFT_SIGNING] = "signing",    [LEFT_ENDING] = "ending",       [LEFT_AGENT] = "identity",
		[LEFT_GATEWAY] = "gateway",
	};
	bool away = row->agent[0] != '\0' && !fleet_connected(ctl, row->agent);
	return away && (row->kind == LEFT_REISSUABLE || row->kind == LEFT_AGENT) ? "away" : states[row->kind];
}

json_t *rollover_left_rows(struct controller *ctl, const struct rollover_left *l)
{
	json_t *list = json_array();
	for (size_t i = 0; i < l->n_rows; i++) {
		const struct left_row *row = &l->rows[i];
		json_t                *o = json_pack("{s:s,s:s}", "state", state_of(ctl, row), "id", row->id);
		json_object_set_new(o, "agent", row->agent[0] != '\0' ? json_string(row->agent) : json_null());
		json_object_set_new(o, "service", row->service[0] != '\0' ? json_string(row->service) : json_null());
		json_object_set_new(o, "expires_at", json_time(row->ends_at));
		json_array_append_new(list, o);
	}
	return list;
}

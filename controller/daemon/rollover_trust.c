/* rollover_trust.c - room controller/daemon: one walk over hosts and their services.
 * Never: changing anything. */
#include "controller/daemon/rollover_trust.h"

#include <stdlib.h>
#include <string.h>

#include "controller/daemon/bundles.h"
#include "controller/daemon/catalog.h"
#include "controller/daemon/fleet.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/base/times.h"

enum { PAGE = 200, ROWS_MAX = 200 };
static const int64_t seen_lately_ms = 30 * MS_DAY; /* LIFECYCLE 7 */

static struct span root_der(struct controller *ctl, const char *root_id)
{
	const struct catalog_issuer *i = catalog_issuer(ctl->catalog, root_id);
	return i != NULL ? (struct span){i->row.der, i->row.der_len} : (struct span){NULL, 0};
}

uint64_t rollover_trust_epoch(struct controller *ctl, const struct rollover *r)
{
	if (!rollover_is_root(r) || r->phase == ROLLOVER_PREPARING)
		return 0;
	if (r->phase != ROLLOVER_RETIRING && r->phase != ROLLOVER_RETIRED)
		return bundles_since(ctl, root_der(ctl, r->successor_id));
	return bundles_trust(ctl, root_der(ctl, r->issuer_id)) ? 0 : bundles_epoch(ctl);
}

/* ---- on a worker ------------------------------------------------------------------------------------------------ */

void rollover_trust_free(struct rollover_trust *t)
{
	free(t->hosts);
	t->hosts = NULL;
	t->n = t->cap = 0;
}

static int add_host(struct rollover_trust *t, const struct agent *a, struct trust_host **ret)
{
	if (t->n == t->cap) {
		size_t             cap = t->cap == 0 ? 64 : t->cap * 2;
		struct trust_host *grown = reallocarray(t->hosts, cap, sizeof(*grown));
		if (grown == NULL)
			return E_NOMEM;
		t->hosts = grown;
		t->cap = cap;
	}
	struct trust_host *h = &t->hosts[t->n++];
	*h = (struct trust_host){.seen_at = a->seen_at};
	text_cut(h->name, sizeof(h->name), a->name);
	*ret = h;
	return 0;
}

/* One that waits for its first certificate has no files yet: it will get those of the day. */
static bool has_files(struct store_view *view, const struct target *t)
{
	struct certificate c;
	return t->trust_epoch != 0 || (view_certificate(view, t->cert_id, &c) == 0 && !serial_is_none(c.serial));
}

static int take_targets(const struct rollover_trust *t, struct trust_host *h, struct store_view *view, struct target *page)
{
	char   after[TARGET_ID_SIZE] = "";
	size_t n = PAGE;
	while (n == PAGE) {
		int r = view_targets(view, h->name, after, page, PAGE, &n);
		if (r < 0)
			return r;
		for (size_t i = 0; i < n; i++) {
			text_cut(after, sizeof(after), page[i].target_id);
			if (!has_files(view, &page[i]))
				continue;
			h->behind |= page[i].trust_epoch < t->epoch;
			h->unproved |= page[i].trust_proof != TRUST_PROVED && page[i].trust_proof != TRUST_RELOADED;
		}
	}
	return 0;
}

static int walk(struct rollover_trust *t, struct store_view *view, struct agent *agents, struct target *targets)
{
	char   after[AGENT_NAME_SIZE] = "";
	size_t n = PAGE;
	while (n == PAGE) {
		int r = view_agents(view, after, agents, PAGE, &n);
		for (size_t i = 0; r == 0 && i < n; i++) {
			struct trust_host *h;
			text_cut(after, sizeof(after), agents[i].name);
			if (agents[i].state != AGENT_ACTIVE)
				continue;
			r = add_host(t, &agents[i], &h);
			if (r == 0)
				r = take_targets(t, h, view, targets);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

int rollover_trust_count(struct rollover_trust *t, struct store_view *view)
{
	struct agent  *agents = calloc(PAGE, sizeof(*agents));
	struct target *targets = calloc(PAGE, sizeof(*targets));
	int            r = agents != NULL && targets != NULL ? walk(t, view, agents, targets) : E_NOMEM;
	free(agents);
	free(targets);
	return r;
}

/* ---- on the loop ------------------------------------------------------------------------------------------------ */

static bool seen_lately(struct controller *ctl, const struct trust_host *h, int64_t now)
{
	int64_t seen_at = fleet_seen_at(ctl, h->name);
	if (h->seen_at > seen_at)
		seen_at = h->seen_at;
	return fleet_connected(ctl, h->name) || now - seen_at < seen_lately_ms;
}

/* A host without a service has nothing to reload; of one that is here its own word is known. */
static bool is_behind(struct controller *ctl, const struct rollover_trust *t, const struct trust_host *h)
{
	return h->behind || (fleet_connected(ctl, h->name) && fleet_trust_epoch(ctl, h->name) < t->epoch);
}

void rollover_trust_judge(struct controller *ctl, const struct rollover_trust *t, int64_t now, uint32_t *ret_missing,
			  uint32_t *ret_unproved)
{
	*ret_missing = *ret_unproved = 0;
	for (size_t i = 0; i < t->n; i++) {
		bool behind = is_behind(ctl, t, &t->hosts[i]);
		if (!seen_lately(ctl, &t->hosts[i], now))
			continue;
		*ret_missing += behind;
		*ret_unproved += !behind && t->hosts[i].unproved;
	}
}

/* What was counted for another bundle proves nothing. */
static bool is_counted(struct controller *ctl, const struct rollover *r, const struct rollover_trust *t)
{
	return t->epoch != 0 && t->epoch == rollover_trust_epoch(ctl, r);
}

void rollover_trust_figures(struct controller *ctl, const struct rollover *r, const struct rollover_trust *t, int64_t now,
			    struct rollover_figures *figures)
{
	uint32_t missing = UINT32_MAX, unproved;
	bool     ends = r->phase == ROLLOVER_RETIRING;
	if (!rollover_is_root(r))
		return;
	if (is_counted(ctl, r, t))
		rollover_trust_judge(ctl, t, now, &missing, &unproved);
	figures->released = ends && rollover_trust_epoch(ctl, r) != 0;
	*(ends ? &figures->holders : &figures->distrustful) = missing;
}

json_t *rollover_trust_json(struct controller *ctl, const struct rollover *r, const struct rollover_trust *t, int64_t now)
{
	uint32_t missing = 0, unproved = 0;
	if (!rollover_is_root(r))
		return json_pack("{s:s,s:i,s:i,s:n,s:s}", "kind", "chain", "missing", 0, "unproved", 0, "epoch", "why",
				 "the successor is signed by the same root and travels with each certificate: whoever "
				 "trusts the root trusts it");
	rollover_trust_judge(ctl, t, now, &missing, &unproved);
	bool counted = is_counted(ctl, r, t);
	return json_pack("{s:s,s:o,s:o,s:o,s:s}", "kind", "bundle", "missing",
			 counted ? json_integer((json_int_t)missing) : json_null(), "unproved",
			 counted ? json_integer((json_int_t)unproved) : json_null(), "epoch",
			 counted ? json_integer((json_int_t)t->epoch) : json_null(), "why",
			 "every host that was seen within 30 days has to hold the roots of this trust bundle, and its services "
			 "to have loaded them");
}

void rollover_trust_rows(struct controller *ctl, const struct rollover_trust *t, int64_t now, json_t *to)
{
	for (size_t i = 0; i < t->n && json_array_size(to) < ROWS_MAX; i++) {
		const struct trust_host *h = &t->hosts[i];
		if (!seen_lately(ctl, h, now) || (!is_behind(ctl, t, h) && !h->unproved))
			continue;
		json_array_append_new(to,
				      json_pack("{s:s,s:s,s:s,s:n,s:n}", "state", is_behind(ctl, t, h) ? "trust" : "unproved",
						"id", h->name, "agent", h->name, "service", "expires_at"));
	}
}

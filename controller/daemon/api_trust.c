/* api_trust.c - room controller/daemon: the route of trust: which roots hosts are given, and how far hosts and their services
 * are. Never: changing anything; a bundle is made by a person on the signer's host. */
#include <stdlib.h>

#include "controller/daemon/api_json.h"
#include "controller/daemon/api_routes.h"
#include "controller/daemon/bundles.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/pki/cert.h"

enum { PAGE = 200, ISSUERS_MAX = 64, ITEMS_MAX = 200 };
static const int64_t seen_lately_ms = 30 * MS_DAY; /* LIFECYCLE 7 */

/* How far a host is: that of its services which is least far. */
enum trust_state {
	TRUST_STATE_IDLE,     /* no service of it is managed */
	TRUST_STATE_PROVED,   /* every service asks its clients for certificates of exactly these roots */
	TRUST_STATE_RELOADED, /* was told to read the roots, and did not refuse */
	TRUST_STATE_UNPROVED, /* they lie there, and nobody can tell whether they are used */
	TRUST_STATE_BEHIND,   /* they are not there */
	TRUST_STATE_AWAY,     /* the same, and the host was not seen for 30 days */
	TRUST_STATE_COUNT,
};
static const char *const state_names[TRUST_STATE_COUNT] = {"idle", "proved", "reloaded", "unproved", "behind", "away"};

struct walk {
	struct store_view *view;
	uint64_t           epoch;
	int64_t            now;
	json_int_t         n_of[TRUST_STATE_COUNT];
	json_t            *items;
	bool               complete;
	struct agent      *agents;
	struct target     *targets;
};

/* ---- roots ------------------------------------------------------------------------------------------------------ */

static json_t *root_json(struct span der, const struct issuer *issuers, size_t n)
{
	struct cert_info info;
	json_t          *id = NULL;
	for (size_t i = 0; i < n && id == NULL; i++)
		if (span_equal(der, (struct span){issuers[i].der, issuers[i].der_len}))
			id = json_string(issuers[i].issuer_id);
	if (cert_read(der, &info) < 0)
		info = (struct cert_info){.not_after_at = 0};
	return json_pack("{s:o,s:s,s:o,s:o}", "issuer_id", id != NULL ? id : json_null(), "subject", info.subject,
			 "fingerprint", json_hash(info.fingerprint), "expires_at", json_time(info.not_after_at));
}

static json_t *bundle_json(const struct bundle_told *b, const struct issuer *issuers, size_t n)
{
	json_t *roots = json_array();
	for (uint32_t i = 0; i < b->n_roots; i++)
		json_array_append_new(roots, root_json(b->roots[i].certificate, issuers, n));
	return json_pack("{s:I,s:I,s:o,s:o}", "epoch", (json_int_t)b->epoch, "threshold", (json_int_t)b->threshold, "made_at",
			 json_time(b->made_at), "roots", roots);
}

/* The newest one that is known and kept back; null = none is. */
static int kept_back(struct store_view *view, uint64_t epoch, const struct issuer *issuers, size_t n, json_t **ret)
{
	struct bundle_told b;
	json_t            *found = NULL;
	int                r = 0;
	while ((r = bundle_told_view(view, ++epoch, &b)) == 0) {
		json_decref(found);
		found = bundle_json(&b, issuers, n);
		bundle_told_free(&b);
	}
	*ret = found != NULL ? found : json_null();
	return r == E_NOT_FOUND ? 0 : r;
}

/* ---- hosts ------------------------------------------------------------------------------------------------------ */

static enum trust_state state_of_target(const struct walk *w, const struct agent *a, const struct target *t)
{
	if (t->trust_epoch < w->epoch)
		return a->seen_at < w->now - seen_lately_ms ? TRUST_STATE_AWAY : TRUST_STATE_BEHIND;
	return t->trust_proof == TRUST_PROVED     ? TRUST_STATE_PROVED
	       : t->trust_proof == TRUST_RELOADED ? TRUST_STATE_RELOADED
						  : TRUST_STATE_UNPROVED;
}

static void add_item(struct walk *w, const struct agent *a, enum trust_state state, json_int_t targets, uint64_t lowest)
{
	if (json_array_size(w->items) == ITEMS_MAX)
		w->complete = false;
	else
		json_array_append_new(w->items, json_pack("{s:s,s:s,s:I,s:I,s:o}", "agent", a->name, "state",
							  state_names[state], "targets", targets, "trust_epoch",
							  (json_int_t)lowest, "seen_at", json_time(a->seen_at)));
}

static int take_agent(struct walk *w, const struct agent *a)
{
	enum trust_state state = TRUST_STATE_IDLE;
	char             after[TARGET_ID_SIZE] = "";
	json_int_t       worst = 0; /* how many of its services are as far as that */
	uint64_t         lowest = UINT64_MAX;
	size_t           n = PAGE;
	while (n == PAGE) {
		int r = view_targets(w->view, a->name, after, w->targets, PAGE, &n);
		if (r < 0)
			return r;
		for (size_t i = 0; i < n; i++) {
			enum trust_state one = state_of_target(w, a, &w->targets[i]);
			worst = one > state ? 1 : worst + (one == state);
			state = one > state ? one : state;
			lowest = w->targets[i].trust_epoch < lowest ? w->targets[i].trust_epoch : lowest;
			text_cut(after, sizeof(after), w->targets[i].target_id);
		}
	}
	w->n_of[state]++;
	if (state >= TRUST_STATE_UNPROVED)
		add_item(w, a, state, worst, lowest);
	return 0;
}

static int walk_all(struct walk *w)
{
	char   after[AGENT_NAME_SIZE] = "";
	size_t n = PAGE;
	while (n == PAGE) {
		int r = view_agents(w->view, after, w->agents, PAGE, &n);
		for (size_t i = 0; r == 0 && i < n; i++) {
			text_cut(after, sizeof(after), w->agents[i].name);
			if (w->agents[i].state == AGENT_ACTIVE)
				r = take_agent(w, &w->agents[i]);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

static int hosts_add(struct store_view *view, uint64_t epoch, int64_t now, json_t *to)
{
	struct walk w = {.view = view, .epoch = epoch, .now = now, .complete = true};
	w.items = json_array();
	w.agents = calloc(PAGE, sizeof(*w.agents));
	w.targets = calloc(PAGE, sizeof(*w.targets));
	int r = w.agents != NULL && w.targets != NULL ? walk_all(&w) : E_NOMEM;
	for (int i = 0; i < TRUST_STATE_COUNT; i++)
		json_object_set_new(to, state_names[i], json_integer(w.n_of[i]));
	json_object_set_new(to, "complete", json_boolean(w.complete));
	json_object_set_new(to, "items", w.items);
	free(w.agents);
	free(w.targets);
	return r;
}

/* ---- the route -------------------------------------------------------------------------------------------------- */

int api_trust_show(struct api_call *call, struct store_view *view)
{
	struct issuer     *issuers = calloc(ISSUERS_MAX, sizeof(*issuers));
	struct bundle_told now;
	json_t            *waiting = NULL;
	size_t             n = 0;
	int                r = issuers != NULL ? view_issuers(view, "", issuers, ISSUERS_MAX, &n) : E_NOMEM;
	if (r == 0)
		r = bundle_told_view(view, 0, &now);
	if (r != 0) {
		free(issuers);
		return r;
	}
	call->answer = bundle_json(&now, issuers, n);
	r = kept_back(view, now.epoch, issuers, n, &waiting);
	json_object_set_new(call->answer, "kept_back", waiting);
	if (r == 0)
		r = hosts_add(view, now.epoch, call->now_at, call->answer);
	bundle_told_free(&now);
	free(issuers);
	return r;
}

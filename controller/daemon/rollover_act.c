/* rollover_act.c - room controller/daemon: the actions of a rollover as rows of a commit, and what follows in memory when it is
 * stored. Never: deciding; the signer. */
#include "controller/daemon/rollover_act.h"

#include <stdio.h>
#include <string.h>

#include "controller/daemon/campaigns.h"
#include "controller/daemon/catalog.h"
#include "controller/daemon/crls.h"
#include "controller/daemon/metrics.h"
#include "controller/daemon/ocsp_keys.h"
#include "controller/daemon/rollover_root.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/pki/cert.h"
#include "shared/sys/clock.h"
#include "shared/sys/log.h"

/* ---- what an authority does ------------------------------------------------------------------------------------- */

struct standing {
	char                 issuer_id[ISSUER_ID_SIZE], successor_id[ISSUER_ID_SIZE];
	enum issuer_standing standing;
	bool                 retired;
};

static void standing_stored(struct controller *ctl, const void *value, size_t n)
{
	(void)n;
	const struct standing *s = value;
	catalog_set_standing(ctl->catalog, s->issuer_id, s->standing, s->successor_id, s->retired);
	ctl->issuers_moved = true;
}

void rollover_act_standing(struct commit *c, const char *issuer_id, enum issuer_standing standing, const char *successor_id,
			   bool retired)
{
	struct standing s = {.standing = standing, .retired = retired};
	text_cut(s.issuer_id, sizeof(s.issuer_id), issuer_id);
	text_cut(s.successor_id, sizeof(s.successor_id), successor_id);
	store_set_standing(commit_change(c), issuer_id, standing, successor_id, retired);
	commit_then(c, standing_stored, &s, sizeof(s));
}

static void adopted(struct controller *ctl, const void *value, size_t n)
{
	(void)n;
	struct issuer row;
	memcpy(&row, value, sizeof(row));
	int r = catalog_add_issuer(ctl->catalog, &row, (struct span){NULL, 0}, ctl->conf->public_url);
	if (r < 0) {
		log_line(LOG_LEVEL_ERROR, NULL, "CA %s is stored and cannot be used before the next start: %s", row.issuer_id,
			 err_what(r));
		return;
	}
	ocsp_keys_add(ctl, &row);
	controller_issuers_changed(ctl);
	ctl->issuers_moved = true;
}

/* Who asked for it gets what it asked for, or nothing: name, root and kind are those of the order. */
static int successor_row(struct controller *ctl, const struct rollover *r, struct span der, struct issuer *ret)
{
	const struct catalog_issuer *old = catalog_issuer(ctl->catalog, r->issuer_id);
	const struct catalog_issuer *root = old != NULL ? catalog_issuer(ctl->catalog, old->row.parent_id) : NULL;
	struct cert_info             info;
	struct issuer                row = {.standing = ISSUER_STANDS_BY};
	if (root == NULL || der.n > sizeof(row.der))
		return E_INTERNAL;
	int code = cert_read(der, &info);
	if (code == 0)
		code = cert_verify(der, (struct span){NULL, 0}, (struct span){root->row.der, root->row.der_len}, 0, 0, NULL);
	if (code == 0 && !info.is_ca)
		code = E_PKI_CERT;
	if (code < 0)
		return code;
	row.role = old->row.role;
	row.key_type = old->row.key_type;
	row.not_before_at = info.not_before_at;
	row.not_after_at = info.not_after_at;
	text_cut(row.issuer_id, sizeof(row.issuer_id), r->successor_id);
	text_cut(row.parent_id, sizeof(row.parent_id), old->row.parent_id);
	memcpy(row.der, der.p, der.n);
	row.der_len = (uint16_t)der.n;
	*ret = row;
	return 0;
}

/* Its first list is made at once: an emergency has certificates of it within the second. */
static void list_now(struct controller *ctl, const void *value, size_t n)
{
	(void)value, (void)n;
	if (!ctl->stopping)
		crls_tick(ctl, clock_now());
}

static int act_adopt(struct controller *ctl, struct commit *c, const struct rollover *next, struct span made)
{
	struct issuer row;
	if (rollover_is_root(next))
		return rollover_root_adopt(ctl, c, next);
	int r = successor_row(ctl, next, made, &row);
	if (r < 0)
		return r;
	if (catalog_issuer(ctl->catalog, next->successor_id) != NULL)
		return 0; /* of an earlier try: it stands by since */
	store_put_issuer(commit_change(c), &row);
	commit_then(c, adopted, &row, sizeof(row));
	crls_dirty_later(c, row.issuer_id, 0);
	commit_then(c, list_now, "", 1);
	return 0;
}

/* Nothing more comes from it, though there is no other yet. */
static void stop(struct commit *c, const struct rollover *next)
{
	rollover_act_standing(c, next->issuer_id, ISSUER_DRAINS, next->successor_id, false);
}

static int act_stop(struct controller *ctl, struct commit *c, const struct rollover *next, struct span made)
{
	(void)ctl, (void)made;
	stop(c, next);
	return 0;
}

static int act_switch(struct controller *ctl, struct commit *c, const struct rollover *next, struct span made)
{
	(void)made;
	if (rollover_is_root(next)) {
		rollover_root_switch(ctl, c, next);
		return 0;
	}
	rollover_act_standing(c, next->issuer_id, ISSUER_DRAINS, next->successor_id, false);
	rollover_act_standing(c, next->successor_id, ISSUER_ISSUES, "", false);
	return 0;
}

static int act_switch_back(struct controller *ctl, struct commit *c, const struct rollover *next, struct span made)
{
	(void)made;
	const struct catalog_issuer *successor = catalog_issuer(ctl->catalog, next->successor_id);
	if (rollover_is_root(next)) {
		rollover_root_switch_back(ctl, c, next);
		return 0;
	}
	rollover_act_standing(c, next->issuer_id, ISSUER_ISSUES, "", false);
	if (successor != NULL)
		rollover_act_standing(c, next->successor_id, ISSUER_STANDS_BY, "", false);
	return 0;
}

void rollover_act_end_campaign(struct controller *ctl, const struct rollover *r)
{
	struct caller who = {.actor = "controller"};
	text_cut(who.reason, sizeof(who.reason),
		 r->emergency ? "an emergency: another one follows, without batches and grace" : "the CA signs as before");
	campaigns_order(ctl, r->campaign_id, CAMPAIGN_EV_CANCEL, 0, &who, NULL, NULL);
}

static void end_campaign(struct controller *ctl, const void *value, size_t n)
{
	(void)n;
	struct rollover r;
	memcpy(&r, value, sizeof(r));
	if (!ctl->stopping)
		rollover_act_end_campaign(ctl, &r);
}

static int act_end_campaign(struct controller *ctl, struct commit *c, const struct rollover *next, struct span made)
{
	(void)ctl, (void)made;
	commit_then(c, end_campaign, next, sizeof(*next));
	return 0;
}

struct revoked_ca {
	char    issuer_id[ISSUER_ID_SIZE];
	int64_t at;
};

static void revoked(struct controller *ctl, const void *value, size_t n)
{
	(void)n;
	const struct revoked_ca *v = value;
	struct catalog_issuer   *i = catalog_issuer(ctl->catalog, v->issuer_id);
	if (i == NULL || i->row.revoked_at != 0)
		return;
	i->row.revoked_at = v->at;
	i->row.revoke_reason = REASON_CA_COMPROMISE;
}

static int act_retire(struct controller *ctl, struct commit *c, const struct rollover *next, struct span made)
{
	(void)made;
	const struct catalog_issuer *old = catalog_issuer(ctl->catalog, next->issuer_id);
	struct revoked_ca            v = {.at = next->ended_at};
	if (rollover_is_root(next)) {
		rollover_root_retire(ctl, c, next);
		return 0;
	}
	rollover_act_standing(c, next->issuer_id, ISSUER_DRAINS, next->successor_id, true);
	if (!next->emergency || old == NULL)
		return 0;
	text_cut(v.issuer_id, sizeof(v.issuer_id), next->issuer_id);
	store_revoke_issuer(commit_change(c), next->issuer_id, v.at, REASON_CA_COMPROMISE);
	commit_then(c, revoked, &v, sizeof(v));
	crls_dirty_later(c, old->row.parent_id, 0);
	return 0;
}

static void record(struct commit *c, const struct rollover *r, enum audit_event event, const struct caller *who)
{
	struct audit_of of = {.event = event,
			      .actor = who->actor,
			      .object = r->issuer_id,
			      .request_id = who->request_id,
			      .reason = who->reason};
	char            hash[HASH_TEXT_SIZE] = "";
	if (event != AUDIT_CA_RETIRED) {
		commit_audit(c, &of, "{s:s,s:s,s:b}", "successor_id", r->successor_id, "phase", rollover_phase_name(r->phase),
			     "emergency", (int)r->emergency);
		if (event == AUDIT_CA_EMERGENCY)
			metrics_emergency_later(c, INCIDENT_CA_COMPROMISE);
		return;
	}
	commit_audit(c, &of, "{s:s,s:b,s:b,s:I,s:s}", "successor_id", r->successor_id, "emergency", (int)r->emergency,
		     "overridden", (int)r->overridden, "consumers", (json_int_t)r->consumers, "consumers_hash",
		     hash_is_none(r->consumers_hash) ? "" : hash_text(r->consumers_hash, hash));
}

/* ---- one step --------------------------------------------------------------------------------------------------- */

typedef int             action_fn(struct controller *ctl, struct commit *c, const struct rollover *next, struct span made);
static action_fn *const acts[ROLLOVER_ACT_KIND_COUNT] = {
	[ROLLOVER_ACT_ADOPT] = act_adopt,
	[ROLLOVER_ACT_STOP] = act_stop,
	[ROLLOVER_ACT_SWITCH] = act_switch,
	[ROLLOVER_ACT_SWITCH_BACK] = act_switch_back,
	[ROLLOVER_ACT_END_CAMPAIGN] = act_end_campaign,
	[ROLLOVER_ACT_RETIRE] = act_retire,
};

int rollover_act(struct controller *ctl, struct commit *c, const struct rollover_step *s, struct span made,
		 const struct caller *who)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < s->n_act; i++) {
		if (s->act[i].kind == ROLLOVER_ACT_AUDIT)
			record(c, &s->next, s->act[i].event, who);
		else if (acts[s->act[i].kind] != NULL)
			r = acts[s->act[i].kind](ctl, c, &s->next, made);
	}
	return r;
}

void rollover_act_begin(struct commit *c, const struct rollover *first, const struct caller *who)
{
	record(c, first, AUDIT_CA_ROLLOVER_STARTED, who);
	if (first->emergency)
		stop(c, first);
}

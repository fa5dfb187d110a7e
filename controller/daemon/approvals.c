/* approvals.c - room controller/daemon: what waits for a second person: asked for, shown, decided once, or over after a week.
 * The table of kinds is the reading path: what each shows now, and what its approval does. Never: deciding who may decide. */
#include "controller/daemon/approvals.h"

#include <stdlib.h>
#include <string.h>

#include "controller/core/policy.h"
#include "controller/core/rights.h"
#include "controller/daemon/agent_messages.h"
#include "controller/daemon/answer.h"
#include "controller/daemon/api_json.h"
#include "controller/daemon/authorities.h"
#include "controller/daemon/campaign_json.h"
#include "controller/daemon/campaigns.h"
#include "controller/daemon/catalog.h"
#include "controller/daemon/create_request.h"
#include "controller/daemon/issue_request.h"
#include "controller/daemon/notices.h"
#include "controller/daemon/orders.h"
#include "controller/daemon/people.h"
#include "controller/daemon/policy_edit.h"
#include "controller/daemon/restored.h"
#include "controller/daemon/rollover_ask.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/pki/key.h"
#include "shared/sys/clock.h"
#include "shared/sys/log.h"

enum { TICK_MS = 30 * 1000, PAGE = 100, TARGET_REQUESTS = 20 };

struct approvals {
	int64_t   next_at;
	bool      scanning;
	struct id before; /* where the next page of waiting requests begins */
};

int approvals_open(struct approvals **ret)
{
	struct approvals *a = calloc(1, sizeof(*a));
	if (a == NULL)
		return E_NOMEM;
	*ret = a;
	return 0;
}

void approvals_free(struct approvals *a)
{
	free(a);
}

/* ---- what they show -------------------------------------------------------------------------------------------- */

static json_t *target_what(struct controller *ctl, const struct certificate *cert)
{
	const struct template *t = catalog_policy(ctl->catalog, cert->template_id, cert->service);
	return json_pack("{s:s,s:s,s:s,s:s,s:s,s:o}", "purpose", t != NULL ? cert_purpose_name(t->purpose) : "unknown", "cert_id", cert->cert_id, "agent", cert->agent, "service", cert->service, "template_id",
			 cert->template_id, "names", json_names(&cert->names));
}

static json_t *order_what(struct controller *ctl, const struct order *o, const struct certificate *cert)
{
	const struct template *t = catalog_policy(ctl->catalog, cert->template_id, cert->service);
	json_t                *what = target_what(ctl, cert);
	json_object_set_new(what, "renewal_id", json_id(o->renewal_id));
	json_object_set_new(what, "trigger", json_string(trigger_name(o->trigger)));
	json_object_set_new(what, "expires_at", json_time(cert->not_after_at));
	json_object_set_new(what, "template_version", json_integer(t != NULL ? t->version : 0));
	json_object_set_new(what, "unattended_renewals", json_integer(cert->unattended));
	json_object_set_new(what, "max_renewals", json_integer(t != NULL ? t->max_renewals : 0));
	return what;
}

/* A key that came with the order is part of what is agreed to: nothing else keeps it meanwhile. */
static void show_key(json_t *what, const char *spki, struct hash hash)
{
	json_object_set_new(what, ISSUE_KEY, json_string(spki));
	json_object_set_new(what, "key_sha256", json_hash(hash));
}

static int describe_order(struct controller *ctl, const struct approval *a, json_t **ret)
{
	struct order       o;
	struct certificate cert;
	struct issue_key   key;
	int                r = orders_find(ctl, a->approval_id, &o);
	if (r == 0 && o.phase != ORDER_AWAITING_APPROVAL)
		r = E_APPROVAL_GONE;
	if (r == 0)
		r = rows_certificate(ctl->rows, a->object, &cert);
	if (r == 0 && o.agent[0] == '\0')
		r = issue_key_of(a, &key);
	if (r == 0)
		*ret = order_what(ctl, &o, &cert);
	if (r == 0 && o.agent[0] == '\0')
		show_key(*ret, key.text, key.hash);
	return r == E_NOT_FOUND ? E_APPROVAL_GONE : r;
}

static int describe_target(struct controller *ctl, const struct approval *a, json_t **ret)
{
	struct certificate cert;
	int                r = rows_certificate(ctl->rows, a->object, &cert);
	if (r == 0 && (cert.approved || cert.revoked_at != 0 || cert.retired_at != 0))
		r = E_APPROVAL_GONE;
	if (r == 0)
		*ret = target_what(ctl, &cert);
	return r == E_NOT_FOUND ? E_APPROVAL_GONE : r;
}

/* Takes over `what`. The one spelling: sorted keys, no blanks. */
static int what_text(json_t *what, char ret[APPROVAL_TEXT_SIZE], struct hash *ret_hash)
{
	size_t n = what != NULL ? json_dumpb(what, ret, APPROVAL_TEXT_SIZE - 1, JSON_COMPACT | JSON_SORT_KEYS) : 0;
	json_decref(what);
	if (n == 0 || n >= APPROVAL_TEXT_SIZE)
		return E_FULL;
	ret[n] = '\0';
	digest_sha256((struct span){(const uint8_t *)ret, n}, ret_hash);
	return 0;
}

/* What stays as it is while it runs: a confirmation comes later. */
static json_t *campaign_what(const struct campaign *c)
{
	char    hash[HASH_TEXT_SIZE];
	json_t *what = json_pack("{s:o,s:s,s:s,s:s,s:s,s:I,s:s,s:s,s:s}", "campaign_id", json_id(c->campaign_id), "kind", campaign_kind_name(c->kind),
				 "selector", c->selector, "services", c->services, "trigger", trigger_name(c->trigger), "total_certificates",
				 (json_int_t)c->total, "plan_hash", hash_text(c->plan_hash, hash), "reason", c->reason, "when",
				 c->confirmation == CONFIRMATION_NONE ? "before" : "after");
	if (what != NULL && c->kind == CAMPAIGN_EMERGENCY) {
		json_object_set_new(what, "incident_id", json_string(c->incident_id));
		json_object_set_new(what, "incident_type", json_string(incident_type_name(c->incident)));
		json_object_set_new(what, "fresh_keys", json_boolean(c->fresh_keys));
		/* the words are hashed: of one that runs they stay as they were when it was asked about */
		json_object_set_new(what, "revoke_old", c->started_at != 0 ? json_string(revoke_old_name(c->revoke_old)) : json_revoke_old(c));
		json_object_set_new(what, "revoke_by", json_time(c->started_at != 0 ? c->revoke_by_at : 0));
		json_object_set_new(what, "invalidity_date", json_time(c->invalidity_at));
	}
	return what;
}

static int describe_campaign(struct controller *ctl, const struct approval *a, json_t **ret)
{
	struct campaign c;
	int             r = campaigns_find(ctl, a->approval_id, &c);
	if (r == 0 && c.state != CAMPAIGN_AWAITING_APPROVAL && c.confirmation != CONFIRMATION_ASKED)
		r = E_APPROVAL_GONE;
	if (r == 0)
		*ret = campaign_what(&c);
	return r == E_NOT_FOUND ? E_APPROVAL_GONE : r;
}

static const struct caller by_controller = {.actor = "controller"};

/* ---- asking ---------------------------------------------------------------------------------------------------- */

/* A request about a principal is named by its id: the name of a person enters the trail only as a pseudonym. */
static void audit(struct commit *c, enum audit_event event, const struct approval *a, const struct caller *who)
{
	char            id[ID_TEXT_SIZE], hash[HASH_TEXT_SIZE];
	bool            of_person = a->kind == APPROVAL_PRINCIPAL || a->kind == APPROVAL_TOKEN;
	struct audit_of of = {.event = event,
			      .actor = who->actor,
			      .object = of_person ? id_text(a->approval_id, id) : a->object,
			      .request_id = who->request_id,
			      .reason = a->comment[0] != '\0' ? a->comment : who->reason};
	commit_audit(c, &of, "{s:s,s:s,s:s}", "approval_id", id_text(a->approval_id, id), "kind", approval_kind_name(a->kind), "hash",
		     hash_text(a->hash, hash));
	if (event != AUDIT_APPROVAL_REQUESTED)
		notices_approval_over(c, a->approval_id, clock_now());
}

/* `t`: of the certificate that it is about, NULL = it is about none. */
static void request(struct controller *ctl, struct commit *c, struct approval *a, json_t *what, const struct caller *who,
		    enum notice_event told, const struct template *t)
{
	a->created_at = clock_now();
	a->expires_at = a->created_at + ctl->conf->approval_life_ms;
	if (id_is_none(a->approval_id))
		a->approval_id = controller_id(a->created_at);
	if (what_text(what, a->what, &a->hash) < 0) { /* every field is bounded, and their sum is less */
		log_line(LOG_LEVEL_ERROR, NULL, "%s: its request for approval is too long to be shown", a->object);
		a->what[0] = '\0';
		digest_sha256((struct span){NULL, 0}, &a->hash);
	}
	text_cut(a->requester, sizeof(a->requester), who->actor);
	text_cut(a->person, sizeof(a->person), who->person);
	text_cut(a->maker_of_principal, sizeof(a->maker_of_principal), who->maker_of_principal);
	text_cut(a->maker_of_token, sizeof(a->maker_of_token), who->maker_of_token);
	store_add_approval(commit_change(c), a);
	audit(c, AUDIT_APPROVAL_REQUESTED, a, who);
	notices_approval(c, a, told, t);
	commit_fault_points(c, "controller.approval", "controller.approval_stored");
}

void approvals_request(struct controller *ctl, struct commit *c, struct approval *a, json_t *what, const struct caller *who)
{
	request(ctl, c, a, what, who, NOTICE_APPROVAL_WAITING, NULL);
}

void approvals_request_urgent(struct controller *ctl, struct commit *c, struct approval *a, json_t *what, const struct caller *who)
{
	request(ctl, c, a, what, who, NOTICE_EMERGENCY_WAITING, NULL);
}

void approvals_request_order(struct controller *ctl, struct commit *c, const struct order *o, const struct certificate *cert,
			     struct span spki, const struct caller *who)
{
	struct approval a = {.approval_id = o->renewal_id, .kind = APPROVAL_ORDER};
	json_t         *what = order_what(ctl, o, cert);
	char            text[ISSUE_KEY_SIZE];
	struct hash     hash;
	if (spki.n > 0 && b64_text(spki.p, spki.n, text, sizeof(text)) == 0) {
		digest_sha256(spki, &hash);
		show_key(what, text, hash);
	}
	text_cut(a.object, sizeof(a.object), cert->cert_id);
	text_cut(a.service, sizeof(a.service), cert->service);
	const struct template *t = catalog_policy(ctl->catalog, cert->template_id, cert->service);
	bool                   used = t != NULL && policy_alerts(POLICY_ALERT_RENEWALS_USED, cert, t, clock_now());
	request(ctl, c, &a, what, who, used ? NOTICE_RENEWALS_REACHED : NOTICE_APPROVAL_WAITING, t);
}

void approvals_request_campaign(struct controller *ctl, struct commit *c, const struct campaign *campaign, const struct caller *who)
{
	struct approval a = {.approval_id = campaign->campaign_id, .kind = APPROVAL_CAMPAIGN};
	char            id[ID_TEXT_SIZE];
	text_cut(a.object, sizeof(a.object), id_text(campaign->campaign_id, id));
	if (name_service_ok(campaign->services)) /* it touches one service alone */
		text_cut(a.service, sizeof(a.service), campaign->services);
	bool after = campaign->confirmation == CONFIRMATION_ASKED;
	request(ctl, c, &a, campaign_what(campaign), who, after ? NOTICE_EMERGENCY_UNCONFIRMED : NOTICE_APPROVAL_WAITING, NULL);
}

static void cancel(struct commit *c, const struct approval *a, const char *cause)
{
	struct approval ended = *a;
	ended.state = APPROVAL_CANCELLED;
	ended.decided_at = clock_now();
	text_cut(ended.decider, sizeof(ended.decider), "controller");
	text_cut(ended.comment, sizeof(ended.comment), cause);
	store_decide_approval(commit_change(c), &ended);
	audit(c, AUDIT_APPROVAL_CANCELLED, &ended, &by_controller);
}

void approvals_follow_target(struct controller *ctl, struct commit *c, const struct certificate *cert, const struct caller *who)
{
	struct approval *rows = calloc(TARGET_REQUESTS, sizeof(*rows));
	struct approval  next = {.kind = APPROVAL_TARGET};
	bool             asked = false;
	bool             wanted = !cert->approved && cert->retired_at == 0 && cert->revoked_at == 0;
	int64_t          answered = clock_now() - ctl->conf->approval_life_ms; /* a no counts as long as a request */
	size_t           n = 0;
	if (rows == NULL)
		abort();
	if (what_text(target_what(ctl, cert), next.what, &next.hash) < 0 ||
	    view_approvals_of(ctl->view, cert->cert_id, (struct id){{0}}, rows, TARGET_REQUESTS, &n) < 0)
		n = 0;
	for (size_t i = 0; i < n; i++) {
		bool same = rows[i].kind == APPROVAL_TARGET && hash_equal(rows[i].hash, next.hash);
		if (same && (rows[i].state == APPROVAL_WAITING || (rows[i].state == APPROVAL_REJECTED && rows[i].decided_at > answered)))
			asked = true;
		else if (rows[i].kind == APPROVAL_TARGET && rows[i].state == APPROVAL_WAITING)
			cancel(c, &rows[i], "the target file was changed");
	}
	free(rows);
	if (!wanted || asked)
		return;
	text_cut(next.object, sizeof(next.object), cert->cert_id);
	text_cut(next.service, sizeof(next.service), cert->service);
	approvals_request(ctl, c, &next, target_what(ctl, cert), who);
}

bool approvals_said_no(struct controller *ctl, const char *cert_id)
{
	struct approval *rows = calloc(TARGET_REQUESTS, sizeof(*rows));
	int64_t          answered = clock_now() - ctl->conf->approval_life_ms;
	bool             no = false;
	size_t           n = 0;
	if (rows == NULL)
		abort();
	if (view_approvals_of(ctl->view, cert_id, (struct id){{0}}, rows, TARGET_REQUESTS, &n) == 0)
		for (size_t i = 0; i < n; i++)
			no |= rows[i].kind == APPROVAL_ORDER && rows[i].state == APPROVAL_REJECTED && rows[i].decided_at > answered;
	free(rows);
	return no;
}

/* ---- deciding -------------------------------------------------------------------------------------------------- */

/* Each stores decision and effect in one change, and answers. */
static void decide_order(struct controller *ctl, struct answer *a, bool approve, const struct caller *who)
{
	struct approval   *decision = &a->result.approval;
	bool               stored = false;
	struct order_event ev = {.kind = approve ? EV_APPROVED : EV_REJECTED,
				 .renewal_id = decision->approval_id,
				 .code = approve ? 0 : E_POLICY_APPROVAL};
	struct issuance    intent;
	struct order_input in = {.who = who, .done = answer_stored, .ctx = a, .decision = decision};
	int                r = approve ? issue_approved(ctl, decision, &ev, &intent, &in) : 0;
	if (r == 0)
		r = orders_event(ctl, &ev, &in, &stored);
	if (r < 0 || !stored)
		answer_refuse(a, r < 0 ? r : E_APPROVAL_GONE, decision->object, NULL);
}

static void decide_target(struct controller *ctl, struct answer *a, bool approve, const struct caller *who)
{
	struct certificate cert;
	struct commit     *c = commit_new(ctl);
	store_decide_approval(commit_change(c), &a->result.approval);
	if (approve && rows_certificate(ctl->rows, a->result.approval.object, &cert) == 0) {
		struct audit_of of = {
			.event = AUDIT_TARGET_ACCEPTED, .actor = who->actor, .object = cert.cert_id, .request_id = who->request_id, .reason = who->reason};
		commit_audit(c, &of, "{s:s}", "names", cert.names.text);
		cert.approved = true;
		if (create_waits(ctl, &cert)) /* the order follows from its file; one that is being stored is told again */
			commit_then(c, agent_rewelcome_else, cert.agent, sizeof(cert.agent));
		else if (id_is_none(cert.open_order))
			orders_create(ctl, c, &cert, TRIGGER_MANUAL, false, false, who, &a->result.order);
		commit_certificate(c, &cert);
	}
	audit(c, approve ? AUDIT_APPROVAL_GRANTED : AUDIT_APPROVAL_REJECTED, &a->result.approval, who);
	commit_fault_points(c, "controller.decision", "controller.decision_stored");
	commit_now(c, answer_stored, a);
}

static void decide_campaign(struct controller *ctl, struct answer *a, bool approve, const struct caller *who)
{
	struct approval *decision = &a->result.approval;
	struct commit   *c = commit_new(ctl);
	bool             says = decision->comment[0] != '\0';
	int r = campaigns_decided(ctl, c, decision->approval_id, approve, says ? decision->comment : "a second person refused", says, who);
	if (r < 0) {
		commit_drop(c);
		answer_refuse(a, r, decision->object, NULL);
		return;
	}
	store_decide_approval(commit_change(c), decision);
	audit(c, approve ? AUDIT_APPROVAL_GRANTED : AUDIT_APPROVAL_REJECTED, decision, who);
	commit_fault_points(c, "controller.decision", "controller.decision_stored");
	commit_now(c, answer_stored, a);
}

static void decide_and_do(struct controller *ctl, struct answer *a, bool approve, const struct caller *who);

static const struct {
	int (*describe)(struct controller *ctl, const struct approval *a, json_t **ret); /* as it is now; E_APPROVAL_GONE */
	void (*decide)(struct controller *ctl, struct answer *a, bool approve, const struct caller *who);
	/* of decide_and_do: adds what was approved to the commit that stores the decision */
	int (*carry_out)(struct controller *ctl, struct commit *c, const struct approval *a, const struct caller *who, struct api_result *ret);
} kinds[APPROVAL_KIND_COUNT] = {
	[APPROVAL_ORDER] = {describe_order, decide_order, NULL},
	[APPROVAL_TARGET] = {describe_target, decide_target, NULL},
	[APPROVAL_PRINCIPAL] = {people_describe, decide_and_do, people_carry_out},
	[APPROVAL_TOKEN] = {people_describe, decide_and_do, people_carry_out},
	[APPROVAL_CA_REVOCATION] = {authority_describe, decide_and_do, authority_carry_out},
	[APPROVAL_CAMPAIGN] = {describe_campaign, decide_campaign, NULL},
	[APPROVAL_TEMPLATE] = {policy_edit_describe, decide_and_do, policy_edit_carry_out},
	[APPROVAL_SERVICE] = {policy_edit_describe, decide_and_do, policy_edit_carry_out},
	[APPROVAL_CA_ROLLOVER] = {rollover_describe, decide_and_do, rollover_carry_out},
	[APPROVAL_CA_RETIREMENT] = {retirement_describe, decide_and_do, retirement_carry_out},
};

static void decide_and_do(struct controller *ctl, struct answer *a, bool approve, const struct caller *who)
{
	struct commit *c = commit_new(ctl);
	store_decide_approval(commit_change(c), &a->result.approval);
	audit(c, approve ? AUDIT_APPROVAL_GRANTED : AUDIT_APPROVAL_REJECTED, &a->result.approval, who);
	int r = approve ? kinds[a->result.approval.kind].carry_out(ctl, c, &a->result.approval, who, &a->result) : 0;
	if (r < 0) {
		commit_drop(c);
		answer_refuse(a, r, a->result.approval.object, NULL);
		return;
	}
	commit_fault_points(c, "controller.decision", "controller.decision_stored");
	commit_now(c, answer_stored, a);
}

/* Is what was shown still what would be done? */
static int check_true(struct controller *ctl, const struct approval *a)
{
	char        text[APPROVAL_TEXT_SIZE];
	struct hash hash;
	json_t     *what = NULL;
	int         r = kinds[a->kind].describe(ctl, a, &what);
	if (r == 0)
		r = what_text(what, text, &hash);
	return r != 0 ? r : hash_equal(hash, a->hash) ? 0 : E_APPROVAL_STALE;
}

void approvals_decide(struct controller *ctl, const struct approval_decision *d, const struct caller *who, api_done_fn *done,
		      void *ctx)
{
	struct answer   *a = answer_new(done, ctx);
	struct approval *row = &a->result.approval;
	char             id[ID_TEXT_SIZE];
	int64_t          now = clock_now();
	int              r = view_approval(ctl->view, d->approval_id, row);
	if (r == 0)
		r = rights_decide(row, &d->by, now);
	if (r == 0 && !hash_equal(row->hash, d->shown))
		r = E_APPROVAL_STALE;
	if (r == 0 && d->approve)
		r = check_true(ctl, row);
	if (r == 0 && d->approve && row->kind == APPROVAL_ORDER)
		r = restored_allows(ctl);
	if (r < 0) {
		answer_refuse(a, r, id_text(d->approval_id, id), NULL);
		return;
	}
	row->state = d->approve ? APPROVAL_APPROVED : APPROVAL_REJECTED;
	row->decided_at = now;
	text_cut(row->decider, sizeof(row->decider), d->by.name);
	text_cut(row->comment, sizeof(row->comment), d->comment);
	kinds[row->kind].decide(ctl, a, d->approve, who);
}

void approvals_order_left(struct controller *ctl, struct commit *c, struct id renewal_id, const struct approval *decision,
			  const struct caller *who, const char *cause)
{
	struct approval row;
	if (decision != NULL) {
		store_decide_approval(commit_change(c), decision);
		audit(c, decision->state == APPROVAL_APPROVED   ? AUDIT_APPROVAL_GRANTED
			 : decision->state == APPROVAL_REJECTED ? AUDIT_APPROVAL_REJECTED
								: AUDIT_APPROVAL_CANCELLED,
		      decision, who != NULL ? who : &by_controller);
	} else if (view_approval(ctl->view, renewal_id, &row) == 0 && row.state == APPROVAL_WAITING) {
		cancel(c, &row, cause);
	}
}

/* ---- in the course of time ------------------------------------------------------------------------------------- */

struct scan {
	struct controller *ctl;
	struct id          before;
	size_t             n;
	struct approval    rows[PAGE];
};

static void scan_store(void *job, struct store_view *view)
{
	struct scan *s = job;
	if (view == NULL || view_approvals(view, true, s->before, s->rows, PAGE, &s->n) < 0)
		s->n = 0;
}

static void end_request(struct controller *ctl, struct approval *a, const char *cause)
{
	struct order               o;
	a->state = APPROVAL_CANCELLED;
	a->decided_at = clock_now();
	text_cut(a->decider, sizeof(a->decider), "controller");
	text_cut(a->comment, sizeof(a->comment), cause);
	if (a->kind == APPROVAL_ORDER && orders_find(ctl, a->approval_id, &o) == 0 && o.phase == ORDER_AWAITING_APPROVAL) {
		struct order_event ev = {.kind = EV_REJECTED, .renewal_id = a->approval_id, .code = E_POLICY_APPROVAL};
		bool               stored;
		(void)!orders_event(ctl, &ev, &(struct order_input){.who = &by_controller, .decision = a}, &stored); /* else at the next tick */
		return;
	}
	struct commit *c = commit_new(ctl);
	/* one that waits is cancelled; one that runs was never confirmed, and goes on */
	if (a->kind == APPROVAL_CAMPAIGN && campaigns_decided(ctl, c, a->approval_id, false, cause, false, &by_controller) == E_API_UNAVAILABLE) {
		commit_drop(c); /* at the next tick */
		return;
	}
	store_decide_approval(commit_change(c), a);
	audit(c, AUDIT_APPROVAL_CANCELLED, a, &by_controller);
	commit_now(c, NULL, NULL);
}

static void on_scanned(void *job)
{
	struct scan       *s = job;
	struct controller *ctl = s->ctl;
	struct approvals  *all = ctl->approvals;
	int64_t            now = clock_now();
	for (size_t i = 0; i < s->n && !ctl->stopping; i++) {
		struct approval a;
		if (view_approval(ctl->view, s->rows[i].approval_id, &a) < 0 || a.state != APPROVAL_WAITING)
			continue; /* decided since the worker looked */
		int r = check_true(ctl, &a);
		if (now >= a.expires_at)
			end_request(ctl, &a, "nobody decided in time");
		else if (r == E_APPROVAL_GONE || r == E_APPROVAL_STALE)
			end_request(ctl, &a, r == E_APPROVAL_GONE ? "it waits no more" : "it changed meanwhile");
	}
	all->scanning = false;
	bool more = s->n == PAGE;
	all->before = more ? s->rows[PAGE - 1].approval_id : (struct id){{0}};
	all->next_at = more ? 0 : now + (ctl->conf->approval_life_ms < 20 * TICK_MS ? MS_SECOND : TICK_MS);
	free(s);
}

void approvals_tick(struct controller *ctl, int64_t now)
{
	struct approvals *all = ctl->approvals;
	if (all->scanning || now < all->next_at)
		return;
	struct scan *s = calloc(1, sizeof(*s));
	if (s == NULL)
		abort();
	s->ctl = ctl;
	s->before = all->before;
	all->scanning = true;
	workers_read(ctl->workers, scan_store, on_scanned, s);
}

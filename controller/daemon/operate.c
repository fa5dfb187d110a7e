/* operate.c - room controller/daemon: orders, revocations, invites, agent states, templates by people.
 * Every call: check, one change with its audit record, answer when stored. Never: answering before that. */
#include "controller/daemon/operate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/core/policy.h"
#include "controller/daemon/catalog.h"
#include "controller/daemon/crls.h"
#include "controller/daemon/fleet.h"
#include "controller/daemon/orders.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/pki/key.h"
#include "shared/sys/clock.h"

enum { ISSUANCES_PAGE = 16, INVITE_TTL_MS = 15 * 60 * 1000 };

/* ---- answers --------------------------------------------------------------------------------------------------- */

struct answer {
	api_done_fn      *done;
	void             *ctx;
	struct api_result result;
	struct template t; /* controller_template_apply */
};

static struct answer *answer_new(api_done_fn *done, void *ctx)
{
	struct answer *a = calloc(1, sizeof(*a));
	if (a == NULL)
		abort();
	a->done = done;
	a->ctx = ctx;
	return a;
}

static void answer_now(struct answer *a)
{
	if (a->done != NULL)
		a->done(a->ctx, &a->result);
	secret_wipe(a, sizeof(*a)); /* it may hold a token */
	free(a);
}

static void refused(struct answer *a, int code, const char *object, const char *cause)
{
	a->result.code = refuse(&a->result.why, code, object, "%s", cause != NULL ? cause : err_what(code));
	answer_now(a);
}

static void on_stored(struct controller *ctl, void *ctx, int code, const struct store_result *result)
{
	(void)ctl;
	(void)result;
	struct answer *a = ctx;
	if (code < 0)
		a->result.code = refuse(&a->result.why, code, "store", "%s", err_what(code));
	answer_now(a);
}

/* ---- orders ---------------------------------------------------------------------------------------------------- */

/* An order that nothing is under way for, and that policy_eligible() let pass, gives way to a new one. */
static int end_waiting(struct controller *ctl, struct certificate *cert, const struct caller *who)
{
	const struct order *open = orders_of(ctl, cert);
	bool                stored;
	if (open == NULL)
		return 0;
	struct order_event ev = {.kind = EV_CANCEL, .renewal_id = open->renewal_id, .code = E_SWAP_CANCELLED};
	int                r = orders_event(ctl, &ev, &(struct order_input){.who = who}, &stored);
	return r < 0 ? r : rows_certificate(ctl->rows, cert->cert_id, cert);
}

/* An order to a host that may not connect would wait for ever. */
int operate_agent_usable(struct controller *ctl, const char *agent)
{
	static const int codes[AGENT_STATE_COUNT] = {[AGENT_ACTIVE] = 0,
						     [AGENT_EVICTED] = E_AGENT_EVICTED,
						     [AGENT_BANNED] = E_AGENT_BANNED,
						     [AGENT_REMOVED] = E_ORDER_NO_AGENT};
	struct agent     a;
	int              r = agent[0] != '\0' ? rows_agent(ctl->rows, agent, &a) : E_ORDER_NO_AGENT;
	return r < 0 ? r : codes[a.state];
}

void controller_order(struct controller *ctl, const char *cert_id, enum trigger trigger, bool force, const struct caller *who,
		      api_done_fn *done, void *ctx)
{
	struct answer     *a = answer_new(done, ctx);
	struct certificate cert;
	bool               approval = false;
	int                r = rows_certificate(ctl->rows, cert_id, &cert);
	if (r < 0) {
		refused(a, r, cert_id, NULL);
		return;
	}
	const struct template *t = catalog_template(ctl->catalog, cert.template_id);
	r = t != NULL ? policy_eligible(&cert, t, orders_of(ctl, &cert), trigger, force, clock_now(), &approval)
		      : E_POLICY_TEMPLATE;
	if (r == 0)
		r = operate_agent_usable(ctl, cert.agent);
	if (r == 0)
		r = end_waiting(ctl, &cert, who);
	if (r < 0) {
		refused(a, r, cert_id, NULL);
		return;
	}
	struct commit *c = commit_new(ctl);
	orders_create(ctl, c, &cert, trigger, force, approval, who, &a->result.order);
	commit_certificate(c, &cert);
	commit_fault_points(c, "controller.order", "controller.order_stored");
	commit_now(c, on_stored, a);
}

static void on_decided(struct controller *ctl, void *ctx, int code, const struct store_result *result)
{
	struct answer *a = ctx;
	if (code == 0 && orders_find(ctl, a->result.order.renewal_id, &a->result.order) < 0)
		code = E_STORE_IO;
	on_stored(ctl, a, code, result);
}

void controller_order_decide(struct controller *ctl, struct id renewal_id, bool approve, const struct caller *who,
			     api_done_fn *done, void *ctx)
{
	struct answer     *a = answer_new(done, ctx);
	char               id[ID_TEXT_SIZE];
	bool               stored = false;
	struct order_event ev = {
		.kind = approve ? EV_APPROVED : EV_REJECTED, .renewal_id = renewal_id, .code = approve ? 0 : E_POLICY_APPROVAL};
	a->result.order.renewal_id = renewal_id;
	int r = orders_event(ctl, &ev, &(struct order_input){.who = who, .done = on_decided, .ctx = a}, &stored);
	if (r < 0)
		refused(a, r, id_text(renewal_id, id), NULL);
	else if (!stored)
		refused(a, E_POLICY_APPROVAL, id_text(renewal_id, id), "the order does not wait for an approval");
}

void controller_certificate_approve(struct controller *ctl, const char *cert_id, const struct caller *who, api_done_fn *done,
				    void *ctx)
{
	struct answer     *a = answer_new(done, ctx);
	struct certificate cert;
	int                r = rows_certificate(ctl->rows, cert_id, &cert);
	if (r == 0 && (cert.approved || cert.revoked_at != 0 || cert.retired_at != 0))
		r = E_POLICY_APPROVAL;
	if (r == 0 && catalog_template(ctl->catalog, cert.template_id) == NULL)
		r = E_POLICY_TEMPLATE;
	if (r < 0) {
		refused(a, r, cert_id, r == E_POLICY_APPROVAL ? "the certificate does not wait for an approval" : NULL);
		return;
	}
	struct commit *c = commit_new(ctl);
	cert.approved = true;
	commit_audit(
		c,
		&(struct audit_of){
			.event = AUDIT_TARGET_ACCEPTED, .actor = who->actor, .object = cert_id, .request_id = who->request_id},
		"{s:s}", "names", cert.names.text);
	if (id_is_none(cert.open_order))
		orders_create(ctl, c, &cert, TRIGGER_MANUAL, false, false, who, &a->result.order);
	commit_certificate(c, &cert);
	commit_now(c, on_stored, a);
}

/* ---- revocation ------------------------------------------------------------------------------------------------ */

void operate_revoke_issuance(struct controller *ctl, struct commit *c, const struct issuance *i, enum revoke_reason reason,
			     int64_t now, const struct caller *who)
{
	(void)ctl;
	struct issuance gone = *i;
	char            serial[SERIAL_TEXT_SIZE];
	if (i->state == ISSUANCE_REVOKED)
		return;
	gone.state = ISSUANCE_REVOKED;
	gone.revoked_at = now;
	gone.revoke_reason = (int)reason;
	gone.supersede_at = TIME_NEVER;
	commit_issuance(c, &gone);
	commit_audit(c,
		     &(struct audit_of){.event = AUDIT_CERTIFICATE_REVOKED,
					.actor = who->actor,
					.object = i->owner_id,
					.renewal_id = i->renewal_id,
					.request_id = who->request_id},
		     "{s:s,s:s}", "serial", serial_text(i->serial, serial), "reason", revoke_reason_name((int)reason));
	crls_dirty_later(c, i->issuer_id, i->crl_shard);
}

static bool may_be_used(const struct issuance *i, int64_t now)
{
	return i->not_after_at > now && (i->state == ISSUANCE_ISSUED || i->state == ISSUANCE_ACTIVE ||
					 i->state == ISSUANCE_RENEWED || i->state == ISSUANCE_INTENT);
}

/* Every unexpired issuance of an owner; the newest rows decide. */
static int revoke_all(struct controller *ctl, struct commit *c, enum issuance_owner owner, const char *owner_id,
		      enum revoke_reason reason, int64_t now, const struct caller *who)
{
	struct issuance *page = calloc(ISSUANCES_PAGE, sizeof(*page));
	struct serial    after = {0};
	size_t           n = ISSUANCES_PAGE;
	int              r = page != NULL ? 0 : E_NOMEM;
	while (r == 0 && n == ISSUANCES_PAGE &&
	       (r = view_issuances(ctl->view, owner, owner_id, after, page, ISSUANCES_PAGE, &n)) == 0)
		for (size_t i = 0; i < n && r == 0; i++) {
			after = page[i].serial;
			r = rows_issuance(ctl->rows, page[i].serial, &page[i]);
			if (r == 0 && may_be_used(&page[i], now))
				operate_revoke_issuance(ctl, c, &page[i], reason, now, who);
		}
	free(page);
	return r;
}

void controller_revoke(struct controller *ctl, const char *cert_id, enum revoke_reason reason, const struct caller *who,
		       api_done_fn *done, void *ctx)
{
	struct answer     *a = answer_new(done, ctx);
	struct certificate cert;
	int64_t            now = clock_now();
	bool               stored = false;
	int                r = rows_certificate(ctl->rows, cert_id, &cert);
	if (r == 0 && cert.revoked_at != 0)
		r = E_ORDER_REVOKED;
	const struct order *open = r == 0 ? orders_of(ctl, &cert) : NULL;
	if (open != NULL) {
		struct order_event ev = {.kind = EV_CANCEL, .renewal_id = open->renewal_id, .code = E_ORDER_REVOKED};
		r = orders_event(ctl, &ev, &(struct order_input){.who = who}, &stored);
		if (r == 0)
			r = rows_certificate(ctl->rows, cert_id, &cert);
	}
	if (r < 0) {
		refused(a, r, cert_id, NULL);
		return;
	}
	struct commit *c = commit_new(ctl);
	r = revoke_all(ctl, c, OWNER_CERTIFICATE, cert_id, reason, now, who);
	if (r < 0) {
		commit_drop(c);
		refused(a, r, cert_id, NULL);
		return;
	}
	cert.revoked_at = now;
	cert.renew_at = TIME_NEVER;
	commit_certificate(c, &cert);
	commit_fault_points(c, "controller.revoke", "controller.revoke_stored");
	commit_now(c, on_stored, a);
}

/* ---- agents ---------------------------------------------------------------------------------------------------- */

static int default_patterns(struct controller *ctl, const struct invite_request *q, struct names *ret)
{
	char text[NAMES_TEXT_SIZE];
	int  n = snprintf(text, sizeof(text), "%s.%s.%s,%s.%s", q->name, q->service, ctl->domain, q->service, ctl->domain);
	return n > 0 && (size_t)n < sizeof(text) ? names_parse(text, true, ret, NULL) : E_FULL;
}

static int check_invite(struct controller *ctl, const struct invite_request *q, struct refusal *why)
{
	struct agent a;
	if (!name_agent_ok(q->name))
		return refuse(why, E_NAME, "name", "`%s` is not an agent name: lower-case letters, digits, '-', at most 32",
			      q->name);
	if (!name_service_ok(q->service))
		return refuse(why, E_NAME, "service", "`%s` is not a service name", q->service);
	if (q->ttl_ms < 0 || q->ttl_ms > MS_DAY)
		return refuse(why, E_RANGE, "ttl", "an invite lives at most 24 h");
	int r = rows_agent(ctl->rows, q->name, &a);
	if (r == 0 && a.state == AGENT_ACTIVE)
		return refuse(why, E_JOIN_NAME, q->name, "an agent of this name is active");
	if (r == 0 && a.state == AGENT_BANNED)
		return refuse(why, E_AGENT_BANNED, q->name, "the agent of this name was banned");
	return r == 0 || r == E_NOT_FOUND ? 0 : refuse(why, r, q->name, "%s", err_what(r));
}

void controller_invite(struct controller *ctl, const struct invite_request *request, const struct caller *who,
		       api_done_fn *done, void *ctx)
{
	struct answer *a = answer_new(done, ctx);
	struct invite *i = &a->result.invite;
	struct key    *k = NULL;
	uint8_t        seed[TOKEN_SECRET];
	char           hash[HASH_TEXT_SIZE];
	int            r = check_invite(ctl, request, &a->result.why);
	if (r < 0) {
		a->result.code = r;
		answer_now(a);
		return;
	}
	i->created_at = clock_now();
	i->expires_at = i->created_at + (request->ttl_ms > 0 ? request->ttl_ms : INVITE_TTL_MS);
	i->invite_id = controller_id(i->created_at);
	i->patterns = request->patterns;
	text_cut(i->name, sizeof(i->name), request->name);
	text_cut(i->service, sizeof(i->service), request->service);
	text_cut(i->actor, sizeof(i->actor), who->actor);
	if (i->patterns.text[0] == '\0')
		r = default_patterns(ctl, request, &i->patterns);
	random_bytes(seed, sizeof(seed));
	if (r == 0)
		r = key_from_seed(seed, &k, i->token_key);
	if (r == 0)
		r = token_join_make(seed, i->name, a->result.token);
	key_free(k);
	secret_wipe(seed, sizeof(seed));
	if (r < 0) {
		refused(a, r, request->name, NULL);
		return;
	}
	text_cut(a->result.join_address, sizeof(a->result.join_address), ctl->conf->join_address);
	(void)snprintf(a->result.pin, sizeof(a->result.pin), "sha256:%s", hash_text(ctl->pin, hash));

	struct commit *c = commit_new(ctl);
	store_add_invite(commit_change(c), i);
	commit_audit(
		c,
		&(struct audit_of){
			.event = AUDIT_INVITE_CREATED, .actor = who->actor, .object = i->name, .request_id = who->request_id},
		"{s:s}", "service", i->service);
	commit_now(c, on_stored, a);
}

static void kick_later(struct controller *ctl, const void *value, size_t n)
{
	(void)n;
	fleet_state_changed(ctl, value);
}

static int check_state(const struct agent *a, enum agent_state to, struct refusal *why)
{
	if (a->state == AGENT_BANNED && to != AGENT_REMOVED)
		return refuse(why, E_AGENT_BANNED, a->name, "a ban is final");
	if (to == AGENT_REMOVED && a->state == AGENT_ACTIVE)
		return refuse(why, E_EXISTS, a->name, "the agent is active; evict it first");
	if (to == AGENT_ACTIVE || a->state == to)
		return refuse(why, E_EXISTS, a->name, "the agent is in state %s", agent_state_name(a->state));
	return 0;
}

void controller_agent_state(struct controller *ctl, const char *name, enum agent_state to, const struct caller *who,
			    api_done_fn *done, void *ctx)
{
	static const enum audit_event events[AGENT_STATE_COUNT] = {[AGENT_ACTIVE] = AUDIT_AGENT_JOINED,
								   [AGENT_EVICTED] = AUDIT_AGENT_EVICTED,
								   [AGENT_BANNED] = AUDIT_AGENT_BANNED,
								   [AGENT_REMOVED] = AUDIT_AGENT_EVICTED};
	struct answer                *a = answer_new(done, ctx);
	struct agent                 *row = &a->result.agent;
	int64_t                       now = clock_now();
	int                           r = rows_agent(ctl->rows, name, row);
	if (r < 0) {
		refused(a, r, name, NULL);
		return;
	}
	r = check_state(row, to, &a->result.why);
	if (r < 0) {
		a->result.code = r;
		answer_now(a);
		return;
	}
	struct commit *c = commit_new(ctl);
	r = revoke_all(ctl, c, OWNER_AGENT, name, to == AGENT_BANNED ? REASON_KEY_COMPROMISE : REASON_PRIVILEGE_WITHDRAWN, now,
		       who);
	if (r < 0) {
		commit_drop(c);
		refused(a, r, name, NULL);
		return;
	}
	row->state = to;
	commit_agent(c, row);
	commit_audit(
		c, &(struct audit_of){.event = events[to], .actor = who->actor, .object = name, .request_id = who->request_id},
		"{s:s}", "state", agent_state_name(to));
	commit_then(c, kick_later, row->name, sizeof(row->name));
	commit_fault_points(c, "controller.agent_state", "controller.agent_state_stored");
	commit_now(c, on_stored, a);
}

/* A person says that the other host is gone. The one that stayed stays; a later run of it, or of whoever else, is judged anew. */
void controller_agent_release(struct controller *ctl, const char *name, const struct caller *who, api_done_fn *done, void *ctx)
{
	struct answer *a = answer_new(done, ctx);
	struct agent  *row = &a->result.agent;
	int            r = rows_agent(ctl->rows, name, row);
	if (r < 0 || row->run.copy == COPY_NONE) {
		refused(a, r < 0 ? r : E_EXISTS, name, r < 0 ? NULL : "no second host with this identity is known");
		return;
	}
	struct commit *c = commit_new(ctl);
	commit_audit(
		c,
		&(struct audit_of){
			.event = AUDIT_AGENT_RELEASED, .actor = who->actor, .object = name, .request_id = who->request_id},
		"{s:s,s:s}", "copy", agent_copy_name(row->run.copy), "copy_address", row->copy_address);
	row->run.copy = COPY_NONE;
	row->run.before_id = (struct id){{0}};
	row->copy_at = 0;
	row->copy_address[0] = '\0';
	commit_agent(c, row);
	commit_fault_points(c, "controller.release", "controller.release_stored");
	commit_now(c, on_stored, a);
}

/* ---- templates ------------------------------------------------------------------------------------------------- */

static void on_template(struct controller *ctl, void *ctx, int code, const struct store_result *result)
{
	struct answer *a = ctx;
	if (code == 0) {
		a->t.version = result->template_version;
		a->result.template_version = result->template_version;
		catalog_put_template(ctl->catalog, &a->t);
	}
	on_stored(ctl, a, code, result);
}

void controller_template_apply(struct controller *ctl, const struct template *t, uint32_t expect_version,
			       const struct caller *who, api_done_fn *done, void *ctx)
{
	struct answer       *a = answer_new(done, ctx);
	struct policy_limits limits = {ctl->conf->allow_short_validity, ctl->conf->jitter};
	int                  r = policy_template_check(t, &limits, &a->result.why);
	if (r == 0 && catalog_issuer_for(ctl->catalog, t) == NULL)
		r = refuse(&a->result.why, E_POLICY_TEMPLATE, t->template_id, "there is no issuer `%s`", t->issuer);
	if (r < 0) {
		a->result.code = r;
		answer_now(a);
		return;
	}
	a->t = *t;
	a->t.created_at = clock_now();
	struct commit *c = commit_new(ctl);
	store_add_template(commit_change(c), &a->t, expect_version);
	commit_audit(c,
		     &(struct audit_of){.event = AUDIT_TEMPLATE_APPLIED,
					.actor = who->actor,
					.object = t->template_id,
					.request_id = who->request_id},
		     NULL);
	commit_now(c, on_template, a);
}

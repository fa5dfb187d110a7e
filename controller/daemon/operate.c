/* operate.c - room controller/daemon: orders, revocations, agent states by people.
 * Every call: check, one change with its audit record, answer when stored. Never: answering before that. */
#include "controller/daemon/operate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/core/policy.h"
#include "controller/daemon/catalog.h"
#include "controller/daemon/create_request.h"
#include "controller/daemon/crls.h"
#include "controller/daemon/fleet.h"
#include "controller/daemon/host_certs.h"
#include "controller/daemon/intents.h"
#include "controller/daemon/orders.h"
#include "controller/daemon/poison.h"
#include "controller/daemon/restored.h"
#include "controller/daemon/stages.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/pki/key.h"
#include "shared/sys/clock.h"

enum { ISSUANCES_PAGE = 16 };

/* ---- answers --------------------------------------------------------------------------------------------------- */

struct answer {
	api_done_fn      *done;
	void             *ctx;
	struct api_result result;
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

void controller_order(struct controller *ctl, const char *cert_id, const struct order_wish *wish, const struct caller *who, api_done_fn *done,
		      void *ctx)
{
	struct answer     *a = answer_new(done, ctx);
	struct certificate cert;
	bool               approval = false;
	int                r = rows_certificate(ctl->rows, cert_id, &cert);
	if (r == 0)
		r = restored_allows(ctl);
	if (r < 0) {
		refused(a, r, cert_id, NULL);
		return;
	}
	const struct template *t = catalog_policy(ctl->catalog, cert.template_id, cert.service);
	r = t != NULL ? policy_eligible(&cert, t, orders_of(ctl, &cert), wish->trigger, wish->force, clock_now(), &approval)
		      : E_POLICY_TEMPLATE;
	if (r == 0)
		r = operate_agent_usable(ctl, cert.agent);
	if (r == 0 && t->purpose == PURPOSE_CODE_SIGNING)
		r = intent_possible(ctl, t);
	if (r == 0 && create_waits(ctl, &cert))
		r = E_ORDER_NO_TARGET;
	if (r == 0)
		r = end_waiting(ctl, &cert, who);
	if (r < 0) {
		refused(a, r, cert_id, NULL);
		return;
	}
	poison_once_more(ctl->poison, cert_id);
	struct commit     *c = commit_new(ctl);
	struct order_cause cause = {.trigger = wish->trigger, .force = wish->force, .approval = approval, .peer_proof = wish->peer_proof};
	orders_create_for(ctl, c, &cert, &cause, who, &a->result.order);
	commit_certificate(c, &cert);
	commit_fault_points(c, "controller.order", "controller.order_stored");
	commit_now(c, on_stored, a);
}

void controller_order_now(struct controller *ctl, const char *cert_id, const struct caller *who, api_done_fn *done, void *ctx)
{
	struct answer      *a = answer_new(done, ctx);
	struct certificate  cert;
	bool                stored = false;
	int                 r = rows_certificate(ctl->rows, cert_id, &cert);
	const struct order *open = r == 0 ? orders_of(ctl, &cert) : NULL;
	if (r == 0 && open == NULL)
		r = E_NOT_FOUND;
	if (r == 0)
		r = restored_allows(ctl);
	if (r != 0) {
		refused(a, r, cert_id, r == E_NOT_FOUND ? "it has no open order" : NULL);
		return;
	}
	struct order_event ev = {.kind = EV_NOW, .renewal_id = open->renewal_id};
	r = orders_event(ctl, &ev, &(struct order_input){.who = who, .done = on_stored, .ctx = a}, &stored);
	if (r == 0)
		r = orders_find(ctl, ev.renewal_id, &a->result.order);
	if (r < 0)
		refused(a, r, cert_id, NULL);
	else if (!stored)
		answer_now(a);
}

/* From the signer on a certificate may be in the world: then the order is led to its end, and its outcome is known. */
static int cancel_refusal(const struct order *o, struct refusal *why)
{
	char id[ID_TEXT_SIZE];
	id_text(o->renewal_id, id);
	if (order_phase_final(o->phase))
		return refuse(why, E_ORDER_OVER, id, "the renewal of %s is %s", o->cert_id, order_phase_name(o->phase));
	if (o->phase == ORDER_SIGNING || o->phase == ORDER_ISSUED || o->phase == ORDER_DELIVERED || o->phase == ORDER_VERIFIED ||
	    o->phase == ORDER_SETTLED || (o->phase == ORDER_ROLLING_BACK && (o->flags & ORDER_PEER_REFUSED) != 0))
		return refuse(why, E_ORDER_TOO_LATE, id, "the renewal of %s is %s: its certificate is signed or about to be", o->cert_id,
			      order_phase_name(o->phase));
	return 0;
}

void controller_order_cancel(struct controller *ctl, struct id renewal_id, const struct caller *who, api_done_fn *done, void *ctx)
{
	struct answer     *a = answer_new(done, ctx);
	struct order      *o = &a->result.order;
	struct order_event ev = {.kind = EV_CANCEL, .renewal_id = renewal_id, .code = E_SWAP_CANCELLED};
	bool               stored = false;
	char               id[ID_TEXT_SIZE];
	int                r = orders_find(ctl, renewal_id, o);
	if (r == 0) {
		a->result.code = cancel_refusal(o, &a->result.why);
		if (a->result.code < 0) {
			answer_now(a);
			return;
		}
		(void)snprintf(ev.cause, sizeof(ev.cause), "cancelled by %s", who->actor);
		r = orders_event(ctl, &ev, &(struct order_input){.who = who, .done = on_stored, .ctx = a}, &stored);
	}
	if (r == 0)
		r = orders_find(ctl, renewal_id, o);
	if (r < 0)
		refused(a, r, id_text(renewal_id, id), NULL);
	else if (!stored)
		answer_now(a);
}

/* ---- revocation ------------------------------------------------------------------------------------------------ */

/* It shows the state of its current issuance until it has another (LIFECYCLE 3); whether it gets one is not decided by this. */
static void note_on_certificate(struct controller *ctl, struct commit *c, const struct issuance *gone)
{
	struct certificate cert;
	if (gone->owner != OWNER_CERTIFICATE || rows_certificate(ctl->rows, gone->owner_id, &cert) < 0 || !serial_equal(cert.serial, gone->serial))
		return;
	cert.serial_revoked_at = gone->revoked_at;
	commit_certificate(c, &cert);
}

void operate_revoke_issuance(struct controller *ctl, struct commit *c, const struct issuance *i, enum revoke_reason reason,
			     int64_t now, const struct caller *who)
{
	struct issuance gone = *i;
	char            serial[SERIAL_TEXT_SIZE];
	if (i->state == ISSUANCE_REVOKED)
		return;
	gone.state = ISSUANCE_REVOKED;
	gone.revoked_at = i->held_at != 0 ? i->held_at : now; /* X.509: a hold that ends in revocation keeps its date */
	gone.held_at = 0;
	gone.revoke_reason = (int)reason;
	gone.supersede_at = TIME_NEVER;
	commit_issuance(c, &gone);
	note_on_certificate(ctl, c, &gone);
	commit_audit(c,
		     &(struct audit_of){.event = AUDIT_CERTIFICATE_REVOKED,
					.actor = who->actor,
					.object = i->owner_id,
					.renewal_id = i->renewal_id,
					.request_id = who->request_id, .reason = who->reason},
		     "{s:s,s:s}", "serial", serial_text(i->serial, serial), "reason", revoke_reason_name((int)reason));
	crls_dirty_later(c, i->issuer_id, i->crl_shard);
}

bool operate_in_use(const struct issuance *i, int64_t now)
{
	return i->not_after_at > now && (i->state == ISSUANCE_ISSUED || i->state == ISSUANCE_ACTIVE ||
					 i->state == ISSUANCE_RENEWED || i->state == ISSUANCE_INTENT);
}

int operate_each_issuance(struct controller *ctl, enum issuance_owner owner, const char *owner_id, each_issuance_fn *each, void *ctx)
{
	struct issuance *page = calloc(ISSUANCES_PAGE, sizeof(*page));
	struct serial    after = {0};
	size_t           n = ISSUANCES_PAGE;
	int              r = page != NULL ? 0 : E_NOMEM;
	while (r == 0 && n == ISSUANCES_PAGE &&
	       (r = view_issuances(ctl->view, owner, owner_id, after, page, ISSUANCES_PAGE, &n)) == 0)
		for (size_t i = 0; i < n && r == 0; i++) {
			after = page[i].serial;
			r = rows_issuance(ctl->rows, page[i].serial, &page[i]); /* the newest rows decide */
			if (r == 0)
				each(ctx, &page[i]);
		}
	free(page);
	return r;
}

/* ---- agents ---------------------------------------------------------------------------------------------------- */

static void kick_later(struct controller *ctl, const void *value, size_t n)
{
	(void)n;
	fleet_state_changed(ctl, value);
}

static int check_state(const struct agent *a, enum agent_state to, struct refusal *why)
{
	if (a->state == AGENT_BANNED) /* its row is what keeps the host key out */
		return refuse(why, E_AGENT_BANNED, a->name, "a ban is final");
	if (to == AGENT_REMOVED && a->state == AGENT_ACTIVE)
		return refuse(why, E_EXISTS, a->name, "the agent is active; evict it first");
	if (to == AGENT_ACTIVE || a->state == to)
		return refuse(why, E_EXISTS, a->name, "the agent is in state %s", agent_state_name(a->state));
	return 0;
}

struct ending {
	struct controller   *ctl;
	struct commit       *commit;
	enum revoke_reason   reason;
	int64_t              now;
	const struct caller *who;
};

static void end_identity(void *ctx, const struct issuance *i)
{
	const struct ending *e = ctx;
	if (operate_in_use(i, e->now))
		operate_revoke_issuance(e->ctl, e->commit, i, e->reason, e->now, e->who);
}

int operate_agent_end(struct controller *ctl, struct commit *c, struct agent *row, enum agent_state to, const struct caller *who,
		      struct refusal *why)
{
	static const enum audit_event events[AGENT_STATE_COUNT] = {[AGENT_ACTIVE] = AUDIT_AGENT_JOINED,
								   [AGENT_EVICTED] = AUDIT_AGENT_EVICTED,
								   [AGENT_BANNED] = AUDIT_AGENT_BANNED,
								   [AGENT_REMOVED] = AUDIT_AGENT_REMOVED};
	struct ending                 e = {ctl, c, to == AGENT_BANNED ? REASON_KEY_COMPROMISE : REASON_PRIVILEGE_WITHDRAWN, clock_now(), who};
	int                           r = check_state(row, to, why);
	if (r < 0)
		return r;
	r = operate_each_issuance(ctl, OWNER_AGENT, row->name, end_identity, &e);
	if (r < 0)
		return refuse(why, r, row->name, "%s", err_what(r));
	row->state = to;
	commit_agent(c, row);
	stages_host_gone(ctl, c, row->host_hash);
	commit_audit(
		c, &(struct audit_of){.event = events[to], .actor = who->actor, .object = row->name, .request_id = who->request_id, .reason = who->reason},
		"{s:s}", "state", agent_state_name(to));
	commit_then(c, kick_later, row->name, sizeof(row->name));
	return 0;
}

/* An evicted host may come back for its orders; nobody comes for those of one that is removed, and whoever counts on them would wait for
 * ever. */
static int end_orders_of(struct controller *ctl, const struct agent *row, enum agent_state to, const struct caller *who, struct refusal *why)
{
	int r = check_state(row, to, why);
	if (r < 0 || to != AGENT_REMOVED)
		return r;
	r = host_certs_end_orders(ctl, row->name, E_ORDER_NO_AGENT, "its host was removed", who);
	return r < 0 ? refuse(why, r, row->name, "%s", err_what(r)) : 0;
}

void controller_agent_state(struct controller *ctl, const char *name, enum agent_state to, const struct caller *who,
			    api_done_fn *done, void *ctx)
{
	struct answer *a = answer_new(done, ctx);
	struct agent  *row = &a->result.agent;
	int            r = rows_agent(ctl->rows, name, row);
	if (r < 0) {
		refused(a, r, name, NULL);
		return;
	}
	struct commit *c = commit_new(ctl);
	r = end_orders_of(ctl, row, to, who, &a->result.why);
	if (r == 0)
		r = operate_agent_end(ctl, c, row, to, who, &a->result.why);
	if (r < 0) {
		commit_drop(c);
		a->result.code = r;
		answer_now(a);
		return;
	}
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
			.event = AUDIT_AGENT_RELEASED, .actor = who->actor, .object = name, .request_id = who->request_id, .reason = who->reason},
		"{s:s,s:s}", "copy", agent_copy_name(row->run.copy), "copy_address", row->copy_address);
	row->run.copy = COPY_NONE;
	row->run.before_id = (struct id){{0}};
	row->copy_at = 0;
	row->copy_address[0] = '\0';
	commit_agent(c, row);
	commit_fault_points(c, "controller.release", "controller.release_stored");
	commit_now(c, on_stored, a);
}

/* ---- persons --------------------------------------------------------------------------------------------------- */

static void on_forgotten(struct controller *ctl, void *ctx, int code, const struct store_result *result)
{
	struct answer *a = ctx;
	if (code == E_ORDER_OPEN)
		refused(a, code, a->result.order.actor, "an order of this principal is under way: wait for its end, or cancel it");
	else
		on_stored(ctl, a, code, result);
}

void controller_forget_person(struct controller *ctl, const char *name, const struct caller *who, api_done_fn *done, void *ctx)
{
	struct answer      *a = answer_new(done, ctx);
	struct audit_person p;
	struct principal    principal;
	int                 r = view_audit_person(ctl->view, name, &p);
	if (r == 0 && view_principal(ctl->view, name, &principal) == 0 && !principal.disabled)
		r = E_AUDIT_PERSON_ACTIVE;
	if (r == 0 && text_equal(name, who->actor))
		r = E_AUDIT_PERSON_ACTIVE;
	if (r < 0) {
		refused(a, r, name, r == E_NOT_FOUND ? "the audit trail does not know this name" : NULL);
		return;
	}
	text_cut(a->result.pseudonym, sizeof(a->result.pseudonym), p.alias);
	struct commit *c = commit_new(ctl);
	commit_audit(c, /* the pseudonym: the name must not come back by the record of its deletion */
		     &(struct audit_of){.event = AUDIT_PERSON_FORGOTTEN,
					.actor = who->actor,
					.object = p.alias,
					.request_id = who->request_id,
					.reason = who->reason},
		     NULL);
	store_forget_person(commit_change(c), name);
	text_cut(a->result.order.actor, sizeof(a->result.order.actor), name);
	commit_now(c, on_forgotten, a);
}

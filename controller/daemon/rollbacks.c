/* rollbacks.c - room controller/daemon: back to the issuance before the one in use, while that can still be used.
 * The newest rows decide. Never: choosing which. */
#include "controller/daemon/rollbacks.h"

#include "controller/daemon/answer.h"
#include "controller/daemon/campaigns.h"
#include "controller/daemon/catalog.h"
#include "controller/daemon/operate.h"
#include "controller/daemon/order_actions.h"
#include "controller/daemon/order_terms.h"
#include "controller/daemon/orders.h"
#include "controller/daemon/restored.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/sys/clock.h"

/* What stands against the certificate as a whole. */
static int check_certificate(struct controller *ctl, const struct order *o)
{
	struct certificate cert;
	int                r = rows_certificate(ctl->rows, o->cert_id, &cert);
	if (r < 0)
		return r;
	if (cert.revoked_at != 0 || cert.retired_at != 0 || cert.suspended_at != 0)
		return cert.revoked_at != 0 ? E_ORDER_REVOKED : cert.retired_at != 0 ? E_ORDER_RETIRED : E_ORDER_SUSPENDED;
	if (!serial_equal(cert.serial, o->serial) || !text_equal(cert.agent, o->agent))
		return E_ROLLBACK_LATER;
	const struct order *open = orders_of(ctl, &cert);
	if (open != NULL && !id_equal(open->renewal_id, o->renewal_id))
		return E_ORDER_OPEN;
	return operate_agent_usable(ctl, cert.agent);
}

/* Somebody who asked that it be revoked does not want it back either. */
static int check_old(struct controller *ctl, const struct order *o, int64_t now)
{
	struct issuance old;
	int             r = serial_is_none(o->old_serial) ? E_ROLLBACK_FIRST : rows_issuance(ctl->rows, o->old_serial, &old);
	if (r < 0)
		return r == E_NOT_FOUND ? E_ROLLBACK_GRACE : r;
	const struct catalog_issuer *issuer = catalog_issuer(ctl->catalog, old.issuer_id);
	if (issuer != NULL && issuer->row.revoked_at != 0)
		return E_CA_REVOKED; /* who checks lists would refuse it */
	bool over = old.state == ISSUANCE_REVOKED || old.supersede_at <= now || old.not_after_at <= now || old.held_at != 0 ||
		    old.revoke_asked_at != 0;
	return over ? E_ROLLBACK_GRACE : 0;
}

int rollback_begin(struct controller *ctl, struct commit *c, struct id renewal_id, const struct caller *who)
{
	struct order o;
	bool         stored = false;
	int          r = orders_find(ctl, renewal_id, &o);
	if (r == 0 && o.phase != ORDER_COMPLETED)
		r = E_ROLLBACK_STATE;
	if (r == 0)
		r = check_certificate(ctl, &o);
	if (r == 0)
		r = check_old(ctl, &o, clock_now());
	if (r == 0)
		r = restored_allows(ctl);
	if (r < 0)
		return r;
	r = orders_end_drill(ctl, c, o.cert_id, who);
	if (r < 0)
		return r;
	struct order_event ev = {.kind = EV_ROLLBACK, .renewal_id = renewal_id};
	text_cut(ev.cause, sizeof(ev.cause), who->reason);
	r = orders_event(ctl, &ev, &(struct order_input){.commit = c, .who = who}, &stored);
	return r == 0 && !stored ? E_ROLLBACK_STATE : r;
}

void controller_rollback(struct controller *ctl, const char *cert_id, const struct caller *who, api_done_fn *done, void *ctx)
{
	struct answer     *a = answer_new(done, ctx);
	struct commit     *c = commit_new(ctl);
	struct certificate cert;
	struct issuance    in_use = {.renewal_id = {{0}}};
	int                r = rows_certificate(ctl->rows, cert_id, &cert);
	if (r == 0)
		r = serial_is_none(cert.serial) ? E_ROLLBACK_FIRST : rows_issuance(ctl->rows, cert.serial, &in_use);
	if (r == 0)
		r = rollback_begin(ctl, c, in_use.renewal_id, who);
	if (r == 0)
		r = orders_find(ctl, in_use.renewal_id, &a->result.order);
	if (r < 0) {
		commit_drop(c);
		answer_refuse(a, r, cert_id, NULL);
		return;
	}
	commit_now(c, answer_stored, a);
}

/* The campaign whose order put another issuance in this one's place; E_NOT_FOUND. */
static int campaign_after(struct controller *ctl, const struct issuance *old, struct campaign *ret, struct order *ret_order)
{
	struct certificate cert;
	struct issuance    now_used;
	int r = old->owner == OWNER_CERTIFICATE ? rows_certificate(ctl->rows, old->owner_id, &cert) : E_NOT_FOUND;
	if (r == 0)
		r = rows_issuance(ctl->rows, cert.serial, &now_used);
	if (r == 0)
		r = orders_find(ctl, now_used.renewal_id, ret_order);
	if (r == 0 && (id_is_none(ret_order->campaign_id) || !serial_equal(ret_order->old_serial, old->serial)))
		r = E_NOT_FOUND;
	return r == 0 ? campaigns_find(ctl, ret_order->campaign_id, ret) : r;
}

int64_t rollback_kept_until(struct controller *ctl, const struct issuance *old, int64_t now)
{
	struct campaign     c;
	struct order        o;
	struct order_policy policy;
	if (old->revoke_asked_at != 0 || campaign_after(ctl, old, &c, &o) != 0)
		return now;
	order_terms(ctl, &o, &(struct order_event){.kind = EV_SETTLED}, NULL, &policy);
	if (policy.supersede_grace_ms == 0)
		return now; /* the installation wants none */
	int64_t until = (c.rested_at != 0 ? c.rested_at : now) + policy.supersede_grace_ms;
	return until > now ? until : now;
}

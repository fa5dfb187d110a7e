/* campaign_send.c - room controller/daemon: what a campaign does with one certificate when its turn comes: order, takeover,
 * revocation, ban. The newest rows decide, not those that the plan saw. Never: deciding whose turn it is. */
#include "controller/daemon/campaign_send.h"

#include <stdlib.h>

#include "controller/core/campaign_flow.h"
#include "controller/core/campaign_member.h"
#include "controller/core/policy.h"
#include "controller/core/policy_change.h"
#include "controller/daemon/catalog.h"
#include "controller/daemon/fleet.h"
#include "controller/daemon/operate.h"
#include "controller/daemon/orders.h"
#include "controller/daemon/poison.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/sys/clock.h"
#include "shared/sys/log.h"

/* One member being sent. */
struct sending {
	struct controller      *ctl;
	struct commit          *commit;
	const struct campaign  *campaign;
	struct campaign_member *m;
	struct caller           who;
	struct certificate      cert;
	const struct template  *t;
	struct order            open; /* taken when its turn came; none = renewal_id is none */
	int64_t                 now;
};

void campaign_caller(const struct campaign *campaign, struct caller *ret)
{
	*ret = (struct caller){.request_id = campaign->campaign_id};
	text_cut(ret->actor, sizeof(ret->actor), campaign->actor);
	text_cut(ret->reason, sizeof(ret->reason), campaign->reason);
}

static void become(struct sending *s, enum member_state state, int code)
{
	s->m->state = state;
	s->m->code = code;
	s->m->cause[0] = '\0';
}

/* ---- old issuances ---------------------------------------------------------------------------------------------- */

static enum revoke_reason reason_of(const struct campaign *c)
{
	bool compromised = c->incident == INCIDENT_KEY_COMPROMISE || c->incident == INCIDENT_HOST_COMPROMISE;
	return compromised ? REASON_KEY_COMPROMISE : REASON_SUPERSEDED;
}

static void ask_revocation(struct sending *s, const struct issuance *i)
{
	struct issuance asked = *i;
	if (asked.revoke_asked_at != 0 && asked.revoke_reason != REASON_SUPERSEDED)
		return; /* somebody asked before, for more than that it is superseded */
	asked.revoke_asked_at = s->now;
	asked.revoke_reason = (int)reason_of(s->campaign);
	asked.invalidity_at = s->campaign->invalidity_at;
	if (s->campaign->revoke_old == REVOKE_OLD_AFTER && s->campaign->revoke_by_at < asked.supersede_at)
		asked.supersede_at = s->campaign->revoke_by_at;
	commit_issuance(s->commit, &asked);
}

/* What an order brings that is followed to its end is no old one, though it may be in use already; what it replaces is, though it may not be
 * any more. Where the key is to be a fresh one, too, the next order finds it in use and says so. */
static void old_issuance(void *ctx, const struct issuance *i)
{
	struct sending        *s = ctx;
	const struct campaign *c = s->campaign;
	bool                   at_once = c->revoke_old == REVOKE_OLD_NOW || c->incident == INCIDENT_HOST_COMPROMISE;
	bool                   in_use = serial_equal(i->serial, s->cert.serial), open = !id_is_none(s->open.renewal_id);
	bool                   followed = open && campaign_member_follows(&s->open) && c->incident != INCIDENT_HOST_COMPROMISE;
	bool                   brought = open && id_equal(i->renewal_id, s->open.renewal_id) && (followed || !in_use);
	bool                   current = in_use || (followed && serial_equal(i->serial, s->open.old_serial));
	if (!operate_in_use(i, s->now) || brought || i->state == ISSUANCE_INTENT)
		return;
	if (at_once || (!current && reason_of(c) == REASON_KEY_COMPROMISE)) {
		struct issuance gone = *i;
		gone.invalidity_at = c->invalidity_at;
		operate_revoke_issuance(s->ctl, s->commit, &gone, reason_of(c), s->now, &s->who);
	} else if (current)
		ask_revocation(s, i);
}

static int old_issuances(struct sending *s)
{
	char revocation[sizeof("proved")];
	if (s->campaign->revoke_old == REVOKE_OLD_GRACE)
		return 0;
	if (s->t->purpose == PURPOSE_CODE_SIGNING && reason_of(s->campaign) == REASON_SUPERSEDED)
		return 0; /* what it signed stays good */
	int r = operate_each_issuance(s->ctl, OWNER_CERTIFICATE, s->cert.cert_id, old_issuance, s);
	if (r < 0)
		return r;
	text_cut(revocation, sizeof(revocation), revoke_old_name(s->campaign->revoke_old));
	struct audit_of of = {.event = AUDIT_REVOCATION_ASKED,
			      .actor = s->who.actor,
			      .object = s->cert.cert_id,
			      .request_id = s->who.request_id,
			      .reason = s->who.reason};
	commit_audit(s->commit, &of, "{s:s,s:s}", "reason", revoke_reason_name((int)reason_of(s->campaign)), "when",
		     revocation);
	return rows_certificate(s->ctl->rows, s->cert.cert_id, &s->cert); /* it says so, when the one that it shows was revoked */
}

/* ---- open orders ------------------------------------------------------------------------------------------------ */

/* An order that gives way. When it does not, because it ended in this moment, nothing is lost: the rows are read again. */
static int end_open(struct sending *s)
{
	struct order_event ev = {.kind = EV_CANCEL, .renewal_id = s->open.renewal_id, .code = E_CAMPAIGN_TAKEN_OVER};
	bool               stored;
	int                r = orders_event(s->ctl, &ev, &(struct order_input){.commit = s->commit, .who = &s->who}, &stored);
	s->open = (struct order){.code = 0};
	return r < 0 ? r : rows_certificate(s->ctl->rows, s->cert.cert_id, &s->cert);
}

static bool wants_fresh_key(const struct sending *s)
{
	return s->campaign->fresh_keys || reason_of(s->campaign) == REASON_KEY_COMPROMISE;
}

static int make_order(struct sending *s)
{
	struct order_cause cause = {
		.trigger = s->campaign->trigger, .approved = s->campaign->approved, .campaign_id = s->campaign->campaign_id,
		.fresh_key = wants_fresh_key(s),
		.peer_proof = s->campaign->peer_proof};
	struct order made;
	int r = policy_eligible_in_campaign(&s->cert, s->t, orders_of(s->ctl, &s->cert), cause.trigger, &cause.approval);
	if (r < 0)
		return r;
	cause.approval = cause.approval && !cause.approved;
	orders_create_for(s->ctl, s->commit, &s->cert, &cause, &s->who, &made);
	commit_certificate(s->commit, &s->cert);
	s->m->renewal_id = made.renewal_id;
	become(s, MEMBER_ORDERED, 0);
	return 0;
}

/* ---- a captured host -------------------------------------------------------------------------------------------- */

/* Held, and active again: it can only be one with another key. */
static bool host_is_new(struct controller *ctl, const struct campaign_member *m)
{
	struct agent row;
	return rows_agent(ctl->rows, m->agent, &row) == 0 && row.state == AGENT_ACTIVE && m->state == MEMBER_HELD;
}

bool campaign_held_goes_on(struct controller *ctl, const struct campaign_member *m)
{
	struct certificate cert;
	bool over = rows_certificate(ctl->rows, m->cert_id, &cert) == 0 && (cert.revoked_at != 0 || cert.retired_at != 0);
	return over || host_is_new(ctl, m);
}

/* The host that the plan showed, as it was when the campaign began: who came back later under its name is another one, and so is
 * a host that the certificate moved to. */
static int ban_host(struct sending *s)
{
	struct agent   row;
	struct refusal why;
	int            r = rows_agent(s->ctl->rows, s->m->agent, &row);
	if (r < 0 || row.state != AGENT_ACTIVE || row.joined_at > s->campaign->created_at)
		return r;
	return operate_agent_end(s->ctl, s->commit, &row, AGENT_BANNED, &s->who, &why);
}

static int hold(struct sending *s)
{
	int r = ban_host(s);
	if (r == 0 && !id_is_none(s->open.renewal_id))
		r = end_open(s);
	if (r == 0)
		r = old_issuances(s);
	if (r < 0)
		return r;
	s->cert.renew_at = TIME_NEVER; /* the campaign looks after it */
	commit_certificate(s->commit, &s->cert);
	become(s, MEMBER_HELD, E_CAMPAIGN_HELD);
	return 0;
}

/* An order that is waited for may itself wait for a maintenance window: an emergency does not. */
static int pass_windows(struct sending *s)
{
	struct order_event ev = {.kind = EV_NOW, .renewal_id = s->open.renewal_id};
	bool               stored;
	return orders_event(s->ctl, &ev, &(struct order_input){.commit = s->commit, .who = &s->who}, &stored);
}

/* ---- one member ------------------------------------------------------------------------------------------------- */

/* What its relying parties see may take long, and they cannot be asked about a key that is to go. */
static int wait_no_longer(struct sending *s)
{
	struct order_event ev = {.kind = EV_PEERS_ENOUGH, .renewal_id = s->open.renewal_id, .cause = "an emergency did not wait for those that rely on it"};
	bool               stored;
	int                r = orders_event(s->ctl, &ev, &(struct order_input){.commit = s->commit, .who = &s->who}, &stored);
	s->m->renewal_id = s->open.renewal_id;
	become(s, MEMBER_DONE, 0);
	s->open = (struct order){.code = 0};
	return r < 0 ? r : rows_certificate(s->ctl->rows, s->cert.cert_id, &s->cert);
}

static int send_emergency(struct sending *s)
{
	if (s->campaign->incident == INCIDENT_HOST_COMPROMISE && !host_is_new(s->ctl, s->m))
		return hold(s);
	int r = operate_agent_usable(s->ctl, s->cert.agent);
	if (r == 0)
		r = old_issuances(s);
	if (r < 0)
		return r;
	if (!id_is_none(s->open.renewal_id) && s->open.phase == ORDER_SETTLED) {
		r = wait_no_longer(s);
		if (r < 0 || !wants_fresh_key(s))
			return r;
		r = old_issuances(s); /* of which what that order brought is one now */
		return r == 0 ? make_order(s) : r;
	}
	if (!id_is_none(s->open.renewal_id) && campaign_member_follows(&s->open)) {
		s->m->renewal_id = s->open.renewal_id;
		become(s, MEMBER_FOLLOWING, 0);
		return pass_windows(s);
	}
	if (!id_is_none(s->open.renewal_id))
		r = end_open(s);
	return r == 0 ? make_order(s) : r;
}

/* ---- a change of policy ----------------------------------------------------------------------------------------- */

/* Would a certificate made now be another one? Between the walk and its turn it may have been renewed. */
static bool differs(const struct sending *s)
{
	struct template made;
	return s->cert.template_version != 0 &&
	       view_template(s->ctl->view, s->cert.template_id, s->cert.template_version, &made) == 0 &&
	       policy_change_renews(&made, s->t, &s->cert);
}

/* The next certificate of an open order is made by what is in force: it needs no other. */
static int follow(struct sending *s)
{
	enum member_state state = campaign_member_state(s->campaign, &s->open, true, s->now);
	s->m->renewal_id = s->open.renewal_id;
	become(s, state, state == MEMBER_FAILED ? s->open.code : 0);
	text_cut(s->m->cause, sizeof(s->m->cause), state == MEMBER_FAILED ? s->open.cause : "");
	return 0;
}

static int send_policy(struct sending *s)
{
	if (!differs(s))
		return E_CAMPAIGN_NEEDLESS;
	int r = operate_agent_usable(s->ctl, s->cert.agent);
	if (r == 0 && !id_is_none(s->open.renewal_id) && s->open.phase != ORDER_PAUSED)
		return follow(s);
	if (r == 0 && !id_is_none(s->open.renewal_id))
		r = end_open(s);
	return r == 0 ? make_order(s) : r;
}

/* ---- a CA that gives way ---------------------------------------------------------------------------------------- */

/* Between the count and its turn it may have been renewed. One that stands by after a way back signs nothing either: what it signed
 * ends with its root. */
static bool is_by_one_that_signs_no_more(const struct sending *s)
{
	struct issuance              now;
	const struct catalog_issuer *issuer =
		rows_issuance(s->ctl->rows, s->cert.serial, &now) == 0 ? catalog_issuer(s->ctl->catalog, now.issuer_id) : NULL;
	return issuer != NULL && issuer->row.standing != ISSUER_ISSUES;
}

/* An open order brings a certificate from the successor, unless the signer was asked before the switch: such a one is counted again. */
static int send_ca(struct sending *s)
{
	bool open = !id_is_none(s->open.renewal_id), urgent = s->campaign->trigger == TRIGGER_EMERGENCY;
	if (!is_by_one_that_signs_no_more(s))
		return E_CAMPAIGN_NEEDLESS;
	int r = operate_agent_usable(s->ctl, s->cert.agent);
	if (r == 0 && open && s->open.phase != ORDER_PAUSED && (!urgent || campaign_member_follows(&s->open))) {
		r = follow(s);
		return r == 0 && urgent ? pass_windows(s) : r;
	}
	if (r == 0)
		r = old_issuances(s);
	if (r == 0 && open)
		r = end_open(s);
	return r == 0 ? make_order(s) : r;
}

/* ---- a drill ----------------------------------------------------------------------------------------------------- */

/* Of its own: nothing of the certificate is touched, and whatever is under way for it goes on undisturbed. */
static int send_drill(struct sending *s)
{
	struct order_cause cause = {.trigger = s->campaign->trigger, .campaign_id = s->campaign->campaign_id, .drill = true};
	struct order       made;
	if (s->t->purpose == PURPOSE_CODE_SIGNING)
		return E_DRILL_CODE;
	if (!id_is_none(s->cert.open_order))
		return E_ORDER_OPEN;
	if (orders_drill_of(s->ctl, s->cert.cert_id) != NULL)
		return E_DRILL_OPEN;
	int r = operate_agent_usable(s->ctl, s->cert.agent);
	bool settling = s->now - s->ctl->started_at < CAMPAIGN_AWAY_MS; /* after a start of ours hosts are on their way back */
	if (r == 0 && !settling && !fleet_connected(s->ctl, s->cert.agent))
		r = E_DRILL_AWAY;
	if (r < 0)
		return r;
	orders_create_for(s->ctl, s->commit, &s->cert, &cause, &s->who, &made);
	s->m->renewal_id = made.renewal_id;
	become(s, MEMBER_ORDERED, 0);
	return 0;
}

static int send_other(struct sending *s)
{
	int r = operate_agent_usable(s->ctl, s->cert.agent);
	if (r == 0 && s->open.phase == ORDER_PAUSED && !id_is_none(s->open.renewal_id))
		r = end_open(s);
	return r == 0 ? make_order(s) : r;
}

/* Who asked, and who agreed, meant it as it was then. Of a captured host everything is meant, whatever became of it. */
static bool has_moved(const struct sending *s)
{
	const struct campaign_member *m = s->m;
	bool service = !text_equal(m->service, s->cert.service);
	bool template = m->template_id[0] != '\0' && !text_equal(m->template_id, s->cert.template_id);
	return (service || template) && s->campaign->incident != INCIDENT_HOST_COMPROMISE;
}

/* Nothing is wrong with it; in an emergency somebody has to look at what was meant and is not renewed. */
static bool is_skipped(const struct sending *s, int code)
{
	bool moved = code == E_CAMPAIGN_MOVED && s->campaign->kind != CAMPAIGN_EMERGENCY;
	return code == E_ORDER_SUSPENDED || code == E_ORDER_OPEN || code == E_DRILL_OPEN || code == E_DRILL_CODE || code == E_CAMPAIGN_NEEDLESS || moved;
}

static int send_member(struct sending *s)
{
	int r = rows_certificate(s->ctl->rows, s->m->cert_id, &s->cert);
	if (r < 0)
		return r == E_NOT_FOUND ? E_CAMPAIGN_UNKNOWN : r;
	if (poison_rests(s->ctl->poison, s->cert.cert_id))
		return E_ORDER_POISON;
	s->t = catalog_policy(s->ctl->catalog, s->cert.template_id, s->cert.service);
	if (s->t == NULL)
		return E_POLICY_TEMPLATE;
	if (has_moved(s))
		return E_CAMPAIGN_MOVED;
	if (s->cert.revoked_at != 0 || s->cert.retired_at != 0 || s->cert.suspended_at != 0)
		return s->cert.revoked_at != 0   ? E_ORDER_REVOKED
		       : s->cert.retired_at != 0 ? E_ORDER_RETIRED
						 : E_ORDER_SUSPENDED;
	const struct order *open = orders_of(s->ctl, &s->cert);
	if (open != NULL)
		s->open = *open;
	static int (*const by_kind[CAMPAIGN_KIND_COUNT])(struct sending *) = {
		[CAMPAIGN_BULK] = send_other,
		[CAMPAIGN_EMERGENCY] = send_emergency,
		[CAMPAIGN_SERVICE] = send_other,
		[CAMPAIGN_POLICY] = send_policy,
		[CAMPAIGN_CA] = send_ca,
		[CAMPAIGN_DRILL] = send_drill,
	};
	return by_kind[s->campaign->kind](s);
}

void campaign_send_member(struct controller *ctl, struct commit *c, const struct campaign *campaign, struct campaign_member *m)
{
	struct sending s = {.ctl = ctl, .commit = c, .campaign = campaign, .m = m, .now = clock_now()};
	campaign_caller(campaign, &s.who);
	m->renewal_id = (struct id){{0}};
	m->changed_at = s.now;
	int r = send_member(&s);
	if (r == 0)
		return;
	if (r == E_NOMEM) /* says nothing about the member; started again we know everything and go on */
		abort();
	become(&s, is_skipped(&s, r) ? MEMBER_SKIPPED : MEMBER_FAILED, r);
	text_cut(m->cause, sizeof(m->cause), err_what(r));
}

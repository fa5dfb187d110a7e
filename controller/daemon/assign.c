/* assign.c - room controller/daemon: certificate, target, service and first order of a target file, in one change.
 * The same file again changes nothing. Never: names that policy_assign() did not pass, except as `requested`. */
#include "controller/daemon/assign.h"

#include <string.h>

#include "controller/core/policy.h"
#include "controller/daemon/agent_messages.h"
#include "controller/daemon/approvals.h"
#include "controller/daemon/catalog.h"
#include "controller/daemon/commit.h"
#include "controller/daemon/create_request.h"
#include "controller/daemon/host_certs.h"
#include "controller/daemon/intents.h"
#include "controller/daemon/orders.h"
#include "controller/daemon/poison.h"
#include "controller/daemon/restored.h"
#include "controller/daemon/stages.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/sys/clock.h"

enum { REFUSED_PER_HOUR = 20 };

struct proposal {
	struct member           *member;
	struct controller       *ctl;
	const struct agent      *agent;
	uint64_t                 id;
	const struct msg_target *msg;
	struct names             names;
	const struct template   *t;
	struct certificate       cert; /* as it is, or as it will be */
	bool                     known;
	bool                     created; /* by a person; no file served it until now */
	int64_t                  now;
	struct caller            who;
};

/* What lies in current/ counts as served when a receipt has proved that issuance before; a link's word alone proves nothing. */
static struct serial served_of(const struct proposal *p)
{
	struct issuance i;
	bool            proved = !serial_is_none(p->msg->served) && rows_issuance(p->ctl->rows, p->msg->served, &i) == 0 &&
		      i.owner == OWNER_CERTIFICATE && text_equal(i.owner_id, p->msg->cert_id) && i.proved_at != 0;
	return proved ? p->msg->served : (struct serial){0};
}

static struct target target_of(const struct proposal *p)
{
	const struct msg_target *m = p->msg;
	struct target            t = {.digest = m->digest, .served = served_of(p), .reported_at = p->now};
	target_id_of(p->agent->name, m->cert_id, m->stem, t.target_id);
	text_cut(t.cert_id, sizeof(t.cert_id), m->cert_id);
	text_cut(t.agent, sizeof(t.agent), p->agent->name);
	text_cut(t.stem, sizeof(t.stem), m->stem);
	text_cut(t.reload_kind, sizeof(t.reload_kind), m->reload_kind);
	text_cut(t.verify_kind, sizeof(t.verify_kind), m->verify_kind);
	text_cut(t.listeners, sizeof(t.listeners), m->listeners);
	t.state_code = m->code;
	t.stale_since_at = m->stale_since_at;
	t.rehearsed_at = m->rehearsed_at;
	t.drifted_at = m->drifted_at;
	t.drifts = m->drifts;
	return t;
}

static bool state_is_known(const struct target *a, const struct target *b)
{
	return a->state_code == b->state_code && a->stale_since_at == b->stale_since_at && a->rehearsed_at == b->rehearsed_at &&
	       a->drifted_at == b->drifted_at && a->drifts == b->drifts;
}

/* Is everything about this file stored already? */
static bool target_is_known(const struct proposal *p)
{
	struct target old, new = target_of(p);
	if (rows_target(p->ctl->rows, new.target_id, &old) < 0)
		return false;
	return text_equal(old.agent, new.agent) && hash_equal(old.digest, new.digest) &&
	       serial_equal(old.served, new.served) && text_equal(old.listeners, new.listeners) &&
	       text_equal(old.verify_kind, new.verify_kind) && text_equal(old.reload_kind, new.reload_kind) && state_is_known(&old, &new);
}

static void audit(const struct proposal *p, struct commit *c, enum audit_event event, int code, const char *cause)
{
	char            text[ERR_CODE_SIZE];
	struct audit_of of = {.event = event, .actor = p->who.actor, .object = p->msg->cert_id};
	if (code != 0)
		commit_audit(c, &of, "{s:s,s:s}", "code", err_code(code, text), "cause", cause);
	else
		commit_audit(c, &of, "{s:s,s:s}", "template", p->msg->template_id, "stem", p->msg->stem);
}

static void put_target(const struct proposal *p, struct commit *c)
{
	struct target old, new = target_of(p);
	if (rows_target(p->ctl->rows, new.target_id, &old) == 0 && text_equal(old.agent, new.agent)) {
		new.proved_at = old.proved_at;
		new.last_code = old.last_code;
		new.trust_epoch = old.trust_epoch;
		new.trust_proof = old.trust_proof;
		new.crl_hash = old.crl_hash;
		new.cared_at = old.cared_at;
		if ((old.stale_since_at == 0) != (new.stale_since_at == 0))
			audit(p, c, new.stale_since_at != 0 ? AUDIT_TARGET_STALE : AUDIT_TARGET_HEALED, new.state_code, err_what(new.state_code));
	}
	commit_target(c, &new);
}

static void finish(const struct proposal *p, struct commit *c, const char *text)
{
	struct ack_later ack = {.id = p->id};
	text_cut(ack.agent, sizeof(ack.agent), p->agent->name);
	text_cut(ack.text, sizeof(ack.text), text);
	commit_then(c, agent_ack_then, &ack, sizeof(ack));
	commit_else(c, agent_rewelcome_else, p->agent->name, sizeof(p->agent->name));
	commit_fault_points(c, "controller.target", "controller.target_stored");
	commit_now(c, NULL, NULL);
}

/* A refused file comes again with each connection; the audit trail does not need each time. */
static bool may_tell(struct member *m, int64_t now)
{
	if (now - m->refused_hour_at >= MS_HOUR) {
		m->refused_hour_at = now;
		m->refused_in_hour = 0;
	}
	return m->refused_in_hour++ < REFUSED_PER_HOUR;
}

static void refused(struct proposal *p, const struct refusal *why)
{
	struct ack_later ack = {.id = p->id, .code = why->code};
	struct commit   *c = commit_new(p->ctl);
	text_cut(ack.agent, sizeof(ack.agent), p->agent->name);
	text_cut(ack.text, sizeof(ack.text), why->cause);
	if (may_tell(p->member, p->now))
		audit(p, c, AUDIT_TARGET_REFUSED, why->code, why->cause);
	commit_then(c, agent_ack_then, &ack, sizeof(ack));
	commit_else(c, agent_rewelcome_else, p->agent->name, sizeof(p->agent->name));
	commit_now(c, NULL, NULL);
}

static void service_stored(struct controller *ctl, const void *value, size_t n)
{
	struct service s;
	memcpy(&s, value, n);
	if (catalog_service(ctl->catalog, s.name) == NULL) /* somebody may have said more about it since */
		catalog_put_service(ctl->catalog, &s);
}

static void put_service(const struct proposal *p, struct commit *c)
{
	struct service s;
	if (view_service(p->ctl->view, p->msg->service, &s) == 0)
		return;
	s = (struct service){.created_at = p->now};
	text_cut(s.name, sizeof(s.name), p->msg->service);
	s.version = 1;
	store_put_service(commit_change(c), &s);
	commit_then(c, service_stored, &s, sizeof(s));
	commit_audit(c, &(struct audit_of){.event = AUDIT_SERVICE_CREATED, .actor = p->who.actor, .object = s.name}, NULL);
}

/* The certificate ends with its last place. False: it has to be told again. */
static bool retire_certificate(struct proposal *p)
{
	const struct order *open = orders_of(p->ctl, &p->cert);
	if (open != NULL && !poison_rests(p->ctl->poison, p->cert.cert_id)) { /* what rests is not touched by a host's word */
		bool               stored;
		struct order_event ev = {.kind = EV_CANCEL, .renewal_id = open->renewal_id, .code = E_ORDER_RETIRED};
		if (host_certs_left(p->ctl, &p->cert, "its last place on the host was removed", &p->who) < 0)
			return false;
		(void)!orders_event(p->ctl, &ev, &(struct order_input){.who = &p->who}, &stored); /* changes nothing where that has ended it */
		if (rows_certificate(p->ctl->rows, p->msg->cert_id, &p->cert) < 0)
			return false;
	}
	p->cert.retired_at = p->now;
	p->cert.renew_at = TIME_NEVER;
	return true;
}

static void retire(struct proposal *p)
{
	struct target gone = target_of(p), known;
	bool          ours = p->known && text_equal(p->cert.agent, p->agent->name);
	bool          ends = ours && p->msg->last && p->cert.retired_at == 0;
	if (!ours || (!ends && rows_target(p->ctl->rows, gone.target_id, &known) == E_NOT_FOUND)) {
		agent_ack_when_stored(p->ctl, p->agent->name, p->id, 0);
		return;
	}
	if (ends && !retire_certificate(p))
		return; /* sent again after the next welcome */
	struct commit *c = commit_new(p->ctl);
	if (ends) {
		commit_certificate(c, &p->cert);
		stages_over(p->ctl, c, &p->cert);
	}
	commit_remove_target(c, gone.target_id);
	audit(p, c, AUDIT_TARGET_RETIRED, 0, NULL);
	finish(p, c, "");
}

static bool same_content(const struct proposal *p)
{
	return names_equal(&p->cert.names, &p->names) && text_equal(p->cert.template_id, p->msg->template_id) &&
	       text_equal(p->cert.service, p->msg->service);
}

static void set_content(struct proposal *p, bool approved)
{
	p->cert.names = p->names;
	text_cut(p->cert.template_id, sizeof(p->cert.template_id), p->msg->template_id);
	text_cut(p->cert.service, sizeof(p->cert.service), p->msg->service);
	p->cert.approved = approved;
}

static void new_certificate(struct proposal *p)
{
	p->cert = (struct certificate){.renew_at = TIME_NEVER, .alert_at = TIME_NEVER, .created_at = p->now};
	text_cut(p->cert.cert_id, sizeof(p->cert.cert_id), p->msg->cert_id);
	text_cut(p->cert.agent, sizeof(p->cert.agent), p->agent->name);
}

static bool serves_unknown(const struct proposal *p)
{
	struct issuance i;
	return !serial_is_none(p->msg->served) && rows_issuance(p->ctl->rows, p->msg->served, &i) == E_NOT_FOUND;
}

/* The store went back in time, and the host serves what was issued after the backup: nobody here can revoke or renew that. Once for each
 * certificate: what is issued after the restore is known. */
static bool lost_by_restore(const struct proposal *p)
{
	return p->known && p->cert.not_before_at < restored_at(p->ctl) && serves_unknown(p);
}

/* Which order follows: the first issue, a change of an accepted file, what a restore has lost, or none. */
static bool order_wanted(const struct proposal *p, bool changed, enum trigger *ret, bool *ret_approval)
{
	const struct order *open = orders_of(p->ctl, &p->cert);
	bool                first = !p->cert.proved || lost_by_restore(p);
	*ret = first ? TRIGGER_MANUAL : TRIGGER_SERVICE_UPDATE;
	if (!(open != NULL ? changed : first || changed))
		return false;
	if (policy_eligible(&p->cert, p->t, open, *ret, first, p->now, ret_approval) < 0)
		return false;
	/* a file comes again with each connection, a person who said no is not asked again for the same */
	return !*ret_approval || changed || !approvals_said_no(p->ctl, p->cert.cert_id);
}

/* An edited file most often mends what the last attempt stumbled over: an order that waits is tried now, not in an hour or a day. */
static bool waits_for_file(const struct proposal *p)
{
	const struct order *open = orders_of(p->ctl, &p->cert);
	struct target       old, new = target_of(p);
	if (open == NULL || (open->phase != ORDER_PAUSED && open->phase != ORDER_RETRY_WAIT))
		return false;
	return rows_target(p->ctl->rows, new.target_id, &old) == 0 && !hash_equal(old.digest, new.digest);
}

static void try_now(const struct proposal *p)
{
	struct order_event ev = {.kind = EV_DISPATCH, .renewal_id = p->cert.open_order};
	bool               stored;
	if (poison_rests(p->ctl->poison, p->cert.cert_id))
		return;
	(void)!orders_event(p->ctl, &ev, &(struct order_input){.who = &p->who}, &stored); /* else it is tried at its time */
}

static void take(struct proposal *p, bool approved)
{
	bool         changed = p->known && !same_content(p);
	bool         revived = p->known && p->cert.retired_at != 0;
	bool         approval = false;
	enum trigger trigger;
	if (!p->known)
		new_certificate(p);
	set_content(p, approved || (p->known && p->cert.approved && !changed));
	p->cert.retired_at = 0;

	if (lost_by_restore(p) || (!p->known && serves_unknown(p)))
		restored_saw_certificate(p->ctl, p->msg->cert_id, p->agent->name, p->msg->served);
	bool                order = order_wanted(p, changed || revived, &trigger, &approval) && !poison_rests(p->ctl->poison, p->cert.cert_id);
	if (order && lost_by_restore(p))
		text_cut(p->who.reason, sizeof(p->who.reason), "the host serves what the restored database does not know");
	const struct order *paused = order ? orders_of(p->ctl, &p->cert) : NULL;
	if (p->known && !changed && !order)
		stages_ask(p->ctl, &p->cert, p->t);
	if (p->known && !changed && !revived && !order && target_is_known(p)) {
		agent_ack_when_stored(p->ctl, p->agent->name, p->id, 0);
		return;
	}
	if (paused != NULL) {
		bool               stored;
		struct order_event ev = {.kind = EV_CANCEL, .renewal_id = paused->renewal_id, .code = E_SWAP_CANCELLED};
		(void)!orders_event(p->ctl, &ev, &(struct order_input){.who = &p->who}, &stored);
		struct certificate newest;
		if (rows_certificate(p->ctl->rows, p->msg->cert_id, &newest) < 0)
			return;
		p->cert.version = newest.version;
		p->cert.open_order = newest.open_order;
	}
	bool           again = !order && waits_for_file(p);
	struct commit *c = commit_new(p->ctl);
	put_service(p, c);
	put_target(p, c);
	if (!p->known || changed || revived || p->created)
		audit(p, c, p->cert.approved ? AUDIT_TARGET_ACCEPTED : AUDIT_TARGET_REQUESTED, 0, NULL);
	approvals_follow_target(p->ctl, c, &p->cert, &p->who);
	if (order)
		orders_create(p->ctl, c, &p->cert, trigger, false, approval, &p->who, NULL);
	if (!p->known || changed || revived || order)
		commit_certificate(c, &p->cert);
	finish(p, c, p->cert.approved ? "" : "the names wait for an approval");
	if (again)
		try_now(p);
}

/* A person settled what the host is to have: its file takes that up, and settles nothing else in its place. */
static int differs(const struct proposal *p, struct refusal *why)
{
	const struct certificate *c = &p->cert;
	const struct msg_target  *m = p->msg;
	if (!text_equal(c->template_id, m->template_id))
		return refuse(why, E_POLICY_CREATED, c->cert_id, "template: the file says %s, the certificate was made for %s", m->template_id, c->template_id);
	if (!text_equal(c->service, m->service))
		return refuse(why, E_POLICY_CREATED, c->cert_id, "service: the file says %s, the certificate was made for %s", m->service, c->service);
	return refuse(why, E_POLICY_CREATED, c->cert_id, "names: the file says %s, the certificate was made for %s", p->names.text, c->names.text);
}

/* What the certificate's own history says against the proposal. */
static int check_known(const struct proposal *p, struct refusal *why)
{
	if (!text_equal(p->cert.agent, p->agent->name))
		return refuse(why, E_POLICY_CERT_ID, p->msg->cert_id, "the cert_id belongs to agent %s", p->cert.agent);
	if (p->cert.revoked_at != 0)
		return refuse(why, E_ORDER_REVOKED, p->msg->cert_id, "the certificate was ended; choose another cert_id");
	return p->created && !same_content(p) ? differs(p, why) : 0;
}

static int check_form(struct proposal *p, struct refusal *why)
{
	const struct msg_target *m = p->msg;
	char                     bad[DNS_NAME_SIZE] = "";
	if (!name_cert_id_ok(m->cert_id))
		return refuse(why, E_NAME, "cert_id", "the cert_id is not a valid one");
	if (names_parse(m->names, true, &p->names, bad) < 0)
		return refuse(why, E_NAME, m->cert_id, "`%s` is not a name that can be certified", bad);
	p->t = catalog_policy(p->ctl->catalog, m->template_id, m->service);
	if (p->t == NULL)
		return refuse(why, E_POLICY_TEMPLATE, m->cert_id, "there is no template `%s`", m->template_id);
	return 0;
}

/* A door to the admin API is opened by a second person, whatever its names. */
static bool needs_person(const struct proposal *p)
{
	return p->t->purpose == PURPOSE_ADMIN && !(p->known && p->cert.approved && same_content(p));
}

/* What serves already is not turned into such a door. */
static void admin_refused(struct proposal *p)
{
	struct refusal why;
	(void)!refuse(&why, E_POLICY_APPROVAL, p->msg->cert_id, "an admin certificate takes a cert_id of its own");
	refused(p, &why);
}

void assign_target(struct controller *ctl, struct member *m, uint64_t id, const struct msg_target *msg)
{
	struct proposal p = {.member = m, .ctl = ctl, .agent = m->row, .id = id, .msg = msg, .now = clock_now()};
	struct refusal  why = {0};
	text_cut(p.who.actor, sizeof(p.who.actor), "agent:");
	text_cut(p.who.actor + strlen("agent:"), sizeof(p.who.actor) - strlen("agent:"), m->name);

	int r = rows_certificate(ctl->rows, msg->cert_id, &p.cert);
	if (r < 0 && r != E_NOT_FOUND) {
		fleet_rewelcome(ctl, m->name);
		return;
	}
	p.known = r == 0;
	p.created = p.known && create_waits(ctl, &p.cert);
	if (msg->retired) {
		retire(&p);
		return;
	}
	r = check_form(&p, &why);
	if (r == 0 && p.known)
		r = check_known(&p, &why);
	if (r == 0)
		r = policy_assign(m->row, p.t, msg->service, &p.names, &why);
	if (r == 0 && p.t->purpose == PURPOSE_CODE_SIGNING && !(p.known && p.cert.proved)) {
		r = intent_possible(ctl, p.t);
		if (r < 0)
			r = refuse(&why, r, msg->cert_id, "%s", err_what(r));
	}
	/* A person decides, unless the host only edits what was accepted. */
	bool waits = r == E_POLICY_NAMES || (r == 0 && needs_person(&p));
	if (r == 0 && !waits)
		take(&p, true);
	else if (waits && (!p.known || !p.cert.approved || same_content(&p)))
		take(&p, false);
	else if (waits && r == 0)
		admin_refused(&p);
	else
		refused(&p, &why);
}

/* revocations.c - room controller/daemon: revoke, replace, suspend, resume: rows, audit record and lists in one change.
 * Never: answering before it is stored. */
#include "controller/daemon/revocations.h"

#include <stdlib.h>

#include <jansson.h>

#include "controller/core/policy.h"
#include "controller/daemon/catalog.h"
#include "controller/daemon/crls.h"
#include "controller/daemon/operate.h"
#include "controller/daemon/orders.h"
#include "controller/daemon/restored.h"
#include "controller/daemon/stages.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/sys/clock.h"

enum { CERTIFICATES_PAGE = 64, TARGETS_MAX = 16 };

/* ---- one call on its way ----------------------------------------------------------------------------------------- */

struct standing {
	api_done_fn         *done;
	void                *ctx;
	struct api_result    result;
	struct controller   *ctl;
	struct commit       *commit;
	struct certificate   cert;
	enum revoke_reason   reason;
	const struct caller *who;
	int64_t              now;
	size_t               n; /* issuances that changed */
};

static struct standing *standing_new(struct controller *ctl, const struct caller *who, api_done_fn *done, void *ctx)
{
	struct standing *s = calloc(1, sizeof(*s));
	if (s == NULL)
		abort();
	s->ctl = ctl;
	s->who = who; /* until the call returns */
	s->done = done;
	s->ctx = ctx;
	s->now = clock_now();
	return s;
}

static void answer_now(struct standing *s)
{
	if (s->done != NULL)
		s->done(s->ctx, &s->result);
	free(s);
}

static void on_stored(struct controller *ctl, void *ctx, int code, const struct store_result *result)
{
	(void)ctl;
	(void)result;
	struct standing *s = ctx;
	if (code < 0)
		s->result.code = refuse(&s->result.why, code, "store", "%s", err_what(code));
	answer_now(s);
}

static void refused(struct standing *s, int code, const char *cert_id)
{
	s->result.code = refuse(&s->result.why, code, cert_id, "%s", err_what(code));
	if (s->commit != NULL)
		commit_drop(s->commit);
	answer_now(s);
}

/* The agent may hold the certificate already: then it is asked, and decides. */
static int cancel_open(struct standing *s, int code)
{
	bool                stored;
	const struct order *open = orders_of(s->ctl, &s->cert);
	if (open == NULL)
		return 0;
	struct order_event ev = {.kind = EV_CANCEL, .renewal_id = open->renewal_id, .code = code};
	int                r = orders_event(s->ctl, &ev, &(struct order_input){.who = s->who}, &stored);
	return r < 0 ? r : rows_certificate(s->ctl->rows, s->cert.cert_id, &s->cert);
}

static void audit(struct standing *s, enum audit_event event, struct id renewal_id)
{
	char            serial[SERIAL_TEXT_SIZE];
	struct audit_of of = {.event = event,
			      .actor = s->who->actor,
			      .object = s->cert.cert_id,
			      .renewal_id = renewal_id,
			      .request_id = s->who->request_id,
			      .reason = s->who->reason};
	commit_audit(s->commit, &of, "{s:s,s:s,s:I}", "serial", serial_text(s->cert.serial, serial), "reason",
		     revoke_reason_name((int)s->reason), "issuances", (json_int_t)s->n);
}

static void store(struct standing *s, const char *before, const char *after)
{
	commit_certificate(s->commit, &s->cert);
	commit_fault_points(s->commit, before, after);
	commit_now(s->commit, on_stored, s);
}

/* ---- revoke ------------------------------------------------------------------------------------------------------ */

static void revoke_one(void *ctx, const struct issuance *i)
{
	struct standing *s = ctx;
	if (operate_in_use(i, s->now))
		operate_revoke_issuance(s->ctl, s->commit, i, s->reason, s->now, s->who);
}

void controller_revoke(struct controller *ctl, const char *cert_id, enum revoke_reason reason, const struct caller *who,
		       api_done_fn *done, void *ctx)
{
	struct standing *s = standing_new(ctl, who, done, ctx);
	s->reason = reason;
	int r = rows_certificate(ctl->rows, cert_id, &s->cert);
	if (r == 0 && s->cert.revoked_at != 0)
		r = E_ORDER_REVOKED;
	if (r == 0)
		r = cancel_open(s, E_ORDER_REVOKED);
	if (r == 0) {
		s->commit = commit_new(ctl);
		r = operate_each_issuance(ctl, OWNER_CERTIFICATE, cert_id, revoke_one, s);
	}
	if (r == 0)
		r = rows_certificate(ctl->rows, cert_id, &s->cert); /* it says that what it shows was revoked */
	if (r < 0) {
		refused(s, r, cert_id);
		return;
	}
	s->cert.revoked_at = s->now;
	s->cert.renew_at = TIME_NEVER;
	stages_over(ctl, s->commit, &s->cert);
	store(s, "controller.revoke", "controller.revoke_stored");
}

/* ---- replace ----------------------------------------------------------------------------------------------------- */

static void replace_one(void *ctx, const struct issuance *i)
{
	struct standing *s = ctx;
	struct issuance  asked = *i;
	if (!operate_in_use(i, s->now))
		return;
	if (!serial_equal(i->serial, s->cert.serial)) {
		operate_revoke_issuance(s->ctl, s->commit, i, s->reason, s->now, s->who);
		return;
	}
	asked.revoke_asked_at = s->now;
	asked.revoke_reason = (int)s->reason;
	commit_issuance(s->commit, &asked);
	s->n++;
}

static int replace_check(struct standing *s, const char *cert_id, bool *ret_approval)
{
	int r = rows_certificate(s->ctl->rows, cert_id, &s->cert);
	if (r < 0)
		return r;
	const struct template *t = catalog_policy(s->ctl->catalog, s->cert.template_id, s->cert.service);
	r = t != NULL ? policy_eligible(&s->cert, t, orders_of(s->ctl, &s->cert), TRIGGER_MANUAL, true, s->now, ret_approval)
		      : E_POLICY_TEMPLATE;
	if (r == 0 && serial_is_none(s->cert.serial))
		r = E_REVOKE_NOT_ISSUED;
	if (r == 0)
		r = operate_agent_usable(s->ctl, s->cert.agent);
	if (r == 0)
		r = restored_allows(s->ctl);
	return r == 0 ? cancel_open(s, E_SWAP_CANCELLED) : r;
}

void controller_replace(struct controller *ctl, const char *cert_id, enum revoke_reason reason, const struct caller *who,
			api_done_fn *done, void *ctx)
{
	struct standing *s = standing_new(ctl, who, done, ctx);
	bool             approval = false;
	s->reason = reason;
	int r = replace_check(s, cert_id, &approval);
	if (r == 0) {
		s->commit = commit_new(ctl);
		r = operate_each_issuance(ctl, OWNER_CERTIFICATE, cert_id, replace_one, s);
	}
	if (r < 0) {
		refused(s, r, cert_id);
		return;
	}
	/* a key that lay beside one that somebody else may have is not good enough */
	struct order_cause cause = {
		.trigger = TRIGGER_MANUAL, .force = true, .approval = approval, .fresh_key = reason == REASON_KEY_COMPROMISE};
	orders_create_for(ctl, s->commit, &s->cert, &cause, who, &s->result.order);
	audit(s, AUDIT_REVOCATION_ASKED, s->result.order.renewal_id);
	store(s, "controller.replace", "controller.replace_stored");
}

/* ---- suspend, resume --------------------------------------------------------------------------------------------- */

static void hold_one(void *ctx, const struct issuance *i)
{
	struct standing *s = ctx;
	struct issuance  held = *i;
	if (!operate_in_use(i, s->now) || i->held_at != 0)
		return;
	held.held_at = s->now;
	commit_issuance(s->commit, &held);
	crls_dirty_later(s->commit, i->issuer_id, i->crl_shard);
	s->n++;
}

void controller_suspend(struct controller *ctl, const char *cert_id, const struct caller *who, api_done_fn *done, void *ctx)
{
	struct standing *s = standing_new(ctl, who, done, ctx);
	s->reason = REASON_HOLD;
	int r = rows_certificate(ctl->rows, cert_id, &s->cert);
	if (r == 0 && s->cert.revoked_at != 0)
		r = E_ORDER_REVOKED;
	if (r == 0 && s->cert.suspended_at != 0)
		r = E_ORDER_SUSPENDED;
	if (r == 0)
		r = cancel_open(s, E_ORDER_SUSPENDED);
	if (r == 0) {
		s->commit = commit_new(ctl);
		r = operate_each_issuance(ctl, OWNER_CERTIFICATE, cert_id, hold_one, s);
	}
	if (r < 0) {
		refused(s, r, cert_id);
		return;
	}
	s->cert.suspended_at = s->now;
	s->cert.renew_at = TIME_NEVER;
	audit(s, AUDIT_CERTIFICATE_SUSPENDED, (struct id){{0}});
	store(s, "controller.suspend", "controller.suspend_stored");
}

static void release_one(void *ctx, const struct issuance *i)
{
	struct standing *s = ctx;
	struct issuance  free_again = *i;
	if (i->held_at == 0)
		return;
	free_again.held_at = 0;
	commit_issuance(s->commit, &free_again);
	crls_dirty_later(s->commit, i->issuer_id, i->crl_shard);
	s->n++;
}

/* While it was suspended nothing was scheduled. */
static void schedule_again(struct standing *s)
{
	struct policy_limits   limits = {s->ctl->conf->allow_short_validity, s->ctl->conf->jitter};
	const struct template *t = catalog_policy(s->ctl->catalog, s->cert.template_id, s->cert.service);
	bool                   approval = false;
	if (t == NULL || serial_is_none(s->cert.serial) || s->cert.retired_at != 0 || s->cert.agent[0] == '\0')
		return;
	s->cert.renew_at =
		policy_renew_at(t, s->cert.cert_id, s->cert.serial, s->cert.not_before_at, s->cert.not_after_at, &limits);
	if (policy_eligible(&s->cert, t, orders_of(s->ctl, &s->cert), TRIGGER_MANUAL, false, s->now, &approval) == 0 &&
	    operate_agent_usable(s->ctl, s->cert.agent) == 0)
		orders_create(s->ctl, s->commit, &s->cert, TRIGGER_MANUAL, false, approval, s->who, &s->result.order);
}

void controller_resume(struct controller *ctl, const char *cert_id, const struct caller *who, api_done_fn *done, void *ctx)
{
	struct standing *s = standing_new(ctl, who, done, ctx);
	s->reason = REASON_HOLD;
	int r = rows_certificate(ctl->rows, cert_id, &s->cert);
	if (r == 0 && s->cert.revoked_at != 0)
		r = E_ORDER_REVOKED;
	if (r == 0 && s->cert.suspended_at == 0)
		r = E_ORDER_NOT_SUSPENDED;
	if (r == 0) {
		s->commit = commit_new(ctl);
		r = operate_each_issuance(ctl, OWNER_CERTIFICATE, cert_id, release_one, s);
	}
	if (r < 0) {
		refused(s, r, cert_id);
		return;
	}
	s->cert.suspended_at = 0;
	schedule_again(s);
	audit(s, AUDIT_CERTIFICATE_RESUMED, s->result.order.renewal_id);
	store(s, "controller.resume", "controller.resume_stored");
}

/* ---- the last listener ------------------------------------------------------------------------------------------- */

static int is_served(struct store_view *view, const struct certificate *cert, int64_t now, bool *ret)
{
	bool in_force = cert->proved && policy_revoked_at(cert) == 0 && cert->suspended_at == 0 && cert->retired_at == 0 &&
			cert->not_after_at > now;
	*ret = false;
	if (!in_force)
		return 0;
	struct target *places = calloc(TARGETS_MAX, sizeof(*places));
	size_t         n = 0;
	int            r = places != NULL ? view_targets_of(view, cert->cert_id, places, TARGETS_MAX, &n) : E_NOMEM;
	for (size_t i = 0; r == 0 && i < n; i++)
		*ret |= places[i].listeners[0] != '\0';
	free(places);
	return r;
}

int revocation_is_last(struct store_view *view, const struct certificate *cert, int64_t now, bool *ret)
{
	bool served = false, other = false;
	int  r = is_served(view, cert, now, &served);
	if (r < 0 || !served) {
		*ret = false;
		return r;
	}
	struct cert_filter  filter = {.service = cert->service, .now = now};
	struct certificate *page = calloc(CERTIFICATES_PAGE, sizeof(*page));
	char                after[CERT_ID_SIZE] = "";
	size_t              n = CERTIFICATES_PAGE;
	r = page != NULL ? 0 : E_NOMEM;
	while (r == 0 && !other && n == CERTIFICATES_PAGE) {
		r = view_certificates(view, &filter, after, page, CERTIFICATES_PAGE, &n);
		for (size_t i = 0; r == 0 && !other && i < n; i++)
			if (!text_equal(page[i].cert_id, cert->cert_id))
				r = is_served(view, &page[i], now, &other);
		if (r == 0 && n > 0)
			text_cut(after, sizeof(after), page[n - 1].cert_id);
	}
	free(page);
	if (r == 0)
		*ret = !other;
	return r;
}

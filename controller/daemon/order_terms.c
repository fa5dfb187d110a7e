/* order_terms.c - room controller/daemon: what templates, settings and stored rows say about an order now, as its core wants to know it.
 * Never: deciding what follows from it; changing anything. */
#include "controller/daemon/order_terms.h"

#include <stdio.h>
#include <stdlib.h>

#include "controller/core/policy.h"
#include "controller/daemon/catalog.h"
#include "controller/daemon/peers.h"
#include "controller/daemon/restored.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/sys/clock.h"
#include "shared/sys/fault.h"

enum { ATTEMPT_MS = 10 * 60 * 1000, DRILL_MS = 5 * 60 * 1000, TARGETS_MAX = 16 };

/* Places where no handshake can prove what is served. */
static void places_unproved(struct controller *ctl, const char *cert_id, bool *ret_any, bool *ret_all)
{
	size_t         n = 0, blind = 0;
	struct target *rows = calloc(TARGETS_MAX, sizeof(*rows));
	if (rows == NULL)
		abort();
	if (rows_targets_of(ctl->rows, cert_id, rows, TARGETS_MAX, &n) == 0)
		for (size_t i = 0; i < n; i++)
			blind += text_equal(rows[i].verify_kind, "none") || text_equal(rows[i].verify_kind, "file");
	free(rows);
	*ret_any = blind > 0;
	*ret_all = n > 0 && blind == n;
}

/* A person wants the old one gone: neither grace nor purpose stand against it. */
static bool old_is_unwanted(struct controller *ctl, const struct order *o)
{
	struct issuance old;
	return !serial_is_none(o->old_serial) && rows_issuance(ctl->rows, o->old_serial, &old) == 0 && old.revoke_asked_at != 0;
}

/* It can be put in use again: it is neither over nor taken back. */
static bool old_is_good(struct controller *ctl, const struct order *o)
{
	struct issuance old;
	if (serial_is_none(o->old_serial) || rows_issuance(ctl->rows, o->old_serial, &old) < 0)
		return false;
	const struct catalog_issuer *issuer = catalog_issuer(ctl->catalog, old.issuer_id);
	bool                         trusted = issuer == NULL || issuer->row.revoked_at == 0;
	return trusted && old.state != ISSUANCE_REVOKED && old.held_at == 0 && old.not_after_at > clock_now();
}

/* What stands against an attempt, before a host is asked for anything; "" = nothing. */
static void prerequisite(struct controller *ctl, const struct certificate *cert, const struct template *t, char ret[CAUSE_SIZE])
{
	const struct catalog_issuer *issuer = t != NULL ? catalog_issuer_for(ctl->catalog, t) : NULL;
	int64_t                      now = clock_now(), not_before, not_after;
	bool                         cut;
	if (t == NULL)
		text_cut(ret, CAUSE_SIZE, "its template is not there any more");
	else if (issuer == NULL || issuer->row.revoked_at != 0 || issuer->row.standing != ISSUER_ISSUES || issuer->row.retired)
		snprintf(ret, CAUSE_SIZE, "no CA signs for template %s: it is revoked, or gives way to one that is not there yet", t->template_id);
	else if (policy_validity(t, issuer->row.not_after_at, now, &not_before, &not_after, &cut) < 0)
		snprintf(ret, CAUSE_SIZE, "CA %s ends before the certificate would", issuer->row.issuer_id);
	else if (!policy_service_fits(t->service, cert->service))
		snprintf(ret, CAUSE_SIZE, "its template is for service %s, not for %s", t->service, cert->service);
}

void order_terms(struct controller *ctl, const struct order *o, const struct order_event *event, const struct certificate *new_cert,
		 struct order_policy *ret)
{
	struct certificate     cert;
	bool                   any_unproved = false, all_unproved = false, unwanted = false;
	bool                   receipt = event->kind == EV_VERIFIED || event->kind == EV_SETTLED || event->kind == EV_KEPT || event->kind == EV_LEFT ||
					  o->phase == ORDER_ROLLING_BACK || o->phase == ORDER_SETTLED;
	const struct template *t = NULL;
	if (new_cert != NULL)
		cert = *new_cert;
	bool known = new_cert != NULL || rows_certificate(ctl->rows, o->cert_id, &cert) == 0;
	if (known)
		t = catalog_policy(ctl->catalog, cert.template_id, cert.service);
	if (receipt) { /* what becomes of the old one is asked of nothing else */
		places_unproved(ctl, o->cert_id, &any_unproved, &all_unproved);
		unwanted = old_is_unwanted(ctl, o);
	}
	*ret = (struct order_policy){
		.pre_validation = t == NULL || t->pre_validation,
		.max_attempts = t != NULL ? t->max_attempts : 1,
		.retry_ms = t != NULL ? t->retry_ms : MS_HOUR,
		.attempt_ms = (o->flags & ORDER_DRILL) != 0 ? fault_ms("VCC_DRILL_MS", DRILL_MS) : ATTEMPT_MS,
		.supersede_grace_ms = unwanted ? 0 : any_unproved ? ctl->conf->grace_unproved_ms : ctl->conf->grace_ms,
		.code_signing = t != NULL && t->purpose == PURPOSE_CODE_SIGNING && !unwanted,
		.post_validation = t == NULL || t->post_validation,
		.crossing_at = t != NULL ? policy_crossing_at(&cert, t, clock_now()) : 0,
		.verified_is_enough = all_unproved,
		.held = restored_holds(ctl),
		.peers = receipt && known && (o->flags & ORDER_PEERS) != 0 && peers_any(ctl->view, &cert),
		.peers_ms = ctl->conf->peer_wait_ms,
		.may_go_back = event->kind == EV_PEERS_REFUSED && old_is_good(ctl, o),
	};
	if (order_flow_may_begin(o->phase))
		prerequisite(ctl, &cert, t, ret->prerequisite);
}

/* order_request.c - room controller/daemon: a host's checked certificate request becomes the intent of its order's attempt.
 * Never: a key of another type than the template's; names from the request. */
#include "controller/daemon/order_request.h"

#include <string.h>

#include "controller/core/policy.h"
#include "controller/daemon/agent_messages.h"
#include "controller/daemon/catalog.h"
#include "controller/daemon/intents.h"
#include "controller/daemon/orders.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/pki/key.h"
#include "shared/sys/clock.h"
#include "shared/sys/log.h"

static int intent_of(struct controller *ctl, const struct order *o, const struct certificate *cert, const struct template *t,
		     struct span spki, struct issuance *ret)
{
	struct cert_facts      facts = {0};
	struct catalog_issuer *issuer = catalog_issuer_for(ctl->catalog, t);
	int64_t                now = clock_now(), not_before = 0, not_after = 0;
	bool                   cut = false;
	if (issuer == NULL || issuer->row.revoked_at != 0)
		return E_CA_REVOKED;
	int r = policy_validity(t, issuer->row.not_after_at, now, &not_before, &not_after, &cut);
	if (r == 0)
		r = policy_facts(cert, t, ctl->conf->organisation, not_before, not_after, &facts);
	if (r < 0)
		return r;
	if (cut)
		log_line(LOG_LEVEL_WARNING, NULL, "certificate %s is cut to the end of issuer %s", cert->cert_id,
			 issuer->row.issuer_id);
	if (spki.n > sizeof(facts.spki))
		return E_PKI_KEY;
	memcpy(facts.spki, spki.p, spki.n);
	facts.spki_len = (uint16_t)spki.n;
	r = intent_make(ctl, issuer, &facts, now, ret);
	if (r < 0)
		return r;
	ret->owner = OWNER_CERTIFICATE;
	text_cut(ret->owner_id, sizeof(ret->owner_id), cert->cert_id);
	ret->renewal_id = o->renewal_id;
	return 0;
}

/* The request is not for this order, or its key is not the template's: the attempt ends. */
static void csr_bad(struct controller *ctl, const struct order *o, int code, const char *cause)
{
	struct order_event ev = {.kind = EV_CSR_BAD, .renewal_id = o->renewal_id, .attempt = o->attempt, .code = code};
	text_cut(ev.cause, sizeof(ev.cause), cause);
	bool stored;
	(void)!orders_event(ctl, &ev, &(struct order_input){0}, &stored); /* the refusal is answered in any case */
}

static bool before_csr(enum order_phase p)
{
	return p == ORDER_ORDERED || p == ORDER_CSR_RECEIVED;
}

int order_request_take(struct controller *ctl, const char *agent, uint64_t id, const struct body_csr *body, struct span spki,
		       enum key_type key_type)
{
	struct order       o;
	struct certificate cert;
	int                r = orders_find(ctl, body->renewal_id, &o);
	if (r < 0)
		return r;
	if (!text_equal(o.agent, agent) || !text_equal(o.cert_id, body->cert_id) || body->attempt > o.attempt)
		return E_NOT_FOUND;
	if ((r = rows_certificate(ctl->rows, o.cert_id, &cert)) < 0)
		return r;
	const struct template *t = catalog_template(ctl->catalog, cert.template_id);
	if (t == NULL)
		return E_POLICY_TEMPLATE;

	struct issuance    intent = {0};
	struct order_event ev = {.kind = EV_CSR, .renewal_id = o.renewal_id, .attempt = body->attempt};
	digest_sha256(spki, &ev.spki_hash);
	if (before_csr(o.phase) && body->attempt == o.attempt) {
		r = key_type == t->key_type ? intent_of(ctl, &o, &cert, t, spki, &intent) : E_POLICY_CSR;
		if (r == E_SYS_AGAIN)
			return r;
		if (r < 0) {
			csr_bad(ctl, &o, r, err_what(r));
			return r;
		}
		ev.serial = intent.serial;
		ev.tbs_hash = intent.tbs_hash;
		orders_note_template(ctl, o.renewal_id, t->version);
	}
	bool stored;
	r = orders_event(ctl, &ev, &(struct order_input){.intent = &intent, .ack_id = id}, &stored);
	if (r == 0 && !stored)
		agent_ack_when_stored(ctl, agent, id, 0); /* a repeat */
	return r;
}

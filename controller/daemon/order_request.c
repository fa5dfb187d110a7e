/* order_request.c - room controller/daemon: a host's checked certificate request becomes the intent of its order's attempt.
 * Never: a key of another type than the template's; names from the request. */
#include "controller/daemon/order_request.h"

#include "controller/daemon/agent_messages.h"
#include "controller/daemon/catalog.h"
#include "controller/daemon/intents.h"
#include "controller/daemon/orders.h"
#include "controller/daemon/policy_walk.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"

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
	const struct template *t = catalog_policy(ctl->catalog, cert.template_id, cert.service);
	if (t == NULL)
		return E_POLICY_TEMPLATE;

	struct issuance    intent = {0};
	struct order_event ev = {.kind = EV_CSR, .renewal_id = o.renewal_id, .attempt = body->attempt};
	digest_sha256(spki, &ev.spki_hash);
	if (before_csr(o.phase) && body->attempt == o.attempt) {
		bool drill = (o.flags & ORDER_DRILL) != 0;
		if (policy_walk_holds(ctl, &cert, t))
			r = E_POLICY_APPROVAL;
		else if (key_type != t->key_type)
			r = E_POLICY_CSR;
		else
			r = intent_key_fits(ctl, cert.cert_id, ev.spki_hash, o.renewal_id, drill || (o.flags & ORDER_FRESH) != 0);
		if (r == 0)
			r = (drill ? intent_for_drill : intent_for)(ctl, &cert, t, spki, o.renewal_id, &intent);
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

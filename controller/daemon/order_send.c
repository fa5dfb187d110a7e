/* order_send.c - room controller/daemon: the messages that an order's host gets: made from its rows, stored with the step, sent afterwards.
 * Never: deciding which; a message that is not in the outbox. */
#include <stdlib.h>
#include <string.h>

#include "controller/core/policy.h"
#include "controller/daemon/catalog.h"
#include "controller/daemon/fleet.h"
#include "controller/daemon/order_applying.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"

enum { MESSAGE_MAX = OUTBOX_FRAME_MAX };

struct send_later {
	char     agent[AGENT_NAME_SIZE];
	uint64_t id;
	bool     urgent;
	size_t   n;
	uint8_t  frame[];
};

static void send_stored(struct controller *ctl, const void *value, size_t n)
{
	(void)n;
	const struct send_later *s = value;
	(void)fleet_send_frame(ctl, s->agent, s->id, (struct span){s->frame, s->n}, s->urgent);
}

static int put_message(struct applying *a, uint16_t type, const void *payload)
{
	const struct order *o = &a->step->next;
	struct buf          frame = BUF_MAX(MESSAGE_MAX);
	uint64_t            id = ++a->ctl->message_id;
	int                 r = wire_encode(&wire_agent, type, id, payload, &frame);
	struct send_later  *later = r == 0 ? calloc(1, sizeof(*later) + frame.n) : NULL;
	if (later != NULL) {
		store_put_outbox(commit_change(a->commit), o->agent, o->renewal_id, id, type, buf_span(&frame));
		text_cut(later->agent, sizeof(later->agent), o->agent);
		later->id = id;
		later->urgent = o->trigger == TRIGGER_EMERGENCY || type == MSG_ROLLBACK;
		later->n = frame.n;
		memcpy(later->frame, frame.p, frame.n);
		commit_then(a->commit, send_stored, later, sizeof(*later) + frame.n);
		free(later);
		*a->message = (struct sent_message){.id = id, .type = type, .renewal_id = o->renewal_id};
		text_cut(a->message->agent, sizeof(a->message->agent), o->agent);
	}
	buf_free(&frame);
	return r;
}

/* Windows are for what can wait (LIFECYCLE 4). */
static bool any_time(struct applying *a, const struct order *o, const struct template *t)
{
	bool late = t != NULL && applying_cert(a) == 0 && a->cert->not_after_at != 0 && a->now >= a->cert->not_after_at - t->emergency_threshold_ms;
	return o->trigger == TRIGGER_EMERGENCY || (o->flags & (ORDER_FORCED | ORDER_NOW | ORDER_DRILL)) != 0 || late;
}

static void service_window(struct applying *a, char *ret, size_t size)
{
	const struct service *s = applying_cert(a) == 0 ? catalog_service(a->ctl->catalog, a->cert->service) : NULL;
	text_cut(ret, size, s != NULL ? s->windows : "");
}

int order_send_order(struct applying *a)
{
	const struct order    *o = &a->step->next;
	const struct template *t = applying_template(a);
	if (t == NULL)
		return E_POLICY_TEMPLATE;
	struct cert_facts facts = {0};
	int               r = policy_facts(a->cert, t, a->ctl->conf->organisation, a->now, a->now + t->validity_ms, &facts);
	if (r < 0)
		return r;
	struct msg_order m = {
		.renewal_id = o->renewal_id,
		.attempt = o->attempt,
		.trigger = (uint32_t)o->trigger,
		.key_type = (uint32_t)facts.key_type,
		.deadline_at = o->deadline_at,
		.post_validation = t->post_validation,
		.any_time = any_time(a, o, t),
		.pre_validation = t->pre_validation,
	};
	service_window(a, m.window, sizeof(m.window));
	text_cut(m.cert_id, sizeof(m.cert_id), o->cert_id);
	text_cut(m.names, sizeof(m.names), facts.names.text);
	text_cut(m.common_name, sizeof(m.common_name), facts.common_name);
	return put_message(a, (o->flags & ORDER_DRILL) != 0 ? MSG_DRILL : MSG_ORDER, &m);
}

/* What the host would have learnt from its order. */
static int say_order(struct applying *a, const struct template *t, struct msg_certificate *m)
{
	struct cert_facts facts = {0};
	int               r = t == NULL ? E_POLICY_TEMPLATE : policy_facts(a->cert, t, a->ctl->conf->organisation, a->now, a->now + t->validity_ms, &facts);
	if (r < 0)
		return r;
	m->staged = true;
	m->key_type = (uint32_t)facts.key_type;
	m->pre_validation = t->pre_validation;
	text_cut(m->names, sizeof(m->names), facts.names.text);
	text_cut(m->common_name, sizeof(m->common_name), facts.common_name);
	return 0;
}

int order_send_certificate(struct applying *a)
{
	const struct order *o = &a->step->next;
	int                 r = applying_mine(a);
	if (r < 0)
		return r;
	const struct catalog_issuer *issuer = catalog_issuer(a->ctl->catalog, a->mine.issuer_id);
	const struct template       *t = applying_template(a);
	if (issuer == NULL || a->mine.state == ISSUANCE_INTENT)
		return E_INTERNAL;
	struct msg_certificate m = {
		.renewal_id = o->renewal_id,
		.attempt = o->attempt,
		.trigger = (uint32_t)o->trigger,
		.deadline_at = o->deadline_at,
		.post_validation = t == NULL || t->post_validation,
		.any_time = any_time(a, o, t),
		.stage = a->mine.spki_hash,
		.certificate = {a->mine.der, a->mine.der_len},
		.chain = issuer->chain,
	};
	service_window(a, m.window, sizeof(m.window));
	text_cut(m.cert_id, sizeof(m.cert_id), o->cert_id);
	r = (o->flags & ORDER_STAGED) != 0 ? say_order(a, t, &m) : 0;
	return r == 0 ? put_message(a, MSG_CERTIFICATE, &m) : r;
}

int order_send_cancel(struct applying *a)
{
	const struct order *o = &a->step->next;
	struct msg_cancel   m = {.renewal_id = o->renewal_id, .attempt = o->attempt, .code = o->code};
	text_cut(m.cert_id, sizeof(m.cert_id), o->cert_id);
	return put_message(a, MSG_CANCEL, &m);
}

/* No window keeps a service in what somebody wants to be rid of. */
int order_send_rollback(struct applying *a)
{
	const struct order *o = &a->step->next;
	int                 r = applying_old(a);
	if (r < 0)
		return r;
	const struct catalog_issuer *issuer = a->old_read ? catalog_issuer(a->ctl->catalog, a->old.issuer_id) : NULL;
	if (issuer == NULL)
		return E_INTERNAL;
	struct msg_certificate m = {
		.renewal_id = o->renewal_id,
		.attempt = o->attempt,
		.trigger = (uint32_t)o->trigger,
		.deadline_at = o->deadline_at,
		.post_validation = true,
		.any_time = true,
		.stage = a->old.spki_hash,
		.certificate = {a->old.der, a->old.der_len},
		.chain = issuer->chain,
	};
	text_cut(m.cert_id, sizeof(m.cert_id), o->cert_id);
	return put_message(a, MSG_ROLLBACK, &m);
}

int order_send_nothing(struct applying *a)
{
	store_remove_outbox(commit_change(a->commit), a->was->agent, a->was->renewal_id);
	*a->message = (struct sent_message){.renewal_id = a->was->renewal_id};
	return 0;
}

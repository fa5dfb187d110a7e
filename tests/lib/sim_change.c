/* sim_change.c - room tests/lib: the actions of one step of an order as one change of the store.
 * A row that several actions touch is read once and written once: a second read would not see the first write.
 * Never: acting; what follows a commit is in sim_control.c. */
#include <stdio.h>
#include <string.h>

#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/wire/wire.h"
#include "tests/lib/sim.h"

struct row {
	struct issuance i;
	bool            there, dirty;
};

struct build {
	struct sim               *s;
	struct sim_change        *c;
	const struct order       *o;
	const struct order_event *event;
	struct certificate        cert;
	bool                      cert_dirty;
	struct row                mine, old;
};

void cert_name(int agent, int cert, char ret[CERT_ID_SIZE])
{
	snprintf(ret, CERT_ID_SIZE, "a%d-c%d", agent, cert);
}

bool cert_find(const char *cert_id, int *ret_agent, int *ret_cert)
{
	return sscanf(cert_id, "a%d-c%d", ret_agent, ret_cert) == 2;
}

static struct issuance *row_of(struct build *b, struct row *r, struct serial serial)
{
	if (!r->there && view_issuance(b->s->view, serial, &r->i) != 0)
		sim_error(b->s, "%s: an issuance is missing", b->o->cert_id);
	r->there = r->dirty = true;
	return &r->i;
}

static struct certificate *cert_of(struct build *b)
{
	b->cert_dirty = true;
	return &b->cert;
}

/* ---- messages ---- */

static struct sim_msg message_of(struct build *b, uint16_t type)
{
	const struct order *o = b->o;
	struct sim_msg      m = {
		     .type = type, .renewal_id = o->renewal_id, .attempt = o->attempt, .trigger = o->trigger, .code = o->code};
	int agent = 0;
	m.id = ++b->s->controller.message_id;
	m.deadline_at = o->deadline_at;
	m.post_validation = b->s->template.post_validation;
	if (!cert_find(o->cert_id, &agent, &m.cert))
		sim_error(b->s, "%s is no certificate of ours", o->cert_id);
	return m;
}

static void send(struct build *b, uint16_t type)
{
	struct sim_msg m = message_of(b, type);
	if (type == MSG_CERTIFICATE) {
		bool             known = b->mine.there;
		const bool       was_dirty = b->mine.dirty;
		struct issuance *i = row_of(b, &b->mine, b->o->serial);
		b->mine.dirty = known && was_dirty;
		m.stage = b->o->spki_hash;
		m.fingerprint = b->o->fingerprint;
		m.serial = b->o->serial;
		m.not_after_at = i->not_after_at;
	}
	store_put_outbox(b->c->change, b->o->agent, b->o->renewal_id, m.id, type,
			 (struct span){(const uint8_t *)&m, sizeof(m)});
	b->c->send = m;
	b->c->has_send = true;
}

/* ---- issuances ---- */

static void add_intent(struct build *b)
{
	struct row *r = &b->mine;
	bool        cut = false;
	r->i = (struct issuance){
		.serial = b->o->serial, .owner = OWNER_CERTIFICATE, .renewal_id = b->o->renewal_id, .state = ISSUANCE_INTENT};
	memcpy(r->i.owner_id, b->o->cert_id, sizeof(r->i.owner_id));
	memcpy(r->i.issuer_id, "service-1", sizeof("service-1"));
	r->i.tbs_hash = b->o->tbs_hash;
	r->i.spki_hash = b->o->spki_hash;
	r->i.created_at = b->s->now;
	r->i.supersede_at = TIME_NEVER;
	if (policy_validity(&b->s->template, TIME_NEVER - 1, b->s->now, &r->i.not_before_at, &r->i.not_after_at, &cut) != 0)
		sim_error(b->s, "no validity");
	store_add_issuance(b->c->change, &r->i);
	r->there = true;
}

static void certificate_now(struct build *b, const struct issuance *i, bool proved)
{
	struct certificate *c = cert_of(b);
	c->serial = i->serial;
	c->fingerprint = i->fingerprint;
	c->not_before_at = i->not_before_at;
	c->not_after_at = i->not_after_at;
	c->proved = proved;
	c->renew_at = policy_renew_at(&b->s->template, c->cert_id, i->serial, i->not_before_at, i->not_after_at, &b->s->limits);
}

static void store_issued(struct build *b)
{
	struct issuance *i = row_of(b, &b->mine, b->o->serial);
	i->state = ISSUANCE_ISSUED;
	i->fingerprint = b->event->fingerprint;
	memcpy(i->der, i->fingerprint.b, sizeof(i->fingerprint.b));
	i->der_len = sizeof(i->fingerprint.b);
	if (serial_is_none(b->cert.serial))
		certificate_now(b, i, false);
}

static void prove(struct build *b)
{
	struct issuance *i = row_of(b, &b->mine, b->o->serial);
	i->state = ISSUANCE_ACTIVE;
	i->proved_at = b->s->now;
	certificate_now(b, i, true);
	if (serial_is_none(b->o->old_serial))
		return;
	struct issuance *old = row_of(b, &b->old, b->o->old_serial);
	if (old->state == ISSUANCE_ACTIVE || old->state == ISSUANCE_ISSUED)
		old->state = ISSUANCE_RENEWED;
}

static void revoke_new(struct build *b)
{
	struct issuance *i = row_of(b, &b->mine, b->o->serial);
	i->state = ISSUANCE_REVOKED;
	i->revoked_at = b->s->now;
	i->revoke_reason = REASON_SUPERSEDED;
	if (!serial_equal(b->cert.serial, i->serial))
		return;
	if (serial_is_none(b->o->old_serial)) {
		struct certificate *c = cert_of(b);
		c->serial = (struct serial){0};
		c->fingerprint = (struct hash){0};
		c->not_before_at = c->not_after_at = 0;
		c->proved = false;
		c->renew_at = b->s->now;
		return;
	}
	struct issuance *old = row_of(b, &b->old, b->o->old_serial);
	if (old->state == ISSUANCE_RENEWED)
		old->state = ISSUANCE_ACTIVE;
	old->supersede_at = TIME_NEVER;
	certificate_now(b, old, old->proved_at != 0);
}

static void count_renewal(struct build *b)
{
	struct certificate *c = cert_of(b);
	c->unattended = order_flow_attended(b->o) ? 0 : c->unattended + 1;
}

static void add_audit(struct build *b, const struct order_action *a)
{
	static const enum audit_event events[ORDER_AUDIT_COUNT] = {
		[ORDER_AUDIT_INTENT] = AUDIT_CERTIFICATE_INTENT,   [ORDER_AUDIT_ISSUED] = AUDIT_CERTIFICATE_ISSUED,
		[ORDER_AUDIT_PROVED] = AUDIT_CERTIFICATE_PROVED,   [ORDER_AUDIT_COMPLETED] = AUDIT_RENEWAL_COMPLETED,
		[ORDER_AUDIT_FAILED] = AUDIT_RENEWAL_FAILED,       [ORDER_AUDIT_PAUSED] = AUDIT_RENEWAL_PAUSED,
		[ORDER_AUDIT_CANCELLED] = AUDIT_RENEWAL_CANCELLED, [ORDER_AUDIT_VOIDED] = AUDIT_INTENT_VOIDED,
		[ORDER_AUDIT_STEP] = AUDIT_RENEWAL_STEP,           [ORDER_AUDIT_MISMATCH] = AUDIT_MESSAGE_REFUSED,
		[ORDER_AUDIT_ROLLBACK_ASKED] = AUDIT_ROLLBACK_ASKED, [ORDER_AUDIT_ROLLED_BACK] = AUDIT_RENEWAL_ROLLED_BACK,
		[ORDER_AUDIT_ROLLBACK_FAILED] = AUDIT_ROLLBACK_FAILED,
		[ORDER_AUDIT_PEERS_PROVED] = AUDIT_PEERS_PROVED, [ORDER_AUDIT_PEERS_REFUSED] = AUDIT_PEERS_REFUSED,
	};
	struct audit row = {.at = b->s->now, .event = events[a->audit], .renewal_id = a->renewal_id, .actor = "controller"};
	char         serial[SERIAL_TEXT_SIZE];
	memcpy(row.object, b->o->cert_id, sizeof(row.object));
	snprintf(row.detail, sizeof(row.detail), "{\"serial\":\"%s\",\"code\":%d}", serial_text(a->serial, serial), a->code);
	store_add_audit(b->c->change, &row);
}

static void reserve_stage(struct build *b)
{
	struct staged_key stage;
	if (view_stage(b->s->view, b->o->cert_id, &stage) != 0 || !hash_equal(stage.spki_hash, b->o->spki_hash)) {
		sim_error(b->s, "%s: an order begins with a key that nobody staged", b->o->cert_id);
		return;
	}
	stage.renewal_id = b->o->renewal_id;
	store_put_stage(b->c->change, &stage);
}

static void apply(struct build *b, const struct order_action *a)
{
	switch (a->kind) {
	case ACT_SEND_ORDER:
		send(b, MSG_ORDER);
		break;
	case ACT_SEND_CERTIFICATE:
		send(b, MSG_CERTIFICATE);
		break;
	case ACT_SEND_CANCEL:
		send(b, MSG_CANCEL);
		break;
	case ACT_SEND_ROLLBACK:
		send(b, MSG_ROLLBACK);
		break;
	case ACT_KEEP_OLD:
		row_of(b, &b->old, b->o->old_serial)->supersede_at = TIME_NEVER;
		break;
	case ACT_REOPEN:
		cert_of(b)->open_order = b->o->renewal_id;
		break;
	case ACT_CLEAR_OUTBOX:
		store_remove_outbox(b->c->change, b->o->agent, b->o->renewal_id);
		break;
	case ACT_ADD_INTENT:
		add_intent(b);
		break;
	case ACT_STORE_ISSUED:
		store_issued(b);
		break;
	case ACT_VOID_INTENT:
		row_of(b, &b->mine, b->o->serial)->state = ISSUANCE_VOID;
		break;
	case ACT_PROVE:
		prove(b);
		break;
	case ACT_ADOPT:
		certificate_now(b, row_of(b, &b->mine, b->o->serial), false);
		break;
	case ACT_SUPERSEDE:
		row_of(b, &b->old, a->serial)->supersede_at = a->at;
		break;
	case ACT_REVOKE_NEW:
		revoke_new(b);
		break;
	case ACT_COUNT_RENEWAL:
		count_renewal(b);
		break;
	case ACT_CLOSE:
		if (id_equal(b->cert.open_order, b->o->renewal_id))
			cert_of(b)->open_order = (struct id){0};
		break;
	case ACT_AUDIT:
		add_audit(b, a);
		break;
	case ACT_RESERVE_STAGE:
		reserve_stage(b);
		break;
	case ACT_USE_STAGE:
	case ACT_DROP_STAGE:
		store_remove_stage(b->c->change, b->o->cert_id);
		break;
	case ACT_SIGN:
	case ACT_ASK_PEERS: /* nobody relies on anything here */
	case ACT_KIND_COUNT:
		break;
	}
}

void change_of_step(struct sim *s, const struct order_step *step, const struct order_event *e, struct sim_change *c)
{
	struct build b = {.s = s, .c = c, .o = &step->next, .event = e};
	if (view_certificate(s->view, step->next.cert_id, &b.cert) != 0)
		sim_error(s, "%s: no such certificate", step->next.cert_id);
	uint64_t version = b.cert.version;
	store_put_order(c->change, &step->next);
	for (size_t i = 0; i < step->n_act; i++) {
		sim_trace(s, "order %s act %s", step->next.cert_id, order_action_name(step->act[i].kind));
		apply(&b, &step->act[i]);
	}
	if (e->kind == EV_DISPATCH && step->next.attempt == 1) /* a new order: the certificate names it */
		cert_of(&b)->open_order = step->next.renewal_id;
	if (b.cert_dirty)
		store_put_certificate(c->change, &b.cert, version);
	if (b.mine.dirty)
		store_put_issuance(c->change, &b.mine.i);
	if (b.old.dirty)
		store_put_issuance(c->change, &b.old.i);
	c->step = *step;
	c->has_step = true;
}

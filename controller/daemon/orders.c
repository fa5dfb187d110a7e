/* orders.c - room controller/daemon: the table of open orders and the way of an event through it.
 * Never: verbs of the store for single actions (order_actions.c). */
#include "controller/daemon/orders.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/daemon/agent_messages.h"
#include "controller/daemon/campaigns.h"
#include "controller/daemon/catalog.h"
#include "controller/daemon/fleet.h"
#include "controller/daemon/intents.h"
#include "controller/daemon/order_actions.h"
#include "controller/daemon/order_terms.h"
#include "controller/daemon/orders_part.h"
#include "controller/daemon/peers.h"
#include "controller/daemon/poison.h"
#include "controller/daemon/restored.h"
#include "controller/daemon/stages.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/sys/clock.h"
#include "shared/sys/fault.h"
#include "shared/sys/log.h"

int orders_open(struct controller *ctl, struct orders **ret)
{
	(void)ctl;
	struct orders *o = calloc(1, sizeof(*o));
	if (o == NULL)
		return E_NOMEM;
	int r = sent_messages_open(&o->sent);
	if (r < 0) {
		free(o);
		return r;
	}
	*ret = o;
	return 0;
}

void orders_free(struct orders *o)
{
	if (o == NULL)
		return;
	struct order_entry *e, *tmp;
	HASH_CLEAR(by_cert, o->drills);
	HASH_ITER (hh, o->open, e, tmp) {
		HASH_DEL(o->open, e);
		free(e);
	}
	sent_messages_free(o->sent);
	free(o);
}

/* ---- the table ------------------------------------------------------------------------------------------------- */

struct order_entry *orders_entry(const struct controller *ctl, struct id renewal_id)
{
	struct order_entry *e = NULL;
	HASH_FIND(hh, ctl->orders->open, &renewal_id, sizeof(renewal_id), e);
	return e;
}

static struct order_entry *drill_find(const struct controller *ctl, const char *cert_id)
{
	struct order_entry *e = NULL;
	HASH_FIND(by_cert, ctl->orders->drills, cert_id, strlen(cert_id), e);
	return e;
}

/* After every change of its state. */
static void drill_keep(struct controller *ctl, struct order_entry *e)
{
	bool open = (e->o.flags & ORDER_DRILL) != 0 && !order_phase_final(e->o.phase);
	if (open && !e->is_drill && drill_find(ctl, e->o.cert_id) == NULL) {
		HASH_ADD_KEYPTR(by_cert, ctl->orders->drills, e->o.cert_id, strlen(e->o.cert_id), e);
		e->is_drill = true;
	} else if (!open && e->is_drill) {
		HASH_DELETE(by_cert, ctl->orders->drills, e);
		e->is_drill = false;
	}
}

static void entry_free(struct controller *ctl, struct order_entry *e)
{
	if (e->is_drill)
		HASH_DELETE(by_cert, ctl->orders->drills, e);
	HASH_DEL(ctl->orders->open, e);
	free(e);
}

struct order_entry *orders_entry_add(struct controller *ctl, const struct order *o)
{
	struct order_entry *e = calloc(1, sizeof(*e));
	if (e == NULL)
		abort();
	e->o = *o;
	HASH_ADD(hh, ctl->orders->open, o.renewal_id, sizeof(e->o.renewal_id), e);
	drill_keep(ctl, e);
	return e;
}

static void forget_if_over(struct controller *ctl, struct order_entry *e)
{
	if (e->pending > 0 || !order_phase_final(e->o.phase))
		return;
	entry_free(ctl, e);
}

struct sent_messages *orders_sent(struct controller *ctl)
{
	return ctl->orders->sent;
}

void orders_note_template(struct controller *ctl, struct id renewal_id, uint32_t version)
{
	struct order_entry *e = orders_entry(ctl, renewal_id);
	if (e != NULL)
		e->o.template_version = version;
}

bool orders_urgent(const struct controller *ctl, struct id renewal_id)
{
	const struct order_entry *e = orders_entry(ctl, renewal_id);
	return e != NULL && e->o.trigger == TRIGGER_EMERGENCY;
}

uint32_t orders_count(const struct controller *ctl)
{
	return HASH_COUNT(ctl->orders->open);
}

int orders_find(struct controller *ctl, struct id renewal_id, struct order *ret)
{
	const struct order_entry *e = orders_entry(ctl, renewal_id);
	if (e == NULL)
		return view_order(ctl->view, renewal_id, ret);
	*ret = e->o;
	return 0;
}

const struct order *orders_of(struct controller *ctl, const struct certificate *cert)
{
	const struct order_entry *e = id_is_none(cert->open_order) ? NULL : orders_entry(ctl, cert->open_order);
	return e != NULL ? &e->o : NULL;
}

/* ---- after the commit ------------------------------------------------------------------------------------------ */

static void on_stored(struct controller *ctl, const void *value, size_t n)
{
	(void)n;
	struct id     id;
	struct order_entry *e;
	memcpy(&id, value, sizeof(id));
	if ((e = orders_entry(ctl, id)) == NULL)
		return;
	e->pending--;
	forget_if_over(ctl, e);
}

/* What we thought to be the next state never became true: back to the stored one, and ask the agent again. */
static void on_lost(struct controller *ctl, const void *value, size_t n)
{
	(void)n;
	struct id     id;
	struct order_entry *e;
	memcpy(&id, value, sizeof(id));
	if ((e = orders_entry(ctl, id)) == NULL)
		return;
	e->pending--;
	fleet_rewelcome(ctl, e->o.agent);
	if (e->pending > 0)
		return;
	if (view_order(ctl->view, id, &e->o) < 0) {
		entry_free(ctl, e); /* it was never created; if it cannot be read, its next event brings it back */
		return;
	}
	drill_keep(ctl, e);
	e->restart_at = clock_now() + ORDER_RELOAD_MS;
	forget_if_over(ctl, e);
}

/* ---- events ---------------------------------------------------------------------------------------------------- */

void orders_take_over(struct controller *ctl, struct order_entry *e, struct commit *commit, const struct order *next,
		      const struct sent_message *sent)
{
	e->o = *next;
	drill_keep(ctl, e);
	e->pending++;
	if (next->phase == ORDER_COMPLETED)
		poison_forget(ctl->poison, next->cert_id);
	commit_then(commit, on_stored, &e->o.renewal_id, sizeof(e->o.renewal_id));
	commit_else(commit, on_lost, &e->o.renewal_id, sizeof(e->o.renewal_id));
	if (!id_is_none(sent->renewal_id))
		sent_message_set(ctl->orders->sent, sent);
}

static void run_live_actions(struct controller *ctl, const struct order_step *step)
{
	for (size_t i = 0; i < step->n_act; i++)
		if (step->act[i].kind == ACT_SIGN) {
			struct ticket t = order_actions_ticket(&step->next);
			order_actions_sign(ctl, &t, sizeof(t));
		} else if (step->act[i].kind == ACT_ASK_PEERS) {
			peers_look(ctl, &step->next.renewal_id, sizeof(step->next.renewal_id));
		}
}

static const char *const fault_points[EV_KIND_COUNT][2] = {
	[EV_APPROVED] = {"controller.approved", "controller.approved_stored"},
	[EV_CSR] = {"controller.intent", "controller.intent_stored"},
	[EV_ISSUED] = {"controller.issued", "controller.issued_stored"},
	[EV_TIMER] = {"controller.timer", "controller.timer_stored"},
	[EV_CANCEL] = {"controller.cancel", "controller.cancel_stored"},
	[EV_PEERS_PROVED] = {"controller.peers_proved", "controller.peers_proved_stored"},
	[EV_PEERS_REFUSED] = {"controller.peers_refused", "controller.peers_refused_stored"},
};

static int store_step(struct controller *ctl, struct order_entry *e, const struct order_event *event, const struct order_step *step,
		      const struct order_input *in)
{
	struct commit      *commit = in->commit != NULL ? in->commit : commit_new(ctl);
	struct sent_message sent = {0};
	int                 r = order_actions_apply(ctl, commit, NULL, &e->o, step, in, &sent);
	if (r < 0) {
		char code[ERR_CODE_SIZE], id[ID_TEXT_SIZE];
		log_line(LOG_LEVEL_ERROR, NULL, "order %s: the step for event %s cannot be stored: %s",
			 id_text(e->o.renewal_id, id), order_event_name(event->kind), err_code(r, code));
		if (in->commit == NULL)
			commit_drop(commit);
		return r;
	}
	campaigns_order_moved(ctl, commit, &e->o, &step->next);
	orders_take_over(ctl, e, commit, &step->next, &sent);
	if (in->commit != NULL)
		return 0;
	if (in->ack_id != 0) {
		struct ack_later ack = {.id = in->ack_id};
		text_cut(ack.agent, sizeof(ack.agent), e->o.agent);
		commit_then(commit, agent_ack_then, &ack, sizeof(ack));
	}
	if (fault_points[event->kind][0] != NULL)
		commit_fault_points(commit, fault_points[event->kind][0], fault_points[event->kind][1]);
	commit_now(commit, in->done, in->ctx);
	return 0;
}

/* Would this event begin an attempt, if nothing stands against it? */
bool orders_begins_attempt(const struct order *o, enum order_event_kind kind, int64_t now)
{
	if (o->phase == ORDER_AWAITING_APPROVAL)
		return kind == EV_APPROVED;
	return order_flow_may_begin(o->phase) && (kind == EV_DISPATCH || kind == EV_NOW || (kind == EV_TIMER && o->next_at <= now));
}

static int take_event(struct controller *ctl, struct order_entry *e, const struct order_event *event, const struct order_input *in, bool *ret_stored)
{
	struct order_policy policy;
	struct order_step   step;
	struct order_event  ev = *event;
	random_bytes(&ev.random, sizeof(ev.random));
	order_terms(ctl, &e->o, &ev, NULL, &policy);
	struct issuance    staged;
	struct order_input with = *in;
	int64_t            now = clock_now();
	uint32_t           version = orders_begins_attempt(&e->o, ev.kind, now) ? stages_begin(ctl, &e->o, NULL, &policy, &ev, &staged) : 0;
	int r = ev.kind != EV_PARK && fault_point_of("controller.handle", e->o.cert_id) != 0 ? E_INTERNAL : order_flow_step(&e->o, &ev, now, &policy, &step);
	if (version != 0)
		with.intent = &staged, step.next.template_version = version;
	if (r == 0 && step.durable) {
		r = store_step(ctl, e, &ev, &step, &with);
		*ret_stored = r == 0;
	} else if (r == 0) {
		e->o = step.next;
		run_live_actions(ctl, &step);
	}
	return r;
}

/* While it is in hand nobody else is to blame. */
static int hold_and_take(struct controller *ctl, struct order_entry *e, const struct order_event *event, const struct order_input *in, bool *ret_stored)
{
	struct poison_hold hold;
	poison_enter(ctl->poison, e->o.cert_id, &hold);
	int r = take_event(ctl, e, event, in, ret_stored);
	poison_leave(ctl->poison, &hold);
	return r;
}

void orders_park(struct controller *ctl, struct order_entry *e, const char *cause)
{
	struct order_event ev = {.kind = EV_PARK, .renewal_id = e->o.renewal_id, .code = E_ORDER_POISON};
	bool               stored = false;
	char               id[ID_TEXT_SIZE];
	text_cut(ev.cause, sizeof(ev.cause), cause);
	log_line(LOG_LEVEL_ERROR, NULL, "%s: order %s rests: %s", e->o.cert_id, id_text(e->o.renewal_id, id), cause);
	(void)!hold_and_take(ctl, e, &ev, &(struct order_input){0}, &stored);
}

int orders_event(struct controller *ctl, const struct order_event *event, const struct order_input *in, bool *ret_stored)
{
	struct order_entry *e = orders_entry(ctl, event->renewal_id);
	*ret_stored = false;
	if (e == NULL) {
		struct order stored;
		int          r = view_order(ctl->view, event->renewal_id, &stored);
		if (r < 0)
			return r;
		e = orders_entry_add(ctl, &stored);
	}
	if (in->who == NULL && poison_rests(ctl->poison, e->o.cert_id))
		return 0; /* whatever its host or the signer says of it: nothing is done about it; a receipt is kept all the same */
	int r = hold_and_take(ctl, e, event, in, ret_stored);
	e->broken = r < 0 && err_kind(r) == ERR_KIND_BUG ? e->broken + 1 : 0;
	if (e->broken >= POISON_TRIES && e->pending == 0) {
		e->broken = 0; /* also when it cannot even be laid to rest: not at every tick */
		orders_park(ctl, e, err_what(r));
	} else if (!*ret_stored) {
		forget_if_over(ctl, e);
	}
	return r;
}

/* An event that nobody waits for. */
void orders_drive(struct controller *ctl, const struct order_event *event, const struct order_input *in)
{
	bool stored;
	int  r = orders_event(ctl, event, in, &stored);
	if (r < 0 && r != E_NOT_FOUND) {
		char code[ERR_CODE_SIZE], id[ID_TEXT_SIZE];
		log_line(LOG_LEVEL_WARNING, NULL, "order %s: event %s failed: %s", id_text(event->renewal_id, id),
			 order_event_name(event->kind), err_code(r, code));
	}
}

/* ---- drills ---------------------------------------------------------------------------------------------------- */

const struct order *orders_drill_of(const struct controller *ctl, const char *cert_id)
{
	const struct order_entry *e = drill_find(ctl, cert_id);
	return e != NULL ? &e->o : NULL;
}

int orders_end_drill(struct controller *ctl, struct commit *commit, const char *cert_id, const struct caller *who)
{
	const struct order_entry *e = drill_find(ctl, cert_id);
	bool                stored;
	if (e == NULL)
		return 0;
	struct order_event ev = {.kind = EV_CANCEL, .renewal_id = e->o.renewal_id, .code = E_DRILL_GAVE_WAY};
	text_cut(ev.cause, sizeof(ev.cause), err_what(E_DRILL_GAVE_WAY));
	return orders_event(ctl, &ev, &(struct order_input){.commit = commit, .who = who}, &stored);
}

/* ---- from agents ----------------------------------------------------------------------------------------------- */

static void on_refused_message(struct controller *ctl, const struct sent_message *m, int code, const char *text)
{
	struct order o;
	if (orders_find(ctl, m->renewal_id, &o) < 0)
		return;
	struct order_event ev = {.kind = m->type == MSG_CERTIFICATE ? EV_ANSWER_REFUSED : EV_TARGET_FAILED,
				 .renewal_id = o.renewal_id,
				 .attempt = o.attempt,
				 .code = code};
	text_cut(ev.cause, sizeof(ev.cause), text);
	orders_drive(ctl, &ev, &(struct order_input){0});
}

/* The outbox keeps what an order still wants; a cancel is the last word and goes when it has arrived. */
static void on_cancel_acked(struct controller *ctl, const struct sent_message *m)
{
	struct commit *c = commit_new(ctl);
	store_remove_outbox(commit_change(c), m->agent, m->renewal_id);
	commit_now(c, NULL, NULL);
	sent_message_set(ctl->orders->sent, &(struct sent_message){.renewal_id = m->renewal_id});
}

void orders_acked(struct controller *ctl, const char *agent, uint64_t message_id, int code, const char *text)
{
	struct sent_message sent;
	if (!sent_message_find(ctl->orders->sent, message_id, &sent) || !text_equal(sent.agent, agent))
		return; /* of a message that was replaced meanwhile */
	if (sent.type == MSG_CANCEL)
		on_cancel_acked(ctl, &sent);
	else if (code < 0)
		on_refused_message(ctl, &sent, code, text);
	else if (sent.type == MSG_CERTIFICATE)
		orders_drive(ctl, &(struct order_event){.kind = EV_DELIVERED, .renewal_id = sent.renewal_id},
		      &(struct order_input){0});
}

void orders_live_step(struct controller *ctl, const char *agent, const struct msg_step *step)
{
	const struct order_entry *e = orders_entry(ctl, step->renewal_id);
	char                fields[160], id[ID_TEXT_SIZE], code[ERR_CODE_SIZE];
	if (e == NULL || !text_equal(e->o.agent, agent) || step->attempt != e->o.attempt || step->step >= STEP_COUNT)
		return;
	(void)snprintf(fields, sizeof(fields), "VCC_AGENT=%s VCC_CERT_ID=%s VCC_RENEWAL=%s", agent, e->o.cert_id,
		       id_text(e->o.renewal_id, id));
	log_line(step->code == 0 ? LOG_LEVEL_DEBUG : LOG_LEVEL_NOTICE, fields, "%s: step %s: %s", e->o.cert_id,
		 workflow_step_name((enum workflow_step)step->step), step->code == 0 ? "done" : err_code(step->code, code));
}

void orders_renamed(struct controller *ctl, const char *from, const char *to)
{
	struct order_entry *e, *tmp;
	HASH_ITER (hh, ctl->orders->open, e, tmp)
		if (text_equal(e->o.agent, from))
			text_cut(e->o.agent, sizeof(e->o.agent), to);
	sent_messages_renamed(ctl->orders->sent, from, to);
}

void orders_try_paused(struct controller *ctl, const char *agent)
{
	struct order_entry *e, *tmp;
	HASH_ITER (hh, ctl->orders->open, e, tmp)
		if (e->o.phase == ORDER_PAUSED && e->pending == 0 && text_equal(e->o.agent, agent) && !poison_rests(ctl->poison, e->o.cert_id))
			orders_drive(ctl, &(struct order_event){.kind = EV_DISPATCH, .renewal_id = e->o.renewal_id}, &(struct order_input){0});
}

/* ---- from the signer, the clock -------------------------------------------------------------------------------- */

/* What was asked of a CA before it gave way, and reached the signer after it was closed, is for its successor. One that we believe to
 * sign is another matter: somebody has to look. */
static int refusal_of(struct controller *ctl, const struct ticket *t, int code)
{
	struct issuance              intent;
	const struct catalog_issuer *issuer = NULL;
	if (code == E_SIGNER_CLOSED && rows_issuance(ctl->rows, t->serial, &intent) == 0)
		issuer = catalog_issuer(ctl->catalog, intent.issuer_id);
	return issuer != NULL && issuer->row.standing == ISSUER_DRAINS ? E_CA_GIVES_WAY : code;
}

/* As what ends us: only a person's word lets it be tried again. */
static void rests_for_signer(struct controller *ctl, const struct ticket *t, const char *cause)
{
	struct order o;
	if (orders_find(ctl, t->renewal_id, &o) < 0 || o.phase != ORDER_SIGNING || o.attempt != t->attempt)
		return;
	struct order_event ev = {.kind = EV_PARK, .renewal_id = t->renewal_id, .attempt = t->attempt, .code = E_ORDER_POISON};
	text_cut(ev.cause, sizeof(ev.cause), cause);
	orders_drive(ctl, &ev, &(struct order_input){0});
	poison_lay(ctl->poison, o.cert_id);
}

void orders_signed(struct controller *ctl, const struct ticket *t, const struct signed_answer *a)
{
	struct issuance    intent, issued;
	struct order_event ev = {.kind = EV_ISSUED, .renewal_id = t->renewal_id, .attempt = t->attempt, .serial = t->serial};
	struct order_input in = {.issued = &issued};
	int                r = a->code;
	if (r == E_ORDER_POISON) {
		rests_for_signer(ctl, t, a->text);
		return;
	}
	if (r == 0)
		r = rows_issuance(ctl->rows, t->serial, &intent);
	if (r == 0 && intent.state != ISSUANCE_INTENT)
		return; /* answered twice, or the order ended meanwhile */
	if (r == 0)
		r = intent_signed(&intent, a->der, &issued);
	if (r == 0) {
		ev.fingerprint = issued.fingerprint;
	} else {
		ev.kind = EV_SIGN_FAILED;
		ev.code = refusal_of(ctl, t, r);
		text_cut(ev.cause, sizeof(ev.cause), a->code != 0 && a->text[0] != '\0' ? a->text : err_what(r));
	}
	orders_drive(ctl, &ev, &in);
}

/* What the relying parties said in time counts, though it could not be stored then, or the order was held: true = it moves by that, or
 * stays held. */
static bool peers_late(struct controller *ctl, struct order_entry *e)
{
	if (restored_holds(ctl))
		return true;
	peers_look(ctl, &e->o.renewal_id, sizeof(e->o.renewal_id));
	return e->pending > 0 || e->o.phase != ORDER_SETTLED;
}

void orders_tick(struct controller *ctl, int64_t now)
{
	struct order_entry *e, *tmp;
	HASH_ITER (hh, ctl->orders->open, e, tmp) {
		struct order_event ev = {.kind = EV_TIMER, .renewal_id = e->o.renewal_id};
		if (e->pending > 0 || poison_rests(ctl->poison, e->o.cert_id))
			continue;
		if (e->restart_at != 0 && e->restart_at <= now) {
			e->restart_at = 0;
			ev.kind = e->o.phase == ORDER_PLANNED ? EV_DISPATCH : EV_RESTART;
		} else if (e->o.phase == ORDER_PLANNED) {
			ev.kind = EV_DISPATCH;
		} else if (e->o.next_at > now) {
			continue;
		} else if (e->o.phase == ORDER_SETTLED && e->o.deadline_at <= now) {
			if (peers_late(ctl, e))
				continue;
			peers_missing(ctl, &e->o, ev.cause);
		}
		orders_drive(ctl, &ev, &(struct order_input){0});
	}
}

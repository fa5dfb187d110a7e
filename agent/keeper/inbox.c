/* inbox.c - room agent/keeper: what arrives from the controller and from the link, checked and turned into events.
 * Never: acting on a message itself, except bundle and identity, which are no deployments. */
#include "agent/keeper/inbox.h"

#include <stdlib.h>
#include <string.h>

#include "agent/keeper/care.h"
#include "agent/keeper/crl_fetch.h"
#include "agent/keeper/identity_check.h"
#include "agent/keeper/keeper_clock.h"
#include "agent/keeper/keeper_health.h"
#include "agent/keeper/keeper_inventory.h"
#include "agent/keeper/keeper_journal.h"
#include "agent/keeper/peer_look.h"
#include "agent/keeper/place.h"
#include "agent/keeper/stage.h"
#include "agent/keeper/swap.h"
#include "agent/keeper/targets.h"
#include "agent/keeper/uplink.h"
#include "shared/base/text.h"
#include "shared/sys/clock.h"
#include "shared/sys/log.h"

typedef void inbox_fn(struct keeper *k, const struct wire_frame *f, struct span bytes);

/* ---- welcome ----------------------------------------------------------------------------------------------------- */

static void acked_remember(struct keeper *k)
{
	struct record_acked record = receipts_acked(&k->receipts);
	int                 r = keeper_journal_add(k, RECORD_ACKED, &record);
	if (r == 0)
		r = keeper_journal_commit(k, false); /* lost: they are sent once more */
	if (r != 0 && r != E_SYS_SPACE)
		keeper_die(k, r, "write its journal");
}

static uint32_t present_of(const struct managed *m)
{
	uint32_t n = 0;
	for (size_t i = 0; i < m->n_places; i++)
		n += m->places[i]->present;
	return n;
}

static void hello(struct keeper *k)
{
	struct msg_hello h = {
		.version = VCC_VERSION,
		.host_hash = k->state.host_hash,
		.boot_id = k->state.boot_id,
		.generation = k->state.counter,
		.now_at = clock_now(),
		.bundle_epoch = k->state.trust.epoch,
	};
	if (k->state.heads.n > 0) {
		h.head_size = k->state.heads.row[0].size;
		h.head_root = k->state.heads.row[0].root;
	}
	text_cut(h.name, sizeof(h.name), k->called);
	for (size_t i = 0; i < k->n_managed; i++)
		h.targets += present_of(k->managed[i]);
	(void)uplink_send(k->uplink, MSG_HELLO, &h);
}

/* Joining is over once the controller has welcomed us: from now on it cannot be repeated. */
static void identity_finish(struct keeper *k)
{
	struct refusal  why = {.code = 0};
	struct identity identity = k->state.identity;
	if (identity.finished != 0)
		return;
	identity.finished = 1;
	if (keeper_state_save_identity(&k->state, &identity, &why) != 0)
		log_refusal(LOG_LEVEL_WARNING, NULL, &why);
}

static void identity_ask(struct keeper *k)
{
	struct body_identity body = {.made_at = clock_now(), .csr = buf_span(&k->link_csr)};
	if (!k->welcomed || k->link_csr.n == 0)
		return;
	text_cut(body.name, sizeof(body.name), k->called);
	int r = uplink_send_signed(k->uplink, MSG_AGENT_IDENTITY, LABEL_IDENTITY, &wire_body_identity, &body);
	if (r != 0)
		log_line(LOG_LEVEL_WARNING, NULL, "the link's request cannot be signed: %s", err_what(r));
}

static void csrs_again(struct keeper *k)
{
	for (size_t i = 0; i < k->n_managed; i++) {
		struct managed      *m = k->managed[i];
		struct deploy_action a = {.kind = DACT_SEND_CSR, .renewal_id = m->deploy.renewal_id, .attempt = m->deploy.attempt};
		if (m->deploy.phase == DEPLOY_CSR)
			swap_act(m, &a);
	}
}

/* New numbers are sent before they are in the journal: what a kill brings back under its old number is told again that another
 * one has it. */
static void renumbered(struct keeper *k)
{
	int r = keeper_journal_renew(k);
	if (r != 0)
		log_line(LOG_LEVEL_WARNING, NULL, "the journal cannot be written anew: %s", err_what(r));
}

static void receipts_align(struct keeper *k, uint64_t taken)
{
	bool changed = false;
	int  r = receipts_follow(&k->receipts, taken, k->state.host_key, &changed);
	if (r != 0)
		log_line(LOG_LEVEL_ERROR, NULL, "receipts cannot be numbered above %llu: %s", (unsigned long long)taken, err_what(r));
	if (!changed)
		return;
	log_line(LOG_LEVEL_NOTICE, NULL, "the controller knows receipts up to %llu: those that wait are numbered anew", (unsigned long long)taken);
	renumbered(k);
}

static void on_welcome(struct keeper *k, const struct wire_frame *f, struct span bytes)
{
	const struct msg_welcome *w = &f->u.welcome;
	(void)bytes;
	if (!name_agent_ok(w->agent)) {
		log_line(LOG_LEVEL_ERROR, NULL, "the controller welcomes `%s`, which is no name of an agent", w->agent);
		return;
	}
	text_cut(k->called, sizeof(k->called), w->agent);
	keeper_clock_told(k, w->now_at);
	if (!k->welcomed)
		log_line(LOG_LEVEL_NOTICE, NULL, "welcomed by the controller; clocks differ by %lld ms", (long long)keeper_clock_skew(k));
	k->welcomed = true;
	identity_finish(k);
	receipts_align(k, w->receipt_seq);
	hello(k);
	targets_report(k);
	for (const struct receipt_kept *r = k->receipts.first; r != NULL; r = r->next)
		uplink_send_receipt(k->uplink, r);
	csrs_again(k);
	stage_offer_all(k);
	peer_look_welcomed(k);
	keeper_health_send(k);
	keeper_inventory_send(k);
	identity_ask(k);
}

/* ---- deployments ------------------------------------------------------------------------------------------------- */

/* The certificate's target on this host, or a refusal for good. A target file with a mistake is no reason: its deployment ends by a
 * receipt that says so, or the file is corrected before it gets there. */
static struct managed *managed_or_refuse(struct keeper *k, const char *cert_id, uint64_t id)
{
	struct managed *m = keeper_find(k, cert_id);
	if (m != NULL && places_live(m))
		return m;
	log_line(LOG_LEVEL_WARNING, NULL, "a message for certificate %s, which no target of this host serves", cert_id);
	uplink_ack(k->uplink, id, E_SWAP_TARGET, "no target file of this host serves this certificate");
	return NULL;
}

/* Not beside an order, nor in the place of one that is being healed; and where nothing of ours is in use nothing can be compared. */
static bool may_drill(const struct managed *m, struct id renewal_id)
{
	bool rests = m->deploy.phase == DEPLOY_NONE || m->deploy.phase == DEPLOY_DONE;
	bool repeated = id_equal(m->deploy.renewal_id, renewal_id);
	return repeated || (m->live.certificate.n > 0 && (rests || m->deploy.drill));
}

static void take_order(struct keeper *k, const struct wire_frame *f, struct span bytes, bool drill)
{
	const struct msg_order *o = &f->u.order;
	struct managed         *m = managed_or_refuse(k, o->cert_id, f->id);
	if (m == NULL)
		return;
	if (drill && !may_drill(m, o->renewal_id)) {
		uplink_ack(k->uplink, f->id, E_DRILL_BUSY, "another order is under way on this host, or nothing is in use yet");
		return;
	}
	if (o->trigger >= TRIGGER_COUNT || o->key_type >= KEY_TYPE_COUNT) {
		uplink_ack(k->uplink, f->id, E_RANGE, "trigger or key type is not known here");
		return;
	}
	struct deploy_event e = keeper_event_of(m, DEV_ORDER, 0);
	e.renewal_id = o->renewal_id;
	e.attempt = o->attempt;
	e.trigger = (enum trigger)o->trigger;
	e.key_type = (enum key_type)o->key_type;
	e.post_validation = o->post_validation;
	e.any_time = o->any_time;
	e.pre_validation = o->pre_validation;
	e.drill = drill;
	text_cut(e.window, sizeof(e.window), o->window);
	e.deadline_at = o->deadline_at;
	keeper_post_message(k, m, &e, f->id, MSG_ORDER, bytes);
}

static void on_order(struct keeper *k, const struct wire_frame *f, struct span bytes)
{
	take_order(k, f, bytes, false);
}

static void on_drill(struct keeper *k, const struct wire_frame *f, struct span bytes)
{
	take_order(k, f, bytes, true);
}

static struct deploy_event certificate_event(struct managed *m, enum deploy_event_kind kind, const struct msg_certificate *c)
{
	struct cert_info    info;
	struct deploy_event e = keeper_event_of(m, kind, 0);
	e.renewal_id = c->renewal_id;
	e.attempt = c->attempt;
	e.trigger = c->trigger < TRIGGER_COUNT ? (enum trigger)c->trigger : TRIGGER_SCHEDULED;
	e.post_validation = c->post_validation;
	e.any_time = c->any_time;
	text_cut(e.window, sizeof(e.window), c->window);
	e.deadline_at = c->deadline_at;
	e.stage = c->stage;
	e.staged = c->staged;
	e.key_type = c->key_type < KEY_TYPE_COUNT ? (enum key_type)c->key_type : KEY_EC_P256;
	e.pre_validation = c->pre_validation;
	e.key_present = c->staged && stage_holds(m, c->stage);
	digest_sha256(c->certificate, &e.fingerprint);
	if (cert_read(c->certificate, &info) == 0) /* judged in step 1, when everything is at hand */
		e.serial = info.serial;
	return e;
}

static void on_certificate(struct keeper *k, const struct wire_frame *f, struct span bytes)
{
	struct managed *m = managed_or_refuse(k, f->u.certificate.cert_id, f->id);
	if (m == NULL)
		return;
	struct deploy_event e = certificate_event(m, DEV_CERTIFICATE, &f->u.certificate);
	keeper_post_message(k, m, &e, f->id, MSG_CERTIFICATE, bytes);
}

/* Kept like the certificate of any order: what is in use is always one. */
static void on_rollback(struct keeper *k, const struct wire_frame *f, struct span bytes)
{
	struct managed *m = managed_or_refuse(k, f->u.certificate.cert_id, f->id);
	struct buf      kept = BUF_MAX(FRAME_MAX);
	(void)bytes;
	if (m == NULL)
		return;
	struct deploy_event e = certificate_event(m, DEV_ROLLBACK, &f->u.certificate);
	int                 r = wire_encode(&wire_agent, MSG_CERTIFICATE, f->id, &f->u.certificate, &kept);
	if (r == 0)
		keeper_post_message(k, m, &e, f->id, MSG_CERTIFICATE, buf_span(&kept));
	else
		uplink_ack(k->uplink, f->id, r, err_what(r));
	buf_free(&kept);
}

static void on_restage(struct keeper *k, const struct wire_frame *f, struct span bytes)
{
	struct managed *m = keeper_find(k, f->u.restage.cert_id);
	(void)bytes;
	if (m != NULL)
		stage_asked(m, &f->u.restage);
}

static void on_cancel(struct keeper *k, const struct wire_frame *f, struct span bytes)
{
	const struct msg_cancel *c = &f->u.cancel;
	struct managed          *m = keeper_find(k, c->cert_id);
	(void)bytes;
	if (m == NULL) { /* nothing will come of it here */
		uplink_ack(k->uplink, f->id, 0, "");
		return;
	}
	struct deploy_event e = keeper_event_of(m, DEV_CANCEL, c->code);
	e.renewal_id = c->renewal_id;
	e.attempt = c->attempt;
	keeper_post_message(k, m, &e, f->id, 0, (struct span){NULL, 0});
}

/* ---- the rest ---------------------------------------------------------------------------------------------------- */

/* Somebody else with our host key used the number. */
static void receipt_again(struct keeper *k, uint64_t seq)
{
	int r = receipts_renumber(&k->receipts, seq, k->state.host_key);
	if (r != 0) {
		log_line(LOG_LEVEL_WARNING, NULL, "receipt %llu cannot be numbered anew: %s", (unsigned long long)seq, err_what(r));
		return;
	}
	log_line(LOG_LEVEL_NOTICE, NULL, "receipt %llu is number %llu now: another one of this host key has its number", (unsigned long long)seq,
	         (unsigned long long)k->receipts.last_seq);
	renumbered(k);
	for (const struct receipt_kept *one = k->receipts.first; one != NULL; one = one->next)
		if (one->seq == k->receipts.last_seq)
			uplink_send_receipt(k->uplink, one);
}

static void on_ack(struct keeper *k, const struct wire_frame *f, struct span bytes)
{
	const struct msg_ack *a = &f->u.ack;
	(void)bytes;
	if (a->seq != 0 && a->code == E_RECEIPT_TAKEN) {
		receipt_again(k, a->seq);
		return;
	}
	if (a->seq != 0) {
		if (receipts_ack_one(&k->receipts, a->seq))
			acked_remember(k);
		return;
	}
	keeper_inventory_acked(k, a->id);
	if (stage_acked(k, a->id, a->code))
		return;
	if (!targets_answered(k, a->id, a->code, a->text) && a->code != 0)
		log_line(LOG_LEVEL_WARNING, NULL, "the controller refuses message %llu: %s", (unsigned long long)a->id, a->text);
}

static void on_bundle(struct keeper *k, const struct wire_frame *f, struct span bytes)
{
	struct refusal why = {.code = 0};
	struct trust   next = {.epoch = 0};
	int            r = trust_next(&k->state.trust, bytes, &next, &why);
	if (r == 0)
		r = keeper_state_save_trust(&k->state, &next, &why);
	if (r != 0)
		log_refusal(LOG_LEVEL_ERROR, NULL, &why);
	else
		log_line(LOG_LEVEL_NOTICE, NULL, "trust bundle of epoch %llu", (unsigned long long)k->state.trust.epoch);
	trust_free(&next);
	uplink_ack(k->uplink, f->id, r, why.cause);
	if (r != 0)
		return;
	uplink_roots(k->uplink);
	care_look_all(k);
}

/* A welcome alone, which anybody on the way could forge, gives no name; a certificate for this host key does. */
static int take_name(struct keeper *k, struct refusal *why)
{
	char old[AGENT_NAME_SIZE];
	memcpy(old, k->state.identity.agent, sizeof(old));
	if (text_equal(old, k->called))
		return 0;
	int r = keeper_state_rename(&k->state, k->called, why);
	if (r == 0)
		log_line(LOG_LEVEL_NOTICE, NULL, "this host is %s now; it was %s", k->called, old);
	return r;
}

static void on_identity(struct keeper *k, const struct wire_frame *f, struct span bytes)
{
	struct refusal         why = {.code = 0};
	struct identity_wanted wanted = {
		.agent = k->called,
		.domain = k->state.identity.domain,
		.host_hash = k->state.host_hash,
		.roots = buf_span(&k->state.trust.roots),
	};
	enum key_type type;
	(void)bytes;
	if (k->link_csr.n == 0)
		return; /* nobody asked */
	int r = csr_check(buf_span(&k->link_csr), &wanted.link_spki, &type);
	if (r == 0)
		r = identity_check(&wanted, f->u.identity.certificate, f->u.identity.chain, 0, &why);
	if (r == 0)
		r = take_name(k, &why);
	if (r != 0) {
		log_refusal(LOG_LEVEL_ERROR, NULL, &why);
		return;
	}
	struct lk_identity identity = {.certificate = f->u.identity.certificate, .chain = f->u.identity.chain};
	uplink_identity(k->uplink, &identity);
	buf_reset(&k->link_csr);
}

static void on_crl(struct keeper *k, const struct wire_frame *f, struct span bytes)
{
	(void)bytes;
	crl_fetch_announced(k, &f->u.crl);
}

/* The host stands witness: what it keeps nobody can take back. It is acknowledged once it is durable. */
static void on_head(struct keeper *k, const struct wire_frame *f, struct span bytes)
{
	const struct msg_head *m = &f->u.head;
	struct kept_heads      heads = k->state.heads;
	struct refusal         why = {.code = 0};
	bool                   is_new = false;
	(void)bytes;
	int r = kept_heads_check(m, buf_span(&k->state.trust.roots), &why);
	if (r == 0)
		r = kept_heads_take(&heads, m, &is_new, &why);
	if (r == 0 && is_new)
		r = keeper_state_save_heads(&k->state, &heads, &why);
	if (r == E_AUDIT_HEAD_KEPT)
		k->head_refused = why;
	if (r != 0)
		log_refusal(LOG_LEVEL_ERROR, NULL, &why);
	uplink_ack(k->uplink, f->id, r, why.cause);
}

static void on_peer_look(struct keeper *k, const struct wire_frame *f, struct span bytes)
{
	(void)bytes;
	peer_look_asked(k, &f->u.peer_look);
}

static void on_bye(struct keeper *k, const struct wire_frame *f, struct span bytes)
{
	char text[ERR_CODE_SIZE];
	(void)bytes;
	log_line(LOG_LEVEL_WARNING, NULL, "%s the controller says goodbye: %s", err_code(f->u.bye.code, text), f->u.bye.text);
	k->welcomed = false;
}

static const struct {
	uint16_t  type;
	bool      early; /* allowed before the welcome */
	inbox_fn *take;
} table[] = {
	{MSG_WELCOME, true, on_welcome},     {MSG_BYE, true, on_bye},       {MSG_ORDER, false, on_order},
	{MSG_CERTIFICATE, false, on_certificate}, {MSG_CANCEL, false, on_cancel}, {MSG_ACK, false, on_ack},
	{MSG_BUNDLE, false, on_bundle},      {MSG_IDENTITY, false, on_identity}, {MSG_CRL, false, on_crl},
	{MSG_HEAD, false, on_head},          {MSG_ROLLBACK, false, on_rollback}, {MSG_RESTAGE, false, on_restage},
	{MSG_DRILL, false, on_drill},        {MSG_PEER_LOOK, false, on_peer_look},
};

int inbox_frame(struct keeper *k, struct span bytes)
{
	struct wire_frame *f = malloc(sizeof(*f));
	int                r = f != NULL ? wire_decode(&wire_agent, bytes, k->welcomed ? 0 : FRAME_BEFORE_WELCOME, f) : E_NOMEM;
	if (r != 0) {
		log_line(LOG_LEVEL_WARNING, NULL, "a frame of the controller cannot be read: %s", err_what(r));
		free(f);
		return r == E_NOMEM ? r : 0;
	}
	for (size_t i = 0; i < N_ELEMENTS(table); i++) {
		if (table[i].type != f->type)
			continue;
		if (k->welcomed || table[i].early)
			table[i].take(k, f, bytes);
		free(f);
		return 0;
	}
	log_line(LOG_LEVEL_WARNING, NULL, "a message of type %u is not for this host", (unsigned)f->type);
	free(f);
	return 0;
}

void inbox_tick(struct keeper *k)
{
	enum { HEALTH_TICKS = 10 };
	keeper_clock_tick(k);
	if (!k->welcomed)
		return;
	for (const struct receipt_kept *r = k->receipts.first; r != NULL; r = r->next)
		uplink_send_receipt(k->uplink, r);
	if (++k->ticks % HEALTH_TICKS == 0 || keeper_clock_moved(k))
		keeper_health_send(k);
	stage_offer_all(k);
}

void inbox_link_csr(struct keeper *k, struct span csr)
{
	struct span   spki;
	enum key_type type;
	int           r = csr_check(csr, &spki, &type);
	if (r != 0) {
		log_line(LOG_LEVEL_ERROR, NULL, "the link's request is not acceptable: %s", err_what(r));
		return;
	}
	k->link_csr.max = MSG_CSR_MAX;
	buf_reset(&k->link_csr);
	buf_add(&k->link_csr, csr.p, csr.n);
	identity_ask(k);
}

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
#include "agent/keeper/place.h"
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
	text_cut(h.name, sizeof(h.name), k->state.identity.agent);
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
	text_cut(body.name, sizeof(body.name), k->state.identity.agent);
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
	if (!text_equal(w->agent, k->state.identity.agent)) {
		log_line(LOG_LEVEL_ERROR, NULL, "the controller welcomes `%s`, but this is %s", w->agent, k->state.identity.agent);
		return;
	}
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

static void on_order(struct keeper *k, const struct wire_frame *f, struct span bytes)
{
	const struct msg_order *o = &f->u.order;
	struct managed         *m = managed_or_refuse(k, o->cert_id, f->id);
	if (m == NULL)
		return;
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
	e.deadline_at = o->deadline_at;
	keeper_post_message(k, m, &e, f->id, MSG_ORDER, bytes);
}

static void on_certificate(struct keeper *k, const struct wire_frame *f, struct span bytes)
{
	const struct msg_certificate *c = &f->u.certificate;
	struct managed               *m = managed_or_refuse(k, c->cert_id, f->id);
	struct cert_info              info;
	if (m == NULL)
		return;
	struct deploy_event e = keeper_event_of(m, DEV_CERTIFICATE, 0);
	e.renewal_id = c->renewal_id;
	e.attempt = c->attempt;
	e.trigger = c->trigger < TRIGGER_COUNT ? (enum trigger)c->trigger : TRIGGER_SCHEDULED;
	e.post_validation = c->post_validation;
	e.any_time = c->any_time;
	e.deadline_at = c->deadline_at;
	e.stage = c->stage;
	digest_sha256(c->certificate, &e.fingerprint);
	if (cert_read(c->certificate, &info) == 0) /* judged in step 1, when everything is at hand */
		e.serial = info.serial;
	keeper_post_message(k, m, &e, f->id, MSG_CERTIFICATE, bytes);
}

static void on_cancel(struct keeper *k, const struct wire_frame *f, struct span bytes)
{
	const struct msg_cancel *c = &f->u.cancel;
	(void)bytes;
	for (size_t i = 0; i < k->n_managed; i++) {
		struct managed *m = k->managed[i];
		if (!id_equal(m->deploy.renewal_id, c->renewal_id))
			continue;
		struct deploy_event e = keeper_event_of(m, DEV_CANCEL, c->code);
		e.attempt = c->attempt;
		keeper_post_message(k, m, &e, f->id, 0, (struct span){NULL, 0});
		return;
	}
	/* never heard of: nothing will come of it */
	uplink_ack(k->uplink, f->id, 0, "");
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
	if (r == 0)
		care_look_all(k);
}

static void on_identity(struct keeper *k, const struct wire_frame *f, struct span bytes)
{
	struct refusal         why = {.code = 0};
	struct identity_wanted wanted = {
		.agent = k->state.identity.agent,
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
};

void inbox_frame(struct keeper *k, struct span bytes)
{
	struct wire_frame *f = malloc(sizeof(*f));
	int                r = f != NULL ? wire_decode(&wire_agent, bytes, k->welcomed ? 0 : FRAME_BEFORE_WELCOME, f) : E_NOMEM;
	if (r != 0) {
		log_line(LOG_LEVEL_WARNING, NULL, "a frame of the controller cannot be read: %s", err_what(r));
		free(f);
		return;
	}
	for (size_t i = 0; i < N_ELEMENTS(table); i++) {
		if (table[i].type != f->type)
			continue;
		if (k->welcomed || table[i].early)
			table[i].take(k, f, bytes);
		free(f);
		return;
	}
	log_line(LOG_LEVEL_WARNING, NULL, "a message of type %u is not for this host", (unsigned)f->type);
	free(f);
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

/* agent_messages.c - room controller/daemon: decodes agents' frames and hands them to the part that they concern.
 * Never: parsing a signed body before its signature has been checked. */
#include "controller/daemon/agent_messages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/daemon/assign.h"
#include "controller/daemon/commit.h"
#include "controller/daemon/identities.h"
#include "controller/daemon/inventory_intake.h"
#include "controller/daemon/order_request.h"
#include "controller/daemon/orders.h"
#include "controller/daemon/receipt_intake.h"
#include "controller/daemon/serials.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/pki/cert.h"
#include "shared/sys/clock.h"
#include "shared/sys/log.h"

enum { SKEW_STEP_MS = 60 * 1000, SEEN_STEP_MS = 6 * 3600 * 1000, DRIFT_EACH_MS = 200 };

/* ---- answers --------------------------------------------------------------------------------------------------- */

void agent_ack(struct controller *ctl, const char *agent, uint64_t id, uint64_t seq, int code, const char *text)
{
	struct msg_ack ack = {.id = id, .seq = seq, .code = code};
	text_cut(ack.text, sizeof(ack.text), text != NULL ? text : code != 0 ? err_what(code) : "");
	(void)fleet_send(ctl, agent, MSG_ACK, id, &ack, false);
}

void agent_ack_then(struct controller *ctl, const void *value, size_t n)
{
	(void)n;
	const struct ack_later *a = value;
	agent_ack(ctl, a->agent, a->id, a->seq, a->code, a->text[0] != '\0' ? a->text : NULL);
}

void agent_rewelcome_else(struct controller *ctl, const void *value, size_t n)
{
	(void)n;
	fleet_rewelcome(ctl, value);
}

void agent_ack_when_stored(struct controller *ctl, const char *agent, uint64_t id, uint64_t seq)
{
	struct ack_later later = {.id = id, .seq = seq};
	text_cut(later.agent, sizeof(later.agent), agent);
	if (commit_waiting(ctl) == 0) {
		agent_ack_then(ctl, &later, sizeof(later));
		return;
	}
	struct commit *c = commit_new(ctl); /* empty: changes become durable in order */
	commit_then(c, agent_ack_then, &later, sizeof(later));
	commit_now(c, NULL, NULL);
}

void agent_refuse(struct controller *ctl, const char *agent, uint64_t id, int code, const char *what)
{
	char           fields[64], text[ERR_CODE_SIZE];
	struct member *m = fleet_member(ctl, agent);
	int64_t        now = clock_monotonic();
	(void)snprintf(fields, sizeof(fields), "VCC_AGENT=%s", agent);
	agent_ack(ctl, agent, id, 0, code, NULL);
	if (m == NULL || (m->refused_at != 0 && now - m->refused_at < MS_MINUTE))
		return;
	m->refused_at = now;
	log_line(LOG_LEVEL_WARNING, fields, "a message (%s) is refused: %s %s", what, err_code(code, text), err_what(code));
	struct commit *c = commit_new(ctl);
	commit_audit(c, &(struct audit_of){.event = AUDIT_MESSAGE_REFUSED, .actor = "controller", .object = agent}, "{s:s,s:s}",
		     "message", what, "code", err_code(code, text));
	commit_now(c, NULL, NULL);
}

/* ---- signed bodies --------------------------------------------------------------------------------------------- */

struct signed_kind {
	uint16_t                   type;
	const char                *label;
	const char                *what;
	const struct wire_message *body;
};
static const struct signed_kind signed_kinds[] = {
	{MSG_CSR, LABEL_CSR, "csr", &wire_body_csr},
	{MSG_AGENT_IDENTITY, LABEL_IDENTITY, "identity", &wire_body_identity},
	{MSG_RECEIPT, LABEL_RECEIPT, "receipt", &wire_body_receipt},
	{MSG_INVENTORY, LABEL_INVENTORY, "inventory", &wire_body_inventory},
};

/* Everything a worker needs and finds; the spans point into `bytes`. */
struct signed_job {
	struct controller        *ctl;
	const struct signed_kind *kind;
	char                      agent[AGENT_NAME_SIZE];
	uint64_t                  id;
	struct host_key          *key;
	struct span               body, signature;
	int                       code;
	struct span               spki; /* csr, identity */
	enum key_type             key_type;
	struct body_inventory    *inventory; /* large: made only for such a message */
	struct hash               digest;    /* of the inventory */
	union {
		struct body_csr      csr;
		struct body_identity identity;
		struct body_receipt  receipt;
	} u;
	uint8_t bytes[];
};

static void check_signed(void *job, struct store_view *view)
{
	(void)view;
	struct signed_job *j = job;
	j->code = key_verify(j->key->key, j->kind->label, j->body, j->signature);
	if (j->code == 0)
		j->code = wire_body_decode(j->kind->body, j->body, j->inventory != NULL ? (void *)j->inventory : (void *)&j->u);
	if (j->code == 0 && j->inventory != NULL)
		j->code = inventory_digest(j->inventory, &j->digest);
	if (j->code == 0 && j->kind->type == MSG_CSR)
		j->code = csr_check(j->u.csr.csr, &j->spki, &j->key_type);
	if (j->code == 0 && j->kind->type == MSG_AGENT_IDENTITY)
		j->code = csr_check(j->u.identity.csr, &j->spki, &j->key_type);
}

static void signed_free(struct signed_job *j)
{
	host_key_drop(j->key);
	free(j->inventory);
	free(j);
}

static void on_serials(struct controller *ctl, void *ctx);

enum taken {
	TAKEN_DONE,
	TAKEN_STORING /* whoever stores calls fleet_ready() */,
	TAKEN_WAITING /* for serial numbers: the job comes back */
};

static enum taken take_signed(struct signed_job *j)
{
	struct controller *ctl = j->ctl;
	int                r = j->code;
	const char        *agent = j->agent;
	if (r == 0 && j->kind->type == MSG_RECEIPT) {
		if (receipt_intake(ctl, agent, j->id, &j->u.receipt, j->body, j->signature))
			return TAKEN_STORING;
	} else if (r == 0 && j->kind->type == MSG_INVENTORY) {
		if (inventory_intake(ctl, agent, j->id, j->inventory, j->digest))
			return TAKEN_STORING;
	} else if (r == 0 && j->kind->type == MSG_CSR) {
		r = order_request_take(ctl, agent, j->id, &j->u.csr, j->spki, j->key_type);
	} else if (r == 0) {
		r = identities_agent(ctl, agent, j->id, &j->u.identity, j->spki, j->key_type);
	}
	if (r == E_SYS_AGAIN && serials_wait(ctl, on_serials, j) == 0)
		return TAKEN_WAITING;
	if (r < 0)
		agent_refuse(ctl, agent, j->id, r, j->kind->what);
	return TAKEN_DONE;
}

static void finish_signed(struct signed_job *j)
{
	struct controller *ctl = j->ctl;
	char               agent[AGENT_NAME_SIZE];
	enum taken         taken = ctl->stopping ? TAKEN_DONE : take_signed(j);
	if (taken == TAKEN_WAITING)
		return;
	text_cut(agent, sizeof(agent), j->agent);
	signed_free(j);
	if (taken == TAKEN_DONE)
		fleet_ready(ctl, agent);
}

static void on_serials(struct controller *ctl, void *ctx)
{
	(void)ctl;
	finish_signed(ctx);
}

static void on_checked(void *job)
{
	finish_signed(job);
}

static int host_key_of(struct member *m)
{
	if (m->key != NULL)
		return 0;
	struct host_key *k = calloc(1, sizeof(*k));
	if (k == NULL)
		abort();
	int r = key_from_spki((struct span){m->row->host_spki, m->row->host_spki_len}, &k->key);
	if (r < 0) {
		free(k);
		return r;
	}
	k->users = 1;
	m->key = k;
	return 0;
}

static void on_signed_message(struct controller *ctl, struct member *m, const struct wire_frame *in)
{
	const struct signed_kind *kind = NULL;
	for (size_t i = 0; i < N_ELEMENTS(signed_kinds); i++)
		if (signed_kinds[i].type == in->type)
			kind = &signed_kinds[i];
	if (kind == NULL || host_key_of(m) < 0) {
		agent_refuse(ctl, m->name, in->id, E_PKI_KEY, "signed");
		return;
	}
	const struct msg_signed *s = &in->u.signed_body;
	struct signed_job       *j = calloc(1, sizeof(*j) + s->body.n + s->signature.n);
	if (j == NULL)
		abort();
	j->inventory = kind->type == MSG_INVENTORY ? malloc(sizeof(*j->inventory)) : NULL;
	if (kind->type == MSG_INVENTORY && j->inventory == NULL)
		abort();
	j->ctl = ctl;
	j->kind = kind;
	j->id = in->id;
	text_cut(j->agent, sizeof(j->agent), m->name);
	memcpy(j->bytes, s->body.p, s->body.n);
	memcpy(j->bytes + s->body.n, s->signature.p, s->signature.n);
	j->body = (struct span){j->bytes, s->body.n};
	j->signature = (struct span){j->bytes + s->body.n, s->signature.n};
	j->key = host_key_use(m->key);
	m->busy = true;
	workers_run(ctl->workers, check_signed, on_checked, j);
}

/* ---- plain messages -------------------------------------------------------------------------------------------- */

static void on_hello(struct controller *ctl, struct member *m, const struct wire_frame *in)
{
	const struct msg_hello *hello = &in->u.hello;
	if (!text_equal(hello->name, m->name)) {
		agent_refuse(ctl, m->name, in->id, E_GW_CLIENT, "hello");
		return;
	}
	fleet_hello(ctl, m, false, hello);
}

static void on_target(struct controller *ctl, struct member *m, const struct wire_frame *in)
{
	assign_target(ctl, m, in->id, &in->u.target);
}

static void on_step(struct controller *ctl, struct member *m, const struct wire_frame *in)
{
	orders_live_step(ctl, m->name, &in->u.step);
}

/* How a host is, is asked while it is connected and known from nobody else: it is not stored. */
static void health_take(struct member *m, const struct msg_health *h)
{
	char fields[64];
	if (m->health_told ? m->health.degraded != h->degraded : h->degraded != 0) {
		char   words[160] = "";
		size_t n = 0;
		for (unsigned bit = 0; bit < HEALTH_BITS && n < sizeof(words); bit++)
			if ((h->degraded & 1u << bit) != 0)
				n += (size_t)snprintf(words + n, sizeof(words) - n, "%s%s", n > 0 ? ", " : "", health_name(bit));
		(void)snprintf(fields, sizeof(fields), "VCC_AGENT=%s", m->name);
		log_line(h->degraded != 0 ? LOG_LEVEL_WARNING : LOG_LEVEL_NOTICE, fields, "%s: %s", m->name,
			 h->degraded != 0 ? words : "healthy again");
	}
	m->health_told = true;
	m->health = *h;
}

/* Health is not stored while it stays the same; a clock that is off is news. */
static void on_health(struct controller *ctl, struct member *m, const struct wire_frame *in)
{
	health_take(m, &in->u.health);
	int64_t now = clock_now(), skew = time_between(in->u.health.now_at, now), change = time_between(skew, m->row->skew_ms);
	if (change < SKEW_STEP_MS && change > -SKEW_STEP_MS && now - m->row->seen_at < SEEN_STEP_MS)
		return;
	struct agent   a = *m->row;
	struct commit *c = commit_new(ctl);
	a.skew_ms = skew;
	a.seen_at = now;
	commit_agent(c, &a);
	commit_now(c, NULL, NULL);
}

/* A live event, believed only so far: the signed receipt of the repair is the account of it. */
static void on_drift(struct controller *ctl, struct member *m, const struct wire_frame *in)
{
	const struct msg_drift *d = &in->u.drift;
	char                    id[TARGET_ID_SIZE], actor[ACTOR_SIZE], fields[64];
	struct target           t;
	int64_t                 now = clock_monotonic();
	if (now - m->drift_at < DRIFT_EACH_MS)
		return; /* a host that tells it all the time says nothing new; its receipts count */
	m->drift_at = now;
	target_id_of(m->name, d->cert_id, d->stem, id);
	if (view_target(ctl->view, id, &t) < 0 || !text_equal(t.agent, m->name))
		return; /* it speaks of its own targets only */
	(void)snprintf(fields, sizeof(fields), "VCC_AGENT=%s", m->name);
	(void)snprintf(actor, sizeof(actor), "agent:%s", m->name);
	log_line(LOG_LEVEL_WARNING, fields, "target %s: %s %s (owner %u, mode %04o, %u names)%s", id, d->file,
		 drift_kind_name((enum drift_kind)d->kind), d->uid, d->mode & 07777, d->links, d->rival ? "; a second writer" : "");
	struct commit *c = commit_new(ctl);
	commit_audit(c, &(struct audit_of){.event = AUDIT_TARGET_CHANGED, .actor = actor, .object = id},
		     "{s:s,s:s,s:I,s:I,s:I,s:b}", "file", d->file, "change", drift_kind_name((enum drift_kind)d->kind), "uid",
		     (long long)d->uid, "mode", (long long)d->mode, "links", (long long)d->links, "second_writer",
		     (int)d->rival);
	commit_now(c, NULL, NULL);
}

static void on_ack(struct controller *ctl, struct member *m, const struct wire_frame *in)
{
	orders_acked(ctl, m->name, in->u.ack.id, in->u.ack.code, in->u.ack.text);
}

typedef void message_fn(struct controller *ctl, struct member *m, const struct wire_frame *in);
static const struct {
	uint16_t    type;
	message_fn *take;
} messages[] = {
	{MSG_HELLO, on_hello},
	{MSG_TARGET, on_target},
	{MSG_CSR, on_signed_message},
	{MSG_AGENT_IDENTITY, on_signed_message},
	{MSG_RECEIPT, on_signed_message},
	{MSG_INVENTORY, on_signed_message},
	{MSG_STEP, on_step},
	{MSG_HEALTH, on_health},
	{MSG_DRIFT, on_drift},
	{MSG_AGENT_ACK, on_ack},
};

void agent_messages_take(struct controller *ctl, struct member *m, struct span bytes)
{
	if (m->row->state != AGENT_ACTIVE)
		return; /* its connection is about to be cut */
	struct wire_frame *in = &ctl->agent_frame;
	int                r = wire_decode(&wire_agent, bytes, m->session.welcomed ? 0 : FRAME_BEFORE_WELCOME, in);
	if (r < 0) {
		agent_refuse(ctl, m->name, 0, r, "frame");
		return;
	}
	if (!m->session.welcomed || (!m->session.helloed && in->type != MSG_HELLO))
		return;
	for (size_t i = 0; i < N_ELEMENTS(messages); i++)
		if (messages[i].type == in->type) {
			messages[i].take(ctl, m, in);
			return;
		}
	agent_refuse(ctl, m->name, in->id, E_WIRE_MESSAGE, "frame");
}

void agent_messages_asking(struct controller *ctl, struct member *m, struct span bytes)
{
	struct wire_frame *in = &ctl->agent_frame;
	if (wire_decode(&wire_agent, bytes, FRAME_BEFORE_WELCOME, in) == 0 && in->type == MSG_HELLO &&
	    text_equal(in->u.hello.name, m->name))
		fleet_hello(ctl, m, true, &in->u.hello);
}

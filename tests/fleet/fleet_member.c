/* fleet_member.c - messages of one simulated host: what the controller says, what the host says.
 * Never: deciding about a deployment; that is the core's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/text.h"
#include "shared/pki/key.h"
#include "shared/sys/clock.h"
#include "tests/fleet/fleet_part.h"

/* ---- sending --------------------------------------------------------------------------------------------------------------- */

static int packet_out(struct fleet *f, struct member *m, int opcode, struct span payload)
{
	buf_reset(&f->packet);
	fleet_ws_frame(opcode, payload, fleet_random(f), &f->packet);
	int r = buf_error(&f->packet);
	return r == 0 ? fleet_peer_write(&m->peer, buf_span(&f->packet)) : r;
}

/* The message's number, 0 when it could not be sent; the connection's end is seen when it is read. */
uint64_t member_send(struct fleet *f, struct member *m, uint16_t type, const void *payload)
{
	uint64_t id = ++m->last_id;
	buf_reset(&f->out);
	if (m->state != MEMBER_OPEN || wire_encode(&wire_agent, type, id, payload, &f->out) != 0 ||
	    packet_out(f, m, WS_BINARY, buf_span(&f->out)) != 0)
		return 0;
	f->count->tally[TALLY_FRAMES_OUT]++;
	return id;
}

uint64_t member_send_signed(struct fleet *f, struct member *m, uint16_t type, const char *label, const struct wire_message *body,
                            const void *payload)
{
	struct buf        bytes = BUF_MAX(INVENTORY_BODY_MAX);
	struct buf        signature = BUF_MAX(MSG_SIGNATURE_MAX);
	uint64_t          id = 0;
	int               r = wire_body_encode(body, payload, &bytes);
	if (r == 0)
		r = key_sign(m->host_key, label, buf_span(&bytes), &signature);
	if (r == 0)
		id = member_send(f, m, type, &(struct msg_signed){.body = buf_span(&bytes), .signature = buf_span(&signature)});
	buf_free(&bytes);
	buf_free(&signature);
	return id;
}

void member_send_receipt(struct fleet *f, struct member *m, const struct receipt_kept *r)
{
	(void)member_send(f, m, MSG_RECEIPT, &(struct msg_signed){.body = buf_span(&r->body), .signature = buf_span(&r->signature)});
}

void member_pong(struct fleet *f, struct member *m, struct span payload)
{
	f->count->tally[TALLY_PINGS]++;
	(void)packet_out(f, m, WS_PONG, payload);
}

/* ---- what it tells of itself ------------------------------------------------------------------------------------------------- */

/* The shipped templates of the services, and the name that each may serve. */
static const struct {
	const char *service, *template_id, *names; /* %s: agent's name, domain */
} kinds[] = {
	{"clara", "clara_service_auth", "%s.clara.%s"},   {"covina", "covina_orchestrator", "%s.covina.%s"},
	{"vpb", "vpb_service", "%s.vpb.%s"},              {"argus", "argus_api", "%.0sargus.%s"},
	{"external", "external_service", "%s.external.%s"}, {"veritas", "veritas_pipeline", ""},
};

static void hello(struct fleet *f, struct member *m)
{
	struct msg_hello h = {
		.version = VCC_VERSION, .host_hash = m->host_hash, .boot_id = m->boot_id, .generation = m->runs,
		.now_at = clock_now() + m->skew_ms, .bundle_epoch = 1, .targets = 1,
	};
	text_cut(h.name, sizeof(h.name), m->name);
	(void)member_send(f, m, MSG_HELLO, &h);
}

const char *member_template(const char *service, const char *agent, const char *domain, char *ret_names, size_t size)
{
	size_t k = 0;
	while (k + 1 < N_ELEMENTS(kinds) && !text_equal(kinds[k].service, service))
		k++;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	(void)snprintf(ret_names, size, kinds[k].names, agent, domain);
#pragma GCC diagnostic pop
	return kinds[k].template_id;
}

void member_target(struct fleet *f, struct member *m)
{
	struct msg_target t = {.served = m->serial};
	struct names      names = {.text = ""};
	char              list[NAMES_TEXT_SIZE];
	const char       *template_id = member_template(m->service, m->name, m->domain, list, sizeof(list));
	if (names_parse(list, false, &names, NULL) != 0)
		return;
	(void)snprintf(t.cert_id, sizeof(t.cert_id), "%s-web", m->name);
	text_cut(t.stem, sizeof(t.stem), "web");
	text_cut(t.service, sizeof(t.service), m->service);
	text_cut(t.template_id, sizeof(t.template_id), template_id);
	text_cut(t.names, sizeof(t.names), names.text);
	text_cut(t.reload_kind, sizeof(t.reload_kind), "none");
	text_cut(t.verify_kind, sizeof(t.verify_kind), "tls");
	text_cut(t.listeners, sizeof(t.listeners), "127.0.0.1:443");
	digest_sha256(span_text(t.names), &t.digest);
	m->target_id = member_send(f, m, MSG_TARGET, &t);
}

static void health(struct fleet *f, struct member *m, int64_t told_at)
{
	struct msg_health h = {.now_at = clock_now() + m->skew_ms, .targets = 1};
	h.skew_ms = h.now_at - told_at;
	if (h.skew_ms > 5 * MS_MINUTE || h.skew_ms < -5 * MS_MINUTE)
		h.degraded |= HEALTH_CLOCK;
	(void)member_send(f, m, MSG_HEALTH, &h);
}

/* Once a run, when there is something to see. */
static void inventory(struct fleet *f, struct member *m)
{
	struct body_inventory     *b = &f->inventory;
	struct inventory_listener *row = &b->rows[0];
	if (m->told || hash_is_none(m->serves) || !m->welcomed)
		return;
	*row = (struct inventory_listener){.fingerprint = m->serves, .chain = 2, .n_names = 1};
	b->observed_at = clock_now() + m->skew_ms;
	b->found = b->n_rows = 1;
	text_cut(row->address, sizeof(row->address), "127.0.0.1:443");
	text_cut(row->program, sizeof(row->program), "fleet");
	text_cut(row->subject, sizeof(row->subject), m->name);
	m->inventory_id = member_send_signed(f, m, MSG_INVENTORY, LABEL_INVENTORY, &wire_body_inventory, b);
}

/* It serves what it should, and the controller has its account: from now on it may leave. */
void member_ready(struct fleet *f, struct member *m)
{
	bool rests = m->deploy.phase == DEPLOY_NONE || m->deploy.phase == DEPLOY_DONE;
	if (!m->ready && m->generation != 0 && rests && m->receipts.first == NULL) {
		m->ready = true;
		f->count->gauge[GAUGE_READY]++;
	}
	inventory(f, m);
}

/* ---- what the controller says -------------------------------------------------------------------------------------------------- */

static void on_welcome(struct fleet *f, struct member *m, const struct wire_frame *frame)
{
	const struct msg_welcome *w = &frame->u.welcome;
	bool                      changed = false;
	if (!text_equal(w->agent, m->name)) {
		f->count->tally[TALLY_BAD_FRAMES]++;
		return;
	}
	if (!m->welcomed) {
		f->count->tally[TALLY_CONNECTS]++;
		f->count->gauge[GAUGE_CONNECTED]++;
		f->count->last_welcome_at = clock_now();
		fleet_time_add(f->count, TIME_CONNECT, clock_monotonic_us() - m->begun_us);
	}
	m->welcomed = true;
	backoff_reset(&m->backoff);
	if (receipts_follow(&m->receipts, w->receipt_seq, m->host_key, &changed) != 0)
		f->count->tally[TALLY_BAD_FRAMES]++;
	f->count->tally[TALLY_RENUMBERED] += changed;
	hello(f, m);
	member_target(f, m);
	for (const struct receipt_kept *r = m->receipts.first; r != NULL; r = r->next)
		member_send_receipt(f, m, r);
	deploy_request_again(f, m);
	stage_offer(f, m);
	stage_plan(f, m);
	health(f, m, w->now_at);
	if (m->generation != 0)
		member_ready(f, m);
}

static void on_order(struct fleet *f, struct member *m, const struct wire_frame *frame)
{
	deploy_order(f, m, &frame->u.order, frame->id, false);
}

static void on_drill(struct fleet *f, struct member *m, const struct wire_frame *frame)
{
	deploy_order(f, m, &frame->u.order, frame->id, true);
}

static void on_certificate(struct fleet *f, struct member *m, const struct wire_frame *frame)
{
	deploy_certificate(f, m, &frame->u.certificate, frame->id);
}

static void on_cancel(struct fleet *f, struct member *m, const struct wire_frame *frame)
{
	deploy_cancel(f, m, &frame->u.cancel, frame->id);
}

static void receipt_acked(struct fleet *f, struct member *m, uint64_t seq)
{
	uint32_t outcome = RECEIPT_OUTCOME_COUNT;
	for (const struct receipt_kept *r = m->receipts.first; r != NULL; r = r->next)
		if (r->seq == seq)
			outcome = r->outcome;
	if (!receipts_ack_one(&m->receipts, seq))
		return;
	if (outcome == RECEIPT_VERIFIED) {
		f->count->tally[TALLY_VERIFIED_ACKED]++;
		f->count->last_verified_at = clock_now();
		if (m->order_us != 0)
			fleet_time_add(f->count, TIME_ORDER_PROOF, clock_monotonic_us() - m->order_us);
		m->order_us = 0;
	} else if (outcome == RECEIPT_SETTLED) {
		f->count->tally[TALLY_SETTLED_ACKED]++;
		f->count->last_settled_at = clock_now();
	} else {
		f->count->tally[TALLY_OTHER_ACKED]++;
	}
	if (m->receipts.first == NULL) {
		fleet_timer(f, m, TIMER_RECEIPTS, TIME_NEVER);
		member_ready(f, m);
	}
}

static void on_ack(struct fleet *f, struct member *m, const struct wire_frame *frame)
{
	const struct msg_ack *a = &frame->u.ack;
	if (a->seq != 0 && a->code == E_RECEIPT_TAKEN) {
		f->count->tally[TALLY_RENUMBERED] += receipts_renumber(&m->receipts, a->seq, m->host_key) == 0;
		return;
	}
	if (stage_acked(f, m, a->id, a->code))
		return;
	if (a->seq != 0) {
		receipt_acked(f, m, a->seq);
	} else if (a->id == m->target_id && a->code != 0) {
		f->count->tally[TALLY_TARGET_REFUSED]++;
		f->count->last_code = a->code;
	} else if (a->id == m->inventory_id) {
		m->told = true;
	}
	if (m->leaves && m->generation != 0 && m->receipts.first == NULL && m->deploy.phase == DEPLOY_DONE)
		fleet_lost(f, m, 0);
}

/* Gateways are known by its roots from now on. A head is acknowledged alike. */
static void on_bundle(struct fleet *f, struct member *m, const struct wire_frame *frame)
{
	struct msg_ack     ack = {.id = frame->id};
	struct body_bundle body;
	if (frame->type == MSG_BUNDLE && wire_body_decode(&wire_body_bundle, frame->u.bundle.body, &body) == 0)
		for (uint32_t i = 0; i < body.n_roots; i++)
			fleet_tls_trust(f->tls, body.roots[i].certificate);
	(void)member_send(f, m, MSG_AGENT_ACK, &ack);
}

static void on_nothing(struct fleet *f, struct member *m, const struct wire_frame *frame)
{
	(void)f;
	(void)m;
	(void)frame;
}

static void on_restage(struct fleet *f, struct member *m, const struct wire_frame *frame)
{
	stage_asked(f, m, &frame->u.restage);
}

static void on_bye(struct fleet *f, struct member *m, const struct wire_frame *frame)
{
	f->count->last_code = frame->u.bye.code;
	fleet_lost(f, m, frame->u.bye.code);
}

static const struct {
	uint16_t type;
	bool     early;
	void (*take)(struct fleet *f, struct member *m, const struct wire_frame *frame);
} table[] = {
	{MSG_WELCOME, true, on_welcome},          {MSG_BYE, true, on_bye},        {MSG_ORDER, false, on_order},
	{MSG_CERTIFICATE, false, on_certificate}, {MSG_CANCEL, false, on_cancel}, {MSG_ACK, false, on_ack},
	{MSG_BUNDLE, false, on_bundle},           {MSG_HEAD, false, on_bundle},   {MSG_CRL, false, on_nothing},
	{MSG_IDENTITY, false, on_nothing},       {MSG_RESTAGE, false, on_restage},
	{MSG_DRILL, false, on_drill},
};

void member_frame(struct fleet *f, struct member *m, struct span bytes)
{
	struct wire_frame *frame = &f->frame;
	f->count->tally[TALLY_FRAMES_IN]++;
	if (wire_decode(&wire_agent, bytes, m->welcomed ? 0 : FRAME_BEFORE_WELCOME, frame) == 0)
		for (size_t i = 0; i < N_ELEMENTS(table); i++)
			if (table[i].type == frame->type && (m->welcomed || table[i].early)) {
				table[i].take(f, m, frame);
				return;
			}
	f->count->tally[TALLY_BAD_FRAMES]++;
}

void member_timer(struct fleet *f, struct member *m, enum member_timer t)
{
	if (t == TIMER_STAGE) {
		stage_timer(f, m);
		return;
	}
	if (t != TIMER_RECEIPTS) {
		deploy_timer(f, m, t);
		return;
	}
	for (const struct receipt_kept *r = m->receipts.first; m->welcomed && r != NULL; r = r->next)
		member_send_receipt(f, m, r);
	if (m->receipts.first != NULL)
		fleet_timer(f, m, TIMER_RECEIPTS, f->now + MS_MINUTE);
}

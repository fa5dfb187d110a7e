/* peers.c - room controller/daemon: declared -> asked -> seen -> the order moves.
 * Never: taking a verdict that was not asked for; one that is not signed by the host that declared it. */
#include "controller/daemon/peers.h"

#include <stdio.h>
#include <stdlib.h>

#include "controller/daemon/agent_messages.h"
#include "controller/daemon/commit.h"
#include "controller/daemon/fleet.h"
#include "controller/daemon/orders.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/sys/clock.h"
#include "shared/sys/log.h"

enum { QUESTIONS = 32, QUESTION_MS = 10 * 60 * 1000, PAGE = 64, TOLD_MAX = 4 * PEERS_MAX /* rows of one host */ };

/* What persons asked lately; whoever asks after a restart asks anew. An id of its own goes with each question, so that an answer which was kept
 * by somebody on the way is none to the next one. */
struct peers {
	struct question {
		struct id id;
		char      cert_id[CERT_ID_SIZE];
		int64_t   asked_at;
		int64_t   until; /* monotonic */
	} asked[QUESTIONS];
	size_t next; /* the oldest one */
};

int peers_open(struct peers **ret)
{
	struct peers *p = calloc(1, sizeof(*p));
	if (p == NULL)
		return E_NOMEM;
	*ret = p;
	return 0;
}

void peers_free(struct peers *p)
{
	free(p);
}

static struct id question_new(struct controller *ctl, const char *cert_id)
{
	struct peers    *p = ctl->peers;
	struct question *q = &p->asked[p->next++ % QUESTIONS];
	*q = (struct question){.id = controller_id(clock_now()), .asked_at = clock_now(), .until = clock_monotonic() + QUESTION_MS};
	text_cut(q->cert_id, sizeof(q->cert_id), cert_id);
	return q->id;
}

static const struct question *question_of(const struct controller *ctl, const struct body_peer_saw *body)
{
	const struct peers *p = ctl->peers;
	for (size_t i = 0; i < QUESTIONS; i++)
		if (!id_is_none(body->renewal_id) && id_equal(p->asked[i].id, body->renewal_id))
			return text_equal(p->asked[i].cert_id, body->cert_id) && clock_monotonic() < p->asked[i].until ? &p->asked[i] : NULL;
	return NULL;
}

struct stored_wait {
	char agent[AGENT_NAME_SIZE];
};

static void on_stored(struct controller *ctl, void *ctx, int code, const struct store_result *result)
{
	struct stored_wait *w = ctx;
	(void)code;
	(void)result;
	if (!ctl->stopping)
		fleet_ready(ctl, w->agent);
	free(w);
}

static void commit_for(struct commit *c, const char *agent)
{
	struct stored_wait *w = calloc(1, sizeof(*w));
	if (w == NULL)
		abort();
	text_cut(w->agent, sizeof(w->agent), agent);
	commit_now(c, on_stored, w);
}

/* ---- who counts -------------------------------------------------------------------------------------------------- */

/* What a host says of itself is not enough: else any host could hold up the campaigns of others. */
bool peers_count_one(struct store_view *view, const struct peer *p, const struct certificate *cert)
{
	struct agent   a;
	struct service s;
	if (text_equal(p->agent, cert->agent) || view_agent(view, p->agent, &a) < 0 || a.state != AGENT_ACTIVE ||
	    !hash_equal(a.host_hash, p->host_hash))
		return false;
	return text_equal(a.service, cert->service) ||
	       (view_service(view, a.service, &s) == 0 && text_listed(s.depends_on, cert->service));
}

int peers_each(struct store_view *view, const struct certificate *cert, peer_fn *fn, void *ctx)
{
	struct peer *page = calloc(PAGE, sizeof(*page));
	char         after[AGENT_NAME_SIZE] = "";
	size_t       n = PAGE;
	bool         more = true;
	int          r = page != NULL ? 0 : E_NOMEM;
	while (r == 0 && more && n == PAGE && (r = view_peers_of(view, cert->cert_id, after, page, PAGE, &n)) == 0)
		for (size_t i = 0; more && i < n; i++) {
			text_cut(after, sizeof(after), page[i].agent);
			more = fn(ctx, &page[i], peers_count_one(view, &page[i], cert));
		}
	free(page);
	return r;
}

static bool first_one(void *ctx, const struct peer *p, bool counts)
{
	(void)p;
	*(bool *)ctx |= counts;
	return !counts;
}

bool peers_any(struct store_view *view, const struct certificate *cert)
{
	bool any = false;
	return peers_each(view, cert, first_one, &any) < 0 || any;
}

/* ---- asking ------------------------------------------------------------------------------------------------------ */

static bool ask_one(struct controller *ctl, const struct peer *p, const struct msg_peer_look *m, bool urgent)
{
	return fleet_connected(ctl, p->agent) && fleet_send(ctl, p->agent, MSG_PEER_LOOK, 0, m, urgent);
}

static struct msg_peer_look look_of(const struct order *o)
{
	struct msg_peer_look m = {.renewal_id = o->renewal_id, .attempt = o->attempt, .fingerprint = o->fingerprint, .old_serial = o->old_serial};
	text_cut(m.cert_id, sizeof(m.cert_id), o->cert_id);
	return m;
}

/* What a host says of an order by its last verdict. */
enum verdict { SILENT, SEEN, REFUSED };

static enum verdict verdict_of(const struct peer *p, const struct order *o)
{
	bool answered = p->judged_at != 0 && id_equal(p->renewal_id, o->renewal_id) && p->attempt == o->attempt && p->code != E_PEER_UNDECLARED;
	return !answered ? SILENT : p->code == 0 ? SEEN : REFUSED;
}

static void order_hears(struct controller *ctl, const struct order *o, enum order_event_kind kind, const struct peer *p)
{
	struct order_event ev = {.kind = kind, .renewal_id = o->renewal_id, .attempt = o->attempt};
	bool               stored;
	if (p != NULL) {
		ev.code = p->code;
		(void)snprintf(ev.cause, sizeof(ev.cause), "%s: %.120s", p->agent, p->cause);
	}
	int r = orders_event(ctl, &ev, &(struct order_input){0}, &stored);
	if (r < 0) /* it is looked at again */
		log_line(LOG_LEVEL_WARNING, NULL, "what relying parties say of %s cannot be stored: %s", o->cert_id,
			 err_what(r));
}

struct looking {
	struct controller   *ctl;
	struct order         o;
	struct msg_peer_look m;
	bool                 asks;   /* who is silent is asked */
	bool                 is_all; /* nobody is silent, so far */
	size_t               n;      /* who count, so far */
	struct peer          refused; /* one of them; judged_at 0 = none */
};

static bool look_at(void *ctx, const struct peer *p, bool counts)
{
	struct looking *l = ctx;
	enum verdict    v = verdict_of(p, &l->o);
	if (!counts)
		return true;
	l->n++;
	l->is_all &= v == SEEN;
	if (v == REFUSED)
		l->refused = *p;
	if (v == SILENT && l->asks)
		(void)ask_one(l->ctl, p, &l->m, l->o.trigger == TRIGGER_EMERGENCY);
	return v == SEEN || (v == SILENT && l->asks);
}

/* Asks who is silent, or only finds out whether anybody is. */
static void look(struct controller *ctl, struct id renewal_id, bool asks)
{
	struct looking     l = {.ctl = ctl, .asks = asks, .is_all = true};
	struct certificate cert;
	if (ctl->stopping || orders_find(ctl, renewal_id, &l.o) < 0 || l.o.phase != ORDER_SETTLED || rows_certificate(ctl->rows, l.o.cert_id, &cert) < 0)
		return;
	l.m = look_of(&l.o);
	int r = peers_each(ctl->view, &cert, look_at, &l);
	if (r < 0) /* it is looked at again */
		log_line(LOG_LEVEL_WARNING, NULL, "who relies on %s cannot be read: %s", cert.cert_id, err_what(r));
	else if (l.refused.judged_at != 0)
		order_hears(ctl, &l.o, EV_PEERS_REFUSED, &l.refused);
	else if (l.n > 0 && l.is_all)
		order_hears(ctl, &l.o, EV_PEERS_PROVED, NULL);
}

void peers_look(struct controller *ctl, const void *renewal_id, size_t n)
{
	(void)n;
	look(ctl, *(const struct id *)renewal_id, true);
}

/* The verdict that was just stored says the last word when it is a bad one, or when nobody is silent any more. */
static void heard(struct controller *ctl, const void *value, size_t n)
{
	const struct peer *p = value;
	struct order       o;
	(void)n;
	if (ctl->stopping || orders_find(ctl, p->renewal_id, &o) < 0 || o.phase != ORDER_SETTLED)
		return;
	struct certificate cert;
	enum verdict       v = verdict_of(p, &o);
	if (v == SEEN)
		look(ctl, p->renewal_id, false);
	else if (v == REFUSED && rows_certificate(ctl->rows, o.cert_id, &cert) == 0 && peers_count_one(ctl->view, p, &cert))
		order_hears(ctl, &o, EV_PEERS_REFUSED, p);
}

/* The host is there again, or has told something new: what waits for its word, and did not get it yet, is asked of it now. */
static void look_for(struct controller *ctl, const void *agent, size_t n)
{
	size_t       found = 0;
	struct peer *rows = calloc(TOLD_MAX, sizeof(*rows));
	(void)n;
	if (rows == NULL)
		abort();
	if (view_peers_by(ctl->view, agent, rows, TOLD_MAX, &found) < 0)
		found = 0; /* the order asks again */
	for (size_t i = 0; i < found; i++) {
		struct certificate  cert;
		const struct order *open = rows_certificate(ctl->rows, rows[i].cert_id, &cert) == 0 ? orders_of(ctl, &cert) : NULL;
		if (open == NULL || open->phase != ORDER_SETTLED || verdict_of(&rows[i], open) != SILENT || !peers_count_one(ctl->view, &rows[i], &cert))
			continue;
		struct msg_peer_look m = look_of(open);
		(void)ask_one(ctl, &rows[i], &m, open->trigger == TRIGGER_EMERGENCY);
	}
	free(rows);
}

struct missing {
	const struct order *o;
	char               *text;
	size_t              used;
};

static bool name_missing(void *ctx, const struct peer *p, bool counts)
{
	struct missing *m = ctx;
	if (counts && verdict_of(p, m->o) == SILENT)
		m->used += (size_t)snprintf(m->text + m->used, CAUSE_SIZE - m->used, "%s%s", m->used == 0 ? "no answer from " : ", ", p->agent);
	return m->used + AGENT_NAME_SIZE + 24 < CAUSE_SIZE;
}

void peers_missing(struct controller *ctl, const struct order *o, char ret[CAUSE_SIZE])
{
	struct certificate cert;
	text_cut(ret, CAUSE_SIZE, "nobody is left who relies on it");
	if (rows_certificate(ctl->rows, o->cert_id, &cert) < 0)
		return;
	if (peers_each(ctl->view, &cert, name_missing, &(struct missing){.o = o, .text = ret}) < 0)
		text_cut(ret, CAUSE_SIZE, "who relies on it cannot be read");
}

struct asking {
	struct controller   *ctl;
	struct msg_peer_look m;
	uint32_t             asked, away;
};

static bool ask_each(void *ctx, const struct peer *p, bool counts)
{
	struct asking *a = ctx;
	if (counts)
		++*(ask_one(a->ctl, p, &a->m, false) ? &a->asked : &a->away);
	return true;
}

int peers_ask(struct controller *ctl, const char *cert_id, uint32_t *ret_asked, uint32_t *ret_away)
{
	struct certificate cert;
	struct asking      a = {.ctl = ctl};
	int                r = rows_certificate(ctl->rows, cert_id, &cert);
	if (r < 0)
		return r;
	const struct order *open = orders_of(ctl, &cert);
	a.m = open != NULL && open->phase == ORDER_SETTLED /* the answer is the order's, too, and takes none away from it */
		      ? look_of(open)
		      : (struct msg_peer_look){.renewal_id = question_new(ctl, cert_id), .fingerprint = cert.fingerprint};
	text_cut(a.m.cert_id, sizeof(a.m.cert_id), cert.cert_id);
	r = peers_each(ctl->view, &cert, ask_each, &a);
	*ret_asked = a.asked;
	*ret_away = a.away;
	return r < 0 || a.asked + a.away > 0 ? r : E_PEER_NONE;
}

/* ---- what a host relies on --------------------------------------------------------------------------------------- */

static bool same_place(const struct peer *p, const struct peer_told *t)
{
	return text_equal(p->address, t->address) && text_equal(p->name, t->name);
}

static const struct peer_told *told_of(const struct body_relies *body, const char *cert_id)
{
	for (uint32_t i = 0; i < body->n_rows; i++)
		if (text_equal(body->rows[i].cert_id, cert_id))
			return &body->rows[i];
	return NULL;
}

static const struct peer *known_of(const struct peer *rows, size_t n, const char *cert_id)
{
	for (size_t i = 0; i < n; i++)
		if (text_equal(rows[i].cert_id, cert_id))
			return &rows[i];
	return NULL;
}

static int rows_ok(const struct body_relies *body)
{
	char canonical[NAMES_TEXT_SIZE];
	for (uint32_t i = 0; i < body->n_rows; i++) {
		const struct peer_told *t = &body->rows[i];
		struct names            names;
		if (!name_cert_id_ok(t->cert_id) || t->address[0] == '\0' || names_parse(t->name, false, &names, NULL) < 0 ||
		    told_of(body, t->cert_id) != t)
			return E_WIRE_LIMIT;
		text_cut(canonical, sizeof(canonical), t->address);
		text_plain(canonical);
		if (!text_equal(canonical, t->address))
			return E_WIRE_UTF8;
	}
	return 0;
}

/* Where it is reached otherwise, what was seen at the old place says nothing. */
static void put_told(struct commit *c, const struct agent *a, const struct peer_told *t, int64_t now)
{
	struct peer p = {.host_hash = a->host_hash, .declared_at = now};
	text_cut(p.cert_id, sizeof(p.cert_id), t->cert_id);
	text_cut(p.agent, sizeof(p.agent), a->name);
	text_cut(p.address, sizeof(p.address), t->address);
	text_cut(p.name, sizeof(p.name), t->name);
	store_put_peer(commit_change(c), &p);
}

/* What changed; an empty commit when nothing did. */
static uint32_t compare(struct commit *c, const struct agent *a, const struct body_relies *body, const struct peer *known,
			size_t n)
{
	uint32_t changes = 0;
	for (uint32_t i = 0; i < body->n_rows; i++) {
		const struct peer *k = known_of(known, n, body->rows[i].cert_id);
		if (k != NULL && same_place(k, &body->rows[i]) && hash_equal(k->host_hash, a->host_hash))
			continue;
		put_told(c, a, &body->rows[i], clock_now());
		changes++;
	}
	for (size_t i = 0; i < n; i++)
		if (told_of(body, known[i].cert_id) == NULL) {
			store_remove_peer(commit_change(c), known[i].cert_id, a->name);
			changes++;
		}
	return changes;
}

bool peers_declared(struct controller *ctl, const char *agent, const struct body_relies *body, int *ret_code)
{
	struct agent a;
	char         actor[ACTOR_SIZE];
	size_t       n = 0;
	struct peer *known = calloc(TOLD_MAX, sizeof(*known));
	if (known == NULL)
		abort();
	*ret_code = rows_ok(body);
	if (*ret_code == 0)
		*ret_code = rows_agent(ctl->rows, agent, &a);
	if (*ret_code == 0)
		*ret_code = view_peers_by(ctl->view, agent, known, TOLD_MAX, &n);
	struct commit *c = commit_new(ctl);
	uint32_t       changes = *ret_code == 0 ? compare(c, &a, body, known, n) : 0;
	free(known);
	if (changes == 0) {
		commit_drop(c);
		if (*ret_code == 0)
			look_for(ctl, a.name, sizeof(a.name));
		return false;
	}
	(void)snprintf(actor, sizeof(actor), "agent:%s", a.name);
	commit_audit(c, &(struct audit_of){.event = AUDIT_PEERS_DECLARED, .actor = actor, .object = a.name}, "{s:i,s:i}",
		     "relies_on", (int)body->n_rows, "changes", (int)changes);
	commit_then(c, look_for, a.name, sizeof(a.name));
	commit_else(c, agent_rewelcome_else, a.name, sizeof(a.name)); /* welcomed again, it tells again */
	commit_for(c, a.name);
	return true;
}

/* ---- what it saw ------------------------------------------------------------------------------------------------- */

static bool is_verdict(int code)
{
	static const int codes[] = {0,           E_PEER_CONNECT,   E_PEER_STALE, E_PEER_OTHER, E_PEER_CHAIN,
				    E_PEER_NAME, E_PEER_UNDECLARED};
	for (size_t i = 0; i < N_ELEMENTS(codes); i++)
		if (codes[i] == code)
			return true;
	return false;
}

/* Of an order that still waits for it, or of a person's question that this host has not answered yet. */
static bool was_asked(struct controller *ctl, const struct peer *p, const struct body_peer_saw *body)
{
	const struct question *q = question_of(ctl, body);
	struct order           o;
	if (q != NULL)
		return p->judged_at < q->asked_at || p->judged_at > clock_now(); /* later: the clock was set back */
	return orders_find(ctl, body->renewal_id, &o) == 0 && text_equal(o.cert_id, body->cert_id) &&
	       o.phase == ORDER_SETTLED && o.attempt == body->attempt && hash_equal(o.fingerprint, body->fingerprint);
}

static int peer_find(struct controller *ctl, const char *agent, const char *cert_id, struct peer *ret)
{
	size_t       n = 0;
	struct peer *rows = calloc(TOLD_MAX, sizeof(*rows));
	if (rows == NULL)
		abort();
	int                r = view_peers_by(ctl->view, agent, rows, TOLD_MAX, &n);
	const struct peer *found = r == 0 ? known_of(rows, n, cert_id) : NULL;
	if (r == 0 && found == NULL)
		r = E_PEER_UNDECLARED;
	if (r == 0)
		*ret = *found;
	free(rows);
	return r;
}

bool peers_saw(struct controller *ctl, const char *agent, const struct body_peer_saw *body, int *ret_code)
{
	struct peer p;
	*ret_code = is_verdict(body->code) ? peer_find(ctl, agent, body->cert_id, &p) : E_WIRE_LIMIT;
	if (*ret_code < 0 || !was_asked(ctl, &p, body))
		return false;
	bool by_person = question_of(ctl, body) != NULL;
	p.judged_at = clock_now();
	p.renewal_id = by_person ? (struct id){{0}} : body->renewal_id;
	p.attempt = body->attempt;
	p.fingerprint = body->fingerprint;
	p.seen = body->seen;
	p.code = body->code;
	p.handshakes = body->handshakes;
	p.others = body->others;
	p.trust_epoch = body->trust_epoch;
	text_cut(p.cause, sizeof(p.cause), body->cause);
	struct commit *c = commit_new(ctl);
	store_put_peer(commit_change(c), &p);
	if (!id_is_none(p.renewal_id))
		commit_then(c, heard, &p, sizeof(p));
	commit_fault_points(c, "controller.peer", "controller.peer_stored"); /* not stored: the order asks again */
	commit_for(c, agent);
	return true;
}

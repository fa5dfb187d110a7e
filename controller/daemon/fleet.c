/* fleet.c - room controller/daemon: sessions of agents by name; welcomes, kicks, frames to and from the current connection.
 * A frame from any other connection than the current one is dropped here. Never: reading what a frame says. */
#include "controller/daemon/fleet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "controller/daemon/agent_messages.h"
#include "controller/daemon/bundles.h"
#include "controller/daemon/commit.h"
#include "controller/daemon/crl_news.h"
#include "controller/daemon/fleet_table.h"
#include "controller/daemon/host_copies.h"
#include "controller/daemon/gateways.h"
#include "controller/daemon/rename.h"
#include "controller/daemon/restored.h"
#include "controller/daemon/sent_messages.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/sys/clock.h"
#include "shared/sys/log.h"

enum {
	WAITING_MAX = 512 << 10, /* bytes of one agent that wait for a message being checked: a host's 64 targets in one mass order send 200 KiB */
	WAITING_ALL = 64 << 20,  /* the same of all agents */
};

int fleet_open(struct controller *ctl, struct fleet **ret)
{
	struct fleet *f = calloc(1, sizeof(*f));
	if (f == NULL)
		return E_NOMEM;
	f->ctl = ctl;
	f->out = (struct buf)BUF_MAX(FRAME_MAX + 1024);
	uv_timer_init(ctl->loop, &f->pace);
	f->pace.data = f;
	*ret = f;
	return 0;
}

void fleet_close(struct fleet *f)
{
	uv_close((uv_handle_t *)&f->pace, NULL);
}

struct host_key *host_key_use(struct host_key *k)
{
	k->users++;
	return k;
}

void host_key_drop(struct host_key *k)
{
	if (k == NULL || --k->users > 0)
		return;
	key_free(k->key);
	free(k);
}

static struct waiting_frame *waiting_take(struct fleet *f, struct member *m)
{
	struct waiting_frame *w = m->waiting;
	if (w == NULL)
		return NULL;
	DL_DELETE(m->waiting, w);
	m->waiting_bytes -= sizeof(*w) + w->n;
	f->waiting_bytes -= sizeof(*w) + w->n;
	return w;
}

static void forget_waiting(struct fleet *f, struct member *m)
{
	struct waiting_frame *w;
	while ((w = waiting_take(f, m)) != NULL)
		free(w);
}

/* What belongs to a connection goes with it. */
static void member_offline(struct controller *ctl, struct member *m)
{
	forget_waiting(ctl->fleet, m);
	host_key_drop(m->key);
	m->key = NULL;
	if (m->row != NULL) {
		rows_release_agent(ctl->rows, m->name);
		m->left_at = clock_now();
	}
	m->row = NULL;
	m->health_told = false;
}

void fleet_free(struct fleet *f)
{
	if (f == NULL)
		return;
	struct fleet_entry *e, *tmp;
	HASH_ITER (hh, f->members, e, tmp) {
		HASH_DEL(f->members, e);
		member_offline(f->ctl, &e->m);
		free(e);
	}
	struct link *l, *tmp_l;
	HASH_ITER (hh, f->links, l, tmp_l) {
		HASH_DEL(f->links, l);
		free(l);
	}
	struct welcome *w, *tmp_w;
	DL_FOREACH_SAFE (f->welcomes, w, tmp_w)
		free(w);
	buf_free(&f->out);
	free(f);
}

struct member *fleet_member(struct controller *ctl, const char *name)
{
	struct fleet_entry *e = NULL;
	HASH_FIND_STR(ctl->fleet->members, name, e);
	return e != NULL ? &e->m : NULL;
}

const struct member *fleet_next(const struct controller *ctl, const struct member *after)
{
	const struct fleet_entry *e = after != NULL ? ((const struct fleet_entry *)(const void *)after)->hh.next : ctl->fleet->members;
	return e != NULL ? &e->m : NULL;
}

size_t fleet_size(const struct controller *ctl)
{
	return HASH_COUNT(ctl->fleet->members);
}

static struct member *member_new(struct controller *ctl, const char *name)
{
	struct fleet_entry *e = calloc(1, sizeof(*e));
	if (e == NULL)
		abort();
	text_cut(e->m.name, sizeof(e->m.name), name);
	HASH_ADD_STR(ctl->fleet->members, m.name, e);
	return &e->m;
}

static bool is_connected(const struct session *s)
{
	return s->gateway != 0 && s->welcomed && s->helloed;
}

bool fleet_is_here(const struct member *m)
{
	return is_connected(&m->session);
}

bool fleet_connected(const struct controller *ctl, const char *name)
{
	const struct fleet_entry *e = NULL;
	HASH_FIND_STR(ctl->fleet->members, name, e);
	return e != NULL && is_connected(&e->m.session);
}

int64_t fleet_seen_at(const struct controller *ctl, const char *name)
{
	const struct fleet_entry *e = NULL;
	HASH_FIND_STR(ctl->fleet->members, name, e);
	if (e == NULL)
		return 0;
	return is_connected(&e->m.session) ? clock_now() : e->m.left_at;
}

uint64_t fleet_trust_epoch(const struct controller *ctl, const char *name)
{
	const struct fleet_entry *e = NULL;
	HASH_FIND_STR(ctl->fleet->members, name, e);
	return e != NULL && is_connected(&e->m.session) ? e->m.trust_epoch : 0;
}

const struct msg_health *fleet_health(const struct controller *ctl, const char *name)
{
	const struct fleet_entry *e = NULL;
	HASH_FIND_STR(ctl->fleet->members, name, e);
	return e != NULL && e->m.health_told ? &e->m.health : NULL;
}

uint32_t fleet_count(const struct controller *ctl)
{
	return ctl->fleet->connected;
}

/* ---- sending --------------------------------------------------------------------------------------------------- */

bool fleet_send_to(struct controller *ctl, const struct session *s, uint64_t id, struct span frame, bool urgent)
{
	struct gw_send send = {.session = s->session, .id = id, .urgent = urgent, .frame = frame};
	return gateways_send(ctl, s->gateway, GW_SEND, id, &send);
}

bool fleet_send_frame(struct controller *ctl, const char *name, uint64_t id, struct span frame, bool urgent)
{
	const struct member *m = fleet_member(ctl, name);
	return m != NULL && is_connected(&m->session) && fleet_send_to(ctl, &m->session, id, frame, urgent);
}

bool fleet_send(struct controller *ctl, const char *name, uint16_t type, uint64_t id, const void *payload, bool urgent)
{
	struct fleet *f = ctl->fleet;
	buf_reset(&f->out);
	return wire_encode(&wire_agent, type, id, payload, &f->out) == 0 &&
	       fleet_send_frame(ctl, name, id, buf_span(&f->out), urgent);
}

/* ---- connections by number -------------------------------------------------------------------------------------- */

static void link_set(struct fleet *f, uint64_t gateway, uint64_t session, const char *name, const char *address)
{
	struct link key = {.key = {gateway, session}}, *l = NULL;
	HASH_FIND(hh, f->links, &key.key, sizeof(key.key), l);
	if (l == NULL) {
		l = calloc(1, sizeof(*l));
		if (l == NULL)
			abort();
		l->key = key.key;
		HASH_ADD(hh, f->links, key, sizeof(l->key), l);
	}
	text_cut(l->name, sizeof(l->name), name);
	text_cut(l->address, sizeof(l->address), address);
}

static struct link *link_find(struct fleet *f, uint64_t gateway, uint64_t session)
{
	struct link key = {.key = {gateway, session}}, *l = NULL;
	HASH_FIND(hh, f->links, &key.key, sizeof(key.key), l);
	return l;
}

static void link_drop(struct fleet *f, struct link *l)
{
	HASH_DEL(f->links, l);
	free(l);
}

/* The port of a connection says nothing. */
static bool same_host(const char *a, const char *b)
{
	const char *end_a = strrchr(a, ':'), *end_b = strrchr(b, ':');
	return end_a != NULL && end_b != NULL && end_a - a == end_b - b && strncmp(a, b, (size_t)(end_a - a)) == 0;
}

/* ---- the session's decisions ----------------------------------------------------------------------------------- */

static void kick(struct controller *ctl, const struct session_action *a, const char *name)
{
	char           fields[64];
	char           code[ERR_CODE_SIZE];
	struct gw_kick k = {.session = a->session, .code = a->code};
	text_cut(k.text, sizeof(k.text), err_what(a->code));
	(void)snprintf(fields, sizeof(fields), "VCC_AGENT=%s", name);
	log_line(LOG_LEVEL_NOTICE, fields, "agent is disconnected: %s %s", err_code(a->code, code), err_what(a->code));
	(void)gateways_send(ctl, a->gateway, GW_KICK, 0, &k);
}

static void note_copy(struct controller *ctl, const struct member *m, const struct session_action *a)
{
	const struct link *l = link_find(ctl->fleet, a->gateway, a->session);
	if (l != NULL && !same_host(m->row->copy_address, l->address))
		host_copies_note(ctl, m->row, l->address);
}

static bool is_session(const struct member *m, uint64_t gateway, uint64_t session)
{
	return m->session.gateway == gateway && m->session.session == session;
}

static bool is_asking(const struct member *m, uint64_t gateway, uint64_t session)
{
	return m->session.asking_gateway == gateway && m->session.asking_session == session;
}

static void act(struct controller *ctl, struct member *m, const struct session_action *a)
{
	switch (a->kind) {
	case SES_WELCOME:
		if (!is_session(m, a->gateway, a->session))
			fleet_welcome_to(ctl, m, a->gateway, a->session, m->session.asking_not_after_at);
		else if (gateways_in_roster(ctl, a->gateway))
			fleet_welcome_later(ctl, m->name, 0);
		else
			fleet_welcome_now(ctl, m);
		break;
	case SES_KICK:
		kick(ctl, a, m->name);
		break;
	case SES_RESEND:
		sent_messages_resend(ctl, m->name);
		break;
	case SES_COPY_AGAIN:
		note_copy(ctl, m, a);
		break;
	case SES_COPY_FOUND: /* kept and told by step() */
	case SES_ACTION_COUNT:
		break;
	}
}

static void step(struct controller *ctl, struct member *m, const struct session_event *event)
{
	struct session_step s;
	struct session      was = m->session;
	session_step(&m->session, event, m->row, clock_now(), &s);
	m->session = s.next;
	if (is_connected(&was) && !is_connected(&m->session))
		ctl->fleet->connected--;
	if (!is_connected(&was) && is_connected(&m->session))
		ctl->fleet->connected++;
	if (was.gateway != m->session.gateway || was.session != m->session.session)
		forget_waiting(ctl->fleet, m);
	if (s.keep)
		host_copies_keep(ctl, m->row, &s.run);
	for (size_t i = 0; i < s.n_act; i++)
		act(ctl, m, &s.act[i]);
	if (m->session.gateway == 0 && m->session.asking_gateway == 0)
		member_offline(ctl, m);
}

/* ---- from gateways --------------------------------------------------------------------------------------------- */

/* Brings what the hello of the last connection left behind up to date; written only when it changed. */
static void note_seen(struct controller *ctl, const struct member *m, const char *address, const char *version)
{
	int64_t now = clock_now();
	if (m->row == NULL ||
	    (same_host(m->row->address, address) && text_equal(m->row->version, version) && now - m->row->seen_at < MS_HOUR))
		return;
	struct agent   a = *m->row;
	struct commit *c = commit_new(ctl);
	a.seen_at = now;
	text_cut(a.address, sizeof(a.address), address);
	text_cut(a.version, sizeof(a.version), version);
	commit_agent(c, &a);
	commit_now(c, NULL, NULL);
}

/* The row that the certificate's name leads to; a former name leads to the host that had it, and a name that a restored store has never
 * heard of to the host whose key the certificate names. */
static int member_of(struct controller *ctl, const char *name, struct hash host_hash, struct member **ret)
{
	struct former_name  former;
	struct agent        same_key;
	struct member      *m = fleet_member(ctl, name);
	const struct agent *row = NULL;
	if (m != NULL && m->row != NULL) {
		*ret = m;
		return 0;
	}
	if (!name_agent_ok(name))
		return E_NOT_FOUND;
	if (fleet_is_renaming(ctl, name))
		return E_AGENT_RENAMED;
	int r = rows_hold_agent(ctl->rows, name, &row);
	if (r == E_NOT_FOUND && view_former_name(ctl->view, name, &former) == 0)
		return member_of(ctl, former.agent, host_hash, ret); /* which is no former name */
	if (r == E_NOT_FOUND && view_agent_by_host(ctl->view, host_hash, &same_key) == 0 && same_key.state == AGENT_ACTIVE)
		return member_of(ctl, same_key.name, host_hash, ret);
	if (r < 0)
		return r;
	if (m == NULL)
		m = member_new(ctl, name);
	m->gone = m->gone && row->state != AGENT_ACTIVE;
	m->row = row;
	*ret = m;
	return 0;
}

/* Only of the very host, in a state to come: anything else is the session's to judge. */
static bool is_revoked(struct controller *ctl, const struct gw_up *up, const struct agent *row)
{
	struct issuance i;
	return row->state == AGENT_ACTIVE && hash_equal(row->host_hash, up->host_hash) && !serial_equal(up->identity, row->identity) &&
	       rows_issuance(ctl->rows, up->identity, &i) == 0 && i.state == ISSUANCE_REVOKED;
}

void fleet_up(struct controller *ctl, uint64_t gateway, const struct gw_up *up)
{
	struct session_action unknown = {.kind = SES_KICK, .gateway = gateway, .session = up->session, .code = E_GW_CLIENT};
	struct member        *m = NULL;
	int                   r = member_of(ctl, up->agent, up->host_hash, &m);
	if (r == 0 && is_revoked(ctl, up, m->row)) /* its host key gets it a new one */
		r = E_GW_EXPIRED;
	if (r < 0) {
		if (r == E_NOT_FOUND)
			restored_saw_host(ctl, up->agent);
		unknown.code = r == E_NOT_FOUND ? E_GW_CLIENT : r == E_AGENT_RENAMED || r == E_GW_EXPIRED ? r : E_API_UNAVAILABLE;
		kick(ctl, &unknown, up->agent);
		return;
	}
	link_set(ctl->fleet, gateway, up->session, m->name, up->address);
	step(ctl, m,
	     &(struct session_event){.kind = SES_UP,
				     .gateway = gateway,
				     .session = up->session,
				     .host_hash = up->host_hash,
				     .identity = up->identity,
				     .not_after_at = up->not_after_at});
	if (is_session(m, gateway, up->session))
		note_seen(ctl, m, up->address, m->row->version);
	if (is_session(m, gateway, up->session) && serial_equal(up->identity, m->row->identity) && text_equal(up->agent, m->name))
		renamed_identity_used(ctl, m->row);
}

static void leave(struct controller *ctl, struct link *l, enum session_event_kind kind)
{
	struct member *m = fleet_member(ctl, l->name);
	uint64_t       gateway = l->key.gateway, session = l->key.session;
	link_drop(ctl->fleet, l);
	if (m != NULL && (is_session(m, gateway, session) || is_asking(m, gateway, session)))
		step(ctl, m, &(struct session_event){.kind = kind, .gateway = gateway, .session = session});
}

void fleet_down(struct controller *ctl, uint64_t gateway, uint64_t session)
{
	struct link *l = link_find(ctl->fleet, gateway, session);
	if (l != NULL)
		leave(ctl, l, SES_DOWN);
}

void fleet_gateway_lost(struct controller *ctl, uint64_t gateway)
{
	struct link *l, *tmp;
	HASH_ITER (hh, ctl->fleet->links, l, tmp)
		if (l->key.gateway == gateway)
			leave(ctl, l, SES_GATEWAY_LOST);
}

static void wait_in_line(struct controller *ctl, struct member *m, struct span bytes)
{
	size_t size = sizeof(struct waiting_frame) + bytes.n;
	if (m->waiting_bytes + size > WAITING_MAX || ctl->fleet->waiting_bytes + size > WAITING_ALL) {
		struct session_action a = {
			.kind = SES_KICK, .gateway = m->session.gateway, .session = m->session.session, .code = E_API_BUSY};
		kick(ctl, &a, m->name); /* it re-sends what is unacked when it comes back */
		forget_waiting(ctl->fleet, m);
		return;
	}
	struct waiting_frame *w = malloc(size);
	if (w == NULL)
		abort();
	*w = (struct waiting_frame){.n = bytes.n};
	memcpy(w->bytes, bytes.p, bytes.n);
	DL_APPEND(m->waiting, w);
	m->waiting_bytes += size;
	ctl->fleet->waiting_bytes += size;
}

void fleet_frame(struct controller *ctl, uint64_t gateway, uint64_t session, struct span bytes)
{
	const struct link *l = link_find(ctl->fleet, gateway, session);
	struct member     *m = l != NULL ? fleet_member(ctl, l->name) : NULL;
	if (m != NULL && m->row != NULL && is_session(m, gateway, session)) {
		if (m->busy || m->waiting != NULL)
			wait_in_line(ctl, m, bytes);
		else
			agent_messages_take(ctl, m, bytes);
	} else if (m != NULL && m->row != NULL && is_asking(m, gateway, session)) {
		agent_messages_asking(ctl, m, bytes);
	}
	gateways_done(ctl, gateway);
}

void fleet_ready(struct controller *ctl, const char *name)
{
	struct member *m = fleet_member(ctl, name);
	if (m == NULL)
		return;
	m->busy = false;
	while (!m->busy && m->waiting != NULL && m->row != NULL && !ctl->stopping) {
		struct waiting_frame *w = waiting_take(ctl->fleet, m);
		agent_messages_take(ctl, m, (struct span){w->bytes, w->n});
		free(w);
	}
}

void fleet_hello(struct controller *ctl, struct member *m, bool asking, const struct msg_hello *hello)
{
	uint64_t gateway = asking ? m->session.asking_gateway : m->session.gateway;
	uint64_t session = asking ? m->session.asking_session : m->session.session;
	step(ctl, m,
	     &(struct session_event){.kind = SES_HELLO,
				     .gateway = gateway,
				     .session = session,
				     .host_hash = hello->host_hash,
				     .boot_id = hello->boot_id,
				     .generation = hello->generation});
	const struct link *l = link_find(ctl->fleet, gateway, session);
	if (m->row == NULL || l == NULL || !is_session(m, gateway, session) || !m->session.helloed)
		return;
	bool other_version = m->row->version[0] != '\0' && !text_equal(m->row->version, hello->version);
	note_seen(ctl, m, l->address, hello->version);
	if (other_version)
		orders_try_paused(ctl, m->name);
	bundles_hello(ctl, m, hello->bundle_epoch);
	crl_news_tell(ctl, m->name);
}

static void cut(struct controller *ctl, const char *name, int code)
{
	struct link *l, *tmp;
	if (fleet_member(ctl, name) == NULL)
		return;
	HASH_ITER (hh, ctl->fleet->links, l, tmp)
		if (text_equal(l->name, name)) {
			struct session_action a = {.kind = SES_KICK, .gateway = l->key.gateway, .session = l->key.session, .code = code};
			kick(ctl, &a, name);
			leave(ctl, l, SES_DOWN);
		}
}

void fleet_replaced(struct controller *ctl, const char *name)
{
	cut(ctl, name, E_AGENT_EVICTED);
}

bool fleet_renaming(struct controller *ctl, const char *from, const char *to)
{
	struct fleet *f = ctl->fleet;
	if (f->renaming[0] != '\0')
		return false;
	text_cut(f->renaming, sizeof(f->renaming), from);
	text_cut(f->renaming_to, sizeof(f->renaming_to), to);
	cut(ctl, from, E_AGENT_RENAMED);
	return true;
}

void fleet_gone(struct controller *ctl, const char *name)
{
	struct member *m = fleet_member(ctl, name);
	if (m != NULL)
		m->gone = true;
}

/* It was here a moment ago: it is not away under its new name. */
void fleet_renamed(struct controller *ctl, bool stored)
{
	struct fleet        *f = ctl->fleet;
	const struct member *was = fleet_member(ctl, f->renaming);
	if (stored && was != NULL) {
		struct member *m = fleet_member(ctl, f->renaming_to);
		if (m == NULL)
			m = member_new(ctl, f->renaming_to);
		m->left_at = was->left_at;
		m->gone = false;
	}
	f->renaming[0] = f->renaming_to[0] = '\0';
}

bool fleet_is_renaming(const struct controller *ctl, const char *name)
{
	const struct fleet *f = ctl->fleet;
	return f->renaming[0] != '\0' && (text_equal(f->renaming, name) || text_equal(f->renaming_to, name));
}

void fleet_state_changed(struct controller *ctl, const char *name)
{
	struct member *m = fleet_member(ctl, name);
	if (m != NULL && m->row != NULL)
		step(ctl, m,
		     &(struct session_event){
			     .kind = SES_STATE_CHANGED, .gateway = m->session.gateway, .session = m->session.session});
}

/* session.c - room controller/core: who is connected and what follows from it: welcome, resend, kick, clone alarm.
 * Never: sockets, heap, decisions about orders. */
#include "controller/core/session.h"

#include "shared/base/err.h"

static void add(struct session_step *s, enum session_action_kind kind, uint64_t gateway, uint64_t session, int code)
{
	s->act[s->n_act++] = (struct session_action){.kind = kind, .gateway = gateway, .session = session, .code = code};
}

static bool is_current(const struct session *s, const struct session_event *event)
{
	return s->gateway != 0 && s->gateway == event->gateway && s->session == event->session;
}

/* What tells the host's runs apart stays: a copy of the host is seen by it at the next hello. */
static void disconnect(struct session *s)
{
	s->gateway = s->session = 0;
	s->welcomed = s->helloed = false;
	s->up_at = s->not_after_at = 0;
}

/* 0, or why this agent may not be connected. */
static int refusal_of(const struct agent *agent)
{
	static const int codes[AGENT_STATE_COUNT] = {
		[AGENT_ACTIVE] = 0,
		[AGENT_EVICTED] = E_AGENT_EVICTED,
		[AGENT_BANNED] = E_AGENT_BANNED,
		[AGENT_REMOVED] = E_AGENT_EVICTED,
	};
	if (agent == NULL || (unsigned)agent->state >= AGENT_STATE_COUNT)
		return E_GW_CLIENT;
	return codes[agent->state];
}

static void on_up(const struct session_event *event, const struct agent *agent, int64_t now, struct session_step *s)
{
	int code = refusal_of(agent);
	if (code == 0 && !hash_equal(agent->host_hash, event->host_hash))
		code = E_GW_CLIENT;
	if (code == 0 && event->not_after_at <= now)
		code = E_GW_EXPIRED;
	if (code != 0) {
		if (is_current(&s->next, event))
			disconnect(&s->next);
		add(s, SES_KICK, event->gateway, event->session, code);
		return;
	}

	if (s->next.gateway != 0 && !is_current(&s->next, event))
		add(s, SES_KICK, s->next.gateway, s->next.session, E_AGENT_CLONE);
	s->next.gateway = event->gateway;
	s->next.session = event->session;
	s->next.welcomed = true;
	s->next.helloed = false;
	s->next.up_at = now;
	s->next.not_after_at = event->not_after_at;
	add(s, SES_WELCOME, event->gateway, event->session, 0);
}

static void on_hello(const struct session_event *event, const struct agent *agent, struct session_step *s)
{
	if (!is_current(&s->next, event))
		return;
	int code = refusal_of(agent);
	if (code == 0 && !hash_equal(agent->host_hash, event->host_hash))
		code = E_GW_CLIENT;
	if (code != 0) {
		add(s, SES_KICK, event->gateway, event->session, code);
		disconnect(&s->next);
		return;
	}

	/* A restart of the host makes both new; a copy that runs beside it does not. */
	bool other_run = !id_is_none(s->next.boot_id) && !id_equal(s->next.boot_id, event->boot_id);
	if (other_run && event->generation <= s->next.generation)
		add(s, SES_AUDIT_CLONE, event->gateway, event->session, E_AGENT_CLONE);
	s->next.boot_id = event->boot_id;
	s->next.generation = event->generation;
	s->next.helloed = true;
	add(s, SES_RESEND, event->gateway, event->session, 0);
}

static void on_state_changed(const struct session_event *event, const struct agent *agent, struct session_step *s)
{
	(void)event;
	int code = refusal_of(agent);
	if (code == 0 || s->next.gateway == 0)
		return;
	add(s, SES_KICK, s->next.gateway, s->next.session, code);
	disconnect(&s->next);
}

static void on_timer(int64_t now, struct session_step *s)
{
	if (!s->next.welcomed || s->next.helloed || now - s->next.up_at < SESSION_HELLO_MS)
		return;
	s->next.up_at = now;
	add(s, SES_WELCOME, s->next.gateway, s->next.session, 0);
}

void session_step(const struct session *s, const struct session_event *event, const struct agent *agent, int64_t now,
		  struct session_step *ret)
{
	*ret = (struct session_step){.next = *s};
	switch (event->kind) {
	case SES_UP:
		on_up(event, agent, now, ret);
		break;
	case SES_HELLO:
		on_hello(event, agent, ret);
		break;
	case SES_DOWN:
		if (is_current(s, event))
			disconnect(&ret->next);
		break;
	case SES_GATEWAY_LOST:
		if (s->gateway == event->gateway)
			disconnect(&ret->next);
		break;
	case SES_STATE_CHANGED:
		on_state_changed(event, agent, ret);
		break;
	case SES_TIMER:
		on_timer(now, ret);
		break;
	case SES_EVENT_COUNT:
		break;
	}
}

enum session_receipt session_receipt(uint64_t taken, uint64_t seq)
{
	if (seq <= taken)
		return SESSION_RECEIPT_KNOWN;
	return seq - taken == 1 ? SESSION_RECEIPT_NEXT : SESSION_RECEIPT_GAP;
}

/* session.c - room controller/core: who is connected and what follows from it: welcome, resend, kick, clone alarm.
 * Never: sockets, heap, decisions about orders. */
#include "controller/core/session.h"

#include "shared/base/err.h"

static void add(struct session_step *s, enum session_action_kind kind, uint64_t gateway, uint64_t session, int code)
{
	s->act[s->n_act++] = (struct session_action){.kind = kind, .gateway = gateway, .session = session, .code = code};
}

static bool is_asking(const struct session *s, const struct session_event *event)
{
	return s->asking_gateway != 0 && s->asking_gateway == event->gateway && s->asking_session == event->session;
}

static bool is_current(const struct session *s, const struct session_event *event)
{
	return s->gateway != 0 && s->gateway == event->gateway && s->session == event->session;
}

static void asking_ends(struct session *s)
{
	s->asking_gateway = s->asking_session = 0;
	s->asking_not_after_at = 0;
}

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

/* ---- up ---------------------------------------------------------------------------------------------------------- */

static int refusal_of_connection(const struct session_event *event, const struct agent *agent)
{
	int code = refusal_of(agent);
	return code == 0 && !hash_equal(agent->host_hash, event->host_hash) ? E_GW_CLIENT : code;
}

/* The one that stays is not thrown out for one that may be the copy. */
static void ask_for_hello(const struct session_event *event, struct session_step *s)
{
	if (s->next.asking_gateway != 0 && !is_asking(&s->next, event))
		add(s, SES_KICK, s->next.asking_gateway, s->next.asking_session, E_AGENT_CLONE);
	s->next.asking_gateway = event->gateway;
	s->next.asking_session = event->session;
	s->next.asking_not_after_at = event->not_after_at;
	add(s, SES_WELCOME, event->gateway, event->session, 0);
}

static void become_current(uint64_t gateway, uint64_t session, int64_t not_after_at, int64_t now, struct session_step *s)
{
	if (s->next.gateway != 0 && (s->next.gateway != gateway || s->next.session != session))
		add(s, SES_KICK, s->next.gateway, s->next.session, E_AGENT_CLONE);
	s->next.gateway = gateway;
	s->next.session = session;
	s->next.welcomed = true;
	s->next.helloed = false;
	s->next.up_at = now;
	s->next.not_after_at = not_after_at;
}

static void on_up(const struct session_event *event, const struct agent *agent, int64_t now, struct session_step *s)
{
	int code = refusal_of_connection(event, agent);
	if (code == 0 && event->not_after_at <= now)
		code = E_GW_EXPIRED;
	if (code != 0) {
		if (is_current(&s->next, event))
			disconnect(&s->next);
		if (is_asking(&s->next, event))
			asking_ends(&s->next);
		add(s, SES_KICK, event->gateway, event->session, code);
		return;
	}
	bool other = s->next.gateway != 0 && !is_current(&s->next, event);
	if (other && agent->run.copy == COPY_PROVED) {
		ask_for_hello(event, s);
		return;
	}
	become_current(event->gateway, event->session, event->not_after_at, now, s);
	add(s, SES_WELCOME, event->gateway, event->session, 0);
}

/* ---- hello: whose run is it? --------------------------------------------------------------------------------------- */

enum run_verdict { RUN_TAKEN, RUN_FOLLOWS, RUN_ODD, RUN_CAME_BACK, RUN_REFUSED };

typedef bool run_guard_fn(const struct agent_run *run, const struct session_event *event);

static bool run_is_same(const struct agent_run *run, const struct session_event *event)
{
	return id_equal(run->run_id, event->boot_id);
}

static bool run_is_first(const struct agent_run *run, const struct session_event *event)
{
	(void)event;
	return id_is_none(run->run_id);
}

static bool run_has_copy(const struct agent_run *run, const struct session_event *event)
{
	(void)event;
	return run->copy == COPY_PROVED;
}

static bool run_was_followed(const struct agent_run *run, const struct session_event *event)
{
	return !id_is_none(run->before_id) && id_equal(run->before_id, event->boot_id);
}

static bool run_is_later(const struct agent_run *run, const struct session_event *event)
{
	return event->generation > run->generation;
}

/* The first row that fits decides. */
static const struct {
	run_guard_fn    *guard; /* NULL = always */
	enum run_verdict verdict;
} runs[] = {
	{run_is_same, RUN_TAKEN},   {run_has_copy, RUN_REFUSED}, {run_is_first, RUN_FOLLOWS}, {run_was_followed, RUN_CAME_BACK},
	{run_is_later, RUN_FOLLOWS}, {NULL, RUN_ODD},
};

static enum run_verdict run_judge(const struct agent_run *run, const struct session_event *event)
{
	size_t i = 0;
	while (runs[i].guard != NULL && !runs[i].guard(run, event))
		i++;
	return runs[i].verdict;
}

/* What the agent's row will say. The run that came back was there first; what had followed it is the copy. */
static void run_keep(enum run_verdict verdict, const struct agent_run *run, const struct session_event *event,
		     struct session_step *s)
{
	if (verdict == RUN_TAKEN || verdict == RUN_REFUSED)
		return;
	s->keep = true;
	s->run = (struct agent_run){.run_id = event->boot_id,
				    .generation = event->generation,
				    .before_id = verdict == RUN_CAME_BACK ? (struct id){{0}} : run->run_id,
				    .copy = run->copy};
	if (verdict == RUN_ODD)
		s->run.copy = COPY_SUSPECTED;
	if (verdict == RUN_CAME_BACK)
		s->run.copy = COPY_PROVED;
	if (s->run.copy != run->copy)
		add(s, SES_COPY_FOUND, event->gateway, event->session, 0);
}

static void on_hello(const struct session_event *event, const struct agent *agent, int64_t now, struct session_step *s)
{
	bool asking = is_asking(&s->next, event);
	if (!asking && !is_current(&s->next, event))
		return;
	int              code = refusal_of_connection(event, agent);
	enum run_verdict verdict = code == 0 ? run_judge(&agent->run, event) : RUN_REFUSED;
	if (verdict == RUN_REFUSED) {
		if (code == 0)
			add(s, SES_COPY_AGAIN, event->gateway, event->session, 0);
		add(s, SES_KICK, event->gateway, event->session, code != 0 ? code : E_AGENT_COPY);
		if (asking)
			asking_ends(&s->next);
		else
			disconnect(&s->next);
		return;
	}
	if (asking) {
		become_current(event->gateway, event->session, s->next.asking_not_after_at, now, s);
		asking_ends(&s->next);
	}
	run_keep(verdict, &agent->run, event, s);
	s->next.helloed = true;
	add(s, SES_RESEND, event->gateway, event->session, 0);
}

/* ---- the rest ------------------------------------------------------------------------------------------------------ */

static void on_state_changed(const struct session_event *event, const struct agent *agent, struct session_step *s)
{
	(void)event;
	int code = refusal_of(agent);
	if (code == 0)
		return;
	if (s->next.asking_gateway != 0)
		add(s, SES_KICK, s->next.asking_gateway, s->next.asking_session, code);
	if (s->next.gateway != 0)
		add(s, SES_KICK, s->next.gateway, s->next.session, code);
	asking_ends(&s->next);
	disconnect(&s->next);
}

static void on_down(const struct session_event *event, struct session_step *s)
{
	if (is_current(&s->next, event))
		disconnect(&s->next);
	if (is_asking(&s->next, event))
		asking_ends(&s->next);
}

static void on_gateway_lost(const struct session_event *event, struct session_step *s)
{
	if (s->next.gateway == event->gateway)
		disconnect(&s->next);
	if (s->next.asking_gateway == event->gateway)
		asking_ends(&s->next);
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
		on_hello(event, agent, now, ret);
		break;
	case SES_DOWN:
		on_down(event, ret);
		break;
	case SES_GATEWAY_LOST:
		on_gateway_lost(event, ret);
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

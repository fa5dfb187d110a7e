/* sim_net.c - room tests/lib: the network: connections of agents to the gateway, which loses, doubles, delays and cuts, and
 * the gateway's reliable link to the controller. Never: looking into a message beyond its type. */
#include "shared/base/err.h"
#include "shared/base/times.h"
#include "tests/lib/sim.h"

enum { LINK_MS = 1 }; /* gateway <-> controller: in order */
#define CONNECT_MS (10 * MS_SECOND)

static int agent_of_session(const struct sim *s, uint64_t session)
{
	for (int i = 0; i < s->n_agents; i++) {
		if (session != 0 && s->gateway.session[i] == session)
			return i;
	}
	return -1;
}

/* ---- connections ---- */

/* Each side notices by itself, and not at once. */
static void on_agent_notices(struct sim *s, const struct sim_event *e)
{
	if (s->agent[e->agent].alive && s->agent[e->agent].run == e->run && s->agent[e->agent].link == e->link)
		agent_disconnected(s, e->agent);
}

static void agent_notices(struct sim *s, int agent, int64_t ms)
{
	struct sim_event *e = sim_after(s, ms, on_agent_notices);
	e->agent = agent;
	e->run = s->agent[agent].run;
	e->link = s->agent[agent].link;
}

static void on_down(struct sim *s, const struct sim_event *e)
{
	if (s->controller.alive && e->run == s->controller.run && e->link == s->controller.connection)
		control_down(s, e->msg.id, e->agent);
}

static void session_end(struct sim *s, int agent)
{
	uint64_t session = s->gateway.session[agent];
	s->gateway.session[agent] = 0;
	if (!s->gateway.linked || session == 0)
		return;
	struct sim_event *e = sim_after(s, LINK_MS, on_down);
	e->agent = agent;
	e->run = s->controller.run;
	e->link = s->controller.connection;
	e->msg.id = session;
}

static void cut(struct sim *s, int agent)
{
	sim_trace(s, "cut %d", agent);
	session_end(s, agent);
	agent_notices(s, agent, sim_between(s, 0, 28 * MS_SECOND));
}

static void on_up(struct sim *s, const struct sim_event *e)
{
	if (s->controller.alive && e->run == s->controller.run && e->link == s->controller.connection)
		control_up(s, e->agent, e->msg.id);
}

static void announce(struct sim *s, int agent)
{
	struct sim_event *e = sim_after(s, LINK_MS, on_up);
	e->agent = agent;
	e->run = s->controller.run;
	e->link = s->controller.connection;
	e->msg.id = s->gateway.session[agent];
}

static void connect_within(struct sim *s, int agent, int64_t ms);

static void on_connect(struct sim *s, const struct sim_event *e)
{
	struct sim_agent *a = &s->agent[e->agent];
	if (!a->alive || a->run != e->run || a->connected)
		return;
	if (!s->gateway.alive || !years_reachable(s, e->agent)) {
		connect_within(s, e->agent, s->config->days > 0 ? MS_MINUTE : CONNECT_MS);
		return;
	}
	if (s->gateway.session[e->agent] != 0)
		session_end(s, e->agent); /* the gateway had not noticed yet */
	s->gateway.session[e->agent] = ++s->gateway.sessions;
	agent_connected(s, e->agent, s->gateway.session[e->agent]);
	if (s->gateway.linked)
		announce(s, e->agent);
}

static void connect_within(struct sim *s, int agent, int64_t ms)
{
	struct sim_event *e = sim_after(s, sim_between(s, 0, ms), on_connect);
	e->agent = agent;
	e->run = s->agent[agent].run;
}

void net_connect_later(struct sim *s, int agent)
{
	connect_within(s, agent, CONNECT_MS);
}

void net_agent_gone(struct sim *s, int agent)
{
	session_end(s, agent);
}

/* ---- gateway and controller find each other ---- */

static void on_linked(struct sim *s, const struct sim_event *e)
{
	if (!s->gateway.alive || !s->controller.alive || s->gateway.linked || e->run != s->gateway.run ||
	    e->link != s->controller.run)
		return;
	s->gateway.linked = true;
	s->controller.connection++;
	sim_trace(s, "gateway linked");
	for (int i = 0; i < s->n_agents; i++) {
		if (s->gateway.session[i] != 0)
			announce(s, i);
	}
}

static void link_later(struct sim *s)
{
	struct sim_event *e = sim_after(s, sim_between(s, 50, 2000), on_linked);
	e->run = s->gateway.run;
	e->link = s->controller.run;
}

void gateway_start(struct sim *s)
{
	s->gateway.alive = true;
	s->gateway.run++;
	link_later(s);
}

void gateway_die(struct sim *s)
{
	s->gateway.alive = false;
	s->gateway.run++;
	for (int i = 0; i < s->n_agents; i++) {
		if (s->gateway.session[i] != 0)
			agent_notices(s, i, sim_between(s, 0, 5 * MS_SECOND));
		s->gateway.session[i] = 0;
	}
	if (s->gateway.linked)
		control_gateway_lost(s);
	s->gateway.linked = false;
}

void net_controller_up(struct sim *s)
{
	link_later(s);
}

void net_controller_gone(struct sim *s)
{
	s->gateway.linked = false;
}

void net_cut(struct sim *s, int agent)
{
	cut(s, agent);
}

void net_kick(struct sim *s, uint64_t connection, uint64_t session)
{
	int agent = agent_of_session(s, session);
	if (s->gateway.linked && connection == s->controller.connection && agent >= 0)
		cut(s, agent);
}

/* ---- messages ---- */

static void on_at_controller(struct sim *s, const struct sim_event *e)
{
	if (s->controller.alive && e->run == s->controller.run && !sim_may_die(s, SIM_CONTROLLER, 0))
		control_message(s, e->agent, e->link, &e->msg);
}

/* The gateway forwards, or drops while there is no controller. */
static void on_at_gateway(struct sim *s, const struct sim_event *e)
{
	if (!s->gateway.alive || s->gateway.session[e->agent] != e->link || sim_may_die(s, SIM_GATEWAY, 0) ||
	    !s->gateway.linked)
		return;
	struct sim_event *next = sim_after(s, LINK_MS, on_at_controller);
	next->agent = e->agent;
	next->run = s->controller.run;
	next->link = e->link;
	next->msg = e->msg;
}

static void on_at_agent(struct sim *s, const struct sim_event *e)
{
	struct sim_agent *a = &s->agent[e->agent];
	if (a->alive && a->connected && a->link == e->link && !sim_may_die(s, SIM_AGENT, e->agent))
		agent_message(s, e->agent, &e->msg);
}

/* 0, 1 or 2 copies, in order unless one is late. */
static void carry(struct sim *s, int agent, uint64_t session, const struct sim_msg *m, sim_fn *fn)
{
	if (sim_chance(s, s->config->cut)) {
		cut(s, agent);
		return;
	}
	if (sim_chance(s, s->config->lose))
		return;
	int copies = sim_chance(s, s->config->twice) ? 2 : 1;
	for (int i = 0; i < copies; i++) {
		bool              late = sim_chance(s, s->config->late);
		struct sim_event *e = sim_after(s, late ? sim_between(s, 100, 8000) : 20, fn);
		e->agent = agent;
		e->link = session;
		e->msg = *m;
	}
}

void net_from_agent(struct sim *s, int agent, const struct sim_msg *m)
{
	if (s->agent[agent].connected)
		carry(s, agent, s->agent[agent].link, m, on_at_gateway);
}

void net_to_agent(struct sim *s, int agent, uint64_t connection, uint64_t session, const struct sim_msg *m)
{
	if (!s->gateway.alive || !s->gateway.linked || connection != s->controller.connection || sim_may_die(s, SIM_GATEWAY, 0))
		return;
	if (s->gateway.session[agent] == session)
		carry(s, agent, session, m, on_at_agent);
}

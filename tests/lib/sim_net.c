/* sim_net.c - room tests/lib: the network: connections of agents to the gateway, which loses, doubles, delays and cuts, and
 * the gateway's reliable link to the controller. Never: looking into a message beyond its type. */
#include <string.h>

#include "shared/base/err.h"
#include "shared/base/times.h"
#include "tests/lib/sim.h"

enum { LINK_MS = 1 }; /* gateway <-> controller: in order */
#define CONNECT_MS (10 * MS_SECOND)
#define SILENCE_MS (28 * MS_SECOND) /* a ping each 20 s, 8 s for its answer */

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
	agent_notices(s, agent, sim_between(s, 0, SILENCE_MS));
}

/* ---- parted: nobody is told, each side finds out by what does not come ---- */

static bool is_parted(const struct sim *s, int agent)
{
	return s->now < s->agent[agent].deaf_until || s->now < s->agent[agent].mute_until;
}

/* The pings are not answered; or it was over before they were missed. */
static void on_silence(struct sim *s, const struct sim_event *e)
{
	if (is_parted(s, e->agent) && s->agent[e->agent].link == e->link && s->gateway.session[e->agent] == e->link)
		cut(s, e->agent);
}

static void part(struct sim *s, int agent, unsigned ways, int64_t until)
{
	struct sim_agent *a = &s->agent[agent];
	sim_trace(s, "%d is parted, ways %u", agent, ways);
	s->parted++;
	if ((ways & 1) != 0)
		a->deaf_until = until;
	if ((ways & 2) != 0)
		a->mute_until = until;
	struct sim_event *e = sim_after(s, sim_between(s, 20 * MS_SECOND, SILENCE_MS), on_silence);
	e->agent = agent;
	e->link = a->link;
}

void net_weather(struct sim *s)
{
	if (!sim_chance(s, s->config->part))
		return;
	unsigned ways = 1 + sim_random(s, 3); /* to them, from them, both */
	int64_t  until = s->now + sim_between(s, MS_SECOND, 3 * MS_MINUTE);
	uint32_t each = 1 + sim_random(s, (uint32_t)s->n_agents), first = sim_random(s, each);
	for (uint32_t i = first; i < (uint32_t)s->n_agents; i += each)
		part(s, (int)i, ways, until);
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
	if (!s->gateway.alive || !years_reachable(s, e->agent) || is_parted(s, e->agent)) {
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

/* No frame holds a private key of its host. */
static void look_for_keys(struct sim *s, int agent, const struct sim_msg *m)
{
	for (int cert = 0; cert < s->n_certs; cert++) {
		const struct sim_cert *c = &s->agent[agent].cert[cert];
		const struct hash     *keys[] = {&c->key, &c->staged, &c->generation[c->current].key};
		struct hash            secret;
		for (size_t i = 0; i < N_ELEMENTS(keys); i++) {
			disk_private_key(keys[i], &secret);
			if (!hash_is_none(*keys[i]) && memmem(m, sizeof(*m), secret.b, sizeof(secret.b)) != NULL)
				sim_broken(s, SIM_KEY_STAYS, "%s: a message of type %u holds its private key", c->cert_id, m->type);
		}
	}
}

/* 0, 1 or 2 copies, in order unless one is late. */
static void carry(struct sim *s, int agent, uint64_t session, const struct sim_msg *m, sim_fn *fn)
{
	look_for_keys(s, agent, m);
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
	if (s->agent[agent].connected && s->now >= s->agent[agent].mute_until)
		carry(s, agent, s->agent[agent].link, m, on_at_gateway);
}

void net_to_agent(struct sim *s, int agent, uint64_t connection, uint64_t session, const struct sim_msg *m)
{
	if (!s->gateway.alive || !s->gateway.linked || connection != s->controller.connection || sim_may_die(s, SIM_GATEWAY, 0))
		return;
	if (s->gateway.session[agent] == session && s->now >= s->agent[agent].deaf_until)
		carry(s, agent, session, m, on_at_agent);
}

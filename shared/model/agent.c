/* agent.c - room shared/model: the names of agent states, roles and audit events.
 * Never: rights; those are in controller/core. */
#include "shared/model/agent.h"

const char *agent_state_name(enum agent_state s)
{
	static const char *const names[AGENT_STATE_COUNT] = {
		[AGENT_ACTIVE] = "active",
		[AGENT_EVICTED] = "evicted",
		[AGENT_BANNED] = "banned",
		[AGENT_REMOVED] = "removed",
	};
	return (size_t)s < N_ELEMENTS(names) ? names[s] : "unknown";
}

const char *agent_copy_name(enum agent_copy c)
{
	static const char *const names[COPY_COUNT] = {
		[COPY_NONE] = "none",
		[COPY_SUSPECTED] = "suspected",
		[COPY_PROVED] = "proved",
	};
	return (size_t)c < N_ELEMENTS(names) ? names[c] : "unknown";
}

const char *role_name(enum role r)
{
	static const char *const names[ROLE_COUNT] = {
		[ROLE_VIEWER] = "viewer",   [ROLE_OPERATOR] = "operator", [ROLE_APPROVER] = "approver",
		[ROLE_AUDITOR] = "auditor", [ROLE_ADMIN] = "admin",
	};
	return (size_t)r < N_ELEMENTS(names) ? names[r] : "unknown";
}

const char *audit_event_name(enum audit_event e)
{
	static const char *const names[AUDIT_EVENT_COUNT] = {
#define X(symbol, name) [AUDIT_##symbol] = name,
		AUDIT_EVENTS(X)
#undef X
	};
	return (size_t)e < N_ELEMENTS(names) ? names[e] : "unknown";
}

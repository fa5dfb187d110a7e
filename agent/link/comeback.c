/* comeback.c - room agent/link: what follows from a lost connection or a failed return; read the table first.
 * Never: clocks, randomness, sockets. */
#include "agent/link/comeback.h"

#include <stddef.h>

#include "shared/base/err.h"

typedef bool guard_fn(const struct loss *l);

static bool is_banned(const struct loss *l)
{
	return l->code == E_AGENT_BANNED || l->code == E_JOIN_BANNED;
}

static bool needs_a_person(const struct loss *l)
{
	return l->code == E_AGENT_EVICTED || l->code == E_RETURN_UNKNOWN;
}

static bool is_copy(const struct loss *l)
{
	return l->code == E_AGENT_COPY;
}

static bool is_moving(const struct loss *l)
{
	return l->moving;
}

static bool may_succeed_later(const struct loss *l)
{
	return err_kind(l->code) == ERR_KIND_RETRY;
}

static bool return_failed_for_now(const struct loss *l)
{
	return l->of_return && l->ended && may_succeed_later(l);
}

static bool return_failed(const struct loss *l)
{
	return l->of_return && l->ended;
}

static bool has_ended(const struct loss *l)
{
	return !l->of_return && (l->ended || l->expired || l->code == E_GW_EXPIRED);
}

static bool has_ended_again(const struct loss *l)
{
	return l->returned && has_ended(l);
}

/* The server's alert may be lost with the connection; then our own clock has a word, but only against a server that refused us. */
static bool seems_refused_as_ended(const struct loss *l)
{
	return !l->of_return && !l->returned && l->seems_ended && l->shaken && !l->established;
}

/* The first row that fits decides. */
static const struct {
	guard_fn       *guard; /* NULL = always */
	struct comeback then;
} table[] = {
	{is_banned, {COMEBACK_NEVER, PAUSE_NONE}},
	{needs_a_person, {COMEBACK_CONNECT, PAUSE_HOUR}},
	{is_copy, {COMEBACK_CONNECT, PAUSE_MINUTES}},
	{is_moving, {COMEBACK_CONNECT, PAUSE_NONE}},
	{return_failed_for_now, {COMEBACK_RETURN, PAUSE_AWAY}},
	{return_failed, {COMEBACK_RETURN, PAUSE_REFUSED}},
	{has_ended_again, {COMEBACK_RETURN, PAUSE_AWAY}},
	{has_ended, {COMEBACK_RETURN, PAUSE_NONE}},
	{seems_refused_as_ended, {COMEBACK_RETURN, PAUSE_NONE}},
	{may_succeed_later, {COMEBACK_CONNECT, PAUSE_AWAY}},
	{NULL, {COMEBACK_CONNECT, PAUSE_REFUSED}},
};

struct comeback comeback_after(const struct loss *loss)
{
	size_t i = 0;
	while (table[i].guard != NULL && !table[i].guard(loss))
		i++;
	return table[i].then;
}

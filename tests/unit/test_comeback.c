/* test_comeback.c - does a link know from what happened whether to connect, to let the host key ask, or to stop? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/link/comeback.h"
#include "shared/base/err.h"

static const struct {
	const char     *what;
	struct loss     loss;
	struct comeback then;
} rows[] = {
	{"a ban ends all", {.code = E_AGENT_BANNED, .ended = true, .expired = true}, {COMEBACK_NEVER, PAUSE_NONE}},
	{"also told at the join port", {.code = E_AGENT_BANNED, .of_return = true, .ended = true}, {COMEBACK_NEVER, PAUSE_NONE}},
	{"also of the host key", {.code = E_JOIN_BANNED, .of_return = true}, {COMEBACK_NEVER, PAUSE_NONE}},
	{"evicted: a person must invite", {.code = E_AGENT_EVICTED, .established = true}, {COMEBACK_CONNECT, PAUSE_HOUR}},
	{"also at the join port", {.code = E_AGENT_EVICTED, .of_return = true, .ended = true}, {COMEBACK_CONNECT, PAUSE_HOUR}},
	{"the name has another host", {.code = E_RETURN_UNKNOWN, .of_return = true, .ended = true}, {COMEBACK_CONNECT, PAUSE_HOUR}},
	{"a copy waits for a person, and asks now and then", {.code = E_AGENT_COPY, .established = true}, {COMEBACK_CONNECT, PAUSE_MINUTES}},

	{"nobody there", {.code = E_LINK_DOWN}, {COMEBACK_CONNECT, PAUSE_AWAY}},
	{"cut", {.code = E_LINK_DOWN, .established = true, .shaken = true}, {COMEBACK_CONNECT, PAUSE_AWAY}},
	{"our clock alone says that it has ended: nobody refused us", {.code = E_LINK_DOWN, .seems_ended = true}, {COMEBACK_CONNECT, PAUSE_AWAY}},
	{"our clock is wrong and the connection stood", {.code = E_LINK_DOWN, .seems_ended = true, .shaken = true, .established = true},
	 {COMEBACK_CONNECT, PAUSE_AWAY}},
	{"a wrong server", {.code = E_PKI_CHAIN, .shaken = true}, {COMEBACK_CONNECT, PAUSE_REFUSED}},
	{"another machine connected", {.code = E_AGENT_CLONE, .established = true}, {COMEBACK_CONNECT, PAUSE_REFUSED}},
	{"moving to the next identity", {.code = E_GW_EXPIRED, .moving = true, .established = true}, {COMEBACK_CONNECT, PAUSE_NONE}},

	{"the server says it", {.code = E_LINK_DOWN, .expired = true, .shaken = true}, {COMEBACK_RETURN, PAUSE_NONE}},
	{"the gateway cuts at notAfter", {.code = E_GW_EXPIRED, .established = true}, {COMEBACK_RETURN, PAUSE_NONE}},
	{"known to have ended, network gone", {.code = E_LINK_DOWN, .ended = true}, {COMEBACK_RETURN, PAUSE_NONE}},
	{"refused without a word, and our clock says why", {.code = E_LINK_DOWN, .seems_ended = true, .shaken = true}, {COMEBACK_RETURN, PAUSE_NONE}},

	{"refused again right after a return: no circle", {.code = E_LINK_DOWN, .expired = true, .shaken = true, .returned = true},
	 {COMEBACK_RETURN, PAUSE_AWAY}},
	{"and not by our own clock", {.code = E_LINK_DOWN, .seems_ended = true, .shaken = true, .returned = true}, {COMEBACK_CONNECT, PAUSE_AWAY}},
	{"a return that found nobody", {.code = E_LINK_DOWN, .of_return = true, .ended = true}, {COMEBACK_RETURN, PAUSE_AWAY}},
	{"a return that was refused", {.code = E_LINK_PIN, .of_return = true, .ended = true}, {COMEBACK_RETURN, PAUSE_REFUSED}},
	{"a return for no known end: the agents' port is asked first", {.code = E_LINK_DOWN, .of_return = true, .seems_ended = true},
	 {COMEBACK_CONNECT, PAUSE_AWAY}},
	{"and later when it was refused", {.code = E_LINK_NO_JOIN, .of_return = true}, {COMEBACK_CONNECT, PAUSE_REFUSED}},
};

static void each_row(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct comeback then = comeback_after(&rows[i].loss);
		if (then.how != rows[i].then.how || then.pause != rows[i].then.pause)
			fail_msg("%s: how %d, pause %d", rows[i].what, (int)then.how, (int)then.pause);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(each_row)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

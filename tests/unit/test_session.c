/* test_session.c - room tests/unit: who is welcomed, who is kicked, and when is something sent again?
 * Never: sockets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "controller/core/session.h"
#include "shared/base/err.h"

static const struct hash host = {{1}}, other_host = {{2}};

static struct agent active(void)
{
	struct agent a = {.name = "web01", .state = AGENT_ACTIVE, .host_hash = host};
	return a;
}

static struct session_event up(uint64_t gateway, uint64_t session)
{
	return (struct session_event){
		.kind = SES_UP, .gateway = gateway, .session = session, .host_hash = host, .not_after_at = 1000};
}

static struct session_event hello(uint64_t gateway, uint64_t session, uint8_t boot, uint64_t generation)
{
	return (struct session_event){.kind = SES_HELLO,
				      .gateway = gateway,
				      .session = session,
				      .host_hash = host,
				      .boot_id = {{boot}},
				      .generation = generation};
}

static void assert_kicked(const struct session_step *s, uint64_t gateway, uint64_t session, int code)
{
	assert_int_equal(s->n_act, 1);
	assert_int_equal(s->act[0].kind, SES_KICK);
	assert_int_equal(s->act[0].gateway, gateway);
	assert_int_equal(s->act[0].session, session);
	assert_int_equal(s->act[0].code, code);
}

static void test_refused(void **state)
{
	(void)state;
	struct session       s = {0};
	struct session_step  step;
	struct session_event e = up(1, 7);

	session_step(&s, &e, NULL, 100, &step);
	assert_kicked(&step, 1, 7, E_GW_CLIENT);

	static const struct {
		enum agent_state state;
		int              code;
	} rows[] = {{AGENT_EVICTED, E_AGENT_EVICTED}, {AGENT_REMOVED, E_AGENT_EVICTED}, {AGENT_BANNED, E_AGENT_BANNED}};
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		struct agent a = active();
		a.state = rows[i].state;
		session_step(&s, &e, &a, 100, &step);
		assert_kicked(&step, 1, 7, rows[i].code);
		assert_int_equal(step.next.gateway, 0);
		assert_false(step.next.welcomed);
	}

	struct agent a = active();
	e.host_hash = other_host;
	session_step(&s, &e, &a, 100, &step);
	assert_kicked(&step, 1, 7, E_GW_CLIENT);

	e = up(1, 7);
	session_step(&s, &e, &a, 1000, &step); /* notAfter has come */
	assert_kicked(&step, 1, 7, E_GW_EXPIRED);
}

static void test_welcome_then_resend(void **state)
{
	(void)state;
	struct agent         a = active();
	struct session       s = {0};
	struct session_step  step;
	struct session_event e = up(1, 7);
	session_step(&s, &e, &a, 100, &step);
	assert_int_equal(step.n_act, 1);
	assert_int_equal(step.act[0].kind, SES_WELCOME);
	assert_true(step.next.welcomed && !step.next.helloed);
	s = step.next;

	e = hello(1, 7, 9, 3);
	session_step(&s, &e, &a, 101, &step);
	assert_int_equal(step.n_act, 1);
	assert_int_equal(step.act[0].kind, SES_RESEND);
	assert_true(step.next.helloed);
	s = step.next;

	e = hello(1, 7, 9, 3); /* after a repeated welcome */
	session_step(&s, &e, &a, 102, &step);
	assert_int_equal(step.n_act, 1);
	assert_int_equal(step.act[0].kind, SES_RESEND);

	e = up(1, 7); /* the roster names it again */
	session_step(&s, &e, &a, 103, &step);
	assert_int_equal(step.n_act, 1);
	assert_int_equal(step.act[0].kind, SES_WELCOME);
	assert_false(step.next.helloed);
}

static void test_hello_of_somebody_else(void **state)
{
	(void)state;
	struct agent         a = active();
	struct session       s = {.gateway = 1, .session = 7, .welcomed = true};
	struct session_step  step;
	struct session_event e = hello(1, 8, 9, 3);
	session_step(&s, &e, &a, 100, &step);
	assert_int_equal(step.n_act, 0);
	assert_false(step.next.helloed);

	e = hello(1, 7, 9, 3);
	e.host_hash = other_host;
	session_step(&s, &e, &a, 100, &step);
	assert_kicked(&step, 1, 7, E_GW_CLIENT);
	assert_int_equal(step.next.gateway, 0);

	struct session never = {0};
	e = hello(0, 0, 9, 3);
	session_step(&never, &e, &a, 100, &step);
	assert_int_equal(step.n_act, 0);
}

static void test_newer_wins(void **state)
{
	(void)state;
	struct agent   a = active();
	struct session s = {.gateway = 1, .session = 7, .welcomed = true, .helloed = true, .boot_id = {{9}}, .generation = 3};
	struct session_step  step;
	struct session_event e = up(2, 1);
	session_step(&s, &e, &a, 100, &step);
	assert_int_equal(step.n_act, 2);
	assert_int_equal(step.act[0].kind, SES_KICK);
	assert_int_equal(step.act[0].session, 7);
	assert_int_equal(step.act[0].code, E_AGENT_CLONE);
	assert_int_equal(step.act[1].kind, SES_WELCOME);
	assert_int_equal(step.next.gateway, 2);

	s = step.next;
	e = (struct session_event){.kind = SES_DOWN, .gateway = 1, .session = 7}; /* the kicked one goes: nothing to us */
	session_step(&s, &e, &a, 101, &step);
	assert_int_equal(step.next.gateway, 2);
}

static void test_clone(void **state)
{
	(void)state;
	struct agent         a = active();
	struct session       s = {.gateway = 1, .session = 7, .welcomed = true, .boot_id = {{9}}, .generation = 3};
	struct session_step  step;
	struct session_event e = hello(1, 7, 10, 4); /* a restart */
	session_step(&s, &e, &a, 100, &step);
	assert_int_equal(step.n_act, 1);

	e = hello(1, 7, 10, 3); /* another run that is not younger */
	session_step(&s, &e, &a, 100, &step);
	assert_int_equal(step.n_act, 2);
	assert_int_equal(step.act[0].kind, SES_AUDIT_CLONE);
	assert_int_equal(step.act[1].kind, SES_RESEND);

	e = (struct session_event){.kind = SES_DOWN, .gateway = 1, .session = 7};
	session_step(&s, &e, &a, 100, &step);
	assert_int_equal(step.next.gateway, 0);
	assert_int_equal(step.next.generation, 3); /* known beyond the connection */
}

static void test_lost_and_changed(void **state)
{
	(void)state;
	struct agent         a = active();
	struct session       s = {.gateway = 1, .session = 7, .welcomed = true, .helloed = true};
	struct session_step  step;
	struct session_event e = {.kind = SES_GATEWAY_LOST, .gateway = 2};
	session_step(&s, &e, &a, 100, &step);
	assert_true(step.next.helloed);
	e.gateway = 1;
	session_step(&s, &e, &a, 100, &step);
	assert_false(step.next.helloed || step.next.welcomed);
	assert_int_equal(step.n_act, 0);

	e = (struct session_event){.kind = SES_STATE_CHANGED};
	session_step(&s, &e, &a, 100, &step);
	assert_int_equal(step.n_act, 0);
	a.state = AGENT_BANNED;
	session_step(&s, &e, &a, 100, &step);
	assert_kicked(&step, 1, 7, E_AGENT_BANNED);
	assert_int_equal(step.next.gateway, 0);
	s = step.next;
	session_step(&s, &e, &a, 100, &step); /* nobody there to be kicked */
	assert_int_equal(step.n_act, 0);
}

static void test_welcome_repeated(void **state)
{
	(void)state;
	struct agent         a = active();
	struct session       s = {.gateway = 1, .session = 7, .welcomed = true, .up_at = 1000};
	struct session_step  step;
	struct session_event e = {.kind = SES_TIMER};
	session_step(&s, &e, &a, 1000 + SESSION_HELLO_MS - 1, &step);
	assert_int_equal(step.n_act, 0);
	session_step(&s, &e, &a, 1000 + SESSION_HELLO_MS, &step);
	assert_int_equal(step.n_act, 1);
	assert_int_equal(step.act[0].kind, SES_WELCOME);
	s = step.next;
	session_step(&s, &e, &a, 1001 + SESSION_HELLO_MS, &step);
	assert_int_equal(step.n_act, 0);
	s.helloed = true;
	session_step(&s, &e, &a, 1000 + 9 * SESSION_HELLO_MS, &step);
	assert_int_equal(step.n_act, 0);
	struct session none = {0};
	session_step(&none, &e, &a, 1000 + SESSION_HELLO_MS, &step);
	assert_int_equal(step.n_act, 0);
}

static void test_receipts_in_sequence(void **state)
{
	(void)state;
	assert_int_equal(session_receipt(0, 1), SESSION_RECEIPT_NEXT);
	assert_int_equal(session_receipt(5, 6), SESSION_RECEIPT_NEXT);
	assert_int_equal(session_receipt(5, 5), SESSION_RECEIPT_KNOWN);
	assert_int_equal(session_receipt(5, 0), SESSION_RECEIPT_KNOWN);
	assert_int_equal(session_receipt(5, 7), SESSION_RECEIPT_GAP);
	assert_int_equal(session_receipt(0, UINT64_MAX), SESSION_RECEIPT_GAP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_welcome_then_resend),
		cmocka_unit_test(test_hello_of_somebody_else),
		cmocka_unit_test(test_newer_wins),
		cmocka_unit_test(test_clone),
		cmocka_unit_test(test_lost_and_changed),
		cmocka_unit_test(test_welcome_repeated),
		cmocka_unit_test(test_receipts_in_sequence),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

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
	struct session s = {.gateway = 1, .session = 7, .welcomed = true, .helloed = true};
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

/* ---- runs of the keeper: who is the copy? ---- */

static struct agent_run run_of(uint8_t boot, uint64_t generation, uint8_t before, enum agent_copy copy)
{
	return (struct agent_run){.run_id = {{boot}}, .generation = generation, .before_id = {{before}}, .copy = copy};
}

static void assert_run(const struct session_step *s, struct agent_run want)
{
	assert_true(s->keep);
	assert_true(id_equal(s->run.run_id, want.run_id) && id_equal(s->run.before_id, want.before_id));
	assert_int_equal(s->run.generation, want.generation);
	assert_int_equal(s->run.copy, want.copy);
}

/* Known run, hello, and what follows: refused rows first. */
static const struct run_row {
	struct agent_run known;
	uint8_t          boot;
	uint64_t         generation;
	int              kicked; /* 0 = let in */
	bool             keep, found;
	struct agent_run then;
} run_rows[] = {
	/* two hosts are known: nobody but the one that stays, not even with a higher generation */
	{{{{5}}, 5, {{0}}, COPY_PROVED}, 6, 6, E_AGENT_COPY, false, false, {{{0}}, 0, {{0}}, COPY_NONE}},
	{{{{5}}, 5, {{6}}, COPY_PROVED}, 6, 9, E_AGENT_COPY, false, false, {{{0}}, 0, {{0}}, COPY_NONE}},
	{{{{5}}, 5, {{0}}, COPY_PROVED}, 5, 5, 0, false, false, {{{0}}, 0, {{0}}, COPY_NONE}},
	/* the first hello ever, the same run again, restarts */
	{{{{0}}, 0, {{0}}, COPY_NONE}, 5, 5, 0, true, false, {{{5}}, 5, {{0}}, COPY_NONE}},
	{{{{5}}, 5, {{4}}, COPY_NONE}, 5, 5, 0, false, false, {{{0}}, 0, {{0}}, COPY_NONE}},
	{{{{5}}, 5, {{4}}, COPY_NONE}, 6, 6, 0, true, false, {{{6}}, 6, {{5}}, COPY_NONE}},
	{{{{5}}, 5, {{4}}, COPY_NONE}, 9, 19, 0, true, false, {{{9}}, 19, {{5}}, COPY_NONE}},
	/* a run that does not follow: suspected, let in */
	{{{{5}}, 5, {{4}}, COPY_NONE}, 9, 5, 0, true, true, {{{9}}, 5, {{5}}, COPY_SUSPECTED}},
	{{{{5}}, 5, {{4}}, COPY_NONE}, 9, 2, 0, true, true, {{{9}}, 2, {{5}}, COPY_SUSPECTED}},
	{{{{5}}, 5, {{4}}, COPY_SUSPECTED}, 9, 2, 0, true, false, {{{9}}, 2, {{5}}, COPY_SUSPECTED}},
	{{{{5}}, 5, {{4}}, COPY_SUSPECTED}, 9, 6, 0, true, false, {{{9}}, 6, {{5}}, COPY_SUSPECTED}},
	/* the run that another had followed is alive: it was there first */
	{{{{6}}, 6, {{5}}, COPY_NONE}, 5, 5, 0, true, true, {{{5}}, 5, {{0}}, COPY_PROVED}},
	{{{{9}}, 2, {{5}}, COPY_SUSPECTED}, 5, 5, 0, true, true, {{{5}}, 5, {{0}}, COPY_PROVED}},
};

static void test_runs(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(run_rows); i++) {
		const struct run_row *row = &run_rows[i];
		struct agent          a = active();
		struct session        s = {.gateway = 1, .session = 7, .welcomed = true};
		struct session_event  e = hello(1, 7, row->boot, row->generation);
		struct session_step   step;
		a.run = row->known;
		session_step(&s, &e, &a, 100, &step);
		assert_int_equal(step.keep, row->keep);
		if (row->keep)
			assert_run(&step, row->then);
		if (row->kicked != 0) {
			assert_int_equal(step.n_act, 2);
			assert_int_equal(step.act[0].kind, SES_COPY_AGAIN);
			assert_int_equal(step.act[1].kind, SES_KICK);
			assert_int_equal(step.act[1].code, row->kicked);
			assert_int_equal(step.next.gateway, 0);
			continue;
		}
		assert_true(step.next.helloed);
		assert_int_equal(step.n_act, row->found ? 2 : 1);
		assert_int_equal(step.act[0].kind, row->found ? SES_COPY_FOUND : SES_RESEND);
		assert_int_equal(step.act[step.n_act - 1].kind, SES_RESEND);
	}
}

/* The one that stays is not thrown out while another asks; the same host with a new connection is let in by its hello. */
static void test_the_copy_disturbs_nobody(void **state)
{
	(void)state;
	struct agent        a = active();
	struct session      s = {.gateway = 1, .session = 7, .welcomed = true, .helloed = true};
	struct session_step step;
	a.run = run_of(5, 5, 0, COPY_PROVED);
	struct session_event e = up(2, 1);
	session_step(&s, &e, &a, 100, &step);
	assert_int_equal(step.n_act, 1);
	assert_int_equal(step.act[0].kind, SES_WELCOME);
	assert_int_equal(step.act[0].gateway, 2);
	assert_int_equal(step.next.gateway, 1);
	assert_true(step.next.helloed);
	s = step.next;

	e = up(3, 1); /* and another one: the last that asks is heard */
	session_step(&s, &e, &a, 100, &step);
	assert_int_equal(step.n_act, 2);
	assert_int_equal(step.act[0].kind, SES_KICK);
	assert_int_equal(step.act[0].gateway, 2);
	s = step.next;

	e = hello(3, 1, 6, 6);
	session_step(&s, &e, &a, 100, &step);
	assert_int_equal(step.n_act, 2);
	assert_int_equal(step.act[1].kind, SES_KICK);
	assert_int_equal(step.act[1].gateway, 3);
	assert_int_equal(step.act[1].code, E_AGENT_COPY);
	assert_int_equal(step.next.gateway, 1);
	assert_int_equal(step.next.asking_gateway, 0);
	assert_true(step.next.helloed);

	e = hello(3, 1, 5, 5); /* the same host: it has a new connection, the old one is dead */
	session_step(&s, &e, &a, 100, &step);
	assert_int_equal(step.n_act, 2);
	assert_int_equal(step.act[0].kind, SES_KICK);
	assert_int_equal(step.act[0].gateway, 1);
	assert_int_equal(step.act[0].code, E_AGENT_CLONE);
	assert_int_equal(step.act[1].kind, SES_RESEND);
	assert_int_equal(step.next.gateway, 3);
	assert_true(step.next.helloed);
	assert_int_equal(step.next.asking_gateway, 0);

	e = (struct session_event){.kind = SES_DOWN, .gateway = 3, .session = 1};
	session_step(&s, &e, &a, 100, &step);
	assert_int_equal(step.next.gateway, 1);
	assert_int_equal(step.next.asking_gateway, 0);

	a.state = AGENT_BANNED;
	e = (struct session_event){.kind = SES_STATE_CHANGED};
	session_step(&s, &e, &a, 100, &step);
	assert_int_equal(step.n_act, 2);
	assert_int_equal(step.next.gateway, 0);
	assert_int_equal(step.next.asking_gateway, 0);
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
		cmocka_unit_test(test_runs),
		cmocka_unit_test(test_the_copy_disturbs_nobody),
		cmocka_unit_test(test_lost_and_changed),
		cmocka_unit_test(test_welcome_repeated),
		cmocka_unit_test(test_receipts_in_sequence),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

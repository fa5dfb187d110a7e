/* test_commit.c - does what follows a change wait until it is durable, and does the next decision see rows that are still on their way?
 * Never: the SQLite backend; store_mem keeps the same promise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "controller/daemon/commit.h"
#include "controller/daemon/state.h"
#include "shared/pki/key.h"
#include "tests/lib/store_kit.h"

struct world {
	struct controller ctl;
	uv_loop_t         loop;
	char              trail[64]; /* what happened, in order */
};
static struct world *now;

static void note(char c)
{
	size_t n = strlen(now->trail);
	assert_true(n + 1 < sizeof(now->trail));
	now->trail[n] = c;
}

static void on_wake(uv_async_t *async)
{
	commits_poll(((struct controller *)async->data)->commits);
}

static void wake(void *ctx)
{
	(void)uv_async_send(&((struct controller *)ctx)->store_wake);
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	now = w;
	assert_int_equal(uv_loop_init(&w->loop), 0);
	w->ctl.loop = &w->loop;
	assert_int_equal(uv_async_init(&w->loop, &w->ctl.store_wake, on_wake), 0);
	w->ctl.store_wake.data = &w->ctl;
	struct store_options options = {.hash = digest_sha256_two, .wake = wake, .wake_ctx = &w->ctl, .create = true};
	assert_int_equal(store_mem_open(&options, &w->ctl.store), 0);
	assert_int_equal(store_view_open(w->ctl.store, &w->ctl.view), 0);
	assert_int_equal(rows_open(w->ctl.view, &w->ctl.rows), 0);
	assert_int_equal(commits_open(&w->ctl, &w->ctl.commits), 0);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	store_view_close(w->ctl.view);
	store_close(w->ctl.store);
	uv_close((uv_handle_t *)&w->ctl.store_wake, NULL);
	(void)uv_run(&w->loop, UV_RUN_DEFAULT);
	commits_free(w->ctl.commits);
	rows_free(w->ctl.rows);
	assert_int_equal(uv_loop_close(&w->loop), 0);
	free(w);
	return 0;
}

static void run_dry(struct world *w)
{
	while (commit_waiting(&w->ctl) > 0)
		(void)uv_run(&w->loop, UV_RUN_ONCE);
}

static void on_then(struct controller *ctl, const void *value, size_t n)
{
	struct certificate cert;
	assert_int_equal(n, CERT_ID_SIZE);
	assert_int_equal(view_certificate(ctl->view, value, &cert), 0); /* it is durable now */
	note('t');
}

static void on_else(struct controller *ctl, const void *value, size_t n)
{
	(void)value;
	(void)n;
	assert_true(commit_failure(ctl) < 0);
	note('e');
}

static void on_done(struct controller *ctl, void *ctx, int code, const struct store_result *result)
{
	(void)ctl;
	(void)result;
	*(int *)ctx = code;
	note('d');
}

static struct certificate sample(void)
{
	struct certificate cert;
	kit_certificate(1, &cert);
	cert.version = 0;
	return cert;
}

static void test_effects_wait_for_durability(void **state)
{
	struct world      *w = *state;
	struct certificate cert = sample();
	int                code = 1;
	struct commit     *c = commit_new(&w->ctl);
	commit_certificate(c, &cert);
	commit_then(c, on_then, cert.cert_id, sizeof(cert.cert_id));
	commit_else(c, on_else, NULL, 0);
	commit_now(c, on_done, &code);
	assert_string_equal(w->trail, ""); /* nothing happens inside the call */
	assert_int_equal(commit_waiting(&w->ctl), 1);
	run_dry(w);
	assert_string_equal(w->trail, "td");
	assert_int_equal(code, 0);
	assert_true(commit_healthy(&w->ctl));
}

static void test_next_decision_sees_rows_in_flight(void **state)
{
	struct world      *w = *state;
	struct certificate cert = sample(), seen;
	struct commit     *c = commit_new(&w->ctl);
	commit_certificate(c, &cert);
	commit_now(c, NULL, NULL);
	assert_int_equal(rows_certificate(w->ctl.rows, cert.cert_id, &seen), 0);
	assert_int_equal(seen.version, 1);

	seen.unattended = 7; /* built on what is not yet stored */
	c = commit_new(&w->ctl);
	commit_certificate(c, &seen);
	commit_now(c, NULL, NULL);
	run_dry(w);
	assert_int_equal(view_certificate(w->ctl.view, cert.cert_id, &seen), 0);
	assert_int_equal(seen.version, 2);
	assert_int_equal(seen.unattended, 7);
}

/* A receipt and a target file's news come in one breath: the second must not write back what it read before the first was stored. */
static void test_targets_in_flight(void **state)
{
	struct world *w = *state;
	struct target t = {.target_id = "web", .cert_id = "web", .agent = "a1", .stem = "web", .last_code = -1}, seen, all[4];
	size_t        n;
	struct commit *c = commit_new(&w->ctl);
	commit_target(c, &t);
	commit_now(c, NULL, NULL);
	assert_int_equal(rows_target(w->ctl.rows, "web", &seen), 0);
	assert_int_equal(seen.last_code, -1);
	run_dry(w);

	t.last_code = -2;
	c = commit_new(&w->ctl);
	commit_target(c, &t);
	commit_now(c, NULL, NULL);
	assert_int_equal(rows_targets_of(w->ctl.rows, "web", all, N_ELEMENTS(all), &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(all[0].last_code, -2);
	run_dry(w);

	c = commit_new(&w->ctl);
	commit_remove_target(c, "web");
	commit_now(c, NULL, NULL);
	assert_int_equal(rows_target(w->ctl.rows, "web", &seen), E_NOT_FOUND);
	assert_int_equal(rows_targets_of(w->ctl.rows, "web", all, N_ELEMENTS(all), &n), 0);
	assert_int_equal(n, 0);
	run_dry(w);
	assert_int_equal(rows_target(w->ctl.rows, "web", &seen), E_NOT_FOUND);
}

static void test_failure_takes_the_row_back(void **state)
{
	struct world      *w = *state;
	struct certificate cert = sample(), seen;
	int                code = 0;
	struct commit     *c = commit_new(&w->ctl);
	commit_certificate(c, &cert);
	commit_now(c, NULL, NULL);
	run_dry(w);

	cert.unattended = 9; /* version 0 again: it exists already */
	c = commit_new(&w->ctl);
	commit_certificate(c, &cert);
	commit_then(c, on_then, cert.cert_id, sizeof(cert.cert_id));
	commit_else(c, on_else, NULL, 0);
	commit_now(c, on_done, &code);
	run_dry(w);
	assert_string_equal(w->trail, "ed");
	assert_int_equal(code, E_EXISTS);
	assert_int_equal(rows_certificate(w->ctl.rows, cert.cert_id, &seen), 0);
	assert_int_not_equal(seen.unattended, 9);
	assert_int_equal(seen.version, 1);
}

static void test_held_row_is_read_again_after_failure(void **state)
{
	struct world       *w = *state;
	struct agent        a;
	const struct agent *held;
	struct certificate  cert = sample();
	kit_agent(1, &a);
	struct commit *c = commit_new(&w->ctl);
	commit_agent(c, &a);
	commit_certificate(c, &cert);
	commit_now(c, NULL, NULL);
	run_dry(w);

	assert_int_equal(rows_hold_agent(w->ctl.rows, a.name, &held), 0);
	a.receipt_seq += 1;
	c = commit_new(&w->ctl);
	commit_agent(c, &a);
	assert_int_equal(held->receipt_seq, a.receipt_seq); /* seen at once */
	commit_certificate(c, &cert);                       /* fails the whole change */
	commit_now(c, NULL, NULL);
	run_dry(w);
	assert_int_equal(held->receipt_seq, a.receipt_seq - 1);
	rows_release_agent(w->ctl.rows, a.name);
}

static void test_audit_detail_is_json_or_nothing(void **state)
{
	struct world *w = *state;
	struct audit  row[3];
	size_t        n;
	char          large[600];
	memset(large, 'x', sizeof(large) - 1);
	large[sizeof(large) - 1] = '\0';
	struct audit_of of = {.event = AUDIT_TARGET_REFUSED, .actor = "agent:a", .object = "a-web"};
	struct commit  *c = commit_new(&w->ctl);
	commit_audit(c, &of, "{s:s}", "cause", "a \"quoted\" \n cause");
	commit_audit(c, &of, "{s:s}", "cause", large);
	commit_audit(c, &of, NULL);
	commit_now(c, NULL, NULL);
	run_dry(w);
	assert_int_equal(view_audit(w->ctl.view, 0, row, 3, &n), 0);
	assert_int_equal(n, 3);
	assert_string_equal(row[0].detail, "{\"cause\":\"a \\\"quoted\\\" \\n cause\"}");
	assert_string_equal(row[1].detail, "");
	assert_string_equal(row[2].detail, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_effects_wait_for_durability, setup, teardown),
		cmocka_unit_test_setup_teardown(test_next_decision_sees_rows_in_flight, setup, teardown),
		cmocka_unit_test_setup_teardown(test_targets_in_flight, setup, teardown),
		cmocka_unit_test_setup_teardown(test_failure_takes_the_row_back, setup, teardown),
		cmocka_unit_test_setup_teardown(test_held_row_is_read_again_after_failure, setup, teardown),
		cmocka_unit_test_setup_teardown(test_audit_detail_is_json_or_nothing, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

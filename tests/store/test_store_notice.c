/* test_store_notice.c - is there one open trouble for each matter, told once, raised by what follows and resolved with its last
 * certificate, in both backends? Never: looking behind store.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "shared/base/text.h"
#include "tests/lib/store_kit.h"

enum { ALL = 1 << NOTICE_TOPIC_RENEWAL | 1 << NOTICE_TOPIC_THRESHOLD };

/* A certificate that fails with a cause of its service, as its order's attempt tells it. */
static struct notice failure(uint32_t n, const char *cert_id, const char *key, int64_t at)
{
	struct notice f = {.notice_id = kit_id(n), .at = at, .level = NOTICE_ERROR, .event = NOTICE_RENEWAL_FAILED, .code = E_SWAP_PROBE,
			   .renewal_id = kit_id(500), .attempt = n};
	text_cut(f.key, sizeof(f.key), key);
	text_cut(f.service, sizeof(f.service), "argus");
	text_cut(f.object, sizeof(f.object), cert_id);
	text_cut(f.recipients, sizeof(f.recipients), "role:admin, ops@vcc.internal");
	text_cut(f.detail, sizeof(f.detail), "{\"cause\":\"x\"}");
	return f;
}

static void fail_with(struct kit *k, const struct notice *n)
{
	struct store_change *c = store_change_new();
	store_add_trouble(c, n, NOTICE_TOPIC_RENEWAL, NOTICE_STEP_YES);
	assert_int_equal(kit_commit(k, c, NULL), 0);
}

static void succeed(struct kit *k, uint32_t n, const char *cert_id, int64_t at)
{
	struct notice        over = {.notice_id = kit_id(n), .at = at, .renewal_id = kit_id(600), .attempt = 1};
	struct store_change *c = store_change_new();
	text_cut(over.object, sizeof(over.object), cert_id);
	store_end_troubles(c, &over, ALL, NOTICE_STEP_YES);
	assert_int_equal(kit_commit(k, c, NULL), 0);
}

static size_t all(struct kit *k, struct notice *ret, size_t max)
{
	struct notice_filter any = {.level = -1, .state = -1};
	size_t               n = 0;
	assert_int_equal(view_notices(k->view, &any, (struct id){{0}}, ret, max, &n), 0);
	return n;
}

static void last_step(struct kit *k, uint32_t order, struct order_step_row *ret)
{
	struct order_step_row rows[20];
	size_t                n = 0;
	assert_int_equal(view_steps(k->view, kit_id(order), rows, N_ELEMENTS(rows), &n), 0);
	assert_true(n > 0);
	*ret = rows[n - 1];
}

static void test_one_trouble_stands_for_all_of_its_cause(void **state)
{
	struct kit           *k = *state;
	struct notice         rows[8], got;
	struct order_step_row step;
	struct notice         a = failure(1, "a", "argus VCC-1", 100), b = failure(2, "b", "argus VCC-1", 200);
	b.level = NOTICE_CRITICAL;
	text_cut(b.recipients, sizeof(b.recipients), "ops@vcc.internal, other@vcc.internal");
	fail_with(k, &a);
	fail_with(k, &b);
	a.at = 300;
	a.attempt = 3;
	a.notice_id = kit_id(3);
	fail_with(k, &a);
	assert_int_equal(all(k, rows, N_ELEMENTS(rows)), 1);
	assert_int_equal(view_notice(k->view, kit_id(1), &got), 0);
	assert_int_equal(got.count, 3);
	assert_int_equal(got.at, 100);
	assert_int_equal(got.last_at, 300);
	assert_int_equal(got.level, NOTICE_CRITICAL); /* never less than it was */
	assert_string_equal(got.recipients, "role:admin, ops@vcc.internal, other@vcc.internal");
	last_step(k, 500, &step);
	assert_int_equal(step.step, STEP_NOTIFY);
	assert_int_equal(step.attempt, 3);
	assert_non_null(strstr(step.detail, "raised renewal_failed to 3"));

	succeed(k, 10, "a", 400); /* b still fails: nobody is told */
	assert_int_equal(all(k, rows, N_ELEMENTS(rows)), 1);
	last_step(k, 600, &step);
	assert_string_equal(step.detail, "nothing to tell");
	succeed(k, 11, "b", 500);
	assert_int_equal(all(k, rows, N_ELEMENTS(rows)), 2);
	assert_int_equal(rows[0].event, NOTICE_TROUBLE_RESOLVED);
	assert_int_equal(rows[0].level, NOTICE_SUCCESS);
	assert_int_equal(rows[0].code, E_SWAP_PROBE);
	assert_string_equal(rows[0].service, "argus");
	assert_string_equal(rows[0].recipients, got.recipients);
	assert_int_equal(rows[1].state, NOTICE_CLOSED);
	assert_int_equal(rows[1].closed_at, 500);
	succeed(k, 12, "b", 600); /* told once */
	assert_int_equal(all(k, rows, N_ELEMENTS(rows)), 2);

	a.at = 700; /* the same cause again is a new trouble */
	a.notice_id = kit_id(20);
	fail_with(k, &a);
	assert_int_equal(all(k, rows, N_ELEMENTS(rows)), 3);
	assert_int_equal(rows[0].count, 1);
}

static void test_another_cause_takes_the_certificate_along(void **state)
{
	struct kit   *k = *state;
	struct notice rows[8];
	struct notice a = failure(1, "a", "argus VCC-1", 100), b = failure(2, "b", "argus VCC-1", 200), c = failure(3, "a", "argus VCC-2", 300);
	fail_with(k, &a);
	fail_with(k, &b);
	fail_with(k, &c);
	assert_int_equal(all(k, rows, N_ELEMENTS(rows)), 2);
	assert_int_equal(rows[1].state, NOTICE_QUEUED); /* b is still in it */
	b.notice_id = kit_id(4);
	b.at = 400;
	text_cut(b.key, sizeof(b.key), "argus VCC-2");
	fail_with(k, &b);
	assert_int_equal(all(k, rows, N_ELEMENTS(rows)), 2);
	assert_int_equal(rows[1].state, NOTICE_CLOSED); /* without a word: nothing is well */
	assert_int_equal(rows[0].count, 2);
	succeed(k, 10, "a", 500);
	succeed(k, 11, "b", 600);
	assert_int_equal(all(k, rows, N_ELEMENTS(rows)), 3);
}

static void test_topics_are_apart(void **state)
{
	struct kit          *k = *state;
	struct notice        rows[8], over = {.at = 300};
	struct notice        a = failure(1, "a", "argus VCC-1", 100), t = failure(2, "a", "argus emergency_threshold", 200);
	struct store_change *c = store_change_new();
	fail_with(k, &a);
	t.event = NOTICE_THRESHOLD_REACHED;
	store_add_trouble(c, &t, NOTICE_TOPIC_THRESHOLD, NOTICE_STEP_NO);
	assert_int_equal(kit_commit(k, c, NULL), 0);
	assert_int_equal(all(k, rows, N_ELEMENTS(rows)), 2);
	assert_int_equal(rows[1].state, NOTICE_QUEUED);
	succeed(k, 10, "a", 300);
	assert_int_equal(all(k, rows, N_ELEMENTS(rows)), 4); /* one resolved for each */
	assert_true(rows[0].event == NOTICE_TROUBLE_RESOLVED && rows[1].event == NOTICE_TROUBLE_RESOLVED);

	a.notice_id = kit_id(20); /* a certificate that is no longer looked after ends it without a word */
	fail_with(k, &a);
	c = store_change_new();
	text_cut(over.object, sizeof(over.object), "a");
	store_end_troubles(c, &over, ALL, NOTICE_STEP_NO);
	assert_int_equal(kit_commit(k, c, NULL), 0);
	assert_int_equal(all(k, rows, N_ELEMENTS(rows)), 5);
	assert_int_equal(rows[0].state, NOTICE_CLOSED);
}

static void test_what_is_told_once(void **state)
{
	struct kit          *k = *state;
	struct notice        rows[8], n = failure(1, "a", "", 100);
	struct store_change *c = store_change_new();
	store_tell(c, &n, NOTICE_STEP_NO); /* no key: each is its own */
	n.notice_id = kit_id(2);
	store_tell(c, &n, NOTICE_STEP_NO);
	n.notice_id = kit_id(3);
	text_cut(n.key, sizeof(n.key), "approval x");
	store_tell(c, &n, NOTICE_STEP_NO);
	n.notice_id = kit_id(4);
	store_tell(c, &n, NOTICE_STEP_NO); /* the second of one change finds the first */
	store_end_notice(c, "no such key", 200);
	assert_int_equal(kit_commit(k, c, NULL), 0);
	assert_int_equal(all(k, rows, N_ELEMENTS(rows)), 3);
	assert_int_equal(rows[0].count, 2);
	c = store_change_new();
	store_end_notice(c, "approval x", 200);
	assert_int_equal(kit_commit(k, c, NULL), 0);
	assert_int_equal(all(k, rows, N_ELEMENTS(rows)), 3);
	assert_int_equal(rows[0].state, NOTICE_CLOSED);
}

/* What a change that failed would have told was not told. */
static void test_nothing_is_told_of_what_did_not_happen(void **state)
{
	struct kit          *k = *state;
	struct notice        rows[8], n = failure(1, "a", "argus VCC-1", 100);
	struct principal     p = {.name = "p"};
	struct store_change *c = store_change_new();
	store_add_principal(c, &p);
	assert_int_equal(kit_commit(k, c, NULL), 0);
	c = store_change_new();
	store_add_trouble(c, &n, NOTICE_TOPIC_RENEWAL, NOTICE_STEP_YES);
	store_add_principal(c, &p);
	assert_int_equal(kit_commit(k, c, NULL), E_EXISTS);
	assert_int_equal(all(k, rows, N_ELEMENTS(rows)), 0);
	succeed(k, 10, "a", 200);
	assert_int_equal(all(k, rows, N_ELEMENTS(rows)), 0);
}

static void test_lists_and_pruning(void **state)
{
	struct kit   *k = *state;
	struct notice rows[40], got;
	size_t        n;
	uint64_t      count;
	for (uint32_t i = 1; i <= 30; i++) {
		char key[16];
		snprintf(key, sizeof(key), "key %u", i);
		struct notice f = failure(i, "a", key, 1000 - i);
		f.level = i % 3 == 0 ? NOTICE_CRITICAL : NOTICE_INFO;
		text_cut(f.service, sizeof(f.service), i % 2 == 0 ? "clara" : "argus");
		struct store_change *c = store_change_new();
		store_tell(c, &f, NOTICE_STEP_NO);
		assert_int_equal(kit_commit(k, c, NULL), 0);
	}
	struct notice_filter f = {.level = NOTICE_CRITICAL, .state = NOTICE_QUEUED, .service = "clara"};
	assert_int_equal(view_notices(k->view, &f, (struct id){{0}}, rows, 3, &n), 0);
	assert_int_equal(n, 3);
	assert_true(id_equal(rows[0].notice_id, kit_id(30)) && id_equal(rows[2].notice_id, kit_id(18)));
	assert_int_equal(view_notices(k->view, &f, rows[2].notice_id, rows, 3, &n), 0);
	assert_int_equal(n, 2);
	f.state = NOTICE_CLOSED;
	assert_int_equal(view_notices(k->view, &f, (struct id){{0}}, rows, 3, &n), 0);
	assert_int_equal(n, 0);

	assert_int_equal(view_notices_by_last(k->view, 980, 0, (struct id){{0}}, rows, 4, &n), 0);
	assert_int_equal(n, 4);
	assert_true(id_equal(rows[0].notice_id, kit_id(30)));
	assert_int_equal(view_notices_by_last(k->view, 980, rows[3].last_at, rows[3].notice_id, rows, 40, &n), 0);
	assert_int_equal(n, 7); /* 26 to 20 */
	struct store_change *c = store_change_new();
	store_remove_notice(c, kit_id(30));
	store_remove_notice(c, kit_id(77));
	assert_int_equal(kit_commit(k, c, NULL), 0);
	assert_int_equal(view_notice(k->view, kit_id(30), &got), E_NOT_FOUND);
	assert_int_equal(view_notices_count(k->view, &count), 0);
	assert_int_equal(count, 29);

	struct notice t = failure(50, "b", "argus VCC-1", 2000); /* a trouble that was pruned: its success finds nothing */
	fail_with(k, &t);
	c = store_change_new();
	store_remove_notice(c, t.notice_id);
	assert_int_equal(kit_commit(k, c, NULL), 0);
	succeed(k, 60, "b", 3000);
	assert_int_equal(view_notices_count(k->view, &count), 0);
	assert_int_equal(count, 29);
}

static void test_the_open_one_of_a_matter(void **state)
{
	struct kit          *k = *state;
	struct notice        got, a = failure(1, "a", "fleet silent", 100), after = failure(2, "b", "fleet silent again", 100);
	struct store_change *c = store_change_new();
	assert_int_equal(view_notice_by_key(k->view, "fleet silent", &got), E_NOT_FOUND);
	fail_with(k, &after);
	assert_int_equal(view_notice_by_key(k->view, "fleet silent", &got), E_NOT_FOUND);
	fail_with(k, &a);
	assert_int_equal(view_notice_by_key(k->view, "fleet silent", &got), 0);
	assert_true(id_equal(got.notice_id, kit_id(1)));
	store_end_notice(c, "fleet silent", 200);
	assert_int_equal(kit_commit(k, c, NULL), 0);
	assert_int_equal(view_notice_by_key(k->view, "fleet silent", &got), E_NOT_FOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		KIT_ON_BOTH(test_one_trouble_stands_for_all_of_its_cause),
		KIT_ON_BOTH(test_another_cause_takes_the_certificate_along),
		KIT_ON_BOTH(test_topics_are_apart),
		KIT_ON_BOTH(test_what_is_told_once),
		KIT_ON_BOTH(test_nothing_is_told_of_what_did_not_happen),
		KIT_ON_BOTH(test_lists_and_pruning),
		KIT_ON_BOTH(test_the_open_one_of_a_matter),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_store_figures.c - do both backends walk the same rows for figures, in order, with the fields that figures are made of?
 * Never: looking behind store.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "shared/base/text.h"
#include "shared/base/times.h"
#include "tests/lib/store_kit.h"

enum { ROWS = 12 };

/* Nothing may be read during a walk, so rows are kept and compared afterwards. */
struct seen {
	size_t             n, stop_at;
	char               last[CERT_ID_SIZE];
	struct certificate cert[ROWS];
	struct target      target[ROWS];
	struct agent       agent[ROWS];
};

static void fill(struct kit *k)
{
	struct store_change *c = store_change_new();
	for (uint32_t i = 0; i < ROWS; i++) {
		struct certificate cert;
		struct target      target;
		struct agent       agent;
		kit_certificate(i, &cert);
		kit_target(i, &target);
		kit_agent(i, &agent);
		text_cut(target.cert_id, sizeof(target.cert_id), cert.cert_id);
		store_put_certificate(c, &cert, 0);
		store_put_target(c, &target);
		store_put_agent(c, &agent);
	}
	assert_int_equal(kit_commit(k, c, NULL), 0);
}

static void in_order(struct seen *s, const char *key)
{
	assert_true(s->n == 0 || strcmp(s->last, key) < 0);
	text_cut(s->last, sizeof(s->last), key);
	s->n++;
}

static int on_certificate(void *ctx, const struct certificate *c)
{
	struct seen *s = ctx;
	in_order(s, c->cert_id);
	s->cert[s->n - 1] = *c;
	return s->n == s->stop_at ? E_SYS_AGAIN : 0;
}

static int on_target(void *ctx, const struct target *t)
{
	struct seen *s = ctx;
	in_order(s, t->cert_id);
	s->target[s->n - 1] = *t;
	return 0;
}

static int on_agent(void *ctx, const struct agent *a)
{
	struct seen *s = ctx;
	in_order(s, a->name);
	s->agent[s->n - 1] = *a;
	return 0;
}

static void check_certificate(struct kit *k, const struct certificate *c)
{
	struct certificate whole;
	assert_int_equal(view_certificate(k->view, c->cert_id, &whole), 0);
	assert_string_equal(c->template_id, whole.template_id);
	assert_string_equal(c->service, whole.service);
	assert_string_equal(c->agent, whole.agent);
	assert_true(serial_equal(c->serial, whole.serial));
	assert_int_equal(c->not_before_at, whole.not_before_at);
	assert_int_equal(c->not_after_at, whole.not_after_at);
	assert_int_equal(c->proved, whole.proved);
	assert_int_equal(c->suspended_at, whole.suspended_at);
	assert_int_equal(c->revoked_at, whole.revoked_at);
	assert_int_equal(c->retired_at, whole.retired_at);
	assert_int_equal(c->serial_revoked_at, whole.serial_revoked_at);
}

static void check_target(struct kit *k, const struct target *t)
{
	struct target whole;
	assert_int_equal(view_target(k->view, t->target_id, &whole), 0);
	assert_string_equal(t->agent, whole.agent);
	assert_true(serial_equal(t->served, whole.served));
	assert_int_equal(t->proved_at, whole.proved_at);
	assert_int_equal(t->stale_since_at, whole.stale_since_at);
	assert_int_equal(t->rehearsed_at, whole.rehearsed_at);
}

static void check_agent(struct kit *k, const struct agent *a)
{
	struct agent whole;
	assert_int_equal(view_agent(k->view, a->name, &whole), 0);
	assert_int_equal(a->state, whole.state);
	assert_string_equal(a->service, whole.service);
	assert_string_equal(a->version, whole.version);
	assert_int_equal(a->seen_at, whole.seen_at);
	assert_int_equal(a->skew_ms, whole.skew_ms);
	assert_int_equal(a->identity_not_after_at, whole.identity_not_after_at);
}

static struct seen *fresh(void)
{
	static struct seen s;
	memset(&s, 0, sizeof(s));
	return &s;
}

static void test_walks(void **state)
{
	struct kit  *k = *state;
	struct seen *s = fresh();
	char         after[CERT_ID_SIZE], last[CERT_ID_SIZE];
	fill(k);
	assert_int_equal(view_each_certificate(k->view, "", 5, on_certificate, s), 0);
	assert_int_equal(s->n, 5);
	memcpy(after, s->last, sizeof(after));
	assert_int_equal(view_each_certificate(k->view, after, 100, on_certificate, s), 0);
	assert_int_equal(s->n, ROWS);
	for (size_t i = 0; i < ROWS; i++)
		check_certificate(k, &s->cert[i]);
	memcpy(last, s->last, sizeof(last));
	s = fresh(); /* above the fifth up to the last: the same certificates */
	assert_int_equal(view_each_target(k->view, after, last, on_target, s), 0);
	assert_int_equal(s->n, ROWS - 5);
	for (size_t i = 0; i < s->n; i++)
		check_target(k, &s->target[i]);
	s = fresh();
	assert_int_equal(view_each_target(k->view, last, last, on_target, s), 0);
	assert_int_equal(s->n, 0);
	assert_int_equal(view_each_agent(k->view, "", 100, on_agent, s), 0);
	assert_int_equal(s->n, ROWS);
	for (size_t i = 0; i < s->n; i++)
		check_agent(k, &s->agent[i]);
}

/* Its code comes back, and nothing after it is seen. */
static void test_a_walk_can_be_ended(void **state)
{
	struct kit  *k = *state;
	struct seen *s = fresh();
	fill(k);
	s->stop_at = 3;
	assert_int_equal(view_each_certificate(k->view, "", 100, on_certificate, s), E_SYS_AGAIN);
	assert_int_equal(s->n, 3);
	s = fresh();
	assert_int_equal(view_each_certificate(k->view, "", 100, on_certificate, s), 0);
	assert_int_equal(s->n, ROWS);
}

static void test_counts(void **state)
{
	struct kit          *k = *state;
	struct store_change *c = store_change_new();
	uint64_t             n;
	for (uint32_t i = 0; i < 4; i++) {
		struct campaign g = {.campaign_id = kit_id(100 + i),
				     .state = i < 3 ? CAMPAIGN_HALTED : CAMPAIGN_COMPLETED,
				     .remind_at = TIME_NEVER,
				     .next_at = TIME_NEVER};
		struct order    o;
		store_put_campaign(c, &g);
		kit_order(i, &o);
		o.phase = i < 2 ? ORDER_PAUSED : ORDER_COMPLETED;
		store_put_order(c, &o);
	}
	assert_int_equal(kit_commit(k, c, NULL), 0);
	assert_int_equal(view_campaigns_count(k->view, CAMPAIGN_HALTED, &n), 0);
	assert_int_equal(n, 3);
	assert_int_equal(view_campaigns_count(k->view, CAMPAIGN_CANCELLED, &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(view_orders_paused_count(k->view, &n), 0);
	assert_int_equal(n, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {KIT_ON_BOTH(test_walks), KIT_ON_BOTH(test_a_walk_can_be_ended),
					   KIT_ON_BOTH(test_counts)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

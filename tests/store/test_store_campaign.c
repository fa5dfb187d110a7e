/* test_store_campaign.c - do campaigns and their members come back as they were put, in order, counted, whole or not at all, in
 * both backends? Never: looking behind store.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "shared/base/times.h"
#include "tests/lib/store_kit.h"

static int setup_mem(void **state)
{
	static struct kit k;
	kit_open(&k, KIT_MEM);
	*state = &k;
	return 0;
}

static int setup_sqlite(void **state)
{
	static struct kit k;
	kit_open(&k, KIT_SQLITE);
	*state = &k;
	return 0;
}

static int teardown(void **state)
{
	kit_close(*state);
	return 0;
}

static void campaign_make(uint32_t n, struct campaign *ret)
{
	memset(ret, 0, sizeof(*ret)); /* compared byte by byte */
	ret->campaign_id = kit_id(n);
	ret->kind = (enum campaign_kind)(n % CAMPAIGN_KIND_COUNT);
	ret->state = (enum campaign_state)(n % CAMPAIGN_STATE_COUNT);
	ret->trigger = (enum trigger)(n % TRIGGER_COUNT);
	snprintf(ret->selector, sizeof(ret->selector), "service s%u", n);
	snprintf(ret->services, sizeof(ret->services), "s%u,t", n);
	snprintf(ret->actor, sizeof(ret->actor), "alice");
	snprintf(ret->reason, sizeof(ret->reason), "because %u", n);
	ret->plan_hash = kit_hash(n);
	ret->content_hash = kit_hash(n % 3);
	snprintf(ret->incident_id, sizeof(ret->incident_id), "INC-%u", n);
	ret->incident = (enum incident_type)(n % INCIDENT_TYPE_COUNT);
	ret->fresh_keys = n % 2 == 0;
	ret->revoke_old = (enum revoke_old)(n % REVOKE_OLD_COUNT);
	ret->revoke_by_at = 100 + n;
	ret->invalidity_at = 200 + n;
	uint32_t *counts[] = {&ret->total,      &ret->waiting,    &ret->held,        &ret->following, &ret->ordered,
			      &ret->done,       &ret->failed,     &ret->skipped,     &ret->dropped,   &ret->batch,
			      &ret->halt_share, &ret->batch_sent, &ret->batch_failed, &ret->going_back, &ret->rolled_back,
			      &ret->kept,       &ret->wave,       &ret->wave_sent,   &ret->wave_done,   &ret->wave_failed,
			      &ret->halt_count};
	for (uint32_t i = 0; i < N_ELEMENTS(counts); i++)
		*counts[i] = 1000 * n + i;
	ret->pause_ms = 300 + n;
	ret->batch_full = n % 2 == 1;
	snprintf(ret->waves, sizeof(ret->waves), "%u,10", n);
	ret->canary = n % 2 == 0;
	ret->wave_full = n % 3 == 0;
	ret->rollback_on_halt = n % 3 == 1;
	ret->back_first = n;
	ret->back_last = UINT64_C(5000000000) + n;
	ret->back_at = 10 + n;
	ret->approved = n % 3 == 1;
	ret->confirmation = (enum confirmation)(n % CONFIRMATION_COUNT);
	ret->remind_at = n % 2 == 0 ? TIME_NEVER : 400 + n;
	snprintf(ret->cause, sizeof(ret->cause), "cause %u", n);
	ret->created_at = 500 + n;
	ret->started_at = 600 + n;
	ret->next_at = n % 2 == 1 ? TIME_NEVER : 700 + n;
	ret->completed_at = n % 3 == 0 ? 800 + n : 0;
	ret->rested_at = n % 2 == 0 ? 900 + n : 0;
	ret->collecting = n % 2 == 0;
	ret->cause_by_person = n % 2 == 1;
}

static void member_make(uint32_t campaign, uint64_t position, struct campaign_member *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->campaign_id = kit_id(campaign);
	ret->position = position;
	snprintf(ret->cert_id, sizeof(ret->cert_id), "cert-%u", (unsigned)position);
	snprintf(ret->service, sizeof(ret->service), "clara");
	snprintf(ret->agent, sizeof(ret->agent), "agent%u", (unsigned)position);
	ret->stage = (uint32_t)position / 3;
	ret->state = (enum member_state)(position % MEMBER_STATE_COUNT);
	if (position % 2 == 1)
		ret->renewal_id = kit_id(1000 + (uint32_t)position);
	ret->code = -(int)position;
	snprintf(ret->cause, sizeof(ret->cause), "cause %u", (unsigned)position);
	ret->changed_at = 50 + (int64_t)position;
	snprintf(ret->template_id, sizeof(ret->template_id), "template-%u", (unsigned)position);
}

static void put_members(struct kit *k, uint32_t campaign, uint64_t n)
{
	struct store_change   *c = store_change_new();
	struct campaign_member m;
	for (uint64_t i = 1; i <= n; i++) {
		member_make(campaign, i, &m);
		store_add_member(c, &m);
	}
	assert_int_equal(kit_commit(k, c, NULL), 0);
}

static void test_campaign_round_trip(void **state)
{
	struct kit     *k = *state;
	struct campaign put, got;
	assert_int_equal(view_campaign(k->view, kit_id(1), &got), E_NOT_FOUND);
	for (uint32_t n = 1; n <= 14; n++) { /* every value of every enum */
		struct store_change *c = store_change_new();
		campaign_make(n, &put);
		store_put_campaign(c, &put);
		assert_int_equal(kit_commit(k, c, NULL), 0);
		memset(&got, 0, sizeof(got));
		assert_int_equal(view_campaign(k->view, kit_id(n), &got), 0);
		assert_memory_equal(&put, &got, sizeof(put));
	}
	campaign_make(3, &put);
	put.campaign_id = kit_id(1); /* the next state takes the place of the last */
	struct store_change *c = store_change_new();
	store_put_campaign(c, &put);
	assert_int_equal(kit_commit(k, c, NULL), 0);
	assert_int_equal(view_campaign(k->view, kit_id(1), &got), 0);
	assert_memory_equal(&put, &got, sizeof(put));
}

static void test_campaign_lists(void **state)
{
	struct kit            *k = *state;
	static struct campaign rows[20];
	struct campaign        c;
	struct store_change   *change = store_change_new();
	struct id              none = {{0}};
	size_t                 n;
	for (uint32_t i = 1; i <= 9; i++) {
		campaign_make(i, &c);
		store_put_campaign(change, &c);
	}
	assert_int_equal(kit_commit(k, change, NULL), 0);
	assert_int_equal(view_campaigns(k->view, none, rows, 4, &n), 0);
	assert_true(n == 4 && id_equal(rows[0].campaign_id, kit_id(9)) && id_equal(rows[3].campaign_id, kit_id(6)));
	assert_int_equal(view_campaigns(k->view, rows[3].campaign_id, rows, 20, &n), 0);
	assert_true(n == 5 && id_equal(rows[0].campaign_id, kit_id(5)) && id_equal(rows[4].campaign_id, kit_id(1)));
	assert_int_equal(view_campaigns_open(k->view, none, rows, 20, &n), 0); /* not 3, 6, 9 */
	assert_true(n == 6 && id_equal(rows[0].campaign_id, kit_id(1)) && id_equal(rows[5].campaign_id, kit_id(8)));
	assert_int_equal(view_campaigns_open(k->view, kit_id(4), rows, 2, &n), 0);
	assert_true(n == 2 && id_equal(rows[0].campaign_id, kit_id(5)) && id_equal(rows[1].campaign_id, kit_id(7)));
	assert_int_equal(view_campaigns_unconfirmed(k->view, none, rows, 20, &n), 0); /* 1, 5, 9: asked */
	assert_true(n == 3 && id_equal(rows[0].campaign_id, kit_id(1)) && id_equal(rows[2].campaign_id, kit_id(9)));
	assert_int_equal(view_campaigns_unconfirmed(k->view, kit_id(5), rows, 20, &n), 0);
	assert_true(n == 1 && id_equal(rows[0].campaign_id, kit_id(9)));
}

/* What became of a plan: the newest one that has its hash, whatever else it is. */
static void test_plans_are_found(void **state)
{
	struct kit          *k = *state;
	struct store_change *change = store_change_new();
	struct campaign      c;
	for (uint32_t i = 1; i <= 7; i++) {
		campaign_make(i, &c); /* content of i modulo 3 */
		c.plan_hash = kit_hash(i < 6 ? i : 5);
		store_put_campaign(change, &c);
	}
	assert_int_equal(kit_commit(k, change, NULL), 0);
	assert_int_equal(view_campaign_planned(k->view, kit_hash(2), &c), 0);
	assert_true(id_equal(c.campaign_id, kit_id(2)));
	assert_int_equal(view_campaign_planned(k->view, kit_hash(5), &c), 0);
	assert_true(id_equal(c.campaign_id, kit_id(7)));
	assert_int_equal(view_campaign_planned(k->view, kit_hash(6), &c), E_NOT_FOUND);
	assert_int_equal(view_campaign_like(k->view, kit_hash(0), &c), 0);
	assert_true(id_equal(c.campaign_id, kit_id(6)));
	assert_int_equal(view_campaign_like(k->view, kit_hash(3), &c), E_NOT_FOUND);
	change = store_change_new();
	campaign_make(6, &c);
	c.content_hash = (struct hash){{0}}; /* one that was never planned is like nothing */
	store_put_campaign(change, &c);
	assert_int_equal(kit_commit(k, change, NULL), 0);
	assert_int_equal(view_campaign_like(k->view, kit_hash(0), &c), 0);
	assert_true(id_equal(c.campaign_id, kit_id(3)));
}

static void test_member_round_trip(void **state)
{
	struct kit            *k = *state;
	struct campaign_member put, got;
	struct store_change   *c = store_change_new();
	member_make(1, 1, &put);
	store_put_member(c, &put);
	assert_int_equal(kit_commit(k, c, NULL), E_NOT_FOUND); /* the next state of one that is not there */
	put_members(k, 1, 9);
	for (uint64_t i = 1; i <= 9; i++) {
		member_make(1, i, &put);
		memset(&got, 0, sizeof(got));
		assert_int_equal(view_member(k->view, kit_id(1), i, &got), 0);
		assert_memory_equal(&put, &got, sizeof(put));
	}
	assert_int_equal(view_member(k->view, kit_id(1), 10, &got), E_NOT_FOUND);
	assert_int_equal(view_member(k->view, kit_id(2), 1, &got), E_NOT_FOUND);
	put_members(k, 2, 9);
	assert_int_equal(view_member_of(k->view, kit_id(2), "cert-7", &got), 0);
	assert_true(got.position == 7 && id_equal(got.campaign_id, kit_id(2)));
	assert_int_equal(view_member_of(k->view, kit_id(2), "cert-10", &got), E_NOT_FOUND);
	assert_int_equal(view_member_of(k->view, kit_id(3), "cert-7", &got), E_NOT_FOUND);
	c = store_change_new();
	member_make(1, 4, &put);
	put.state = MEMBER_DONE;
	put.renewal_id = kit_id(77);
	store_put_member(c, &put);
	assert_int_equal(kit_commit(k, c, NULL), 0);
	assert_int_equal(view_member(k->view, kit_id(1), 4, &got), 0);
	assert_memory_equal(&put, &got, sizeof(put));
}

/* A campaign comes with all of its members, or does not come. */
static void test_snapshot_is_whole(void **state)
{
	struct kit            *k = *state;
	struct campaign        c;
	struct campaign_member m, rows[4];
	struct store_change   *change = store_change_new();
	size_t                 n;
	campaign_make(1, &c);
	store_put_campaign(change, &c);
	for (uint64_t i = 1; i <= 3; i++) {
		member_make(1, i, &m);
		store_add_member(change, &m);
	}
	store_add_member(change, &m); /* a double */
	assert_int_equal(kit_commit(k, change, NULL), E_EXISTS);
	assert_int_equal(view_campaign(k->view, kit_id(1), &c), E_NOT_FOUND);
	assert_int_equal(view_members(k->view, kit_id(1), 0, rows, 4, &n), 0);
	assert_int_equal(n, 0);
}

static void test_member_lists(void **state)
{
	struct kit                   *k = *state;
	static struct campaign_member rows[40];
	size_t                        n;
	put_members(k, 1, 44);
	put_members(k, 2, 5);
	assert_int_equal(view_members(k->view, kit_id(1), 0, rows, 12, &n), 0);
	assert_true(n == 12 && rows[0].position == 1 && rows[11].position == 12);
	assert_int_equal(view_members(k->view, kit_id(1), 12, rows, 40, &n), 0);
	assert_true(n == 32 && rows[0].position == 13 && rows[31].position == 44);
	for (int s = 0; s < MEMBER_STATE_COUNT; s++) {
		uint64_t count, wanted = 0;
		for (uint64_t i = 1; i <= 44; i++)
			wanted += i % MEMBER_STATE_COUNT == (uint64_t)s;
		assert_int_equal(view_members_in(k->view, kit_id(1), (enum member_state)s, 0, rows, 40, &n), 0);
		assert_int_equal(n, wanted);
		for (size_t i = 0; i < n; i++)
			assert_true((int)rows[i].state == s && (i == 0 || rows[i].position > rows[i - 1].position));
		assert_int_equal(view_members_count(k->view, kit_id(1), (enum member_state)s, &count), 0);
		assert_int_equal(count, wanted);
		assert_int_equal(view_members_in(k->view, kit_id(1), (enum member_state)s, rows[0].position, rows, 2, &n), 0);
		assert_true(n == 2 && rows[0].position > (uint64_t)MEMBER_STATE_COUNT);
		assert_int_equal(view_members_newest(k->view, kit_id(1), (enum member_state)s, rows, 2, &n), 0);
		assert_true(n == 2 && (int)rows[0].state == s && rows[0].position > rows[1].position && rows[0].position > 33);
		assert_int_equal(view_members_span(k->view, kit_id(1), (enum member_state)s, 1, 44, &count), 0);
		assert_int_equal(count, wanted);
		assert_int_equal(view_members_span(k->view, kit_id(1), (enum member_state)s, rows[1].position, rows[0].position, &count), 0);
		assert_int_equal(count, 2); /* both ends belong to it */
		assert_int_equal(view_members_span(k->view, kit_id(1), (enum member_state)s, rows[1].position + 1, rows[0].position - 1, &count),
				 0);
		assert_int_equal(count, 0);
		assert_int_equal(view_members_span(k->view, kit_id(2), (enum member_state)s, 1, UINT32_MAX, &count), 0);
		assert_true(count <= 1);
	}
	assert_int_equal(view_members(k->view, kit_id(3), 0, rows, 40, &n), 0);
	assert_int_equal(n, 0);
}

/* A person who is forgotten stands in no campaign; while one of his is open, he is needed. */
static void test_actor_is_forgotten(void **state)
{
	struct kit          *k = *state;
	struct campaign      c, got;
	struct audit         a;
	struct store_change *change = store_change_new();
	store_change_salt(change, kit_hash(5));
	campaign_make(1, &c);
	c.completed_at = 0;
	store_put_campaign(change, &c);
	kit_audit(1, AUDIT_CAMPAIGN_STARTED, &a);
	snprintf(a.actor, sizeof(a.actor), "alice");
	store_add_audit(change, &a);
	assert_int_equal(kit_commit(k, change, NULL), 0);
	change = store_change_new();
	store_forget_person(change, "alice");
	assert_int_equal(kit_commit(k, change, NULL), E_ORDER_OPEN);
	change = store_change_new();
	c.completed_at = 9;
	store_put_campaign(change, &c);
	store_forget_person(change, "alice");
	assert_int_equal(kit_commit(k, change, NULL), 0);
	assert_int_equal(view_campaign(k->view, kit_id(1), &got), 0);
	assert_true(audit_is_alias(got.actor));
}

#define ON_BOTH(f)                                                                                                             \
	{#f " (mem)", f, setup_mem, teardown, NULL},                                                                           \
	{                                                                                                                      \
#f " (sqlite)", f, setup_sqlite, teardown, NULL                                                                \
	}

static void test_drills(void **state)
{
	struct kit          *k = *state;
	struct drill         rows[4], got, row;
	struct buf           report = BUF_MAX(DRILL_REPORT_MAX);
	static uint8_t       large[300000];
	size_t               n = 9;
	struct store_change *c = store_change_new();
	memset(&row, 0, sizeof(row));
	row = (struct drill){.selector = "service clara", .services = "clara,vpb", .actor = "alice", .reason = "yearly", .cause = "so",
			     .state = CAMPAIGN_COMPLETED_WITH_FAILURES, .total = 9, .tested = 4, .failed = 3, .skipped = 2, .not_reached = 1,
			     .created_at = 1, .ended_at = 2, .reported_at = 3, .report_hash = kit_hash(1), .report_size = sizeof(large)};
	assert_int_equal(view_drill(k->view, kit_id(1), &got), E_NOT_FOUND);
	for (uint32_t i = 1; i <= 3; i++) {
		row.campaign_id = kit_id(i);
		row.reported_at = i == 2 ? 0 : 3;
		store_put_drill(c, &row);
	}
	assert_int_equal(kit_commit(k, c, NULL), 0);
	assert_int_equal(view_drill(k->view, kit_id(3), &got), 0);
	assert_memory_equal(&got, &row, sizeof(got));
	assert_int_equal(view_drills(k->view, (struct id){{0}}, rows, 2, &n), 0);
	assert_int_equal(n, 2);
	assert_true(id_equal(rows[0].campaign_id, kit_id(3)) && id_equal(rows[1].campaign_id, kit_id(2)));
	assert_int_equal(view_drills(k->view, rows[1].campaign_id, rows, 4, &n), 0);
	assert_true(n == 1 && id_equal(rows[0].campaign_id, kit_id(1)));
	assert_int_equal(view_drills_unreported(k->view, (struct id){{0}}, rows, 4, &n), 0);
	assert_true(n == 1 && id_equal(rows[0].campaign_id, kit_id(2)) && rows[0].reported_at == 0);
	assert_int_equal(view_drills_unreported(k->view, kit_id(2), rows, 4, &n), 0);
	assert_int_equal(n, 0);

	for (size_t i = 0; i < sizeof(large); i++)
		large[i] = (uint8_t)(i * 7);
	assert_int_equal(view_drill_report(k->view, kit_id(1), &report), E_NOT_FOUND);
	for (size_t size = sizeof(large); size > 0; size -= 150000) { /* the later one stays */
		c = store_change_new();
		store_put_drill_report(c, kit_id(1), (struct span){large, size});
		assert_int_equal(kit_commit(k, c, NULL), 0);
	}
	assert_int_equal(view_drill_report(k->view, kit_id(1), &report), 0);
	assert_int_equal(report.n, 150000);
	assert_memory_equal(report.p, large, report.n);
	buf_free(&report);
	c = store_change_new();
	store_put_drill_report(c, kit_id(1), (struct span){large, (size_t)DRILL_REPORT_MAX + 1}); /* refused by its size alone */
	assert_true(kit_commit(k, c, NULL) < 0);

	c = store_change_new();
	store_remove_drill(c, kit_id(1)); /* with its report */
	store_remove_drill(c, kit_id(2)); /* which has none */
	assert_int_equal(kit_commit(k, c, NULL), 0);
	assert_int_equal(view_drills(k->view, (struct id){{0}}, rows, 4, &n), 0);
	assert_true(n == 1 && id_equal(rows[0].campaign_id, kit_id(3)));
	assert_int_equal(view_drill(k->view, kit_id(1), &got), E_NOT_FOUND);
	assert_int_equal(view_drill_report(k->view, kit_id(1), &report), E_NOT_FOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH(test_campaign_round_trip), ON_BOTH(test_campaign_lists), ON_BOTH(test_plans_are_found), ON_BOTH(test_member_round_trip),
		ON_BOTH(test_snapshot_is_whole),   ON_BOTH(test_member_lists),   ON_BOTH(test_actor_is_forgotten),
		ON_BOTH(test_drills),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

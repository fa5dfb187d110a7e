/* test_store_delivery.c - is a notice queued for each of its channels in the change that opens it, once, and does what becomes
 * of it stay, in both backends? Never: looking behind store.h. */
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

static struct notice trouble(uint32_t n, const char *cert_id, int64_t at, const char *channels)
{
	struct notice f = {
		.notice_id = kit_id(n), .at = at, .level = NOTICE_ERROR, .event = NOTICE_RENEWAL_FAILED, .remind_at = at + 100};
	text_cut(f.key, sizeof(f.key), "argus VCC-1");
	text_cut(f.service, sizeof(f.service), "argus");
	text_cut(f.object, sizeof(f.object), cert_id);
	text_cut(f.channels, sizeof(f.channels), channels);
	return f;
}

static void tell(struct kit *k, const struct notice *n)
{
	struct store_change *c = store_change_new();
	store_add_trouble(c, n, NOTICE_TOPIC_RENEWAL, NOTICE_STEP_NO);
	assert_int_equal(kit_commit(k, c, NULL), 0);
}

static size_t all(struct kit *k, int state, const char *channel, struct delivery *ret, size_t max)
{
	struct delivery_filter f = {.state = state, .channel = channel};
	size_t                 n = 0;
	uint64_t               count = 0;
	assert_int_equal(view_deliveries(k->view, &f, UINT64_MAX, ret, max, &n), 0);
	assert_int_equal(view_deliveries_count(k->view, &f, &count), 0);
	assert_int_equal(count, n);
	return n;
}

static void test_one_for_each_channel(void **state)
{
	struct kit     *k = *state;
	struct delivery rows[16];
	size_t          n;
	struct notice   a = trouble(1, "a", 1000, "mail,pager"), b = trouble(2, "b", 2000, "mail,pager");
	tell(k, &a);
	assert_int_equal(all(k, -1, NULL, rows, 16), 2);
	assert_string_equal(rows[1].channel, "mail");
	assert_string_equal(rows[0].group, "argus");
	assert_true(id_equal(rows[0].notice_id, kit_id(1)) && id_is_none(rows[0].message_id));
	assert_true(rows[0].state == DELIVERY_WAITING && rows[0].due_at == 1000 && rows[0].kind == DELIVERY_FIRST &&
		    rows[0].seq > rows[1].seq);
	tell(k, &b); /* the same matter: nobody is told again */
	assert_int_equal(all(k, -1, NULL, rows, 16), 2);
	b.level = NOTICE_CRITICAL; /* worse: told anew, where such things go */
	text_cut(b.channels, sizeof(b.channels), "phone");
	b.at = 3000;
	tell(k, &b);
	assert_int_equal(all(k, -1, NULL, rows, 16), 3);
	assert_true(text_equal(rows[0].channel, "phone") && rows[0].level == NOTICE_CRITICAL && rows[0].due_at == 3000);
	assert_int_equal(view_deliveries_due(k->view, "mail", 999, NULL, rows, 16, &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(view_deliveries_due(k->view, "mail", 1000, NULL, rows, 16, &n), 0);
	assert_int_equal(n, 1);
}

static void test_the_end_goes_where_the_beginning_went(void **state)
{
	struct kit          *k = *state;
	struct delivery      rows[8];
	struct notice        a = trouble(1, "a", 1000, "mail"), over = {.notice_id = kit_id(9), .at = 5000}, got;
	struct store_change *c = store_change_new();
	tell(k, &a);
	text_cut(over.object, sizeof(over.object), "a");
	store_end_troubles(c, &over, 1 << NOTICE_TOPIC_RENEWAL, NOTICE_STEP_NO);
	assert_int_equal(kit_commit(k, c, NULL), 0);
	assert_int_equal(all(k, -1, "mail", rows, 8), 2);
	assert_true(id_equal(rows[0].notice_id, kit_id(9)) && text_equal(rows[0].group, "argus"));
	assert_int_equal(view_notice(k->view, kit_id(1), &got), 0);
	assert_true(got.remind_at == TIME_NEVER && got.closed_at == 5000);
	assert_int_equal(view_notice(k->view, kit_id(9), &got), 0);
	assert_int_equal(got.remind_at, TIME_NEVER);
}

static void test_what_becomes_of_it(void **state)
{
	struct kit     *k = *state;
	struct delivery rows[8], again[8];
	size_t          n;
	struct notice   a = trouble(1, "a", 1000, "mail,pager");
	tell(k, &a);
	all(k, -1, NULL, rows, 8);
	for (size_t i = 0; i < 2; i++) {
		struct store_change *c = store_change_new();
		rows[i].message_id = kit_id(77);
		rows[i].attempts = 3;
		rows[i].state = i == 0 ? DELIVERY_DEAD : DELIVERY_SENT;
		rows[i].due_at = TIME_NEVER;
		rows[i].ended_at = 4000;
		rows[i].code = i == 0 ? E_NOTIFY_TIMEOUT : 0;
		text_cut(rows[i].cause, sizeof(rows[i].cause), "why");
		store_put_delivery(c, &rows[i]);
		assert_int_equal(kit_commit(k, c, NULL), 0);
	}
	assert_int_equal(view_deliveries_of(k->view, kit_id(77), again, 8, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(all(k, DELIVERY_DEAD, NULL, again, 8), 1);
	assert_true(again[0].code == E_NOTIFY_TIMEOUT && again[0].attempts == 3 && again[0].ended_at == 4000 &&
		    text_equal(again[0].cause, "why"));
	assert_int_equal(all(k, DELIVERY_WAITING, NULL, again, 8), 0);
	assert_int_equal(view_deliveries_due(k->view, "mail", TIME_LAST, NULL, again, 8, &n), 0);
	assert_int_equal(n, 0);

	struct store_change *c = store_change_new(); /* pruned: with its deliveries, and what comes later for them is nothing */
	store_remove_notice(c, kit_id(1));
	assert_int_equal(kit_commit(k, c, NULL), 0);
	assert_int_equal(all(k, -1, NULL, again, 8), 0);
	c = store_change_new();
	store_put_delivery(c, &rows[0]);
	assert_int_equal(kit_commit(k, c, NULL), 0);
	assert_int_equal(all(k, -1, NULL, again, 8), 0);
}

static int change(struct kit *k, void (*verb)(struct store_change *, struct id, int64_t), uint32_t n, int64_t at)
{
	struct store_change *c = store_change_new();
	verb(c, kit_id(n), at);
	return kit_commit(k, c, NULL);
}

static void remind(struct kit *k, enum delivery_kind kind, const char *channels, int64_t at, int64_t next)
{
	struct store_change *c = store_change_new();
	store_remind(c, kit_id(1), kind, channels, at, next);
	assert_int_equal(kit_commit(k, c, NULL), 0);
}

static void test_reminders(void **state)
{
	struct kit     *k = *state;
	struct delivery rows[8];
	struct notice   got, a = trouble(1, "a", 1000, "mail");
	size_t          n;
	tell(k, &a);
	assert_int_equal(view_notices_to_remind(k->view, 1099, &got, 1, &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(view_notices_to_remind(k->view, 1100, &got, 1, &n), 0);
	assert_int_equal(n, 1);
	remind(k, DELIVERY_FIRST, "", 1100, 1200); /* only looked at */
	assert_int_equal(all(k, -1, NULL, rows, 8), 1);
	remind(k, DELIVERY_ESCALATION, "mail,phone", 1200, 1300);
	assert_int_equal(all(k, -1, NULL, rows, 8), 3);
	assert_true(rows[0].kind == DELIVERY_ESCALATION && text_equal(rows[0].channel, "phone"));
	assert_int_equal(view_notice(k->view, kit_id(1), &got), 0);
	assert_true(got.escalations == 1 && got.reminders == 0 && got.remind_at == 1300 && text_equal(got.channels, "mail"));
	remind(k, DELIVERY_ESCALATION, "mail,phone", 1250, 1350); /* it was found twice before the first was stored */
	assert_int_equal(all(k, -1, NULL, rows, 8), 3);
	assert_int_equal(view_notice(k->view, kit_id(1), &got), 0);
	assert_true(got.escalations == 1 && got.remind_at == 1300);

	assert_int_equal(change(k, store_snooze_notice, 1, 9000), 0);
	assert_int_equal(view_notice(k->view, kit_id(1), &got), 0);
	assert_true(got.snoozed_until_at == 9000 && got.remind_at == 9000);
	assert_int_equal(change(k, store_ack_notice, 1, 1400), 0);
	assert_int_equal(view_notice(k->view, kit_id(1), &got), 0);
	assert_true(got.acked_at == 1400 && got.remind_at == TIME_NEVER);
	remind(k, DELIVERY_REMINDER, "mail", 1500, 1600); /* it was acknowledged meanwhile */
	assert_int_equal(all(k, -1, NULL, rows, 8), 3);
	assert_int_equal(change(k, store_ack_notice, 5, 1), E_NOT_FOUND);
	struct store_change *c = store_change_new();
	store_end_notice(c, a.key, 2000);
	assert_int_equal(kit_commit(k, c, NULL), 0);
	assert_int_equal(change(k, store_ack_notice, 1, 1), E_NOTICE_OVER);
	assert_int_equal(change(k, store_snooze_notice, 1, 1), E_NOTICE_OVER);
}

static void test_lists(void **state)
{
	struct kit            *k = *state;
	struct delivery        rows[8];
	struct delivery_filter f = {.state = DELIVERY_WAITING, .channel = "mail"};
	struct notice          open[8];
	size_t                 n;
	for (uint32_t i = 1; i <= 10; i++) {
		struct notice        a = trouble(i, "a", 1000 + i, "mail,pager");
		struct store_change *c = store_change_new();
		snprintf(a.key, sizeof(a.key), "key %02u", i);
		store_tell(c, &a, NOTICE_STEP_NO);
		assert_int_equal(kit_commit(k, c, NULL), 0);
	}
	assert_int_equal(view_deliveries(k->view, &f, UINT64_MAX, rows, 8, &n), 0);
	assert_int_equal(n, 8);
	assert_true(id_equal(rows[0].notice_id, kit_id(10)));
	assert_int_equal(view_deliveries(k->view, &f, rows[7].seq, rows, 8, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(view_notices_open(k->view, "key 07", open, 8, &n), 0);
	assert_int_equal(n, 3);
	assert_string_equal(open[0].key, "key 08");
	assert_int_equal(view_deliveries_due(k->view, "pager", 1003, NULL, rows, 8, &n), 0);
	assert_int_equal(n, 3);
	assert_true(rows[0].at == 1001 && rows[2].at == 1003);
}

static void put_due(struct kit *k, uint32_t n, enum notice_level level, struct id message_id, int64_t at)
{
	struct delivery      rows[1];
	size_t               got = 0;
	struct store_change *c = store_change_new();
	struct notice        a = {.notice_id = kit_id(n), .at = at, .level = level, .event = NOTICE_RENEWAL_FAILED};
	snprintf(a.key, sizeof(a.key), "key %03u", n);
	text_cut(a.channels, sizeof(a.channels), "mail");
	store_tell(c, &a, NOTICE_STEP_NO);
	assert_int_equal(kit_commit(k, c, NULL), 0);
	if (id_is_none(message_id))
		return;
	assert_int_equal(view_deliveries(k->view, &(struct delivery_filter){.state = -1}, UINT64_MAX, rows, 1, &got), 0);
	assert_int_equal(got, 1);
	rows[0].message_id = message_id;
	c = store_change_new();
	store_put_delivery(c, &rows[0]);
	assert_int_equal(kit_commit(k, c, NULL), 0);
}

/* What is critical, and a message that is to be tried again, are seen however much has waited longer. */
static void test_a_long_queue_hides_nothing(void **state)
{
	enum { QUEUE = 250, PAGE = 200 };
	static struct delivery rows[PAGE];
	struct kit            *k = *state;
	size_t                 n = 0;
	for (uint32_t i = 1; i <= QUEUE; i++)
		put_due(k, i, NOTICE_ERROR, (struct id){{0}}, 1000 + i);
	put_due(k, 300, NOTICE_ERROR, kit_id(77), 5000);
	put_due(k, 301, NOTICE_CRITICAL, kit_id(78), 5001);
	put_due(k, 302, NOTICE_CRITICAL, (struct id){{0}}, 6000);
	put_due(k, 303, NOTICE_CRITICAL, (struct id){{0}}, 9000);
	assert_int_equal(view_deliveries_due(k->view, "mail", 8000, NULL, rows, PAGE, &n), 0);
	assert_int_equal(n, PAGE);
	assert_true(id_equal(rows[0].notice_id, kit_id(302)));
	assert_true(id_equal(rows[1].notice_id, kit_id(300)) && id_equal(rows[2].notice_id, kit_id(301)));
	for (uint32_t i = 3; i < PAGE; i++) /* each once */
		assert_true(id_equal(rows[i].notice_id, kit_id(i - 2)));
	assert_int_equal(view_deliveries_due(k->view, "mail", 8000, NULL, rows, 2, &n), 0);
	assert_int_equal(n, 2);
	assert_true(id_equal(rows[1].notice_id, kit_id(300)));
}

static enum notice_state state_of(struct kit *k, uint32_t id)
{
	struct notice n;
	assert_int_equal(view_notice(k->view, kit_id(id), &n), 0);
	assert_true((n.closed_at != 0) == (n.state == NOTICE_CLOSED));
	return n.state;
}

static void end_delivery(struct kit *k, const struct delivery *row, enum delivery_state state)
{
	struct store_change *c = store_change_new();
	struct delivery      d = *row;
	d.state = state;
	d.due_at = state == DELIVERY_WAITING ? 9000 : TIME_NEVER;
	d.ended_at = state == DELIVERY_WAITING ? 0 : 4000;
	store_put_delivery(c, &d);
	assert_int_equal(kit_commit(k, c, NULL), 0);
}

/* What nothing has to end is over when everybody was told, or nobody will be; a matter is not. */
static void test_what_is_told_once_is_over_then(void **state)
{
	struct kit          *k = *state;
	struct store_change *c = store_change_new();
	struct notice        once = trouble(1, "a", 1000, "mail,pager"), matter = trouble(2, "b", 2000, "mail");
	struct delivery      rows[8];
	once.key[0] = '\0';
	store_tell(c, &once, NOTICE_STEP_NO);
	assert_int_equal(kit_commit(k, c, NULL), 0);
	tell(k, &matter);
	assert_int_equal(all(k, -1, NULL, rows, 8), 3);
	end_delivery(k, &rows[2], DELIVERY_SENT);
	end_delivery(k, &rows[1], DELIVERY_WAITING);
	assert_int_equal(state_of(k, 1), NOTICE_QUEUED);
	end_delivery(k, &rows[1], DELIVERY_DEAD);
	assert_int_equal(state_of(k, 1), NOTICE_CLOSED);
	end_delivery(k, &rows[0], DELIVERY_SENT);
	assert_int_equal(state_of(k, 2), NOTICE_QUEUED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		KIT_ON_BOTH(test_one_for_each_channel),
		KIT_ON_BOTH(test_the_end_goes_where_the_beginning_went),
		KIT_ON_BOTH(test_what_becomes_of_it),
		KIT_ON_BOTH(test_reminders),
		KIT_ON_BOTH(test_lists),
		KIT_ON_BOTH(test_a_long_queue_hides_nothing),
		KIT_ON_BOTH(test_what_is_told_once_is_over_then),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

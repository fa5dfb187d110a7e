/* test_drill_report.c - is a drill's report whole where its orders or receipts are gone from the store, and is it made without the steps of its
 * certificates, with the same numbers, where it would not fit with them? Never: a controller. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include <jansson.h>

#include "controller/daemon/drill_report.h"
#include "shared/base/times.h"
#include "shared/wire/wire.h"
#include "tests/lib/store_kit.h"

#define BEGAN INT64_C(1800000000000)

enum { MEMBERS = 12, DRILL = 1 };

static void campaign_put(struct store_change *c)
{
	struct campaign g = {.campaign_id = kit_id(DRILL),
			     .kind = CAMPAIGN_DRILL,
			     .state = CAMPAIGN_COMPLETED_WITH_FAILURES,
			     .total = MEMBERS,
			     .done = MEMBERS - 2,
			     .failed = 1,
			     .skipped = 1,
			     .created_at = BEGAN,
			     .started_at = BEGAN,
			     .completed_at = BEGAN + MS_MINUTE,
			     .next_at = TIME_NEVER,
			     .remind_at = TIME_NEVER};
	snprintf(g.selector, sizeof(g.selector), "service clara");
	snprintf(g.actor, sizeof(g.actor), "alice");
	store_put_campaign(c, &g);
}

/* The last one was skipped and the one before it did not answer in time. */
static void member_put(struct store_change *c, uint32_t n)
{
	struct campaign_member m = {.campaign_id = kit_id(DRILL), .position = n, .state = MEMBER_DONE, .renewal_id = kit_id(100 + n), .changed_at = BEGAN};
	if (n == MEMBERS)
		m.state = MEMBER_SKIPPED, m.code = E_ORDER_OPEN, m.renewal_id = (struct id){{0}};
	if (n == MEMBERS - 1)
		m.state = MEMBER_FAILED, m.code = E_DRILL_LATE;
	snprintf(m.cert_id, sizeof(m.cert_id), "host%02u-web", n);
	snprintf(m.agent, sizeof(m.agent), "host%02u", n);
	snprintf(m.service, sizeof(m.service), "clara");
	store_add_member(c, &m);
}

static void order_put(struct store_change *c, uint32_t n)
{
	struct order o = {.renewal_id = kit_id(100 + n),
			  .campaign_id = kit_id(DRILL),
			  .phase = ORDER_COMPLETED,
			  .flags = ORDER_DRILL,
			  .attempt = 1,
			  .serial = kit_serial(n),
			  .fingerprint = kit_hash(n),
			  .created_at = BEGAN,
			  .completed_at = BEGAN + 1000 + n,
			  .deadline_at = TIME_NEVER,
			  .next_at = TIME_NEVER};
	snprintf(o.cert_id, sizeof(o.cert_id), "host%02u-web", n);
	snprintf(o.agent, sizeof(o.agent), "host%02u", n);
	snprintf(o.service, sizeof(o.service), "clara");
	store_put_order(c, &o);
}

/* As long as one may be. */
static void receipt_put(struct store_change *c, uint32_t n)
{
	static struct body_receipt b;
	struct buf                 bytes = BUF_MAX(RECEIPT_BODY_MAX);
	b = (struct body_receipt){.seq = n, .renewal_id = kit_id(100 + n), .attempt = 1, .outcome = RECEIPT_TESTED, .fingerprint = kit_hash(n),
				  .old_fingerprint = kit_hash(50 + n), .probes = 3, .made_at = BEGAN, .n_steps = MSG_STEPS_MAX, .n_listeners = 1};
	snprintf(b.cert_id, sizeof(b.cert_id), "host%02u-web", n);
	for (size_t i = 0; i < MSG_STEPS_MAX; i++) {
		b.steps[i] = (struct receipt_step){.step = (uint32_t)(i % STEP_COUNT), .at = BEGAN, .took_ms = 10};
		memset(b.steps[i].detail, 'x', 100);
	}
	snprintf(b.listeners[0].address, sizeof(b.listeners[0].address), "127.0.0.1:443");
	b.listeners[0].fingerprint = b.old_fingerprint;
	assert_int_equal(wire_body_encode(&wire_body_receipt, &b, &bytes), 0);
	struct receipt_row r = {.host_hash = kit_hash(n), .seq = n, .renewal_id = b.renewal_id, .attempt = 1, .outcome = RECEIPT_TESTED, .made_at = BEGAN,
				.stored_at = BEGAN, .body = buf_span(&bytes)};
	snprintf(r.agent, sizeof(r.agent), "host%02u", n);
	memcpy(r.cert_id, b.cert_id, sizeof(r.cert_id));
	store_add_receipt(c, &r);
	buf_free(&bytes);
}

/* Of how many there are orders, and receipts. */
static void drill_put(struct kit *k, uint32_t orders, uint32_t receipts)
{
	struct store_change *c = store_change_new();
	campaign_put(c);
	for (uint32_t n = 1; n <= MEMBERS; n++)
		member_put(c, n);
	for (uint32_t n = 1; n <= orders; n++)
		order_put(c, n);
	for (uint32_t n = 1; n <= receipts; n++)
		receipt_put(c, n);
	assert_int_equal(kit_commit(k, c, NULL), 0);
}

static json_int_t number(const json_t *o, const char *key)
{
	const json_t *n = json_object_get(o, key);
	assert_true(json_is_integer(n));
	return json_integer_value(n);
}

/* The whole report, with the numbers that it must have whatever is left of its details. */
static json_t *report_of(struct kit *k, size_t most, struct drill *d)
{
	struct buf text = BUF_MAX(most);
	*d = (struct drill){.campaign_id = kit_id(DRILL)};
	assert_int_equal(drill_report_make(k->view, "vcc.internal", BEGAN + 2 * MS_MINUTE, d, &text), 0);
	json_t *r = json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(r);
	buf_free(&text);
	assert_int_equal(json_array_size(json_object_get(r, "certificates")), MEMBERS);
	assert_int_equal(number(r, "total_certificates"), MEMBERS);
	assert_int_equal(number(r, "tested_count"), MEMBERS - 2);
	assert_int_equal(number(r, "failed_count"), 1);
	assert_int_equal(number(r, "skipped_count"), 1);
	assert_int_equal(number(r, "not_reached_count"), 1);
	assert_int_equal(json_array_size(json_object_get(r, "not_reached_hosts")), 1);
	assert_int_equal(number(json_object_get(r, "findings"), "VCC-3621"), 1);
	assert_int_equal(d->total, MEMBERS);
	assert_int_equal(d->tested, MEMBERS - 2);
	assert_int_equal(d->failed, 1);
	assert_int_equal(d->not_reached, 1);
	return r;
}

static size_t with(const json_t *r, const char *key)
{
	size_t  i, n = 0;
	json_t *row;
	json_array_foreach(json_object_get(r, "certificates"), i, row)
		n += json_object_get(row, key) != NULL;
	return n;
}

static void test_everything_is_there(void **state)
{
	struct kit  *k = *state;
	struct drill d;
	drill_put(k, MEMBERS - 1, MEMBERS - 2);
	json_t *r = report_of(k, DRILL_REPORT_MAX, &d);
	assert_int_equal(with(r, "steps"), MEMBERS - 2);
	assert_int_equal(with(r, "serial"), MEMBERS - 1);
	assert_int_equal(number(r, "detailed_certificates"), MEMBERS);
	assert_int_equal(number(json_object_get(r, "served"), "unchanged"), MEMBERS - 2);
	assert_int_equal(number(json_object_get(json_object_get(r, "milliseconds"), "total"), "count"), MEMBERS - 2);
	json_decref(r);
}

/* It may be made long after its end, when the oldest orders are in the archive: their rows say what the campaign knows. */
static void test_orders_are_gone(void **state)
{
	struct kit  *k = *state;
	struct drill d;
	drill_put(k, 3, 3);
	json_t *r = report_of(k, DRILL_REPORT_MAX, &d);
	assert_int_equal(with(r, "steps"), 3);
	assert_int_equal(with(r, "serial"), 3);
	assert_int_equal(with(r, "state"), MEMBERS);
	assert_int_equal(number(json_object_get(r, "served"), "unchanged"), 3);
	assert_int_equal(number(json_object_get(json_object_get(r, "milliseconds"), "total"), "count"), 3);
	json_decref(r);
}

static void test_all_details_are_gone(void **state)
{
	struct kit  *k = *state;
	struct drill d;
	drill_put(k, 0, 0);
	json_t *r = report_of(k, DRILL_REPORT_MAX, &d);
	assert_int_equal(with(r, "serial"), 0);
	assert_true(json_is_null(json_object_get(json_object_get(r, "milliseconds"), "total")));
	json_decref(r);
}

/* The host's account is gone: that is said, and not taken for an unchanged service. */
static void test_receipts_are_gone(void **state)
{
	struct kit  *k = *state;
	struct drill d;
	size_t       i, untold = 0;
	json_t      *row;
	drill_put(k, MEMBERS - 1, 0);
	json_t *r = report_of(k, DRILL_REPORT_MAX, &d);
	assert_int_equal(with(r, "steps"), 0);
	json_array_foreach(json_object_get(r, "certificates"), i, row)
		untold += json_is_null(json_object_get(row, "served"));
	assert_int_equal(untold, MEMBERS - 1);
	assert_int_equal(number(json_object_get(r, "served"), "unchanged"), 0);
	json_decref(r);
}

/* What does not fit with every step fits without, and nothing is counted twice on the way. */
static void test_too_long_with_its_steps(void **state)
{
	struct kit  *k = *state;
	struct drill d;
	drill_put(k, MEMBERS - 1, MEMBERS - 2);
	json_t *r = report_of(k, 16384, &d);
	assert_int_equal(number(r, "detailed_certificates"), 0);
	assert_int_equal(with(r, "steps"), 0);
	assert_int_equal(with(r, "serial"), 0);
	assert_int_equal(with(r, "cert_id"), MEMBERS);
	json_decref(r);
}

static void test_too_long_without_them(void **state)
{
	struct kit  *k = *state;
	struct drill d = {.campaign_id = kit_id(DRILL)};
	struct buf   text = BUF_MAX(1000);
	drill_put(k, 0, 0);
	assert_int_equal(drill_report_make(k->view, "vcc.internal", BEGAN, &d, &text), E_FULL);
	buf_free(&text);
}

static void test_its_campaign_is_gone(void **state)
{
	struct kit  *k = *state;
	struct drill d = {.campaign_id = kit_id(DRILL)};
	struct buf   text = BUF_MAX(1000);
	assert_int_equal(drill_report_make(k->view, "vcc.internal", BEGAN, &d, &text), E_NOT_FOUND);
	assert_int_equal(text.n, 0);
	buf_free(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		KIT_ON_BOTH(test_everything_is_there), KIT_ON_BOTH(test_orders_are_gone),         KIT_ON_BOTH(test_all_details_are_gone),
		KIT_ON_BOTH(test_receipts_are_gone),   KIT_ON_BOTH(test_too_long_with_its_steps), KIT_ON_BOTH(test_too_long_without_them),
		KIT_ON_BOTH(test_its_campaign_is_gone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

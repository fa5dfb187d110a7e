/* test_store_list.c - do both backends list the right rows in the right order, page by page? And the outbox.
 * Never: looking behind store.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "shared/base/text.h"
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

static void commit_ok(struct kit *k, struct store_change *c)
{
	assert_int_equal(kit_commit(k, c, NULL), 0);
}

/* ---- receipts ---- */

static void test_receipts(void **state)
{
	struct kit          *k = *state;
	struct store_change *c = store_change_new();
	struct receipt_row   r = {.host_hash = kit_hash(1), .agent = "clara01", .seq = 1, .renewal_id = kit_id(1), .attempt = 1, .cert_id = "clara01-web", .outcome = 0,
	                          .probes = 7, .probes_failed = 2, .listeners = 2, .flipped_at = 5, .made_at = 9, .stored_at = 10,
	                          .signature = {1, 2, 3}, .signature_len = 3, .body = span_text("first")};
	struct receipt_row   got[4];
	struct buf           body = BUF_MAX(RECEIPT_BODY_MAX);
	size_t               n;
	store_add_receipt(c, &r);
	r.outcome = 1;
	store_add_receipt(c, &r); /* a repeat changes nothing, whatever it says */
	r.seq = 2;
	r.body = span_text("second");
	store_add_receipt(c, &r);
	r.seq = 3;
	r.renewal_id = kit_id(2);
	store_add_receipt(c, &r);
	r.seq = 1; /* another host under the same name begins anew */
	r.host_hash = kit_hash(2);
	r.stored_at = 9;
	store_add_receipt(c, &r);
	commit_ok(k, c);
	assert_int_equal(view_receipts(k->view, kit_id(1), got, 4, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(got[0].seq, 1);
	assert_int_equal(got[0].outcome, 0);
	assert_int_equal(got[0].probes_failed, 2);
	assert_int_equal(got[0].signature_len, 3);
	assert_int_equal(got[0].body.n, 0);
	assert_int_equal(got[1].outcome, 1);
	assert_int_equal(view_receipt_body(k->view, kit_hash(1), 2, &body), 0);
	assert_memory_equal(body.p, "second", 6);
	assert_int_equal(view_receipt_body(k->view, kit_hash(1), 9, &body), E_NOT_FOUND);
	assert_int_equal(view_receipts(k->view, kit_id(2), got, 4, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(got[0].seq, 1);
	assert_int_equal(got[1].seq, 3);
	assert_int_equal(view_receipts(k->view, kit_id(7), got, 4, &n), 0);
	assert_int_equal(n, 0);
	buf_free(&body);
}

/* ---- outbox ---- */

static void test_outbox(void **state)
{
	struct kit          *k = *state;
	struct outbox_row   *got = calloc(10, sizeof(*got));
	struct store_change *c = store_change_new();
	static uint8_t       large[OUTBOX_FRAME_MAX + 1];
	struct id            none = {{0}};
	size_t               n;
	uint64_t             top = 99;
	large[OUTBOX_FRAME_MAX - 1] = 1;
	assert_int_equal(view_outbox_top(k->view, &top), 0);
	assert_int_equal(top, 0);
	store_put_outbox(c, "clara01", kit_id(9), 1, 7, span_text("one"));
	store_put_outbox(c, "clara01", kit_id(3), 2, 8, (struct span){large, OUTBOX_FRAME_MAX});
	store_put_outbox(c, "clara01", none, 3, 9, span_text(""));
	store_put_outbox(c, "clara02", kit_id(9), 4, 7, span_text("other agent"));
	store_put_outbox(c, "clara01", kit_id(9), 5, 7, span_text("one again")); /* replaces the first */
	commit_ok(k, c);
	assert_int_equal(view_outbox(k->view, "clara01", 0, got, 10, &n), 0);
	assert_int_equal(n, 3);
	assert_int_equal(got[0].message_id, 2);
	assert_int_equal(got[0].type, 8);
	assert_int_equal(got[0].n, OUTBOX_FRAME_MAX);
	assert_memory_equal(got[0].frame, large, OUTBOX_FRAME_MAX);
	assert_int_equal(got[1].message_id, 3);
	assert_true(id_is_none(got[1].renewal_id));
	assert_int_equal(got[1].n, 0);
	assert_int_equal(got[2].message_id, 5);
	assert_memory_equal(got[2].frame, "one again", 9);
	assert_int_equal(view_outbox(k->view, "clara01", 2, got, 1, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(got[0].message_id, 3);

	c = store_change_new();
	store_remove_outbox(c, "clara01", kit_id(9));
	store_remove_outbox(c, "clara01", none);
	store_remove_outbox(c, "clara09", none);
	commit_ok(k, c);
	assert_int_equal(view_outbox(k->view, "clara01", 0, got, 10, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(view_outbox_top(k->view, &top), 0);
	assert_int_equal(top, 5); /* ids are never used again */
	c = store_change_new();
	store_put_outbox(c, "clara01", kit_id(10), 6, 7, SPAN_OF(large));
	assert_int_equal(kit_commit(k, c, NULL), E_FULL);
	c = store_change_new();
	store_put_outbox(c, "an-agent-name-that-is-longer-than-one-may-be", kit_id(10), 6, 7, span_text("x"));
	assert_int_equal(kit_commit(k, c, NULL), E_FULL);
	free(got);
}

/* ---- lists ---- */

static void test_certificate_lists(void **state)
{
	struct kit          *k = *state;
	struct store_change *c = store_change_new();
	struct certificate  *got = calloc(50, sizeof(*got));
	struct certificate   cert;
	size_t               n;
	for (uint32_t i = 0; i < 40; i++) {
		kit_certificate(i, &cert);
		snprintf(cert.agent, sizeof(cert.agent), "clara%u", i % 4);
		snprintf(cert.service, sizeof(cert.service), "s%u", i % 2);
		snprintf(cert.template_id, sizeof(cert.template_id), "t%u", i % 5);
		cert.not_after_at = 1000 + i;
		cert.revoked_at = 0;
		cert.retired_at = i % 10 == 3 ? 500 : 0;
		cert.open_order = i % 2 == 0 ? (struct id){{0}} : kit_id(i);
		cert.renew_at = i % 8 == 0 ? TIME_NEVER : 900 - i;
		store_put_certificate(c, &cert, 0);
	}
	commit_ok(k, c);

	struct cert_filter f = {.with_removed = true};
	assert_int_equal(view_certificates(k->view, &f, "", got, 15, &n), 0);
	assert_int_equal(n, 15);
	assert_string_equal(got[14].cert_id, "clara000014-web");
	assert_int_equal(view_certificates(k->view, &f, got[14].cert_id, got, 50, &n), 0);
	assert_int_equal(n, 25);
	assert_string_equal(got[0].cert_id, "clara000015-web");

	f = (struct cert_filter){.with_removed = true, .service = "s1", .agent = "clara3", .template_id = "t2"};
	assert_int_equal(view_certificates(k->view, &f, "", got, 50, &n), 0); /* i % 4 == 3 and i % 5 == 2 */
	assert_int_equal(n, 2);
	assert_string_equal(got[0].cert_id, "clara000007-web");
	assert_string_equal(got[1].cert_id, "clara000027-web");

	f = (struct cert_filter){.with_removed = true, .expires_before_at = 1010};
	assert_int_equal(view_certificates(k->view, &f, "", got, 50, &n), 0);
	assert_int_equal(n, 10); /* 1000 .. 1009 */

	f = (struct cert_filter){.now = 1015}; /* 3 and 13 are retired and have ended, 23 and 33 still count */
	assert_int_equal(view_certificates(k->view, &f, "", got, 50, &n), 0);
	assert_int_equal(n, 38);
	uint64_t certs, agents, open;
	assert_int_equal(view_counts(k->view, 1015, &certs, &agents, &open), 0);
	assert_int_equal(certs, 38);
	kit_certificate(23, &cert); /* retired and revoked: gone at once */
	cert.not_after_at = 1023;
	cert.renew_at = TIME_NEVER;
	c = store_change_new();
	store_put_certificate(c, &cert, 1);
	commit_ok(k, c);
	assert_int_equal(view_certificates(k->view, &f, "", got, 50, &n), 0);
	assert_int_equal(n, 37);
	assert_int_equal(view_counts(k->view, 1015, &certs, &agents, &open), 0);
	assert_int_equal(certs, 37);

	assert_int_equal(view_due(k->view, 880, got, 50, &n), 0); /* even, not a multiple of 8, 900 - i <= 880 */
	assert_int_equal(n, 8);
	assert_string_equal(got[0].cert_id, "clara000038-web");
	assert_int_equal(got[0].renew_at, 862);
	assert_string_equal(got[7].cert_id, "clara000020-web");
	assert_int_equal(view_due(k->view, 880, got, 3, &n), 0);
	assert_int_equal(n, 3);
	assert_int_equal(view_due(k->view, 861, got, 50, &n), 0);
	assert_int_equal(n, 0);
	free(got);
}

static void test_order_lists(void **state)
{
	struct kit          *k = *state;
	struct store_change *c = store_change_new();
	struct order        *got = calloc(50, sizeof(*got));
	struct order         order;
	size_t               n, open_count = 0;
	struct id            none = {{0}};
	for (uint32_t i = 0; i < 2 * ORDER_PHASE_COUNT; i++) {
		kit_order(i, &order);
		snprintf(order.cert_id, sizeof(order.cert_id), "c%u", i % 2);
		open_count += order_phase_open(order.phase);
		store_put_order(c, &order);
	}
	commit_ok(k, c);
	assert_int_equal(view_orders_open(k->view, none, got, 50, &n), 0);
	assert_int_equal(n, 2 * (ORDER_PHASE_COUNT - 4)); /* all but completed, failed, rolled_back, cancelled */
	for (size_t i = 0; i < n; i++) {
		assert_false(order_phase_final(got[i].phase));
		assert_true(i == 0 || memcmp(got[i - 1].renewal_id.b, got[i].renewal_id.b, 16) < 0);
	}
	struct id fifth = got[4].renewal_id, sixth = got[5].renewal_id;
	assert_int_equal(view_orders_open(k->view, fifth, got, 1, &n), 0);
	assert_int_equal(n, 1);
	assert_true(id_equal(got[0].renewal_id, sixth));
	uint64_t certs, agents, open;
	assert_int_equal(view_counts(k->view, 0, &certs, &agents, &open), 0);
	assert_int_equal(open, open_count);

	assert_int_equal(view_orders(k->view, "c1", none, got, 50, &n), 0);
	assert_int_equal(n, ORDER_PHASE_COUNT);
	assert_true(id_equal(got[0].renewal_id, kit_id(2 * ORDER_PHASE_COUNT - 1)));
	assert_int_equal(view_orders(k->view, "c1", got[0].renewal_id, got, 2, &n), 0);
	assert_int_equal(n, 2);
	assert_true(id_equal(got[0].renewal_id, kit_id(2 * ORDER_PHASE_COUNT - 3)));
	assert_int_equal(view_orders(k->view, NULL, none, got, 3, &n), 0);
	assert_true(id_equal(got[2].renewal_id, kit_id(2 * ORDER_PHASE_COUNT - 3)));
	free(got);
}

static void test_steps_in_order(void **state)
{
	struct kit            *k = *state;
	struct store_change   *c = store_change_new();
	struct order_step_row *got = calloc(40, sizeof(*got)), want;
	size_t                 n;
	for (uint32_t i = 0; i < 30; i++) {
		kit_step(i, i % 2, &want);
		store_add_steps(c, &want, 1);
	}
	commit_ok(k, c);
	assert_int_equal(view_steps(k->view, kit_id(1), got, 40, &n), 0);
	assert_int_equal(n, 15);
	for (uint32_t i = 0; i < 15; i++) {
		kit_step(2 * i + 1, 1, &want);
		assert_memory_equal(&got[i], &want, sizeof(want));
	}
	assert_int_equal(view_steps(k->view, kit_id(2), got, 40, &n), 0);
	assert_int_equal(n, 0);
	free(got);
}

/* What came at once, behind what came before; its own words end no line and make no step. */
static void test_pieces_of_a_history(void **state)
{
	struct kit            *k = *state;
	struct store_change   *c = store_change_new();
	struct order_step_row *want = calloc(STORE_STEPS_MAX + 2, sizeof(*want)), *got = calloc(STORE_STEPS_MAX + 2, sizeof(*got));
	size_t                 n;
	for (uint32_t i = 0; i < STORE_STEPS_MAX + 2; i++)
		kit_step(i, 1, &want[i]);
	memset(want[3].detail, 'x', sizeof(want[3].detail) - 1);
	memset(want[4].detail, 0, sizeof(want[4].detail));
	want[5].code = 0;
	want[5].took_ms = -1;
	text_cut(want[6].detail, sizeof(want[6].detail), "line\n1 flip 0 1 1 another");
	store_add_steps(c, want, 1);
	store_add_steps(c, want + 1, STORE_STEPS_MAX);
	store_add_steps(c, want, 0);
	commit_ok(k, c);
	want[6].detail[4] = '?';
	assert_int_equal(view_steps(k->view, kit_id(1), got, STORE_STEPS_MAX + 2, &n), 0);
	assert_int_equal(n, STORE_STEPS_MAX + 1);
	for (size_t i = 0; i < n; i++)
		assert_memory_equal(&got[i], &want[i], sizeof(want[i]));
	assert_int_equal(view_steps(k->view, kit_id(1), got, 7, &n), 0);
	assert_int_equal(n, 7);
	c = store_change_new();
	store_add_steps(c, want, STORE_STEPS_MAX + 1);
	assert_int_equal(kit_commit(k, c, NULL), E_FULL);
	free(want);
	free(got);
}

/* What a key was certified for: by whom, by which order, and whether it got out. */
static void test_key_use(void **state)
{
	enum { SAME = STORE_LIST_MAX + 20 };
	static const struct {
		const char          *owner_id;
		enum issuance_owner  owner;
		enum issuance_state  state;
		int                  reason;
		uint32_t             order;
		bool                 asked, compromised, elsewhere, before;
	} rows[] = {
		{"one", OWNER_CERTIFICATE, ISSUANCE_ACTIVE, 0, 7, false, false, false, false}, /* the order itself */
		{"one", OWNER_CERTIFICATE, ISSUANCE_ACTIVE, 0, 8, false, false, false, true},
		{"two", OWNER_CERTIFICATE, ISSUANCE_INTENT, 0, 8, false, false, true, false},
		{"two", OWNER_CERTIFICATE, ISSUANCE_VOID, 0, 8, false, false, false, false},
		{"one", OWNER_AGENT, ISSUANCE_ACTIVE, 0, 7, false, false, true, false}, /* a host of the same name */
		{"one", OWNER_CERTIFICATE, ISSUANCE_REVOKED, REASON_SUPERSEDED, 8, false, false, false, true},
		{"one", OWNER_CERTIFICATE, ISSUANCE_REVOKED, REASON_KEY_COMPROMISE, 8, false, true, false, true},
		{"two", OWNER_CERTIFICATE, ISSUANCE_REVOKED, REASON_KEY_COMPROMISE, 8, false, true, true, false},
		{"one", OWNER_CERTIFICATE, ISSUANCE_ACTIVE, REASON_KEY_COMPROMISE, 8, true, true, false, true}, /* to be revoked soon */
	};
	struct kit          *k = *state;
	struct store_change *c = store_change_new();
	struct issuance      i;
	struct key_use       use = {.before = true};
	uint32_t             serial = 1;
	for (size_t x = 0; x < N_ELEMENTS(rows); x++) {
		kit_issuance(serial++, &i);
		i.spki_hash = kit_hash(900 + (uint32_t)x);
		i.owner = rows[x].owner;
		snprintf(i.owner_id, sizeof(i.owner_id), "%s", rows[x].owner_id);
		i.state = rows[x].state;
		i.revoke_reason = rows[x].reason;
		i.revoke_asked_at = rows[x].asked ? 5 : 0;
		i.renewal_id = kit_id(rows[x].order);
		store_add_issuance(c, &i);
	}
	for (uint32_t x = 0; x < SAME; x++) { /* of another certificate only the last */
		kit_issuance(serial++, &i);
		i.spki_hash = kit_hash(800);
		i.owner = OWNER_CERTIFICATE;
		i.state = ISSUANCE_ACTIVE;
		i.revoke_asked_at = 0;
		snprintf(i.owner_id, sizeof(i.owner_id), "%s", x + 1 < SAME ? "one" : "two");
		store_add_issuance(c, &i);
	}
	commit_ok(k, c);
	for (size_t x = 0; x < N_ELEMENTS(rows); x++) {
		assert_int_equal(view_key_use(k->view, kit_hash(900 + (uint32_t)x), "one", kit_id(7), &use), 0);
		if (use.compromised != rows[x].compromised || use.elsewhere != rows[x].elsewhere || use.before != rows[x].before)
			fail_msg("row %zu: %d %d %d", x, use.compromised, use.elsewhere, use.before);
	}
	assert_int_equal(view_key_use(k->view, kit_hash(800), "one", kit_id(7), &use), 0);
	assert_true(use.elsewhere && use.before && !use.compromised);
	assert_int_equal(view_key_use(k->view, kit_hash(801), "one", kit_id(7), &use), 0);
	assert_false(use.elsewhere || use.before || use.compromised);
}

static void test_issuance_lists(void **state)
{
	struct kit          *k = *state;
	struct store_change *c = store_change_new();
	struct issuance     *got = calloc(70, sizeof(*got)), i;
	struct revoked_row   revoked[10];
	uint32_t             shards[10];
	struct serial        none = {{0}};
	size_t               n;
	for (uint32_t x = 0; x < 60; x++) {
		kit_issuance(x, &i);
		snprintf(i.owner_id, sizeof(i.owner_id), "o%u", x % 3);
		i.crl_shard = x / 10;
		i.not_after_at = 1000 + x;
		i.supersede_at = x % 6 == ISSUANCE_RENEWED ? 500 - x : TIME_NEVER;
		i.revoked_at = i.state == ISSUANCE_REVOKED ? 77 + x : 0;
		i.held_at = x == 12 || x == 19 || x == 23 ? 500 + x : 0;
		if (x / 10 == 4)
			i.state = ISSUANCE_VOID;
		snprintf(i.issuer_id, sizeof(i.issuer_id), "%s", x / 10 == 5 ? "agent-1" : "service-1");
		store_add_issuance(c, &i);
	}
	commit_ok(k, c);
	assert_int_equal(view_issuances(k->view, OWNER_AGENT, "o1", none, got, 70, &n), 0); /* x % 4 == 1, x % 3 == 1 */
	assert_int_equal(n, 5);
	assert_true(serial_equal(got[1].serial, kit_serial(13)));
	assert_int_equal(view_issuances(k->view, OWNER_AGENT, "o1", kit_serial(13), got, 70, &n), 0);
	assert_int_equal(n, 3);
	assert_int_equal(view_intents(k->view, none, got, 70, &n), 0);
	assert_int_equal(n, 8); /* every sixth; 42 and 48 are void */
	for (size_t x = 0; x < n; x++)
		assert_int_equal(got[x].state, ISSUANCE_INTENT);
	assert_int_equal(view_live_issuances(k->view, "service-1", 1009, none, got, 70, &n), 0);
	assert_int_equal(n, 15); /* 10 to 39, three of six states */
	for (size_t x = 0; x < n; x++)
		assert_true(got[x].not_after_at > 1009 && got[x].state != ISSUANCE_INTENT && got[x].state != ISSUANCE_VOID && got[x].state != ISSUANCE_REVOKED);
	assert_int_equal(view_live_issuances(k->view, "service-1", 1009, got[13].serial, got, 70, &n), 0);
	assert_int_equal(n, 1);
	uint64_t top = 99;
	assert_int_equal(view_signed_above(k->view, 0, &top), 0);
	assert_int_equal(top, 60);
	assert_int_equal(view_signed_above(k->view, 59, &top), 0);
	assert_int_equal(top, 60);
	assert_int_equal(view_signed_above(k->view, 60, &top), 0);
	assert_int_equal(top, 0);
	assert_int_equal(view_supersede_due(k->view, 480, got, 70, &n), 0);
	assert_true(n > 0);
	for (size_t x = 0; x < n; x++) {
		assert_true(got[x].supersede_at <= 480);
		assert_true(x == 0 || got[x - 1].supersede_at <= got[x].supersede_at);
	}

	/* shard 1: 10..19, revoked are x % 6 == 4: 10, 16; on hold 12, 19 */
	static const struct {
		uint32_t x;
		int      reason;
	} listed[] = {{10, REASON_SUPERSEDED}, {12, REASON_HOLD}, {16, REASON_SUPERSEDED}, {19, REASON_HOLD}};
	assert_int_equal(view_revoked(k->view, "service-1", 1, 0, none, revoked, 10, &n), 0);
	assert_int_equal(n, 4);
	for (size_t x = 0; x < n; x++) {
		assert_true(serial_equal(revoked[x].serial, kit_serial(listed[x].x)));
		assert_int_equal(revoked[x].reason, listed[x].reason);
		assert_int_equal(revoked[x].revoked_at, (listed[x].reason == REASON_HOLD ? 500 : 77) + listed[x].x);
	}
	struct serial last = none; /* page by page, of both kinds in their order */
	for (size_t x = 0; x < 4; x++) {
		assert_int_equal(view_revoked(k->view, "service-1", 1, 0, last, revoked, 1, &n), 0);
		assert_int_equal(n, 1);
		assert_true(serial_equal(revoked[0].serial, kit_serial(listed[x].x)));
		last = revoked[0].serial;
	}
	assert_int_equal(view_revoked(k->view, "service-1", 1, 0, last, revoked, 1, &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(view_revoked(k->view, "service-1", 1, 1012, none, revoked, 10, &n), 0); /* 10 and 12 have ended */
	assert_int_equal(n, 2);
	assert_int_equal(view_revoked(k->view, "service-1", 1, 0, kit_serial(10), revoked, 10, &n), 0);
	assert_int_equal(n, 3);
	assert_int_equal(view_revoked(k->view, "agent-1", 1, 0, none, revoked, 10, &n), 0);
	assert_int_equal(n, 0);

	assert_int_equal(view_shards(k->view, "service-1", 0, shards, 10, &n), 0); /* 4 holds void ones only */
	assert_int_equal(n, 4);
	for (uint32_t x = 0; x < 4; x++)
		assert_int_equal(shards[x], x);
	assert_int_equal(view_shards(k->view, "service-1", 1019, shards, 10, &n), 0); /* 0 and 1 have ended */
	assert_int_equal(n, 2);
	assert_int_equal(shards[0], 2);
	assert_int_equal(view_shards(k->view, "agent-1", 0, shards, 10, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(shards[0], 5);

	c = store_change_new();
	for (uint32_t x = 60; x < 70; x++) { /* not signed yet, or never */
		kit_issuance(x, &i);
		i.fingerprint = (struct hash){{0}};
		store_add_issuance(c, &i);
	}
	commit_ok(k, c);
	assert_int_equal(view_signed_above(k->view, 0, &top), 0);
	assert_int_equal(top, 60);
	assert_int_equal(view_signed_above(k->view, 60, &top), 0);
	assert_int_equal(top, 0);
	free(got);
}

static void test_fleet_lists(void **state)
{
	struct kit          *k = *state;
	struct store_change *c = store_change_new();
	struct agent        *agents = calloc(20, sizeof(*agents)), agent;
	struct target       *targets = calloc(20, sizeof(*targets)), target;
	struct invite       *invites = calloc(20, sizeof(*invites)), invite;
	struct issuer       *issuers = calloc(20, sizeof(*issuers)), issuer;
	struct service      *services = calloc(20, sizeof(*services)), service = {.name = ""};
	size_t               n;
	for (uint32_t i = 0; i < 10; i++) {
		kit_agent(i, &agent);
		agent.state = (enum agent_state)(i % AGENT_STATE_COUNT);
		agent.host_hash = kit_hash(i / 2);
		store_put_agent(c, &agent);
		kit_target(i, &target);
		snprintf(target.agent, sizeof(target.agent), "clara%06u", i % 3);
		store_put_target(c, &target);
		kit_invite(i, &invite);
		store_add_invite(c, &invite);
		kit_issuer(i, &issuer);
		store_put_issuer(c, &issuer);
		snprintf(service.name, sizeof(service.name), "s%u", i);
		store_put_service(c, &service);
	}
	commit_ok(k, c);
	assert_int_equal(view_agents(k->view, "clara000003", agents, 4, &n), 0);
	assert_int_equal(n, 4);
	assert_string_equal(agents[0].name, "clara000004");
	assert_int_equal(view_targets(k->view, NULL, "", targets, 20, &n), 0);
	assert_int_equal(n, 10);
	assert_int_equal(view_targets(k->view, "clara000001", "clara000001-web", targets, 20, &n), 0);
	assert_int_equal(n, 2);
	assert_string_equal(targets[0].cert_id, "clara000004-web");
	assert_int_equal(view_invites(k->view, kit_id(7), invites, 20, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(view_issuers(k->view, "service-4", issuers, 20, &n), 0);
	assert_int_equal(n, 5);
	assert_int_equal(view_services(k->view, "", services, 20, &n), 0);
	assert_int_equal(n, 10);
	assert_string_equal(services[9].name, "s9");

	/* host 0: clara0 active, clara1 evicted; host 1: 2 banned, 3 removed; host 3: 6 banned, 7 removed */
	bool banned;
	assert_int_equal(view_agent_by_host(k->view, kit_hash(0), &agent), 0);
	assert_string_equal(agent.name, "clara000000");
	assert_int_equal(view_agent_by_host(k->view, kit_hash(1), &agent), 0);
	assert_string_equal(agent.name, "clara000003"); /* none is active: the latest */
	assert_int_equal(view_host_banned(k->view, kit_hash(1), &banned), 0);
	assert_true(banned);
	assert_int_equal(view_host_banned(k->view, kit_hash(0), &banned), 0);
	assert_false(banned);
	struct store_change *ban = store_change_new();
	store_put_ban(ban, &(struct ban){.host_hash = kit_hash(78), .name = "gone", .since_at = 1});
	assert_int_equal(kit_commit(k, ban, NULL), 0);
	assert_int_equal(view_host_banned(k->view, kit_hash(78), &banned), 0);
	assert_true(banned);
	assert_int_equal(view_host_banned(k->view, kit_hash(77), &banned), 0);
	assert_false(banned);
	uint64_t certs, active, open;
	assert_int_equal(view_counts(k->view, 0, &certs, &active, &open), 0);
	assert_int_equal(active, 3);
	assert_int_equal(view_agents_active(k->view, &active), 0);
	assert_int_equal(active, 3);
	free(agents);
	free(targets);
	free(invites);
	free(issuers);
	free(services);
}

#define ON_BOTH(f)                                                                                                             \
	{#f " (mem)", f, setup_mem, teardown, NULL}, {#f " (sqlite)", f, setup_sqlite, teardown, NULL}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH(test_receipts),
		ON_BOTH(test_outbox),
		ON_BOTH(test_certificate_lists),
		ON_BOTH(test_order_lists),
		ON_BOTH(test_steps_in_order),
		ON_BOTH(test_pieces_of_a_history),
		ON_BOTH(test_issuance_lists),
		ON_BOTH(test_key_use),
		ON_BOTH(test_fleet_lists),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

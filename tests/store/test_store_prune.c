/* test_store_prune.c - does what is pruned go with all of it, and nothing that is still needed, in both backends?
 * Never: looking behind store.h. */
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

static void commit_ok(struct kit *k, struct store_change *c)
{
	assert_int_equal(kit_commit(k, c, NULL), 0);
}

static void add_order_of(struct store_change *c, uint32_t n, int64_t completed_at)
{
	struct order          order;
	struct order_step_row step;
	struct receipt_row    r = {.host_hash = kit_hash(1), .agent = "clara01", .seq = n, .renewal_id = kit_id(n), .cert_id = "clara01-web", .stored_at = 1000 + n,
				   .body = span_text("body")};
	kit_order(n, &order);
	order.phase = completed_at != 0 ? ORDER_COMPLETED : ORDER_SIGNING;
	order.completed_at = completed_at;
	store_put_order(c, &order);
	for (uint32_t i = 0; i < 150; i++) { /* more than one page of what goes */
		kit_step(i, n, &step);
		store_add_steps(c, &step, 1);
	}
	store_add_receipt(c, &r);
}

static size_t steps_of(struct kit *k, uint32_t n)
{
	static struct order_step_row rows[STORE_LIST_MAX];
	size_t                       found;
	assert_int_equal(view_steps(k->view, kit_id(n), rows, N_ELEMENTS(rows), &found), 0);
	return found;
}

static void test_an_order_goes_with_all_of_it(void **state)
{
	struct kit          *k = *state;
	struct store_change *c = store_change_new();
	struct order         order;
	struct receipt_row   receipts[4];
	size_t               n;
	add_order_of(c, 1, 500);
	add_order_of(c, 2, 500);
	commit_ok(k, c);
	assert_int_equal(steps_of(k, 1), 150);
	c = store_change_new();
	store_remove_order(c, kit_id(1));
	store_remove_order(c, kit_id(9)); /* missing is fine */
	commit_ok(k, c);
	assert_int_equal(view_order(k->view, kit_id(1), &order), E_NOT_FOUND);
	assert_int_equal(steps_of(k, 1), 0);
	assert_int_equal(view_receipts(k->view, kit_id(1), receipts, 4, &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(view_order(k->view, kit_id(2), &order), 0);
	assert_int_equal(steps_of(k, 2), 150);
	assert_int_equal(view_receipts(k->view, kit_id(2), receipts, 4, &n), 0);
	assert_int_equal(n, 1);
}

/* Many ends in one moment, more than a page: none is left out, none comes twice; what is open or ends later is not there. */
static void test_what_ended_is_walked_once(void **state)
{
	struct kit     *k = *state;
	struct issuance i, got[4];
	struct order    o, orders[4];
	size_t          n = 4, seen = 0;
	for (uint32_t at = 1; at <= 20; at++) {
		struct store_change *c = store_change_new();
		kit_issuance(at, &i);
		i.not_after_at = at <= 10 ? 7000 : 7000 + 1000 * at;
		store_add_issuance(c, &i);
		kit_order(at, &o);
		o.phase = at % 5 == 0 ? ORDER_SIGNING : ORDER_COMPLETED;
		o.completed_at = at % 5 == 0 ? 0 : at <= 10 ? 7000 : 7000 + 1000 * at;
		store_put_order(c, &o);
		commit_ok(k, c);
	}
	int64_t       last = 0;
	struct serial serial = {{0}};
	struct id     id = {{0}};
	for (n = 4; n == 4; seen += n) {
		assert_int_equal(view_issuances_ended(k->view, 7000 + 15000, last, serial, got, 4, &n), 0);
		for (size_t j = 0; j < n; j++) {
			assert_true(got[j].not_after_at > last || (got[j].not_after_at == last && memcmp(&got[j].serial, &serial, sizeof(serial)) > 0));
			last = got[j].not_after_at;
			serial = got[j].serial;
		}
	}
	assert_int_equal(seen, 15);
	for (n = 4, seen = 0, last = 0; n == 4; seen += n) {
		assert_int_equal(view_orders_ended(k->view, 7000 + 15000, last, id, orders, 4, &n), 0);
		for (size_t j = 0; j < n; j++) {
			assert_int_equal(orders[j].phase, ORDER_COMPLETED);
			last = orders[j].completed_at;
			id = orders[j].renewal_id;
		}
	}
	assert_int_equal(seen, 12);
}

static void test_archived_history_adds_up(void **state)
{
	struct kit          *k = *state;
	struct store_change *c = store_change_new();
	struct archived      more = {.cert_id = "clara01-web", .issuances = 1, .first_file = 3, .last_file = 3, .last_at = 10}, got;
	assert_int_equal(view_archived(k->view, "clara01-web", &got), E_NOT_FOUND);
	store_add_archived(c, &more);
	store_add_archived(c, &more);
	commit_ok(k, c);
	more = (struct archived){.cert_id = "clara01-web", .orders = 4, .first_file = 5, .last_file = 5, .last_at = 20};
	c = store_change_new();
	store_add_archived(c, &more);
	commit_ok(k, c);
	assert_int_equal(view_archived(k->view, "clara01-web", &got), 0);
	assert_int_equal(got.issuances, 2);
	assert_int_equal(got.orders, 4);
	assert_int_equal(got.first_file, 3);
	assert_int_equal(got.last_file, 5);
	assert_int_equal(got.last_at, 20);
}

static void test_rows_that_are_over_go(void **state)
{
	struct kit          *k = *state;
	struct store_change *c = store_change_new();
	struct invite        invite, got;
	struct issuance      issuance;
	struct crl_row       crl;
	struct issuer        issuer;
	struct buf           der = BUF_MAX(100);
	kit_invite(1, &invite);
	kit_issuance(1, &issuance);
	kit_issuer(1, &issuer);
	store_add_invite(c, &invite);
	store_add_issuance(c, &issuance);
	store_put_issuer(c, &issuer);
	crl = (struct crl_row){.shard = 1, .number = issuer.crl_number + 1, .der = span_text("list")};
	memcpy(crl.issuer_id, issuer.issuer_id, sizeof(crl.issuer_id));
	store_put_crl(c, &crl);
	commit_ok(k, c);
	invite.expires_at = 77;
	c = store_change_new();
	store_put_invite(c, &invite);
	store_remove_crl(c, issuer.issuer_id, 1);
	store_remove_issuance(c, issuance.serial);
	commit_ok(k, c);
	assert_int_equal(view_invite_by_key(k->view, invite.token_key, &got), 0);
	assert_int_equal(got.expires_at, 77);
	assert_int_equal(view_crl(k->view, issuer.issuer_id, 1, &crl, &der), E_NOT_FOUND);
	assert_int_equal(view_issuer(k->view, issuer.issuer_id, &issuer), 0);
	assert_int_equal(view_issuance(k->view, issuance.serial, &issuance), E_NOT_FOUND);
	c = store_change_new();
	store_remove_invite(c, invite.invite_id);
	commit_ok(k, c);
	assert_int_equal(view_invite_by_key(k->view, invite.token_key, &got), E_NOT_FOUND);
	buf_free(&der);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		KIT_ON_BOTH(test_an_order_goes_with_all_of_it),
		KIT_ON_BOTH(test_what_ended_is_walked_once),
		KIT_ON_BOTH(test_archived_history_adds_up),
		KIT_ON_BOTH(test_rows_that_are_over_go),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

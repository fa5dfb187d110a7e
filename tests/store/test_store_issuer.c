/* test_store_issuer.c - do lists' numbers, the end of a CA and its rollover keep their conditions, in both backends?
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

static int put_crl(struct kit *k, const char *issuer, uint32_t shard, uint64_t number, const char *der)
{
	struct store_change *c = store_change_new();
	struct crl_row       row = {.shard = shard, .number = number, .this_update_at = 5, .next_update_at = 9, .der = span_text(der)};
	snprintf(row.issuer_id, sizeof(row.issuer_id), "%s", issuer);
	store_put_crl(c, &row);
	return kit_commit(k, c, NULL);
}

static void test_crl_numbers_grow(void **state)
{
	struct kit          *k = *state;
	struct issuer        issuer;
	struct crl_row       row;
	struct buf           der = BUF_MAX(1000), small = BUF_MAX(2);
	struct store_change *c = store_change_new();
	kit_issuer(1, &issuer);
	store_put_issuer(c, &issuer);
	commit_ok(k, c);
	assert_int_equal(put_crl(k, "service-9", 0, 1, "x"), E_NOT_FOUND);
	assert_int_equal(put_crl(k, "service-1", 0, issuer.crl_number, "x"), E_STORE_CONFLICT);
	assert_int_equal(put_crl(k, "service-1", 0, issuer.crl_number + 1, "one"), 0);
	assert_int_equal(put_crl(k, "service-1", 1, issuer.crl_number + 1, "two"), E_STORE_CONFLICT);
	assert_int_equal(put_crl(k, "service-1", 1, issuer.crl_number + 2, "two"), 0);
	assert_int_equal(put_crl(k, "service-1", 0, issuer.crl_number + 9, "three"), 0);
	assert_int_equal(view_crl(k->view, "service-1", 0, &row, &der), 0);
	assert_int_equal(row.number, issuer.crl_number + 9);
	assert_int_equal(row.next_update_at, 9);
	assert_int_equal(row.der.n, 5);
	assert_memory_equal(row.der.p, "three", 5);
	assert_int_equal(view_crl(k->view, "service-1", 2, &row, &der), E_NOT_FOUND);
	assert_int_equal(view_crl(k->view, "service-1", 1, &row, &small), E_FULL);
	struct issuer got;
	assert_int_equal(view_issuer(k->view, "service-1", &got), 0);
	assert_int_equal(got.crl_number, issuer.crl_number + 9);
	buf_free(&der);
	buf_free(&small);
}

/* Only once, and the number of its lists goes on beside it. */
static void test_an_issuer_is_revoked_once(void **state)
{
	struct kit          *k = *state;
	struct issuer        issuer, got;
	struct store_change *c = store_change_new();
	kit_issuer(1, &issuer);
	store_put_issuer(c, &issuer);
	store_revoke_issuer(c, "service-1", 70, 1);
	commit_ok(k, c);
	assert_int_equal(put_crl(k, "service-1", 0, issuer.crl_number + 1, "one"), 0);
	c = store_change_new();
	store_revoke_issuer(c, "service-1", 80, 4);
	commit_ok(k, c);
	assert_int_equal(view_issuer(k->view, "service-1", &got), 0);
	assert_int_equal(got.revoked_at, 70);
	assert_int_equal(got.revoke_reason, 1);
	assert_int_equal(got.crl_number, issuer.crl_number + 1);
	c = store_change_new();
	store_revoke_issuer(c, "service-9", 80, 4);
	assert_int_equal(kit_commit(k, c, NULL), E_NOT_FOUND);
}

/* The number of its lists and its revocation go on beside it; retired stays retired. */
static void test_an_issuer_gives_way(void **state)
{
	struct kit          *k = *state;
	struct issuer        issuer, got;
	struct store_change *c = store_change_new();
	kit_issuer(1, &issuer);
	issuer.retired = false;
	store_put_issuer(c, &issuer);
	store_set_standing(c, "service-1", ISSUER_STANDS_BY, "", false);
	commit_ok(k, c);
	assert_int_equal(view_issuer(k->view, "service-1", &got), 0);
	assert_int_equal(got.standing, ISSUER_STANDS_BY);
	assert_string_equal(got.successor_id, "");
	assert_false(got.retired);
	assert_int_equal(put_crl(k, "service-1", 0, issuer.crl_number + 1, "one"), 0);
	c = store_change_new();
	store_set_standing(c, "service-1", ISSUER_DRAINS, "service-2", true);
	store_revoke_issuer(c, "service-1", 70, 1);
	commit_ok(k, c);
	c = store_change_new();
	store_set_standing(c, "service-1", ISSUER_DRAINS, "service-2", false);
	commit_ok(k, c);
	assert_int_equal(view_issuer(k->view, "service-1", &got), 0);
	assert_int_equal(got.standing, ISSUER_DRAINS);
	assert_string_equal(got.successor_id, "service-2");
	assert_true(got.retired);
	assert_int_equal(got.revoked_at, 70);
	assert_int_equal(got.crl_number, issuer.crl_number + 1);
	c = store_change_new();
	store_set_standing(c, "service-9", ISSUER_ISSUES, "", false);
	assert_int_equal(kit_commit(k, c, NULL), E_NOT_FOUND);
	c = store_change_new();
	store_set_standing(c, "service-1", ISSUER_ISSUES, "a-name-that-is-far-longer-than-the-name-of-any-issuer-may-be", false);
	assert_true(kit_commit(k, c, NULL) < 0);
}

static void test_rollovers(void **state)
{
	struct kit          *k = *state;
	struct rollover      rows[4], got, row = {.successor_id = "service-2",
						  .phase = ROLLOVER_RETIRING,
						  .emergency = true,
						  .closed = true,
						  .campaign_id = kit_id(7),
						  .campaigns = 3,
						  .code = E_SIGNER_RATE,
						  .cause = "so",
						  .actor = "alice",
						  .reason = "why",
						  .created_at = 1,
						  .prepared_at = 2,
						  .issuing_at = 3,
						  .draining_at = 4,
						  .next_at = 5,
						  .overridden = true,
						  .consumers = 9,
						  .consumers_hash = {{1, 2}}};
	struct store_change *c = store_change_new();
	size_t               n = 9;
	assert_int_equal(view_rollover(k->view, "service-1", &got), E_NOT_FOUND);
	for (int i = 0; i < 3; i++) {
		snprintf(row.issuer_id, sizeof(row.issuer_id), "service-%d", i);
		store_put_rollover(c, &row);
	}
	commit_ok(k, c);
	assert_int_equal(view_rollover(k->view, "service-2", &got), 0);
	assert_memory_equal(&got, &row, sizeof(got));
	struct rollover bare = {.issuer_id = "service-1", .next_at = TIME_NEVER, .ended_at = 6, .phase = ROLLOVER_ROLLED_BACK};
	c = store_change_new();
	store_put_rollover(c, &bare);
	commit_ok(k, c);
	assert_int_equal(view_rollovers(k->view, "service-0", rows, 4, &n), 0);
	assert_int_equal(n, 2);
	assert_memory_equal(&rows[0], &bare, sizeof(bare));
	assert_memory_equal(&rows[1], &row, sizeof(row));
	assert_int_equal(view_rollovers(k->view, "service-2", rows, 4, &n), 0);
	assert_int_equal(n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		KIT_ON_BOTH(test_crl_numbers_grow),
		KIT_ON_BOTH(test_an_issuer_is_revoked_once),
		KIT_ON_BOTH(test_an_issuer_gives_way),
		KIT_ON_BOTH(test_rollovers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

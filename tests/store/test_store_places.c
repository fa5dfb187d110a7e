/* test_store_places.c - room tests/store: the walk along the places of many certificates, on both backends.
 * Never: what a report makes of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "tests/lib/store_kit.h"

struct seen {
	size_t        n, stop_at;
	struct target row[16];
};

static int see(void *ctx, const struct target *t)
{
	struct seen *s = ctx;
	s->row[s->n++] = *t;
	return s->n == s->stop_at ? E_RANGE : 0;
}

static void put(struct kit *k, const char *cert_id, const char *stem, uint32_t n)
{
	struct target t;
	kit_target(n, &t);
	snprintf(t.cert_id, sizeof(t.cert_id), "%s", cert_id);
	snprintf(t.target_id, sizeof(t.target_id), "%s%s%s", cert_id, stem[0] != '\0' ? ":" : "", stem);
	snprintf(t.verify_kind, sizeof(t.verify_kind), "%s", n % 2 == 0 ? "tls" : "file");
	t.served = kit_serial(n);
	t.proved_at = 1000 + n;
	t.rehearsed_at = 2000 + n;
	t.stale_since_at = n % 3 == 0 ? 3000 + n : 0;
	t.state_code = n % 3 == 0 ? E_PEER_STALE : 0;
	struct store_change *c = store_change_new();
	store_put_target(c, &t);
	assert_int_equal(kit_commit(k, c, NULL), 0);
}

/* By certificate, although ids of places stand in another order: "a0" lies before "a:more". */
static void test_by_certificate(void **state)
{
	struct kit *k = *state;
	struct seen s = {.n = 0};
	put(k, "a", "", 1);
	put(k, "a", "more", 2);
	put(k, "a0", "", 3);
	put(k, "b", "", 4);
	put(k, "c", "", 5);
	assert_int_equal(view_targets_between(k->view, "", "b", see, &s), 0);
	assert_int_equal(s.n, 4);
	static const char *const order[] = {"a", "a", "a0", "b"};
	for (size_t i = 0; i < s.n; i++) {
		assert_string_equal(s.row[i].cert_id, order[i]);
		assert_true(serial_equal(s.row[i].served, kit_serial((uint32_t)i + 1)));
		assert_string_equal(s.row[i].verify_kind, (i + 1) % 2 == 0 ? "tls" : "file");
		assert_int_equal(s.row[i].proved_at, 1001 + i);
		assert_int_equal(s.row[i].rehearsed_at, 2001 + i);
		assert_int_equal(s.row[i].stale_since_at, i == 2 ? 3003 : 0);
		assert_int_equal(s.row[i].state_code, i == 2 ? E_PEER_STALE : 0);
	}
	s.n = 0;
	assert_int_equal(view_targets_between(k->view, "a", "c", see, &s), 0);
	assert_int_equal(s.n, 3);
	s.n = 0;
	assert_int_equal(view_targets_between(k->view, "c", "d", see, &s), 0);
	assert_int_equal(s.n, 0);
}

static void test_ends_early(void **state)
{
	struct kit *k = *state;
	struct seen s = {.stop_at = 2};
	put(k, "a", "", 1);
	put(k, "b", "", 2);
	put(k, "c", "", 3);
	assert_int_equal(view_targets_between(k->view, "", "c", see, &s), E_RANGE);
	assert_int_equal(s.n, 2);
}

/* A walk that leaves columns out does not leave its statement to one that reads them. */
static void test_whole_rows_stay_whole(void **state)
{
	struct kit   *k = *state;
	struct seen   s = {.n = 0};
	struct target t;
	put(k, "a", "", 1);
	assert_int_equal(view_targets_between(k->view, "", "a", see, &s), 0);
	assert_int_equal(view_target(k->view, "a", &t), 0);
	assert_true(t.agent[0] != '\0' && t.reload_kind[0] != '\0' && t.reported_at != 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		KIT_ON_BOTH(test_by_certificate),
		KIT_ON_BOTH(test_ends_early),
		KIT_ON_BOTH(test_whole_rows_stay_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

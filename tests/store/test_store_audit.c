/* test_store_audit.c - are the audit trail and its tree the same in both backends, and do both agree about everything after a
 * random run? Never: looking behind store.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "shared/base/times.h"
#include "shared/pki/key.h"
#include "tests/lib/store_check.h"
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

/* ---- audit ---- */

static void test_canonical_bytes(void **state)
{
	(void)state;
	struct audit a;
	struct buf   text = BUF_MAX(2000);
	kit_audit(3, AUDIT_AGENT_JOINED, &a);
	a.seq = 17;
	a.request_id = (struct id){{0}};
	audit_canonical(&a, &text);
	buf_add_u8(&text, '\0');
	assert_string_equal(text.p, "1\n17\n1700000000003\n0\nagent_joined\nalice3\nclara000003-web\n018bcfe5-6803-7102-8304-05060708090a\n\n"
				    "because of 3\n{\"attempt\":3}\n");
	buf_free(&text);
}

static int view_node(void *ctx, uint32_t level, uint64_t index, struct hash *ret)
{
	return view_audit_node(ctx, level, index, ret);
}

static void test_audit_tree(void **state)
{
	struct kit         *k = *state;
	struct store_result result;
	struct hash         root, want, leaf, path[MERKLE_LEVELS];
	uint64_t            size, want_size;
	assert_int_equal(view_audit_head(k->view, &size, &root), 0);
	assert_int_equal(size, 0);
	for (uint32_t n = 0; n < AUDIT_EVENT_COUNT + 10; n++) { /* every event by name */
		struct store_change *c = store_change_new();
		struct audit         a;
		kit_audit(n, (enum audit_event)(n % AUDIT_EVENT_COUNT), &a);
		store_add_audit(c, &a);
		assert_int_equal(kit_commit(k, c, &result), 0);
		assert_int_equal(result.audit_seq, n);
	}
	assert_int_equal(view_audit_head(k->view, &size, &root), 0);
	check_head(k->view, &want_size, &want);
	assert_int_equal(size, want_size);
	assert_true(hash_equal(root, want));

	size_t n_path;
	assert_int_equal(merkle_inclusion(digest_sha256_two, view_node, k->view, 11, size, path, &n_path), 0);
	assert_int_equal(view_audit_node(k->view, 0, 11, &leaf), 0);
	assert_int_equal(merkle_inclusion_check(digest_sha256_two, &leaf, 11, size, path, n_path, &root), 0);

	/* text that would break the lines of the canonical form is made harmless before it is hashed */
	struct store_change *c = store_change_new();
	struct audit         bad = {.at = 1, .event = AUDIT_BREAK_GLASS, .actor = "agent:a\nb", .object = "o\x7f", .detail = "d\t\x01"}, got;
	size_t               n;
	store_add_audit(c, &bad);
	commit_ok(k, c);
	assert_int_equal(view_audit(k->view, size, &got, 1, &n), 0);
	assert_int_equal(n, 1);
	assert_string_equal(got.actor, "agent:a?b");
	assert_string_equal(got.object, "o?");
	assert_string_equal(got.detail, "d??");
	assert_int_equal(view_audit_head(k->view, &size, &root), 0);
	check_head(k->view, &want_size, &want);
	assert_true(hash_equal(root, want));
	assert_int_equal(view_audit(k->view, UINT64_MAX, &got, 1, &n), 0);
	assert_int_equal(n, 0);
}

/* ---- both give the same answers ---- */

static uint32_t random_next(uint64_t *s)
{
	*s = *s * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*s >> 33);
}

/* A change of 1 to 4 random verbs on few objects, so that conditions hold and fail. */
static struct store_change *random_change(uint64_t *s)
{
	struct store_change *c = store_change_new();
	for (uint32_t left = 1 + random_next(s) % 4; left > 0; left--) {
		uint32_t           n = random_next(s) % 12, variant = random_next(s) % 5;
		struct certificate cert;
		struct issuance    issuance;
		struct order       order;
		struct template    template;
		struct audit       audit;
		struct token       token = {.token_id = kit_id(n), .hash = kit_hash(n + variant % 2), .principal = "p"};
		kit_certificate(n, &cert);
		kit_issuance(n, &issuance);
		issuance.state = (enum issuance_state)variant;
		kit_order(n, &order);
		order.phase = (enum order_phase)(random_next(s) % ORDER_PHASE_COUNT);
		kit_template(n % 3, &template);
		kit_audit(n, AUDIT_RENEWAL_STEP, &audit);
		switch (random_next(s) % 10) {
		case 0:
			store_put_certificate(c, &cert, variant);
			break;
		case 1:
			store_add_issuance(c, &issuance);
			break;
		case 2:
			store_put_issuance(c, &issuance);
			break;
		case 3:
			store_put_order(c, &order);
			break;
		case 4:
			store_add_template(c, &template, variant == 4 ? UINT32_MAX : variant);
			break;
		case 5:
			store_add_audit(c, &audit);
			break;
		case 6:
			store_put_outbox(c, cert.agent, order.renewal_id, random_next(s) % 1000, 7, span_text(cert.cert_id));
			break;
		case 7:
			store_remove_outbox(c, cert.agent, order.renewal_id);
			break;
		case 8:
			store_put_token(c, &token);
			break;
		default:
			store_reserve_serials(c, 1 + variant, 3 * n);
			break;
		}
	}
	return c;
}

static void compare_lists(struct kit *a, struct kit *b)
{
	static struct certificate ca[STORE_LIST_MAX], cb[STORE_LIST_MAX];
	static struct order       oa[STORE_LIST_MAX], ob[STORE_LIST_MAX];
	static struct issuance    ia[STORE_LIST_MAX], ib[STORE_LIST_MAX];
	static struct template    ta[20], tb[20];
	struct cert_filter        f = {.with_removed = false, .now = INT64_C(1700000000000)};
	struct id                 none = {{0}};
	struct serial             zero = {{0}};
	size_t                    na, nb;
	uint64_t                  sa, sb;
	struct hash               ra, rb;
#define SAME(call_a, call_b, x, y)                                                                                             \
	do {                                                                                                                   \
		assert_int_equal(call_a, 0);                                                                                   \
		assert_int_equal(call_b, 0);                                                                                   \
		assert_int_equal(na, nb);                                                                                      \
		assert_memory_equal(x, y, na * sizeof((x)[0]) + 1);                                                            \
	} while (0)
	SAME(view_certificates(a->view, &f, "", ca, 500, &na), view_certificates(b->view, &f, "", cb, 500, &nb), ca, cb);
	SAME(view_orders_open(a->view, none, oa, 500, &na), view_orders_open(b->view, none, ob, 500, &nb), oa, ob);
	SAME(view_orders(a->view, NULL, none, oa, 500, &na), view_orders(b->view, NULL, none, ob, 500, &nb), oa, ob);
	SAME(view_intents(a->view, zero, ia, 500, &na), view_intents(b->view, zero, ib, 500, &nb), ia, ib);
	SAME(view_supersede_due(a->view, TIME_NEVER, ia, 500, &na), view_supersede_due(b->view, TIME_NEVER, ib, 500, &nb), ia, ib);
	SAME(view_templates(a->view, "", ta, 20, &na), view_templates(b->view, "", tb, 20, &nb), ta, tb);
#undef SAME
	assert_int_equal(view_audit_head(a->view, &sa, &ra), 0);
	assert_int_equal(view_audit_head(b->view, &sb, &rb), 0);
	assert_int_equal(sa, sb);
	assert_true(hash_equal(ra, rb));
	assert_int_equal(view_outbox_top(a->view, &sa), 0);
	assert_int_equal(view_outbox_top(b->view, &sb), 0);
	assert_int_equal(sa, sb);
}

static void test_both_backends_agree(void **state)
{
	(void)state;
	struct kit mem, sqlite;
	kit_open(&mem, KIT_MEM);
	kit_open(&sqlite, KIT_SQLITE);
	uint64_t seed = 20260101, twin = 20260101;
	int      failed = 0;
	for (int round = 0; round < 600; round++) {
		struct store_result ra, rb;
		int                 a = kit_commit(&mem, random_change(&seed), &ra);
		int                 b = kit_commit(&sqlite, random_change(&twin), &rb);
		assert_int_equal(a, b);
		if (a == 0)
			assert_memory_equal(&ra, &rb, sizeof(ra));
		failed += a != 0;
		if (round % 50 == 49)
			compare_lists(&mem, &sqlite);
	}
	assert_true(failed > 50 && failed < 550); /* the run exercises both ends */
	kit_stop(&sqlite);
	kit_start(&sqlite);
	compare_lists(&mem, &sqlite);
	kit_close(&mem);
	kit_close(&sqlite);
}

#define ON_BOTH(f)                                                                                                             \
	{#f " (mem)", f, setup_mem, teardown, NULL}, {#f " (sqlite)", f, setup_sqlite, teardown, NULL}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH(test_audit_tree),
		cmocka_unit_test(test_canonical_bytes),
		cmocka_unit_test(test_both_backends_agree),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

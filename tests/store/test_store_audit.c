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

#include "shared/base/text.h"
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

/* ---- persons, time, heads, lists ---- */

static void record(struct kit *k, int64_t at, enum audit_event event, const char *actor, const char *object)
{
	struct store_change *c = store_change_new();
	struct audit         a = {.at = at, .event = event, .reason = "why"};
	strcpy(a.actor, actor);
	strcpy(a.object, object);
	store_add_audit(c, &a);
	commit_ok(k, c);
}

static struct audit row_at(struct kit *k, uint64_t seq)
{
	struct audit a;
	size_t       n;
	assert_int_equal(view_audit(k->view, seq, &a, 1, &n), 0);
	assert_int_equal(n, 1);
	return a;
}

static void note_code(void *ctx, int code, const struct store_result *result)
{
	(void)result;
	*(int *)ctx = code;
}

static void test_persons_stand_behind_pseudonyms(void **state)
{
	struct kit         *k = *state;
	struct audit_person alice, bob, again, page[5];
	struct hash         before, after;
	uint64_t            size;
	size_t              n;
	record(k, 1, AUDIT_TEMPLATE_APPLIED, "alice", "alice"); /* an object is a person only where the event says so */
	record(k, 2, AUDIT_PRINCIPAL_CREATED, "alice", "bob");
	record(k, 3, AUDIT_AGENT_JOINED, "agent:clara01", "clara01");
	assert_int_equal(view_audit_person(k->view, "alice", &alice), 0);
	assert_int_equal(view_audit_person(k->view, "bob", &bob), 0);
	assert_string_equal(row_at(k, 0).actor, alice.alias);
	assert_string_equal(row_at(k, 0).object, "alice");
	assert_string_equal(row_at(k, 1).actor, alice.alias);
	assert_string_equal(row_at(k, 1).object, bob.alias);
	assert_string_equal(row_at(k, 2).actor, "agent:clara01");
	assert_string_not_equal(alice.alias, bob.alias);
	assert_false(hash_equal(alice.salt, bob.salt));
	char alias[ACTOR_SIZE];
	audit_alias(digest_sha256_two, "alice", alice.salt, alias);
	assert_string_equal(alias, alice.alias);
	assert_int_equal(view_audit_person_by_alias(k->view, bob.alias, &again), 0);
	assert_string_equal(again.name, "bob");
	assert_int_equal(view_audit_persons(k->view, "", page, 5, &n), 0);
	assert_int_equal(n, 2);

	assert_int_equal(view_audit_head(k->view, &size, &before), 0);
	struct order         order, got;
	struct store_change *c = store_change_new();
	for (uint32_t i = 0; i < 450; i++) { /* more than one page; every other one is hers */
		kit_order(i, &order);
		order.phase = ORDER_COMPLETED;
		strcpy(order.actor, i % 2 == 0 ? "alice" : "bob");
		store_put_order(c, &order);
	}
	struct invite invite;
	kit_invite(1, &invite);
	strcpy(invite.actor, "alice");
	store_add_invite(c, &invite);
	commit_ok(k, c);
	kit_order(8, &order);
	order.phase = ORDER_ORDERED;
	strcpy(order.actor, "alice");
	c = store_change_new();
	store_put_order(c, &order);
	commit_ok(k, c);
	c = store_change_new();
	store_forget_person(c, "alice");
	assert_int_equal(kit_commit(k, c, NULL), E_ORDER_OPEN);
	assert_int_equal(view_audit_person(k->view, "alice", &again), 0);
	order.phase = ORDER_CANCELLED;
	c = store_change_new();
	store_put_order(c, &order);
	commit_ok(k, c);
	c = store_change_new();
	store_forget_person(c, "alice");
	store_forget_person(c, "nobody");
	commit_ok(k, c);
	assert_int_equal(view_audit_person(k->view, "alice", &again), E_NOT_FOUND);
	assert_int_equal(view_audit_person_by_alias(k->view, alice.alias, &again), E_NOT_FOUND);
	for (uint32_t i = 0; i < 450; i += 7) {
		assert_int_equal(view_order(k->view, kit_id(i), &got), 0);
		assert_string_equal(got.actor, i % 2 == 0 ? alice.alias : "bob");
	}
	assert_int_equal(view_invite_by_key(k->view, invite.token_key, &invite), 0);
	assert_string_equal(invite.actor, alice.alias);
	assert_int_equal(view_audit_head(k->view, &size, &after), 0);
	assert_true(hash_equal(before, after));
	check_head(k->view, &size, &after); /* and it still follows from the rows */
	assert_true(hash_equal(before, after));

	/* a change without random bytes cannot name somebody new */
	c = store_change_new();
	struct audit a = {.at = 4, .event = AUDIT_TEMPLATE_APPLIED, .actor = "carol"};
	store_add_audit(c, &a);
	int code = 1;
	assert_int_equal(store_submit(k->store, c, note_code, &code), 0);
	while (code == 1)
		kit_poll(k);
	assert_int_equal(code, E_INTERNAL);
}

static void put_principal(struct kit *k, const char *name, const char *mail)
{
	struct store_change *c = store_change_new();
	struct principal     p = {.disabled = true};
	text_cut(p.name, sizeof(p.name), name);
	text_cut(p.mail, sizeof(p.mail), mail);
	store_put_principal(c, &p);
	commit_ok(k, c);
}

static bool mail_used(struct kit *k, const char *mail)
{
	bool used = false;
	assert_int_equal(view_mail_used(k->view, mail, &used), 0);
	return used;
}

/* Of whoever can act: of several one is enough. */
static void test_addresses_of_who_can_act(void **state)
{
	struct kit          *k = *state;
	struct store_change *c = store_change_new();
	struct principal     erin = {.name = "erin", .mail = "team@vcc.internal"};
	store_put_principal(c, &erin);
	commit_ok(k, c);
	put_principal(k, "bob", "team@vcc.internal");
	put_principal(k, "alice", "alice@vcc.internal");
	assert_true(mail_used(k, "team@vcc.internal"));
	assert_false(mail_used(k, "alice@vcc.internal"));
	assert_false(mail_used(k, "am@vcc.internal"));
	assert_false(mail_used(k, "TEAM@vcc.internal"));
	c = store_change_new();
	erin.disabled = true;
	store_put_principal(c, &erin);
	commit_ok(k, c);
	assert_false(mail_used(k, "team@vcc.internal"));
}

static void forget(struct kit *k, const char *name)
{
	struct store_change *c = store_change_new();
	store_forget_person(c, name);
	commit_ok(k, c);
}

/* A link in a mail records the address as who acted: it goes with the person, and nobody else's does. */
static void test_who_is_forgotten_has_no_address_left(void **state)
{
	struct kit         *k = *state;
	struct audit_person p;
	struct hash         before, after;
	uint64_t            size;
	put_principal(k, "alice", "alice@vcc.internal");
	put_principal(k, "bob", "team@vcc.internal");
	put_principal(k, "carol", "team@vcc.internal");
	put_principal(k, "dave", "");
	record(k, 1, AUDIT_PRINCIPAL_CREATED, "admin", "alice");
	record(k, 2, AUDIT_PRINCIPAL_CREATED, "admin", "bob");
	record(k, 3, AUDIT_PRINCIPAL_CREATED, "admin", "carol");
	record(k, 4, AUDIT_PRINCIPAL_CREATED, "admin", "dave");
	record(k, 5, AUDIT_NOTIFICATION_ACKED, "alice@vcc.internal", "");
	record(k, 6, AUDIT_NOTIFICATION_ACKED, "team@vcc.internal", "");
	record(k, 7, AUDIT_NOTIFICATION_ACKED, "eve@vcc.internal", "");
	assert_int_equal(view_audit_head(k->view, &size, &before), 0);
	assert_int_equal(view_audit_person(k->view, "alice@vcc.internal", &p), 0);

	forget(k, "alice");
	assert_int_equal(view_audit_person(k->view, "alice", &p), E_NOT_FOUND);
	assert_int_equal(view_audit_person(k->view, "alice@vcc.internal", &p), E_NOT_FOUND);
	assert_int_equal(view_audit_person(k->view, "team@vcc.internal", &p), 0);
	forget(k, "dave");
	forget(k, "bob");
	assert_int_equal(view_audit_person(k->view, "team@vcc.internal", &p), 0); /* carol's, too */
	forget(k, "carol");
	assert_int_equal(view_audit_person(k->view, "team@vcc.internal", &p), E_NOT_FOUND);
	assert_int_equal(view_audit_person(k->view, "eve@vcc.internal", &p), 0);
	forget(k, "eve@vcc.internal"); /* an address that a principal had before is forgotten by itself */
	assert_int_equal(view_audit_person(k->view, "eve@vcc.internal", &p), E_NOT_FOUND);
	record(k, 8, AUDIT_NOTIFICATION_ACKED, "admin", "");
	assert_int_equal(view_audit_head(k->view, &size, &after), 0);
	check_head(k->view, &size, &after); /* the trail is whole */
	assert_false(hash_equal(before, after));
}

static void test_time_never_runs_backward(void **state)
{
	struct kit *k = *state;
	uint64_t    seq;
	record(k, 1000, AUDIT_CONTROLLER_STARTED, "controller", "");
	record(k, 400, AUDIT_CONTROLLER_STARTED, "controller", "");
	kit_stop(k);
	kit_start(k); /* known after a restart, too (memory has none) */
	if (k->backend == KIT_MEM)
		record(k, 1000, AUDIT_CONTROLLER_STARTED, "controller", ""), record(k, 400, AUDIT_CONTROLLER_STARTED, "controller", "");
	record(k, 999, AUDIT_CONTROLLER_STARTED, "controller", "");
	record(k, 2000, AUDIT_CONTROLLER_STARTED, "controller", "");
	assert_int_equal(row_at(k, 1).at, 1000);
	assert_int_equal(row_at(k, 1).behind_ms, 600);
	assert_int_equal(row_at(k, 2).at, 1000);
	assert_int_equal(row_at(k, 2).behind_ms, 1);
	assert_int_equal(row_at(k, 3).behind_ms, 0);
	assert_int_equal(view_audit_since(k->view, 1000, &seq), 0);
	assert_int_equal(seq, 0);
	assert_int_equal(view_audit_since(k->view, 1001, &seq), 0);
	assert_int_equal(seq, 3);
	assert_int_equal(view_audit_since(k->view, 9999, &seq), 0);
	assert_int_equal(seq, 4);
}

static void test_heads_are_kept_by_size(void **state)
{
	struct kit       *k = *state;
	struct audit_head page[9], h = {.at = 7, .issuer_id = "agent-1", .signature = {1, 2, 3}, .signature_len = 3};
	struct hash       root, now;
	uint64_t          size;
	size_t            n;
	for (uint64_t i = 1; i <= 5; i++) {
		record(k, 1, AUDIT_CONTROLLER_STARTED, "controller", "");
		h.size = i;
		assert_int_equal(view_audit_head(k->view, &size, &h.root), 0);
		struct store_change *c = store_change_new();
		store_put_audit_head(c, &h);
		commit_ok(k, c);
	}
	strcpy(h.witness, "clara01");
	h.witnessed_at = 99;
	struct store_change *c = store_change_new();
	store_put_audit_head(c, &h); /* a witness was found */
	commit_ok(k, c);
	assert_int_equal(view_audit_heads(k->view, 2, page, 9, &n), 0);
	assert_int_equal(n, 3);
	assert_int_equal(page[0].size, 3);
	assert_string_equal(page[2].witness, "clara01");
	assert_memory_equal(page[2].signature, h.signature, sizeof(h.signature));
	assert_int_equal(view_audit_heads_down(k->view, UINT64_MAX, page, 2, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(page[0].size, 5);
	assert_int_equal(view_audit_heads_down(k->view, 4, page, 9, &n), 0);
	assert_int_equal(page[0].size, 3);
	for (uint64_t i = 1; i <= 5; i++) { /* what each was, the tree can still tell */
		assert_int_equal(view_audit_root_at(k->view, i, &root), 0);
		assert_int_equal(view_audit_heads(k->view, i - 1, page, 1, &n), 0);
		assert_true(hash_equal(page[0].root, root));
	}
	assert_int_equal(view_audit_head(k->view, &size, &now), 0);
	assert_true(hash_equal(root, now));
	assert_int_equal(view_audit_root_at(k->view, 6, &root), E_RANGE);
}

static size_t listed(struct kit *k, struct audit_filter f, uint64_t before, uint64_t *ret_next, uint64_t ret_seq[10])
{
	struct audit rows[10];
	size_t       n;
	assert_int_equal(view_audit_list(k->view, &f, before, rows, 3, &n, ret_next), 0);
	for (size_t i = 0; i < n; i++)
		ret_seq[i] = rows[i].seq;
	return n;
}

static void test_lists_are_filtered_newest_first(void **state)
{
	struct kit *k = *state;
	uint64_t    next, seq[10];
	const struct audit_filter all = {.event = -1}, object = {.event = -1, .object = "a"}, event = {.event = AUDIT_AGENT_BANNED},
		since = {.event = -1, .since_at = 6}, nobody = {.event = -1, .actor = "person:x"}, both = {.event = AUDIT_AGENT_BANNED, .object = "b"};
	assert_int_equal(listed(k, all, UINT64_MAX, &next, seq), 0);
	assert_int_equal(next, 0);
	for (int i = 0; i < 8; i++) /* a b a b ..., every third a ban */
		record(k, i, i % 3 == 0 ? AUDIT_AGENT_BANNED : AUDIT_AGENT_EVICTED, "agent:x", i % 2 == 0 ? "a" : "b");
	assert_int_equal(listed(k, all, UINT64_MAX, &next, seq), 3);
	assert_int_equal(seq[0], 7);
	assert_int_equal(next, 5);
	assert_int_equal(listed(k, all, 2, &next, seq), 2);
	assert_int_equal(next, 0);
	assert_int_equal(listed(k, object, UINT64_MAX, &next, seq), 3);
	assert_int_equal(seq[2], 2);
	assert_int_equal(next, 2);
	assert_int_equal(listed(k, object, next, &next, seq), 1);
	assert_int_equal(seq[0], 0);
	assert_int_equal(next, 0);
	assert_int_equal(listed(k, event, UINT64_MAX, &next, seq), 3);
	assert_int_equal(seq[0] * 100 + seq[1] * 10 + seq[2], 630);
	assert_int_equal(listed(k, since, UINT64_MAX, &next, seq), 2);
	assert_int_equal(seq[1], 6);
	assert_int_equal(next, 0);
	assert_int_equal(listed(k, nobody, UINT64_MAX, &next, seq), 0);
	assert_int_equal(listed(k, both, UINT64_MAX, &next, seq), 1);
	assert_int_equal(seq[0], 3);
}

/* ---- both give the same answers ---- */

enum { OBJECTS = 12, PAGE = OBJECTS + 1 };

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
		uint32_t           n = random_next(s) % OBJECTS, variant = random_next(s) % 5;
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
	static struct certificate ca[PAGE], cb[PAGE];
	static struct order       oa[PAGE], ob[PAGE];
	static struct issuance    ia[PAGE], ib[PAGE];
	static struct template    ta[PAGE], tb[PAGE];
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
		assert_in_range(na, 0, PAGE - 1);                                                                              \
		assert_memory_equal(x, y, na * sizeof((x)[0]) + 1);                                                            \
	} while (0)
	SAME(view_certificates(a->view, &f, "", ca, PAGE, &na), view_certificates(b->view, &f, "", cb, PAGE, &nb), ca, cb);
	SAME(view_orders_open(a->view, none, oa, PAGE, &na), view_orders_open(b->view, none, ob, PAGE, &nb), oa, ob);
	SAME(view_orders(a->view, NULL, none, oa, PAGE, &na), view_orders(b->view, NULL, none, ob, PAGE, &nb), oa, ob);
	SAME(view_intents(a->view, zero, ia, PAGE, &na), view_intents(b->view, zero, ib, PAGE, &nb), ia, ib);
	SAME(view_supersede_due(a->view, TIME_NEVER, ia, PAGE, &na), view_supersede_due(b->view, TIME_NEVER, ib, PAGE, &nb), ia, ib);
	SAME(view_templates(a->view, "", ta, PAGE, &na), view_templates(b->view, "", tb, PAGE, &nb), ta, tb);
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
			assert_true(ra.audit_seq == rb.audit_seq && ra.serial_first == rb.serial_first && ra.template_version == rb.template_version);
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
		ON_BOTH(test_persons_stand_behind_pseudonyms),
		ON_BOTH(test_addresses_of_who_can_act),
		ON_BOTH(test_who_is_forgotten_has_no_address_left),
		ON_BOTH(test_time_never_runs_backward),
		ON_BOTH(test_heads_are_kept_by_size),
		ON_BOTH(test_lists_are_filtered_newest_first),
		cmocka_unit_test(test_canonical_bytes),
		cmocka_unit_test(test_both_backends_agree),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

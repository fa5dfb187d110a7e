/* test_store_verb.c - does every verb keep its condition, in both backends? What must be refused comes with what must not.
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

/* ---- conditions of verbs ---- */

static int put_cert(struct kit *k, const struct certificate *cert, uint64_t expect)
{
	struct store_change *c = store_change_new();
	store_put_certificate(c, cert, expect);
	return kit_commit(k, c, NULL);
}

static void test_certificate_versions(void **state)
{
	struct kit        *k = *state;
	struct certificate cert, got;
	kit_certificate(1, &cert);
	assert_int_equal(put_cert(k, &cert, 3), E_STORE_CONFLICT); /* not there at all */
	assert_int_equal(put_cert(k, &cert, 0), 0);
	assert_int_equal(put_cert(k, &cert, 0), E_EXISTS);
	assert_int_equal(put_cert(k, &cert, 2), E_STORE_CONFLICT);
	cert.unattended = 42;
	assert_int_equal(put_cert(k, &cert, 1), 0);
	assert_int_equal(put_cert(k, &cert, 1), E_STORE_CONFLICT);
	assert_int_equal(view_certificate(k->view, cert.cert_id, &got), 0);
	assert_int_equal(got.version, 2);
	assert_int_equal(got.unattended, 42);
}

static void test_serial_is_unique(void **state)
{
	struct kit          *k = *state;
	struct issuance      i, other, got;
	struct store_change *c = store_change_new();
	kit_issuance(1, &i);
	store_put_issuance(c, &i);
	assert_int_equal(kit_commit(k, c, NULL), E_NOT_FOUND);
	c = store_change_new();
	store_add_issuance(c, &i);
	commit_ok(k, c);
	kit_issuance(2, &other);
	other.serial = i.serial;
	c = store_change_new();
	store_add_issuance(c, &other);
	assert_int_equal(kit_commit(k, c, NULL), E_EXISTS);
	assert_int_equal(view_issuance(k->view, i.serial, &got), 0);
	assert_memory_equal(&got, &i, sizeof(i));
}

static void test_tokens_and_invites_are_unique(void **state)
{
	struct kit          *k = *state;
	struct token         a = {.token_id = kit_id(1), .hash = kit_hash(1)}, b = {.token_id = kit_id(2), .hash = kit_hash(1)};
	struct invite        i, j;
	struct store_change *c = store_change_new();
	kit_invite(1, &i);
	kit_invite(2, &j);
	memcpy(j.token_key, i.token_key, sizeof(j.token_key));
	store_add_token(c, &a);
	store_add_invite(c, &i);
	commit_ok(k, c);
	c = store_change_new();
	store_add_token(c, &b);
	assert_int_equal(kit_commit(k, c, NULL), E_EXISTS);
	c = store_change_new();
	store_put_token(c, &b);
	assert_int_equal(kit_commit(k, c, NULL), E_EXISTS);
	c = store_change_new();
	store_add_token(c, &a);
	assert_int_equal(kit_commit(k, c, NULL), E_EXISTS);
	c = store_change_new();
	store_add_invite(c, &j);
	assert_int_equal(kit_commit(k, c, NULL), E_EXISTS);
}

/* A use moves forwards only, and a revocation that it meets stays. */
static void test_token_use(void **state)
{
	struct kit          *k = *state;
	struct token         t = {.token_id = kit_id(1), .hash = kit_hash(1), .principal = "p", .expires_at = 99}, got;
	struct store_change *c = store_change_new();
	store_note_token_use(c, t.token_id, 5);
	assert_int_equal(kit_commit(k, c, NULL), E_NOT_FOUND);
	c = store_change_new();
	store_add_token(c, &t);
	commit_ok(k, c);
	t.revoked_at = 7;
	c = store_change_new();
	store_put_token(c, &t);
	store_note_token_use(c, t.token_id, 6);
	store_note_token_use(c, t.token_id, 5);
	commit_ok(k, c);
	assert_int_equal(view_token(k->view, t.token_id, &got), 0);
	assert_true(got.used_at == 6 && got.revoked_at == 7 && got.expires_at == 99 && hash_equal(got.hash, t.hash));
	assert_string_equal(got.principal, "p");
}

static void approval_make(uint32_t n, struct approval *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->approval_id = kit_id(n);
	ret->kind = (enum approval_kind)(n % APPROVAL_KIND_COUNT);
	ret->hash = kit_hash(n);
	ret->created_at = n;
	ret->expires_at = 1000 + n;
	snprintf(ret->object, sizeof(ret->object), "object-%u", n % 3);
	snprintf(ret->service, sizeof(ret->service), "clara");
	memset(ret->what, 'w', sizeof(ret->what) - 1);
	snprintf(ret->requester, sizeof(ret->requester), "admin");
	snprintf(ret->person, sizeof(ret->person), "alice");
	snprintf(ret->maker_of_principal, sizeof(ret->maker_of_principal), "bob");
	snprintf(ret->maker_of_token, sizeof(ret->maker_of_token), "carol");
}

static void assert_approval_equal(const struct approval *a, const struct approval *b)
{
	assert_true(id_equal(a->approval_id, b->approval_id) && hash_equal(a->hash, b->hash) && a->kind == b->kind && a->state == b->state);
	assert_true(a->created_at == b->created_at && a->expires_at == b->expires_at && a->decided_at == b->decided_at);
	const char *const texts[][2] = {{a->object, b->object}, {a->service, b->service}, {a->what, b->what}, {a->requester, b->requester},
					{a->person, b->person}, {a->maker_of_principal, b->maker_of_principal},
					{a->maker_of_token, b->maker_of_token}, {a->decider, b->decider}, {a->comment, b->comment}};
	for (size_t i = 0; i < N_ELEMENTS(texts); i++)
		assert_string_equal(texts[i][0], texts[i][1]);
}

/* One decision: the second one takes with it whatever was to happen beside it. */
static void test_approval_is_decided_once(void **state)
{
	struct kit          *k = *state;
	struct approval      a, other, got;
	struct principal     p = {.name = "p"}, found;
	struct store_change *c = store_change_new();
	approval_make(1, &a);
	store_decide_approval(c, &a);
	assert_int_equal(kit_commit(k, c, NULL), E_NOT_FOUND);
	c = store_change_new();
	store_add_approval(c, &a);
	commit_ok(k, c);
	c = store_change_new();
	store_add_approval(c, &a);
	assert_int_equal(kit_commit(k, c, NULL), E_EXISTS);

	approval_make(2, &other); /* what was asked stays, whatever the decision brings along */
	other.approval_id = a.approval_id;
	other.state = a.state = APPROVAL_APPROVED;
	other.decided_at = a.decided_at = 77;
	strcpy(other.decider, "bob");
	strcpy(a.decider, "bob");
	strcpy(other.comment, "fine");
	strcpy(a.comment, "fine");
	c = store_change_new();
	store_decide_approval(c, &other);
	commit_ok(k, c);
	assert_int_equal(view_approval(k->view, a.approval_id, &got), 0);
	assert_approval_equal(&got, &a);

	other.state = APPROVAL_REJECTED;
	c = store_change_new();
	store_add_principal(c, &p);
	store_decide_approval(c, &other);
	assert_int_equal(kit_commit(k, c, NULL), E_APPROVAL_DECIDED);
	assert_int_equal(view_principal(k->view, "p", &found), E_NOT_FOUND);
	assert_int_equal(view_approval(k->view, a.approval_id, &got), 0);
	assert_approval_equal(&got, &a);
}

static void test_approval_lists(void **state)
{
	static struct approval rows[8];
	struct kit            *k = *state;
	struct approval        a;
	size_t                 n;
	struct id              none = {{0}};
	struct store_change   *c = store_change_new();
	for (uint32_t i = 1; i <= 6; i++) {
		approval_make(i, &a);
		a.state = i == 4 ? APPROVAL_CANCELLED : APPROVAL_WAITING;
		store_add_approval(c, &a);
	}
	commit_ok(k, c);
	assert_int_equal(view_approvals(k->view, true, none, rows, 3, &n), 0);
	assert_int_equal(n, 3);
	assert_true(id_equal(rows[0].approval_id, kit_id(6)) && id_equal(rows[1].approval_id, kit_id(5)) && id_equal(rows[2].approval_id, kit_id(3)));
	assert_int_equal(view_approvals(k->view, true, rows[2].approval_id, rows, 8, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(view_approvals(k->view, false, none, rows, 8, &n), 0);
	assert_int_equal(n, 6);
	assert_int_equal(view_approvals_of(k->view, "object-1", none, rows, 8, &n), 0);
	assert_int_equal(n, 2);
	assert_true(id_equal(rows[0].approval_id, kit_id(4)) && id_equal(rows[1].approval_id, kit_id(1)));
}

static void test_principals_and_their_tokens(void **state)
{
	struct kit          *k = *state;
	struct principal     p = {.name = "bob", .roles = 1}, found[4];
	struct token         t = {.principal = "bob"}, tokens[4];
	size_t               n;
	struct store_change *c = store_change_new();
	store_add_principal(c, &p);
	strcpy(p.name, "alice");
	store_add_principal(c, &p);
	for (uint32_t i = 1; i <= 3; i++) {
		t.token_id = kit_id(i);
		t.hash = kit_hash(i);
		strcpy(t.principal, i == 2 ? "alice" : "bob");
		store_add_token(c, &t);
	}
	commit_ok(k, c);
	c = store_change_new();
	store_add_principal(c, &p);
	assert_int_equal(kit_commit(k, c, NULL), E_EXISTS);
	assert_int_equal(view_principals(k->view, "", found, 4, &n), 0);
	assert_int_equal(n, 2);
	assert_string_equal(found[0].name, "alice");
	assert_int_equal(view_tokens(k->view, "bob", (struct id){{0}}, tokens, 4, &n), 0);
	assert_int_equal(n, 2);
	assert_true(id_equal(tokens[1].token_id, kit_id(3)));
	assert_int_equal(view_tokens(k->view, NULL, kit_id(1), tokens, 4, &n), 0);
	assert_int_equal(n, 2);
}

static void test_template_versions(void **state)
{
	struct kit         *k = *state;
	struct template     t, got;
	struct store_result result;
	kit_template(1, &t);
	static const struct {
		uint32_t expect;
		int      code;
		uint32_t version;
	} rows[] = {{5, E_STORE_CONFLICT, 0}, {0, 0, 1}, {0, E_EXISTS, 0}, {2, E_STORE_CONFLICT, 0}, {1, 0, 2}, {UINT32_MAX, 0, 3}};
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		struct store_change *c = store_change_new();
		t.max_attempts = 10 + (uint32_t)i;
		store_add_template(c, &t, rows[i].expect);
		assert_int_equal(kit_commit(k, c, &result), rows[i].code);
		if (rows[i].code == 0)
			assert_int_equal(result.template_version, rows[i].version);
	}
	assert_int_equal(view_template(k->view, t.template_id, 0, &got), 0);
	t.version = 3;
	assert_memory_equal(&got, &t, sizeof(t));
	assert_int_equal(view_template(k->view, t.template_id, 1, &got), 0);
	assert_int_equal(got.max_attempts, 11);
	assert_int_equal(view_template(k->view, t.template_id, 4, &got), E_NOT_FOUND);

	struct store_change *c = store_change_new();
	for (uint32_t n = 2; n < 5; n++) {
		kit_template(n, &t);
		store_add_template(c, &t, UINT32_MAX);
	}
	commit_ok(k, c);
	struct template *list = calloc(10, sizeof(*list));
	size_t           n;
	assert_int_equal(view_templates(k->view, "", list, 10, &n), 0);
	assert_int_equal(n, 4);
	assert_int_equal(list[0].version, 3);
	assert_string_equal(list[3].template_id, "template_004");
	assert_int_equal(view_templates(k->view, "template_002", list, 1, &n), 0);
	assert_int_equal(n, 1);
	assert_string_equal(list[0].template_id, "template_003");
	free(list);
}

struct redeem_count {
	int  won, lost, other;
	int  ended;
	long winner, next;
};

static void redeemed(void *ctx, int code, const struct store_result *result)
{
	struct redeem_count *r = ctx;
	(void)result;
	if (code == 0) {
		r->won++;
		r->winner = r->next;
	} else if (code == E_JOIN_TOKEN) {
		r->lost++;
	} else {
		r->other++;
	}
	r->next++;
	r->ended++;
}

static int redeem(struct kit *k, struct id id, uint32_t host, int64_t at)
{
	struct store_change *c = store_change_new();
	store_redeem_invite(c, id, kit_hash(host), at);
	return kit_commit(k, c, NULL);
}

static void test_service_versions(void **state)
{
	struct kit    *k = *state;
	struct service s = {.name = "clara", .created_at = 5, .version = 1}, got;
	static const struct {
		uint32_t expect;
		int      code;
	} rows[] = {{3, E_STORE_CONFLICT}, {1, 0}, {1, E_STORE_CONFLICT}, {0, E_EXISTS}, {2, 0}};
	struct store_change *c = store_change_new();
	store_put_service(c, &s);
	commit_ok(k, c);
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		c = store_change_new();
		snprintf(s.policy, sizeof(s.policy), "{\"row\":%zu}", i);
		s.created_at = 9; /* the first one stays */
		store_change_service(c, &s, rows[i].expect);
		assert_int_equal(kit_commit(k, c, NULL), rows[i].code);
	}
	c = store_change_new();
	s.policy[0] = '\0';
	store_put_service(c, &s); /* a host names it again: nothing of it is lost */
	commit_ok(k, c);
	assert_int_equal(view_service(k->view, "clara", &got), 0);
	assert_string_equal(got.policy, "{\"row\":4}");
	assert_int_equal(got.version, 3);
	assert_int_equal(got.created_at, 5);
}

static void test_policy_walks(void **state)
{
	struct kit          *k = *state;
	struct policy_walk   w = {.object = "template:a", .version = 4, .after = "c", .busy = true, .next_at = 7, .ordered = 8,
				  .skipped = 9, .actor = "alice", .request_id = kit_id(3), .reason = "why", .started_at = 11, .campaign_id = kit_id(5)};
	struct policy_walk   got[3];
	size_t               n;
	struct store_change *c = store_change_new();
	store_put_policy_walk(c, &w);
	commit_ok(k, c);
	assert_int_equal(view_policy_walks(k->view, "", got, 3, &n), 0);
	assert_int_equal(n, 1);
	assert_string_equal(got[0].object, w.object);
	assert_string_equal(got[0].after, w.after);
	assert_string_equal(got[0].actor, w.actor);
	assert_string_equal(got[0].reason, w.reason);
	assert_true(got[0].busy && id_equal(got[0].request_id, w.request_id) && id_equal(got[0].campaign_id, w.campaign_id));
	assert_true(got[0].version == 4 && got[0].next_at == 7 && got[0].ordered == 8 && got[0].skipped == 9 && got[0].started_at == 11);
	c = store_change_new();
	store_remove_policy_walk(c, "template:a");
	commit_ok(k, c);
	assert_int_equal(view_policy_walks(k->view, "", got, 3, &n), 0);
	assert_int_equal(n, 0);
}

static void test_invite_has_one_winner(void **state)
{
	struct kit *k = *state;
	for (uint32_t round = 0; round < 8; round++) {
		struct invite        i, got;
		struct redeem_count  count = {0};
		struct store_change *c = store_change_new();
		kit_invite(round, &i);
		i.used_at = 0;
		i.used_by = (struct hash){{0}};
		store_add_invite(c, &i);
		commit_ok(k, c);
		for (uint32_t host = 0; host < 64; host++) {
			c = store_change_new();
			store_redeem_invite(c, i.invite_id, kit_hash(host), i.created_at + 5);
			assert_int_equal(store_submit(k->store, c, redeemed, &count), 0);
		}
		while (count.ended < 64)
			kit_poll(k);
		assert_int_equal(count.won, 1);
		assert_int_equal(count.lost, 63);
		assert_int_equal(count.winner, 0); /* changes commit in order */
		assert_int_equal(view_invite_by_key(k->view, i.token_key, &got), 0);
		assert_int_equal(got.used_at, i.created_at + 5);
		assert_true(hash_equal(got.used_by, kit_hash(0)));
		/* the winner's answer was lost: it may ask again until the invite ends, and nothing changes */
		assert_int_equal(redeem(k, i.invite_id, 0, i.expires_at - 1), 0);
		assert_int_equal(redeem(k, i.invite_id, 0, i.expires_at), E_JOIN_TOKEN);
		assert_int_equal(redeem(k, i.invite_id, 1, i.created_at + 6), E_JOIN_TOKEN);
		assert_int_equal(view_invite_by_key(k->view, i.token_key, &got), 0);
		assert_int_equal(got.used_at, i.created_at + 5);
	}
	assert_int_equal(redeem(k, kit_id(4000), 0, 1), E_JOIN_TOKEN);
}

static int reserve(struct kit *k, uint64_t n, uint64_t floor, uint64_t *ret)
{
	struct store_change *c = store_change_new();
	struct store_result  result = {.serial_first = 0};
	store_reserve_serials(c, n, floor);
	int code = kit_commit(k, c, &result);
	*ret = result.serial_first;
	return code;
}

static void test_serials_are_reserved_once(void **state)
{
	struct kit *k = *state;
	uint64_t    first;
	assert_int_equal(reserve(k, 100, 0, &first), 0);
	assert_int_equal(first, 1);
	assert_int_equal(reserve(k, 50, 0, &first), 0);
	assert_int_equal(first, 101);
	assert_int_equal(reserve(k, 50, 100000, &first), 0); /* the signer's window lies higher */
	assert_int_equal(first, 100000);
	assert_int_equal(reserve(k, 1, 7, &first), 0);
	assert_int_equal(first, 100050);

	struct issuance i; /* a serial that was used without reservation */
	kit_issuance(1, &i);
	static const uint8_t random[SERIAL_RANDOM] = {9};
	i.serial = serial_make(200000, random);
	struct store_change *c = store_change_new();
	store_add_issuance(c, &i);
	commit_ok(k, c);
	assert_int_equal(reserve(k, 10, 0, &first), 0);
	assert_int_equal(first, 200001);

	uint64_t end = UINT64_C(1) << 55; /* serial_make's bound */
	assert_int_equal(reserve(k, 10, end - 9, &first), E_RANGE);
	assert_int_equal(reserve(k, 1, end, &first), E_RANGE);
	assert_int_equal(reserve(k, UINT64_MAX, 0, &first), E_RANGE);
	assert_int_equal(reserve(k, 9, end - 9, &first), 0);
	assert_int_equal(reserve(k, 1, 0, &first), E_RANGE);
}

static void test_settings(void **state)
{
	struct kit          *k = *state;
	struct buf           got = BUF_MAX(70000);
	struct store_change *c = store_change_new();
	static uint8_t       large[65537];
	store_put_setting(c, "domain", span_text("vcc.internal"));
	store_put_setting(c, "empty", span_text(""));
	store_put_setting(c, "domain", span_text("vcc.example"));
	commit_ok(k, c);
	assert_int_equal(view_setting(k->view, "domain", &got), 0);
	assert_int_equal(got.n, 11);
	assert_memory_equal(got.p, "vcc.example", 11);
	buf_reset(&got);
	assert_int_equal(view_setting(k->view, "empty", &got), 0);
	assert_int_equal(got.n, 0);
	c = store_change_new();
	store_put_setting(c, "large", SPAN_OF(large));
	assert_int_equal(kit_commit(k, c, NULL), E_FULL);
	buf_free(&got);
}

static void test_values_that_cannot_be_kept(void **state)
{
	struct kit          *k = *state;
	struct order         order;
	struct store_change *c = store_change_new();
	kit_order(1, &order);
	order.phase = ORDER_PHASE_COUNT;
	store_put_order(c, &order);
	assert_int_equal(kit_commit(k, c, NULL), E_INTERNAL);
	kit_order(1, &order);
	memset(order.cause, 'x', sizeof(order.cause));
	c = store_change_new();
	store_put_order(c, &order);
	assert_int_equal(kit_commit(k, c, NULL), E_INTERNAL);
	c = store_change_new();
	store_remove_target(c, "a-target-id-that-is-much-longer-than-any-cert-id-with-a-colon-and-the-stem-of-its-file-behind-it-may-ever-be-in-this-store-of-the-controller");
	assert_int_equal(kit_commit(k, c, NULL), E_FULL);
	assert_int_equal(view_order(k->view, order.renewal_id, &order), E_NOT_FOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		KIT_ON_BOTH(test_certificate_versions),
		KIT_ON_BOTH(test_serial_is_unique),
		KIT_ON_BOTH(test_tokens_and_invites_are_unique),
		KIT_ON_BOTH(test_token_use),
		KIT_ON_BOTH(test_approval_is_decided_once),
		KIT_ON_BOTH(test_approval_lists),
		KIT_ON_BOTH(test_principals_and_their_tokens),
		KIT_ON_BOTH(test_template_versions),
		KIT_ON_BOTH(test_service_versions),
		KIT_ON_BOTH(test_policy_walks),
		KIT_ON_BOTH(test_invite_has_one_winner),
		KIT_ON_BOTH(test_serials_are_reserved_once),
		KIT_ON_BOTH(test_settings),
		KIT_ON_BOTH(test_values_that_cannot_be_kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

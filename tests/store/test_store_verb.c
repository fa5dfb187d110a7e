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

#define ON_BOTH(f)                                                                                                             \
	{#f " (mem)", f, setup_mem, teardown, NULL}, {#f " (sqlite)", f, setup_sqlite, teardown, NULL}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH(test_certificate_versions),
		ON_BOTH(test_serial_is_unique),
		ON_BOTH(test_tokens_and_invites_are_unique),
		ON_BOTH(test_template_versions),
		ON_BOTH(test_invite_has_one_winner),
		ON_BOTH(test_serials_are_reserved_once),
		ON_BOTH(test_crl_numbers_grow),
		ON_BOTH(test_settings),
		ON_BOTH(test_values_that_cannot_be_kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_store.c - do both backends keep the same promises of store.h? Every question is asked of memory and of SQLite; at
 * the end a random run must leave both with the same answers. Never: looking behind store.h, the column tables apart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "controller/store/store_noun.h"
#include "shared/base/times.h"
#include "shared/pki/key.h"
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

/* ---- what is kept ---- */

static size_t align_of(const struct column *c)
{
	bool bytes = c->kind == COLUMN_TEXT || c->kind == COLUMN_FIXED || c->kind == COLUMN_BYTES;
	return bytes ? 1 : c->kind == COLUMN_SPAN ? 8 : c->size;
}

/* A struct field without a column would be lost silently: the columns must fill the struct, padding apart. */
static void test_columns_cover_structs(void **state)
{
	(void)state;
	for (size_t i = 0; i < NOUN_COUNT; i++) {
		size_t end = 0;
		for (size_t k = 0; k < nouns[i]->n_columns; k++) {
			const struct column *c = &nouns[i]->column[k];
			size_t               a = align_of(c);
			if (c->at != (end + a - 1) / a * a)
				fail_msg("%s: a field before \"%s\" has no column", nouns[i]->table, c->name);
			end = c->at + c->size;
			if (c->kind == COLUMN_BYTES)
				end = c->length_at + sizeof(uint16_t);
		}
		if (nouns[i]->size - end >= 8)
			fail_msg("%s: the last field has no column", nouns[i]->table);
	}
}

static void test_round_trip_certificate(void **state)
{
	struct kit         *k = *state;
	struct certificate  put, got;
	struct store_change *c = store_change_new();
	kit_certificate(1, &put);
	store_put_certificate(c, &put, 0);
	commit_ok(k, c);
	assert_int_equal(view_certificate(k->view, put.cert_id, &got), 0);
	put.version = 1;
	assert_memory_equal(&got, &put, sizeof(put));

	/* the other way: nothing set but the key */
	struct certificate bare = {.cert_id = "bare", .renew_at = TIME_NEVER};
	c = store_change_new();
	store_put_certificate(c, &bare, 0);
	commit_ok(k, c);
	assert_int_equal(view_certificate(k->view, "bare", &got), 0);
	bare.version = 1;
	assert_memory_equal(&got, &bare, sizeof(bare));
}

static void test_round_trip_issuance(void **state)
{
	struct kit          *k = *state;
	struct issuance      put, got;
	struct store_change *c = store_change_new();
	kit_issuance(2, &put);
	store_add_issuance(c, &put);
	commit_ok(k, c);
	assert_int_equal(view_issuance(k->view, put.serial, &got), 0);
	assert_memory_equal(&got, &put, sizeof(put));

	struct issuance bare = {.serial = kit_serial(3), .supersede_at = TIME_NEVER};
	c = store_change_new();
	store_add_issuance(c, &bare);
	commit_ok(k, c);
	assert_int_equal(view_issuance(k->view, bare.serial, &got), 0);
	assert_memory_equal(&got, &bare, sizeof(bare));

	bare.state = ISSUANCE_REVOKED;
	bare.revoked_at = 5;
	bare.der_len = sizeof(bare.der);
	memset(bare.der, 0x30, sizeof(bare.der));
	c = store_change_new();
	store_put_issuance(c, &bare);
	commit_ok(k, c);
	assert_int_equal(view_issuance(k->view, bare.serial, &got), 0);
	assert_memory_equal(&got, &bare, sizeof(bare));
}

static void test_round_trip_order(void **state)
{
	struct kit *k = *state;
	for (uint32_t n = 0; n < ORDER_PHASE_COUNT; n++) { /* every phase and trigger by name */
		struct order         put, got;
		struct store_change *c = store_change_new();
		kit_order(n, &put);
		store_put_order(c, &put);
		commit_ok(k, c);
		assert_int_equal(view_order(k->view, put.renewal_id, &got), 0);
		assert_memory_equal(&got, &put, sizeof(put));
	}
	struct order         bare = {.renewal_id = kit_id(77), .next_at = TIME_NEVER}, got;
	struct store_change *c = store_change_new();
	store_put_order(c, &bare);
	store_put_order(c, &bare); /* again in the same change: the later one counts */
	commit_ok(k, c);
	assert_int_equal(view_order(k->view, bare.renewal_id, &got), 0);
	assert_memory_equal(&got, &bare, sizeof(bare));
}

static void test_round_trip_people(void **state)
{
	struct kit          *k = *state;
	struct agent         agent, agent_got;
	struct invite        invite, invite_got;
	struct principal     alice = {"alice", 1 << ROLE_ADMIN, "clara,argus", true, true, 99}, alice_got;
	struct service       clara = {"clara", "argus,veritas", 12}, clara_got;
	struct token         token = {kit_id(1), kit_hash(2), "alice", "laptop", 1, TIME_NEVER, 3, 4}, token_got;
	struct store_change *c = store_change_new();
	kit_agent(4, &agent);
	kit_invite(5, &invite);
	store_put_agent(c, &agent);
	store_add_invite(c, &invite);
	store_put_principal(c, &alice);
	store_put_service(c, &clara);
	store_add_token(c, &token);
	commit_ok(k, c);
	assert_int_equal(view_agent(k->view, agent.name, &agent_got), 0);
	assert_memory_equal(&agent_got, &agent, sizeof(agent));
	assert_int_equal(view_invite_by_key(k->view, invite.token_key, &invite_got), 0);
	assert_memory_equal(&invite_got, &invite, sizeof(invite));
	assert_int_equal(view_principal(k->view, "alice", &alice_got), 0);
	assert_memory_equal(&alice_got, &alice, sizeof(alice));
	assert_int_equal(view_service(k->view, "clara", &clara_got), 0);
	assert_memory_equal(&clara_got, &clara, sizeof(clara));
	assert_int_equal(view_token_by_hash(k->view, token.hash, &token_got), 0);
	assert_memory_equal(&token_got, &token, sizeof(token));

	token.revoked_at = 1234;
	c = store_change_new();
	store_put_token(c, &token);
	commit_ok(k, c);
	assert_int_equal(view_token_by_hash(k->view, token.hash, &token_got), 0);
	assert_memory_equal(&token_got, &token, sizeof(token));
}

static void test_round_trip_targets_and_issuers(void **state)
{
	struct kit          *k = *state;
	struct target        target, target_got;
	struct issuer        issuer, issuer_got;
	struct store_change *c = store_change_new();
	kit_target(4, &target);
	kit_issuer(1, &issuer);
	store_put_target(c, &target);
	store_put_issuer(c, &issuer);
	commit_ok(k, c);
	assert_int_equal(view_target(k->view, target.cert_id, &target_got), 0);
	assert_memory_equal(&target_got, &target, sizeof(target));
	assert_int_equal(view_issuer(k->view, issuer.issuer_id, &issuer_got), 0);
	assert_memory_equal(&issuer_got, &issuer, sizeof(issuer));

	c = store_change_new();
	store_remove_target(c, target.cert_id);
	store_remove_target(c, "never-there");
	commit_ok(k, c);
	assert_int_equal(view_target(k->view, target.cert_id, &target_got), E_NOT_FOUND);
}

static void test_not_found_leaves_outputs(void **state)
{
	struct kit         *k = *state;
	struct certificate  cert, cert_before;
	struct order        order, order_before;
	struct template     template, template_before;
	char                too_long[300];
	uint8_t             key[32] = {1};
	struct invite       invite;
	struct token        token;
	struct agent        agent;
	struct buf          bytes = BUF_MAX(100);
	struct hash         hash;
	struct outbox_row   message;
	size_t              n = 4711;
	memset(&cert, 0x5a, sizeof(cert));
	memset(&order, 0x5a, sizeof(order));
	memset(&template, 0x5a, sizeof(template));
	memset(too_long, 'x', sizeof(too_long));
	too_long[sizeof(too_long) - 1] = '\0';
	cert_before = cert;
	order_before = order;
	template_before = template;
	assert_int_equal(view_certificate(k->view, "nobody", &cert), E_NOT_FOUND);
	assert_int_equal(view_certificate(k->view, too_long, &cert), E_NOT_FOUND);
	assert_int_equal(view_order(k->view, kit_id(1), &order), E_NOT_FOUND);
	assert_int_equal(view_template(k->view, "none", 0, &template), E_NOT_FOUND);
	assert_int_equal(view_template(k->view, too_long, 0, &template), E_NOT_FOUND);
	assert_memory_equal(&cert, &cert_before, sizeof(cert));
	assert_memory_equal(&order, &order_before, sizeof(order));
	assert_memory_equal(&template, &template_before, sizeof(template));
	assert_int_equal(view_invite_by_key(k->view, key, &invite), E_NOT_FOUND);
	assert_int_equal(view_token_by_hash(k->view, kit_hash(1), &token), E_NOT_FOUND);
	assert_int_equal(view_agent_by_host(k->view, kit_hash(1), &agent), E_NOT_FOUND);
	assert_int_equal(view_setting(k->view, "domain", &bytes), E_NOT_FOUND);
	assert_int_equal(view_audit_node(k->view, 0, 0, &hash), E_NOT_FOUND);
	assert_int_equal(view_audit_node(k->view, 99, UINT64_MAX, &hash), E_NOT_FOUND);
	assert_int_equal(view_outbox(k->view, too_long, 0, &message, 1, &n), 0);
	assert_int_equal(n, 0);
	buf_free(&bytes);
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
	store_remove_target(c, "a-cert-id-that-is-much-longer-than-any-cert-id-may-ever-be-in-this-store");
	assert_int_equal(kit_commit(k, c, NULL), E_FULL);
	assert_int_equal(view_order(k->view, order.renewal_id, &order), E_NOT_FOUND);
}

/* ---- whole or not at all ---- */

struct trail {
	int      code[64];
	uint64_t seq[64];
	size_t   n;
};

static void note_end(void *ctx, int code, const struct store_result *result)
{
	struct trail *t = ctx;
	t->code[t->n] = code;
	t->seq[t->n++] = result->audit_seq;
}

static struct store_change *change_of(uint32_t n, bool broken)
{
	struct store_change *c = store_change_new();
	struct certificate   cert;
	struct issuance      issuance;
	struct order         order;
	struct audit         audit;
	kit_certificate(n, &cert);
	kit_issuance(n, &issuance);
	kit_order(n, &order);
	store_put_order(c, &order);
	kit_audit(n, AUDIT_CERTIFICATE_INTENT, &audit);
	store_add_audit(c, &audit);
	store_add_issuance(c, &issuance);
	store_put_certificate(c, &cert, 0);
	store_put_outbox(c, cert.agent, order.renewal_id, n + 1, 7, span_text("frame"));
	kit_audit(n, AUDIT_CERTIFICATE_ISSUED, &audit);
	store_add_audit(c, &audit);
	if (broken) {
		store_remove_outbox(c, cert.agent, order.renewal_id);
		store_put_certificate(c, &cert, 7);
	}
	return c;
}

static void test_a_failed_change_leaves_no_trace(void **state)
{
	struct kit  *k = *state;
	struct trail trail = {.n = 0};
	for (uint32_t n = 0; n < 30; n++)
		assert_int_equal(store_submit(k->store, change_of(n, n % 3 == 1), note_end, &trail), 0);
	while (trail.n < 30)
		kit_poll(k);
	uint64_t seq = 0;
	for (uint32_t n = 0; n < 30; n++) {
		struct certificate cert, want;
		struct order       order;
		struct issuance    issuance;
		struct outbox_row *message = calloc(2, sizeof(*message));
		size_t             n_messages;
		bool               broken = n % 3 == 1;
		assert_int_equal(trail.code[n], broken ? E_STORE_CONFLICT : 0);
		kit_certificate(n, &want);
		assert_int_equal(view_certificate(k->view, want.cert_id, &cert), broken ? E_NOT_FOUND : 0);
		assert_int_equal(view_order(k->view, kit_id(n), &order), broken ? E_NOT_FOUND : 0);
		assert_int_equal(view_issuance(k->view, kit_serial(n), &issuance), broken ? E_NOT_FOUND : 0);
		assert_int_equal(view_outbox(k->view, want.agent, 0, message, 2, &n_messages), 0);
		assert_int_equal(n_messages, broken ? 0 : 1);
		if (!broken) {
			assert_int_equal(trail.seq[n], seq);
			seq += 2;
		}
		free(message);
	}
	uint64_t    size, top;
	struct hash root;
	assert_int_equal(view_audit_head(k->view, &size, &root), 0);
	assert_int_equal(size, seq);
	assert_int_equal(view_outbox_top(k->view, &top), 0);
	assert_int_equal(top, 30);
}

static void test_close_commits_and_delivers(void **state)
{
	(void)state;
	for (int backend = 0; backend < KIT_BACKEND_COUNT; backend++) {
		struct kit   k;
		struct trail trail = {.n = 0};
		kit_open(&k, (enum kit_backend)backend);
		for (uint32_t n = 0; n < 20; n++)
			assert_int_equal(store_submit(k.store, change_of(n, false), note_end, &trail), 0);
		kit_close(&k);
		assert_int_equal(trail.n, 20);
		for (uint32_t n = 0; n < 20; n++) {
			assert_int_equal(trail.code[n], 0);
			assert_int_equal(trail.seq[n], 2 * n);
		}
	}
}

static void count_end(void *ctx, int code, const struct store_result *result)
{
	(void)code;
	(void)result;
	++*(size_t *)ctx;
}

static void test_full_queue_is_refused(void **state)
{
	(void)state;
	struct kit k;
	size_t     ended = 0;
	kit_open(&k, KIT_MEM); /* applies only when polled, so the queue can be filled exactly */
	for (size_t i = 0; i < STORE_QUEUE_MAX; i++)
		assert_int_equal(store_submit(k.store, store_change_new(), count_end, &ended), 0);
	assert_int_equal(store_submit(k.store, store_change_new(), count_end, &ended), E_STORE_BUSY);
	assert_int_equal(ended, 0);
	store_poll(k.store);
	assert_int_equal(ended, STORE_QUEUE_MAX);
	assert_int_equal(store_submit(k.store, store_change_new(), count_end, &ended), 0);
	kit_close(&k);
	assert_int_equal(ended, STORE_QUEUE_MAX + 1);
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
	assert_int_equal(put_cert(k, &cert, 1), 0);
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
		store_add_step(c, &want);
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
	assert_int_equal(view_supersede_due(k->view, 480, got, 70, &n), 0);
	assert_true(n > 0);
	for (size_t x = 0; x < n; x++) {
		assert_true(got[x].supersede_at <= 480);
		assert_true(x == 0 || got[x - 1].supersede_at <= got[x].supersede_at);
	}

	/* shard 1: 10..19, revoked are x % 6 == 4: 10, 16 */
	assert_int_equal(view_revoked(k->view, "service-1", 1, 0, none, revoked, 10, &n), 0);
	assert_int_equal(n, 2);
	assert_true(serial_equal(revoked[1].serial, kit_serial(16)));
	assert_int_equal(revoked[1].revoked_at, 77 + 16);
	assert_int_equal(revoked[1].reason, REASON_SUPERSEDED);
	assert_int_equal(view_revoked(k->view, "service-1", 1, 1010, none, revoked, 10, &n), 0); /* 10 has ended */
	assert_int_equal(n, 1);
	assert_int_equal(view_revoked(k->view, "service-1", 1, 0, kit_serial(10), revoked, 10, &n), 0);
	assert_int_equal(n, 1);
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
	assert_int_equal(view_host_banned(k->view, kit_hash(77), &banned), 0);
	assert_false(banned);
	uint64_t certs, active, open;
	assert_int_equal(view_counts(k->view, 0, &certs, &active, &open), 0);
	assert_int_equal(active, 3);
	free(agents);
	free(targets);
	free(invites);
	free(issuers);
	free(services);
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
	assert_string_equal(text.p, "17\n1700000000003\nagent_joined\nalice3\nclara000003-web\n018bcfe5-6803-7102-8304-05060708090a\n\n"
				    "{\"attempt\":3}\n");
	buf_free(&text);
}

/* The head that follows from the rows alone. */
static void recompute_head(struct kit *k, uint64_t *ret_size, struct hash *ret_root)
{
	struct merkle_frontier f = {.size = 0};
	struct audit          *rows = calloc(STORE_LIST_MAX, sizeof(*rows));
	struct buf             text = BUF_MAX(2000);
	size_t                 n;
	do {
		assert_int_equal(view_audit(k->view, f.size, rows, STORE_LIST_MAX, &n), 0);
		for (size_t i = 0; i < n; i++) {
			struct merkle_made made[MERKLE_LEVELS];
			struct hash        leaf;
			assert_int_equal(rows[i].seq, f.size);
			buf_reset(&text);
			audit_canonical(&rows[i], &text);
			merkle_leaf(digest_sha256_two, text.p, text.n, &leaf);
			merkle_append(digest_sha256_two, &f, &leaf, made);
		}
	} while (n > 0);
	merkle_root(digest_sha256_two, &f, ret_root);
	*ret_size = f.size;
	buf_free(&text);
	free(rows);
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
	recompute_head(k, &want_size, &want);
	assert_int_equal(size, want_size);
	assert_true(hash_equal(root, want));

	size_t n_path;
	assert_int_equal(merkle_inclusion(digest_sha256_two, view_node, k->view, 11, size, path, &n_path), 0);
	assert_int_equal(view_audit_node(k->view, 0, 11, &leaf), 0);
	assert_int_equal(merkle_inclusion_check(digest_sha256_two, &leaf, 11, size, path, n_path, &root), 0);

	/* text that would break the lines of the canonical form is made harmless before it is hashed */
	struct store_change *c = store_change_new();
	struct audit         bad = {.at = 1, .event = AUDIT_BREAK_GLASS, .actor = "a\nb", .object = "o\x7f", .detail = "d\t\x01"}, got;
	size_t               n;
	store_add_audit(c, &bad);
	commit_ok(k, c);
	assert_int_equal(view_audit(k->view, size, &got, 1, &n), 0);
	assert_int_equal(n, 1);
	assert_string_equal(got.actor, "a?b");
	assert_string_equal(got.object, "o?");
	assert_string_equal(got.detail, "d??");
	assert_int_equal(view_audit_head(k->view, &size, &root), 0);
	recompute_head(k, &want_size, &want);
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
	kit_reopen(&sqlite);
	compare_lists(&mem, &sqlite);
	kit_close(&mem);
	kit_close(&sqlite);
}

#define ON_BOTH(f)                                                                                                             \
	{#f " (mem)", f, setup_mem, teardown, NULL}, {#f " (sqlite)", f, setup_sqlite, teardown, NULL}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_columns_cover_structs),
		ON_BOTH(test_round_trip_certificate),
		ON_BOTH(test_round_trip_issuance),
		ON_BOTH(test_round_trip_order),
		ON_BOTH(test_round_trip_people),
		ON_BOTH(test_round_trip_targets_and_issuers),
		ON_BOTH(test_not_found_leaves_outputs),
		ON_BOTH(test_certificate_versions),
		ON_BOTH(test_serial_is_unique),
		ON_BOTH(test_tokens_and_invites_are_unique),
		ON_BOTH(test_template_versions),
		ON_BOTH(test_invite_has_one_winner),
		ON_BOTH(test_serials_are_reserved_once),
		ON_BOTH(test_crl_numbers_grow),
		ON_BOTH(test_settings),
		ON_BOTH(test_values_that_cannot_be_kept),
		ON_BOTH(test_a_failed_change_leaves_no_trace),
		cmocka_unit_test(test_close_commits_and_delivers),
		cmocka_unit_test(test_full_queue_is_refused),
		ON_BOTH(test_outbox),
		ON_BOTH(test_certificate_lists),
		ON_BOTH(test_order_lists),
		ON_BOTH(test_steps_in_order),
		ON_BOTH(test_issuance_lists),
		ON_BOTH(test_fleet_lists),
		cmocka_unit_test(test_canonical_bytes),
		ON_BOTH(test_audit_tree),
		cmocka_unit_test(test_both_backends_agree),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

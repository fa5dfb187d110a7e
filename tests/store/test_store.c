/* test_store.c - do both backends keep what they are given, and a change whole or not at all? Every question is asked of memory and of SQLite. Never: looking behind store.h, the column tables apart. */
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

/* By field: the struct has bytes between them that nobody sets. */
static void assert_token_equal(const struct token *a, const struct token *b)
{
	assert_true(id_equal(a->token_id, b->token_id) && hash_equal(a->hash, b->hash) && a->roles == b->roles);
	assert_true(a->created_at == b->created_at && a->expires_at == b->expires_at && a->used_at == b->used_at && a->revoked_at == b->revoked_at);
	assert_string_equal(a->principal, b->principal);
	assert_string_equal(a->label, b->label);
	assert_string_equal(a->services, b->services);
	assert_string_equal(a->maker, b->maker);
}

static void test_round_trip_people(void **state)
{
	struct kit          *k = *state;
	struct agent         agent, agent_got;
	struct invite        invite, invite_got;
	struct principal     alice = {"alice", 1 << ROLE_ADMIN, "clara,argus", "alice-a", true, 99, "bob", "alice@vcc.internal"}, alice_got;
	struct service       clara = {"clara", "argus,veritas", 12, "* 22:00-04:00 UTC", "{}", 1}, clara_got;
	struct token         token = {kit_id(1), kit_hash(2), "alice", "laptop", 1, TIME_NEVER, 3, 4, 1 << ROLE_VIEWER, "clara", "bob"}, token_got;
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
	assert_string_equal(alice_got.name, alice.name);
	assert_string_equal(alice_got.services, alice.services);
	assert_string_equal(alice_got.person, alice.person);
	assert_string_equal(alice_got.maker, alice.maker);
	assert_string_equal(alice_got.mail, alice.mail);
	assert_true(alice_got.roles == alice.roles && alice_got.disabled == alice.disabled && alice_got.created_at == alice.created_at);
	assert_int_equal(view_service(k->view, "clara", &clara_got), 0);
	assert_memory_equal(&clara_got, &clara, sizeof(clara));
	assert_int_equal(view_token_by_hash(k->view, token.hash, &token_got), 0);
	assert_token_equal(&token_got, &token);

	token.revoked_at = 1234;
	c = store_change_new();
	store_put_token(c, &token);
	commit_ok(k, c);
	assert_int_equal(view_token_by_hash(k->view, token.hash, &token_got), 0);
	assert_token_equal(&token_got, &token);
}

/* The newest report of an agent is all that is kept of it; other agents' rows are not touched. */
static void test_inventory(void **state)
{
	struct kit               *k = *state;
	struct inventory          put, got;
	struct inventory_listener rows[3], found[4];
	size_t                    n;
	struct store_change      *c = store_change_new();
	kit_inventory(1, &put);
	for (uint32_t i = 0; i < 3; i++)
		kit_listener(i, &rows[i]);
	store_put_inventory(c, &put, rows, 3);
	commit_ok(k, c);
	assert_int_equal(view_inventory(k->view, "clara000001", &got), 0);
	assert_memory_equal(&got, &put, sizeof(put));
	assert_int_equal(view_listeners(k->view, "clara000001", "", found, 4, &n), 0);
	assert_int_equal(n, 3);
	for (uint32_t i = 0; i < 3; i++) {
		strcpy(rows[i].agent, "clara000001");
		assert_memory_equal(&found[i], &rows[i], sizeof(rows[i]));
	}
	assert_int_equal(view_listeners(k->view, "clara000001", rows[0].address, found, 1, &n), 0);
	assert_int_equal(n, 1);
	assert_string_equal(found[0].address, rows[1].address);

	/* another host; then the first one again, with other listeners, one of them told twice */
	struct inventory other;
	kit_inventory(2, &other);
	c = store_change_new();
	store_put_inventory(c, &other, rows, 2);
	commit_ok(k, c);
	kit_listener(9, &rows[0]);
	kit_listener(9, &rows[1]);
	c = store_change_new();
	store_put_inventory(c, &put, rows, 2);
	commit_ok(k, c);
	assert_int_equal(view_listeners(k->view, "clara000001", "", found, 4, &n), 0);
	assert_int_equal(n, 1);
	assert_string_equal(found[0].address, "192.0.2.009:443");
	assert_int_equal(view_listeners(k->view, "clara000002", "", found, 4, &n), 0);
	assert_int_equal(n, 2);

	/* the same again: only the time moves */
	put.observed_at++;
	c = store_change_new();
	store_put_inventory(c, &put, NULL, 0);
	commit_ok(k, c);
	assert_int_equal(view_inventory(k->view, "clara000001", &got), 0);
	assert_true(got.observed_at == put.observed_at);
	assert_int_equal(view_listeners(k->view, "clara000001", "", found, 4, &n), 0);
	assert_int_equal(n, 1);

	/* nothing is served there any more */
	c = store_change_new();
	store_put_inventory(c, &put, rows, 0);
	commit_ok(k, c);
	assert_int_equal(view_listeners(k->view, "clara000001", "", found, 4, &n), 0);
	assert_int_equal(n, 0);
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

static struct store_change *broken_change(uint32_t n)
{
	struct store_change *c = check_change(n);
	struct certificate   cert;
	kit_certificate(n, &cert);
	store_remove_outbox(c, cert.agent, kit_id(n));
	store_put_certificate(c, &cert, 7);
	return c;
}

static void test_a_failed_change_leaves_no_trace(void **state)
{
	struct kit  *k = *state;
	struct trail trail = {.n = 0};
	for (uint32_t n = 0; n < 30; n++)
		assert_int_equal(store_submit(k->store, n % 3 == 1 ? broken_change(n) : check_change(n), note_end, &trail), 0);
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
			assert_int_equal(store_submit(k.store, check_change(n), note_end, &trail), 0);
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

#define ON_BOTH(f)                                                                                                             \
	{#f " (mem)", f, setup_mem, teardown, NULL}, {#f " (sqlite)", f, setup_sqlite, teardown, NULL}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH(test_round_trip_certificate),
		ON_BOTH(test_round_trip_issuance),
		ON_BOTH(test_round_trip_order),
		ON_BOTH(test_round_trip_people),
		ON_BOTH(test_inventory),
		ON_BOTH(test_round_trip_targets_and_issuers),
		ON_BOTH(test_not_found_leaves_outputs),
		ON_BOTH(test_a_failed_change_leaves_no_trace),
		cmocka_unit_test(test_columns_cover_structs),
		cmocka_unit_test(test_close_commits_and_delivers),
		cmocka_unit_test(test_full_queue_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_store_stage.c - room tests/store: the next key of a certificate, on both backends.
 * Never: who may stage what; that is the controller's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "tests/lib/store_kit.h"

static int setup(void **state, enum kit_backend backend)
{
	static struct kit k;
	kit_open(&k, backend);
	*state = &k;
	return 0;
}

static int setup_mem(void **state)
{
	return setup(state, KIT_MEM);
}

static int setup_sqlite(void **state)
{
	return setup(state, KIT_SQLITE);
}

static int teardown(void **state)
{
	kit_close(*state);
	return 0;
}

static struct staged_key sample(uint32_t n, uint32_t host)
{
	struct staged_key s = {.spki_hash = kit_hash(n), .host_hash = kit_hash(1000 + host), .key_type = KEY_EC_P384, .spki_len = SPKI_MAX,
			       .made_at = n, .ready_at = n + 1};
	snprintf(s.cert_id, sizeof(s.cert_id), "cert-%02u", n);
	snprintf(s.issuer_id, sizeof(s.issuer_id), "service-%u", n);
	memset(s.spki, (int)n, sizeof(s.spki));
	return s;
}

static void put(struct kit *k, const struct staged_key *s)
{
	struct store_change *c = store_change_new();
	store_put_stage(c, s);
	assert_int_equal(kit_commit(k, c, NULL), 0);
}

static void test_every_field_is_kept(void **state)
{
	struct kit       *k = *state;
	struct staged_key put_in = sample(3, 1), got;
	put_in.renewal_id = kit_id(9);
	put(k, &put_in);
	assert_int_equal(view_stage(k->view, "cert-03", &got), 0);
	assert_memory_equal(&got, &put_in, sizeof(got));
	assert_int_equal(view_stage(k->view, "cert-04", &got), E_NOT_FOUND);
}

static void test_a_certificate_has_one(void **state)
{
	struct kit       *k = *state;
	struct staged_key first = sample(3, 1), second = sample(4, 1), got;
	memcpy(second.cert_id, first.cert_id, sizeof(second.cert_id));
	put(k, &first);
	put(k, &second);
	assert_int_equal(view_stage(k->view, first.cert_id, &got), 0);
	assert_memory_equal(&got, &second, sizeof(got));
	struct store_change *c = store_change_new();
	store_remove_stage(c, first.cert_id);
	store_remove_stage(c, "never-there"); /* missing is fine */
	assert_int_equal(kit_commit(k, c, NULL), 0);
	assert_int_equal(view_stage(k->view, first.cert_id, &got), E_NOT_FOUND);
}

static void test_the_keys_of_one_host(void **state)
{
	struct kit       *k = *state;
	struct staged_key got[4];
	size_t            n = 0;
	for (uint32_t i = 1; i <= 6; i++) {
		struct staged_key s = sample(i, i % 2);
		put(k, &s);
	}
	assert_int_equal(view_stages_of(k->view, kit_hash(1001), "", got, 2, &n), 0);
	assert_int_equal(n, 2);
	assert_string_equal(got[0].cert_id, "cert-01");
	assert_string_equal(got[1].cert_id, "cert-03");
	assert_int_equal(view_stages_of(k->view, kit_hash(1001), got[1].cert_id, got, 2, &n), 0);
	assert_int_equal(n, 1);
	assert_string_equal(got[0].cert_id, "cert-05");
	assert_int_equal(view_stages_of(k->view, kit_hash(1002), "", got, 4, &n), 0);
	assert_int_equal(n, 0);
}

static void test_it_commits_with_its_order(void **state)
{
	struct kit          *k = *state;
	struct staged_key    s = sample(5, 1), got;
	struct certificate   cert;
	struct store_change *c = store_change_new();
	kit_certificate(1, &cert);
	store_put_stage(c, &s);
	store_put_certificate(c, &cert, 77); /* no such version: the whole change fails */
	assert_int_not_equal(kit_commit(k, c, NULL), 0);
	assert_int_equal(view_stage(k->view, s.cert_id, &got), E_NOT_FOUND);
}

#define ON_BOTH(f)                                                                                                             \
	{#f " (mem)", f, setup_mem, teardown, NULL}, {#f " (sqlite)", f, setup_sqlite, teardown, NULL}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH(test_every_field_is_kept),
		ON_BOTH(test_a_certificate_has_one),
		ON_BOTH(test_the_keys_of_one_host),
		ON_BOTH(test_it_commits_with_its_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_store_kept.c - is a kept answer one per principal and key, for a day, and stored with what it stands for, in both backends?
 * Never: looking behind store.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
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

static struct kept_answer sample(uint32_t who, const char *key, int64_t at)
{
	struct kept_answer k = {.who = kit_hash(who), .request = kit_hash(9), .request_id = kit_id(who), .at = at};
	strcpy(k.key, key);
	return k;
}

static int keep(struct kit *k, const struct kept_answer *row)
{
	struct store_change *c = store_change_new();
	store_keep_answer(c, row);
	return kit_commit(k, c, NULL);
}

static int find(struct kit *k, uint32_t who, const char *key, struct kept_answer *ret, struct buf *text)
{
	buf_reset(text);
	return view_kept_answer(k->view, kit_hash(who), key, ret, text);
}

static void test_a_key_is_taken_once_in_a_day(void **state)
{
	struct kit        *k = *state;
	struct buf         text = BUF_MAX(1024);
	struct principal   p = {.name = "p"}, found;
	struct kept_answer a = sample(1, "key", 1000), got;
	assert_int_equal(find(k, 1, "key", &got, &text), E_NOT_FOUND);
	assert_int_equal(keep(k, &a), 0);
	assert_int_equal(find(k, 1, "key", &got, &text), 0);
	assert_true(hash_equal(got.request, a.request) && id_equal(got.request_id, a.request_id) && got.status == 0 && !got.secret);

	/* what comes with a key that is taken does not happen */
	struct store_change *c = store_change_new();
	store_add_principal(c, &p);
	a.at = 1000 + KEPT_LIFE_MS;
	store_keep_answer(c, &a);
	assert_int_equal(kit_commit(k, c, NULL), E_EXISTS);
	assert_int_equal(view_principal(k->view, "p", &found), E_NOT_FOUND);

	struct kept_answer other = sample(2, "key", 1000); /* another principal's */
	assert_int_equal(keep(k, &other), 0);
	a.at++; /* a day later it is free again */
	assert_int_equal(keep(k, &a), 0);
	assert_int_equal(find(k, 1, "key", &got, &text), 0);
	assert_int_equal(got.at, a.at);
	assert_int_equal(find(k, 2, "key", &got, &text), E_NOT_FOUND); /* ended with it */
	buf_free(&text);
}

static void test_the_answer_comes_later(void **state)
{
	struct kit        *k = *state;
	struct buf         text = BUF_MAX(KEPT_ANSWER_MAX);
	struct kept_answer a = sample(1, "key", 1000), got;
	a.status = 201;
	strcpy(a.location, "/api/v1/x");
	a.answer = (struct span){(const uint8_t *)"{\"a\":1}", 7};
	struct store_change *c = store_change_new();
	store_put_kept_answer(c, &a); /* nobody took the key along: nothing is kept, and nothing fails */
	assert_int_equal(kit_commit(k, c, NULL), 0);
	assert_int_equal(find(k, 1, "key", &got, &text), E_NOT_FOUND);

	struct kept_answer bare = sample(1, "key", 1000);
	assert_int_equal(keep(k, &bare), 0);
	c = store_change_new();
	store_put_kept_answer(c, &a);
	assert_int_equal(kit_commit(k, c, NULL), 0);
	assert_int_equal(find(k, 1, "key", &got, &text), 0);
	assert_int_equal(got.status, 201);
	assert_string_equal(got.location, "/api/v1/x");
	assert_true(got.answer.n == 7 && memcmp(got.answer.p, "{\"a\":1}", 7) == 0);

	static uint8_t large[KEPT_ANSWER_MAX + 1];
	a.answer = (struct span){large, sizeof(large)};
	c = store_change_new();
	store_put_kept_answer(c, &a);
	assert_int_equal(kit_commit(k, c, NULL), E_FULL);
	buf_free(&text);
}

static void test_they_are_counted_and_end(void **state)
{
	struct kit *k = *state;
	uint64_t    n = 0;
	for (uint32_t i = 0; i < 60; i++) {
		char key[24];
		(void)snprintf(key, sizeof(key), "key-%u", i);
		struct kept_answer a = sample(1 + i % 2, key, 1000 + i);
		assert_int_equal(keep(k, &a), 0);
	}
	assert_int_equal(view_kept_count(k->view, kit_hash(1), 0, &n), 0);
	assert_int_equal(n, 30);
	assert_int_equal(view_kept_count(k->view, kit_hash(1), 1009, &n), 0);
	assert_int_equal(n, 25);
	struct store_change *c = store_change_new();
	store_end_kept_answers(c, 1050);
	assert_int_equal(kit_commit(k, c, NULL), 0);
	assert_int_equal(view_kept_count(k->view, kit_hash(1), 0, &n), 0);
	assert_int_equal(n, 5);
}

#define ON_BOTH(f)                                                                                                             \
	{#f " (mem)", f, setup_mem, teardown, NULL}, {#f " (sqlite)", f, setup_sqlite, teardown, NULL}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH(test_a_key_is_taken_once_in_a_day),
		ON_BOTH(test_the_answer_comes_later),
		ON_BOTH(test_they_are_counted_and_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_restore_news.c - does the list of what a restore lost hold each thing once, within its bound, and say what to do about it?
 * Never: a controller; tests/fault/test_recovery.py has one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "controller/daemon/restore_news.h"

static struct restore_news news;

static int begin(void **state)
{
	(void)state;
	memset(&news, 0, sizeof(news));
	return 0;
}

static const char *text_at(const json_t *list, size_t i, const char *name)
{
	return json_string_value(json_object_get(json_array_get(list, i), name));
}

static void test_the_last_word_counts(void **state)
{
	(void)state;
	restore_news_add(&news, NEWS_HEAD, "audit trail", "clara01", "of %d records", 10);
	restore_news_add(&news, NEWS_CERTIFICATE, "clara01-web", "clara01", "serves %s", "01AB");
	restore_news_add(&news, NEWS_HEAD, "audit trail", "clara01", "of %d records", 20);
	restore_news_add(&news, NEWS_HEAD, "audit trail", "signer", "of %d records", 20);
	json_t *list = restore_news_json(&news);
	assert_int_equal(json_array_size(list), 3);
	assert_string_equal(text_at(list, 0, "kind"), "certificate"); /* what has to be looked at first */
	assert_string_equal(text_at(list, 0, "what"), "serves 01AB");
	assert_string_equal(text_at(list, 1, "what"), "of 20 records");
	assert_string_equal(text_at(list, 2, "host"), "signer");
	json_decref(list);
}

static void test_bound(void **state)
{
	char name[32];
	(void)state;
	for (int i = 0; i < NEWS_KIND_LISTED + 5; i++) {
		snprintf(name, sizeof(name), "h%d", i);
		restore_news_add(&news, NEWS_HOST, name, name, "has an identity of ours");
	}
	assert_int_equal(news.n, NEWS_KIND_LISTED);
	assert_int_equal(news.n_more, 5);
	restore_news_add(&news, NEWS_HOST, "h0", "h0", "again"); /* one that is listed takes no further place */
	assert_int_equal(news.n_more, 5);
	assert_string_equal(news.row[0].what, "again");
}

/* Every host may have a head, and says so first. */
static void test_many_of_one_kind_hide_no_other(void **state)
{
	char name[32];
	(void)state;
	for (int i = 0; i < 2 * NEWS_LISTED; i++) {
		snprintf(name, sizeof(name), "h%d", i);
		restore_news_add(&news, NEWS_HEAD, "audit trail", name, "of %d records", i);
	}
	assert_int_equal(news.n, NEWS_HEADS_LISTED);
	for (int i = 0; i < 2 * NEWS_LISTED; i++) {
		snprintf(name, sizeof(name), "h%d", i);
		for (unsigned kind = 0; kind < NEWS_HEAD; kind++)
			restore_news_add(&news, (enum restore_news_kind)kind, name, name, "x");
	}
	assert_int_equal(news.n, NEWS_LISTED);
	json_t *list = restore_news_json(&news);
	assert_int_equal(json_array_size(list), NEWS_LISTED);
	for (size_t kind = 0; kind < NEWS_KIND_COUNT; kind++)
		assert_string_equal(text_at(list, kind * NEWS_KIND_LISTED, "kind"), restore_news_kind_name((enum restore_news_kind)kind));
	json_decref(list);
}

static void test_every_kind_says_what_to_do(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < NEWS_KIND_COUNT; kind++)
		restore_news_add(&news, (enum restore_news_kind)kind, "o", "h", "x");
	json_t *list = restore_news_json(&news);
	assert_int_equal(json_array_size(list), NEWS_KIND_COUNT);
	for (size_t i = 0; i < NEWS_KIND_COUNT; i++) {
		assert_string_equal(text_at(list, i, "kind"), restore_news_kind_name((enum restore_news_kind)i));
		assert_true(text_at(list, i, "next")[0] != '\0');
	}
	json_decref(list);
	assert_string_equal(restore_news_kind_name(NEWS_KIND_COUNT), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test_setup(test_the_last_word_counts, begin), cmocka_unit_test_setup(test_bound, begin),
					   cmocka_unit_test_setup(test_many_of_one_kind_hide_no_other, begin),
					   cmocka_unit_test_setup(test_every_kind_says_what_to_do, begin)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

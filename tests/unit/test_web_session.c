/* test_web_session.c - is a session good as long as it should be, and for nobody else?
 * Never: clocks, sockets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "controller/daemon/web_session.h"
#include "shared/base/text.h"

static struct web_sessions table;

static int empty(void **state)
{
	(void)state;
	memset(&table, 0, sizeof(table));
	return 0;
}

static void secret_of(unsigned n, uint8_t ret[WEB_SECRET])
{
	memset(ret, 7, WEB_SECRET);
	memcpy(ret, &n, sizeof(n));
}

static const char *cookie_of(unsigned n)
{
	static char text[WEB_TEXT_SIZE];
	uint8_t     secret[WEB_SECRET];
	secret_of(n, secret);
	assert_int_equal(b64url_text(secret, sizeof(secret), text, sizeof(text)), 0);
	return text;
}

static struct web_session *open_one(const char *principal, unsigned n, int64_t now)
{
	struct web_session what = {.by_certificate = false};
	uint8_t            secret[WEB_SECRET];
	text_cut(what.principal, sizeof(what.principal), principal);
	secret_of(n, secret);
	return web_session_open(&table, &what, secret, now);
}

static void it_is_found_by_its_cookie_alone(void **state)
{
	(void)state;
	struct web_session *s = open_one("anna", 1, 1000);
	assert_ptr_equal(web_session_find(&table, cookie_of(1), 2000), s);
	assert_string_equal(s->principal, "anna");
	assert_null(web_session_find(&table, cookie_of(2), 2000));
	static const char *const none[] = {"", "A", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "***"};
	for (size_t i = 0; i < N_ELEMENTS(none); i++)
		assert_null(web_session_find(&table, none[i], 2000));
	web_session_end(s);
	assert_null(web_session_find(&table, cookie_of(1), 2000));
}

static void it_ends_when_nobody_uses_it(void **state)
{
	(void)state;
	struct web_session *s = open_one("anna", 1, 1000);
	assert_non_null(web_session_find(&table, cookie_of(1), 1000 + WEB_IDLE_MS - 1));
	s->used_at = 1000 + WEB_IDLE_MS - 1;
	assert_non_null(web_session_find(&table, cookie_of(1), 1000 + WEB_IDLE_MS));
	assert_null(web_session_find(&table, cookie_of(1), s->used_at + WEB_IDLE_MS));
	assert_true(hash_is_none(s->key)); /* forgotten, not only hidden */
}

static void it_ends_after_its_hours_however_it_is_used(void **state)
{
	(void)state;
	struct web_session *s = open_one("anna", 1, 1000);
	s->used_at = 1000 + WEB_LIFE_MS - 1;
	assert_non_null(web_session_find(&table, cookie_of(1), 1000 + WEB_LIFE_MS - 1));
	assert_int_equal(web_session_left(s, 1000 + WEB_LIFE_MS - 1), 1);
	assert_null(web_session_find(&table, cookie_of(1), 1000 + WEB_LIFE_MS));
}

static void a_proof_is_good_for_minutes(void **state)
{
	(void)state;
	struct web_session *s = open_one("anna", 1, 0);
	assert_false(web_session_confirmed(s, 0));
	s->confirmed_at = 0; /* the clock of a machine that has just started */
	assert_true(web_session_confirmed(s, WEB_CONFIRMED_MS - 1));
	assert_false(web_session_confirmed(s, WEB_CONFIRMED_MS));
}

static void the_header_token_is_that_of_the_cookie(void **state)
{
	(void)state;
	char one[WEB_TEXT_SIZE], two[WEB_TEXT_SIZE];
	web_session_header(cookie_of(1), one);
	web_session_header(cookie_of(2), two);
	assert_int_equal(strlen(one), 43);
	assert_string_not_equal(one, two);
	assert_string_not_equal(one, cookie_of(1));
	assert_true(web_session_header_fits(cookie_of(1), one));
	assert_false(web_session_header_fits(cookie_of(1), two));
	assert_false(web_session_header_fits(cookie_of(1), ""));
	assert_false(web_session_header_fits(cookie_of(1), cookie_of(1)));
	assert_false(web_session_header_fits("", one));
	assert_string_equal(web_session_header("no cookie", two), "");
}

static void one_principal_has_so_many_and_no_more(void **state)
{
	(void)state;
	open_one("bert", 100, 0);
	for (unsigned i = 0; i < WEB_SESSIONS_OF_ONE; i++)
		open_one("anna", i, 10 + i);
	assert_non_null(web_session_find(&table, cookie_of(0), 100));
	open_one("anna", 50, 100);
	assert_null(web_session_find(&table, cookie_of(0), 100)); /* the one that was used longest ago */
	assert_non_null(web_session_find(&table, cookie_of(1), 100));
	assert_non_null(web_session_find(&table, cookie_of(100), 100)); /* of somebody else, although older */
}

static void a_full_table_gives_way_at_its_oldest(void **state)
{
	(void)state;
	char name[16];
	for (unsigned i = 0; i < WEB_SESSIONS_MAX; i++) {
		(void)snprintf(name, sizeof(name), "p%u", i);
		open_one(name, i, 1000 - i);
	}
	open_one("new", 9999, 2000);
	assert_non_null(web_session_find(&table, cookie_of(9999), 2000));
	assert_null(web_session_find(&table, cookie_of(WEB_SESSIONS_MAX - 1), 2000));
	assert_non_null(web_session_find(&table, cookie_of(WEB_SESSIONS_MAX - 2), 2000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(it_is_found_by_its_cookie_alone, empty),
		cmocka_unit_test_setup(it_ends_when_nobody_uses_it, empty),
		cmocka_unit_test_setup(it_ends_after_its_hours_however_it_is_used, empty),
		cmocka_unit_test_setup(a_proof_is_good_for_minutes, empty),
		cmocka_unit_test_setup(the_header_token_is_that_of_the_cookie, empty),
		cmocka_unit_test_setup(one_principal_has_so_many_and_no_more, empty),
		cmocka_unit_test_setup(a_full_table_gives_way_at_its_oldest, empty),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

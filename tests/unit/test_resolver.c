/* test_resolver.c - is an address found by name service, and otherwise the one that worked last? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "agent/link/resolver.h"

/* An empty label: refused by the resolver itself, so no test waits for a name server. */
#define NOWHERE "nowhere..invalid:443"

static char     host[ADDRESS_SIZE];
static uint16_t port;

static int find(const struct resolver *r, const char *address)
{
	struct refusal why = {.code = 0};
	strcpy(host, "untouched");
	port = 1;
	int code = resolver_find(r, address, 12345, host, &port, &why);
	assert_int_equal(why.code, code);
	return code;
}

static void numbers_stay(void **state)
{
	(void)state;
	struct resolver r = {.last = ""};
	assert_int_equal(find(&r, "127.0.0.1:8443"), 0);
	assert_string_equal(host, "127.0.0.1");
	assert_int_equal(port, 8443);
	assert_int_equal(find(&r, "[::1]:65535"), 0);
	assert_string_equal(host, "::1");
	assert_int_equal(port, 65535);
}

static void a_name_is_looked_up(void **state)
{
	(void)state;
	struct resolver r = {.last = "192.0.2.9"};
	assert_int_equal(find(&r, "localhost:443"), 0);
	assert_true(strcmp(host, "127.0.0.1") == 0 || strcmp(host, "::1") == 0);
}

static void wrong_forms(void **state)
{
	(void)state;
	static const char *const wrong[] = {"", ":443", "host", "host:", "host:0", "host:65536", "host:12x", "::1:443", "[::1]", "[::1:443"};
	struct resolver          r = {.last = "192.0.2.9"};
	for (size_t i = 0; i < N_ELEMENTS(wrong); i++) {
		assert_int_equal(find(&r, wrong[i]), E_SYS_ADDRESS);
		assert_string_equal(host, "untouched");
		assert_int_equal(port, 1);
	}
}

static void no_name_and_nothing_remembered(void **state)
{
	(void)state;
	struct resolver r = {.last = ""};
	assert_int_equal(find(&r, NOWHERE), E_LINK_DOWN);
	assert_string_equal(host, "untouched");
}

/* F42: the name service is gone. */
static void the_last_good_one_is_tried(void **state)
{
	(void)state;
	struct resolver r = {.last = ""};
	resolver_worked(&r, "192.0.2.7");
	assert_int_equal(find(&r, NOWHERE), 0);
	assert_string_equal(host, "192.0.2.7");
	assert_int_equal(port, 443);
}

/* F42: the name service lies. Both are tried in turn, whichever of them comes back. */
static void a_wrong_answer_does_not_win(void **state)
{
	(void)state;
	struct resolver r = {.last = ""};
	resolver_failed(&r);
	assert_int_equal(find(&r, "127.0.0.1:443"), 0);
	assert_string_equal(host, "127.0.0.1"); /* nothing else is known */
	resolver_worked(&r, "192.0.2.7");
	assert_int_equal(find(&r, "127.0.0.1:443"), 0);
	assert_string_equal(host, "127.0.0.1");
	resolver_failed(&r);
	assert_int_equal(find(&r, "127.0.0.1:443"), 0);
	assert_string_equal(host, "192.0.2.7");
	resolver_failed(&r);
	assert_int_equal(find(&r, "127.0.0.1:443"), 0);
	assert_string_equal(host, "127.0.0.1");
}

/* Where something else may not wait for the name service, it is asked only when the last good address fails. */
static void the_name_service_is_spared(void **state)
{
	(void)state;
	struct resolver r = {.last = ""};
	resolver_spare(&r);
	assert_int_equal(find(&r, "127.0.0.1:443"), 0);
	assert_string_equal(host, "127.0.0.1"); /* nothing is remembered */
	resolver_worked(&r, "192.0.2.7");
	resolver_spare(&r);
	assert_int_equal(find(&r, "127.0.0.1:443"), 0);
	assert_string_equal(host, "192.0.2.7");
	resolver_failed(&r);
	assert_int_equal(find(&r, "127.0.0.1:443"), 0);
	assert_string_equal(host, "127.0.0.1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_stay),
		cmocka_unit_test(a_name_is_looked_up),
		cmocka_unit_test(wrong_forms),
		cmocka_unit_test(no_name_and_nothing_remembered),
		cmocka_unit_test(the_last_good_one_is_tried),
		cmocka_unit_test(a_wrong_answer_does_not_win),
		cmocka_unit_test(the_name_service_is_spared),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

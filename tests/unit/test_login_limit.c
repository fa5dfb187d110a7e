/* test_login_limit.c - is an address stopped after its wrong tokens, and nobody else with it?
 * Never: sockets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "controller/daemon/login_limit.h"

static struct login_limit limit;

static int empty(void **state)
{
	(void)state;
	memset(&limit, 0, sizeof(limit));
	return 0;
}

static void try_wrong(const char *address, int n, int64_t now)
{
	for (int i = 0; i < n; i++)
		(void)login_limit_wrong(&limit, address, now);
}

static void an_address_is_stopped_and_goes_on_after_its_window(void **state)
{
	(void)state;
	assert_false(login_limit_reached(&limit, "192.0.2.1", 1000));
	try_wrong("192.0.2.1", LOGIN_WRONG_MAX - 1, 1000);
	assert_false(login_limit_reached(&limit, "192.0.2.1", 1000));
	assert_true(login_limit_wrong(&limit, "192.0.2.1", 1000));
	assert_true(login_limit_reached(&limit, "192.0.2.1", 1000));
	assert_false(login_limit_wrong(&limit, "192.0.2.1", 1000)); /* told once */
	assert_true(login_limit_reached(&limit, "192.0.2.1", 1000 + LOGIN_WINDOW_MS - 1));
	assert_false(login_limit_reached(&limit, "192.0.2.1", 1000 + LOGIN_WINDOW_MS));
	assert_false(login_limit_wrong(&limit, "192.0.2.1", 1000 + LOGIN_WINDOW_MS));
	assert_false(login_limit_reached(&limit, "192.0.2.2", 1000));
}

static void networks_and_spellings(void **state)
{
	(void)state;
	try_wrong("2001:db8:1:2::1", LOGIN_WRONG_MAX, 5);
	assert_true(login_limit_reached(&limit, "2001:db8:1:2:ffff::9", 5));
	assert_false(login_limit_reached(&limit, "2001:db8:1:3::1", 5));
	try_wrong("::ffff:192.0.2.7", LOGIN_WRONG_MAX, 5);
	assert_true(login_limit_reached(&limit, "192.0.2.7", 5));
	assert_false(login_limit_reached(&limit, "::1", 5));
	try_wrong("::1", LOGIN_WRONG_MAX, 5);
	assert_true(login_limit_reached(&limit, "::1", 5));
	try_wrong("no address", LOGIN_WRONG_MAX, 5);
	assert_true(login_limit_reached(&limit, "", 5));
	assert_false(login_limit_reached(&limit, "192.0.2.8", 5));
}

static void many_addresses_forget_the_oldest_alone(void **state)
{
	(void)state;
	char address[32];
	try_wrong("192.0.2.1", LOGIN_WRONG_MAX, 1000);
	for (int i = 0; i < LOGIN_ADDRESSES - 1; i++) {
		snprintf(address, sizeof(address), "10.0.%d.%d", i / 256, i % 256);
		try_wrong(address, LOGIN_WRONG_MAX, 2000);
	}
	assert_true(login_limit_reached(&limit, "192.0.2.1", 2000));
	try_wrong("10.9.9.9", 1, 2000);
	assert_false(login_limit_reached(&limit, "192.0.2.1", 2000));
	assert_true(login_limit_reached(&limit, "10.0.0.0", 2000));
	assert_true(login_limit_reached(&limit, address, 2000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(an_address_is_stopped_and_goes_on_after_its_window, empty),
		cmocka_unit_test_setup(networks_and_spellings, empty),
		cmocka_unit_test_setup(many_addresses_forget_the_oldest_alone, empty),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

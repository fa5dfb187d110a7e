/* test_address_guard.c - is every address that is not public refused, in whatever form it comes, unless it is allowed by name?
 * Never: sockets. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "controller/daemon/address_guard.h"
#include "shared/base/attr.h"

static bool allows(const char *text, const char *allow, bool plain, char ret[ADDRESS_GUARD_TEXT])
{
	struct sockaddr_storage at;
	memset(&at, 0, sizeof(at));
	struct sockaddr_in  *four = (void *)&at;
	struct sockaddr_in6 *six = (void *)&at;
	if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
		four->sin_family = AF_INET;
	} else {
		assert_int_equal(inet_pton(AF_INET6, text, &six->sin6_addr), 1);
		six->sin6_family = AF_INET6;
	}
	return address_guard_allows((const struct sockaddr *)&at, allow, plain, ret);
}

static void test_only_public_ones(void **state)
{
	static const char *const refused[] = {
		"0.0.0.0",
		"10.0.0.1",
		"100.64.1.1",
		"127.0.0.1",
		"127.255.255.254",
		"169.254.169.254",
		"172.16.0.1",
		"172.31.255.255",
		"192.0.0.8",
		"192.0.2.1",
		"192.168.1.1",
		"198.18.0.1",
		"198.51.100.7",
		"203.0.113.9",
		"224.0.0.1",
		"255.255.255.255",
		"::",
		"::1",
		"fe80::1",
		"fc00::1",
		"fd12:3456::1",
		"ff02::1",
		"::ffff:127.0.0.1",
		"::ffff:10.0.0.1",
		"::ffff:169.254.169.254",
		"64:ff9b::7f00:1",
		"2002:7f00:1::",
		"2001:db8::1",
		"2001::1",
		"::7f00:1",
		"100::1",
	};
	static const char *const taken[] = {"8.8.8.8",      "172.32.0.1",      "100.128.0.1",
					    "2a00:1450::1", "2606:4700::1111", "::ffff:8.8.8.8"};
	char                     text[ADDRESS_GUARD_TEXT];
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(refused); i++)
		if (allows(refused[i], "", false, text))
			fail_msg("%s was let through", refused[i]);
	for (size_t i = 0; i < N_ELEMENTS(taken); i++)
		if (!allows(taken[i], "", false, text))
			fail_msg("%s was refused", taken[i]);
}

static void test_what_is_named(void **state)
{
	char text[ADDRESS_GUARD_TEXT];
	(void)state;
	assert_true(allows("10.1.2.3", "10.1.0.0/16", false, text));
	assert_string_equal(text, "10.1.2.3");
	assert_false(allows("10.2.0.1", "10.1.0.0/16", false, text));
	assert_true(allows("::ffff:10.1.2.3", "192.168.0.0/16, 10.1.0.0/16", false, text));
	assert_string_equal(text, "10.1.2.3");
	assert_true(allows("fd00::5", "fd00::/8", false, text));
	assert_false(allows("fd00::5", "10.0.0.0/8", false, text));
}

static void test_without_tls_only_this_machine(void **state)
{
	char text[ADDRESS_GUARD_TEXT];
	(void)state;
	assert_true(allows("127.0.0.1", "127.0.0.0/8", true, text));
	assert_true(allows("::1", "::1/128", true, text));
	assert_false(allows("127.0.0.1", "", true, text));
	assert_false(allows("8.8.8.8", "0.0.0.0/0", true, text));
	assert_false(allows("10.0.0.1", "10.0.0.0/8", true, text));
}

static void test_other_families(void **state)
{
	struct sockaddr at = {.sa_family = AF_UNIX};
	char            text[ADDRESS_GUARD_TEXT];
	(void)state;
	assert_false(address_guard_allows(&at, "0.0.0.0/0", false, text));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_public_ones),
		cmocka_unit_test(test_what_is_named),
		cmocka_unit_test(test_without_tls_only_this_machine),
		cmocka_unit_test(test_other_families),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_cidr.c - which addresses lie in a range, and which texts are no ranges? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shared/base/err.h"
#include "shared/model/cidr.h"

static void ranges(void **state)
{
	(void)state;
	static const struct {
		const char *range, *address;
		bool        inside;
	} rows[] = {
		{"10.0.0.0/8", "10.255.1.2", true},    {"10.0.0.0/8", "11.0.0.0", false},
		{"0.0.0.0/0", "203.0.113.9", true},    {"0.0.0.0/0", "::1", false},
		{"192.0.2.128/25", "192.0.2.127", false}, {"192.0.2.128/25", "192.0.2.128", true},
		{"192.0.2.7", "192.0.2.7", true},      {"192.0.2.7", "192.0.2.6", false},
		{"fd00::/8", "fdff::1", true},         {"fd00::/8", "fe80::1", false},
		{"2001:db8::/33", "2001:db8:8000::", false}, {"2001:db8::/33", "2001:db8:7fff::1", true},
		{"10.0.0.0/8", "host", false},         {"10.0.0.0/8", "", false},
	};
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		struct cidr range;
		assert_int_equal(cidr_parse(rows[i].range, &range), 0);
		assert_int_equal(cidr_holds(&range, rows[i].address), rows[i].inside);
	}
	assert_true(cidr_list_holds("10.0.0.0/8, fd00::/8", "fd00::1"));
	assert_false(cidr_list_holds("10.0.0.0/8, fd00::/8", "127.0.0.1"));
	assert_false(cidr_list_holds("", "127.0.0.1"));
}

static void no_ranges(void **state)
{
	(void)state;
	static const char *const texts[] = {"", "/", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.1/8", "10.0.0/8",
	                                    "::/129", "::1/127", "a/8", "10.0.0.0/8/8", "10.0.0.0 /8"};
	struct cidr range;
	for (size_t i = 0; i < N_ELEMENTS(texts); i++)
		assert_int_equal(cidr_parse(texts[i], &range), E_SYNTAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(ranges), cmocka_unit_test(no_ranges)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

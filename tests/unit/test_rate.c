/* test_rate.c - does one address never take the places of others, and is the total bounded? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "controller/gateway/rate.h"

static struct rate rate;

static int taken(const char *address, int tries, int64_t now_ms)
{
	int n = 0;
	for (int i = 0; i < tries; i++)
		n += rate_allow(&rate, address, now_ms);
	return n;
}

static void one_address_is_limited_and_others_are_not(void **state)
{
	(void)state;
	rate_init(&rate, 42, 0);
	assert_int_equal(taken("192.0.2.1:1000", 1000, 0), RATE_ADDRESS_BURST);
	assert_int_equal(taken("192.0.2.1:2000", 10, 0), 0); /* the port does not count */
	assert_int_equal(taken("192.0.2.2:1000", 10, 0), 10);
	assert_int_equal(taken("192.0.2.1:1000", 1000, 1000), RATE_ADDRESS_PER_SECOND);
	assert_int_equal(taken("192.0.2.1:1000", 1000, 1000), 0);
	assert_int_equal(taken("192.0.2.1:1000", 10, 500), 0); /* time that goes back gives nothing */
}

static void an_ipv6_network_counts_as_one(void **state)
{
	(void)state;
	rate_init(&rate, 42, 0);
	assert_int_equal(taken("[2001:db8:1:2:3::1]:1", 1000, 0), RATE_ADDRESS_BURST);
	assert_int_equal(taken("[2001:db8:1:2:ffff::9]:1", 10, 0), 0);
	assert_int_equal(taken("[2001:db8:1:3:3::1]:1", 10, 0), 10);
}

static void the_total_is_bounded(void **state)
{
	(void)state;
	char address[32];
	int  n = 0;
	rate_init(&rate, 7, 0);
	for (int i = 0; i < 100000; i++) {
		snprintf(address, sizeof(address), "10.%d.%d.%d:1", i >> 16, i >> 8 & 255, i & 255);
		n += rate_allow(&rate, address, 0);
	}
	assert_int_equal(n, RATE_TOTAL_BURST);
	assert_false(rate_allow(&rate, "192.0.2.1:1", 0));
	assert_int_equal(taken("192.0.2.1:1", 10, 1000), 10);
}

/* Many addresses push out the ones that were quiet for longest, never the busiest. */
static void a_flood_of_addresses_frees_nobody(void **state)
{
	(void)state;
	char address[32];
	rate_init(&rate, 99, 0);
	assert_int_equal(taken("192.0.2.1:1", RATE_ADDRESS_BURST, 0), RATE_ADDRESS_BURST);
	for (int i = 0; i < 500; i++) {
		snprintf(address, sizeof(address), "10.0.%d.%d:1", i >> 8, i & 255);
		(void)rate_allow(&rate, address, i);
		assert_true(taken("192.0.2.1:1", 1, i) <= 1);
	}
	assert_true(taken("192.0.2.1:1", 1000, 500) <= RATE_ADDRESS_PER_SECOND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_address_is_limited_and_others_are_not),
		cmocka_unit_test(an_ipv6_network_counts_as_one),
		cmocka_unit_test(the_total_is_bounded),
		cmocka_unit_test(a_flood_of_addresses_frees_nobody),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_key_cost.c - is the cost of a key measured within its budget, and does a type that cannot be made say so?
 * Never: how fast this machine is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/survey/key_cost.h"

static void measures(void **state)
{
	(void)state;
	static const enum key_type types[] = {KEY_EC_P256, KEY_RSA_2048};
	for (size_t i = 0; i < N_ELEMENTS(types); i++) {
		struct key_cost cost = {.made = 0};
		assert_int_equal(key_cost_measure(types[i], 20, &cost), 0);
		assert_int_equal(cost.type, types[i]);
		assert_true(cost.made >= KEY_COST_MIN && cost.made <= KEY_COST_MAX);
		assert_true(cost.median_us > 0 && cost.median_us <= cost.longest_us);
	}
}

static void no_budget_means_three(void **state)
{
	(void)state;
	struct key_cost cost = {.made = 0};
	assert_int_equal(key_cost_measure(KEY_EC_P256, 0, &cost), 0);
	assert_int_equal(cost.made, KEY_COST_MIN);
}

static void many_cheap_ones_end(void **state)
{
	(void)state;
	struct key_cost cost = {.made = 0};
	assert_int_equal(key_cost_measure(KEY_EC_P256, 3600 * 1000, &cost), 0);
	assert_int_equal(cost.made, KEY_COST_MAX);
}

static void refuses_what_is_no_type(void **state)
{
	(void)state;
	struct key_cost cost = {.made = 99};
	assert_true(key_cost_measure(KEY_TYPE_COUNT, 0, &cost) < 0);
	assert_int_equal(cost.made, 99);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(measures),
		cmocka_unit_test(no_budget_means_three),
		cmocka_unit_test(many_cheap_ones_end),
		cmocka_unit_test(refuses_what_is_no_type),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

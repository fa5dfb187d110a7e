/* test_be.c - big-endian numbers of every width that files and frames use. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shared/base/be.h"

static void test_known(void **state)
{
	static const uint8_t wanted[] = {0x12, 0x34, 0x56, 0x78};
	uint8_t              bytes[6] = {0xee, 0, 0, 0, 0, 0xee};
	(void)state;
	be_put(bytes + 1, 0x12345678, 4);
	assert_memory_equal(bytes + 1, wanted, sizeof(wanted));
	assert_int_equal(bytes[0], 0xee);
	assert_int_equal(bytes[5], 0xee);
	assert_int_equal(be_get(bytes + 1, 4), 0x12345678);
	assert_int_equal(be_get(bytes + 2, 2), 0x3456);
}

static void test_every_width(void **state)
{
	uint8_t bytes[8];
	(void)state;
	for (size_t n = 1; n <= 8; n++) {
		uint64_t most = UINT64_MAX >> (64 - 8 * n);
		be_put(bytes, most, n);
		assert_true(be_get(bytes, n) == most);
		be_put(bytes, most - 1, n);
		assert_true(be_get(bytes, n) == most - 1);
	}
	assert_int_equal(be_get(bytes, 0), 0);
}

/* A number that is too wide loses its high bytes, never its neighbours. */
static void test_cut(void **state)
{
	uint8_t bytes[3] = {1, 1, 1};
	(void)state;
	be_put(bytes, 0xabcdef, 2);
	assert_int_equal(be_get(bytes, 3), 0xcdef01);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_every_width),
		cmocka_unit_test(test_cut),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

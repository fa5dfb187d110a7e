/* test_buf.c - do buffers keep their cap, their first error, and their owner? */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "shared/base/buf.h"
#include "shared/base/err.h"

static void the_cap_holds_and_the_error_sticks(void **state)
{
	(void)state;
	_cleanup_(buf_free) struct buf b = BUF_MAX(5);
	buf_add(&b, "abc", 3);
	buf_add(&b, "def", 3);
	assert_int_equal(buf_error(&b), E_FULL);
	buf_add_u8(&b, 'd'); /* would fit, but what came before it did not */
	assert_true(span_equal(buf_span(&b), span_text("abc")));
	assert_null(buf_room(&b, 1));
	buf_reset(&b);
	buf_add_text(&b, "vwxyz");
	assert_int_equal(buf_error(&b), 0);
	assert_true(span_equal(buf_span(&b), span_text("vwxyz")));
	assert_true(b.cap <= 64);
}

static void huge_requests_do_not_wrap(void **state)
{
	(void)state;
	_cleanup_(buf_free) struct buf b = BUF_MAX(100);
	buf_add(&b, "abc", 3);
	assert_null(buf_room(&b, SIZE_MAX));
	assert_int_equal(buf_error(&b), E_FULL);
	assert_int_equal(b.n, 3);

	_cleanup_(buf_free) struct buf none = {0};
	buf_add_u8(&none, 1);
	assert_int_equal(buf_error(&none), E_FULL);
}

static void growth_keeps_the_bytes(void **state)
{
	(void)state;
	_cleanup_(buf_free) struct buf b = BUF_MAX(100000);
	for (size_t i = 0; i < 100000; i++)
		buf_add_u8(&b, (uint8_t)(i * 7));
	assert_int_equal(buf_error(&b), 0);
	assert_true(b.cap <= b.max);
	for (size_t i = 0; i < 100000; i++)
		assert_int_equal(b.p[i], (uint8_t)(i * 7));
}

static void format_grows_as_needed(void **state)
{
	(void)state;
	_cleanup_(buf_free) struct buf b = BUF_MAX(300);
	buf_add_fmt(&b, "%d-%s", 42, "x");
	buf_add_fmt(&b, "%200d", 1);
	buf_add_fmt(&b, "%s", "");
	assert_int_equal(buf_error(&b), 0);
	assert_int_equal(b.n, 204);
	buf_add_fmt(&b, "%100d", 1);
	assert_int_equal(buf_error(&b), E_FULL);
	assert_int_equal(b.n, 204);
}

static void dropping_from_the_front(void **state)
{
	(void)state;
	_cleanup_(buf_free) struct buf b = BUF_MAX(64);
	buf_add_text(&b, "abcdef");
	buf_drop_front(&b, 0);
	buf_drop_front(&b, 2);
	assert_true(span_equal(buf_span(&b), span_text("cdef")));
	buf_drop_front(&b, 99);
	assert_int_equal(b.n, 0);
}

static void taking_moves_the_owner(void **state)
{
	(void)state;
	_cleanup_(buf_free) struct buf a = BUF_MAX(64);
	_cleanup_(buf_free) struct buf b = BUF_MAX(64);
	buf_add_text(&a, "old");
	buf_add_text(&b, "new");
	buf_take(&a, &b);
	assert_true(span_equal(buf_span(&a), span_text("new")));
	assert_int_equal(b.n, 0);
	assert_null(b.p);
	buf_add_text(&b, "again");
	assert_int_equal(buf_error(&b), 0);
	buf_free(NULL);
	buf_wipe(NULL);
	buf_wipe(&b);
	assert_null(b.p);
	assert_int_equal(b.max, 64);
}

static void spans(void **state)
{
	(void)state;
	static const uint8_t bytes[] = {1, 2};
	assert_int_equal(SPAN_OF(bytes).n, 2);
	assert_true(span_equal((struct span){NULL, 0}, (struct span){bytes, 0}));
	assert_false(span_equal(SPAN_OF(bytes), (struct span){bytes, 1}));
	uint8_t secret[4] = {1, 2, 3, 4};
	secret_wipe(secret, sizeof(secret));
	assert_int_equal(secret[0] | secret[1] | secret[2] | secret[3], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_cap_holds_and_the_error_sticks), cmocka_unit_test(huge_requests_do_not_wrap),
		cmocka_unit_test(growth_keeps_the_bytes), cmocka_unit_test(format_grows_as_needed),
		cmocka_unit_test(dropping_from_the_front), cmocka_unit_test(taking_moves_the_owner), cmocka_unit_test(spans),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

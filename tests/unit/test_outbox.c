/* test_outbox.c - is the queue to one agent bounded, in order, and do urgent frames overtake? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "controller/gateway/outbox.h"
#include "shared/base/err.h"

static void expect(struct outbox *o, const char *text)
{
	struct outbox_frame *f = outbox_take(o);
	assert_non_null(f);
	assert_int_equal(f->n, strlen(text));
	assert_memory_equal(f->bytes, text, f->n);
	assert_ptr_equal(f->room + OUTBOX_HEADROOM, f->bytes); /* the header goes right in front */
	free(f);
}

static void keeps_order_and_lets_urgent_ones_overtake(void **state)
{
	(void)state;
	struct outbox o = {0};
	assert_true(outbox_empty(&o));
	assert_null(outbox_take(&o));
	assert_int_equal(outbox_add(&o, false, span_text("a")), 0);
	assert_int_equal(outbox_add(&o, false, span_text("b")), 0);
	assert_int_equal(outbox_add(&o, true, span_text("X")), 0);
	expect(&o, "X");
	expect(&o, "a");
	assert_int_equal(outbox_add(&o, true, span_text("Y")), 0);
	assert_int_equal(outbox_add(&o, true, span_text("Z")), 0);
	expect(&o, "Y");
	expect(&o, "Z");
	expect(&o, "b");
	assert_true(outbox_empty(&o));
	assert_int_equal(o.bytes, 0);
}

static void is_bounded_in_bytes_and_in_number(void **state)
{
	(void)state;
	struct outbox  o = {0};
	static uint8_t big[OUTBOX_MAX];
	size_t         n = 0;
	assert_int_equal(outbox_add(&o, false, (struct span){big, sizeof(big)}), E_FULL);
	assert_true(outbox_empty(&o));
	while (outbox_add(&o, n % 2 == 0, (struct span){big, 0}) == 0)
		n++;
	assert_true(n * sizeof(struct outbox_frame) <= OUTBOX_MAX);
	assert_true(n > 1000);
	assert_int_equal(outbox_add(&o, true, (struct span){big, 1}), E_FULL); /* urgent ones, too */
	free(outbox_take(&o));
	assert_int_equal(outbox_add(&o, true, (struct span){big, 0}), 0);
	outbox_clear(&o);
	assert_int_equal(o.bytes, 0);
	assert_true(outbox_empty(&o));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_order_and_lets_urgent_ones_overtake),
		cmocka_unit_test(is_bounded_in_bytes_and_in_number),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_overhead.c - is a flood beside the messages seen at once, and never seen where there is none? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "controller/gateway/overhead.h"
#include "shared/base/times.h"

enum { TLS_RECORD = 22, HEADER = 8, TLS_MAX = 16384 };

static const int64_t start = 1000;

/* Pings of `n` bytes each until they are too many. */
static int pings_taken(struct overhead *o, size_t n, int tries, int64_t now_ms)
{
	for (int i = 0; i < tries; i++)
		if (!overhead_read(o, n, now_ms))
			return i;
	return tries;
}

static void a_flood_ends_within_its_burst(void **state)
{
	(void)state;
	struct overhead o;
	overhead_begin(&o, start);
	assert_int_equal(pings_taken(&o, 28, 100000, start), OVERHEAD_BURST / 28);
	/* and later, after as long a silence as you like */
	overhead_begin(&o, start);
	assert_true(overhead_read(&o, 1, start + MS_DAY));
	assert_int_equal(pings_taken(&o, OVERHEAD_BURST - 1, 2, start + MS_DAY), 1);
}

static void the_rate_is_capped(void **state)
{
	(void)state;
	struct overhead o;
	int             seconds = 0;
	overhead_begin(&o, start);
	while (seconds < 100000 && pings_taken(&o, 28, 100, start + seconds * MS_SECOND) == 100)
		seconds++;
	assert_in_range(seconds, 30, 60); /* 2,800 bytes a second, 1,000 allowed */
	overhead_begin(&o, start);
	for (seconds = 0; seconds < 100000; seconds++)
		assert_int_equal(pings_taken(&o, 28, 35, start + seconds * MS_SECOND), 35);
}

static void time_that_goes_back_gives_nothing(void **state)
{
	(void)state;
	struct overhead o;
	overhead_begin(&o, start);
	assert_true(overhead_read(&o, OVERHEAD_BURST, start));
	assert_false(overhead_read(&o, 1, start - MS_DAY));
	assert_false(overhead_read(&o, 1, start));
}

/* At one moment, so that nothing is forgiven by time: messages of every size, in TLS records as a library writes them. */
static void messages_are_never_a_flood(void **state)
{
	(void)state;
	static const size_t sizes[] = {1, 12, 511, 512, 513, 4096, 65536};
	enum { RX = 512 };
	struct overhead o;
	for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
		overhead_begin(&o, start);
		for (int i = 0; i < 10000; i++)
			for (size_t sent = 0; sent < sizes[k] + HEADER; sent += TLS_MAX) {
				size_t left = sizes[k] + HEADER - sent;
				size_t record = left < TLS_MAX ? left : TLS_MAX;
				assert_true(overhead_read(&o, record + TLS_RECORD, start));
				size_t content = sent == 0 ? record - HEADER : record;
				for (size_t at = 0; at < content; at += RX)
					overhead_content(&o, content - at < RX ? content - at : RX);
			}
		assert_in_range(o.bytes, 0, TLS_MAX);
	}
}

static void content_saves_nothing_up(void **state)
{
	(void)state;
	struct overhead o;
	overhead_begin(&o, start);
	for (int i = 0; i < 1000; i++)
		overhead_content(&o, 65536);
	assert_int_equal(pings_taken(&o, 28, 100000, start), OVERHEAD_BURST / 28);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_flood_ends_within_its_burst),     cmocka_unit_test(the_rate_is_capped),
		cmocka_unit_test(time_that_goes_back_gives_nothing), cmocka_unit_test(messages_are_never_a_flood),
		cmocka_unit_test(content_saves_nothing_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_sign_pool.c - room tests/unit: is every job done once, by a hand of its own, before the call returns?
 * Never: a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdatomic.h>
#include <string.h>

#include "controller/signer/sign_pool.h"
#include "shared/pki/issue.h"

enum { JOBS = 256, BATCHES = 400 };

struct work {
	unsigned    done[JOBS];
	atomic_uint in_hand[ISSUE_HANDS];
	atomic_uint wrong;
};

static void job(void *ctx, size_t i, unsigned hand)
{
	struct work *w = ctx;
	if (hand >= ISSUE_HANDS || atomic_fetch_add(&w->in_hand[hand], 1) != 0)
		atomic_fetch_add(&w->wrong, 1); /* two at once would share a signing context */
	for (volatile int spin = 0; spin < 200; spin++)
		;
	w->done[i]++;
	atomic_fetch_sub(&w->in_hand[hand % ISSUE_HANDS], 1);
}

static void test_each_once(void **state)
{
	(void)state;
	static struct work w;
	struct sign_pool  *pool;
	assert_int_equal(sign_pool_new(&pool), 0);
	for (size_t batch = 0; batch < BATCHES; batch++) {
		size_t n = batch % (JOBS + 1);
		memset(w.done, 0, sizeof(w.done));
		sign_pool_run(pool, job, &w, n);
		for (size_t i = 0; i < JOBS; i++)
			assert_int_equal(w.done[i], i < n ? 1 : 0);
	}
	assert_int_equal(atomic_load(&w.wrong), 0);
	sign_pool_free(pool);
	sign_pool_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

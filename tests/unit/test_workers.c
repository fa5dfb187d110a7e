/* test_workers.c - do jobs that walk everything leave a view to the others, however many are asked for, do they all come to
 * their end, and is there an end to how many may wait? Never: a controller, times. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdatomic.h>
#include <cmocka.h>
#include <uv.h>

#include "controller/daemon/workers.h"
#include "tests/lib/store_kit.h"

enum { VIEWS = 3, MANY = 100 };

struct bench {
	struct kit     *kit;
	uv_loop_t       loop;
	struct workers *workers;
	uv_sem_t        gate; /* long jobs stand before it */
	atomic_int      began;
	int             ended, shorts;
};

static void stand(void *job, struct store_view *view)
{
	struct bench *b = job;
	assert_non_null(view);
	atomic_fetch_add(&b->began, 1);
	uv_sem_wait(&b->gate);
}

static void stood(void *job)
{
	((struct bench *)job)->ended++;
}

static void glance(void *job, struct store_view *view)
{
	(void)job;
	assert_non_null(view);
}

static void glanced(void *job)
{
	((struct bench *)job)->shorts++;
}

static void begin(struct bench *b, struct kit *k)
{
	*b = (struct bench){.kit = k};
	assert_int_equal(uv_loop_init(&b->loop), 0);
	assert_int_equal(uv_sem_init(&b->gate, 0), 0);
	assert_int_equal(workers_open(&b->loop, k->store, k->view, VIEWS, &b->workers), 0);
}

static void end(struct bench *b)
{
	workers_free(b->workers);
	uv_sem_destroy(&b->gate);
	assert_int_equal(uv_loop_close(&b->loop), 0);
}

static int fill(struct bench *b)
{
	int taken = 0;
	while (taken < MANY && workers_read_long(b->workers, stand, stood, b))
		taken++;
	return taken;
}

static void test_one_view_is_left(void **state)
{
	struct bench b;
	begin(&b, *state);
	int taken = fill(&b);
	assert_true(taken > VIEWS && taken < MANY);
	for (int i = 0; i < MANY; i++)
		workers_read(b.workers, glance, glanced, &b);
	while (b.shorts < MANY)
		uv_run(&b.loop, UV_RUN_ONCE);
	assert_int_equal(b.ended, 0);
	assert_in_range(atomic_load(&b.began), 0, VIEWS - 1);
	assert_false(workers_read_long(b.workers, stand, stood, &b));
	for (int i = 0; i < taken; i++)
		uv_sem_post(&b.gate);
	uv_run(&b.loop, UV_RUN_DEFAULT);
	assert_int_equal(b.ended, taken);
	assert_int_equal(atomic_load(&b.began), taken);
	assert_true(workers_read_long(b.workers, stand, stood, &b)); /* there is room again */
	uv_sem_post(&b.gate);
	uv_run(&b.loop, UV_RUN_DEFAULT);
	assert_int_equal(b.ended, taken + 1);
	end(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {KIT_ON_BOTH(test_one_view_is_left)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_wheel.c - does every timer fire once, never early, at most a second late, whatever is set or freed meanwhile? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "controller/gateway/wheel.h"
#include "shared/base/attr.h"

enum { TIMERS = 500 };

struct timer {
	struct wheel_entry entry;
	int                fired;
	int64_t            fired_ms;
};

struct world {
	struct wheel wheel;
	int64_t      now_ms;
	struct timer timers[TIMERS];
};

static void on_fire(void *ctx, struct wheel_entry *e)
{
	struct world *w = ctx;
	struct timer *t = (struct timer *)(void *)e;
	assert_true(e->due_ms <= w->now_ms);
	t->fired++;
	t->fired_ms = w->now_ms;
}

static void fires_once_and_in_time(void **state)
{
	(void)state;
	static struct world w;
	w.now_ms = 123456;
	wheel_init(&w.wheel, w.now_ms);
	srand(1);
	for (int i = 0; i < TIMERS; i++)
		wheel_set(&w.wheel, &w.timers[i].entry, w.now_ms + rand() % 300000);
	for (int step = 0; step < 310; step++) {
		w.now_ms += 1000;
		wheel_turn(&w.wheel, w.now_ms, on_fire, &w);
	}
	for (int i = 0; i < TIMERS; i++) {
		assert_int_equal(w.timers[i].fired, 1);
		assert_true(w.timers[i].fired_ms - w.timers[i].entry.due_ms <= 2000);
		assert_null(w.timers[i].entry.next);
	}
}

static void moves_clears_and_survives_a_stop(void **state)
{
	(void)state;
	static struct world w;
	w.now_ms = 5000;
	wheel_init(&w.wheel, w.now_ms);
	wheel_set(&w.wheel, &w.timers[0].entry, 7000);
	wheel_set(&w.wheel, &w.timers[0].entry, 500000); /* moved */
	wheel_set(&w.wheel, &w.timers[1].entry, 7000);
	wheel_clear(&w.timers[1].entry);
	wheel_clear(&w.timers[1].entry);                 /* twice is fine */
	wheel_set(&w.wheel, &w.timers[2].entry, 0);      /* in the past */
	w.now_ms = 8000;
	wheel_turn(&w.wheel, w.now_ms, on_fire, &w);
	assert_int_equal(w.timers[0].fired, 0);
	assert_int_equal(w.timers[1].fired, 0);
	assert_int_equal(w.timers[2].fired, 1);
	w.now_ms = 100000000; /* the process stood still for a day */
	wheel_turn(&w.wheel, w.now_ms, on_fire, &w);
	assert_int_equal(w.timers[0].fired, 1);
	w.now_ms -= 50000; /* and time does not go back, but nothing breaks */
	wheel_turn(&w.wheel, w.now_ms, on_fire, &w);
}

/* Firing one frees another and sets a third and itself again. */
static void on_fire_mixed(void *ctx, struct wheel_entry *e)
{
	struct world *w = ctx;
	struct timer *t = (struct timer *)(void *)e;
	t->fired++;
	wheel_clear(&w->timers[1].entry);
	wheel_set(&w->wheel, &w->timers[2].entry, w->now_ms);
	if (t->fired < 3)
		wheel_set(&w->wheel, e, w->now_ms);
}

static void may_be_changed_while_firing(void **state)
{
	(void)state;
	static struct world w;
	w.now_ms = 1000;
	wheel_init(&w.wheel, w.now_ms);
	wheel_set(&w.wheel, &w.timers[0].entry, 2000);
	wheel_set(&w.wheel, &w.timers[1].entry, 2000);
	w.now_ms = 2000;
	wheel_turn(&w.wheel, w.now_ms, on_fire_mixed, &w);
	assert_int_equal(w.timers[0].fired, 1); /* once a turn */
	assert_int_equal(w.timers[1].fired, 0);
	w.now_ms = 3000;
	wheel_turn(&w.wheel, w.now_ms, on_fire_mixed, &w);
	assert_int_equal(w.timers[0].fired, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fires_once_and_in_time),
		cmocka_unit_test(moves_clears_and_survives_a_stop),
		cmocka_unit_test(may_be_changed_while_firing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* loop_watch.c - room controller/daemon: measures each turn of the loop, from one wait to the next.
 * Never: a lock, memory: it runs in every turn. */
#include "controller/daemon/loop_watch.h"

#include <stdio.h>

#include "shared/base/err.h"
#include "shared/sys/clock.h"

static const int limits_ms[LOOP_LIMITS] = {1, 5, 10, 20, 50};

static void on_turn(uv_prepare_t *prepare)
{
	struct loop_watch *w = prepare->data;
	int64_t            now = clock_thread_us();
	int64_t            took = now - w->begun_us;
	w->begun_us = now;
	w->turns++;
	w->longest_us = took > w->longest_us ? took : w->longest_us;
	for (int i = 0; i < LOOP_LIMITS && took > limits_ms[i] * 1000; i++)
		w->over[i]++;
}

int loop_watch_start(struct loop_watch *w, uv_loop_t *loop)
{
	w->prepare.data = w;
	w->begun_us = clock_thread_us();
	if (uv_prepare_init(loop, &w->prepare) < 0 || uv_prepare_start(&w->prepare, on_turn) < 0)
		return E_SYS_IO;
	uv_unref((uv_handle_t *)&w->prepare);
	return 0;
}

void loop_watch_close(struct loop_watch *w)
{
	if (w->prepare.data != NULL)
		uv_close((uv_handle_t *)&w->prepare, NULL);
}

int loop_watch_limit_ms(int i)
{
	return limits_ms[i];
}

json_t *loop_watch_json(const struct loop_watch *w)
{
	json_t *o = json_pack("{s:I,s:I}", "turns", (json_int_t)w->turns, "longest_us", (json_int_t)w->longest_us);
	for (int i = 0; i < LOOP_LIMITS; i++) {
		char name[24];
		(void)snprintf(name, sizeof(name), "over_%dms", limits_ms[i]);
		json_object_set_new(o, name, json_integer((json_int_t)w->over[i]));
	}
	return o;
}

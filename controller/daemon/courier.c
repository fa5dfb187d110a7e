/* courier.c - room controller/daemon: a thread that sends one message after another.
 * The lock guards the one place where a message lies; it is never held while something is sent. Never: deciding what is sent.
 */
#include "controller/daemon/courier.h"

#include <stdlib.h>
#include <string.h>

enum { STACK_SIZE = 512 * 1024 };

struct courier {
	uv_async_t  wake;
	uv_thread_t thread;
	bool        started, closing, closed;
	atomic_bool stop;
	uv_mutex_t  lock; /* of the three below */
	uv_cond_t   changed;
	bool        waits, ready, ended;
	/* of the loop, or of the thread between `waits` and `ready` */
	bool                   busy;
	struct outbound        message;
	struct outbound_result result;
	courier_done_fn       *done;
	void                  *ctx;
};

/* ---- the thread -------------------------------------------------------------------------------------------------- */

static bool take(struct courier *c)
{
	uv_mutex_lock(&c->lock);
	while (!c->waits && !atomic_load(&c->stop))
		uv_cond_wait(&c->changed, &c->lock);
	bool taken = c->waits;
	c->waits = false;
	uv_mutex_unlock(&c->lock);
	return taken;
}

static void put(struct courier *c, bool ended)
{
	uv_mutex_lock(&c->lock);
	c->ready |= !ended;
	c->ended |= ended;
	uv_mutex_unlock(&c->lock);
	(void)uv_async_send(&c->wake);
}

static void run(void *ctx)
{
	struct courier *c = ctx;
	while (take(c)) {
		outbound_send(&c->message, &c->result);
		put(c, false);
	}
	put(c, true);
}

/* ---- the loop ---------------------------------------------------------------------------------------------------- */

static void close_wake(struct courier *c)
{
	if (c->closed)
		return;
	c->closed = true;
	uv_close((uv_handle_t *)&c->wake, NULL);
}

static void deliver(struct courier *c)
{
	struct outbound o = c->message;
	memset(&c->message, 0, sizeof(c->message));
	c->busy = false;
	c->done(c->ctx, &o, &c->result);
}

static void on_wake(uv_async_t *wake)
{
	struct courier *c = wake->data;
	uv_mutex_lock(&c->lock);
	bool ready = c->ready, ended = c->ended;
	c->ready = false;
	uv_mutex_unlock(&c->lock);
	if (ready)
		deliver(c);
	if (ended) {
		(void)uv_thread_join(&c->thread);
		close_wake(c);
	}
}

int courier_open(uv_loop_t *loop, struct courier **ret)
{
	struct courier *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return E_NOMEM;
	if (uv_mutex_init(&c->lock) != 0 || uv_cond_init(&c->changed) != 0 || uv_async_init(loop, &c->wake, on_wake) != 0)
		abort(); /* only without memory */
	c->wake.data = c;
	*ret = c;
	return 0;
}

bool courier_busy(const struct courier *c)
{
	return c->busy;
}

void courier_send(struct courier *c, struct outbound *o, courier_done_fn *done, void *ctx)
{
	static const uv_thread_options_t options = {.flags = UV_THREAD_HAS_STACK_SIZE, .stack_size = STACK_SIZE};
	c->busy = true;
	c->message = *o;
	c->message.stop = &c->stop;
	memset(o, 0, sizeof(*o));
	c->done = done;
	c->ctx = ctx;
	if (!c->started && uv_thread_create_ex(&c->thread, &options, run, c) != 0)
		abort(); /* a process that may start no thread does nothing else either */
	c->started = true;
	uv_mutex_lock(&c->lock);
	c->waits = true;
	uv_cond_signal(&c->changed);
	uv_mutex_unlock(&c->lock);
}

void courier_close(struct courier *c)
{
	if (c == NULL || c->closing)
		return;
	c->closing = true;
	if (!c->started) {
		close_wake(c);
		return;
	}
	uv_mutex_lock(&c->lock);
	atomic_store(&c->stop, true);
	uv_cond_signal(&c->changed);
	uv_mutex_unlock(&c->lock);
}

void courier_free(struct courier *c)
{
	if (c == NULL)
		return;
	outbound_free(&c->message);
	uv_cond_destroy(&c->changed);
	uv_mutex_destroy(&c->lock);
	free(c);
}

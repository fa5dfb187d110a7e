/* store_front.c - room controller/store: submitting changes and delivering their ends, the same for every backend.
 * Never: rows, SQL. */
#include "controller/store/store_front.h"

#include <stdlib.h>

void front_init(struct store *s, const struct store_ops *ops, const struct store_options *options)
{
	s->ops = ops;
	s->hash = options->hash;
	s->wake = options->wake;
	s->wake_ctx = options->wake_ctx;
	if (pthread_mutex_init(&s->lock, NULL) != 0 || pthread_cond_init(&s->queued, NULL) != 0)
		abort();
}

void front_destroy(struct store *s)
{
	pthread_cond_destroy(&s->queued);
	pthread_mutex_destroy(&s->lock);
}

void list_push(struct change_list *l, struct store_change *c)
{
	c->next = NULL;
	if (l->last != NULL)
		l->last->next = c;
	else
		l->first = c;
	l->last = c;
	l->n++;
}

struct change_list list_take(struct change_list *l, size_t max)
{
	struct change_list taken = {NULL, NULL, 0};
	while (l->first != NULL && taken.n < max) {
		struct store_change *c = l->first;
		l->first = c->next;
		l->n--;
		list_push(&taken, c);
	}
	if (l->first == NULL)
		l->last = NULL;
	return taken;
}

void list_deliver(struct change_list *l)
{
	for (struct store_change *c = l->first, *next; c != NULL; c = next) {
		next = c->next;
		if (c->done != NULL)
			c->done(c->ctx, c->code, &c->result);
		store_change_free(c);
	}
	*l = (struct change_list){NULL, NULL, 0};
}

int store_submit(struct store *s, struct store_change *c, store_done_fn *done, void *ctx)
{
	c->done = done;
	c->ctx = ctx;
	pthread_mutex_lock(&s->lock);
	bool refused = s->closing || s->waiting.n >= STORE_QUEUE_MAX;
	if (!refused) {
		list_push(&s->waiting, c);
		pthread_cond_signal(&s->queued);
	}
	pthread_mutex_unlock(&s->lock);
	if (refused) {
		store_change_free(c);
		return E_STORE_BUSY;
	}
	if (s->wake_on_submit && s->wake != NULL)
		s->wake(s->wake_ctx);
	return 0;
}

void store_poll(struct store *s)
{
	s->ops->poll(s);
}

void store_close(struct store *s)
{
	if (s != NULL)
		s->ops->close(s);
}

int store_view_open(struct store *s, struct store_view **ret)
{
	return s->ops->view_open(s, ret);
}

int view_copy(struct store_view *v, const char *path, struct span note, const atomic_bool *stop, struct refusal *why)
{
	if (v->copy == NULL)
		return refuse(why, E_INTERNAL, path, "a store in memory has no file to copy");
	return v->copy(v, path, note, stop, why);
}

void view_hold(struct store_view *v)
{
	if (v->hold != NULL)
		v->hold(v);
}

void view_go_on(struct store_view *v)
{
	if (v->go_on != NULL)
		v->go_on(v);
}

void store_view_close(struct store_view *v)
{
	if (v != NULL)
		v->close(v);
}

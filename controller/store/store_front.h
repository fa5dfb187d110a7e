/* store_front.h - room controller/store: the parts that every backend's store and view begin with.
 * Never: rows, SQL. */
#ifndef VCC_STORE_FRONT_H
#define VCC_STORE_FRONT_H

#include <pthread.h>

#include "controller/store/store_apply.h"

struct store_ops {
	void (*poll)(struct store *s);
	void (*close)(struct store *s);
	int (*view_open)(struct store *s, struct store_view **ret);
};

struct change_list {
	struct store_change *first, *last;
	size_t               n;
};

struct store {
	const struct store_ops *ops;
	merkle_hash_fn         *hash;
	void (*wake)(void *ctx);
	void              *wake_ctx;
	pthread_mutex_t    lock; /* of the lists below */
	pthread_cond_t     queued;
	bool               wake_on_submit; /* no writer thread: the loop itself applies */
	bool               closing;
	struct change_list waiting; /* submitted */
	struct change_list done;    /* decided, not yet delivered */
};

struct store_view {
	struct rows    *rows;
	merkle_hash_fn *hash;
	void (*close)(struct store_view *v);
	void (*hold)(struct store_view *v);  /* NULL: every read shows what is stored */
	void (*go_on)(struct store_view *v); /* likewise */
	int (*copy)(struct store_view *v, const char *path, struct span note, const atomic_bool *stop, struct refusal *why); /* NULL: not kept in a file */
};

void front_init(struct store *s, const struct store_ops *ops, const struct store_options *options);
void front_destroy(struct store *s);
void list_push(struct change_list *l, struct store_change *c);
/* Takes at most `max` from the front. */
struct change_list list_take(struct change_list *l, size_t max);
/* Calls `done` for each and frees them. */
void list_deliver(struct change_list *l);

#endif

/* sign_pool.c - room controller/signer: one batch at a time, its jobs taken from one counter by whoever is free.
 * Never: waiting for a thread that has nothing to do. */
#include "controller/signer/sign_pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "shared/base/err.h"
#include "shared/pki/issue.h"

enum { WORTH_IT = 8, STACK = 256 << 10 };

struct hand {
	struct sign_pool *pool;
	pthread_t         thread;
	unsigned          number;
};

struct sign_pool {
	struct hand     hands[ISSUE_HANDS]; /* 0 is the caller */
	unsigned        n;
	pthread_mutex_t lock;
	pthread_cond_t  work, done;
	bool            open;   /* there may be jobs to take */
	unsigned        inside; /* threads that take jobs */
	bool            ending;
	sign_pool_fn   *fn;
	void           *ctx;
	size_t          jobs;
	atomic_size_t   next;
};

static void take_jobs(struct sign_pool *p, unsigned hand)
{
	for (size_t i = atomic_fetch_add(&p->next, 1); i < p->jobs; i = atomic_fetch_add(&p->next, 1))
		p->fn(p->ctx, i, hand);
}

static void *hand_main(void *arg)
{
	struct hand      *h = arg;
	struct sign_pool *p = h->pool;

	pthread_mutex_lock(&p->lock);
	while (!p->ending) {
		if (!p->open) {
			pthread_cond_wait(&p->work, &p->lock);
			continue;
		}
		p->inside++;
		pthread_mutex_unlock(&p->lock);
		take_jobs(p, h->number);
		pthread_mutex_lock(&p->lock);
		p->open = false; /* none is left to take */
		if (--p->inside == 0)
			pthread_cond_signal(&p->done);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

static void threads_start(struct sign_pool *p)
{
	long           processors = sysconf(_SC_NPROCESSORS_ONLN);
	pthread_attr_t small;

	if (pthread_attr_init(&small) != 0)
		return;
	(void)pthread_attr_setstacksize(&small, STACK);
	while (p->n < ISSUE_HANDS && p->n < processors) {
		struct hand *h = &p->hands[p->n];
		*h = (struct hand){.pool = p, .number = p->n};
		if (pthread_create(&h->thread, &small, hand_main, h) != 0)
			break;
		p->n++;
	}
	pthread_attr_destroy(&small);
}

int sign_pool_new(struct sign_pool **ret)
{
	struct sign_pool *p = calloc(1, sizeof(*p));
	if (p == NULL)
		return E_NOMEM;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->work, NULL);
	pthread_cond_init(&p->done, NULL);
	p->n = 1;
	threads_start(p);
	*ret = p;
	return 0;
}

void sign_pool_free(struct sign_pool *p)
{
	if (p == NULL)
		return;
	pthread_mutex_lock(&p->lock);
	p->ending = true;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 1; i < p->n; i++)
		pthread_join(p->hands[i].thread, NULL);
	pthread_cond_destroy(&p->done);
	pthread_cond_destroy(&p->work);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

void sign_pool_run(struct sign_pool *p, sign_pool_fn *fn, void *ctx, size_t n)
{
	if (p->n == 1 || n < WORTH_IT) {
		for (size_t i = 0; i < n; i++)
			fn(ctx, i, 0);
		return;
	}
	pthread_mutex_lock(&p->lock);
	p->fn = fn;
	p->ctx = ctx;
	p->jobs = n;
	atomic_store(&p->next, 0);
	p->open = true;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
	take_jobs(p, 0);
	pthread_mutex_lock(&p->lock);
	p->open = false; /* who has not woken yet finds nothing, and is not waited for */
	while (p->inside > 0)
		pthread_cond_wait(&p->done, &p->lock);
	pthread_mutex_unlock(&p->lock);
}

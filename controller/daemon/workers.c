/* workers.c - room controller/daemon: jobs on libuv's threads, and the read-only views that scanning jobs use.
 * A view belongs to one running job at a time and is handed out on the loop, so no lock is needed. Never: writing to the store.
 */
#include "controller/daemon/workers.h"

#include <stdlib.h>

#include <utlist.h>

enum { WORKERS_VIEWS_MAX = 8, LONG_WAITING_MAX = 16 };

struct task {
	uv_work_t       work;
	struct workers *workers;
	worker_run_fn  *run;
	worker_done_fn *done;
	void           *job;
	bool            reads, is_long;
	size_t          slot; /* which view, when `reads` */
	struct task    *prev, *next;
};

struct workers {
	uv_loop_t         *loop;
	struct store      *store;
	struct store_view *loops; /* not ours */
	struct store_view *views[WORKERS_VIEWS_MAX];
	bool               busy[WORKERS_VIEWS_MAX];
	size_t             n_views;
	struct task       *waiting; /* jobs that need a view */
	size_t             n_long, n_long_waiting; /* of those that run, of those that wait */
};

int workers_open(uv_loop_t *loop, struct store *store, struct store_view *loops, size_t n, struct workers **ret)
{
	struct workers *w = calloc(1, sizeof(*w));
	if (w == NULL)
		return E_NOMEM;
	w->loop = loop;
	w->store = store;
	w->loops = loops;
	w->n_views = n < WORKERS_VIEWS_MAX ? n : WORKERS_VIEWS_MAX;
	*ret = w;
	return 0;
}

void workers_free(struct workers *w)
{
	if (w == NULL)
		return;
	struct task *t, *tmp;
	DL_FOREACH_SAFE (w->waiting, t, tmp)
		free(t);
	for (size_t i = 0; i < w->n_views; i++)
		if (w->views[i] != NULL)
			store_view_close(w->views[i]);
	free(w);
}

static void on_work(uv_work_t *work)
{
	struct task       *t = work->data;
	struct store_view *view = t->reads ? t->workers->views[t->slot] : NULL;
	if (!t->reads || view != NULL)
		t->run(t->job, view);
}

static void start_waiting(struct workers *w);

static void on_done(uv_work_t *work, int status)
{
	(void)status;
	struct task *t = work->data;
	if (t->reads) {
		t->workers->busy[t->slot] = false;
		t->workers->n_long -= t->is_long;
		view_go_on(t->workers->loops);
		start_waiting(t->workers);
	}
	t->done(t->job);
	free(t);
}

static void start(struct task *t)
{
	t->work.data = t;
	if (uv_queue_work(t->workers->loop, &t->work, on_work, on_done) < 0)
		abort(); /* only for a NULL callback */
}

/* One view is never a long job's: the scheduler, the responder and whoever asks for one row do not wait for somebody's report. */
static struct task *next_waiting(struct workers *w)
{
	size_t       most = w->n_views > 1 ? w->n_views - 1 : 1;
	struct task *t;
	DL_FOREACH (w->waiting, t)
		if (!t->is_long || w->n_long < most)
			return t;
	return NULL;
}

static void start_waiting(struct workers *w)
{
	for (size_t i = 0; i < w->n_views; i++) {
		struct task *t = w->busy[i] ? NULL : next_waiting(w);
		if (t == NULL)
			continue;
		if (w->views[i] == NULL && store_view_open(w->store, &w->views[i]) < 0)
			w->views[i] = NULL; /* the job ends as it began: failed */
		DL_DELETE(w->waiting, t);
		w->n_long_waiting -= t->is_long;
		w->n_long += t->is_long;
		w->busy[i] = true;
		t->slot = i;
		start(t);
	}
}

static struct task *task_new(struct workers *w, worker_run_fn *run, worker_done_fn *done, void *job, bool reads)
{
	struct task *t = calloc(1, sizeof(*t));
	if (t == NULL)
		abort();
	t->workers = w;
	t->run = run;
	t->done = done;
	t->job = job;
	t->reads = reads;
	return t;
}

void workers_run(struct workers *w, worker_run_fn *run, worker_done_fn *done, void *job)
{
	start(task_new(w, run, done, job, false));
}

void workers_read(struct workers *w, worker_run_fn *run, worker_done_fn *done, void *job)
{
	struct task *t = task_new(w, run, done, job, true);
	DL_APPEND(w->waiting, t);
	start_waiting(w);
}

bool workers_read_long(struct workers *w, worker_run_fn *run, worker_done_fn *done, void *job)
{
	if (w->n_long_waiting >= LONG_WAITING_MAX)
		return false;
	struct task *t = task_new(w, run, done, job, true);
	t->is_long = true;
	w->n_long_waiting++;
	DL_APPEND(w->waiting, t);
	start_waiting(w);
	return true;
}

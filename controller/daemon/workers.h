/* workers.h - room controller/daemon: runs jobs off the loop: signature checks, scans of the store.
 * A job is one value owned by its submitter: `run` works on it on some thread, then `done` gets it back on the loop. No other
 * memory is shared. Never: writing to the store. */
#ifndef VCC_WORKERS_H
#define VCC_WORKERS_H

#include "controller/daemon/controller.h"

struct workers;

/* `view` is NULL for jobs without one. */
typedef void worker_run_fn(void *job, struct store_view *view);
typedef void worker_done_fn(void *job);

/* Opens its views at the first need (one per running job, at most `n`). `loops`: the loop's own view, which is never behind what a job has
 * read when that is heard of. */
_must_check_ int workers_open(uv_loop_t *loop, struct store *store, struct store_view *loops, size_t n, struct workers **ret);
/* Waits for nothing: the loop must have run dry of jobs. */
void workers_free(struct workers *w);

/* Always calls `done` later on the loop, in any order among jobs. When a view cannot be opened `run` is skipped: jobs start as
 * failed. */
void workers_run(struct workers *w, worker_run_fn *run, worker_done_fn *done, void *job);
void workers_read(struct workers *w, worker_run_fn *run, worker_done_fn *done, void *job);
/* For what walks everything: such jobs leave one view to the others, whoever asks for how many. False: too many wait already, `done` is not called. */
_must_check_ bool workers_read_long(struct workers *w, worker_run_fn *run, worker_done_fn *done, void *job);

struct workers *controller_workers(struct controller *ctl);

#endif

/* store_sqlite.c - room controller/store: the SQLite backend's life and its one writing thread: what is queued becomes one
 * transaction, then its completions go back in one wake. Never: a second connection that writes or checkpoints (SQLite 3.40
 * can corrupt a log that two connections reset), rules. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "controller/store/sqlite_rows.h"
#include "controller/store/store_front.h"
#include "shared/sys/clock.h"
#include "shared/sys/fault.h"
#include "shared/sys/file.h"
#include "shared/sys/memory.h"

enum {
	BATCH_MAX = 500,         /* changes of one transaction: more only adds delay */
	CHECKPOINT_PAGES = 2000, /* of the log, 8 MiB */
	DELIVER_MAX = 32,        /* completions of one poll: each makes its order go on, some 0.1 ms */
	QUIET_MS = 5000          /* without a change */
};

enum border { BATCH_BEGIN, BATCH_COMMIT, CHANGE_BEGIN, CHANGE_KEEP, CHANGE_UNDO, BORDER_COUNT };

static const char *const borders[BORDER_COUNT] = {
	[BATCH_BEGIN] = "BEGIN IMMEDIATE",
	[BATCH_COMMIT] = "COMMIT",
	[CHANGE_BEGIN] = "SAVEPOINT change",
	[CHANGE_KEEP] = "RELEASE change",
	[CHANGE_UNDO] = "ROLLBACK TO change",
};

struct sqlite_store {
	struct store       base;
	struct sqlite_rows rows; /* the writing connection; the thread's own after start */
	sqlite3_stmt      *border[BORDER_COUNT];
	struct apply       apply;
	bool               stale;     /* apply.tree may not be what is stored */
	int                log_pages; /* in the write-ahead log after the last commit */
	pthread_t          thread;
	int                lock_fd;
	char              *path;
};

struct sqlite_view {
	struct store_view  base;
	struct sqlite_rows rows;
};

/* ---- the writer ---- */

static int pass(struct sqlite_store *s, enum border b)
{
	int rc = sqlite3_step(s->border[b]);
	sqlite3_reset(s->border[b]);
	return sqlite_code(s->rows.db, rc);
}

static int begin(struct sqlite_store *s)
{
	if (s->stale) {
		apply_end(&s->apply);
		int code = apply_start(&s->apply, &s->rows.base, s->base.hash);
		if (code < 0)
			return code;
		s->stale = false;
	}
	return pass(s, BATCH_BEGIN);
}

static void roll_back(struct sqlite_store *s)
{
	if (sqlite3_get_autocommit(s->rows.db) == 0)
		sqlite3_exec(s->rows.db, "ROLLBACK", NULL, NULL, NULL);
	s->stale = true;
}

/* One change inside the batch; a failure of its own leaves no trace of it. Returns a code only when the batch is lost. */
static int apply_one(struct sqlite_store *s, struct store_change *c)
{
	struct merkle_frontier tree = s->apply.tree;
	int64_t                audit_at = s->apply.audit_at;
	int                    code = pass(s, CHANGE_BEGIN);
	if (code < 0)
		return code;
	c->code = apply_change(&s->apply, c);
	if (c->code == 0)
		return pass(s, CHANGE_KEEP);
	if (apply_code_is_fatal(c->code))
		return c->code;
	s->apply.tree = tree;
	s->apply.audit_at = audit_at;
	apply_undone(&s->apply);
	code = pass(s, CHANGE_UNDO);
	return code < 0 ? code : pass(s, CHANGE_KEEP);
}

/* All of them without borders in between: a border costs a copy of each page that is touched behind it. *ret_refused: one of them
 * failed by its own fault, and nothing is kept. */
static int apply_plainly(struct sqlite_store *s, struct change_list *batch, bool *ret_refused)
{
	int code = begin(s);
	*ret_refused = false;
	for (struct store_change *c = batch->first; c != NULL && code == 0; c = c->next)
		code = c->code = apply_change(&s->apply, c);
	if (code == 0 || apply_code_is_fatal(code))
		return code;
	*ret_refused = true;
	roll_back(s);
	return 0;
}

static int apply_one_by_one(struct sqlite_store *s, struct change_list *batch)
{
	int code = begin(s);
	for (struct store_change *c = batch->first; c != NULL && code == 0; c = c->next)
		code = apply_one(s, c);
	return code;
}

static int apply_batch(struct sqlite_store *s, struct change_list *batch)
{
	bool refused;
	int  code = apply_plainly(s, batch, &refused);
	if (code == 0 && refused)
		code = apply_one_by_one(s, batch);
	if (code == 0)
		code = apply_finish(&s->apply);
	if (code == 0 && fault_point("store_commit") != 0)
		code = errno == ENOSPC ? E_STORE_FULL : E_STORE_IO;
	if (code == 0)
		code = pass(s, BATCH_COMMIT);
	if (code == 0 && fault_point("store_committed") != 0)
		return 0; /* nothing can fail here; the point exists to be killed at */
	return code;
}

static void commit_batch(struct sqlite_store *s, struct change_list *batch)
{
	int code = apply_batch(s, batch);
	if (code == 0)
		return;
	roll_back(s);
	for (struct store_change *c = batch->first; c != NULL; c = c->next)
		c->code = code;
}

/* Between batches, after the completions went out. A failure is left to the next time: commits report a full disk. */
static void checkpoint(struct sqlite_store *s)
{
	if (s->log_pages < CHECKPOINT_PAGES)
		return;
	if (sqlite3_wal_checkpoint_v2(s->rows.db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL) == SQLITE_OK)
		s->log_pages = 0;
}

static int note_log(void *ctx, sqlite3 *db, const char *name, int pages)
{
	(void)db;
	(void)name;
	((struct sqlite_store *)ctx)->log_pages = pages;
	return SQLITE_OK;
}

static void append_done(struct store *s, struct change_list *batch)
{
	while (batch->first != NULL) {
		struct store_change *c = batch->first;
		batch->first = c->next;
		list_push(&s->done, c);
	}
}

/* A fleet's emergency fills the cache; in the quiet after it that memory is the host's again. */
static void rest(struct sqlite_store *s)
{
	pthread_mutex_unlock(&s->base.lock);
	(void)sqlite3_db_release_memory(s->rows.db);
	memory_give_back();
	pthread_mutex_lock(&s->base.lock);
}

static void wait_for_changes(struct sqlite_store *s)
{
	int64_t               at = clock_monotonic() + QUIET_MS;
	const struct timespec quiet_at = {.tv_sec = at / 1000, .tv_nsec = at % 1000 * 1000000};
	bool                  resting = false;
	while (s->base.waiting.n == 0 && !s->base.closing) {
		if (resting)
			pthread_cond_wait(&s->base.queued, &s->base.lock);
		else if (pthread_cond_clockwait(&s->base.queued, &s->base.lock, CLOCK_MONOTONIC, &quiet_at) == ETIMEDOUT) {
			rest(s);
			resting = true;
		}
	}
}

static void *writer(void *arg)
{
	struct sqlite_store *s = arg;
	pthread_mutex_lock(&s->base.lock);
	for (;;) {
		wait_for_changes(s);
		if (s->base.waiting.n == 0)
			break;
		struct change_list batch = list_take(&s->base.waiting, BATCH_MAX);
		pthread_mutex_unlock(&s->base.lock);
		commit_batch(s, &batch);
		pthread_mutex_lock(&s->base.lock);
		append_done(&s->base, &batch);
		pthread_mutex_unlock(&s->base.lock);
		if (s->base.wake != NULL)
			s->base.wake(s->base.wake_ctx);
		checkpoint(s);
		pthread_mutex_lock(&s->base.lock);
	}
	pthread_mutex_unlock(&s->base.lock);
	return NULL;
}

/* ---- store_ops ---- */

/* So many that the caller's loop comes to its other events in time; the rest in its next turn. */
static void sqlite_poll(struct store *s)
{
	pthread_mutex_lock(&s->lock);
	struct change_list done = list_take(&s->done, DELIVER_MAX);
	bool               more = s->done.first != NULL;
	pthread_mutex_unlock(&s->lock);
	list_deliver(&done);
	if (more && s->wake != NULL)
		s->wake(s->wake_ctx);
}

static void store_free(struct sqlite_store *s)
{
	apply_end(&s->apply);
	for (size_t i = 0; i < BORDER_COUNT; i++)
		sqlite3_finalize(s->border[i]);
	sqlite_rows_close(&s->rows);
	fd_close(s->lock_fd);
	free(s->path);
	free(s);
}

static void sqlite_close(struct store *base)
{
	struct sqlite_store *s = (struct sqlite_store *)base;
	pthread_mutex_lock(&base->lock);
	base->closing = true;
	pthread_cond_signal(&base->queued);
	pthread_mutex_unlock(&base->lock);
	pthread_join(s->thread, NULL);
	while (base->done.first != NULL)
		sqlite_poll(base);
	front_destroy(base);
	store_free(s);
}

static void sqlite_view_close(struct store_view *base)
{
	struct sqlite_view *v = (struct sqlite_view *)base;
	sqlite_rows_close(&v->rows);
	free(v);
}

static void sqlite_view_hold(struct store_view *base)
{
	sqlite_rows_hold(&((struct sqlite_view *)base)->rows);
}

static void sqlite_view_go_on(struct store_view *base)
{
	sqlite_rows_go_on(&((struct sqlite_view *)base)->rows);
}

static int sqlite_view_copy(struct store_view *base, const char *path, struct span note, const atomic_bool *stop,
                            struct refusal *why)
{
	return sqlite_copy(((struct sqlite_view *)base)->rows.db, path, note, stop, why);
}

static int sqlite_view_open(struct store *base, struct store_view **ret)
{
	struct sqlite_store *s = (struct sqlite_store *)base;
	struct sqlite_view  *v = calloc(1, sizeof(*v));
	if (v == NULL)
		return E_NOMEM;
	sqlite3 *db;
	int      code = sqlite_open_reader(s->path, &db);
	if (code == 0)
		code = sqlite_rows_init(&v->rows, db);
	if (code < 0) {
		free(v);
		return code;
	}
	v->base.rows = &v->rows.base;
	v->base.hash = base->hash;
	v->base.close = sqlite_view_close;
	v->base.hold = sqlite_view_hold;
	v->base.go_on = sqlite_view_go_on;
	v->base.copy = sqlite_view_copy;
	*ret = &v->base;
	return 0;
}

static const struct store_ops sqlite_store_ops = {
	.poll = sqlite_poll,
	.close = sqlite_close,
	.view_open = sqlite_view_open,
};

/* ---- opening ---- */

/* PATH.lock beside the database: a second process is refused before it opens anything. */
int sqlite_lock_beside(const char *path, int *ret_fd, struct refusal *why)
{
	const char *slash = strrchr(path, '/');
	char        folder[4096] = ".", name[300];
	size_t      n = slash == NULL ? 0 : (size_t)(slash - path);
	if (n >= sizeof(folder) || snprintf(name, sizeof(name), "%s.lock", slash == NULL ? path : slash + 1) >= (int)sizeof(name))
		return refuse(why, E_STORE_IO, path, "the path is too long");
	if (slash != NULL) {
		memcpy(folder, path, n);
		folder[n] = '\0';
		if (n == 0)
			memcpy(folder, "/", 2);
	}
	_cleanup_fd_ int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return refuse(why, E_STORE_IO, folder, "%s", strerror(errno));
	return dir_lock(dir, name, ret_fd, why);
}

/* The thread takes no signals: they belong to the loop. */
static int start_thread(struct sqlite_store *s)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int e = pthread_create(&s->thread, NULL, writer, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return e == 0 ? 0 : E_STORE_IO;
}

static int open_rows(struct sqlite_store *s, const struct store_options *options, struct refusal *why)
{
	sqlite3 *db;
	int      code = sqlite_open_writer(options->path, options->create, &db, why);
	if (code < 0)
		return code;
	code = sqlite_rows_init(&s->rows, db);
	if (code < 0)
		return refuse(why, code, options->path, "%s", err_what(code));
	code = sqlite_rows_prepare_all(&s->rows);
	for (size_t i = 0; code == 0 && i < BORDER_COUNT; i++)
		code = sqlite_code(db, sqlite3_prepare_v3(db, borders[i], -1, SQLITE_PREPARE_PERSISTENT, &s->border[i], NULL));
	if (code < 0)
		return refuse(why, code, options->path, "%s", sqlite3_errmsg(db));
	sqlite3_wal_hook(db, note_log, s);
	code = apply_start(&s->apply, &s->rows.base, options->hash);
	if (code < 0)
		return refuse(why, code, options->path, "the audit tree cannot be read");
	return 0;
}

int store_sqlite_open(const struct store_options *options, struct store **ret, struct refusal *why)
{
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); /* its counts take a lock at each allocation; refused once a database is open */
	struct sqlite_store *s = calloc(1, sizeof(*s));
	if (s == NULL)
		return refuse(why, E_NOMEM, options->path, "%s", err_what(E_NOMEM));
	s->lock_fd = -1;
	s->path = strdup(options->path);
	int code = s->path != NULL ? 0 : refuse(why, E_NOMEM, options->path, "%s", err_what(E_NOMEM));
	if (code == 0)
		code = sqlite_lock_beside(options->path, &s->lock_fd, why);
	if (code == 0)
		code = sqlite_finish_restore(options->path, why);
	if (code == 0)
		code = open_rows(s, options, why);
	if (code < 0) {
		store_free(s);
		return code;
	}
	front_init(&s->base, &sqlite_store_ops, options);
	code = start_thread(s);
	if (code < 0) {
		front_destroy(&s->base);
		store_free(s);
		return refuse(why, code, options->path, "no thread could be started");
	}
	*ret = &s->base;
	return 0;
}

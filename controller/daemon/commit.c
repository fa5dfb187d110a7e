/* commit.c - room controller/daemon: builds changes, keeps the rows in flight, runs what was waiting for durability.
 * Never: deciding what is written. */
#include "controller/daemon/commit.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <utlist.h>

#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/sys/clock.h"
#include "shared/sys/fault.h"
#include "shared/sys/log.h"

struct effect {
	commit_then_fn *fn;
	struct effect  *next;
	size_t          n;
	_Alignas(max_align_t) uint8_t value[];
};

struct commit {
	struct controller   *ctl;
	struct store_change *change;
	struct row         **rows;
	size_t               n_rows, rows_cap;
	struct effect       *then, *otherwise;
	const char          *fault_before, *fault_after;
	commit_done_fn      *done;
	void                *ctx;
	int                  code; /* of one that never reached the store */
	struct commit       *prev, *next;
};

struct commits {
	struct controller *ctl;
	size_t             waiting;
	bool               healthy;
	int                failure; /* of the one whose commit_else() functions run */
	struct commit     *refused; /* not taken by the store: answered at the next poll */
};

int commits_open(struct controller *ctl, struct commits **ret)
{
	struct commits *all = calloc(1, sizeof(*all));
	if (all == NULL)
		return E_NOMEM;
	all->ctl = ctl;
	all->healthy = true;
	*ret = all;
	return 0;
}

size_t commit_waiting(const struct controller *ctl)
{
	return ctl->commits->waiting;
}

bool commit_healthy(const struct controller *ctl)
{
	return ctl->commits->healthy;
}

int commit_failure(const struct controller *ctl)
{
	return ctl->commits->failure;
}

struct commit *commit_new(struct controller *ctl)
{
	struct commit *c = calloc(1, sizeof(*c));
	if (c == NULL)
		abort();
	c->ctl = ctl;
	c->change = store_change_new();
	return c;
}

static void effects_free(struct effect *list)
{
	struct effect *e, *tmp;
	LL_FOREACH_SAFE (list, e, tmp)
		free(e);
}

static void commit_free(struct commit *c)
{
	effects_free(c->then);
	effects_free(c->otherwise);
	free((void *)c->rows);
	free(c);
}

static void settle_rows(struct commit *c, bool stored)
{
	for (size_t i = 0; i < c->n_rows; i++)
		rows_settle(c->ctl->rows, c->rows[i], stored);
	c->n_rows = 0;
}

void commit_drop(struct commit *c)
{
	settle_rows(c, false);
	store_change_free(c->change);
	commit_free(c);
}

struct store_change *commit_change(struct commit *c)
{
	return c->change;
}

static void keep_row(struct commit *c, struct row *row)
{
	if (c->n_rows == c->rows_cap) {
		c->rows_cap = c->rows_cap == 0 ? 4 : 2 * c->rows_cap;
		c->rows = reallocarray(c->rows, c->rows_cap, sizeof(struct row *));
		if (c->rows == NULL)
			abort();
	}
	c->rows[c->n_rows++] = row;
}

void commit_certificate(struct commit *c, const struct certificate *cert)
{
	struct certificate next = *cert;
	store_put_certificate(c->change, cert, cert->version);
	next.version = cert->version + 1;
	keep_row(c, rows_set_certificate(c->ctl->rows, &next));
}

void commit_issuance_new(struct commit *c, const struct issuance *i)
{
	store_add_issuance(c->change, i);
	keep_row(c, rows_set_issuance(c->ctl->rows, i));
}

void commit_issuance(struct commit *c, const struct issuance *i)
{
	store_put_issuance(c->change, i);
	keep_row(c, rows_set_issuance(c->ctl->rows, i));
}

void commit_agent(struct commit *c, const struct agent *a)
{
	store_put_agent(c->change, a);
	keep_row(c, rows_set_agent(c->ctl->rows, a));
}

void commit_target(struct commit *c, const struct target *t)
{
	store_put_target(c->change, t);
	keep_row(c, rows_set_target(c->ctl->rows, t));
}

void commit_remove_target(struct commit *c, const char *target_id)
{
	store_remove_target(c->change, target_id);
	keep_row(c, rows_remove_target(c->ctl->rows, target_id));
}

void commit_audit(struct commit *c, const struct audit_of *of, const char *format, ...)
{
	struct audit a = {.at = clock_now(), .event = of->event, .renewal_id = of->renewal_id, .request_id = of->request_id};
	text_cut(a.actor, sizeof(a.actor), of->actor != NULL ? of->actor : "controller");
	text_cut(a.object, sizeof(a.object), of->object != NULL ? of->object : "");
	if (format != NULL) {
		va_list ap;
		va_start(ap, format);
		json_t *json = json_vpack_ex(NULL, 0, format, ap);
		va_end(ap);
		size_t n = json != NULL ? json_dumpb(json, a.detail, sizeof(a.detail) - 1, JSON_COMPACT) : 0;
		a.detail[n < sizeof(a.detail) ? n : 0] = '\0'; /* one that does not fit is left out whole */
		json_decref(json);
	}
	store_add_audit(c->change, &a);
}

static void effect_add(struct effect **list, commit_then_fn *fn, const void *value, size_t n)
{
	struct effect *e = calloc(1, sizeof(*e) + n);
	if (e == NULL)
		abort();
	e->fn = fn;
	e->n = n;
	if (n > 0)
		memcpy(e->value, value, n);
	LL_APPEND(*list, e);
}

void commit_then(struct commit *c, commit_then_fn *fn, const void *value, size_t n)
{
	effect_add(&c->then, fn, value, n);
}

void commit_else(struct commit *c, commit_then_fn *fn, const void *value, size_t n)
{
	effect_add(&c->otherwise, fn, value, n);
}

void commit_fault_points(struct commit *c, const char *before, const char *after)
{
	c->fault_before = before;
	c->fault_after = after;
}

static void finish(struct commit *c, int code, const struct store_result *result)
{
	struct controller *ctl = c->ctl;
	ctl->commits->waiting--;
	ctl->commits->failure = code;
	ctl->commits->healthy = code == 0 || err_kind(code) == ERR_KIND_DENIED;
	settle_rows(c, code == 0);
	if (code == 0 && c->fault_after != NULL)
		(void)fault_point(c->fault_after);
	if (!ctl->stopping) {
		struct effect *e;
		LL_FOREACH (code == 0 ? c->then : c->otherwise, e)
			e->fn(ctl, e->value, e->n);
	}
	if (c->done != NULL)
		c->done(ctl, c->ctx, code, result);
	commit_free(c);
}

static void on_stored(void *ctx, int code, const struct store_result *result)
{
	if (code < 0) {
		char text[ERR_CODE_SIZE];
		log_line(err_kind(code) == ERR_KIND_DENIED ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, NULL,
			 "a change was not stored: %s %s", err_code(code, text), err_what(code));
	}
	finish(ctx, code, result);
}

void commit_now(struct commit *c, commit_done_fn *done, void *ctx)
{
	struct commits *all = c->ctl->commits;
	c->done = done;
	c->ctx = ctx;
	all->waiting++;

	struct store_change *change = c->change;
	c->change = NULL;
	if (c->fault_before != NULL && fault_point(c->fault_before) < 0) {
		store_change_free(change);
		c->code = E_STORE_IO;
	} else {
		c->code = store_submit(c->ctl->store, change, on_stored, c);
	}
	if (c->code < 0) {
		DL_APPEND(all->refused, c);
		uv_async_send(&c->ctl->store_wake);
	}
}

static void answer_refused(struct commits *all)
{
	struct commit *list = all->refused, *c, *tmp;
	all->refused = NULL;
	DL_FOREACH_SAFE (list, c, tmp)
		on_stored(c, c->code, &(struct store_result){0});
}

void commits_poll(struct commits *all)
{
	answer_refused(all);
	store_poll(all->ctl->store);
}

void commits_free(struct commits *all)
{
	if (all == NULL)
		return;
	while (all->refused != NULL)
		answer_refused(all);
	free(all);
}

/* pruner.c - room controller/daemon: piece by piece: worker collects -> archive file synced -> one change removes the rows, moves the end of
 * the file and leaves an audit record. Never: two pieces at once; a row removed whose line is not on the disk. */
#include "controller/daemon/pruner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "controller/daemon/archive_file.h"
#include "controller/daemon/commit.h"
#include "controller/daemon/prune_collect.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/pki/key.h"
#include "shared/sys/clock.h"
#include "shared/sys/log.h"

#define SETTING "archive"

enum { RETRY_MS = 10 * 60 * 1000, SETTING_TEXT = 128, FOLDER_SIZE = CONF_PATH_SIZE + 16 };

struct pruner {
	enum prune_kind      kind; /* what the walk is at */
	struct prune_cursor  cursor;
	struct archive_place place;
	bool                 busy;
	int64_t              next_at; /* monotonic: when the next walk begins, or a failed one is tried again */
};

struct job {
	struct controller   *ctl;
	enum prune_kind      kind;
	struct prune_piece   piece;
	char                 folder[FOLDER_SIZE];
	struct archive_place place;
	uint64_t             offset;
	struct hash          sha256; /* of the lines */
	int                  code;
	struct refusal       why;
};

int pruner_open(struct pruner **ret)
{
	struct pruner *p = calloc(1, sizeof(*p));
	if (p == NULL)
		return E_NOMEM;
	*ret = p;
	return 0;
}

void pruner_free(struct pruner *p)
{
	free(p);
}

int pruner_load(struct controller *ctl)
{
	_cleanup_(buf_free) struct buf text = BUF_MAX(SETTING_TEXT);
	int                            r = view_setting(ctl->view, SETTING, &text);
	ctl->pruner->next_at = clock_monotonic() + ctl->conf->prune_ms; /* whose clock is wrong at boot has time to see it */
	if (r < 0)
		return r == E_NOT_FOUND ? 0 : r;
	json_t *o = json_loadb((const char *)text.p, text.n, 0, NULL);
	ctl->pruner->place.number = (uint64_t)json_integer_value(json_object_get(o, "number"));
	ctl->pruner->place.bytes = (uint64_t)json_integer_value(json_object_get(o, "bytes"));
	json_decref(o);
	return 0;
}

/* ---- on the worker --------------------------------------------------------------------------------------------- */

static void work(void *arg, struct store_view *view)
{
	struct job *j = arg;
	j->code = prune_collect(j->kind, view, &j->piece);
	if (j->code == 0 && j->piece.lines.n > 0) {
		digest_sha256(buf_span(&j->piece.lines), &j->sha256);
		j->code = archive_append(j->folder, buf_span(&j->piece.lines), &j->place, &j->offset, &j->why);
	}
	if (j->code < 0 && j->why.code == 0)
		(void)refuse(&j->why, j->code, prune_kind_name(j->kind), "%s", err_what(j->code));
}

/* ---- the change ------------------------------------------------------------------------------------------------ */

static void count_archived(struct commit *c, const struct job *j, int64_t now)
{
	for (size_t i = 0; i < j->piece.n; i++) {
		const struct prune_row *row = &j->piece.row[i];
		if (row->cert_id[0] == '\0')
			continue;
		struct archived more = {.issuances = j->kind == PRUNE_ISSUANCES,
					.orders = j->kind == PRUNE_ORDERS,
					.first_file = j->place.number,
					.last_file = j->place.number,
					.last_at = now};
		text_cut(more.cert_id, sizeof(more.cert_id), row->cert_id);
		store_add_archived(commit_change(c), &more);
	}
}

static void put_place(struct commit *c, const struct archive_place *place)
{
	char text[SETTING_TEXT];
	snprintf(text, sizeof(text), "{\"number\":%llu,\"bytes\":%llu}", (unsigned long long)place->number,
		 (unsigned long long)place->bytes);
	store_put_setting(commit_change(c), SETTING, span_text(text));
}

static void put_audit(struct commit *c, const struct job *j)
{
	const struct audit_of of = {.event = AUDIT_STORE_PRUNED, .actor = "controller", .object = "store"};
	char                  name[ARCHIVE_NAME_SIZE], sha256[HASH_TEXT_SIZE];
	if (j->piece.lines.n == 0) {
		commit_audit(c, &of, "{s:s,s:I}", "kind", prune_kind_name(j->kind), "rows", (json_int_t)j->piece.n);
		return;
	}
	archive_name(j->place.number, name);
	commit_audit(c, &of, "{s:s,s:I,s:s,s:I,s:I,s:s}", "kind", prune_kind_name(j->kind), "rows", (json_int_t)j->piece.n, "file",
		     name, "offset", (json_int_t)j->offset, "bytes", (json_int_t)j->piece.lines.n, "sha256",
		     hash_text(j->sha256, sha256));
}

static void job_free(struct job *j)
{
	buf_free(&j->piece.lines);
	free(j);
}

static void walk_on(struct controller *ctl, const struct job *j)
{
	struct pruner *p = ctl->pruner;
	p->cursor = j->piece.cursor;
	if (j->piece.more)
		return;
	p->cursor = (struct prune_cursor){.at = 0};
	p->kind = (enum prune_kind)((int)p->kind + 1);
	if (p->kind < PRUNE_KIND_COUNT)
		return;
	p->kind = PRUNE_ISSUANCES;
	p->next_at = clock_monotonic() + ctl->conf->prune_ms;
}

/* Another time, from the start of this kind: nothing was removed. */
static void stop(struct controller *ctl)
{
	ctl->pruner->cursor = (struct prune_cursor){.at = 0};
	ctl->pruner->next_at = clock_monotonic() + RETRY_MS;
}

static void on_stored(struct controller *ctl, void *ctx, int code, const struct store_result *result)
{
	struct job *j = ctx;
	(void)result;
	ctl->pruner->busy = false;
	for (size_t i = 0; code == 0 && j->kind == PRUNE_ISSUANCES && i < j->piece.n; i++)
		rows_forget_issuance(ctl->rows, j->piece.row[i].serial);
	if (code == 0) {
		ctl->pruner->place = j->place;
		walk_on(ctl, j);
	} else {
		stop(ctl); /* the lines stay in their file, and the next piece begins another */
	}
	job_free(j);
}

static void on_worked(void *arg)
{
	struct job        *j = arg;
	struct controller *ctl = j->ctl;
	if (ctl->stopping) {
		job_free(j);
		return;
	}
	if (j->code < 0 || j->piece.n == 0) {
		ctl->pruner->busy = false;
		if (j->code == 0) {
			walk_on(ctl, j);
		} else {
			log_refusal(LOG_LEVEL_ERROR, NULL, &j->why);
			stop(ctl);
		}
		job_free(j);
		return;
	}
	struct commit *c = commit_new(ctl);
	prune_remove(j->kind, &j->piece, commit_change(c));
	count_archived(c, j, clock_now());
	if (j->piece.lines.n > 0)
		put_place(c, &j->place);
	put_audit(c, j);
	commit_fault_points(c, "controller.prune", "controller.prune_stored");
	commit_now(c, on_stored, j);
}

/* ---- the clock ------------------------------------------------------------------------------------------------- */

static int64_t end_of(const struct controller_conf *conf, enum prune_kind kind, int64_t now)
{
	const int64_t keeps[PRUNE_KIND_COUNT] = {
		[PRUNE_ISSUANCES] = conf->keep_issuances_ms,
		[PRUNE_NOTICES] = conf->keep_notices_ms,
		[PRUNE_DRILLS] = conf->keep_drills_ms,
	};
	int64_t keep = keeps[kind] != 0 ? keeps[kind] : conf->keep_orders_ms;
	if (kind == PRUNE_ISSUANCES && keep < conf->crl_validity_ms)
		keep = conf->crl_validity_ms; /* it has to stand on one list that was made after its end (RFC 5280, 3.3) */
	return now - keep;
}

void pruner_wait(struct controller *ctl)
{
	int64_t at = clock_monotonic() + MS_DAY;
	if (ctl->pruner->next_at < at)
		ctl->pruner->next_at = at;
}

void pruner_tick(struct controller *ctl, int64_t now)
{
	struct pruner *p = ctl->pruner;
	if (p->busy || clock_monotonic() < p->next_at)
		return;
	struct job *j = calloc(1, sizeof(*j));
	if (j == NULL)
		abort();
	j->ctl = ctl;
	j->kind = p->kind;
	j->place = p->place;
	j->piece.cursor = p->cursor;
	j->piece.end = end_of(ctl->conf, p->kind, now);
	j->piece.keep = (uint64_t)ctl->conf->notices_max;
	j->piece.lines = (struct buf)BUF_MAX(PRUNE_LINES_MAX);
	j->code = E_STORE_IO; /* stands when no view could be opened */
	snprintf(j->folder, sizeof(j->folder), "%s/archive", ctl->conf->state_dir);
	p->busy = true;
	workers_read(ctl->workers, work, on_worked, j);
}

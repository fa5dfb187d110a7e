/* drills.c - room controller/daemon: drills beside the campaigns that run them: the row that stays, and the report at the end.
 * Never: more than one report at a time. */
#include "controller/daemon/drills.h"

#include <stdlib.h>

#include "controller/daemon/drill_report.h"
#include "controller/daemon/state.h"
#include "controller/daemon/workers.h"
#include "shared/base/text.h"
#include "shared/pki/key.h"
#include "shared/sys/clock.h"
#include "shared/sys/log.h"

enum { PAGE = 32 };
#define AGAIN_MS     (5 * MS_SECOND)
#define AGAIN_MAX_MS MS_HOUR

struct drills {
	bool    busy;     /* a report is being made or stored */
	bool    look;     /* another may be due since it began */
	int64_t again_at; /* after a failure; TIME_NEVER = nothing waits */
	int64_t again_ms; /* the pause that grows with each failure */
};

struct job {
	struct controller *ctl;
	char               domain[DNS_NAME_SIZE];
	int64_t            now;
	struct drill       drill;
	struct buf         report;
	int                code;   /* E_NOT_FOUND: there is none to be made */
	int                missed; /* why another one could not be made; 0 = every one could */
};

int drills_open(struct drills **ret)
{
	struct drills *all = calloc(1, sizeof(*all));
	if (all == NULL)
		return E_NOMEM;
	all->again_at = 0; /* the first tick looks at what an earlier run left */
	all->again_ms = AGAIN_MS / 2;
	*ret = all;
	return 0;
}

void drills_free(struct drills *all)
{
	free(all);
}

void drills_begin(struct commit *c, const struct campaign *g)
{
	struct drill d = {.campaign_id = g->campaign_id, .state = g->state, .total = g->total, .created_at = g->created_at};
	text_cut(d.selector, sizeof(d.selector), g->selector);
	text_cut(d.services, sizeof(d.services), g->services);
	text_cut(d.actor, sizeof(d.actor), g->actor);
	text_cut(d.reason, sizeof(d.reason), g->reason);
	store_put_drill(commit_change(c), &d);
}

/* ---- the report ------------------------------------------------------------------------------------------------- */

static void job_free(struct job *j)
{
	buf_free(&j->report);
	free(j);
}

/* True when this one's is made. One that is under way gets none yet, and one whose campaign is not there any more cannot get one. */
static bool make_one(struct job *j, struct store_view *view, const struct drill *row)
{
	j->drill = *row;
	buf_reset(&j->report);
	int r = drill_report_make(view, j->domain, j->now, &j->drill, &j->report);
	if (r < 0 && r != E_CAMPAIGN_STATE && r != E_NOT_FOUND)
		j->missed = r;
	return r == 0;
}

/* The oldest that is over, has none and can be given one: another that cannot holds up nobody. */
static void make(void *job, struct store_view *view)
{
	struct job   *j = job;
	struct drill *rows = calloc(PAGE, sizeof(*rows));
	struct id     after = {{0}};
	size_t        n = PAGE;
	int           r = view == NULL ? E_STORE_IO : rows == NULL ? E_NOMEM : 0;
	bool          made_one = false;
	while (r == 0 && n == PAGE && !made_one && (r = view_drills_unreported(view, after, rows, PAGE, &n)) == 0)
		for (size_t i = 0; i < n && !made_one; i++) {
			after = rows[i].campaign_id;
			made_one = make_one(j, view, &rows[i]);
		}
	free(rows);
	j->code = r < 0 ? r : made_one ? 0 : j->missed < 0 ? j->missed : E_NOT_FOUND;
}

/* `failed`: of one that is made, stored or missed. */
static void rest(struct controller *ctl, bool failed)
{
	struct drills *all = ctl->drills;
	all->busy = false;
	all->again_ms = !failed ? AGAIN_MS / 2 : all->again_ms < AGAIN_MAX_MS / 2 ? 2 * all->again_ms : AGAIN_MAX_MS;
	all->again_at = failed ? clock_now() + all->again_ms : TIME_NEVER;
	if (all->look && !ctl->stopping)
		drills_look(ctl);
}

static void on_stored(struct controller *ctl, void *ctx, int code, const struct store_result *result)
{
	(void)ctx;
	(void)result;
	char text[ERR_CODE_SIZE];
	if (code < 0)
		log_line(LOG_LEVEL_ERROR, NULL, "%s the report of a drill was not stored: %s; it is made again",
			 err_code(code, text), err_what(code));
	ctl->drills->look |= code == 0; /* the next one, if there is any */
	rest(ctl, code < 0);
}

static void keep(struct controller *ctl, struct job *j)
{
	struct drill  *d = &j->drill;
	struct commit *c = commit_new(ctl);
	char           id[ID_TEXT_SIZE], hash[HASH_TEXT_SIZE];
	d->reported_at = j->now;
	d->report_size = j->report.n;
	digest_sha256(buf_span(&j->report), &d->report_hash);
	store_put_drill(commit_change(c), d);
	store_put_drill_report(commit_change(c), d->campaign_id, buf_span(&j->report));
	struct audit_of of = {.event = AUDIT_DRILL_ENDED, .actor = "controller", .object = id_text(d->campaign_id, id)};
	commit_audit(c, &of, "{s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:s,s:I}", "status", campaign_state_name(d->state), "selector",
		     d->selector, "total_certificates", (json_int_t)d->total, "tested_count", (json_int_t)d->tested,
		     "failed_count", (json_int_t)d->failed, "skipped_count", (json_int_t)d->skipped, "not_reached_count",
		     (json_int_t)d->not_reached, "report_sha256", hash_text(d->report_hash, hash), "report_bytes",
		     (json_int_t)d->report_size);
	commit_fault_points(c, "controller.drill_report", "controller.drill_report_stored");
	commit_now(c, on_stored, NULL);
}

static void made(void *job)
{
	struct job        *j = job;
	struct controller *ctl = j->ctl;
	char               text[ERR_CODE_SIZE];
	if (ctl->stopping || j->code == E_NOT_FOUND) {
		rest(ctl, false);
	} else if (j->code < 0) {
		log_line(LOG_LEVEL_ERROR, NULL, "%s the report of a drill cannot be made: %s", err_code(j->code, text),
			 err_what(j->code));
		rest(ctl, true);
	} else {
		keep(ctl, j);
	}
	job_free(j);
}

void drills_look(struct controller *ctl)
{
	ctl->drills->look = true;
	if (ctl->drills->busy || ctl->stopping)
		return;
	struct job *j = calloc(1, sizeof(*j));
	if (j == NULL)
		abort();
	j->ctl = ctl;
	j->now = clock_now();
	j->code = E_STORE_IO; /* stands when no view can be opened */
	j->report = (struct buf)BUF_MAX(DRILL_REPORT_MAX);
	text_cut(j->domain, sizeof(j->domain), controller_domain(ctl));
	ctl->drills->look = false;
	ctl->drills->busy = true;
	workers_read(ctl->workers, make, made, j);
}

void drills_tick(struct controller *ctl, int64_t now)
{
	if (!ctl->drills->busy && now >= ctl->drills->again_at)
		drills_look(ctl);
}

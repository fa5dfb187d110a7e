/* daily_digest.c - room controller/daemon: what went as it should, once a day: counted by a worker, told like everything else.
 * When the last one was is stored with it, so a restart neither forgets nor repeats one. Never: telling of a single renewal. */
#include "controller/daemon/daily_digest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/daemon/notices.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/sys/clock.h"
#include "shared/sys/log.h"

#define SETTING "notify_digest"
#define SOON_MS (7 * MS_DAY)

enum { PAGE = 500, COUNT_MAX = 100000, SETTING_TEXT = 32 };

struct digests {
	bool    busy, known; /* known: `last_at` was read */
	int64_t last_at;
	int64_t again_at; /* after a failure: not before */
};

struct job {
	struct controller   *ctl;
	struct digest_counts counts;
	int                  code;
};

int digests_open(struct digests **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret == NULL ? E_NOMEM : 0;
}

void digests_free(struct digests *d)
{
	free(d);
}

/* ---- on a worker ------------------------------------------------------------------------------------------------- */

static void count_order(const struct order *o, struct digest_counts *c)
{
	if ((o->flags & ORDER_DRILL) != 0)
		return;
	c->renewed += o->phase == ORDER_COMPLETED && !serial_is_none(o->old_serial);
	c->issued += o->phase == ORDER_COMPLETED && serial_is_none(o->old_serial);
	c->failed += o->phase == ORDER_FAILED;
}

static int count_orders(struct store_view *view, struct digest_counts *c)
{
	struct order *rows = calloc(PAGE, sizeof(*rows));
	struct id     after; /* what ended at `from` was in the digest before */
	int64_t       at = c->from;
	size_t        n = PAGE, seen = 0;
	int           r = rows == NULL ? E_NOMEM : 0;
	memset(&after, 0xff, sizeof(after));
	while (r == 0 && n == PAGE && seen < COUNT_MAX &&
	       (r = view_orders_ended(view, c->to, at, after, rows, PAGE, &n)) == 0) {
		for (size_t i = 0; i < n; i++)
			count_order(&rows[i], c);
		if (n > 0) {
			at = rows[n - 1].completed_at;
			after = rows[n - 1].renewal_id;
		}
		seen += n;
	}
	free(rows);
	return r;
}

static int count_ending(struct store_view *view, struct digest_counts *c)
{
	const struct cert_filter soon = {.expires_before_at = c->to + SOON_MS, .now = c->to};
	struct certificate      *rows = calloc(PAGE, sizeof(*rows));
	char                     after[CERT_ID_SIZE] = "";
	size_t                   n = PAGE;
	int                      r = rows == NULL ? E_NOMEM : 0;
	while (r == 0 && n == PAGE && c->ending < COUNT_MAX &&
	       (r = view_certificates(view, &soon, after, rows, PAGE, &n)) == 0) {
		for (size_t i = 0; i < n; i++)
			c->ending += rows[i].not_after_at > c->to && rows[i].revoked_at == 0;
		if (n > 0)
			text_cut(after, sizeof(after), rows[n - 1].cert_id);
	}
	free(rows);
	return r;
}

static int count_open(struct store_view *view, struct digest_counts *c)
{
	struct notice *rows = calloc(PAGE, sizeof(*rows));
	char           after[NOTICE_KEY_SIZE] = "";
	size_t         n = PAGE;
	int            r = rows == NULL ? E_NOMEM : 0;
	while (r == 0 && n == PAGE && (r = view_notices_open(view, after, rows, PAGE, &n)) == 0) {
		for (size_t i = 0; i < n; i++) {
			c->troubles += rows[i].level >= NOTICE_ERROR;
			c->waiting += rows[i].event == NOTICE_APPROVAL_WAITING || rows[i].event == NOTICE_RENEWALS_REACHED;
		}
		if (n > 0)
			text_cut(after, sizeof(after), rows[n - 1].key);
	}
	free(rows);
	return r;
}

static void count(void *job, struct store_view *view)
{
	struct job *j = job;
	j->code = view == NULL ? E_STORE_IO : count_orders(view, &j->counts);
	if (j->code == 0)
		j->code = count_ending(view, &j->counts);
	if (j->code == 0)
		j->code = count_open(view, &j->counts);
}

/* ---- on the loop ------------------------------------------------------------------------------------------------- */

static void put_last(struct commit *c, int64_t at)
{
	char text[SETTING_TEXT];
	snprintf(text, sizeof(text), "%lld", (long long)at);
	store_put_setting(commit_change(c), SETTING, span_text(text));
}

/* Counting reads a whole day: not with every tick. */
static void put_off(struct controller *ctl, const struct job *j, int code)
{
	log_line(LOG_LEVEL_ERROR, NULL, "the daily digest cannot be made: %s", err_what(code));
	ctl->digests->again_at = j->counts.to + MS_MINUTE;
}

static void on_stored(struct controller *ctl, void *ctx, int code, const struct store_result *result)
{
	struct job *j = ctx;
	(void)result;
	if (code == 0)
		ctl->digests->last_at = j->counts.to;
	else
		put_off(ctl, j, code);
	ctl->digests->busy = false;
	free(j);
}

static void on_counted(void *job)
{
	struct job        *j = job;
	struct controller *ctl = j->ctl;
	if (j->code < 0 || ctl->stopping) {
		if (j->code < 0)
			put_off(ctl, j, j->code);
		ctl->digests->busy = false;
		free(j);
		return;
	}
	struct commit *c = commit_new(ctl);
	notices_digest(c, &j->counts);
	put_last(c, j->counts.to);
	commit_now(c, on_stored, j);
}

/* The first day has no digest: nobody knows what there was before. A clock that went back begins anew. */
static void read_last(struct controller *ctl, int64_t now)
{
	struct digests                *d = ctl->digests;
	_cleanup_(buf_free) struct buf text = BUF_MAX(SETTING_TEXT);
	int                            r = view_setting(ctl->view, SETTING, &text);
	buf_add_u8(&text, 0);
	d->known = true;
	if (r == 0 && text_i64((const char *)text.p, 1, now, &d->last_at) == 0)
		return;
	struct commit *c = commit_new(ctl);
	d->last_at = now;
	put_last(c, now);
	commit_now(c, NULL, NULL);
}

void digests_tick(struct controller *ctl, int64_t now)
{
	struct digests *d = ctl->digests;
	if (d->busy || ctl->conf->notify_success != NOTIFY_SUCCESS_DIGEST)
		return;
	if (!d->known || now < d->last_at)
		read_last(ctl, now);
	if (now - d->last_at < ctl->conf->notify_digest_ms || now < d->again_at)
		return;
	struct job *j = calloc(1, sizeof(*j));
	if (j == NULL)
		abort();
	j->ctl = ctl;
	j->counts = (struct digest_counts){.from = d->last_at, .to = now};
	d->busy = true;
	workers_read(ctl->workers, count, on_counted, j);
}

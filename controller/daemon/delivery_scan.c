/* delivery_scan.c - room controller/daemon: on a worker: what is due on each channel, picked and made into a message.
 * Never: sending, storing. */
#include "controller/daemon/delivery_scan.h"

#include <stdlib.h>
#include <string.h>

#include "controller/daemon/notice_json.h"
#include "shared/base/text.h"
#include "shared/base/times.h"

/* ---- one channel ------------------------------------------------------------------------------------------------- */

/* A message that was tried before has the same rows in it as then. */
static int take_rows(struct store_view *view, const struct delivery *due, const struct delivery_pick *p,
		     const struct scan_ask *ask, struct scan_found *f)
{
	f->choice = p->choice;
	f->n = p->n;
	if (p->choice == DELIVERY_SEND && p->again)
		return view_deliveries_of(view, due[p->index[0]].message_id, f->rows, DELIVERY_BATCH, &f->n);
	for (size_t i = 0; i < p->n; i++) {
		f->rows[i] = due[p->index[i]];
		if (p->choice == DELIVERY_SEND)
			f->rows[i].message_id = ask->id;
	}
	return 0;
}

static void pack(struct delivery_scan *s, const struct scan_ask *ask, struct message *m, struct scan_found *f)
{
	message_add_links(m, ask->ch, &s->terms, s->now);
	if (message_pack(m, ask->ch, &s->terms, s->now, &f->out, &f->why) == 0)
		f->why.code = 0;
}

static int make(struct delivery_scan *s, struct store_view *view, const struct scan_ask *ask, struct scan_found *f)
{
	struct message m;
	int            r = message_make(view, f->rows, f->n, &s->terms, s->now, &m);
	if (r == E_NOT_FOUND) { /* all that it was about is gone: there is nothing to tell */
		refuse(&f->why, r, ask->ch->conf.name, "%s", err_what(r));
		return 0;
	}
	if (r < 0)
		return r;
	pack(s, ask, &m, f);
	f->cut = m.cut && ask->ch->conf.kind == CHANNEL_SMTP;
	message_free(&m);
	return 0;
}

/* The group that most of the rows are of which cannot go out yet; false: there is none, or enough were passed over. */
static bool pass_more(const struct delivery *due, size_t n, struct due_pass *pass)
{
	size_t most = 0, at = 0;
	for (size_t i = 0; i < n; i++) {
		size_t same = 0;
		bool   waits = due[i].level != NOTICE_CRITICAL && id_is_none(due[i].message_id);
		for (size_t k = i; waits && k < n; k++)
			same += text_equal(due[i].group, due[k].group);
		at = same > most ? i : at;
		most = same > most ? same : most;
	}
	if (most == 0 || pass->n == DUE_PASS_MAX)
		return false;
	text_cut(pass->group[pass->n++], NOTICE_GROUP_SIZE, due[at].group);
	return true;
}

/* However much waits of one group that has to rest, the next one is seen. */
static int pick(struct delivery_scan *s, struct store_view *view, const struct scan_ask *ask, struct delivery *due, struct delivery_pick *ret)
{
	struct due_pass pass = {.n = 0};
	size_t          n;
	int             r;
	do {
		n = 0;
		r = view_deliveries_due(view, ask->ch->conf.name, s->now, &pass, due, SCAN_DUE_MAX, &n);
		if (r == 0)
			delivery_pick(due, n, &ask->pace, s->now, ret);
	} while (r == 0 && n == SCAN_DUE_MAX && ret->choice == DELIVERY_NOTHING && !ask->pace.failing && pass_more(due, n, &pass));
	return r;
}

static int look_at(struct delivery_scan *s, struct store_view *view, size_t i, struct delivery *due)
{
	struct scan_found     *f = &s->found[i];
	const struct scan_ask *ask = &s->ask[i];
	struct delivery_pick   p;
	int                    r = pick(s, view, ask, due, &p);
	if (r < 0)
		return r;
	r = take_rows(view, due, &p, ask, f);
	if (r == 0 && f->choice == DELIVERY_SEND && f->n > 0)
		r = make(s, view, ask, f);
	if (r < 0) { /* it says nothing about the message: it waits, and is looked at again */
		f->choice = DELIVERY_NOTHING;
		f->n = 0;
	}
	return r;
}

/* ---- Alertmanager forgets what nobody tells it again ------------------------------------------------------------- */

static bool goes_to(const struct notice *n, const char *channel)
{
	char        name[CHANNEL_NAME_SIZE];
	const char *cursor = n->channels;
	while (text_item(&cursor, name, sizeof(name)))
		if (text_equal(name, channel))
			return true;
	return false;
}

/* The next page that has anything for this channel. */
static int list_open(struct store_view *view, const char *channel, char cursor[NOTICE_KEY_SIZE], json_t *to)
{
	struct notice *open = calloc(SCAN_ALERTS_MAX, sizeof(*open));
	size_t         n = SCAN_ALERTS_MAX;
	int            r = open == NULL ? E_NOMEM : 0;
	while (r == 0 && n == SCAN_ALERTS_MAX && json_array_size(to) == 0 &&
	       (r = view_notices_open(view, cursor, open, SCAN_ALERTS_MAX, &n)) == 0) {
		for (size_t k = 0; k < n; k++)
			if (goes_to(&open[k], channel))
				json_array_append_new(to, json_notice(&open[k]));
		text_cut(cursor, NOTICE_KEY_SIZE, n == SCAN_ALERTS_MAX ? open[n - 1].key : "");
	}
	free(open);
	return r;
}

static int refresh(struct delivery_scan *s, struct store_view *view, size_t i)
{
	const struct scan_ask *ask = &s->ask[i];
	struct scan_found     *f = &s->found[i];
	struct message         m = {.id = ask->id, .level = NOTICE_INFO, .notices = json_array()};
	text_cut(f->refresh_next, sizeof(f->refresh_next), ask->refresh_after);
	int r = list_open(view, ask->ch->conf.name, f->refresh_next, m.notices);
	text_cut(m.title, sizeof(m.title), "VCC PKI: see `vccctl notify list`");
	f->refreshed = r == 0;
	f->refresh = r == 0 && json_array_size(m.notices) > 0;
	if (f->refresh)
		pack(s, ask, &m, f);
	message_free(&m);
	return r;
}

/* ---- all of them ------------------------------------------------------------------------------------------------- */

static int sweep_page(struct delivery_scan *s, struct store_view *view)
{
	const struct delivery_filter waiting = {.state = DELIVERY_WAITING};
	struct delivery              rows[SCAN_SWEEP_MAX];
	size_t                       n = 0;
	int                          r = view_deliveries(view, &waiting, s->sweep_before, rows, SCAN_SWEEP_MAX, &n);
	for (size_t i = 0; r == 0 && i < n; i++) {
		bool known = channels_find(s->channels, rows[i].channel) != NULL;
		bool old = s->restored_at != 0 && rows[i].at < s->restored_at - MS_HOUR;
		s->sweep_before = rows[i].seq;
		if (known && !old)
			continue;
		rows[i].code = !known ? E_NOTIFY_CHANNEL : E_NOTIFY_OLD;
		s->swept[s->n_sweep++] = rows[i];
	}
	s->sweep = r < 0 || n == SCAN_SWEEP_MAX;
	return r;
}

/* What nobody will ever send: on to the first page that has some. */
static int sweep(struct delivery_scan *s, struct store_view *view)
{
	int r = 0;
	while (r == 0 && s->sweep && s->n_sweep == 0)
		r = sweep_page(s, view);
	return r;
}

/* What cannot be read for one channel keeps no other from its own. The first code that was below 0. */
static int look_at_all(struct delivery_scan *s, struct store_view *view, struct delivery *due)
{
	int first = 0;
	for (size_t i = 0; i < s->channels->n; i++) {
		if (s->ask[i].ch == NULL)
			continue;
		int r = look_at(s, view, i, due);
		if (r == 0 && s->found[i].choice == DELIVERY_NOTHING && s->ask[i].refresh)
			r = refresh(s, view, i);
		first = first < 0 ? first : r;
	}
	int r = view_notices_to_remind(view, s->now, s->remind, SCAN_REMIND_MAX, &s->n_remind);
	return first < 0 ? first : r;
}

/* What is from before a restore would go out; what is for a channel that is no more cannot. */
static bool may_be_old(const struct delivery_scan *s)
{
	return s->restored_at != 0 && (s->sweep || s->n_sweep > 0);
}

void delivery_scan_run(void *job, struct store_view *view)
{
	struct delivery_scan *s = job;
	struct delivery      *due = calloc(SCAN_DUE_MAX, sizeof(*due));
	int                   r = view == NULL ? E_STORE_IO : due == NULL ? E_NOMEM : 0;
	if (r == 0 && s->sweep)
		r = sweep(s, view);
	if (r == 0 && !may_be_old(s))
		r = look_at_all(s, view, due);
	free(due);
	s->code = r;
}

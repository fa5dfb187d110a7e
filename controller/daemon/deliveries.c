/* deliveries.c - room controller/daemon: brings notices to people. A tick asks a worker what is due; what it found is stored as
 * begun, sent by the channel's courier, and stored as ended. Never: waiting for a receiver on the loop; deciding what is told.
 */
#include "controller/daemon/deliveries.h"

#include <stdlib.h>
#include <string.h>

#include "controller/daemon/courier.h"
#include "controller/daemon/delivery_runs.h"
#include "controller/daemon/delivery_scan.h"
#include "controller/daemon/restored.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/pki/key.h"
#include "shared/sys/clock.h"
#include "shared/sys/log.h"

#define REFRESH_MS MS_MINUTE

/* A message on its way. */
struct batch {
	struct run            *run;
	struct channels       *from; /* those it was made from: the courier reads their secrets */
	bool                   kept; /* the store knows of it; else it is a test or a refresh */
	bool                   test;
	size_t                 n;
	struct delivery        rows[DELIVERY_BATCH];
	struct outbound        out;
	struct outbound_result result;
};

/* ---- what became of it ------------------------------------------------------------------------------------------- */

static void begin_test(struct run *run);

static void rest(struct run *run)
{
	static const struct outbound_result gone = {.code = E_NOTIFY_CHANNEL, .cause = "it was taken away meanwhile"};
	deliveries_tested_fn               *tested = run->tested;
	run->busy = false;
	if (run->gone && tested != NULL) {
		run->tested = NULL;
		tested(run->tested_ctx, &gone);
	} else if (tested != NULL && !run->ctl->stopping) {
		begin_test(run);
	}
	if (run->gone) /* what it could not send waits for a channel that is no more */
		deliveries_sweep(run->ctl->deliveries);
}

static void batch_free(struct batch *b)
{
	outbound_free(&b->out);
	channels_free(b->from);
	free(b);
}

static void count(struct run *run, const struct outbound_result *result, bool dead)
{
	struct channel_state *s = &run->state;
	bool                  well = result->code == 0;
	if (well && s->code != 0)
		log_line(LOG_LEVEL_NOTICE, NULL, "channel %s delivers again", s->name);
	s->sent += well;
	s->failed += !well;
	s->dead += dead;
	*(well ? &s->sent_at : &s->failed_at) = clock_now();
	s->code = result->code;
	text_cut(s->cause, sizeof(s->cause), result->cause);
}

static void on_recorded(struct controller *ctl, void *ctx, int code, const struct store_result *result)
{
	struct batch *b = ctx;
	(void)ctl;
	(void)result;
	if (code < 0) /* it stands as waiting still: sent once more, with the same id */
		log_line(LOG_LEVEL_ERROR, NULL, "channel %s: what became of a message was not stored: %s",
			 b->run->state.name, err_what(code));
	struct run *run = b->run;
	batch_free(b);
	rest(run);
}

static void tell_failure(struct commit *c, const struct batch *b, bool dead)
{
	char            text[ERR_CODE_SIZE], id[ID_TEXT_SIZE];
	const char     *channel = b->run->state.name;
	struct audit_of of = {.event = AUDIT_NOTIFICATION_DEAD, .actor = "controller", .object = channel};
	if (dead || b->rows[0].attempts == 1)
		log_line(LOG_LEVEL_WARNING, NULL, "%s channel %s: message %s %s: %s", err_code(b->result.code, text), channel,
			 id_text(b->rows[0].message_id, id), dead ? "was given up" : "was not delivered and is tried again",
			 b->result.cause);
	if (dead)
		commit_audit(c, &of, "{s:s,s:s,s:i,s:i,s:s}", "message_id", id_text(b->rows[0].message_id, id), "code",
			     err_code(b->result.code, text), "attempts", (int)b->rows[0].attempts, "notifications", (int)b->n,
			     "cause", b->result.cause);
}

static void record(struct batch *b)
{
	const struct controller_conf *conf = b->run->ctl->conf;
	int64_t                       now = clock_now(), due = TIME_NEVER;
	uint32_t                      random;
	bool                          well = b->result.code == 0;
	random_bytes(&random, sizeof(random));
	if (!well && !b->result.final)
		due = delivery_retry_at(b->rows[0].attempts, (uint32_t)conf->notify_tries, conf->notify_retry_ms,
					b->result.wait_ms, random, now);
	bool           dead = !well && due == TIME_NEVER;
	struct commit *c = commit_new(b->run->ctl);
	for (size_t i = 0; i < b->n; i++) {
		struct delivery *d = &b->rows[i];
		d->state = well ? DELIVERY_SENT : dead ? DELIVERY_DEAD : DELIVERY_WAITING;
		d->due_at = due;
		d->ended_at = well || dead ? now : 0;
		d->code = b->result.code;
		text_cut(d->cause, sizeof(d->cause), b->result.cause);
		if (well)
			delivery_note_sent(&b->run->pace, d->group, now);
		store_put_delivery(commit_change(c), d);
	}
	b->run->pace.failing = !well && !dead;
	if (!well)
		tell_failure(c, b, dead);
	count(b->run, &b->result, dead);
	commit_fault_points(c, "controller.notify_sent", "controller.notify_sent_stored");
	commit_now(c, on_recorded, b);
}

static void on_sent(void *ctx, struct outbound *o, const struct outbound_result *result)
{
	struct batch *b = ctx;
	struct run   *run = b->run;
	b->out = *o;
	b->result = *result;
	if (b->kept && result->code != E_SYS_AGAIN) {
		record(b);
		return;
	}
	if (b->test) {
		deliveries_tested_fn *tested = run->tested;
		run->tested = NULL;
		count(run, result, false);
		tested(run->tested_ctx, result);
	} else if (!b->kept && result->code != E_SYS_AGAIN) {
		count(run, result, false);
	}
	batch_free(b);
	rest(run);
}

/* ---- what is begun ----------------------------------------------------------------------------------------------- */

static struct batch *batch_new(struct run *run, struct outbound *o)
{
	struct batch *b = calloc(1, sizeof(*b));
	if (b == NULL)
		abort();
	b->run = run;
	b->from = channels_keep(run->ctl->deliveries->channels);
	b->out = *o;
	b->out.timeout_ms = run->ctl->conf->notify_timeout_ms;
	memset(o, 0, sizeof(*o));
	run->busy = true;
	return b;
}

static void send_it(struct batch *b)
{
	courier_send(b->run->courier, &b->out, on_sent, b);
}

static void on_begun(struct controller *ctl, void *ctx, int code, const struct store_result *result)
{
	struct batch *b = ctx;
	(void)result;
	if (code == 0 && !ctl->stopping && b->result.code == 0) {
		send_it(b);
	} else if (code == 0 && !ctl->stopping) {
		record(b);
	} else {
		struct run *run = b->run;
		batch_free(b);
		rest(run);
	}
}

/* Once: a message is made anew with each attempt. */
static void tell_cut(const struct run *run, const struct scan_found *f)
{
	char id[ID_TEXT_SIZE];
	if (f->cut && f->rows[0].attempts == 0)
		log_line(LOG_LEVEL_WARNING, NULL, "channel %s: message %s has no room for every address, %d octets are all: name a list of your mail system instead",
			 run->state.ch->conf.name, id_text(f->rows[0].message_id, id), OUTBOUND_TO_SIZE - 1);
}

/* Stored first: whatever happens from now on, this message has this id and these rows. */
static void begin(struct run *run, struct scan_found *f)
{
	struct batch  *b = batch_new(run, &f->out);
	struct commit *c = commit_new(run->ctl);
	tell_cut(run, f);
	b->kept = true;
	b->n = f->n;
	b->result = (struct outbound_result){.code = f->why.code, .final = true};
	text_cut(b->result.cause, sizeof(b->result.cause), f->why.cause);
	for (size_t i = 0; i < f->n; i++) {
		b->rows[i] = f->rows[i];
		b->rows[i].attempts++;
		store_put_delivery(commit_change(c), &b->rows[i]);
	}
	commit_fault_points(c, "controller.notify", "controller.notify_stored");
	commit_now(c, on_begun, b);
}

static void on_held(struct controller *ctl, void *ctx, int code, const struct store_result *result)
{
	(void)ctl;
	(void)code; /* not stored: held at the next look */
	(void)result;
	rest(ctx);
}

static void hold(struct run *run, const struct scan_found *f)
{
	int64_t        now = clock_now();
	struct commit *c = commit_new(run->ctl);
	run->busy = true;
	for (size_t i = 0; i < f->n; i++) {
		struct delivery d = f->rows[i];
		d.held = true;
		d.due_at = run->pace.quiet_until < now + MS_DAY ? run->pace.quiet_until
								: now + MS_DAY; /* of one without end: looked at daily */
		store_put_delivery(commit_change(c), &d);
	}
	commit_now(c, on_held, run);
}

/* They hold as long as the channels are kept. */
static struct message_terms terms_of(const struct controller *ctl)
{
	const struct channels *c = ctl->deliveries->channels;
	const struct controller_conf *conf = ctl->conf; /* readings stay until the end */
	return (struct message_terms){ctl->domain, c->contact_admin, c->contact_security, c->contact_approver, conf->notify_link_url,
				      ctl->notice_key, conf->notify_link_ms};
}

static void begin_test(struct run *run)
{
	struct message_terms terms = terms_of(run->ctl);
	struct message       m;
	struct outbound      o = {.mail = false};
	struct refusal       why = {.code = 0};
	int64_t              now = clock_now();
	message_test(&terms, controller_id(now), now, &m);
	int r = message_pack(&m, run->state.ch, &terms, now, &o, &why);
	message_free(&m);
	struct batch *b = batch_new(run, &o);
	b->test = true;
	if (r == 0) {
		send_it(b);
		return;
	}
	struct outbound_result failed = {.code = r};
	text_cut(failed.cause, sizeof(failed.cause), why.cause);
	on_sent(b, &o, &failed);
}

int deliveries_test(struct controller *ctl, const char *channel, deliveries_tested_fn *done, void *ctx, struct refusal *why)
{
	const struct channel *ch = channels_find(ctl->deliveries->channels, channel);
	if (ch == NULL)
		return refuse(why, E_NOTIFY_CHANNEL, channel, "%s", err_what(E_NOTIFY_CHANNEL));
	struct run *run = ctl->deliveries->of[ch - ctl->deliveries->channels->row];
	if (ch->problem.code != 0) {
		*why = ch->problem;
		return ch->problem.code;
	}
	if (run->tested != NULL || ctl->stopping)
		return refuse(why, E_NOTIFY_BUSY, channel, "%s", err_what(E_NOTIFY_BUSY));
	run->tested = done;
	run->tested_ctx = ctx;
	if (!run->busy)
		begin_test(run);
	return 0;
}

/* ---- the tick ---------------------------------------------------------------------------------------------------- */

static void remind(struct controller *ctl, const struct notice *n, int64_t now)
{
	const struct channels *channels = ctl->deliveries->channels;
	char                   to[NOTICE_CHANNELS_SIZE];
	enum delivery_kind     kind;
	int64_t                next = delivery_look(n, &channels->nag, now, &kind);
	text_cut(to, sizeof(to), n->channels);
	if (kind == DELIVERY_ESCALATION)
		channels_escalate(channels, n, to);
	struct commit *c = commit_new(ctl);
	store_remind(commit_change(c), n->notice_id, kind, to, now, next);
	commit_fault_points(c, "controller.notify_remind", "controller.notify_remind_stored");
	commit_now(c, NULL, NULL);
}

static void on_buried(struct controller *ctl, void *ctx, int code, const struct store_result *result)
{
	struct deliveries *all = ctl->deliveries;
	(void)ctx;
	(void)result;
	all->burying = false;
	if (code < 0) /* from the beginning: it waits still */
		deliveries_sweep(all);
}

static void bury(struct controller *ctl, const struct delivery_scan *s)
{
	struct commit *c = commit_new(ctl);
	for (size_t i = 0; i < s->n_sweep; i++) {
		struct delivery d = s->swept[i];
		d.state = DELIVERY_DEAD;
		d.due_at = TIME_NEVER;
		d.ended_at = s->now;
		text_cut(d.cause, sizeof(d.cause), err_what(d.code));
		store_put_delivery(commit_change(c), &d);
	}
	log_line(LOG_LEVEL_WARNING, NULL,
		 "%zu notifications are sent to nobody: their channel is no more, or they are from before a restore",
		 s->n_sweep);
	ctl->deliveries->burying = true;
	commit_now(c, on_buried, NULL);
}

/* A round begins each minute, and takes a page with each tick. */
static void note_refresh(struct run *run, const struct scan_found *f)
{
	if (run->refresh_after[0] == '\0')
		run->refresh_at = clock_now() + REFRESH_MS;
	text_cut(run->refresh_after, sizeof(run->refresh_after), f->refresh_next);
	if (f->why.code < 0)
		log_refusal(LOG_LEVEL_ERROR, NULL, &f->why);
}

static void act_on(struct run *run, struct scan_found *f)
{
	bool idle = !run->busy && !run->ctl->stopping;
	if (idle && f->refreshed)
		note_refresh(run, f);
	if (idle && f->refresh && f->why.code == 0) {
		send_it(batch_new(run, &f->out));
	} else if (idle && f->choice == DELIVERY_SEND && f->n > 0) {
		begin(run, f);
	} else if (idle && f->choice == DELIVERY_HOLD) {
		hold(run, f);
	}
	outbound_free(&f->out);
}

/* Once: a store that cannot be read is looked at with every tick. */
static void tell_scan(struct deliveries *all, int code)
{
	char text[ERR_CODE_SIZE];
	if (code < 0 && code != all->code)
		log_line(LOG_LEVEL_ERROR, NULL, "%s notifications that are due cannot all be read, and wait: %s",
			 err_code(code, text), err_what(code));
	else if (code == 0 && all->code < 0)
		log_line(LOG_LEVEL_NOTICE, NULL, "notifications that are due can be read again");
	all->code = code;
}

/* Other channels were read meanwhile: what was found may be for one that is no more, or go another way. It waits in the store. */
static void leave(struct delivery_scan *s)
{
	for (size_t i = 0; i < s->channels->n; i++)
		outbound_free(&s->found[i].out);
	channels_free(s->channels);
	free(s);
}

static void on_scanned(void *job)
{
	struct delivery_scan *s = job;
	struct controller    *ctl = s->ctl;
	struct deliveries    *all = ctl->deliveries;
	all->scanning = false;
	tell_scan(all, s->code);
	if (s->channels != all->channels) {
		leave(s);
		return;
	}
	if (!all->again) {
		all->sweep = s->sweep;
		all->sweep_before = s->sweep_before;
	}
	for (size_t i = 0; i < all->channels->n; i++)
		act_on(all->of[i], &s->found[i]);
	for (size_t i = 0; i < s->n_remind && !ctl->stopping; i++)
		remind(ctl, &s->remind[i], s->now);
	if (s->n_sweep > 0 && !ctl->stopping)
		bury(ctl, s);
	channels_free(s->channels);
	free(s);
}

static void ask(struct run *run, int64_t now, struct scan_ask *ret)
{
	const struct channel *ch = run->state.ch;
	if (run->busy || ch->problem.code != 0)
		return;
	run->pace.quiet = channel_quiet(ch, now, &run->pace.quiet_until);
	*ret = (struct scan_ask){.ch = ch, .pace = run->pace, .id = controller_id(now)};
	ret->refresh = ch->conf.kind == CHANNEL_ALERTMANAGER && (now >= run->refresh_at || run->refresh_after[0] != '\0');
	text_cut(ret->refresh_after, sizeof(ret->refresh_after), run->refresh_after);
}

void deliveries_tick(struct controller *ctl, int64_t now)
{
	struct deliveries *all = ctl->deliveries;
	if (all->scanning || all->burying || (all->channels->n == 0 && !all->sweep))
		return;
	struct delivery_scan *s = calloc(1, sizeof(*s));
	if (s == NULL)
		abort();
	s->ctl = ctl;
	s->now = now;
	s->restored_at = restored_at(ctl);
	s->channels = channels_keep(all->channels);
	s->terms = terms_of(ctl);
	s->sweep = all->sweep;
	s->sweep_before = all->sweep_before;
	for (size_t i = 0; i < all->channels->n; i++)
		ask(all->of[i], now, &s->ask[i]);
	all->scanning = true;
	all->again = false;
	workers_read(ctl->workers, delivery_scan_run, on_scanned, s);
}

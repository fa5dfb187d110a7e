/* care.c - room agent/keeper: the care for each place between orders: finds what differs, decides by the core's table.
 * Never: while an order works on the place. */
#include "agent/keeper/care.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/keeper/content.h"
#include "agent/keeper/copies.h"
#include "agent/keeper/look.h"
#include "agent/keeper/place.h"
#include "agent/keeper/swap.h"
#include "agent/keeper/targets.h"
#include "agent/keeper/uplink.h"
#include "agent/keeper/watch.h"
#include "shared/base/text.h"
#include "shared/sys/clock.h"
#include "shared/sys/file.h"
#include "shared/sys/log.h"

enum {
	RESCAN_MS = 60 * 1000, /* everything is compared so often even when no change was noticed */
	TELL_MS = 5 * 1000,    /* other changes beside a second writer's are told so often */
};

struct refresh_event care_event_of(enum refresh_event_kind kind, int code)
{
	struct refresh_event e = {.kind = kind, .code = code};
	if (code != 0)
		text_cut(e.cause, sizeof(e.cause), err_what(code));
	return e;
}

/* ---- may anything be done? --------------------------------------------------------------------------------------- */

static bool cared_for(const struct place *p)
{
	return p->present && !p->retired && p->managed->live.certificate.n > 0 && !deploy_owns_place(p->managed->deploy.phase);
}

/* ---- drift ------------------------------------------------------------------------------------------------------- */

/* What was read there is still true while `current` names the same generation and its files have the hashes that they were written with:
 * to read the key and verify the chain again would cost more than all other care for a place that rests. */
static bool read_before(const struct place *p, int dir_fd)
{
	uint64_t there;
	return place_in_use(p) != NULL && hash_equal(p->on_disk.fingerprint, p->managed->live.fingerprint) &&
	       generation_current(dir_fd, &there, NULL) == 0 && there == p->on_disk.generation;
}

/* `current` has to lead to a generation that we made of the issuance in use. */
static int compare(struct place *p, struct drift *ret, struct refusal *why)
{
	const struct made *made;
	_cleanup_fd_ int   fd = -1;
	int                r = place_open(p, &fd, why);
	bool               known = r == 0 && read_before(p, fd);
	if (!known)
		place_look(p);
	made = place_in_use(p);
	*ret = (struct drift){.kind = DRIFT_NONE};
	if (r != 0)
		return r;
	if (p->made[0].generation == 0)
		return 0; /* nothing was made by this keeper yet: new content is wanted, nothing was changed */
	if (made == NULL || (!hash_is_none(p->on_disk.fingerprint) && !hash_equal(p->on_disk.fingerprint, p->managed->live.fingerprint))) {
		*ret = (struct drift){.kind = DRIFT_LINK, .file = "current", .files = 1, .bytes = true};
		return 0;
	}
	r = generation_compare(fd, made, ret, why);
	if (known && ret->kind != DRIFT_NONE)
		place_look(p);
	if (r == 0 && ret->kind == DRIFT_NONE && hash_equal(made->content, content_wanted(p, p->managed->live.fingerprint)))
		copies_compare(&p->conf, fd, made->generation, ret);
	return r;
}

static void drift_tell(struct place *p, const struct drift *d, bool rival)
{
	struct msg_drift m = {.kind = d->kind, .uid = d->uid, .mode = d->mode, .links = d->links, .files = d->files,
	                      .changed_at = d->changed_at, .seen_at = clock_now(), .rival = rival};
	char             text[CAUSE_SIZE];
	text_cut(m.cert_id, sizeof(m.cert_id), p->managed->cert_id);
	text_cut(m.stem, sizeof(m.stem), p->stem);
	text_cut(m.file, sizeof(m.file), d->file);
	log_line(LOG_LEVEL_WARNING, NULL, "%s: %s%s", p->stem, drift_words(d, text), rival ? "; a second writer undoes the repairs" : "");
	(void)uplink_send(p->managed->keeper->uplink, MSG_DRIFT, &m);
}

const char *drift_words(const struct drift *d, char ret[CAUSE_SIZE])
{
	if (d->kind == DRIFT_MISSING || d->kind == DRIFT_LINK)
		snprintf(ret, CAUSE_SIZE, "%s %s", d->file, d->kind == DRIFT_LINK ? "leads elsewhere" : drift_kind_name(d->kind));
	else
		snprintf(ret, CAUSE_SIZE, "%s %s (owner %u, mode %04o, %u names)", d->file, drift_kind_name(d->kind), (unsigned)d->uid,
		         (unsigned)d->mode, (unsigned)d->links);
	return ret;
}

static bool drift_same(const struct drift *a, const struct drift *b)
{
	return a->kind == b->kind && a->files == b->files && text_equal(a->file, b->file);
}

/* A new change is told at once, and once. While one waits because of a second writer, its changes are counted alone: ten a second would
 * be a loop of words. Told is then what is of another sort, so that nobody hides behind that writer; not often, as he may have several. */
static bool drift_judge(struct place *p, const struct drift *d)
{
	bool    alarm;
	bool    new = !drift_same(&p->drift, d) || p->drift.changed_at != d->changed_at;
	int64_t now = clock_monotonic();
	int64_t repair_at = rival_changed(&p->rival, now, &alarm);
	bool    waits = repair_at > now && !alarm;
	if (new) {
		p->drift = *d;
		p->drifted_at = clock_now();
		p->drifts++;
	}
	if (waits ? !drift_same(&p->drift_told, d) && now - p->drift_told_at >= TELL_MS : new || alarm) {
		drift_tell(p, d, p->rival.alarm);
		p->drift_told = *d;
		p->drift_told_at = now;
	}
	return repair_at <= now;
}

/* ---- what is to be done first ------------------------------------------------------------------------------------ */

static void want(struct place *p, enum refresh_reason reason, bool changed)
{
	struct refresh_event e = {.kind = REV_WANT, .reason = reason, .changed = changed};
	e.content = content_wanted(p, p->managed->live.fingerprint);
	e.blind = !target_probed(&p->conf);
	e.was_down = p->down;
	/* back only to a whole set of the same issuance */
	if (hash_equal(p->on_disk.fingerprint, p->managed->live.fingerprint))
		e.old_generation = p->on_disk.generation;
	if (p->care_want_waits || !refresh_may_begin(&p->care, reason, &e.content))
		return;
	p->care_want_waits = true;
	keeper_post_care(p, &e);
}

/* What lies there cannot be compared; code 0: it can. */
static void trouble(struct place *p, int code, const struct refusal *why)
{
	if (p->files_code == code)
		return; /* said before */
	p->files_code = code;
	snprintf(p->files_cause, sizeof(p->files_cause), "%.70s: %.80s", why->object, why->cause);
	text_plain(p->files_cause);
	if (code != 0)
		log_refusal(LOG_LEVEL_ERROR, NULL, why);
	target_report(p);
}

/* There is nothing to be done: what still waits for another try has gone away by itself. */
static void calm(struct place *p)
{
	struct refresh_event e = care_event_of(REV_DROP, 0);
	if (p->care.phase != REFRESH_WAIT && p->care.code == 0)
		return;
	if (care_event(p, &e) != 0)
		keeper_die(p->managed->keeper, E_INTERNAL, "end its care for a target");
	target_report(p);
}

void care_look(struct place *p)
{
	struct refusal       why = {.code = 0};
	const struct managed *m = p->managed;
	struct drift         d;
	if (!cared_for(p) || !refresh_may_begin(&p->care, REFRESH_ORDER, &p->care.content))
		return;
	int r = compare(p, &d, &why);
	trouble(p, r, &why);
	if (r != 0)
		return;
	watch_place(m->keeper->watch, p);
	const struct made *made = place_in_use(p);
	if (content_lost_lists(p))
		return; /* they are fetched again, and then it goes on */
	struct hash        content = content_wanted(p, m->live.fingerprint);
	bool               healing = m->deploy.phase == DEPLOY_HEAL;
	if (d.kind != DRIFT_NONE) {
		if (drift_judge(p, &d))
			want(p, REFRESH_REPAIR, d.bytes);
	} else if (made == NULL || !hash_equal(made->content, content)) {
		want(p, REFRESH_CONTENT, true);
	} else if (!healing && !hash_equal(p->proved, content)) {
		want(p, REFRESH_PROVE, false);
	} else if (!healing && p->stale_since_at != 0) {
		want(p, REFRESH_HEAL, false);
	} else if (!healing && rehearsal_due(p, clock_now())) {
		want(p, REFRESH_REHEARSE, false);
	} else {
		calm(p);
	}
}

void care_look_all(struct keeper *k)
{
	for (size_t i = 0; i < k->n_managed; i++)
		for (size_t j = 0; j < k->managed[i]->n_places; j++)
			care_look(k->managed[i]->places[j]);
}

void care_beat(struct keeper *k)
{
	int64_t now = clock_monotonic();
	for (size_t i = 0; i < k->n_managed; i++)
		for (size_t j = 0; j < k->managed[i]->n_places; j++) {
			struct place *p = k->managed[i]->places[j];
			bool          repair_waits = p->rival.judged && p->rival.alarm;
			bool          at_rest = p->care.phase == REFRESH_REST; /* else what is due is under way, or waits for its next try */
			bool          due = now >= p->rescan_due || p->watch.missing || repair_waits ||
				    (at_rest && (p->stale_since_at != 0 || rehearsal_due(p, clock_now())));
			if (!cared_for(p))
				continue;
			if (due) {
				p->rescan_due = now + RESCAN_MS;
				care_look(p);
			}
			look_beat(p, now);
		}
}

/* ---- one event --------------------------------------------------------------------------------------------------- */

static void on_timer(uv_timer_t *timer)
{
	struct place        *p = timer->data;
	struct refresh_event e = care_event_of(REV_TIMER, 0);
	if (p->care_probe != NULL)
		probe_summary(p->care_probe, &e.probe);
	keeper_post_care(p, &e);
}

static void timer_set(struct place *p)
{
	int64_t wait = p->care.next_at - clock_steady();
	if (p->care.phase == REFRESH_REST || p->care.next_at == TIME_NEVER)
		uv_timer_stop(p->timer);
	else
		uv_timer_start(p->timer, on_timer, wait > 0 ? (uint64_t)wait : 0, 0);
}

static bool began(const struct refresh *was, const struct refresh *is)
{
	return (was->phase == REFRESH_REST || was->phase == REFRESH_WAIT) && is->phase != REFRESH_REST && is->phase != REFRESH_WAIT;
}

int care_event(struct place *p, const struct refresh_event *event)
{
	struct deploy_policy policy = swap_policy(p->managed);
	struct refresh_step  step;
	struct refresh       was = p->care;
	if (event->kind == REV_WANT && !cared_for(p))
		return 0; /* an order came first */
	int r = refresh_step(&p->care, event, clock_steady(), &policy, &step);
	if (r != 0 || step.ignored)
		return r;
	p->care = step.next;
	if (began(&was, &p->care))
		look_end(p);
	if (was.phase != p->care.phase)
		log_line(LOG_LEVEL_INFO, NULL, "%s: %s: %s -> %s%s%s", p->stem, refresh_reason_name(p->care.reason),
		         refresh_phase_name(was.phase), refresh_phase_name(p->care.phase), p->care.code != 0 ? ": " : "", p->care.cause);
	timer_set(p);
	for (size_t i = 0; i < step.n_act; i++)
		care_act(p, step.act[i]);
	if (p->care.phase == REFRESH_REST && event->kind != REV_DROP)
		care_look(p); /* is there more to do? */
	return 0;
}

void care_end(struct place *p)
{
	struct refresh_event e = care_event_of(REV_DROP, 0);
	if (care_event(p, &e) != 0)
		keeper_die(p->managed->keeper, E_INTERNAL, "end its care for a target");
	look_end(p);
}

void care_drop(struct managed *m)
{
	for (size_t i = 0; i < m->n_places; i++)
		care_end(m->places[i]);
}

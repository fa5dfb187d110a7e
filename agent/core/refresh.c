/* refresh.c - room agent/core: the care for one target between orders; the table is the workflow.
 * Never: clocks, files, sockets, heap, crypto. A row that is not in the table changes nothing. */
#include "agent/core/refresh.h"

#include "agent/core/deploy_part.h"
#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/base/times.h"

struct refresh_context {
	const struct refresh       *r;
	const struct refresh_event *event;
	const struct deploy_policy *policy;
	int64_t                     now;
};

typedef bool refresh_guard(const struct refresh_context *c);
typedef void refresh_handler(const struct refresh_context *c, struct refresh_step *s);

#define R(phase)      (1u << REFRESH_##phase)
#define BEFORE_CHANGE (R(WRITE) | R(TEST))
#define UNDER_CARE    (BEFORE_CHANGE | R(FLIP) | R(RELOAD) | R(PROBE) | R(BACK_FLIP) | R(BACK_RELOAD))

/* ---- building a step --------------------------------------------------------------------------------------------- */

static void act(struct refresh_step *s, enum refresh_action_kind kind)
{
	s->act[s->n_act++] = kind;
}

static void enter(struct refresh_step *s, enum refresh_phase phase)
{
	s->next.phase = phase;
	s->next.next_at = TIME_NEVER;
}

static void note(struct refresh_step *s, int code, const char *cause)
{
	if (s->next.code != 0)
		return;
	s->next.code = code;
	text_cut(s->next.cause, sizeof(s->next.cause), cause);
}

/* The first failure is told, later ones of the same row are not: the state says that it goes on. */
static void wait(const struct refresh_context *c, struct refresh_step *s)
{
	enter(s, REFRESH_WAIT);
	s->next.next_at = c->now + part_backoff(c->policy->heal_min_ms, c->policy->heal_max_ms, c->r->tries, c->event->random);
	s->next.tries = c->r->tries + 1;
	act(s, RACT_PROBE_STOP);
	if (c->r->tries == 0)
		act(s, RACT_REPORT);
}

static void reload(const struct refresh_context *c, struct refresh_step *s, enum refresh_phase phase)
{
	enter(s, phase);
	s->next.next_at = c->now + c->policy->reload_ms;
	act(s, RACT_PROBE);
	act(s, RACT_RELOAD);
}

static void probe(const struct refresh_context *c, struct refresh_step *s)
{
	enter(s, REFRESH_PROBE);
	s->next.next_at = c->now + c->policy->probe_ms;
}

/* ---- guards ------------------------------------------------------------------------------------------------------ */

static bool writes(const struct refresh_context *c)
{
	return c->event->reason == REFRESH_REPAIR || c->event->reason == REFRESH_CONTENT || c->event->reason == REFRESH_REHEARSE;
}

static bool may_begin(const struct refresh_context *c)
{
	return refresh_may_begin(c->r, c->event->reason, &c->event->content);
}

static bool may_write(const struct refresh_context *c)
{
	return may_begin(c) && writes(c);
}

static bool went_wrong(const struct refresh_context *c)
{
	return c->event->code != 0;
}

static bool was_written(const struct refresh_context *c)
{
	return c->event->code == 0;
}

static bool is_repair(const struct refresh_context *c)
{
	return c->r->reason == REFRESH_REPAIR;
}

static bool is_rehearsal(const struct refresh_context *c)
{
	return c->r->reason == REFRESH_REHEARSE;
}

static bool test_failed(const struct refresh_context *c)
{
	return c->event->code != 0 && c->event->code != E_HOOK_NAMESPACE;
}

static bool flip_failed(const struct refresh_context *c)
{
	return c->event->code != 0 && c->event->current_generation != c->r->generation;
}

static bool repaired_unread(const struct refresh_context *c)
{
	return is_repair(c) && !c->r->changed;
}

static bool blind_failed(const struct refresh_context *c)
{
	return c->r->blind && c->event->code != 0;
}

static bool blind(const struct refresh_context *c)
{
	return c->r->blind;
}

static bool blind_rehearsal(const struct refresh_context *c)
{
	return blind(c) && is_rehearsal(c);
}

static bool blind_repaired_unread(const struct refresh_context *c)
{
	return blind(c) && repaired_unread(c);
}

static bool is_served(const struct refresh_context *c)
{
	const struct probe_summary *p = &c->event->probe;
	return p->listeners > 0 && p->answered == p->listeners && p->row_new >= c->policy->verify_row;
}

/* A server that names the authorities of its clients tells by that whether it has read the new trust files. One that is meant to name
 * others never will: then the reload counts, once the time is over. */
static bool is_proved(const struct refresh_context *c)
{
	const struct probe_summary *p = &c->event->probe;
	return is_served(c) && (!p->asks || p->row_trust >= c->policy->verify_row);
}

static bool early(const struct refresh_context *c)
{
	return c->now < c->r->next_at;
}

static bool was_wrong(const struct refresh_context *c)
{
	return c->r->code != 0;
}

/* ---- handlers ---------------------------------------------------------------------------------------------------- */

static void on_nothing(const struct refresh_context *c, struct refresh_step *s)
{
	(void)c;
	(void)s;
}

static void begin(const struct refresh_context *c, struct refresh_step *s)
{
	const struct refresh_event *e = c->event;
	bool                        again = c->r->reason == e->reason && hash_equal(c->r->content, e->content);
	s->next = (struct refresh){
		.reason = e->reason,
		.tries = again ? c->r->tries : 0,
		.content = e->content,
		.changed = e->changed,
		.was_down = e->was_down,
		.blind = e->blind,
		.can_go_back = e->old_generation != 0,
		.old_generation = e->old_generation,
	};
}

static void on_want_write(const struct refresh_context *c, struct refresh_step *s)
{
	begin(c, s);
	enter(s, REFRESH_WRITE);
	act(s, RACT_WRITE);
}

static void on_want_reload(const struct refresh_context *c, struct refresh_step *s)
{
	begin(c, s);
	reload(c, s, REFRESH_RELOAD);
}

static void on_write_failed(const struct refresh_context *c, struct refresh_step *s)
{
	note(s, c->event->code, c->event->cause);
	wait(c, s);
}

static void flip(struct refresh_step *s)
{
	enter(s, REFRESH_FLIP);
	act(s, RACT_FLIP);
}

static void on_written_repair(const struct refresh_context *c, struct refresh_step *s)
{
	s->next.generation = c->event->generation;
	flip(s);
}

static void on_written(const struct refresh_context *c, struct refresh_step *s)
{
	s->next.generation = c->event->generation;
	enter(s, REFRESH_TEST);
	s->next.next_at = c->now + c->policy->test_ms;
	act(s, RACT_TEST);
}

/* Somebody took over while it was being written: nobody will use it. */
static void on_written_late(const struct refresh_context *c, struct refresh_step *s)
{
	s->next.generation = c->event->generation;
	act(s, RACT_DISCARD);
}

/* The new generation was never in use. */
static void give_up(const struct refresh_context *c, struct refresh_step *s, int code, const char *cause)
{
	note(s, code, cause);
	act(s, RACT_DISCARD);
	wait(c, s);
}

static void on_failed(const struct refresh_context *c, struct refresh_step *s)
{
	give_up(c, s, c->event->code, c->event->cause);
}

static void on_test_late(const struct refresh_context *c, struct refresh_step *s)
{
	give_up(c, s, E_SWAP_DEADLINE, "the configuration test did not end in time");
}

static void on_tested_rehearsal(const struct refresh_context *c, struct refresh_step *s)
{
	probe(c, s);
	act(s, RACT_PROBE);
}

static void on_tested(const struct refresh_context *c, struct refresh_step *s)
{
	(void)c;
	flip(s);
}

/* Nothing is under way and nothing is wrong. */
static void rest(struct refresh_step *s)
{
	enter(s, REFRESH_REST);
	s->next.tries = 0;
	s->next.code = 0;
	s->next.cause[0] = '\0';
}

static void done(const struct refresh_context *c, struct refresh_step *s)
{
	bool rehearsal = is_rehearsal(c);
	if (is_repair(c) && s->next.code != 0) { /* what is served is right, a copy is not */
		wait(c, s);
		act(s, RACT_PROVED);
		return;
	}
	rest(s);
	act(s, RACT_PROBE_STOP);
	act(s, rehearsal ? RACT_DISCARD : RACT_PROVED);
	act(s, RACT_REPORT);
}

/* The link leads where it should, but what follows it (a copy at a fixed path) could not be repaired: no handshake will show that. */
static void flip_note(const struct refresh_context *c, struct refresh_step *s)
{
	if (is_repair(c))
		note(s, c->event->code, c->event->cause);
}

static void on_flipped_blind(const struct refresh_context *c, struct refresh_step *s)
{
	flip_note(c, s);
	done(c, s);
}

static void on_flipped_unread(const struct refresh_context *c, struct refresh_step *s)
{
	flip_note(c, s);
	probe(c, s);
	act(s, RACT_PROBE);
}

static void on_flipped(const struct refresh_context *c, struct refresh_step *s)
{
	flip_note(c, s);
	reload(c, s, REFRESH_RELOAD);
}

/* Back only from new files, and only where something was answering with the old ones. */
static void not_served(const struct refresh_context *c, struct refresh_step *s, int code, const char *cause)
{
	note(s, code, cause);
	if (is_rehearsal(c)) {
		act(s, RACT_DISCARD);
		wait(c, s);
	} else if (c->r->reason == REFRESH_CONTENT && c->r->can_go_back && !c->r->was_down) {
		enter(s, REFRESH_BACK_FLIP);
		act(s, RACT_FLIP_BACK);
	} else {
		wait(c, s);
	}
}

static void on_blind_failed(const struct refresh_context *c, struct refresh_step *s)
{
	not_served(c, s, c->event->code, c->event->cause);
}

static void on_reloaded(const struct refresh_context *c, struct refresh_step *s)
{
	probe(c, s);
}

static void on_not_served(const struct refresh_context *c, struct refresh_step *s)
{
	const struct probe_summary *p = &c->event->probe;
	if (p->answered < p->listeners)
		not_served(c, s, E_SWAP_PROBE, "not every listener answers");
	else
		not_served(c, s, E_SWAP_STALE, "another certificate than the issued one is served");
}

/* The service was not told of the repair, and does not serve what is issued: now it is told. */
static void on_unread_not_served(const struct refresh_context *c, struct refresh_step *s)
{
	s->next.changed = true;
	reload(c, s, REFRESH_RELOAD);
}

static void on_back(const struct refresh_context *c, struct refresh_step *s)
{
	reload(c, s, REFRESH_BACK_RELOAD);
}

static void on_back_failed(const struct refresh_context *c, struct refresh_step *s)
{
	s->next.next_at = c->now + c->policy->heal_min_ms;
}

static void on_back_again(const struct refresh_context *c, struct refresh_step *s)
{
	(void)c;
	s->next.next_at = TIME_NEVER;
	act(s, RACT_FLIP_BACK);
}

static void on_back_done(const struct refresh_context *c, struct refresh_step *s)
{
	act(s, RACT_DISCARD);
	wait(c, s);
}

static void on_wait_over(const struct refresh_context *c, struct refresh_step *s)
{
	(void)c;
	enter(s, REFRESH_REST);
}

static void on_drop(const struct refresh_context *c, struct refresh_step *s)
{
	bool unused = (BEFORE_CHANGE & (1u << c->r->phase)) != 0 || is_rehearsal(c);
	rest(s); /* what failed before is found again when it is still so */
	act(s, RACT_PROBE_STOP);
	if (unused)
		act(s, RACT_DISCARD);
}

/* Nobody is going to try again what failed. */
static void on_over(const struct refresh_context *c, struct refresh_step *s)
{
	(void)c;
	rest(s);
}

/* ---- the table --------------------------------------------------------------------------------------------------- */

/* The first row that fits decides. */
/* clang-format off */
static const struct {
	uint32_t                phases;
	enum refresh_event_kind event;
	refresh_guard          *guard; /* NULL = always */
	refresh_handler        *handler;
} table[] = {
	{R(REST) | R(WAIT),            REV_WANT,     may_write,                   on_want_write},
	{R(REST) | R(WAIT),            REV_WANT,     may_begin,                   on_want_reload},

	{R(WRITE),                     REV_WRITTEN,  went_wrong,                  on_write_failed},
	{R(WRITE),                     REV_WRITTEN,  is_repair,                   on_written_repair},
	{R(WRITE),                     REV_WRITTEN,  NULL,                        on_written},
	{R(REST) | R(WAIT),            REV_WRITTEN,  was_written,                 on_written_late},
	{R(TEST),                      REV_TESTED,   test_failed,                 on_failed},
	{R(TEST),                      REV_TESTED,   blind_rehearsal,             done},
	{R(TEST),                      REV_TESTED,   is_rehearsal,                on_tested_rehearsal},
	{R(TEST),                      REV_TESTED,   NULL,                        on_tested},
	{R(FLIP),                      REV_FLIPPED,  flip_failed,                 on_failed},
	{R(FLIP),                      REV_FLIPPED,  blind_repaired_unread,       on_flipped_blind},
	{R(FLIP),                      REV_FLIPPED,  repaired_unread,             on_flipped_unread},
	{R(FLIP),                      REV_FLIPPED,  NULL,                        on_flipped},
	{R(RELOAD),                    REV_RELOADED, blind_failed,                on_blind_failed},
	{R(RELOAD),                    REV_RELOADED, blind,                       done},
	{R(RELOAD),                    REV_RELOADED, NULL,                        on_reloaded},
	{R(PROBE),                     REV_PROBED,   is_proved,                   done},
	{R(BACK_FLIP),                 REV_FLIPPED,  went_wrong,                  on_back_failed},
	{R(BACK_FLIP),                 REV_FLIPPED,  NULL,                        on_back},
	{R(BACK_RELOAD),               REV_RELOADED, NULL,                        on_back_done},

	{UNDER_CARE | R(WAIT),         REV_TIMER,    early,                       on_nothing},
	{R(TEST),                      REV_TIMER,    NULL,                        on_test_late},
	{R(RELOAD),                    REV_TIMER,    NULL,                        on_reloaded},
	{R(PROBE),                     REV_TIMER,    is_served,                   done},
	{R(PROBE),                     REV_TIMER,    repaired_unread,             on_unread_not_served},
	{R(PROBE),                     REV_TIMER,    NULL,                        on_not_served},
	{R(BACK_FLIP),                 REV_TIMER,    NULL,                        on_back_again},
	{R(BACK_RELOAD),               REV_TIMER,    NULL,                        on_back_done},
	{R(WAIT),                      REV_TIMER,    NULL,                        on_wait_over},

	{UNDER_CARE | R(WAIT),         REV_DROP,     NULL,                        on_drop},
	{R(REST),                      REV_DROP,     was_wrong,                   on_over},
};
/* clang-format on */

bool refresh_may_begin(const struct refresh *r, enum refresh_reason reason, const struct hash *content)
{
	if (r->phase == REFRESH_REST)
		return true;
	return r->phase == REFRESH_WAIT && (r->reason != reason || !hash_equal(r->content, *content));
}

int refresh_step(const struct refresh *r, const struct refresh_event *event, int64_t now, const struct deploy_policy *policy,
		 struct refresh_step *ret)
{
	struct refresh_context c = {.r = r, .event = event, .policy = policy, .now = now};
	struct refresh_step    step = {.next = *r, .ignored = true};
	if ((unsigned)r->phase >= REFRESH_PHASE_COUNT || (unsigned)event->kind >= REV_KIND_COUNT)
		return E_INTERNAL;
	for (size_t i = 0; i < N_ELEMENTS(table) && step.ignored; i++) {
		if ((table[i].phases & (1u << r->phase)) == 0 || table[i].event != event->kind ||
		    (table[i].guard != NULL && !table[i].guard(&c)))
			continue;
		step.ignored = false;
		table[i].handler(&c, &step);
	}
	*ret = step;
	return 0;
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

const char *refresh_phase_name(enum refresh_phase p)
{
	static const char *const names[REFRESH_PHASE_COUNT] = {
		[REFRESH_REST] = "rest",           [REFRESH_WRITE] = "write",   [REFRESH_TEST] = "test",
		[REFRESH_FLIP] = "flip",           [REFRESH_RELOAD] = "reload", [REFRESH_PROBE] = "probe",
		[REFRESH_BACK_FLIP] = "back_flip", [REFRESH_BACK_RELOAD] = "back_reload", [REFRESH_WAIT] = "wait",
	};
	return (size_t)p < N_ELEMENTS(names) ? names[p] : "unknown";
}

const char *refresh_action_name(enum refresh_action_kind k)
{
	static const char *const names[RACT_KIND_COUNT] = {
		[RACT_WRITE] = "write",   [RACT_TEST] = "test",             [RACT_FLIP] = "flip",       [RACT_FLIP_BACK] = "flip_back",
		[RACT_RELOAD] = "reload", [RACT_PROBE] = "probe",           [RACT_PROBE_STOP] = "probe_stop",
		[RACT_DISCARD] = "discard", [RACT_PROVED] = "proved",       [RACT_REPORT] = "report",
	};
	return (size_t)k < N_ELEMENTS(names) ? names[k] : "unknown";
}

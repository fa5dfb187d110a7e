/* campaign_flow.c - room controller/core: the life of a campaign as one table: read it first.
 * Never: clocks, files, sockets, heap, single members. */
#include "controller/core/campaign_flow.h"

#include <string.h>

#include "controller/core/waves.h"
#include "shared/base/text.h"
#include "shared/base/times.h"

#define REMIND_MS MS_DAY

enum { APPROVAL_LEAST = 20 };

struct context {
	const struct campaign       *c;
	const struct campaign_event *event;
	int64_t                      now;
};

typedef void effect_fn(const struct context *x, struct campaign_step *s);
typedef bool guard_fn(const struct context *x);

/* ---- counters --------------------------------------------------------------------------------------------------- */

uint32_t *campaign_flow_counter(struct campaign *c, enum member_state s)
{
	uint32_t *const counters[MEMBER_STATE_COUNT] = {
		[MEMBER_WAITING] = &c->waiting, [MEMBER_HELD] = &c->held,       [MEMBER_FOLLOWING] = &c->following,
		[MEMBER_ORDERED] = &c->ordered, [MEMBER_DONE] = &c->done,       [MEMBER_FAILED] = &c->failed,
		[MEMBER_SKIPPED] = &c->skipped, [MEMBER_DROPPED] = &c->dropped, [MEMBER_GOING_BACK] = &c->going_back,
		[MEMBER_ROLLED_BACK] = &c->rolled_back, [MEMBER_KEPT] = &c->kept,
	};
	return counters[s];
}

uint32_t campaign_flow_open(const struct campaign *c)
{
	return c->ordered + c->following + c->going_back;
}

uint32_t campaign_flow_pending(const struct campaign *c)
{
	return c->waiting + c->held + campaign_flow_open(c);
}

bool campaign_flow_in_flight(const struct campaign *c, uint32_t away)
{
	bool sends = (c->waiting > 0 || c->collecting) && c->state == CAMPAIGN_PROCESSING;
	return sends || campaign_flow_open(c) > away;
}

uint32_t campaign_flow_limit(uint64_t certificates, int64_t share)
{
	uint64_t part = certificates * (uint64_t)share / 1000;
	return part > APPROVAL_LEAST ? (uint32_t)(part < UINT32_MAX ? part : UINT32_MAX) : APPROVAL_LEAST;
}

/* ---- guards ----------------------------------------------------------------------------------------------------- */

static bool batch_is_over(const struct context *x)
{
	return x->c->batch_full && campaign_flow_open(x->c) <= x->event->away;
}

static bool collects(const struct context *x)
{
	return x->c->collecting;
}

static bool has_waiting(const struct context *x)
{
	return x->c->waiting > 0 || collects(x);
}

/* Does somebody still have to be looked at on the way back? */
static bool back_is_asked(const struct campaign *c)
{
	return c->back_last != 0 && c->back_at < c->back_last;
}

/* What was sent finishes first: it may be done by then, and has to go back, too. */
static bool may_go_back(const struct context *x)
{
	return back_is_asked(x->c) && x->c->ordered + x->c->following <= x->event->away;
}

static bool was_opened_again(const struct context *x)
{
	return x->c->completed_at == 0;
}

static bool was_touched(const struct context *x)
{
	const struct campaign *c = x->c;
	if (c->kind == CAMPAIGN_DRILL)
		return false; /* nothing was put in use: there is no way back */
	return x->event->last != 0 && campaign_flow_open(c) + c->done + c->failed + c->kept > 0;
}

/* It has ended, and so has the time in which hosts may go back: to open it again would only spoil what it says. An emergency may have
 * revoked what it replaced long before that. */
static bool is_too_late(const struct context *x)
{
	const struct campaign *c = x->c;
	bool                   at_proof = c->revoke_old == REVOKE_OLD_PROVED || c->revoke_old == REVOKE_OLD_NOW;
	bool                   revoked = at_proof || (c->revoke_old == REVOKE_OLD_AFTER && c->revoke_by_at <= x->now);
	bool                   over = (c->kind == CAMPAIGN_EMERGENCY && revoked) || c->completed_at + x->event->grace_ms <= x->now;
	return was_touched(x) && c->completed_at != 0 && over;
}

static bool all_through(const struct context *x)
{
	return campaign_flow_pending(x->c) == 0 && !back_is_asked(x->c) && !collects(x);
}

static bool may_send(const struct context *x)
{
	return x->c->waiting > 0 && !x->c->batch_full && !x->c->wave_full;
}

/* Whoever is away holds up nobody, and proves nothing. */
static bool wave_is_over(const struct context *x)
{
	return x->c->wave_full && x->c->waiting > 0 && campaign_flow_open(x->c) <= x->event->away;
}

static bool wave_proved_nothing(const struct context *x)
{
	return wave_is_over(x) && x->c->wave_sent > 0 && x->c->wave_done == 0;
}

static bool comes_to_rest(const struct context *x)
{
	return x->c->rested_at == 0 && x->c->started_at != 0 && !campaign_flow_in_flight(x->c, x->event->away);
}

static bool pause_begins(const struct context *x)
{
	return x->c->waiting > 0 && !x->c->wave_full && x->c->next_at == TIME_NEVER && batch_is_over(x);
}

static bool pause_ends(const struct context *x)
{
	return x->c->waiting > 0 && !x->c->wave_full && x->c->batch_full && x->now >= x->c->next_at && batch_is_over(x);
}

static bool not_sent(const struct context *x)
{
	return x->c->waiting + x->c->held > 0;
}

static bool is_due_to_remind(const struct context *x)
{
	return x->c->confirmation == CONFIRMATION_ASKED && x->now >= x->c->remind_at;
}

static bool asks_for_confirmation(const struct context *x)
{
	return x->c->confirmation == CONFIRMATION_ASKED;
}

/* ---- effects ---------------------------------------------------------------------------------------------------- */

static void act(struct campaign_step *s, enum campaign_action_kind kind, uint32_t n, enum audit_event event)
{
	s->act[s->n_act++] = (struct campaign_action){.kind = kind, .n = n, .event = event};
}

static void audit(struct campaign_step *s, enum audit_event event)
{
	act(s, CAMPAIGN_ACT_AUDIT, 0, event);
	s->changed = true;
}

static bool exceeds(const struct campaign *c, uint32_t failed, uint32_t of)
{
	return failed > 0 &&
	       ((uint64_t)failed * 1000 > (uint64_t)c->halt_share * of || (c->halt_count > 0 && failed >= c->halt_count));
}

/* Of a whole wave, known before it is sent: once the limit is passed nothing can bring it back under it. */
static const char *wave_excess(const struct campaign *c)
{
	uint32_t size = waves_size(c->waves, c->wave);
	if (c->canary && c->wave == 1 && c->wave_failed > 0)
		return "the canary failed";
	return exceeds(c, c->wave_failed, size > c->wave_sent ? size : c->wave_sent) ? "more of the wave failed than its limit allows (bulk.wave_halt_share)"
										       : NULL;
}

static const char *batch_excess(const struct campaign *c)
{
	bool too_many = c->batch > 0 && exceeds(c, c->batch_failed, c->batch_sent);
	return too_many ? "more of the last batch failed than its limit allows (bulk.halt_share)" : NULL;
}

/* The members from `first` to `last` are to be looked at from the first one on. */
static void ask_back(struct campaign *c, uint64_t first, uint64_t last)
{
	c->back_first = first;
	c->back_last = last;
	c->back_at = first - 1;
}

static void halt(struct campaign_step *s, const char *cause)
{
	struct campaign *c = &s->next;
	uint64_t         first, last = c->total;
	c->state = CAMPAIGN_HALTED;
	text_cut(c->cause, sizeof(c->cause), cause);
	c->cause_by_person = false;
	audit(s, AUDIT_CAMPAIGN_HALTED);
	if (!c->rollback_on_halt)
		return;
	if (c->wave > 0)
		(void)waves_span(c->waves, c->wave, &first, &last);
	ask_back(c, 1, last);
	audit(s, AUDIT_CAMPAIGN_ROLLBACK);
}

/* Where too much failed a person looks before the rest goes. With nothing left to send there is only the way back to be begun. */
static void halt_if_too_many(struct campaign_step *s)
{
	const struct campaign *c = &s->next;
	const char            *why = c->wave > 0 ? wave_excess(c) : batch_excess(c);
	if (c->state == CAMPAIGN_PROCESSING && why != NULL && (c->waiting > 0 || c->collecting || c->rollback_on_halt))
		halt(s, why);
}

static void send_some(const struct context *x, struct campaign_step *s)
{
	uint32_t n = x->c->waiting;
	if (x->c->batch > 0 && n > x->c->batch - x->c->batch_sent)
		n = x->c->batch - x->c->batch_sent;
	act(s, CAMPAIGN_ACT_SEND, n < CAMPAIGN_CHUNK ? n : CAMPAIGN_CHUNK, AUDIT_EVENT_COUNT);
}

static void drop_some(const struct context *x, struct campaign_step *s)
{
	(void)x;
	act(s, CAMPAIGN_ACT_DROP, CAMPAIGN_CHUNK, AUDIT_EVENT_COUNT);
}

static void begin_pause(const struct context *x, struct campaign_step *s)
{
	s->next.next_at = x->now + x->c->pause_ms;
	s->changed = true;
}

static void new_batch(struct campaign *c)
{
	c->batch_sent = c->batch_failed = 0;
	c->batch_full = false;
	c->next_at = TIME_NEVER;
}

static void new_wave(struct campaign *c)
{
	c->wave_sent = c->wave_done = c->wave_failed = 0;
	new_batch(c);
}

static void next_wave(const struct context *x, struct campaign_step *s)
{
	(void)x;
	new_wave(&s->next);
	s->next.wave++;
	s->next.wave_full = false;
	audit(s, AUDIT_CAMPAIGN_WAVE);
}

static void halt_unproved(const struct context *x, struct campaign_step *s)
{
	(void)x;
	halt(s, "no certificate of the wave was proved");
}

static void note_rest(const struct context *x, struct campaign_step *s)
{
	s->next.rested_at = x->now;
	s->changed = true;
}

static void go_back_some(const struct context *x, struct campaign_step *s)
{
	(void)x;
	act(s, CAMPAIGN_ACT_BACK, CAMPAIGN_CHUNK, AUDIT_EVENT_COUNT);
}

static void next_batch(const struct context *x, struct campaign_step *s)
{
	(void)x;
	new_batch(&s->next);
	s->changed = true;
}

static void count_sent(const struct context *x, struct campaign_step *s)
{
	struct campaign *c = &s->next;
	uint32_t         sent = 0;
	for (size_t i = 0; i < MEMBER_STATE_COUNT; i++) {
		*campaign_flow_counter(c, (enum member_state)i) += x->event->moved[i];
		sent += x->event->moved[i];
	}
	uint32_t *from = campaign_flow_counter(c, x->event->from);
	*from -= sent < *from ? sent : *from;
	s->changed = true;
	if (c->state != CAMPAIGN_PROCESSING || x->event->from == MEMBER_HELD)
		return;
	sent = x->event->moved[MEMBER_ORDERED] + x->event->moved[MEMBER_FOLLOWING] + x->event->moved[MEMBER_FAILED];
	c->batch_sent += sent;
	c->batch_failed += x->event->moved[MEMBER_FAILED];
	if (c->wave > 0) {
		c->wave_sent += sent;
		c->wave_done += x->event->moved[MEMBER_DONE];
		c->wave_failed += x->event->moved[MEMBER_FAILED];
		c->wave_full = x->event->wave_ends;
	}
	if (c->batch > 0)
		c->batch_full = c->batch_sent >= c->batch || x->event->stage_ends;
	halt_if_too_many(s);
	if (c->canary && c->wave == 1 && c->wave_full && c->wave_sent + c->wave_done == 0 && c->state == CAMPAIGN_PROCESSING && c->waiting > 0)
		halt(s, "nothing could be sent of the canary: it proves nothing");
}

static void count_joined(const struct context *x, struct campaign_step *s)
{
	for (size_t i = 0; i < MEMBER_STATE_COUNT; i++) {
		*campaign_flow_counter(&s->next, (enum member_state)i) += x->event->moved[i];
		s->next.total += x->event->moved[i];
	}
	s->changed = true;
}

static void is_whole(const struct context *x, struct campaign_step *s)
{
	(void)x;
	s->next.collecting = false;
	s->changed = true;
}

static void count_moved(const struct context *x, struct campaign_step *s)
{
	uint32_t *from = campaign_flow_counter(&s->next, x->event->from);
	if (x->event->from == x->event->to || *from == 0)
		return;
	--*from;
	++*campaign_flow_counter(&s->next, x->event->to);
	s->changed = true;
	s->next.wave_done += x->event->to == MEMBER_DONE;
	s->next.peer_unproved += x->event->to == MEMBER_DONE && x->event->peer_unproved;
	if (x->event->to == MEMBER_DONE && s->next.back_last != 0)
		s->next.back_at = s->next.back_first - 1; /* it came late, and may have to go back, too */
	if (x->event->to == MEMBER_FAILED) {
		s->next.batch_failed++;
		s->next.wave_failed++;
		halt_if_too_many(s);
	}
}

static void count_back(const struct context *x, struct campaign_step *s)
{
	struct campaign *c = &s->next;
	uint32_t         left = x->event->moved[MEMBER_GOING_BACK] + x->event->moved[MEMBER_KEPT];
	c->going_back += x->event->moved[MEMBER_GOING_BACK];
	c->kept += x->event->moved[MEMBER_KEPT];
	c->done -= left < c->done ? left : c->done;
	c->back_at = x->event->reached;
	s->changed = true;
}

static void begin(const struct context *x, struct campaign_step *s)
{
	if (s->next.revoke_by_at != 0 && x->now > x->c->created_at) /* hosts get the whole time, however long the second person took */
		s->next.revoke_by_at += x->now - x->c->created_at;
	s->next.approved = true;
	s->next.started_at = x->now;
	if (s->next.confirmation == CONFIRMATION_ASKED)
		s->next.confirmation = CONFIRMATION_GIVEN;
	s->next.remind_at = TIME_NEVER;
	audit(s, campaign_flow_started(x->c));
}

static void confirmed(const struct context *x, struct campaign_step *s)
{
	s->next.confirmation = x->event->kind == CAMPAIGN_EV_APPROVED ? CONFIRMATION_GIVEN : CONFIRMATION_REFUSED;
	s->next.remind_at = TIME_NEVER;
	s->changed = true;
}

static void remind(const struct context *x, struct campaign_step *s)
{
	s->next.remind_at = x->now + REMIND_MS;
	audit(s, AUDIT_CAMPAIGN_UNCONFIRMED);
}

static void say_cause(const struct context *x, struct campaign_step *s)
{
	text_cut(s->next.cause, sizeof(s->next.cause), x->event->cause);
	s->next.cause_by_person = x->event->by_person;
}

static void halted(const struct context *x, struct campaign_step *s)
{
	say_cause(x, s);
	audit(s, AUDIT_CAMPAIGN_HALTED);
}

static void resumed(const struct context *x, struct campaign_step *s)
{
	(void)x;
	s->next.cause[0] = '\0';
	s->next.cause_by_person = false;
	s->next.back_last = 0;
	s->next.rested_at = 0;
	new_wave(&s->next);
	audit(s, AUDIT_CAMPAIGN_RESUMED);
}

/* Of one that was closed something is open again. */
static void back_asked(const struct context *x, struct campaign_step *s)
{
	say_cause(x, s);
	ask_back(&s->next, x->event->first, x->event->last);
	s->next.completed_at = 0;
	audit(s, AUDIT_CAMPAIGN_ROLLBACK);
}

static void refuse_late(const struct context *x, struct campaign_step *s)
{
	(void)x;
	s->refusal = E_ROLLBACK_GRACE;
}

static void cancelled(const struct context *x, struct campaign_step *s)
{
	say_cause(x, s);
	s->next.collecting = false;
	audit(s, AUDIT_CAMPAIGN_CANCELLED);
}

static void ended(const struct context *x, struct campaign_step *s)
{
	s->next.completed_at = x->now;
	if (s->next.rested_at == 0)
		s->next.rested_at = x->now;
	s->changed = true;
}

/* It was closed before, and then went back. */
static void ended_again(const struct context *x, struct campaign_step *s)
{
	ended(x, s);
	s->next.state = CAMPAIGN_COMPLETED_WITH_FAILURES;
}

static void completed(const struct context *x, struct campaign_step *s)
{
	bool emergency = x->c->kind == CAMPAIGN_EMERGENCY;
	bool renewed = x->c->failed + x->c->rolled_back + x->c->kept == 0;
	ended(x, s);
	s->next.state = renewed ? CAMPAIGN_COMPLETED : CAMPAIGN_COMPLETED_WITH_FAILURES;
	if (x->c->kind == CAMPAIGN_DRILL)
		return; /* its end is recorded with its report */
	audit(s, emergency ? AUDIT_EMERGENCY_COMPLETED : AUDIT_CAMPAIGN_COMPLETED);
	if (emergency && x->c->failed > 0)
		audit(s, AUDIT_EMERGENCY_FAILED);
}

/* ---- the table: the first row that fits is taken ------------------------------------------------------------------ */

#define P(state) (1u << CAMPAIGN_##state)
#define SAME     CAMPAIGN_STATE_COUNT
#define ANY      (P(AWAITING_APPROVAL) | P(PROCESSING) | P(HALTED) | P(CANCELLED))
#define RUNS     (P(PROCESSING) | P(HALTED))
#define OVER     (P(COMPLETED) | P(COMPLETED_WITH_FAILURES) | P(CANCELLED))
#define CLOSED   (P(COMPLETED) | P(COMPLETED_WITH_FAILURES))

/* clang-format off */
static const struct {
	unsigned                 states;
	enum campaign_event_kind event;
	guard_fn                *guard;
	effect_fn               *effect;
	enum campaign_state      next;
} table[] = {
	{P(AWAITING_APPROVAL),  CAMPAIGN_EV_APPROVED, NULL,                  begin,       CAMPAIGN_PROCESSING},
	{P(AWAITING_APPROVAL),  CAMPAIGN_EV_REJECTED, NULL,                  cancelled,   CAMPAIGN_CANCELLED},
	{RUNS | OVER,           CAMPAIGN_EV_APPROVED, asks_for_confirmation, confirmed,   SAME},
	{RUNS | OVER,           CAMPAIGN_EV_REJECTED, asks_for_confirmation, confirmed,   SAME},

	{P(PROCESSING),         CAMPAIGN_EV_HALT,     has_waiting,           halted,      CAMPAIGN_HALTED},
	{P(HALTED),             CAMPAIGN_EV_RESUME,   NULL,                  resumed,     CAMPAIGN_PROCESSING},
	{P(AWAITING_APPROVAL) | RUNS,
	                        CAMPAIGN_EV_CANCEL,   NULL,                  cancelled,   CAMPAIGN_CANCELLED},
	{OVER,                  CAMPAIGN_EV_ROLLBACK, is_too_late,           refuse_late, SAME},
	{P(PROCESSING),         CAMPAIGN_EV_ROLLBACK, was_touched,           back_asked,  CAMPAIGN_HALTED},
	{P(HALTED) | OVER,      CAMPAIGN_EV_ROLLBACK, was_touched,           back_asked,  SAME},

	{ANY,                   CAMPAIGN_EV_SENT,     NULL,                  count_sent,  SAME},
	{ANY,                   CAMPAIGN_EV_MOVED,    NULL,                  count_moved, SAME},
	{CLOSED,                CAMPAIGN_EV_MOVED,    was_opened_again,      count_moved, SAME},
	{P(HALTED) | OVER,      CAMPAIGN_EV_BACK,     was_opened_again,      count_back,  SAME},

	{RUNS,                  CAMPAIGN_EV_JOINED,   collects,              count_joined, SAME},
	{RUNS,                  CAMPAIGN_EV_WHOLE,    collects,              is_whole,    SAME},

	{RUNS,                  CAMPAIGN_EV_TIMER,    all_through,           completed,   SAME},
	{P(CANCELLED),          CAMPAIGN_EV_TIMER,    all_through,           ended,       SAME},
	{CLOSED,                CAMPAIGN_EV_TIMER,    all_through,           ended_again, SAME},
	{P(HALTED) | OVER,      CAMPAIGN_EV_TIMER,    may_go_back,           go_back_some, SAME},
	{P(CANCELLED),          CAMPAIGN_EV_TIMER,    not_sent,              drop_some,   SAME},
	{RUNS | OVER,           CAMPAIGN_EV_TIMER,    is_due_to_remind,      remind,      SAME},
	{RUNS | P(CANCELLED),   CAMPAIGN_EV_TIMER,    comes_to_rest,         note_rest,   SAME},
	{P(PROCESSING),         CAMPAIGN_EV_TIMER,    wave_proved_nothing,   halt_unproved, SAME},
	{P(PROCESSING),         CAMPAIGN_EV_TIMER,    wave_is_over,          next_wave,   SAME},
	{P(PROCESSING),         CAMPAIGN_EV_TIMER,    may_send,              send_some,   SAME},
	{P(PROCESSING),         CAMPAIGN_EV_TIMER,    pause_begins,          begin_pause, SAME},
	{P(PROCESSING),         CAMPAIGN_EV_TIMER,    pause_ends,            next_batch,  SAME},
};
/* clang-format on */

static bool from_a_person(enum campaign_event_kind k)
{
	return k <= CAMPAIGN_EV_ROLLBACK;
}

int campaign_flow_step(const struct campaign *c, const struct campaign_event *event, int64_t now, struct campaign_step *ret)
{
	struct context       x = {c, event, now};
	struct campaign_step step = {.next = *c};
	bool                 found = false;
	for (size_t i = 0; i < N_ELEMENTS(table) && !found; i++) {
		if ((table[i].states & (1u << c->state)) == 0 || table[i].event != event->kind ||
		    (table[i].guard != NULL && !table[i].guard(&x)))
			continue;
		if (event->kind == CAMPAIGN_EV_TIMER && c->completed_at != 0 && table[i].effect != remind)
			continue; /* it is closed */
		found = true;
		if (table[i].next != SAME)
			step.next.state = table[i].next;
		table[i].effect(&x, &step);
	}
	if (!found && from_a_person(event->kind))
		return E_CAMPAIGN_STATE;
	if (step.refusal < 0)
		return step.refusal;
	*ret = step;
	return 0;
}

enum audit_event campaign_flow_started(const struct campaign *c)
{
	return c->kind == CAMPAIGN_EMERGENCY ? AUDIT_EMERGENCY_STARTED : c->kind == CAMPAIGN_DRILL ? AUDIT_DRILL_STARTED : AUDIT_CAMPAIGN_STARTED;
}

/* ---- names ------------------------------------------------------------------------------------------------------ */

const char *campaign_event_name(enum campaign_event_kind k)
{
	static const char *const names[CAMPAIGN_EV_COUNT] = {
		[CAMPAIGN_EV_APPROVED] = "approved", [CAMPAIGN_EV_REJECTED] = "rejected", [CAMPAIGN_EV_HALT] = "halt",
		[CAMPAIGN_EV_RESUME] = "resume",     [CAMPAIGN_EV_CANCEL] = "cancel",     [CAMPAIGN_EV_SENT] = "sent",
		[CAMPAIGN_EV_MOVED] = "moved",       [CAMPAIGN_EV_TIMER] = "timer",       [CAMPAIGN_EV_ROLLBACK] = "rollback",
		[CAMPAIGN_EV_BACK] = "back",         [CAMPAIGN_EV_JOINED] = "joined",     [CAMPAIGN_EV_WHOLE] = "whole",
	};
	return (size_t)k < N_ELEMENTS(names) ? names[k] : "unknown";
}

const char *campaign_action_name(enum campaign_action_kind k)
{
	static const char *const names[CAMPAIGN_ACT_KIND_COUNT] = {
		[CAMPAIGN_ACT_SEND] = "send", [CAMPAIGN_ACT_DROP] = "drop", [CAMPAIGN_ACT_BACK] = "back", [CAMPAIGN_ACT_AUDIT] = "audit",
	};
	return (size_t)k < N_ELEMENTS(names) ? names[k] : "unknown";
}

/* campaign_flow.c - room controller/core: the life of a campaign as one table: read it first.
 * Never: clocks, files, sockets, heap, single members. */
#include "controller/core/campaign_flow.h"

#include <string.h>

#include "shared/base/text.h"
#include "shared/base/times.h"

#define REMIND_MS MS_DAY
#define SOON_MS   MS_MINUTE /* an order that is tried again within this time did not fail yet */

enum { APPROVAL_LEAST = 20 };

struct context {
	const struct campaign       *c;
	const struct campaign_event *event;
	int64_t                      now;
};

typedef void effect_fn(const struct context *x, struct campaign_step *s);
typedef bool guard_fn(const struct context *x);

/* ---- counters --------------------------------------------------------------------------------------------------- */

static uint32_t *counter_of(struct campaign *c, enum member_state s)
{
	uint32_t *const counters[MEMBER_STATE_COUNT] = {
		[MEMBER_WAITING] = &c->waiting, [MEMBER_HELD] = &c->held,       [MEMBER_FOLLOWING] = &c->following,
		[MEMBER_ORDERED] = &c->ordered, [MEMBER_DONE] = &c->done,       [MEMBER_FAILED] = &c->failed,
		[MEMBER_SKIPPED] = &c->skipped, [MEMBER_DROPPED] = &c->dropped,
	};
	return counters[s];
}

uint32_t campaign_flow_open(const struct campaign *c)
{
	return c->ordered + c->following;
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

static bool all_through(const struct context *x)
{
	return campaign_flow_pending(x->c) == 0 && !collects(x);
}

static bool may_send(const struct context *x)
{
	return x->c->waiting > 0 && !x->c->batch_full;
}

static bool pause_begins(const struct context *x)
{
	return x->c->waiting > 0 && x->c->next_at == TIME_NEVER && batch_is_over(x);
}

static bool pause_ends(const struct context *x)
{
	return x->c->waiting > 0 && x->c->batch_full && x->now >= x->c->next_at && batch_is_over(x);
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

/* Where too much of a batch failed, a person looks before the rest goes. */
static void halt_if_too_many(struct campaign_step *s)
{
	struct campaign *c = &s->next;
	bool             too_many = c->batch > 0 && (uint64_t)c->batch_failed * 1000 > (uint64_t)c->halt_share * c->batch_sent;
	bool             more = c->waiting > 0 || c->collecting;
	if (c->state != CAMPAIGN_PROCESSING || !more || c->batch_failed == 0 || !too_many)
		return;
	c->state = CAMPAIGN_HALTED;
	text_cut(c->cause, sizeof(c->cause), "more of the last batch failed than bulk.halt_share allows");
	audit(s, AUDIT_CAMPAIGN_HALTED);
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
		*counter_of(c, (enum member_state)i) += x->event->moved[i];
		sent += x->event->moved[i];
	}
	uint32_t *from = counter_of(c, x->event->from);
	*from -= sent < *from ? sent : *from;
	s->changed = true;
	if (c->state != CAMPAIGN_PROCESSING || x->event->from == MEMBER_HELD)
		return;
	c->batch_sent += x->event->moved[MEMBER_ORDERED] + x->event->moved[MEMBER_FOLLOWING] + x->event->moved[MEMBER_FAILED];
	c->batch_failed += x->event->moved[MEMBER_FAILED];
	if (c->batch > 0)
		c->batch_full = c->batch_sent >= c->batch || x->event->stage_ends;
	halt_if_too_many(s);
}

static void count_joined(const struct context *x, struct campaign_step *s)
{
	for (size_t i = 0; i < MEMBER_STATE_COUNT; i++) {
		*counter_of(&s->next, (enum member_state)i) += x->event->moved[i];
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
	uint32_t *from = counter_of(&s->next, x->event->from);
	if (x->event->from == x->event->to || *from == 0)
		return;
	--*from;
	++*counter_of(&s->next, x->event->to);
	s->changed = true;
	if (x->event->to == MEMBER_FAILED) {
		s->next.batch_failed++;
		halt_if_too_many(s);
	}
}

static void begin(const struct context *x, struct campaign_step *s)
{
	s->next.approved = true;
	s->next.started_at = x->now;
	if (s->next.confirmation == CONFIRMATION_ASKED)
		s->next.confirmation = CONFIRMATION_GIVEN;
	s->next.remind_at = TIME_NEVER;
	audit(s, x->c->kind == CAMPAIGN_EMERGENCY ? AUDIT_EMERGENCY_STARTED : AUDIT_CAMPAIGN_STARTED);
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
	new_batch(&s->next);
	audit(s, AUDIT_CAMPAIGN_RESUMED);
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
	s->changed = true;
}

static void completed(const struct context *x, struct campaign_step *s)
{
	bool emergency = x->c->kind == CAMPAIGN_EMERGENCY;
	ended(x, s);
	s->next.state = x->c->failed > 0 ? CAMPAIGN_COMPLETED_WITH_FAILURES : CAMPAIGN_COMPLETED;
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

	{ANY,                   CAMPAIGN_EV_SENT,     NULL,                  count_sent,  SAME},
	{ANY,                   CAMPAIGN_EV_MOVED,    NULL,                  count_moved, SAME},

	{RUNS,                  CAMPAIGN_EV_JOINED,   collects,              count_joined, SAME},
	{RUNS,                  CAMPAIGN_EV_WHOLE,    collects,              is_whole,    SAME},

	{RUNS,                  CAMPAIGN_EV_TIMER,    all_through,           completed,   SAME},
	{P(CANCELLED),          CAMPAIGN_EV_TIMER,    all_through,           ended,       SAME},
	{P(CANCELLED),          CAMPAIGN_EV_TIMER,    not_sent,              drop_some,   SAME},
	{RUNS | OVER,           CAMPAIGN_EV_TIMER,    is_due_to_remind,      remind,      SAME},
	{P(PROCESSING),         CAMPAIGN_EV_TIMER,    may_send,              send_some,   SAME},
	{P(PROCESSING),         CAMPAIGN_EV_TIMER,    pause_begins,          begin_pause, SAME},
	{P(PROCESSING),         CAMPAIGN_EV_TIMER,    pause_ends,            next_batch,  SAME},
};
/* clang-format on */

static bool from_a_person(enum campaign_event_kind k)
{
	return k <= CAMPAIGN_EV_CANCEL;
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
	*ret = step;
	return 0;
}

/* ---- members ---------------------------------------------------------------------------------------------------- */

bool campaign_flow_follows(const struct order *open)
{
	return open->phase == ORDER_SIGNING || open->phase == ORDER_ISSUED || open->phase == ORDER_DELIVERED ||
	       open->phase == ORDER_VERIFIED || open->phase == ORDER_SETTLED;
}

static bool has_failed(const struct order *o, int64_t now)
{
	return o->phase == ORDER_FAILED || o->phase == ORDER_PAUSED || o->phase == ORDER_ROLLED_BACK ||
	       (o->phase == ORDER_RETRY_WAIT && o->next_at - now > SOON_MS);
}

static enum member_state own_order(const struct campaign *c, const struct order *o, int64_t now)
{
	if (o->phase == ORDER_COMPLETED)
		return MEMBER_DONE;
	if (o->phase == ORDER_CANCELLED)
		return c->state == CAMPAIGN_CANCELLED ? MEMBER_DROPPED : MEMBER_SKIPPED;
	return has_failed(o, now) ? MEMBER_FAILED : MEMBER_ORDERED;
}

enum member_state campaign_flow_member(const struct campaign *c, const struct order *o, bool follows, int64_t now)
{
	if (follows && c->kind == CAMPAIGN_POLICY) {
		enum member_state own = own_order(c, o, now);
		return own == MEMBER_ORDERED ? MEMBER_FOLLOWING : own;
	}
	if (follows && o->phase == ORDER_COMPLETED)
		return c->fresh_keys ? MEMBER_WAITING : MEMBER_DONE;
	if (follows)
		return has_failed(o, now) || o->phase == ORDER_CANCELLED || !campaign_flow_follows(o) ? MEMBER_WAITING
												      : MEMBER_FOLLOWING;
	return own_order(c, o, now);
}

/* ---- names ------------------------------------------------------------------------------------------------------ */

const char *campaign_event_name(enum campaign_event_kind k)
{
	static const char *const names[CAMPAIGN_EV_COUNT] = {
		[CAMPAIGN_EV_APPROVED] = "approved", [CAMPAIGN_EV_REJECTED] = "rejected", [CAMPAIGN_EV_HALT] = "halt",
		[CAMPAIGN_EV_RESUME] = "resume",     [CAMPAIGN_EV_CANCEL] = "cancel",     [CAMPAIGN_EV_SENT] = "sent",
		[CAMPAIGN_EV_MOVED] = "moved",       [CAMPAIGN_EV_TIMER] = "timer",   [CAMPAIGN_EV_JOINED] = "joined",
		[CAMPAIGN_EV_WHOLE] = "whole",
	};
	return (size_t)k < N_ELEMENTS(names) ? names[k] : "unknown";
}

const char *campaign_action_name(enum campaign_action_kind k)
{
	static const char *const names[CAMPAIGN_ACT_KIND_COUNT] = {
		[CAMPAIGN_ACT_SEND] = "send",
		[CAMPAIGN_ACT_DROP] = "drop",
		[CAMPAIGN_ACT_AUDIT] = "audit",
	};
	return (size_t)k < N_ELEMENTS(names) ? names[k] : "unknown";
}

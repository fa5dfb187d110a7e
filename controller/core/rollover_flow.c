/* rollover_flow.c - room controller/core: the table of a rollover; read it first.
 * Never: clocks, files, sockets, heap. */
#include "controller/core/rollover_flow.h"

#include <string.h>

#include "shared/base/text.h"
#include "shared/base/times.h"

static const int64_t try_again_ms = 10 * MS_SECOND; /* the signer refused */
static const int64_t follow_up_ms = MS_HOUR;        /* after the first campaign, to the next for what is left */
static const int64_t follow_up_soon_ms = MS_MINUTE; /* in an emergency */
static const int64_t follow_up_max_ms = MS_DAY;
static const int64_t margin_ms = 90 * MS_DAY;

const char *rollover_event_name(enum rollover_event_kind k)
{
	static const char *const names[ROLLOVER_EV_COUNT] = {
		[ROLLOVER_EV_MADE] = "made",         [ROLLOVER_EV_REFUSED] = "refused",   [ROLLOVER_EV_CLOSED] = "closed",
		[ROLLOVER_EV_COUNTED] = "counted",   [ROLLOVER_EV_CAMPAIGN] = "campaign", [ROLLOVER_EV_ADVANCE] = "advance",
		[ROLLOVER_EV_ROLLBACK] = "rollback", [ROLLOVER_EV_RETIRE] = "retire",     [ROLLOVER_EV_EMERGENCY] = "emergency",
	};
	return (size_t)k < N_ELEMENTS(names) ? names[k] : "unknown";
}

const char *rollover_action_name(enum rollover_action_kind k)
{
	static const char *const names[ROLLOVER_ACT_KIND_COUNT] = {
		[ROLLOVER_ACT_ADOPT] = "adopt",
		[ROLLOVER_ACT_STOP] = "stop",
		[ROLLOVER_ACT_SWITCH] = "switch",
		[ROLLOVER_ACT_SWITCH_BACK] = "switch_back",
		[ROLLOVER_ACT_CAMPAIGN] = "campaign",
		[ROLLOVER_ACT_END_CAMPAIGN] = "end_campaign",
		[ROLLOVER_ACT_RETIRE] = "retire",
		[ROLLOVER_ACT_AUDIT] = "audit",
	};
	return (size_t)k < N_ELEMENTS(names) ? names[k] : "unknown";
}

struct context {
	const struct rollover       *r;
	const struct rollover_event *e;
	int64_t                      now;
};

/* ---- guards ----------------------------------------------------------------------------------------------------- */

static bool in_emergency(const struct context *x)
{
	return x->r->emergency;
}

static bool is_trusted(const struct context *x)
{
	return x->e->figures.distrustful == 0;
}

/* Who has a root's key makes whatever it vouches for worthless: a new installation takes its place, no rollover. */
static bool may_turn(const struct context *x)
{
	return !x->r->emergency && !rollover_is_root(x->r);
}

/* In an emergency the signer may have closed the old one before its answer is here: what looks open cannot be known to be. */
static bool has_a_way_back(const struct context *x)
{
	return !x->r->emergency;
}

/* Before the first campaign; nothing to issue again needs none. */
static bool nothing_to_do(const struct context *x)
{
	return x->e->figures.reissuable == 0 && !x->e->figures.campaign_open;
}

static bool needs_first_campaign(const struct context *x)
{
	return x->r->campaigns == 0 && x->r->next_at <= x->now;
}

/* What is left waits for a host, a person or its own end. */
static bool comes_to_rest(const struct context *x)
{
	return x->r->campaigns > 0 && (!x->e->figures.campaign_open || x->e->figures.campaign_rests);
}

/* Some were left over: failed, or made by the old one in the last moment. Who cancelled wants no other one. */
static bool needs_another(const struct context *x)
{
	return x->e->figures.reissuable > 0 && !x->e->figures.campaign_open && !x->e->figures.campaign_cancelled &&
	       x->r->next_at <= x->now;
}

static bool no_campaign_runs(const struct context *x)
{
	return !x->e->figures.campaign_open;
}

static bool is_left_by_all(const struct context *x)
{
	return x->e->figures.agents == 0;
}

/* By two persons who were told what breaks. */
static bool may_be_forced(const struct context *x)
{
	return x->r->emergency && x->e->override;
}

static bool of_root(const struct context *x)
{
	return rollover_is_root(x->r);
}

/* The last thing that hangs on a root is that hosts trust it. */
static bool is_forgotten(const struct context *x)
{
	return of_root(x) && x->r->closed && x->e->figures.released && x->e->figures.holders == 0;
}

/* ---- effects ---------------------------------------------------------------------------------------------------- */

static void act(struct rollover_step *s, enum rollover_action_kind kind)
{
	s->act[s->n_act++] = (struct rollover_action){.kind = kind};
}

static void audit(struct rollover_step *s, enum audit_event event)
{
	s->act[s->n_act++] = (struct rollover_action){.kind = ROLLOVER_ACT_AUDIT, .event = event};
}

static void goes_on(struct rollover_step *s)
{
	s->changed = true;
	s->next.code = 0;
	s->next.cause[0] = '\0';
	s->next.next_at = 0;
}

static void adopted(const struct context *x, struct rollover_step *s)
{
	goes_on(s);
	s->next.prepared_at = x->now;
	act(s, ROLLOVER_ACT_ADOPT);
	audit(s, AUDIT_CA_SUCCESSOR_MADE);
}

static void switched(const struct context *x, struct rollover_step *s)
{
	goes_on(s);
	s->next.issuing_at = x->now;
	act(s, ROLLOVER_ACT_SWITCH);
	audit(s, AUDIT_CA_SWITCHED);
}

/* There is no gate of trust in an emergency, nor need of one: a root has none, and below it whoever trusts the root trusts the
 * successor, which comes with each certificate. */
static void adopted_and_switched(const struct context *x, struct rollover_step *s)
{
	adopted(x, s);
	s->next.issuing_at = x->now;
	act(s, ROLLOVER_ACT_SWITCH);
	audit(s, AUDIT_CA_SWITCHED);
}

static void refused(const struct context *x, struct rollover_step *s)
{
	s->changed = s->next.code != x->e->code || !text_equal(s->next.cause, x->e->cause);
	s->next.code = x->e->code;
	text_cut(s->next.cause, sizeof(s->next.cause), x->e->cause);
	s->next.next_at = x->now + try_again_ms;
}

static void asks_for_campaign(const struct context *x, struct rollover_step *s)
{
	(void)x;
	act(s, ROLLOVER_ACT_CAMPAIGN);
}

/* The gaps double up to a day, as those of a paused order are: each try may cost a certificate and a reload of the service. */
static int64_t follow_up_after(const struct rollover *r)
{
	int64_t gap = r->emergency ? follow_up_soon_ms : follow_up_ms;
	for (uint32_t i = 0; i < r->campaigns && gap < follow_up_max_ms; i++)
		gap *= 2;
	return gap < follow_up_max_ms ? gap : follow_up_max_ms;
}

static void campaign_noted(const struct context *x, struct rollover_step *s)
{
	s->changed = true;
	s->next.campaign_id = x->e->campaign_id;
	s->next.campaigns++;
	s->next.next_at = x->now + follow_up_after(x->r);
}

static void drains(const struct context *x, struct rollover_step *s)
{
	s->changed = true;
	s->next.draining_at = x->now;
	audit(s, AUDIT_CA_DRAINS);
}

static void closed(const struct context *x, struct rollover_step *s)
{
	(void)x;
	s->changed = !s->next.closed || s->next.code != 0;
	s->next.closed = true;
	s->next.code = 0;
	s->next.cause[0] = '\0';
}

static void ended(const struct context *x, struct rollover_step *s)
{
	goes_on(s);
	s->next.ended_at = x->now;
	s->next.next_at = TIME_NEVER;
}

static void switched_back(const struct context *x, struct rollover_step *s)
{
	ended(x, s);
	text_cut(s->next.cause, sizeof(s->next.cause), x->e->cause);
	audit(s, AUDIT_CA_ROLLED_BACK);
	act(s, ROLLOVER_ACT_SWITCH_BACK);
	if (x->r->campaigns > 0)
		act(s, ROLLOVER_ACT_END_CAMPAIGN);
}

/* Its campaign goes by batches and leaves the old certificates their grace: it ends, and the next count makes one that does not. */
static void turned(const struct context *x, struct rollover_step *s)
{
	goes_on(s);
	s->next.emergency = true;
	s->next.campaigns = 0;
	text_cut(s->next.actor, sizeof(s->next.actor), x->e->actor);
	text_cut(s->next.reason, sizeof(s->next.reason), x->e->cause);
	audit(s, AUDIT_CA_EMERGENCY);
	if (x->r->campaigns > 0)
		act(s, ROLLOVER_ACT_END_CAMPAIGN);
}

static void turned_and_stopped(const struct context *x, struct rollover_step *s)
{
	turned(x, s);
	act(s, ROLLOVER_ACT_STOP);
}

static void turned_and_switched(const struct context *x, struct rollover_step *s)
{
	turned(x, s);
	s->next.issuing_at = x->now;
	act(s, ROLLOVER_ACT_SWITCH);
	audit(s, AUDIT_CA_SWITCHED);
}

static void retires(const struct context *x, struct rollover_step *s)
{
	goes_on(s);
	s->next.overridden = x->e->figures.agents > 0;
	s->next.consumers = x->e->consumers;
	s->next.consumers_hash = x->e->consumers_hash;
}

static void retired(const struct context *x, struct rollover_step *s)
{
	ended(x, s);
	s->next.closed = true;
	act(s, ROLLOVER_ACT_RETIRE);
	audit(s, AUDIT_CA_RETIRED);
}

/* ---- the table -------------------------------------------------------------------------------------------------- */

enum { SAME = ROLLOVER_PHASE_COUNT };
#define P(name) (1u << ROLLOVER_##name)

/* The first row that fits counts. `gate`: what a person is told when the row fits but this does not hold. */
/* clang-format off */
static const struct transition {
	unsigned                 phases;
	enum rollover_event_kind event;
	bool (*guard)(const struct context *x);
	bool (*gate)(const struct context *x);
	void (*effect)(const struct context *x, struct rollover_step *s);
	int                      next;
} table[] = {
	/* phases                   event                  guard                 gate            effect                next */
	{P(PREPARING),              ROLLOVER_EV_MADE,      in_emergency,         NULL,           adopted_and_switched, ROLLOVER_ISSUING},
	{P(PREPARING),              ROLLOVER_EV_MADE,      NULL,                 NULL,           adopted,              ROLLOVER_TRUST},
	{P(PREPARING) | P(ISSUING) | P(DRAINING) | P(RETIRING),
	                            ROLLOVER_EV_REFUSED,   NULL,                 NULL,           refused,              SAME},
	{P(PREPARING) | P(ISSUING) | P(DRAINING),
	                            ROLLOVER_EV_CLOSED,    in_emergency,         NULL,           closed,               SAME},
	{P(RETIRING),               ROLLOVER_EV_CLOSED,    of_root,              NULL,           closed,               SAME},
	{P(RETIRING),               ROLLOVER_EV_CLOSED,    NULL,                 NULL,           retired,              ROLLOVER_RETIRED},
	{P(RETIRING),               ROLLOVER_EV_COUNTED,   is_forgotten,         NULL,           retired,              ROLLOVER_RETIRED},

	{P(TRUST),                  ROLLOVER_EV_ADVANCE,   NULL,                 is_trusted,     switched,             ROLLOVER_ISSUING},
	{P(ISSUING) | P(DRAINING),  ROLLOVER_EV_ADVANCE,   no_campaign_runs,     NULL,           asks_for_campaign,    SAME},

	{P(ISSUING),                ROLLOVER_EV_COUNTED,   nothing_to_do,        NULL,           drains,               ROLLOVER_DRAINING},
	{P(ISSUING),                ROLLOVER_EV_COUNTED,   needs_first_campaign, NULL,           asks_for_campaign,    SAME},
	{P(ISSUING),                ROLLOVER_EV_COUNTED,   comes_to_rest,        NULL,           drains,               ROLLOVER_DRAINING},
	{P(DRAINING),               ROLLOVER_EV_COUNTED,   needs_another,        NULL,           asks_for_campaign,    SAME},
	{P(ISSUING) | P(DRAINING),  ROLLOVER_EV_CAMPAIGN,  NULL,                 NULL,           campaign_noted,       SAME},

	{P(PREPARING) | P(TRUST) | P(ISSUING) | P(DRAINING),
	                            ROLLOVER_EV_ROLLBACK,  has_a_way_back,       NULL,           switched_back,        ROLLOVER_ROLLED_BACK},

	{P(PREPARING),              ROLLOVER_EV_EMERGENCY, may_turn,             NULL,           turned_and_stopped,   SAME},
	{P(TRUST),                  ROLLOVER_EV_EMERGENCY, may_turn,             NULL,           turned_and_switched,  ROLLOVER_ISSUING},
	{P(ISSUING) | P(DRAINING),  ROLLOVER_EV_EMERGENCY, may_turn,             NULL,           turned,               SAME},

	{P(ISSUING) | P(DRAINING),  ROLLOVER_EV_RETIRE,    may_be_forced,        NULL,           retires,              ROLLOVER_RETIRING},
	{P(DRAINING),               ROLLOVER_EV_RETIRE,    NULL,                 is_left_by_all, retires,              ROLLOVER_RETIRING},
};
/* clang-format on */

static bool from_a_person(enum rollover_event_kind k)
{
	return k >= ROLLOVER_EV_ADVANCE;
}

int rollover_flow_step(const struct rollover *r, const struct rollover_event *event, int64_t now, struct rollover_step *ret)
{
	struct context       x = {r, event, now};
	struct rollover_step step = {.next = *r};
	for (size_t i = 0; i < N_ELEMENTS(table); i++) {
		const struct transition *t = &table[i];
		if ((t->phases & (1u << r->phase)) == 0 || t->event != event->kind || (t->guard != NULL && !t->guard(&x)))
			continue;
		if (t->gate != NULL && !t->gate(&x))
			return E_ROLLOVER_GATE;
		if (t->next != SAME)
			step.next.phase = (enum rollover_phase)t->next;
		t->effect(&x, &step);
		*ret = step;
		return 0;
	}
	if (from_a_person(event->kind))
		return E_ROLLOVER_STATE;
	*ret = step;
	return 0;
}

void rollover_flow_begin(const char *issuer_id, const char *successor_id, bool emergency, int64_t now, struct rollover *ret)
{
	struct rollover r = {.phase = ROLLOVER_PREPARING, .emergency = emergency, .created_at = now};
	text_cut(r.issuer_id, sizeof(r.issuer_id), issuer_id);
	text_cut(r.successor_id, sizeof(r.successor_id), successor_id);
	*ret = r;
}

/* In an emergency the old one is closed first: what it signs until then is what the incident is about. */
enum rollover_wish rollover_flow_wish(const struct rollover *r, int64_t now)
{
	if (rollover_flow_is_over(r) || (r->code != 0 && r->next_at > now))
		return ROLLOVER_WANTS_NOTHING;
	if (r->phase == ROLLOVER_RETIRING && r->closed && rollover_is_root(r))
		return ROLLOVER_WANTS_RELEASED;
	if (r->phase == ROLLOVER_RETIRING || (r->emergency && !r->closed))
		return ROLLOVER_WANTS_CLOSED;
	return r->phase == ROLLOVER_PREPARING ? ROLLOVER_WANTS_SUCCESSOR : ROLLOVER_WANTS_NOTHING;
}

bool rollover_flow_is_over(const struct rollover *r)
{
	return r->phase == ROLLOVER_RETIRED || r->phase == ROLLOVER_ROLLED_BACK;
}

bool rollover_flow_may_turn(const struct rollover *r)
{
	return !r->emergency && !rollover_is_root(r) && !rollover_flow_is_over(r) && r->phase != ROLLOVER_RETIRING;
}

bool rollover_flow_ends_campaign(const struct rollover *r)
{
	bool turned = r->emergency && r->campaigns == 0 && !id_is_none(r->campaign_id);
	return turned || (r->phase == ROLLOVER_ROLLED_BACK && r->campaigns > 0);
}

bool rollover_flow_counts(const struct rollover *r)
{
	return !rollover_flow_is_over(r) && r->phase != ROLLOVER_PREPARING;
}

bool rollover_flow_is_due(int64_t issuer_ends_at, int64_t longest_ms, int64_t now)
{
	return issuer_ends_at - now < longest_ms + margin_ms;
}

/* rollover_flow.h - room controller/core: decides the next step when an authority gives way to another.
 * Prepare, trust, issue, drain, retire: each is left only when what it stands for is proved, and until the last there is a way
 * back, but for an emergency. Never: clocks, files, sockets, heap, single certificates. The caller stores the new state
 * together with what the actions change. */
#ifndef VCC_ROLLOVER_FLOW_H
#define VCC_ROLLOVER_FLOW_H

#include "shared/base/err.h"
#include "shared/model/rollover.h"

enum rollover_event_kind {
	ROLLOVER_EV_MADE,     /* the signer has the successor */
	ROLLOVER_EV_REFUSED,  /* it refused: code, cause */
	ROLLOVER_EV_CLOSED,   /* it has closed the old one */
	ROLLOVER_EV_COUNTED,  /* what is left was counted: figures */
	ROLLOVER_EV_CAMPAIGN, /* the answer to an action: campaign_id */
	/* a person's */
	ROLLOVER_EV_ADVANCE,  /* figures */
	ROLLOVER_EV_ROLLBACK, /* cause */
	ROLLOVER_EV_EMERGENCY, /* agreed to by two: actor, cause */
	ROLLOVER_EV_RETIRE,   /* agreed to by two: figures, override, consumers, consumers_hash */
	ROLLOVER_EV_COUNT,
};
const char *rollover_event_name(enum rollover_event_kind k);

/* What still hangs on the old one. */
struct rollover_figures {
	uint32_t distrustful;        /* agents seen within 30 days that do not hold the successor's root yet; below the same root nobody */
	uint32_t holders;            /* of a root: such agents that hold the old one yet */
	bool     released;           /* of a root: hosts are given the trust bundle without the old one */
	uint32_t reissuable;         /* certificates that their hosts would get anew, if they were asked to */
	uint32_t agents;             /* hosts that were here within 30 days and hold something in use that it signed */
	bool     campaign_open;      /* the last one is not closed */
	bool     campaign_rests;     /* it is not closed, but nothing more of it happens without a host or a person */
	bool     campaign_cancelled; /* a person ended it: no other one follows by itself */
};

struct rollover_event {
	enum rollover_event_kind kind;
	int                      code;
	char                     cause[CAUSE_SIZE];
	struct rollover_figures  figures;
	struct id                campaign_id;
	bool                     override;
	uint32_t                 consumers;
	struct hash              consumers_hash;
	char                     actor[ACTOR_SIZE];
};

enum rollover_action_kind {
	ROLLOVER_ACT_ADOPT,       /* the successor becomes an issuer that stands by */
	ROLLOVER_ACT_STOP,        /* the old one drains, though there is no other yet */
	ROLLOVER_ACT_SWITCH,      /* the successor issues, the old one drains */
	ROLLOVER_ACT_SWITCH_BACK, /* the old one issues, the successor stands by */
	ROLLOVER_ACT_CAMPAIGN,    /* one that issues again what can be; its step changes nothing, the answer does */
	ROLLOVER_ACT_END_CAMPAIGN,
	ROLLOVER_ACT_RETIRE, /* the old one is retired; in an emergency it is revoked, too */
	ROLLOVER_ACT_AUDIT,  /* a record: event */
	ROLLOVER_ACT_KIND_COUNT,
};
const char *rollover_action_name(enum rollover_action_kind k);

struct rollover_action {
	enum rollover_action_kind kind;
	enum audit_event          event;
};

enum { ROLLOVER_ACTIONS_MAX = 4 };
struct rollover_step {
	struct rollover        next;
	bool                   changed; /* `next` is to be stored */
	struct rollover_action act[ROLLOVER_ACTIONS_MAX];
	size_t                 n_act;
};

/* A new one; in an emergency the old one stops at once: the same commit switches it off. */
void rollover_flow_begin(const char *issuer_id, const char *successor_id, bool emergency, int64_t now, struct rollover *ret);

/* To a person: E_ROLLOVER_STATE (not possible in this phase), E_ROLLOVER_GATE (what has to be proved first is not); `ret` is
 * untouched then. Anything else that does not fit changes nothing. */
_must_check_ int rollover_flow_step(const struct rollover *r, const struct rollover_event *event, int64_t now,
				    struct rollover_step *ret);

/* What the signer is to be asked for now, again and again until it has answered. */
enum rollover_wish {
	ROLLOVER_WANTS_NOTHING,
	ROLLOVER_WANTS_SUCCESSOR,
	ROLLOVER_WANTS_CLOSED,
	ROLLOVER_WANTS_RELEASED, /* of a root: what stands below it is closed; the bundle without it may go to hosts */
};
enum rollover_wish rollover_flow_wish(const struct rollover *r, int64_t now);

bool rollover_flow_is_over(const struct rollover *r);
/* May it become an emergency? What was closed for good, or is one already, may not. */
bool rollover_flow_may_turn(const struct rollover *r);
/* Its last campaign is to be ended: nobody wants it any more, though it may still be open. */
bool rollover_flow_ends_campaign(const struct rollover *r);
bool rollover_flow_counts(const struct rollover *r); /* is it worth counting what is left? */

/* An authority is to be rolled when its rest is shorter than the longest template that it signs and 90 days (LIFECYCLE 2). */
bool rollover_flow_is_due(int64_t issuer_ends_at, int64_t longest_ms, int64_t now);

#endif

/* campaign_flow.h - room controller/core: decides the next step of one campaign from its counters: what is sent when, when it
 * is halted, when it ends. Never: clocks, files, sockets, heap, single members. The caller stores the new state together with
 * what the actions change. */
#ifndef VCC_CAMPAIGN_FLOW_H
#define VCC_CAMPAIGN_FLOW_H

#include "shared/base/err.h"
#include "shared/model/campaign.h"

enum campaign_event_kind {
	CAMPAIGN_EV_APPROVED, /* by a second person */
	CAMPAIGN_EV_REJECTED,
	CAMPAIGN_EV_HALT, /* by a person: cause */
	CAMPAIGN_EV_RESUME,
	CAMPAIGN_EV_CANCEL, /* by a person: cause */
	CAMPAIGN_EV_ROLLBACK, /* by a person: first, last, cause */
	CAMPAIGN_EV_SENT,   /* members left `waiting` (or `held`): the answer to an action: moved[] */
	CAMPAIGN_EV_MOVED,  /* one member went on: from, to */
	CAMPAIGN_EV_BACK,   /* members left `done`: the answer to an action: moved[], reached */
	CAMPAIGN_EV_TIMER,  /* time passed, or something else may have changed: away */
	CAMPAIGN_EV_JOINED, /* members were added: moved[] */
	CAMPAIGN_EV_WHOLE,  /* no more will be */
	CAMPAIGN_EV_COUNT,
};
const char *campaign_event_name(enum campaign_event_kind k);

struct campaign_event {
	enum campaign_event_kind kind;
	char                     cause[CAUSE_SIZE];
	bool                     by_person;                 /* `cause` is in somebody's own words */
	uint32_t                 moved[MEMBER_STATE_COUNT]; /* SENT, JOINED: so many went to that state */
	enum member_state        from, to;                  /* SENT: `from` WAITING or HELD; MOVED */
	bool                     stage_ends;                /* SENT: what waits next belongs to a later stage */
	bool                     wave_ends;                 /* SENT: what waits next belongs to a later wave */
	uint64_t                 first, last;               /* ROLLBACK: positions */
	int64_t                  grace_ms;                  /* ROLLBACK: the longest time in which a host may go back once it is closed */
	bool                     peer_unproved;             /* MOVED, to DONE: not every relying party has seen it */
	uint64_t                 reached;                   /* BACK: looked at up to this position */
	uint32_t away; /* TIMER: open members that nothing is in flight for: their host is not connected, or a person is waited
			  for */
};

enum campaign_action_kind {
	CAMPAIGN_ACT_SEND,  /* take the next `n` waiting members, in order and of one stage, and make their orders */
	CAMPAIGN_ACT_DROP,  /* take the next `n` waiting members, then held ones, and drop them */
	CAMPAIGN_ACT_BACK,  /* of the next `n` members after back_at, up to back_last, let those that are done go back, and end
			       what is still to be tried or waits for its host */
	CAMPAIGN_ACT_AUDIT, /* a record: event */
	CAMPAIGN_ACT_KIND_COUNT,
};
const char *campaign_action_name(enum campaign_action_kind k);

struct campaign_action {
	enum campaign_action_kind kind;
	uint32_t                  n;
	enum audit_event          event;
};

enum { CAMPAIGN_ACTIONS_MAX = 3, CAMPAIGN_CHUNK = 50 }; /* orders of one turn of the loop: some 0.1 ms each */
struct campaign_step {
	struct campaign        next;
	bool                   changed; /* `next` is to be stored */
	struct campaign_action act[CAMPAIGN_ACTIONS_MAX];
	size_t                 n_act;
	int                    refusal; /* why a person is refused, where there is more to say than that its state does not allow it */
};

/* E_CAMPAIGN_STATE: a person asks for what is not possible now; E_ROLLBACK_GRACE: nor ever again; `ret` is untouched then. SEND, DROP and BACK come alone, and
 * their step changes nothing: the answer to them (SENT, BACK) does. */
_must_check_ int campaign_flow_step(const struct campaign *c, const struct campaign_event *event, int64_t now,
				    struct campaign_step *ret);

/* What the trail says when one begins. */
enum audit_event campaign_flow_started(const struct campaign *c);

/* How many members are in this state. */
uint32_t *campaign_flow_counter(struct campaign *c, enum member_state s);
uint32_t campaign_flow_open(const struct campaign *c);    /* members that are not through */
uint32_t campaign_flow_pending(const struct campaign *c); /* the same with those that were never sent */
/* Is anything in flight, when `away` of the open ones are not? */
bool campaign_flow_in_flight(const struct campaign *c, uint32_t away);

/* N of LIFECYCLE 6: more than this needs a second person. `share` per mille. */
uint32_t campaign_flow_limit(uint64_t certificates, int64_t share);

#endif

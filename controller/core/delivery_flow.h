/* delivery_flow.h - room controller/core: which channel gets a notice, what is sent together and when, when a failure is tried
 * again, when somebody is reminded. Never: clocks, heap, receivers. */
#ifndef VCC_DELIVERY_FLOW_H
#define VCC_DELIVERY_FLOW_H

#include "shared/model/delivery.h"

/* ---- where it goes ----------------------------------------------------------------------------------------------- */

enum { DELIVERY_LIST_SIZE = 512 };

/* What one channel is sent. */
struct delivery_rule {
	int  at_least;                     /* enum notice_level; NOTICE_LEVEL_COUNT = only what escalates */
	bool escalation;                   /* it is also told what nobody has acknowledged */
	char services[DELIVERY_LIST_SIZE]; /* comma list; "" = all, and what is about no single one */
	char events[DELIVERY_LIST_SIZE];   /* comma list; "" = all */
};
bool delivery_wanted(const struct delivery_rule *rule, const struct notice *n);

/* ---- what is sent now -------------------------------------------------------------------------------------------- */

enum { DELIVERY_BATCH = 50, DELIVERY_RECENT = 32 };

/* When a channel was sent something about a group last. */
struct delivery_recent {
	char    group[NOTICE_GROUP_SIZE];
	int64_t at; /* 0 = nothing stands here */
};

struct delivery_pace {
	int64_t                wait_ms;     /* the first of a group waits so long for others */
	int64_t                interval_ms; /* at least so long between two messages about a group */
	bool                   quiet;       /* a quiet time of the channel: only what is critical */
	int64_t                quiet_until;
	bool                   failing; /* the last attempt failed: until one is through, nothing new but what is critical */
	struct delivery_recent recent[DELIVERY_RECENT];
};

enum delivery_choice { DELIVERY_NOTHING, DELIVERY_SEND, DELIVERY_HOLD };
const char *delivery_choice_name(enum delivery_choice c);

struct delivery_pick {
	enum delivery_choice choice;
	bool                 again; /* SEND: the message was tried before; all that goes with it has its id */
	size_t               n;
	size_t               index[DELIVERY_BATCH];
};
/* Of rows that are due on one channel, of each kind those that have waited longest first: what is done next. All that are
 * critical, and all of a message that was begun, have to be among them before any other is. */
void delivery_pick(const struct delivery *rows, size_t n, const struct delivery_pace *pace, int64_t now,
		   struct delivery_pick *ret);

/* The group was sent something: forgets the one that was longest ago. */
void delivery_note_sent(struct delivery_pace *pace, const char *group, int64_t now);

/* ---- what failed ------------------------------------------------------------------------------------------------- */

/* After the attempt number `attempts` failed: when the next one is due; TIME_NEVER = it is given up. `first_ms` grows with each
 * attempt to an hour; `asked_ms`: the receiver said to wait so long (at most an hour counts); `random` spreads it. */
int64_t delivery_retry_at(uint32_t attempts, uint32_t tries, int64_t first_ms, int64_t asked_ms, uint32_t random, int64_t now);

/* ---- what nobody does anything about ----------------------------------------------------------------------------- */

struct delivery_nag {
	int64_t repeat_ms;   /* 0 = never */
	int64_t escalate_ms; /* 0 = never */
};
/* When a new notice is looked at; TIME_NEVER: nothing to remind of. Only matters of level error and above that stay open. */
int64_t delivery_first_look(const struct notice *n, const struct delivery_nag *nag);
/* Looked at now: *ret_kind DELIVERY_FIRST = nothing is sent. Returns when it is looked at next. */
int64_t delivery_look(const struct notice *n, const struct delivery_nag *nag, int64_t now, enum delivery_kind *ret_kind);

#endif

/* delivery.h - room shared/model: a notice on its way to one channel: a queue entry, written with the notice itself.
 * Plain values. Never: functions with state, addresses of receivers. */
#ifndef VCC_DELIVERY_H
#define VCC_DELIVERY_H

#include "shared/model/notice.h"

enum { CHANNEL_NAME_SIZE = 32, CHANNELS_MAX = 16, DELIVERY_CAUSE_SIZE = 160 };

/* waiting: to be sent, or to be tried again. dead: given up, as `code` says; nobody was told by this channel. */
enum delivery_state { DELIVERY_WAITING, DELIVERY_SENT, DELIVERY_DEAD, DELIVERY_STATE_COUNT };
const char *delivery_state_name(enum delivery_state s);

enum delivery_kind { DELIVERY_FIRST, DELIVERY_REMINDER, DELIVERY_ESCALATION, DELIVERY_KIND_COUNT };
const char *delivery_kind_name(enum delivery_kind k);

struct delivery {
	uint64_t            seq; /* given by the store */
	char                channel[CHANNEL_NAME_SIZE];
	struct id           notice_id;
	enum delivery_kind  kind;
	enum notice_level   level;
	char                group[NOTICE_GROUP_SIZE]; /* what is sent together */
	enum delivery_state state;
	bool                held; /* it came in a quiet time: it goes with all others of that */
	struct id message_id;     /* of the message that it goes with, the same in every attempt; none = in no message yet */
	uint32_t  attempts;
	int64_t   at;       /* when it was queued */
	int64_t   due_at;   /* TIME_NEVER = it is over */
	int64_t   ended_at; /* 0 = not yet */
	int       code;     /* of the last attempt; 0 = none failed */
	char      cause[DELIVERY_CAUSE_SIZE];
};

/* A channel's name: lower-case letters, digits, '-' and '_', at most 31. */
bool delivery_channel_ok(const char *name);

#endif

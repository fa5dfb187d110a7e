/* notice.h - room shared/model: something that people have to be told: a queue entry, written with the change that caused it.
 * Plain values. Never: functions with state, names of persons; recipients are addresses from templates and roles. */
#ifndef VCC_NOTICE_H
#define VCC_NOTICE_H

#include "shared/model/approval.h"

enum notice_level { NOTICE_SUCCESS, NOTICE_INFO, NOTICE_ERROR, NOTICE_CRITICAL, NOTICE_LEVEL_COUNT }; /* in rising order */
const char *notice_level_name(enum notice_level l);

enum notice_event {
	NOTICE_RENEWAL_FAILED,     /* an attempt or the order; another may follow */
	NOTICE_RENEWAL_PAUSED,     /* the attempts are used */
	NOTICE_RENEWAL_UNVERIFIED, /* completed, but nobody has seen it served */
	NOTICE_ROLLBACK_FAILED,
	NOTICE_TROUBLE_RESOLVED,
	NOTICE_THRESHOLD_REACHED, /* a certificate is inside its emergency threshold, or has expired */
	NOTICE_RENEWALS_NEAR,
	NOTICE_RENEWALS_REACHED, /* max_renewals: the order waits for a person */
	NOTICE_APPROVAL_WAITING,
	NOTICE_EMERGENCY_UNCONFIRMED, /* above the limit: runs, and a second person is to confirm it */
	NOTICE_EMERGENCY_STARTED,
	NOTICE_EMERGENCY_ENDED,
	NOTICE_EMERGENCY_FAILED, /* ended with failures */
	NOTICE_CAMPAIGN_ENDED,
	NOTICE_CAMPAIGN_FAILED,
	NOTICE_CAMPAIGN_HALTED,
	NOTICE_EMERGENCY_HALTED,
	NOTICE_EMERGENCY_WAITING, /* nothing is done about it before a second person agrees */
	NOTICE_CAMPAIGN_CANCELLED,  /* by a person: no failure */
	NOTICE_EMERGENCY_CANCELLED, /* the same; what it was to answer is not answered */
	NOTICE_RENEWAL_COMPLETED, /* only where somebody wants to hear of each */
	NOTICE_DIGEST,            /* what went as it should */
	NOTICE_FLEET_SILENT,      /* many hosts at once are not connected any more */
	NOTICE_FLEET_BACK,
	NOTICE_EVENT_COUNT,
};
const char *notice_event_name(enum notice_event e);

/* queued: to be told. closed: its matter is over; what there was to say of that is a notice of its own. */
enum notice_state { NOTICE_QUEUED, NOTICE_CLOSED, NOTICE_STATE_COUNT };
const char *notice_state_name(enum notice_state s);

/* What a certificate may be in trouble about; of each it is in one trouble at most. */
enum notice_topic { NOTICE_TOPIC_RENEWAL, NOTICE_TOPIC_THRESHOLD, NOTICE_TOPIC_COUNT };
const char *notice_topic_name(enum notice_topic t);

enum { NOTICE_KEY_SIZE = 96, NOTICE_RECIPIENTS_SIZE = 768, NOTICE_DETAIL_SIZE = 1024, NOTICE_CHANNELS_SIZE = 544, NOTICE_GROUP_SIZE = CERT_ID_SIZE };

struct notice {
	struct id         notice_id;
	int64_t           at; /* when it was queued first */
	enum notice_level level;
	enum notice_event event;
	enum notice_state state;
	char              key[NOTICE_KEY_SIZE];    /* one matter: while it is open, more of the same raises the count; "" = told once */
	char              service[SERVICE_SIZE];   /* "" = of no single one */
	char              object[CERT_ID_SIZE];    /* cert_id, campaign, request: the last one that it was raised for */
	struct id         renewal_id;
	uint32_t          attempt;
	int               code;
	char              recipients[NOTICE_RECIPIENTS_SIZE]; /* comma list: role:admin, role:security, role:approver, addresses */
	char              detail[NOTICE_DETAIL_SIZE];         /* a JSON object, or "" */
	uint32_t          count;
	int64_t           last_at;
	int64_t           closed_at; /* 0 = open */
	char              channels[NOTICE_CHANNELS_SIZE];       /* comma list: where it is sent */
	char              escalation[NOTICE_RECIPIENTS_SIZE];   /* who is told when nobody acknowledges it */
	int64_t           acked_at;        /* 0 = nobody has taken it over */
	int64_t           snoozed_until_at; /* 0 = nobody wants quiet about it */
	int64_t           remind_at;       /* when it is looked at next; TIME_NEVER = nobody is reminded of it */
	uint32_t          reminders;       /* so many were sent */
	uint32_t          escalations;
};

/* A certificate that an open trouble stands for. */
struct notice_member {
	char              cert_id[CERT_ID_SIZE];
	enum notice_topic topic;
	struct id         notice_id;
	int64_t           since_at;
};

/* How a matter stands for people. */
enum notice_standing { NOTICE_IS_OPEN, NOTICE_IS_ACKNOWLEDGED, NOTICE_IS_SNOOZED, NOTICE_IS_CLOSED, NOTICE_STANDING_COUNT };
enum notice_standing notice_standing(const struct notice *n, int64_t now);
const char          *notice_standing_name(enum notice_standing s);

/* What is sent together: matters of one service, else of one campaign or request. */
const char *notice_group(const struct notice *n);

/* Adds to one comma list what of another is not there yet; what finds no room is left out. */
void notice_recipients_add(char to[NOTICE_RECIPIENTS_SIZE], const char *list);

#endif

/* campaign.h - room shared/model: a campaign, a set of orders with one cause, and its members.
 * Plain values. The decisions are in controller/core/campaign_flow.c. Never: functions with state. */
#ifndef VCC_CAMPAIGN_H
#define VCC_CAMPAIGN_H

#include "shared/model/agent.h"

enum campaign_kind { CAMPAIGN_BULK, CAMPAIGN_EMERGENCY, CAMPAIGN_SERVICE, CAMPAIGN_POLICY, CAMPAIGN_CA, CAMPAIGN_DRILL, CAMPAIGN_KIND_COUNT };
const char *campaign_kind_name(enum campaign_kind k);

enum campaign_state {
	CAMPAIGN_AWAITING_APPROVAL,
	CAMPAIGN_PROCESSING,
	CAMPAIGN_HALTED, /* nothing new is sent; what was sent finishes */
	CAMPAIGN_COMPLETED,
	CAMPAIGN_COMPLETED_WITH_FAILURES,
	CAMPAIGN_CANCELLED, /* what was not sent is dropped for good */
	CAMPAIGN_STATE_COUNT,
};
const char *campaign_state_name(enum campaign_state s);

/* What happened; says what becomes of keys, hosts and old certificates (LIFECYCLE 6). */
enum incident_type {
	INCIDENT_OTHER,
	INCIDENT_KEY_COMPROMISE,
	INCIDENT_HOST_COMPROMISE,
	INCIDENT_CA_COMPROMISE,
	INCIDENT_ALGORITHM,
	INCIDENT_MISISSUANCE,
	INCIDENT_EXERCISE,
	INCIDENT_TYPE_COUNT,
};
const char      *incident_type_name(enum incident_type t);
_must_check_ int incident_type_parse(const char *name, enum incident_type *ret); /* E_SYNTAX */

/* When the old issuance is revoked: after the usual grace, at the proof of the new one, at once, or at the proof but no later
 * than after a while. */
enum revoke_old { REVOKE_OLD_GRACE, REVOKE_OLD_PROVED, REVOKE_OLD_NOW, REVOKE_OLD_AFTER, REVOKE_OLD_COUNT };
const char *revoke_old_name(enum revoke_old r);
/* "proved", "now", "after:4h"; *ret_after_ms is 0 but for the last. E_SYNTAX, E_RANGE (a minute to 30 days). */
_must_check_ int revoke_old_parse(const char *text, enum revoke_old *ret, int64_t *ret_after_ms);

/* An emergency above the limit runs before it is confirmed. */
enum confirmation { CONFIRMATION_NONE, CONFIRMATION_ASKED, CONFIRMATION_GIVEN, CONFIRMATION_REFUSED, CONFIRMATION_COUNT };
const char *confirmation_name(enum confirmation c);

enum member_state {
	MEMBER_WAITING,   /* nothing was sent */
	MEMBER_HELD,      /* its host is banned: waits for the new one */
	MEMBER_FOLLOWING, /* an order that was under way already is awaited */
	MEMBER_ORDERED,   /* its own order is under way */
	MEMBER_DONE,
	MEMBER_FAILED,
	MEMBER_SKIPPED, /* nothing is to be done, or may be done, with it */
	MEMBER_DROPPED, /* the campaign was cancelled before it was sent */
	MEMBER_GOING_BACK, /* it was done, and the issuance before it is being put in use again */
	MEMBER_ROLLED_BACK,
	MEMBER_KEPT, /* it was to go back and could not: it serves what this campaign brought */
	MEMBER_STATE_COUNT,
};
const char *member_state_name(enum member_state s);

enum { CAMPAIGN_TEXT_SIZE = 128, INCIDENT_SIZE = 64, CAMPAIGN_MEMBERS_MAX = 200000, CAMPAIGN_IDS_MAX = 100000, WAVES_MAX = 16, WAVES_TEXT_SIZE = 128 };

struct campaign {
	struct id           campaign_id;
	enum campaign_kind  kind;
	enum campaign_state state;
	enum trigger        trigger;                      /* of its orders */
	char                selector[CAMPAIGN_TEXT_SIZE]; /* for people */
	char                services[CAMPAIGN_TEXT_SIZE]; /* comma list of all that it touches; "*" = too many to name */
	char                actor[ACTOR_SIZE];
	char                reason[REASON_SIZE];
	struct hash         plan_hash;
	/* emergency */
	char               incident_id[INCIDENT_SIZE];
	enum incident_type incident;
	bool               fresh_keys; /* a key that was made before the campaign is not good enough */
	enum revoke_old    revoke_old;
	int64_t            revoke_by_at;  /* REVOKE_OLD_AFTER: at the latest then; it moves with the begin; 0 = no such time */
	int64_t            invalidity_at; /* since when signatures by the key are worth nothing; 0 = not said */
	/* how many members are in which state */
	uint32_t total, waiting, held, following, ordered, done, failed, skipped, dropped, going_back, rolled_back, kept;
	/* pace, as it was set when the campaign began */
	uint32_t batch; /* so many at a time, 0 = all at once */
	int64_t  pause_ms;
	uint32_t halt_share;               /* per mille of a batch that may fail */
	uint32_t batch_sent, batch_failed; /* of the current batch */
	bool     batch_full;               /* nothing more goes into the current batch */
	/* waves: members of one have positions that follow each other, from 1 on */
	char     waves[WAVES_TEXT_SIZE];           /* comma list: how many members each has; "" = it has no waves */
	bool     canary;                           /* the first one is a canary: none of it may fail */
	uint32_t wave;                             /* the one that was released last, from 1; 0 = it has no waves */
	uint32_t wave_sent, wave_done, wave_failed; /* of that one, and of whoever comes late from one before it */
	bool     wave_full;                        /* nothing more goes into it */
	uint32_t halt_count;                       /* so many failures of a wave, or of a batch, halt it; 0 = any number may fail */
	bool     rollback_on_halt;                 /* when it halts by itself, what was touched goes back */
	/* the way back: of the members from position to position */
	uint64_t back_first, back_last; /* back_last 0 = nobody asked for it */
	uint64_t back_at;               /* looked at up to there */
	/* second persons */
	bool              approved; /* agreed to beforehand: its orders wait for nobody */
	enum confirmation confirmation;
	int64_t           remind_at;         /* TIME_NEVER = nobody is waited for */
	char              cause[CAUSE_SIZE]; /* why it was halted or ended early */
	int64_t           created_at;
	int64_t           started_at;   /* 0 = not yet */
	int64_t           next_at;      /* the next batch goes not before; TIME_NEVER = the last one is under way */
	int64_t           completed_at; /* 0 = not yet: some members are open */
	int64_t           rested_at;    /* since when nothing is in flight: the grace of what it replaced begins; 0 = not yet */
	bool              collecting;   /* members are still being added to it */
	bool        peer_proof;    /* its orders are completed only when the relying parties have seen what they brought */
	uint32_t    peer_unproved; /* of those that are done: not everybody has, or nobody is declared */
	struct hash content_hash;  /* of the plan without what came before it: the same when the same is planned again; none = not planned */
	bool        cause_by_person; /* `cause` is in somebody's own words */
};
_Static_assert(sizeof(struct campaign) <= 1536, "a campaign's state stays small");

struct campaign_member {
	struct id         campaign_id;
	uint64_t          position; /* the order in which they are sent, from 1 */
	char              cert_id[CERT_ID_SIZE];
	char              service[SERVICE_SIZE];
	char              agent[AGENT_NAME_SIZE];
	uint32_t          stage; /* a stage begins when everything of the one before is through */
	enum member_state state;
	struct id         renewal_id; /* of the order that it waits for or that it ended with; none before */
	int               code;       /* why it failed or was skipped */
	char              cause[CAUSE_SIZE];
	int64_t           changed_at;
	char              template_id[TEMPLATE_ID_SIZE]; /* when it was added: of another one it is not meant any more; "" = not known */
};

#endif

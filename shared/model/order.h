/* order.h - room shared/model: one renewal of one certificate, its phases, triggers, events.
 * Plain values, <= 1 KiB. The decisions are in controller/core/order_flow.c. Never: functions with state. */
#ifndef VCC_ORDER_H
#define VCC_ORDER_H

#include "shared/model/certificate.h"

enum trigger {
	TRIGGER_SCHEDULED,
	TRIGGER_EMERGENCY,
	TRIGGER_POLICY_UPDATE,
	TRIGGER_SERVICE_UPDATE,
	TRIGGER_MANUAL,
	TRIGGER_COUNT,
};
const char *trigger_name(enum trigger t);
_must_check_ int trigger_parse(const char *name, enum trigger *ret);

enum order_phase {
	ORDER_PLANNED,
	ORDER_AWAITING_APPROVAL,
	ORDER_ORDERED,
	ORDER_CSR_RECEIVED,
	ORDER_SIGNING,
	ORDER_ISSUED,
	ORDER_DELIVERED,
	ORDER_VERIFIED,
	ORDER_SETTLED,
	ORDER_COMPLETED,
	ORDER_FAILED,
	ORDER_RETRY_WAIT,
	ORDER_PAUSED,
	ORDER_ROLLED_BACK,
	ORDER_CANCELLED,
	ORDER_ROLLING_BACK, /* it was completed; the host is putting the issuance before it in use again */
	ORDER_PHASE_COUNT,
};
const char *order_phase_name(enum order_phase p);
/* LIFECYCLE 3: pending, in_progress, awaiting_approval, completed, failed, paused, cancelled, rolled_back. */
const char *order_status_name(enum order_phase p);
bool        order_phase_open(enum order_phase p); /* pending, in_progress, awaiting_approval */
bool        order_phase_final(enum order_phase p); /* completed, failed, rolled_back, cancelled */

enum { /* flags of a completed order */
	ORDER_UNVERIFIED = 1 << 0,
	ORDER_DRAINING = 1 << 1,
	ORDER_SERVICE_WAS_DOWN = 1 << 2,
	ORDER_HOOK_FAILED = 1 << 3,
	ORDER_FORCED = 1 << 4, /* ordered with force */
	ORDER_APPROVED = 1 << 5, /* a second person approved it */
	ORDER_NOW = 1 << 7, /* a person said that it does not wait for a window */
	ORDER_ROLLBACK_ASKED = 1 << 8, /* somebody wanted what it replaced back, however that ended */
	ORDER_STAGED = 1 << 9, /* this attempt began with the certificate for the key that the host had staged */
	ORDER_FRESH = 1 << 10, /* a key that was made before the order is not good enough */
	ORDER_PEERS = 1 << 11, /* it is completed only when the relying parties have seen what it brought */
	ORDER_PEER_UNPROVED = 1 << 12, /* not all of them did: one is away, or nobody is declared */
	ORDER_PEER_REFUSED = 1 << 13, /* one of them saw something else, or cannot trust it */
	ORDER_DRILL = 1 << 14, /* a drill: its certificate is tested on the host and never used. No renewal, in no figure of renewals */
	ORDER_CANCEL_ASKED = 1 << 6, /* the agent holds the certificate and was asked to stop before the flip */
};

enum { CAUSE_SIZE = 160, ACTOR_SIZE = 48 };

struct order {
	struct id        renewal_id;
	char             cert_id[CERT_ID_SIZE];
	char             agent[AGENT_NAME_SIZE];
	char             service[SERVICE_SIZE];
	enum trigger     trigger;
	enum order_phase phase;
	uint32_t         attempt; /* from 1; each CSR trip of the same order has its own */
	uint32_t         failures; /* attempts that failed on the target */
	uint32_t         flags;
	struct serial    old_serial; /* none for a first issue */
	struct serial    serial;     /* of this attempt, from intent on */
	struct hash      tbs_hash;
	struct hash      fingerprint; /* from ORDER_ISSUED on */
	struct hash      spki_hash;   /* the key this attempt certifies */
	uint32_t         template_version;
	int              code; /* last failure, 0 = none */
	char             cause[CAUSE_SIZE];
	char             actor[ACTOR_SIZE]; /* principal or "scheduler" */
	struct id        campaign_id;
	int64_t          created_at;
	int64_t          deadline_at; /* of this attempt */
	int64_t          next_at;     /* when the timer looks at it again; TIME_NEVER = only events */
	int64_t          verified_at; /* 0 = not yet */
	int64_t          completed_at; /* when it ended; 0 = not yet */
};

/* Steps of the workflow as people see them in renewals/{id}. */
enum workflow_step {
	STEP_PRE_VALIDATION,
	STEP_KEY,
	STEP_ISSUE,
	STEP_CHECK,
	STEP_WRITE,
	STEP_TEST,
	STEP_FLIP,
	STEP_RELOAD,
	STEP_VERIFY,
	STEP_SETTLE,
	STEP_ROLLBACK,
	STEP_REVOKE_OLD,
	STEP_NOTIFY,
	STEP_COUNT,
};
const char *workflow_step_name(enum workflow_step s);

/* One row of an order's history. */
struct order_step_row {
	struct id          renewal_id;
	uint32_t           attempt;
	enum workflow_step step;
	int                code; /* 0 = done */
	int64_t            at;
	int64_t            took_ms;
	char               detail[CAUSE_SIZE];
};

#endif

/* order_flow.h - room controller/core: decides the next step of one order (one renewal of one certificate).
 * Never: clocks, files, sockets, heap. The caller saves the new state together with the transactional actions in one
 * change, and performs the others when it is durable. Every action carries (renewal_id, attempt) and may be repeated. */
#ifndef VCC_ORDER_FLOW_H
#define VCC_ORDER_FLOW_H

#include "shared/base/attr.h"
#include "shared/model/order.h"
#include "shared/model/template.h"

enum order_event_kind {
	EV_DISPATCH, /* a planned (or approved) order may start now */
	EV_APPROVED,
	EV_REJECTED,
	EV_CSR,            /* checked request of this order's attempt: spki_hash, serial, tbs_hash are set */
	EV_CSR_BAD,        /* the request was refused: code */
	EV_ISSUED,         /* the signer's certificate: serial, fingerprint */
	EV_SIGN_FAILED,    /* code; kind retry = signer away or busy */
	EV_DELIVERED,      /* the agent has the certificate in its journal */
	EV_VERIFIED,       /* receipt: fingerprint, flags */
	EV_SETTLED,        /* receipt: fingerprint, flags */
	EV_TARGET_FAILED,  /* receipt: old pair is back; code, cause */
	EV_ANSWER_REFUSED, /* receipt: the agent refused our certificate; code, cause */
	EV_KEPT,           /* receipt: new pair kept though unproved; code */
	EV_STALE_AGAIN,    /* after verified an old answer was seen: reopened */
	EV_CANCEL,  /* by a person, suspend, takeover: code. Ends the order while the agent has no certificate; later it only
		       asks the  agent, which answers with a failed receipt (E_SWAP_CANCELLED) or goes on to the end */
	EV_TIMER,   /* now >= next_at; earlier changes nothing */
	EV_NOW,     /* by a person: windows do not count, and a wait for the next attempt is over */
	EV_ROLLBACK, /* by a person or a campaign, when the issuance before this one can still be used: the host is to put it in
			use again. A new attempt of a completed order */
	EV_TESTED,  /* receipt of a drill: fingerprint, flags */
	EV_RESTART, /* controller start, or the signer came back: the restart map */
	EV_PEERS_PROVED,  /* every relying party has seen the new certificate and trusts it */
	EV_PEERS_REFUSED, /* one of them has seen something else: code, cause */
	EV_PEERS_ENOUGH,  /* nobody waits for them any longer: cause */
	EV_LEFT,    /* its host, or its last place there, was removed: nobody will tell more of it; code, cause. Moves only what is proved */
	EV_PARK,    /* whoever handles it comes to harm: it rests until a person says otherwise; code, cause */
	EV_KIND_COUNT,
};
const char *order_event_name(enum order_event_kind k);

struct order_event {
	enum order_event_kind kind;
	struct id             renewal_id;
	uint32_t              attempt; /* of the message; 0 = not bound to an attempt */
	struct hash           spki_hash, tbs_hash, fingerprint;
	struct serial         serial;
	uint32_t              flags;
	int                   code;
	char                  cause[CAUSE_SIZE];
	uint32_t              random; /* for jitter */
	bool                  staged; /* whatever begins an attempt: it can begin with the host's staged key; spki_hash, serial, tbs_hash are set */
};

/* What policy says about this certificate now; filled by the shell from template, service and settings. */
struct order_policy {
	uint32_t max_attempts;
	int64_t  retry_ms;
	int64_t  attempt_ms;         /* how long an attempt may take: the deadline for the agent */
	int64_t  supersede_grace_ms; /* already chosen for proved or unproved targets */
	bool     code_signing;       /* never superseded */
	bool     pre_validation;     /* no attempt begins while something stands against it */
	char     prerequisite[CAUSE_SIZE]; /* what does; "" = nothing */
	bool     post_validation;
	int64_t  crossing_at;        /* next threshold of the certificate, when a paused order is tried, too; 0 = none */
	bool     verified_is_enough; /* verify = none or file: verified counts as settled */
	bool     peers;       /* somebody counts who says that he relies on it; known for receipts */
	int64_t  peers_ms;    /* how long they are waited for */
	bool     may_go_back; /* the issuance before can still be used; known for EV_PEERS_REFUSED */
	bool     held; /* the store was restored and nobody has accepted that: what was not sent stays here */
};

enum order_action_kind {
	/* in the same change as the new state */
	ACT_SEND_ORDER,       /* outbox: order message (replaces what was there), for a drill the drill message; sent after commit */
	ACT_SEND_CERTIFICATE, /* outbox: certificate message */
	ACT_SEND_CANCEL,      /* outbox: cancel message */
	ACT_SEND_ROLLBACK, /* outbox: rollback message with the certificate of the issuance before */
	ACT_CLEAR_OUTBOX,     /* nothing more to send for this order */
	ACT_ADD_INTENT,       /* issuance row {serial, TBS hash, signing request} in state INTENT */
	ACT_STORE_ISSUED, /* issuance row becomes ISSUED with its DER; current (unproved) when the certificate has none yet */
	ACT_VOID_INTENT,  /* issuance row becomes VOID (never signed) */
	ACT_PROVE, /* issuance ACTIVE, certificate's current issuance = this one and proved, old one RENEWED; next renew_at */
	ACT_ADOPT, /* certificate's current issuance = this one, not proved; the old one stays as it is; next renew_at */
	ACT_SUPERSEDE,     /* old issuance: supersede_at = at */
	ACT_KEEP_OLD,      /* old issuance: no supersession is due any more */
	ACT_REOPEN,        /* certificate.open_order = this order */
	ACT_REVOKE_NEW,    /* this attempt's issuance, signed or not, is revoked at once (superseded): rollback, refused,
			      cancelled. When it is    the certificate's current one, the order's old one (or none) becomes current
			      and ACTIVE again */
	ACT_COUNT_RENEWAL, /* certificate.unattended + 1, or 0 when order_flow_attended() */
	ACT_CLOSE, /* certificate.open_order = none (when it names this order); the order leaves memory. A paused order keeps it
		    */
	ACT_RESERVE_STAGE, /* the certificate's staged key is this order's */
	ACT_USE_STAGE,     /* a certificate for it exists: it is no stage any more */
	ACT_DROP_STAGE,    /* the certificate's staged key, if it is nobody else's, is not to be used, and its host is to make another */
	ACT_AUDIT, /* audit record: event, code */
	/* after the change is durable */
	ACT_SIGN, /* send the stored signing request to the signer (again) */
	ACT_ASK_PEERS, /* look at what the relying parties have said, and ask those that have not */
	ACT_KIND_COUNT,
};
const char *order_action_name(enum order_action_kind k);

enum order_audit {
	ORDER_AUDIT_NONE,
	ORDER_AUDIT_INTENT,
	ORDER_AUDIT_ISSUED,
	ORDER_AUDIT_PROVED,
	ORDER_AUDIT_COMPLETED,
	ORDER_AUDIT_FAILED,
	ORDER_AUDIT_PAUSED,
	ORDER_AUDIT_CANCELLED,
	ORDER_AUDIT_VOIDED,
	ORDER_AUDIT_STEP,
	ORDER_AUDIT_ROLLBACK_ASKED,
	ORDER_AUDIT_ROLLED_BACK,
	ORDER_AUDIT_ROLLBACK_FAILED,
	ORDER_AUDIT_PEERS_PROVED,
	ORDER_AUDIT_PEERS_REFUSED,
	ORDER_AUDIT_MISMATCH, /* a message that does not fit the order: MESSAGE_REFUSED */
	ORDER_AUDIT_COUNT,
};
const char *order_audit_name(enum order_audit a);

struct order_action {
	enum order_action_kind kind;
	struct id              renewal_id;
	uint32_t               attempt;
	struct serial          serial; /* which issuance */
	int64_t                at;     /* ACT_SUPERSEDE */
	enum order_audit       audit;  /* ACT_AUDIT */
	int                    code;
};

enum { ORDER_ACTIONS_MAX = 10 };
struct order_step {
	struct order next;    /* to be stored before any action runs */
	bool         durable; /* false: a live event, keep in memory only. True whenever there is an action of the change */
	bool         ignored; /* nothing in the table fitted, or the message was of an older attempt: count it */
	struct order_action act[ORDER_ACTIONS_MAX];
	size_t              n_act;
};

/* Is the next thing in this phase an attempt, when it may begin? */
bool order_flow_may_begin(enum order_phase phase);
/* Is this record written at the template's audit_level? minimal: what changes a state, and what is wrong; an attempt that failed is
 * neither. */
bool order_flow_audits(enum order_audit a, enum audit_level level);

/* Did a person stand behind this order (manual, forced, approved)? */
bool order_flow_attended(const struct order *o);

/* Takes one event at `now`. Unknown combinations change nothing (next == *o, no action, durable false): late, doubled
 * and replayed messages are harmless. An order that has left memory still takes events (the shell reads it from the store): a
 * csr for an ended order is answered with a cancel, and an order that completed unverified is proved by a later receipt.
 * Returns 0, or E_ORDER_EVENT (kind bug) when `event` does not belong to this order; `ret` is untouched then. */
_must_check_ int order_flow_step(const struct order *o, const struct order_event *event, int64_t now,
				 const struct order_policy *policy, struct order_step *ret);

#endif

/* approval.h - room shared/model: what waits for a second person.
 * Plain values. Never: functions with state. */
#ifndef VCC_APPROVAL_H
#define VCC_APPROVAL_H

#include "shared/model/agent.h"

enum approval_kind {
	APPROVAL_ORDER,     /* an order in awaiting_approval; its id is the order's renewal_id */
	APPROVAL_TARGET,    /* a certificate whose names lie outside the invite's patterns */
	APPROVAL_PRINCIPAL, /* a principal that may approve: made, or given more */
	APPROVAL_TOKEN,     /* a token for somebody else who may approve */
	APPROVAL_CAMPAIGN,  /* a campaign above the limit, or with a code-signing key; its id is the campaign's */
	APPROVAL_CA_REVOCATION, /* an issuing CA is to be revoked by its root */
	APPROVAL_TEMPLATE, /* a template is made or changed */
	APPROVAL_SERVICE,  /* a service's policy, windows or dependencies are changed */
	APPROVAL_CA_ROLLOVER,   /* an issuing CA is to give way to a new one */
	APPROVAL_CA_RETIREMENT, /* and to be closed for good */
	APPROVAL_KIND_COUNT,
};
const char *approval_kind_name(enum approval_kind k);

enum approval_state { APPROVAL_WAITING, APPROVAL_APPROVED, APPROVAL_REJECTED, APPROVAL_CANCELLED, APPROVAL_STATE_COUNT };
const char *approval_state_name(enum approval_state s);

enum { APPROVAL_TEXT_SIZE = 3072 };

struct approval {
	struct id           approval_id;
	enum approval_kind  kind;
	char                object[CERT_ID_SIZE];     /* cert_id, principal */
	char                service[SERVICE_SIZE];    /* of the object; "" = none: for approvers of all services only */
	char                what[APPROVAL_TEXT_SIZE]; /* JSON: exactly what was shown and will be done */
	struct hash         hash;                     /* SHA-256 of `what` */
	char                requester[ACTOR_SIZE];    /* principal, "agent:NAME", "scheduler" */
	char                person[ACTOR_SIZE];       /* behind it; "" = none */
	char                maker_of_principal[ACTOR_SIZE]; /* who gave the requester its rights, and its token */
	char                maker_of_token[ACTOR_SIZE];
	enum approval_state state;
	int64_t             created_at;
	int64_t             expires_at;
	int64_t             decided_at; /* 0 = not */
	char                decider[ACTOR_SIZE];
	char                comment[CAUSE_SIZE]; /* the decider's, or why it was cancelled */
};

#endif

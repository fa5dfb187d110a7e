/* agent.h - room shared/model: agents, invites, principals, tokens, services, audit records.
 * Plain values. Never: functions with state. */
#ifndef VCC_AGENT_H
#define VCC_AGENT_H

#include "shared/model/order.h"

enum agent_state { AGENT_ACTIVE, AGENT_EVICTED, AGENT_BANNED, AGENT_REMOVED, AGENT_STATE_COUNT };
const char *agent_state_name(enum agent_state s);

/* Are there two hosts with this identity? Suspected: a run that does not follow the last one, as after a restored snapshot.
 * Proved: a run that another had followed is alive; from then on only the one that was seen first is let in. */
enum agent_copy { COPY_NONE, COPY_SUSPECTED, COPY_PROVED, COPY_COUNT };
const char *agent_copy_name(enum agent_copy c);

/* Runs of the keeper, as its hello names them. */
struct agent_run {
	struct id       run_id; /* none = not known */
	uint64_t        generation;
	struct id       before_id; /* the run that this one followed */
	enum agent_copy copy;
};

struct agent {
	char             name[AGENT_NAME_SIZE];
	char             service[SERVICE_SIZE];
	struct names     patterns; /* what the invite allows */
	enum agent_state state;
	struct hash      host_hash; /* SHA-256 of the host key's SPKI: the agent's identity */
	uint8_t          host_spki[SPKI_MAX / 4]; /* P-256 */
	uint16_t         host_spki_len;
	struct serial    identity; /* current link certificate */
	int64_t          identity_not_after_at;
	uint64_t         receipt_seq; /* highest durable receipt */
	char             version[24];
	char             address[ADDRESS_SIZE]; /* last seen */
	int64_t          joined_at;
	int64_t          seen_at;
	int64_t          skew_ms; /* agent clock minus controller clock, last report */
	struct agent_run run;
	int64_t          copy_at;                    /* since when there seem to be two; 0 = no */
	char             copy_address[ADDRESS_SIZE]; /* of the one that was refused last */
};

struct invite {
	struct id    invite_id;
	uint8_t      token_key[32]; /* Ed25519 public half; the seed is shown once and kept nowhere */
	char         name[AGENT_NAME_SIZE];
	char         service[SERVICE_SIZE];
	struct names patterns;
	int64_t      created_at;
	int64_t      expires_at;
	int64_t      used_at; /* 0 = not */
	struct hash  used_by; /* host_hash of the winner */
	char         actor[ACTOR_SIZE];
};

enum role { ROLE_VIEWER, ROLE_OPERATOR, ROLE_APPROVER, ROLE_AUDITOR, ROLE_ADMIN, ROLE_COUNT };
const char *role_name(enum role r);

struct principal {
	char     name[ACTOR_SIZE];
	uint32_t roles;         /* bits 1 << enum role */
	char     services[256]; /* comma list; "" = all */
	bool     person;
	bool     disabled;
	int64_t  created_at;
};

struct token {
	struct id   token_id;
	struct hash hash; /* SHA-256 of the whole token text */
	char        principal[ACTOR_SIZE];
	char        label[64];
	int64_t     created_at;
	int64_t     expires_at; /* TIME_NEVER allowed */
	int64_t     used_at;
	int64_t     revoked_at; /* 0 = not */
};

struct service {
	char    name[SERVICE_SIZE];
	char    depends_on[256]; /* comma list */
	int64_t created_at;
};

/* Closed list of audit event types: the name is the JSON value. */
#define AUDIT_EVENTS(X)                                                                                               \
	X(INSTALLATION_CREATED, "installation_created")                                                               \
	X(CONTROLLER_STARTED, "controller_started")                                                                   \
	X(PRINCIPAL_CREATED, "principal_created")                                                                     \
	X(TOKEN_CREATED, "token_created")                                                                             \
	X(TOKEN_REVOKED, "token_revoked")                                                                             \
	X(BREAK_GLASS, "break_glass_access")                                                                          \
	X(SERVICE_CREATED, "service_created")                                                                         \
	X(TEMPLATE_APPLIED, "template_applied")                                                                       \
	X(INVITE_CREATED, "invite_created")                                                                           \
	X(AGENT_JOINED, "agent_joined")                                                                               \
	X(AGENT_EVICTED, "agent_evicted")                                                                             \
	X(AGENT_BANNED, "agent_banned")                                                                               \
	X(AGENT_CLONE, "agent_connected_twice")                                                                       \
	X(IDENTITY_ISSUED, "identity_issued")                                                                         \
	X(TARGET_ACCEPTED, "target_accepted")                                                                         \
	X(TARGET_REQUESTED, "target_requested")                                                                       \
	X(TARGET_REFUSED, "target_refused")                                                                           \
	X(TARGET_RETIRED, "target_retired")                                                                           \
	X(TARGET_CHANGED, "target_changed_by_somebody")                                                               \
	X(TARGET_REPAIRED, "target_repaired")                                                                         \
	X(TARGET_STALE, "target_serves_another_certificate")                                                          \
	X(TARGET_HEALED, "target_serves_what_is_issued")                                                              \
	X(TARGET_REFRESHED, "target_refreshed")                                                                       \
	X(TARGET_CARE_FAILED, "target_care_failed")                                                                   \
	X(TARGET_REHEARSED, "target_rehearsed")                                                                       \
	X(RENEWAL_SCHEDULED, "certificate_renewal_scheduled")                                                         \
	X(RENEWAL_STEP, "certificate_renewal_step")                                                                   \
	X(RENEWAL_COMPLETED, "certificate_renewal_completed")                                                         \
	X(RENEWAL_FAILED, "certificate_renewal_failed")                                                               \
	X(RENEWAL_PAUSED, "certificate_renewal_paused")                                                               \
	X(RENEWAL_CANCELLED, "certificate_renewal_cancelled")                                                         \
	X(CERTIFICATE_INTENT, "certificate_intent")                                                                   \
	X(CERTIFICATE_ISSUED, "certificate_issued")                                                                   \
	X(CERTIFICATE_PROVED, "certificate_proved")                                                                   \
	X(CERTIFICATE_REVOKED, "certificate_revoked")                                                                 \
	X(INTENT_VOIDED, "certificate_intent_voided")                                                                 \
	X(CRL_PUBLISHED, "crl_published")                                                                             \
	X(SIGNER_LOG_BEHIND, "signer_log_behind")                                                                     \
	X(MESSAGE_REFUSED, "agent_message_refused")                                                                   \
	X(INVENTORY_CHANGED, "host_inventory_changed")                                                                \
	X(AGENT_RETURNED, "agent_returned")                                                                           \
	X(AGENT_RELEASED, "agent_released")

enum audit_event {
#define X(symbol, name) AUDIT_##symbol,
	AUDIT_EVENTS(X)
#undef X
	AUDIT_EVENT_COUNT,
};
const char *audit_event_name(enum audit_event e);

/* One row of the audit trail. The leaf of the tree is SHA-256(0x00 || canonical bytes of the row). */
struct audit {
	uint64_t         seq; /* given by the store: position in the tree, from 0 */
	int64_t          at;
	enum audit_event event;
	char             actor[ACTOR_SIZE];
	char             object[CERT_ID_SIZE]; /* cert_id, agent, template_id ... */
	struct id        renewal_id;
	struct id        request_id;
	char             detail[384]; /* short JSON object or ""; no secrets */
};

#endif

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

/* A name that a host had before it was renamed. It leads to the host for ever: its link may come back with a certificate of that name. */
struct former_name {
	char    name[AGENT_NAME_SIZE];
	char    agent[AGENT_NAME_SIZE]; /* the name that it has now */
	int64_t since_at;               /* when it was given up */
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
	bool         replaces; /* the winner takes the place of the host that has this name now */
};

/* A host key that never returns, kept beside the row of its name when that name went to another host. */
struct ban {
	struct hash host_hash;
	char        name[AGENT_NAME_SIZE];
	int64_t     since_at;
};

enum role { ROLE_VIEWER, ROLE_OPERATOR, ROLE_APPROVER, ROLE_AUDITOR, ROLE_ADMIN, ROLE_COUNT };
const char *role_name(enum role r);

enum { SERVICES_SIZE = 256, MAIL_SIZE = 128 };

/* Lower-case letters, digits, '-', '_', not one of the names that we act under ourselves. One spelling: nothing is folded, what is
 * spelled otherwise is refused. */
bool name_principal_ok(const char *text);
_must_check_ int role_parse(const char *name, enum role *ret); /* E_SYNTAX */

/* Who acts by the API: a person, or a machine. Principals of one person count as one person wherever two are needed. */
struct principal {
	char     name[ACTOR_SIZE];
	uint32_t roles;                   /* bits 1 << enum role */
	char     services[SERVICES_SIZE]; /* comma list; "" = all */
	char     person[ACTOR_SIZE];      /* "" = a machine */
	bool     disabled;
	int64_t  created_at;
	char     maker[ACTOR_SIZE]; /* who made it or changed it last: a person, else a principal */
	char     mail[MAIL_SIZE];   /* where it is told that a request waits for it; "" = nowhere of its own */
};

struct token {
	struct id   token_id;
	struct hash hash; /* SHA-256 of the whole token text */
	char        principal[ACTOR_SIZE];
	char        label[64];
	int64_t     created_at;
	int64_t     expires_at; /* TIME_NEVER allowed */
	int64_t     used_at;    /* to the hour */
	int64_t     revoked_at; /* 0 = not */
	uint32_t    roles;      /* at most these of the principal's; 0 = all of them */
	char        services[SERVICES_SIZE]; /* at most these of the principal's; "" = all of them */
	char        maker[ACTOR_SIZE];       /* as a principal's */
};

enum { REASON_SIZE = 160 };

enum { SERVICE_POLICY_SIZE = 1024, SERVICE_WINDOWS_SIZE = 192 };

struct service {
	char     name[SERVICE_SIZE];
	char     depends_on[256]; /* comma list */
	int64_t  created_at;
	char     windows[SERVICE_WINDOWS_SIZE]; /* when its certificates may be swapped; "" = any time */
	char     policy[SERVICE_POLICY_SIZE];   /* JSON object of overridden template fields; "" = none */
	uint32_t version;                       /* 1, 2, ...; given by the store */
};

/* A change of policy on its way through the certificates that it concerns. */
struct policy_walk {
	char      object[TEMPLATE_ID_SIZE + 16]; /* "template:ID" or "service:NAME" */
	uint32_t  version;
	char      after[CERT_ID_SIZE]; /* the last one looked at; "" = none yet */
	bool      busy;                /* one of them was under way with what it was before: once more from the start */
	int64_t   next_at;
	uint64_t  ordered, skipped;
	char      actor[ACTOR_SIZE]; /* who changed it */
	struct id request_id;
	char      reason[REASON_SIZE];
	int64_t   started_at;
	struct id campaign_id; /* whose members are added */
};

/* Closed list of audit event types: the name is the JSON value. */
#define AUDIT_EVENTS(X)                                                                                               \
	X(INSTALLATION_CREATED, "installation_created")                                                               \
	X(CONTROLLER_STARTED, "controller_started")                                                                   \
	X(CONFIG_RELOADED, "configuration_reloaded")                                                                  \
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
	X(AGENT_RELEASED, "agent_released")                                                                           \
	X(HEAD_CONTRADICTED, "audit_head_contradicted")                                                               \
	X(SIGNER_HEAD_AHEAD, "audit_signer_head_ahead")                                                               \
	X(PERSON_FORGOTTEN, "audit_person_forgotten")                                                                 \
	X(EMERGENCY_STARTED, "emergency_recertification_started")                                                     \
	X(EMERGENCY_COMPLETED, "emergency_recertification_completed")                                                 \
	X(EMERGENCY_FAILED, "emergency_recertification_failed")                                                       \
	X(CERTIFICATE_SUSPENDED, "certificate_suspended")                                                             \
	X(CERTIFICATE_RESUMED, "certificate_resumed")                                                                 \
	X(REVOCATION_ASKED, "certificate_revocation_asked")                                                           \
	X(PRINCIPAL_CHANGED, "principal_changed")                                                                     \
	X(PRINCIPAL_DISABLED, "principal_disabled")                                                                   \
	X(APPROVAL_REQUESTED, "approval_requested")                                                                   \
	X(APPROVAL_GRANTED, "approval_granted")                                                                       \
	X(APPROVAL_REJECTED, "approval_rejected")                                                                     \
	X(APPROVAL_CANCELLED, "approval_cancelled")                                                                   \
	X(AGENT_RENAMED, "agent_renamed")                                                                             \
	X(AGENT_REMOVED, "agent_removed")                                                                             \
	X(CAMPAIGN_STARTED, "campaign_started")                                                                       \
	X(CAMPAIGN_COMPLETED, "campaign_completed")                                                                   \
	X(CAMPAIGN_HALTED, "campaign_halted")                                                                         \
	X(CAMPAIGN_RESUMED, "campaign_resumed")                                                                       \
	X(CAMPAIGN_CANCELLED, "campaign_cancelled")                                                                   \
	X(CAMPAIGN_UNCONFIRMED, "campaign_unconfirmed")                                                               \
	X(CA_REVOKED, "ca_revoked")                                                                                   \
	X(BACKUP_MADE, "backup_made")                                                                                 \
	X(BACKUP_FAILED, "backup_failed")                                                                             \
	X(STORE_RESTORED, "store_restored")                                                                           \
	X(RESTORE_ACCEPTED, "store_restore_accepted")                                                                 \
	X(STORE_PRUNED, "store_pruned")                                                                               \
	X(SERVICE_CHANGED, "service_changed")                                                                         \
	X(POLICY_UPDATED, "policy_update_completed")                                                                  \
	X(RENEWALS_NEAR, "certificate_renewal_limit_near")                                                            \
	X(CERTIFICATE_REQUESTED, "certificate_requested")                                                             \
	X(AGENT_REPLACED, "agent_replaced")                                                                           \
	X(CERTIFICATE_CREATED, "certificate_created")                                                                 \
	X(CAMPAIGN_WAVE, "campaign_wave_released")                                                                    \
	X(CAMPAIGN_ROLLBACK, "campaign_rollback")                                                                     \
	X(ROLLBACK_ASKED, "certificate_rollback_asked")                                                               \
	X(RENEWAL_ROLLED_BACK, "certificate_renewal_rolled_back")                                                     \
	X(ROLLBACK_FAILED, "certificate_rollback_failed")                                                             \
	X(THRESHOLD_REACHED, "certificate_emergency_threshold_reached")                                              \
	X(CA_ROLLOVER_STARTED, "ca_rollover_started")                                                                 \
	X(CA_SUCCESSOR_MADE, "ca_successor_made")                                                                     \
	X(CA_SWITCHED, "ca_rollover_issuing")                                                                         \
	X(CA_DRAINS, "ca_rollover_draining")                                                                          \
	X(CA_ROLLED_BACK, "ca_rollover_rolled_back")                                                                  \
	X(CA_RETIRED, "ca_retired")                                                                                   \
	X(DRILL_STARTED, "drill_started")                                                                             \
	X(DRILL_ENDED, "drill_ended")                                                                                 \
	X(DRILL_TESTED, "drill_certificate_tested")                                                                   \
	X(DRILL_FAILED, "drill_certificate_failed")                                                                   \
	X(PEERS_PROVED, "relying_parties_proved")                                                                     \
	X(PEERS_REFUSED, "relying_party_refused")                                                                     \
	X(PEERS_DECLARED, "relying_party_declared")                                                                \
	X(CA_EMERGENCY, "ca_rollover_emergency")                                                                      \
	X(TRUST_BUNDLE, "trust_bundle_stored")                                                                        \
	X(TRUST_RELEASED, "trust_bundle_released")                                                                    \
	X(SESSION_OPENED, "session_opened")                                                                           \
	X(SESSION_CONFIRMED, "session_confirmed")                                                                     \
	X(SESSION_ENDED, "session_ended")                                                                             \
	X(NOTIFICATION_DEAD, "notification_given_up")                                                                 \
	X(NOTIFICATION_ACKED, "notification_acknowledged")                                                            \
	X(NOTIFICATION_SNOOZED, "notification_snoozed")                                                               \
	X(NOTIFICATION_RETRIED, "notification_retried")                                                               \
	X(NOTIFICATION_TESTED, "notification_channel_tested")                                                         \
	X(EXCEPTION_MADE, "compliance_exception_made")                                                                \
	X(EXCEPTION_ENDED, "compliance_exception_ended")                                                              \
	X(RESTORE_DRILLED, "store_restore_drilled")

enum audit_event {
#define X(symbol, name) AUDIT_##symbol,
	AUDIT_EVENTS(X)
#undef X
	AUDIT_EVENT_COUNT,
};
const char *audit_event_name(enum audit_event e);

/* One row of the audit trail. The leaf of the tree is SHA-256(0x00 || canonical bytes of the row), see audit.h. */
struct audit {
	uint64_t         seq; /* given by the store: position in the tree, from 0 */
	int64_t          at;  /* never before the row above: the store sees to it and notes by how much the clock was behind */
	int64_t          behind_ms;
	enum audit_event event;
	char             actor[ACTOR_SIZE];    /* stored as a pseudonym where it is a person's name */
	char             object[CERT_ID_SIZE]; /* cert_id, agent, template_id ... */
	struct id        renewal_id;
	struct id        request_id;
	char             reason[REASON_SIZE]; /* why */
	char             detail[640];         /* short JSON object or ""; no secrets */
};

#endif

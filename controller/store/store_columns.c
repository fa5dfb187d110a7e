/* store_columns.c - room controller/store: the nouns as tables of columns; read this beside schema/001_initial.sql.
 * Never: a function with a job; what is done with a column is store_noun.c. */
#include "controller/store/store_noun.h"
#include "controller/store/store_steps.h"

#define FIELD(s, f)     .name = #f, .at = offsetof(struct s, f), .size = sizeof(((struct s *)NULL)->f)
#define TEXT(s, f)      {FIELD(s, f), .kind = COLUMN_TEXT}
#define BOOL(s, f)      {FIELD(s, f), .kind = COLUMN_BOOL}
#define UINT(s, f)      {FIELD(s, f), .kind = COLUMN_UINT}
#define INT(s, f)       {FIELD(s, f), .kind = COLUMN_INT}
#define WHEN(s, f)      {FIELD(s, f), .kind = COLUMN_WHEN}
#define DUE(s, f)       {FIELD(s, f), .kind = COLUMN_DUE}
#define FIXED(s, f)     {FIELD(s, f), .kind = COLUMN_FIXED}
#define NAME(s, f, e)   {FIELD(s, f), .kind = COLUMN_NAME, .value_name = e##_text, .n_values = e##_n}
#define BYTES(s, f, l)  {FIELD(s, f), .kind = COLUMN_BYTES, .length_at = offsetof(struct s, l)}
/* A member of an embedded struct under a name of its own. */
#define INNER(s, f, n, k) {.name = (n), .at = offsetof(struct s, f), .size = sizeof(((struct s *)NULL)->f), .kind = (k)}
#define SPAN(s, f, m)   {FIELD(s, f), .kind = COLUMN_SPAN, .max = (m)}

/* An enum's names as a function of its number. */
#define NAMES_OF(e, function, count)                                                                                           \
	enum { e##_n = (count) };                                                                                              \
	static const char *e##_text(unsigned v)                                                                                \
	{                                                                                                                      \
		return function((enum e)v);                                                                                    \
	}

NAMES_OF(trigger, trigger_name, TRIGGER_COUNT)
NAMES_OF(order_phase, order_phase_name, ORDER_PHASE_COUNT)
NAMES_OF(workflow_step, workflow_step_name, STEP_COUNT)
NAMES_OF(issuance_state, issuance_state_name, ISSUANCE_STATE_COUNT)
NAMES_OF(agent_state, agent_state_name, AGENT_STATE_COUNT)
NAMES_OF(key_type, key_type_name, KEY_TYPE_COUNT)
NAMES_OF(hash_alg, hash_alg_name, HASH_ALG_COUNT)
NAMES_OF(cert_purpose, cert_purpose_name, PURPOSE_COUNT)
NAMES_OF(audit_level, audit_level_name, AUDIT_LEVEL_COUNT)
NAMES_OF(issuer_role, issuer_role_name, ISSUER_ROLE_COUNT)
NAMES_OF(issuer_standing, issuer_standing_name, ISSUER_STANDING_COUNT)
NAMES_OF(rollover_phase, rollover_phase_name, ROLLOVER_PHASE_COUNT)
NAMES_OF(audit_event, audit_event_name, AUDIT_EVENT_COUNT)
NAMES_OF(agent_copy, agent_copy_name, COPY_COUNT)
NAMES_OF(approval_kind, approval_kind_name, APPROVAL_KIND_COUNT)
NAMES_OF(approval_state, approval_state_name, APPROVAL_STATE_COUNT)
NAMES_OF(campaign_kind, campaign_kind_name, CAMPAIGN_KIND_COUNT)
NAMES_OF(campaign_state, campaign_state_name, CAMPAIGN_STATE_COUNT)
NAMES_OF(incident_type, incident_type_name, INCIDENT_TYPE_COUNT)
NAMES_OF(revoke_old, revoke_old_name, REVOKE_OLD_COUNT)
NAMES_OF(confirmation, confirmation_name, CONFIRMATION_COUNT)
NAMES_OF(member_state, member_state_name, MEMBER_STATE_COUNT)
NAMES_OF(notice_level, notice_level_name, NOTICE_LEVEL_COUNT)
NAMES_OF(notice_event, notice_event_name, NOTICE_EVENT_COUNT)
NAMES_OF(notice_state, notice_state_name, NOTICE_STATE_COUNT)
NAMES_OF(notice_topic, notice_topic_name, NOTICE_TOPIC_COUNT)
NAMES_OF(delivery_kind, delivery_kind_name, DELIVERY_KIND_COUNT)
NAMES_OF(delivery_state, delivery_state_name, DELIVERY_STATE_COUNT)

enum { issuance_owner_n = OWNER_CONTROLLER + 1 };
static const char *issuance_owner_text(unsigned v)
{
	static const char *const names[] = {
		[OWNER_CERTIFICATE] = "certificate",
		[OWNER_AGENT] = "agent",
		[OWNER_GATEWAY] = "gateway",
		[OWNER_CONTROLLER] = "controller",
	};
	return v < N_ELEMENTS(names) ? names[v] : "unknown";
}

static const struct column order_columns[] = {
	FIXED(order, renewal_id),
	TEXT(order, cert_id),
	TEXT(order, agent),
	TEXT(order, service),
	NAME(order, trigger, trigger),
	NAME(order, phase, order_phase),
	UINT(order, attempt),
	UINT(order, failures),
	UINT(order, flags),
	FIXED(order, old_serial),
	FIXED(order, serial),
	FIXED(order, tbs_hash),
	FIXED(order, fingerprint),
	FIXED(order, spki_hash),
	UINT(order, template_version),
	INT(order, code),
	TEXT(order, cause),
	TEXT(order, actor),
	FIXED(order, campaign_id),
	INT(order, created_at),
	INT(order, deadline_at),
	DUE(order, next_at),
	WHEN(order, verified_at),
	WHEN(order, completed_at),
};

/* history_row: the step lies inside the row */
#define STEP_FIELD(f) .name = #f, .at = offsetof(struct history_row, step.f), .size = sizeof(((struct order_step_row *)NULL)->f)
static const struct column step_columns[] = {
	{FIELD(history_row, seq), .kind = COLUMN_AUTO},
	{STEP_FIELD(renewal_id), .kind = COLUMN_FIXED},
	{STEP_FIELD(attempt), .kind = COLUMN_UINT},
	{STEP_FIELD(step), .kind = COLUMN_NAME, .value_name = workflow_step_text, .n_values = workflow_step_n},
	{STEP_FIELD(code), .kind = COLUMN_INT},
	{STEP_FIELD(at), .kind = COLUMN_INT},
	{STEP_FIELD(took_ms), .kind = COLUMN_INT},
	{STEP_FIELD(detail), .kind = COLUMN_TEXT},
};

static const struct column steps_columns[] = {
	{FIELD(steps_row, seq), .kind = COLUMN_AUTO},
	FIXED(steps_row, renewal_id),
	SPAN(steps_row, steps, STEPS_TEXT_MAX),
};

static const struct column certificate_columns[] = {
	TEXT(certificate, cert_id),
	TEXT(certificate, template_id),
	UINT(certificate, template_version),
	TEXT(certificate, service),
	TEXT(certificate, agent),
	TEXT(certificate, names),
	BOOL(certificate, approved),
	FIXED(certificate, serial),
	FIXED(certificate, fingerprint),
	INT(certificate, not_before_at),
	INT(certificate, not_after_at),
	BOOL(certificate, proved),
	DUE(certificate, renew_at),
	FIXED(certificate, open_order),
	UINT(certificate, unattended),
	WHEN(certificate, suspended_at),
	WHEN(certificate, revoked_at),
	WHEN(certificate, retired_at),
	INT(certificate, created_at),
	UINT(certificate, version),
	DUE(certificate, alert_at),
	WHEN(certificate, serial_revoked_at),
};

static const struct column issuance_columns[] = {
	FIXED(issuance, serial),
	TEXT(issuance, issuer_id),
	NAME(issuance, owner, issuance_owner),
	TEXT(issuance, owner_id),
	FIXED(issuance, renewal_id),
	NAME(issuance, state, issuance_state),
	FIXED(issuance, tbs_hash),
	FIXED(issuance, fingerprint),
	FIXED(issuance, spki_hash),
	INT(issuance, not_before_at),
	INT(issuance, not_after_at),
	UINT(issuance, crl_shard),
	INT(issuance, created_at),
	WHEN(issuance, proved_at),
	DUE(issuance, supersede_at),
	WHEN(issuance, revoked_at),
	INT(issuance, revoke_reason),
	TEXT(issuance, subject),
	BYTES(issuance, der, der_len),
	WHEN(issuance, held_at),
	WHEN(issuance, revoke_asked_at),
	WHEN(issuance, invalidity_at),
	BOOL(issuance, drill),
};

static const struct column target_columns[] = {
	TEXT(target, target_id),
	TEXT(target, cert_id),
	TEXT(target, agent),
	TEXT(target, stem),
	TEXT(target, reload_kind),
	TEXT(target, verify_kind),
	TEXT(target, listeners),
	FIXED(target, digest),
	FIXED(target, served),
	WHEN(target, proved_at),
	INT(target, reported_at),
	INT(target, last_code),
	INT(target, state_code),
	WHEN(target, stale_since_at),
	WHEN(target, rehearsed_at),
	WHEN(target, drifted_at),
	UINT(target, drifts),
	UINT(target, trust_epoch),
	UINT(target, trust_proof),
	FIXED(target, crl_hash),
	WHEN(target, cared_at),
};

static const struct column agent_columns[] = {
	TEXT(agent, name),
	TEXT(agent, service),
	TEXT(agent, patterns),
	NAME(agent, state, agent_state),
	FIXED(agent, host_hash),
	BYTES(agent, host_spki, host_spki_len),
	FIXED(agent, identity),
	INT(agent, identity_not_after_at),
	UINT(agent, receipt_seq),
	TEXT(agent, version),
	TEXT(agent, address),
	INT(agent, joined_at),
	INT(agent, seen_at),
	INT(agent, skew_ms),
	INNER(agent, run.run_id, "run_id", COLUMN_FIXED),
	INNER(agent, run.generation, "run_generation", COLUMN_UINT),
	INNER(agent, run.before_id, "run_before_id", COLUMN_FIXED),
	{.name = "copy", .at = offsetof(struct agent, run.copy), .size = sizeof(((struct agent *)NULL)->run.copy),
         .kind = COLUMN_NAME, .value_name = agent_copy_text, .n_values = agent_copy_n},
	WHEN(agent, copy_at),
	TEXT(agent, copy_address),
};

static const struct column invite_columns[] = {
	FIXED(invite, invite_id),
	FIXED(invite, token_key),
	TEXT(invite, name),
	TEXT(invite, service),
	TEXT(invite, patterns),
	INT(invite, created_at),
	INT(invite, expires_at),
	WHEN(invite, used_at),
	FIXED(invite, used_by),
	TEXT(invite, actor),
	BOOL(invite, replaces),
};

static const struct column template_columns[] = {
	TEXT(template, template_id),
	UINT(template, version),
	TEXT(template, name),
	TEXT(template, description),
	INT(template, validity_ms),
	NAME(template, key_type, key_type),
	NAME(template, hash_alg, hash_alg),
	UINT(template, key_usage),
	UINT(template, ext_key_usage),
	TEXT(template, patterns),
	TEXT(template, service),
	NAME(template, purpose, cert_purpose),
	BOOL(template, auto_renewal),
	INT(template, renewal_threshold_ms),
	INT(template, emergency_threshold_ms),
	UINT(template, max_renewals),
	UINT(template, max_attempts),
	INT(template, retry_ms),
	BOOL(template, pre_validation),
	BOOL(template, post_validation),
	UINT(template, profiles),
	NAME(template, audit_level, audit_level),
	TEXT(template, notify),
	TEXT(template, escalation),
	TEXT(template, issuer),
	INT(template, created_at),
};

static const struct column issuer_columns[] = {
	TEXT(issuer, issuer_id),
	TEXT(issuer, parent_id),
	NAME(issuer, role, issuer_role),
	NAME(issuer, key_type, key_type),
	INT(issuer, not_before_at),
	INT(issuer, not_after_at),
	BYTES(issuer, der, der_len),
	UINT(issuer, crl_number),
	BOOL(issuer, retired),
	WHEN(issuer, revoked_at),
	INT(issuer, revoke_reason),
	NAME(issuer, standing, issuer_standing),
	TEXT(issuer, successor_id),
};

static const struct column principal_columns[] = {
	TEXT(principal, name),
	UINT(principal, roles),
	TEXT(principal, services),
	TEXT(principal, person),
	BOOL(principal, disabled),
	INT(principal, created_at),
	TEXT(principal, maker),
	TEXT(principal, mail),
};

static const struct column token_columns[] = {
	FIXED(token, token_id),
	FIXED(token, hash),
	TEXT(token, principal),
	TEXT(token, label),
	INT(token, created_at),
	DUE(token, expires_at),
	WHEN(token, used_at),
	WHEN(token, revoked_at),
	UINT(token, roles),
	TEXT(token, services),
	TEXT(token, maker),
};

static const struct column service_columns[] = {
	TEXT(service, name),
	TEXT(service, depends_on),
	INT(service, created_at),
	TEXT(service, windows),
	TEXT(service, policy),
	UINT(service, version),
};

static const struct column walk_columns[] = {
	TEXT(policy_walk, object),
	UINT(policy_walk, version),
	TEXT(policy_walk, after),
	BOOL(policy_walk, busy),
	INT(policy_walk, next_at),
	UINT(policy_walk, ordered),
	UINT(policy_walk, skipped),
	TEXT(policy_walk, actor),
	FIXED(policy_walk, request_id),
	TEXT(policy_walk, reason),
	INT(policy_walk, started_at),
	FIXED(policy_walk, campaign_id),
};

static const struct column message_columns[] = {
	TEXT(message_row, agent),
	FIXED(message_row, renewal_id),
	UINT(message_row, message_id),
	UINT(message_row, type),
	SPAN(message_row, frame, OUTBOX_FRAME_MAX),
};

static const struct column audit_columns[] = {
	UINT(audit, seq),
	INT(audit, at),
	INT(audit, behind_ms),
	NAME(audit, event, audit_event),
	TEXT(audit, actor),
	TEXT(audit, object),
	FIXED(audit, renewal_id),
	FIXED(audit, request_id),
	TEXT(audit, reason),
	TEXT(audit, detail),
};

static const struct column head_columns[] = {
	UINT(audit_head, size),
	FIXED(audit_head, root),
	INT(audit_head, at),
	TEXT(audit_head, issuer_id),
	BYTES(audit_head, signature, signature_len),
	TEXT(audit_head, witness),
	WHEN(audit_head, witnessed_at),
};

static const struct column person_columns[] = {
	TEXT(audit_person, name),
	TEXT(audit_person, alias),
	FIXED(audit_person, salt),
	INT(audit_person, since_at),
};

static const struct column node_columns[] = {
	UINT(node_row, position),
	FIXED(node_row, hash),
};

static const struct column crl_columns[] = {
	TEXT(crl_row, issuer_id),
	UINT(crl_row, shard),
	UINT(crl_row, number),
	INT(crl_row, this_update_at),
	INT(crl_row, next_update_at),
	SPAN(crl_row, der, CRL_DER_MAX),
};

static const struct column receipt_columns[] = {
	FIXED(receipt_row, host_hash),
	UINT(receipt_row, seq),
	TEXT(receipt_row, agent),
	FIXED(receipt_row, renewal_id),
	UINT(receipt_row, attempt),
	TEXT(receipt_row, cert_id),
	INT(receipt_row, outcome),
	INT(receipt_row, code),
	FIXED(receipt_row, fingerprint),
	UINT(receipt_row, probes),
	UINT(receipt_row, probes_failed),
	UINT(receipt_row, listeners),
	WHEN(receipt_row, flipped_at),
	WHEN(receipt_row, first_new_at),
	WHEN(receipt_row, last_old_at),
	INT(receipt_row, made_at),
	INT(receipt_row, stored_at),
	BYTES(receipt_row, signature, signature_len),
	BYTES(receipt_row, host_spki, host_spki_len),
	SPAN(receipt_row, body, RECEIPT_BODY_MAX),
};

static const struct column inventory_columns[] = {
	TEXT(inventory, agent),
	FIXED(inventory, host_hash),
	FIXED(inventory, digest),
	INT(inventory, observed_at),
	INT(inventory, reported_at),
	UINT(inventory, found),
};

static const struct column listener_columns[] = {
	TEXT(inventory_listener, agent),
	TEXT(inventory_listener, address),
	TEXT(inventory_listener, program),
	TEXT(inventory_listener, user),
	TEXT(inventory_listener, unit),
	BOOL(inventory_listener, starttls),
	FIXED(inventory_listener, fingerprint),
	TEXT(inventory_listener, subject),
	TEXT(inventory_listener, issuer),
	TEXT(inventory_listener, names),
	UINT(inventory_listener, n_names),
	INT(inventory_listener, not_before_at),
	INT(inventory_listener, not_after_at),
	BOOL(inventory_listener, self_signed),
	UINT(inventory_listener, chain),
};

static const struct column approval_columns[] = {
	FIXED(approval, approval_id),
	NAME(approval, kind, approval_kind),
	TEXT(approval, object),
	TEXT(approval, service),
	TEXT(approval, what),
	FIXED(approval, hash),
	TEXT(approval, requester),
	TEXT(approval, person),
	TEXT(approval, maker_of_principal),
	TEXT(approval, maker_of_token),
	NAME(approval, state, approval_state),
	INT(approval, created_at),
	INT(approval, expires_at),
	WHEN(approval, decided_at),
	TEXT(approval, decider),
	TEXT(approval, comment),
};

static const struct column kept_columns[] = {
	FIXED(kept_answer, who),
	TEXT(kept_answer, key),
	FIXED(kept_answer, request),
	FIXED(kept_answer, request_id),
	INT(kept_answer, at),
	INT(kept_answer, status),
	BOOL(kept_answer, secret),
	TEXT(kept_answer, location),
	FIXED(kept_answer, credential),
	SPAN(kept_answer, answer, KEPT_ANSWER_MAX),
};

static const struct column campaign_columns[] = {
	FIXED(campaign, campaign_id),
	NAME(campaign, kind, campaign_kind),
	NAME(campaign, state, campaign_state),
	NAME(campaign, trigger, trigger),
	TEXT(campaign, selector),
	TEXT(campaign, services),
	TEXT(campaign, actor),
	TEXT(campaign, reason),
	FIXED(campaign, plan_hash),
	TEXT(campaign, incident_id),
	NAME(campaign, incident, incident_type),
	BOOL(campaign, fresh_keys),
	NAME(campaign, revoke_old, revoke_old),
	WHEN(campaign, revoke_by_at),
	WHEN(campaign, invalidity_at),
	UINT(campaign, total),
	UINT(campaign, waiting),
	UINT(campaign, held),
	UINT(campaign, following),
	UINT(campaign, ordered),
	UINT(campaign, done),
	UINT(campaign, failed),
	UINT(campaign, skipped),
	UINT(campaign, dropped),
	UINT(campaign, going_back),
	UINT(campaign, rolled_back),
	UINT(campaign, kept),
	UINT(campaign, batch),
	INT(campaign, pause_ms),
	UINT(campaign, halt_share),
	UINT(campaign, batch_sent),
	UINT(campaign, batch_failed),
	BOOL(campaign, batch_full),
	TEXT(campaign, waves),
	BOOL(campaign, canary),
	UINT(campaign, wave),
	UINT(campaign, wave_sent),
	UINT(campaign, wave_done),
	UINT(campaign, wave_failed),
	BOOL(campaign, wave_full),
	UINT(campaign, halt_count),
	BOOL(campaign, rollback_on_halt),
	UINT(campaign, back_first),
	UINT(campaign, back_last),
	UINT(campaign, back_at),
	BOOL(campaign, approved),
	NAME(campaign, confirmation, confirmation),
	DUE(campaign, remind_at),
	TEXT(campaign, cause),
	INT(campaign, created_at),
	WHEN(campaign, started_at),
	DUE(campaign, next_at),
	WHEN(campaign, completed_at),
	WHEN(campaign, rested_at),
	BOOL(campaign, collecting),
	BOOL(campaign, peer_proof),
	UINT(campaign, peer_unproved),
	FIXED(campaign, content_hash),
	BOOL(campaign, cause_by_person),
};

static const struct column member_columns[] = {
	FIXED(campaign_member, campaign_id),
	UINT(campaign_member, position),
	TEXT(campaign_member, cert_id),
	TEXT(campaign_member, service),
	TEXT(campaign_member, agent),
	UINT(campaign_member, stage),
	NAME(campaign_member, state, member_state),
	FIXED(campaign_member, renewal_id),
	INT(campaign_member, code),
	TEXT(campaign_member, cause),
	INT(campaign_member, changed_at),
	TEXT(campaign_member, template_id),
};

static const struct column archived_columns[] = {
	TEXT(archived, cert_id),
	UINT(archived, issuances),
	UINT(archived, orders),
	UINT(archived, first_file),
	UINT(archived, last_file),
	INT(archived, last_at),
};

static const struct column ban_columns[] = {
	FIXED(ban, host_hash),
	TEXT(ban, name),
	INT(ban, since_at),
};

static const struct column stage_columns[] = {
	TEXT(staged_key, cert_id),
	FIXED(staged_key, spki_hash),
	FIXED(staged_key, host_hash),
	NAME(staged_key, key_type, key_type),
	BYTES(staged_key, spki, spki_len),
	TEXT(staged_key, issuer_id),
	FIXED(staged_key, renewal_id),
	INT(staged_key, made_at),
	INT(staged_key, ready_at),
};

static const struct column former_columns[] = {
	TEXT(former_name, name),
	TEXT(former_name, agent),
	INT(former_name, since_at),
};

static const struct column notice_columns[] = {
	FIXED(notice, notice_id),
	INT(notice, at),
	NAME(notice, level, notice_level),
	NAME(notice, event, notice_event),
	NAME(notice, state, notice_state),
	TEXT(notice, key),
	TEXT(notice, service),
	TEXT(notice, object),
	FIXED(notice, renewal_id),
	UINT(notice, attempt),
	INT(notice, code),
	TEXT(notice, recipients),
	TEXT(notice, detail),
	UINT(notice, count),
	INT(notice, last_at),
	WHEN(notice, closed_at),
	TEXT(notice, channels),
	TEXT(notice, escalation),
	WHEN(notice, acked_at),
	WHEN(notice, snoozed_until_at),
	DUE(notice, remind_at),
	UINT(notice, reminders),
	UINT(notice, escalations),
};

static const struct column delivery_columns[] = {
	{FIELD(delivery, seq), .kind = COLUMN_AUTO},
	TEXT(delivery, channel),
	FIXED(delivery, notice_id),
	NAME(delivery, kind, delivery_kind),
	NAME(delivery, level, notice_level),
	INNER(delivery, group, "topic", COLUMN_TEXT),
	NAME(delivery, state, delivery_state),
	BOOL(delivery, held),
	FIXED(delivery, message_id),
	UINT(delivery, attempts),
	INT(delivery, at),
	DUE(delivery, due_at),
	WHEN(delivery, ended_at),
	INT(delivery, code),
	TEXT(delivery, cause),
};

static const struct column notice_member_columns[] = {
	TEXT(notice_member, cert_id),
	NAME(notice_member, topic, notice_topic),
	FIXED(notice_member, notice_id),
	INT(notice_member, since_at),
};

static const struct column rollover_columns[] = {
	TEXT(rollover, issuer_id),
	TEXT(rollover, successor_id),
	NAME(rollover, phase, rollover_phase),
	BOOL(rollover, emergency),
	BOOL(rollover, closed),
	FIXED(rollover, campaign_id),
	UINT(rollover, campaigns),
	INT(rollover, code),
	TEXT(rollover, cause),
	TEXT(rollover, actor),
	TEXT(rollover, reason),
	INT(rollover, created_at),
	WHEN(rollover, prepared_at),
	WHEN(rollover, issuing_at),
	WHEN(rollover, draining_at),
	WHEN(rollover, ended_at),
	DUE(rollover, next_at),
	BOOL(rollover, overridden),
	UINT(rollover, consumers),
	FIXED(rollover, consumers_hash),
};

static const struct column drill_columns[] = {
	FIXED(drill, campaign_id),
	TEXT(drill, selector),
	TEXT(drill, services),
	TEXT(drill, actor),
	TEXT(drill, reason),
	NAME(drill, state, campaign_state),
	TEXT(drill, cause),
	UINT(drill, total),
	UINT(drill, tested),
	UINT(drill, failed),
	UINT(drill, skipped),
	UINT(drill, not_reached),
	INT(drill, created_at),
	WHEN(drill, ended_at),
	WHEN(drill, reported_at),
	FIXED(drill, report_hash),
	UINT(drill, report_size),
};

static const struct column drill_report_columns[] = {
	FIXED(report_row, campaign_id),
	SPAN(report_row, report, DRILL_REPORT_MAX),
};

static const struct column peer_columns[] = {
	TEXT(peer, cert_id),
	TEXT(peer, agent),
	TEXT(peer, address),
	TEXT(peer, name),
	FIXED(peer, host_hash),
	INT(peer, declared_at),
	WHEN(peer, judged_at),
	FIXED(peer, renewal_id),
	UINT(peer, attempt),
	FIXED(peer, fingerprint),
	FIXED(peer, seen),
	INT(peer, code),
	TEXT(peer, cause),
	UINT(peer, handshakes),
	UINT(peer, others),
	UINT(peer, trust_epoch),
};

static const struct column setting_columns[] = {
	TEXT(setting_row, name),
	SPAN(setting_row, value, SETTING_MAX),
};

static const struct column counter_columns[] = {
	TEXT(counter_row, name),
	UINT(counter_row, value),
};

#define NOUN(symbol, t, s, keys, ...)                                                                                          \
	const struct noun noun_##symbol = {.table = (t),                                                                       \
	                                   .size = sizeof(struct s),                                                           \
	                                   .column = symbol##_columns,                                                         \
	                                   .n_columns = N_ELEMENTS(symbol##_columns),                                          \
	                                   .n_keys = (keys),                                                                   \
	                                   __VA_ARGS__};                                                                       \
	_Static_assert(N_ELEMENTS(symbol##_columns) <= NOUN_COLUMNS_MAX, "too many columns")

NOUN(order, "orders", order, 1, .unique = NULL);
NOUN(step, "order_steps", history_row, 1, .unique = NULL);
NOUN(certificate, "certificates", certificate, 1, .unique = NULL);
NOUN(issuance, "issuances", issuance, 1, .unique = NULL);
NOUN(target, "targets", target, 1, .unique = NULL);
NOUN(agent, "agents", agent, 1, .unique = NULL);
NOUN(invite, "invites", invite, 1, .unique = "token_key");
NOUN(template, "templates", template, 2, .unique = NULL);
NOUN(issuer, "issuers", issuer, 1, .unique = NULL);
NOUN(principal, "principals", principal, 1, .unique = NULL);
NOUN(token, "tokens", token, 1, .unique = "hash");
NOUN(service, "services", service, 1, .unique = NULL);
NOUN(message, "outbox", message_row, 2, .unique = NULL);
NOUN(audit, "audit", audit, 1, .unique = NULL);
NOUN(node, "audit_nodes", node_row, 1, .unique = NULL);
NOUN(crl, "crls", crl_row, 2, .unique = NULL);
NOUN(receipt, "receipts", receipt_row, 2, .unique = NULL);
NOUN(inventory, "inventories", inventory, 1, .unique = NULL);
NOUN(listener, "listeners", inventory_listener, 2, .unique = NULL);
NOUN(head, "audit_heads", audit_head, 1, .unique = NULL);
NOUN(person, "audit_persons", audit_person, 1, .unique = "alias");
NOUN(approval, "approvals", approval, 1, .unique = NULL);
NOUN(kept, "kept_answers", kept_answer, 2, .unique = NULL);
NOUN(campaign, "campaigns", campaign, 1, .unique = NULL);
NOUN(member, "campaign_members", campaign_member, 2, .unique = NULL);
NOUN(archived, "archived", archived, 1, .unique = NULL);
NOUN(walk, "policy_walks", policy_walk, 1, .unique = NULL);
NOUN(ban, "bans", ban, 1, .unique = NULL);
NOUN(former, "former_names", former_name, 1, .unique = NULL);
NOUN(notice, "notices", notice, 1, .unique = NULL);
NOUN(notice_member, "notice_members", notice_member, 2, .unique = NULL);
NOUN(stage, "stages", staged_key, 1, .unique = NULL);
NOUN(rollover, "rollovers", rollover, 1, .unique = NULL);
NOUN(drill, "drills", drill, 1, .unique = NULL);
NOUN(drill_report, "drill_reports", report_row, 1, .unique = NULL);
NOUN(peer, "peers", peer, 2, .unique = NULL);
NOUN(steps, "order_histories", steps_row, 1, .unique = NULL);
NOUN(delivery, "deliveries", delivery, 1, .unique = NULL);
NOUN(setting, "settings", setting_row, 1, .unique = NULL);
NOUN(counter, "counters", counter_row, 1, .unique = NULL);

const struct noun *const nouns[NOUN_COUNT] = {
	&noun_order,  &noun_step,      &noun_certificate, &noun_issuance, &noun_target,  &noun_agent,
	&noun_invite, &noun_template,  &noun_issuer,      &noun_principal, &noun_token,  &noun_service,
	&noun_message, &noun_audit,    &noun_node,        &noun_crl,      &noun_setting, &noun_counter,
	&noun_receipt, &noun_inventory, &noun_listener, &noun_head, &noun_person, &noun_approval,
	&noun_campaign, &noun_member, &noun_archived, &noun_walk, &noun_kept, &noun_ban,
	&noun_former, &noun_notice, &noun_notice_member, &noun_stage, &noun_rollover,
	&noun_drill,  &noun_drill_report, &noun_peer, &noun_steps, &noun_delivery,
};

union any_row {
	struct issuance    issuance;
	struct certificate certificate;
	struct template    template;
	struct agent       agent;
	struct invite      invite;
	struct issuer      issuer;
	struct order       order;
	struct target      target;
	struct audit       audit;
	struct history_row step;
	struct principal   principal;
	struct token       token;
	struct service     service;
	struct crl_row     crl;
	struct message_row message;
	struct inventory   inventory;
	struct inventory_listener listener;
	struct audit_head  head;
	struct audit_person person;
	struct approval    approval;
	struct kept_answer kept;
	struct campaign    campaign;
	struct campaign_member member;
	struct archived    archived;
	struct policy_walk walk;
	struct notice      notice;
	struct rollover    rollover;
	struct drill       drill;
	struct report_row  report;
	struct peer        peer;
	struct steps_row   steps;
	struct delivery    delivery;
};
const size_t noun_row_max = sizeof(union any_row);

/* contract_objects.c - room controller/daemon: the objects that the admin API answers with, field by field.
 * tests/system/test_contract.py holds every answer against them. Never: writing them; that is api_json.c and its like. */
#include "controller/daemon/contract.h"

#define F(name, type, flags)         {name, type, flags, NULL, NULL, NULL}
#define LIST(name, object)           {name, API_OBJECTS, 0, object, NULL, NULL}
#define OBJ(name, flags, object)     {name, API_OBJECT, flags, object, NULL, NULL}
#define ONE_OF(name, flags, values)  {name, API_TEXT, flags, NULL, values, NULL}
#define SOME_OF(name, flags, values) {name, API_TEXTS, flags, NULL, values, NULL}
#define END                          {NULL, API_ANY, 0, NULL, NULL, NULL}
/* The object and the table of its own fields. */
#define OBJECT(symbol, name, base, ...)                                                                                        \
	static const struct api_field symbol##_fields[] = {__VA_ARGS__, END};                                                  \
	const struct api_object       object_##symbol = {name, base, symbol##_fields, {NULL, NULL}}
#define PART(symbol, name, base, ...)                                                                                          \
	static const struct api_field  symbol##_fields[] = {__VA_ARGS__, END};                                                 \
	static const struct api_object object_##symbol = {name, base, symbol##_fields, {NULL, NULL}}


/* ---- system --------------------------------------------------------------------------------------------------------- */

OBJECT(problem, "Problem", NULL, F("type", API_TEXT, 0), F("title", API_TEXT, 0), F("status", API_INTEGER, 0), F("code", API_CODE, 0),
       F("object", API_TEXT, 0), F("detail", API_TEXT, 0), F("next", API_TEXT, 0), F("request_id", API_ID, 0),
       F("retryable", API_BOOL, 0));

OBJECT(health, "Health", NULL, ONE_OF("status", 0, "ok"), F("version", API_TEXT, 0));

PART(checks, "Checks", NULL, ONE_OF("store", 0, "ok,failed"), ONE_OF("signer", 0, "ok,failed"), ONE_OF("crl", 0, "ok,failed"),
     ONE_OF("gateway", 0, "ok,failed"));

PART(loop, "Loop", NULL, F("turns", API_INTEGER, 0), F("longest_us", API_INTEGER, 0), F("over_1ms", API_INTEGER, 0), F("over_5ms", API_INTEGER, 0),
     F("over_10ms", API_INTEGER, 0), F("over_20ms", API_INTEGER, 0), F("over_50ms", API_INTEGER, 0));

PART(contacts, "Contacts", NULL, F("admin", API_BOOL, 0), F("security", API_BOOL, 0));

OBJECT(state, "State", NULL, ONE_OF("status", 0, "ready,not ready"), OBJ("checks", 0, &object_checks), F("warnings", API_TEXTS, 0),
       F("gateways", API_INTEGER, 0), F("connected_agents", API_INTEGER, 0), F("open_orders", API_INTEGER, 0),
       OBJ("contacts", 0, &object_contacts), OBJ("loop", 0, &object_loop), F("started_at", API_TIME, 0), F("now", API_TIME, 0), F("version", API_TEXT, 0));

/* ---- people --------------------------------------------------------------------------------------------------------- */

OBJECT(principal, "Principal", NULL, F("name", API_TEXT, 0), F("person", API_TEXT, API_NULL), SOME_OF("roles", 0, API_ROLES),
       F("services", API_TEXTS, API_NULL), F("mail", API_TEXT, API_NULL), F("disabled", API_BOOL, 0), F("created_at", API_TIME, 0), F("changed_by", API_TEXT, 0));

OBJECT(token, "Token", NULL, F("token_id", API_ID, 0), F("principal", API_TEXT, 0), F("label", API_TEXT, 0),
       SOME_OF("roles", API_NULL, API_ROLES), F("services", API_TEXTS, API_NULL), F("created_at", API_TIME, 0),
       F("expires_at", API_TIME, API_NULL), F("used_at", API_TIME, API_NULL), F("revoked_at", API_TIME, API_NULL),
       F("made_by", API_TEXT, 0));

OBJECT(token_made, "TokenMade", &object_token, F("token", API_TEXT, 0));

OBJECT(whoami, "Whoami", NULL, F("principal", API_TEXT, 0), F("person", API_TEXT, API_NULL),
       ONE_OF("by", 0, "nothing,local socket,token,client certificate"), OBJ("token", API_NULL, &object_token),
       F("limited_to_services", API_BOOL, 0), SOME_OF("roles", 0, API_ROLES), F("permissions", API_TEXTS, 0), F("services", API_TEXTS, 0),
       F("domain", API_TEXT, 0), F("organisation", API_TEXT, 0), F("public_url", API_TEXT, 0), F("version", API_TEXT, 0));

PART(attention, "Attention", NULL, F("overdue", API_INTEGER, 0), F("expired", API_INTEGER, 0), F("not_served", API_INTEGER, 0),
     F("changed_files", API_INTEGER, 0), F("targets_failing", API_INTEGER, 0), F("approvals_waiting", API_INTEGER, API_NULL),
     F("renewals_paused", API_INTEGER, 0), F("campaigns_open", API_INTEGER, 0), F("campaigns_halted", API_INTEGER, 0));

PART(status_counts, "StatusCounts", NULL, F("requested", API_INTEGER, 0), F("issued", API_INTEGER, 0), F("active", API_INTEGER, 0),
     F("expiring", API_INTEGER, 0), F("expired", API_INTEGER, 0), F("suspended", API_INTEGER, 0), F("revoked", API_INTEGER, 0));

/* Weeks from now: this one, the next ones, the last number is of all that is later. */
PART(service_sum, "ServiceSum", NULL, F("service", API_TEXT, 0), F("total", API_INTEGER, 0), F("active", API_INTEGER, 0),
     F("expiring", API_INTEGER, 0), F("expired", API_INTEGER, 0), F("not_served", API_INTEGER, 0), F("ends", API_ANY, 0), F("renews", API_ANY, 0));

/* Days of UTC from the first one on; what ends or is renewed before or after them is in none. */
PART(day_counts, "DayCounts", NULL, F("first", API_TIME, 0), F("ends", API_ANY, 0), F("renews", API_ANY, 0));

OBJECT(overview, "Overview", NULL, F("generated_at", API_TIME, 0), F("certificates", API_INTEGER, 0), OBJ("attention", 0, &object_attention),
       OBJ("by_status", 0, &object_status_counts), F("targets", API_INTEGER, 0), F("agents", API_INTEGER, 0),
       F("agents_connected", API_INTEGER, API_NULL), F("proved_at", API_TIME, API_NULL), LIST("services", &object_service_sum), OBJ("days", 0, &object_day_counts),
       F("certificates_of_other_services", API_INTEGER, 0));

OBJECT(error, "Error", NULL, F("code", API_CODE, 0), F("what", API_TEXT, 0), F("next", API_TEXT, 0), ONE_OF("kind", 0, "retry,denied,peer,local,bug"));

/* All null: the caller came by a token or a certificate itself. */
OBJECT(session, "Session", NULL, F("principal", API_TEXT, API_NULL), ONE_OF("by", API_NULL, "token,client certificate"), F("opened_at", API_TIME, API_NULL),
       F("ends_at", API_TIME, API_NULL), F("idle_seconds", API_INTEGER, API_NULL), F("confirmed_until", API_TIME, API_NULL),
       F("header_token", API_TEXT, API_NULL));

OBJECT(approval, "Approval", NULL, F("approval_id", API_ID, 0), F("kind", API_TEXT, 0), F("object", API_TEXT, 0),
       F("service", API_TEXT, API_NULL), OBJ("what", API_NULL, NULL), F("hash", API_HASH, 0), F("requester", API_TEXT, 0),
       F("person", API_TEXT, API_NULL), ONE_OF("status", 0, "waiting,approved,rejected,cancelled"), F("created_at", API_TIME, 0),
       F("expires_at", API_TIME, API_NULL), F("decided_at", API_TIME, API_NULL), F("decider", API_TEXT, API_NULL),
       F("comment", API_TEXT, 0));

OBJECT(approval_seen, "ApprovalSeen", &object_approval, F("you_may_decide", API_BOOL, 0));

PART(wave_planned, "WavePlanned", NULL, F("wave", API_INTEGER, 0), F("canary", API_BOOL, 0), F("total", API_INTEGER, 0));

PART(approval_campaign, "ApprovalCampaign", NULL, F("status", API_TEXT, 0), F("total_certificates", API_INTEGER, 0), F("renewed", API_INTEGER, 0),
     F("hosts", API_INTEGER, 0), OBJ("blast_radius", 0, NULL), F("batch", API_INTEGER, 0), LIST("waves", &object_wave_planned),
     F("halt_share_percent", API_NUMBER, 0), F("halt_count", API_INTEGER, 0), F("rollback_on_halt", API_BOOL, 0), F("peer_proof", API_BOOL, 0),
     F("incident_id", API_TEXT, API_MAYBE), ONE_OF("incident_type", API_MAYBE, API_INCIDENTS), F("fresh_keys", API_BOOL, API_MAYBE),
     F("revoke_old", API_TEXT, API_MAYBE), F("revoke_by", API_TIME, API_MAYBE | API_NULL), F("invalidity_date", API_TIME, API_MAYBE | API_NULL));

OBJECT(approval_shown, "ApprovalShown", &object_approval_seen, OBJ("campaign", API_MAYBE, &object_approval_campaign));

OBJECT(approval_decided, "ApprovalDecided", &object_approval_seen, F("token", API_TEXT, API_MAYBE), F("token_id", API_ID, API_MAYBE),
       F("campaign_id", API_ID, API_MAYBE));

OBJECT(waiting, "Waiting", NULL, ONE_OF("status", 0, "awaiting_approval"), F("approval_id", API_ID, 0),
       OBJ("approval", 0, &object_approval));

/* ---- hosts ---------------------------------------------------------------------------------------------------------- */

OBJECT(target, "Target", NULL, F("target_id", API_TEXT, 0), F("cert_id", API_TEXT, 0), F("agent", API_TEXT, 0), F("file", API_TEXT, 0),
       F("reload", API_TEXT, 0), F("verify", API_TEXT, 0), F("listeners", API_TEXTS, 0), F("served_serial", API_SERIAL, API_NULL),
       F("proved_at", API_TIME, API_NULL), F("reported_at", API_TIME, API_NULL), F("error", API_CODE, API_NULL),
       F("stale_since", API_TIME, API_NULL), F("rehearsed_at", API_TIME, API_NULL), F("changed_at", API_TIME, API_NULL),
       F("changes", API_INTEGER, 0), F("trust_epoch", API_INTEGER, 0), F("trust_proof", API_TEXT, 0), F("crl_hash", API_HASH, API_NULL),
       F("crl_current", API_BOOL, API_NULL), F("cared_at", API_TIME, API_NULL));

OBJECT(agent, "Agent", NULL, F("name", API_TEXT, 0), F("service", API_TEXT, 0), ONE_OF("state", 0, "active,evicted,banned,removed"),
       F("connected", API_BOOL, 0), F("names", API_TEXTS, 0), F("host_key", API_HASH, API_NULL), F("identity_serial", API_SERIAL, API_NULL),
       F("identity_expires_at", API_TIME, API_NULL), F("version", API_TEXT, API_NULL), F("address", API_TEXT, API_NULL),
       F("joined_at", API_TIME, API_NULL), F("seen_at", API_TIME, API_NULL), F("clock_skew_ms", API_INTEGER, 0),
       F("receipts", API_INTEGER, 0), ONE_OF("copy", API_NULL, "suspected,proved"), F("copy_since", API_TIME, API_NULL),
       F("copy_address", API_TEXT, API_NULL));

OBJECT(agent_seen, "AgentSeen", &object_agent, F("healthy", API_BOOL, API_NULL), F("degraded", API_TEXTS, API_NULL),
       F("trust_epoch", API_INTEGER, API_NULL));

OBJECT(agent_shown, "AgentShown", &object_agent_seen, F("former_names", API_TEXTS, 0), LIST("targets", &object_target));

OBJECT(listener, "Listener", NULL, F("address", API_TEXT, 0), F("program", API_TEXT, 0), F("user", API_TEXT, 0),
       F("unit", API_TEXT, API_NULL), F("starttls", API_BOOL, 0), F("fingerprint", API_HASH, API_NULL), F("subject", API_TEXT, 0),
       F("issuer", API_TEXT, 0), F("names", API_TEXTS, 0), F("names_count", API_INTEGER, 0), F("not_before", API_TIME, API_NULL),
       F("expires_at", API_TIME, API_NULL), F("self_signed", API_BOOL, 0), F("chain_length", API_INTEGER, 0),
       F("cert_id", API_TEXT, API_NULL));

OBJECT(invite, "Invite", NULL, F("invite_id", API_ID, 0), F("name", API_TEXT, 0), F("service", API_TEXT, 0), F("names", API_TEXTS, 0),
       ONE_OF("state", 0, "open,used,expired"), F("created_at", API_TIME, 0), F("expires_at", API_TIME, 0),
       F("used_at", API_TIME, API_NULL), F("created_by", API_TEXT, 0),
       F("replaces", API_BOOL, 0));

OBJECT(invite_made, "InviteMade", &object_invite, F("token", API_TEXT, 0), F("join_address", API_TEXT, 0), F("pin", API_TEXT, 0),
       F("command", API_TEXT, 0));

OBJECT(invites_made, "InvitesMade", NULL, {"items", API_OBJECTS, 0, &object_invite_made, NULL, NULL});
OBJECT(invite_wanted, "InviteWanted", NULL, F("name", API_TEXT, API_NEEDED), F("service", API_TEXT, API_NEEDED), F("names", API_TEXTS, API_NULL | API_MAYBE),
       F("ttl", API_TEXT, API_NULL | API_MAYBE));

/* ---- templates ------------------------------------------------------------------------------------------------------ */

OBJECT(template, "Template", NULL, F("template_id", API_TEXT, 0), F("version", API_INTEGER, 0), F("name", API_TEXT, 0),
       F("description", API_TEXT, 0), F("validity_period", API_TEXT, 0), F("validity_period_days", API_NUMBER, 0),
       F("validity_seconds", API_INTEGER, 0), ONE_OF("key_type", 0, API_KEY_TYPES), F("key_size", API_INTEGER, 0),
       ONE_OF("hash_algorithm", 0, API_HASH_ALGS), SOME_OF("key_usage", 0, API_KEY_USAGES), SOME_OF("extended_key_usage", 0, API_EXT_KEY_USAGES),
       F("subject_alt_names", API_TEXTS, 0), F("vcc_service_type", API_TEXT, API_NULL), ONE_OF("certificate_purpose", 0, API_PURPOSES),
       F("auto_renewal_enabled", API_BOOL, 0), F("renewal_threshold_days", API_NUMBER, 0), F("emergency_threshold_days", API_NUMBER, 0),
       F("max_renewals", API_INTEGER, 0), F("max_renewal_attempts", API_INTEGER, 0), F("retry_interval", API_TEXT, 0),
       F("pre_validation_required", API_BOOL, 0), F("post_deployment_validation", API_BOOL, 0),
       SOME_OF("compliance_profiles", 0, API_PROFILES), ONE_OF("audit_level", 0, API_AUDIT_LEVELS),
       F("notification_recipients", API_TEXTS, 0), F("escalation_recipients", API_TEXTS, 0), F("issuer", API_TEXT, 0),
       F("created_at", API_TIME, 0));

PART(policy_walk, "PolicyWalk", NULL, F("version", API_INTEGER, 0), F("after", API_TEXT, 0), F("ordered", API_INTEGER, 0),
     F("skipped", API_INTEGER, 0), F("started_at", API_TIME, API_NULL), F("campaign_id", API_ID, API_NULL));

OBJECT(template_shown, "TemplateShown", &object_template, OBJ("update", API_NULL, &object_policy_walk));

PART(policy_change, "PolicyChange", NULL, F("field", API_TEXT, 0), F("from", API_ANY, API_NULL), F("to", API_ANY, API_NULL));

OBJECT(policy_edit, "PolicyEdit", NULL, F("message", API_TEXT, 0), F("template_id", API_TEXT, API_MAYBE), F("service", API_TEXT, API_MAYBE),
       ONE_OF("status", 0, "processing,dry_run,completed"), F("dry_run", API_BOOL, 0), F("campaign_id", API_ID, API_NULL),
       F("current_version", API_INTEGER, 0), F("version", API_INTEGER, 0), LIST("changes", &object_policy_change),
       F("certificates_affected", API_INTEGER, 0), F("renewals", API_INTEGER, 0), F("certificate_list", API_TEXTS, 0),
       F("blocked", API_INTEGER, 0), {"violations", API_OBJECTS, 0, NULL, NULL, NULL}, {"compliance", API_OBJECTS, 0, NULL, NULL, NULL},
       F("approval_required", API_BOOL, 0));

const struct api_object object_policy_edit_or_waiting = {"PolicyEditOrWaiting", NULL, NULL, {&object_policy_edit, &object_waiting}};

OBJECT(service, "Service", NULL, F("name", API_TEXT, 0), F("depends_on", API_TEXTS, 0), F("windows", API_TEXTS, 0), OBJ("policy", 0, NULL),
       F("needed_by", API_TEXTS, 0), F("version", API_INTEGER, 0), F("created_at", API_TIME, 0));

OBJECT(service_peers, "ServicePeers", NULL, F("relied_on_count", API_INTEGER, 0), F("proved_count", API_INTEGER, 0), F("refused_count", API_INTEGER, 0),
       F("relying_agents", API_TEXTS, 0));

OBJECT(service_shown, "ServiceShown", &object_service, OBJ("update", API_NULL, &object_policy_walk), OBJ("peer_proof", 0, &object_service_peers));

OBJECT(templates, "Templates", NULL, LIST("templates", &object_template));

/* ---- certificates and renewals ---------------------------------------------------------------------------------------- */

OBJECT(issuance, "Issuance", NULL, F("serial", API_SERIAL, 0), F("issuer", API_TEXT, 0),
       ONE_OF("state", 0, "intent,issued,active,renewed,revoked,void"), F("subject", API_TEXT, 0), F("fingerprint", API_HASH, API_NULL),
       F("not_before", API_TIME, API_NULL), F("expires_at", API_TIME, API_NULL), F("expired", API_BOOL, 0), F("crl_shard", API_INTEGER, 0),
       F("renewal_id", API_ID, API_NULL), F("drill", API_BOOL, 0), F("created_at", API_TIME, API_NULL), F("proved_at", API_TIME, API_NULL),
       F("supersede_at", API_TIME, API_NULL), F("revoked_at", API_TIME, API_NULL), F("revoke_reason", API_TEXT, API_NULL),
       F("invalidity_date", API_TIME, API_NULL), F("held_at", API_TIME, API_NULL), F("revoke_asked_at", API_TIME, API_NULL), F("status", API_TEXT, 0));

PART(order_error, "OrderError", NULL, F("code", API_CODE, 0), F("message", API_TEXT, 0), F("next", API_TEXT, 0));

OBJECT(order, "Order", NULL, F("renewal_id", API_ID, 0), F("cert_id", API_TEXT, 0), F("agent", API_TEXT, API_NULL),
       F("service_name", API_TEXT, 0), ONE_OF("renewal_trigger", 0, API_TRIGGERS), F("status", API_TEXT, 0), F("phase", API_TEXT, 0),
       F("attempt", API_INTEGER, 0), F("retry_count", API_INTEGER, 0),
       SOME_OF("flags", 0, "unverified,draining,service_was_down,hook_failed,forced,now,staged,fresh_key,drill,peer_proof,peer_unproved,peer_refused"), OBJ("error", API_NULL, &object_order_error),
       F("requested_by", API_TEXT, 0), F("created_at", API_TIME, 0), F("verified_at", API_TIME, API_NULL),
       F("completed_at", API_TIME, API_NULL), F("next_at", API_TIME, API_NULL), F("campaign_id", API_ID, API_NULL),
       F("waits_for", API_TEXT, API_MAYBE));

PART(step, "Step", NULL, F("step", API_TEXT, 0), F("attempt", API_INTEGER, 0), ONE_OF("status", 0, "done,failed,pending"),
     F("code", API_CODE, API_NULL), F("at", API_TIME, 0), F("seconds", API_NUMBER, API_NULL), F("detail", API_TEXT, 0));

PART(receipt, "Receipt", NULL, F("agent", API_TEXT, 0), F("seq", API_INTEGER, 0), F("attempt", API_INTEGER, 0),
     ONE_OF("outcome", 0, "verified,settled,failed,refused,kept,tested"), F("code", API_CODE, API_NULL), F("fingerprint", API_HASH, API_NULL),
     F("listeners", API_INTEGER, 0), F("handshakes", API_INTEGER, 0), F("handshakes_failed", API_INTEGER, 0),
     F("old_workers", API_INTEGER, 0), F("oldest_worker_seconds", API_NUMBER, API_NULL), F("flipped_at", API_TIME, API_NULL),
     F("first_new_at", API_TIME, API_NULL), F("last_old_at", API_TIME, API_NULL), F("made_at", API_TIME, API_NULL));

PART(peer, "RelyingParty", NULL, F("agent", API_TEXT, 0), F("address", API_TEXT, 0), F("name", API_TEXT, 0), F("counts", API_BOOL, 0),
     F("proved", API_BOOL, API_NULL), F("code", API_CODE, API_NULL), F("error", API_TEXT, API_NULL), F("wanted_fingerprint", API_HASH, API_NULL),
     F("seen_fingerprint", API_HASH, API_NULL), F("handshakes", API_INTEGER, 0), F("handshakes_failed", API_INTEGER, 0),
     F("trust_epoch", API_INTEGER, 0), F("renewal_id", API_ID, API_NULL), F("judged_at", API_TIME, API_NULL), F("declared_at", API_TIME, 0));

OBJECT(peers_asked, "PeersAsked", NULL, F("cert_id", API_TEXT, 0), F("asked", API_INTEGER, 0), F("away", API_INTEGER, 0),
       LIST("relying_parties", &object_peer));

OBJECT(renewal, "Renewal", &object_order, LIST("relying_parties", &object_peer), OBJ("original_certificate", API_NULL, &object_issuance),
       OBJ("new_certificate", API_NULL, &object_issuance), OBJ("policy", API_NULL, &object_template), LIST("steps", &object_step),
       LIST("receipts", &object_receipt), F("estimated_completion", API_TIME, API_NULL));

OBJECT(renewing, "Renewing", NULL, F("renewal_id", API_ID, 0), F("cert_id", API_TEXT, 0),
       ONE_OF("status", 0, "processing,awaiting_approval"), F("estimated_completion", API_TIME, API_NULL),
       ONE_OF("trigger", 0, API_TRIGGERS));

OBJECT(renewed, "Renewed", NULL, F("renewal_id", API_ID, 0), F("cert_id", API_TEXT, 0),
       ONE_OF("status", 0, "completed,failed,paused,cancelled,rolled_back"), F("estimated_completion", API_TIME, API_NULL),
       ONE_OF("trigger", 0, API_TRIGGERS));

OBJECT(certificate, "Certificate", NULL, F("cert_id", API_TEXT, 0), F("service", API_TEXT, 0), F("agent", API_TEXT, API_NULL),
       F("template_id", API_TEXT, 0), F("template_version", API_INTEGER, 0),
       ONE_OF("status", 0, "requested,issued,active,expiring,expired,renewed,suspended,revoked"), F("subject", API_TEXT, 0),
       F("names", API_TEXTS, 0), F("approved", API_BOOL, 0), F("serial", API_SERIAL, API_NULL), F("fingerprint", API_HASH, API_NULL),
       F("not_before", API_TIME, API_NULL), F("expires_at", API_TIME, API_NULL), F("days_until_expiry", API_NUMBER, API_NULL),
       F("served", API_BOOL, API_NULL), F("renew_at", API_TIME, API_NULL), F("open_order", API_ID, API_NULL),
       F("unattended_renewals", API_INTEGER, 0), F("alerts", API_TEXTS, 0), F("revoked_at", API_TIME, API_NULL), F("suspended_at", API_TIME, API_NULL),
       F("retired_at", API_TIME, API_NULL), F("created_at", API_TIME, 0), F("version", API_INTEGER, 0), F("orphaned", API_BOOL, 0));

OBJECT(archived, "Archived", NULL, F("issuances", API_INTEGER, 0), F("orders", API_INTEGER, 0), F("first_file", API_TEXT, 0),
     F("last_file", API_TEXT, 0), F("last_at", API_TIME, API_NULL));

OBJECT(certificate_issued, "CertificateIssued", NULL, F("renewal_id", API_ID, 0), F("cert_id", API_TEXT, 0),
       ONE_OF("status", 0, "processing,awaiting_approval"), F("approval_id", API_ID, API_NULL), F("estimated_completion", API_TIME, API_NULL));

OBJECT(pem, "CertificatePem", NULL, F("cert_id", API_TEXT, 0), F("serial", API_SERIAL, 0), F("certificate", API_TEXT, 0), F("chain", API_TEXT, 0));

OBJECT(backup, "Backup", NULL, ONE_OF("status", 0, "none,running,done,failed"), F("path", API_TEXT, API_NULL), F("bytes", API_INTEGER, 0),
       F("audit_size", API_INTEGER, 0), F("started_at", API_TIME, API_NULL), F("ended_at", API_TIME, API_NULL), F("error", API_CODE, API_NULL),
       F("cause", API_TEXT, API_NULL));

OBJECT(restore_difference, "RestoreDifference", NULL, ONE_OF("kind", 0, "certificate,host,receipt,head"), F("object", API_TEXT, 0), F("host", API_TEXT, 0),
       F("what", API_TEXT, 0), F("next", API_TEXT, 0));

OBJECT(restore, "Restore", NULL, ONE_OF("status", 0, "never,waiting,accepted"), F("epoch", API_INTEGER, 0), F("restored_at", API_TIME, API_NULL),
       F("backup_of", API_TIME, API_NULL), F("audit_size", API_INTEGER, 0), F("accepted_at", API_TIME, API_NULL),
       F("accepted_by", API_TEXT, API_NULL), F("signer_contradicts", API_BOOL, 0), F("hosts_contradict", API_INTEGER, 0),
       F("longest_trail_claimed", API_INTEGER, 0), LIST("differences", &object_restore_difference), F("differences_more", API_INTEGER, 0),
       F("drilled_at", API_TIME, API_NULL), F("drilled_backup_of", API_TIME, API_NULL));

OBJECT(certificate_shown, "CertificateShown", &object_certificate, OBJ("target", API_MAYBE, &object_target),
       LIST("targets", &object_target), OBJ("policy", API_MAYBE, &object_template), LIST("renewals", &object_order),
       OBJ("policy_overrides", API_NULL, NULL), OBJ("archived", API_NULL, &object_archived), F("invalidity_date", API_TIME, API_NULL),
       F("next_key_since", API_TIME, API_NULL), LIST("relying_parties", &object_peer));

OBJECT(certificate_changed, "CertificateChanged", &object_certificate, F("renewal_id", API_ID, API_MAYBE));

/* ---- lists of the lifecycle ------------------------------------------------------------------------------------------- */

PART(service_cert, "ServiceCertificate", NULL, F("cert_id", API_TEXT, 0), F("subject", API_TEXT, 0), F("expires_at", API_TIME, API_NULL),
     F("status", API_TEXT, 0), F("days_until_expiry", API_NUMBER, API_NULL));

OBJECT(service_certs, "ServiceCertificates", NULL, F("service_name", API_TEXT, 0), F("certificate_count", API_INTEGER, 0),
       LIST("certificates", &object_service_cert));

PART(expiring_cert, "ExpiringCertificate", NULL, F("cert_id", API_TEXT, 0), F("subject", API_TEXT, 0), F("service_name", API_TEXT, 0),
     F("expires_at", API_TIME, 0), F("days_remaining", API_NUMBER, 0));

PART(expiring_lists, "ExpiringLists", NULL, LIST("critical", &object_expiring_cert), LIST("warning", &object_expiring_cert));

OBJECT(expiring, "Expiring", NULL, F("total_expiring", API_INTEGER, 0), F("critical_count", API_INTEGER, 0),
       F("warning_count", API_INTEGER, 0), OBJ("certificates", 0, &object_expiring_lists));

/* ---- authorities and what they publish --------------------------------------------------------------------------------- */

OBJECT(crl, "Crl", NULL, F("issuer", API_TEXT, 0), F("shard", API_INTEGER, 0), F("number", API_INTEGER, 0), F("entries", API_INTEGER, 0),
       F("bytes", API_INTEGER, 0), F("this_update", API_TIME, API_NULL), F("next_update", API_TIME, API_NULL),
       F("age_seconds", API_INTEGER, API_NULL), F("expired", API_BOOL, 0), F("due", API_BOOL, 0), F("url", API_TEXT, 0));

PART(responder, "Responder", NULL, F("issuer", API_TEXT, 0), F("expires_at", API_TIME, API_NULL));

OBJECT(ocsp, "Ocsp", NULL, F("asked", API_INTEGER, 0), F("from_cache", API_INTEGER, 0), F("signed", API_INTEGER, 0),
       F("malformed", API_INTEGER, 0), F("unauthorized", API_INTEGER, 0), F("put_off", API_INTEGER, 0), F("cached", API_INTEGER, 0),
       LIST("responders", &object_responder));

OBJECT(ca, "Ca", NULL, F("issuer_id", API_TEXT, 0), F("role", API_TEXT, 0), ONE_OF("state", 0, "active,standing_by,draining,retired,expired,revoked"),
       F("key_type", API_TEXT, 0), F("parent_id", API_TEXT, API_NULL), F("successor_id", API_TEXT, API_NULL), F("subject", API_TEXT, API_MAYBE), F("serial", API_SERIAL, API_MAYBE),
       F("fingerprint", API_HASH, API_MAYBE), F("not_before", API_TIME, 0), F("expires_at", API_TIME, 0),
       F("revoked_at", API_TIME, API_NULL), F("revocation_reason", API_TEXT, API_NULL), F("crl_number", API_INTEGER, 0),
       F("permitted", API_TEXTS, API_NULL), F("pem", API_TEXT, API_NULL));

PART(ca_service, "CaService", NULL, F("service", API_TEXT, 0), F("certificates", API_INTEGER, 0));

PART(ca_live, "CaLive", NULL, F("certificates", API_INTEGER, 0), F("identities", API_INTEGER, 0), F("complete", API_BOOL, 0),
     LIST("services", &object_ca_service));

OBJECT(ca_shown, "CaShown", &object_ca, OBJ("live", 0, &object_ca_live));

PART(trust_root, "TrustRoot", NULL, F("issuer_id", API_TEXT, API_NULL), F("subject", API_TEXT, 0), F("fingerprint", API_HASH, 0),
     F("expires_at", API_TIME, 0));

PART(trust_kept_back, "TrustKeptBack", NULL, F("epoch", API_INTEGER, 0), F("threshold", API_INTEGER, 0), F("made_at", API_TIME, 0),
     LIST("roots", &object_trust_root));

PART(trust_item, "TrustItem", NULL, F("agent", API_TEXT, 0), ONE_OF("state", 0, "unproved,behind,away"), F("targets", API_INTEGER, 0),
     F("trust_epoch", API_INTEGER, 0), F("seen_at", API_TIME, API_NULL));

OBJECT(trust, "Trust", NULL, F("epoch", API_INTEGER, 0), F("threshold", API_INTEGER, 0), F("made_at", API_TIME, 0),
       LIST("roots", &object_trust_root), OBJ("kept_back", API_NULL, &object_trust_kept_back), F("idle", API_INTEGER, 0),
       F("proved", API_INTEGER, 0), F("reloaded", API_INTEGER, 0), F("unproved", API_INTEGER, 0), F("behind", API_INTEGER, 0),
       F("away", API_INTEGER, 0), F("complete", API_BOOL, 0), LIST("items", &object_trust_item));

PART(rollover_trust, "RolloverTrust", NULL, F("kind", API_TEXT, 0), F("missing", API_INTEGER, API_NULL), F("unproved", API_INTEGER, API_NULL),
     F("epoch", API_INTEGER, API_NULL), F("why", API_TEXT, 0));

PART(rollover_left, "RolloverLeft", NULL, F("counted_at", API_TIME, API_NULL), F("reissuable", API_INTEGER, 0), F("suspended", API_INTEGER, 0),
     F("external", API_INTEGER, 0), F("signing", API_INTEGER, 0), F("ending", API_INTEGER, 0), F("identities", API_INTEGER, 0),
     F("gateways", API_INTEGER, 0), F("agents", API_INTEGER, 0), F("agents_away", API_INTEGER, 0), F("agents_unseen", API_INTEGER, 0));

PART(rollover_item, "RolloverItem", NULL, ONE_OF("state", 0, "pending,away,suspended,external,signing,ending,identity,gateway,trust,unproved"),
     F("id", API_TEXT, 0), F("agent", API_TEXT, API_NULL), F("service", API_TEXT, API_NULL), F("expires_at", API_TIME, API_NULL));

OBJECT(rollover, "Rollover", NULL, F("issuer_id", API_TEXT, 0), F("successor_id", API_TEXT, 0),
       ONE_OF("phase", 0, "preparing,trust,issuing,draining,retiring,retired,rolled_back"), F("emergency", API_BOOL, 0), F("closed", API_BOOL, 0),
       F("overridden", API_BOOL, 0), F("next", API_TEXT, 0), F("code", API_CODE, API_NULL), F("cause", API_TEXT, 0), F("actor", API_TEXT, 0),
       F("reason", API_TEXT, 0), F("created_at", API_TIME, 0), F("prepared_at", API_TIME, API_NULL), F("issuing_at", API_TIME, API_NULL),
       F("draining_at", API_TIME, API_NULL), F("ended_at", API_TIME, API_NULL), F("campaign_id", API_ID, API_NULL),
       F("campaigns", API_INTEGER, 0), F("campaign_open", API_BOOL, 0), F("consumers", API_INTEGER, 0), F("consumers_hash", API_HASH, API_NULL),
       OBJ("trust", 0, &object_rollover_trust), OBJ("left", API_NULL, &object_rollover_left), LIST("items", &object_rollover_item),
       F("waiting", API_ID, API_NULL));

/* ---- audit trail ------------------------------------------------------------------------------------------------------- */

OBJECT(record, "AuditRecord", NULL, F("seq", API_INTEGER, 0), F("at", API_TIME, 0), F("at_ms", API_INTEGER, 0),
       F("behind_ms", API_INTEGER, 0), F("event", API_TEXT, 0), F("actor", API_TEXT, 0), F("actor_id", API_TEXT, API_NULL),
       F("object", API_TEXT, 0), F("reason", API_TEXT, 0), F("request_id", API_ID, API_NULL), F("renewal_id", API_ID, API_NULL),
       OBJ("detail", 0, NULL));

OBJECT(head, "AuditHead", NULL, F("size", API_INTEGER, 0), F("root", API_HASH, 0), F("at", API_TIME, 0), F("at_ms", API_INTEGER, 0),
       F("issuer_id", API_TEXT, 0), F("signature", API_TEXT, API_MAYBE), F("witness", API_TEXT, API_NULL),
       F("witnessed_at", API_TIME, API_NULL));

PART(proof, "AuditProof", NULL, F("size", API_INTEGER, 0), F("root", API_HASH, 0), F("path", API_TEXTS, 0));

OBJECT(record_shown, "AuditRecordShown", &object_record, F("about", API_TEXT, 0), F("leaf", API_HASH, 0), OBJ("proof", 0, &object_proof),
       OBJ("head", API_NULL, &object_head));

OBJECT(consistency, "AuditConsistency", NULL, F("from", API_INTEGER, 0), F("from_root", API_HASH, API_NULL), F("to", API_INTEGER, 0),
       F("root", API_HASH, API_NULL), F("path", API_TEXTS, 0));

OBJECT(forgotten, "Forgotten", NULL, F("pseudonym", API_TEXT, 0));

/* ---- campaigns --------------------------------------------------------------------------------------------------------- */

PART(failure, "Failure", NULL, F("cert_id", API_TEXT, 0), F("error", API_TEXT, 0), F("code", API_CODE, API_NULL));

PART(counts, "CampaignCounts", NULL, F("total_certificates", API_INTEGER, 0), F("successful_count", API_INTEGER, 0),
     F("failed_count", API_INTEGER, 0), F("pending_count", API_INTEGER, 0), F("skipped_count", API_INTEGER, 0),
     F("duration_minutes", API_NUMBER, 0), F("status", API_TEXT, 0), F("campaign_id", API_ID, 0));

OBJECT(campaign, "Campaign", &object_counts, F("kind", API_TEXT, 0), ONE_OF("trigger", 0, API_TRIGGERS), F("selector", API_TEXT, 0),
       F("services", API_TEXTS, 0), F("requester", API_TEXT, 0), F("reason", API_TEXT, 0), F("plan_hash", API_HASH, API_NULL),
       F("collecting", API_BOOL, 0), F("waiting_count", API_INTEGER, 0), F("held_count", API_INTEGER, 0), F("in_progress_count", API_INTEGER, 0),
       F("dropped_count", API_INTEGER, 0), F("rolled_back_count", API_INTEGER, 0), F("kept_count", API_INTEGER, 0),
       F("wave", API_INTEGER, 0), F("wave_count", API_INTEGER, 0), F("halt_share_percent", API_NUMBER, 0),
       F("halt_count", API_INTEGER, 0), F("rollback_on_halt", API_BOOL, 0), F("peer_proof", API_BOOL, 0),
       F("peer_unproved_count", API_INTEGER, 0), F("batch", API_INTEGER, 0), F("confirmation", API_TEXT, 0), F("cause", API_TEXT, 0), F("cause_by_person", API_BOOL, 0),
       F("incident_id", API_TEXT, API_MAYBE), ONE_OF("incident_type", API_MAYBE, API_INCIDENTS), F("fresh_keys", API_BOOL, API_MAYBE),
       F("revoke_old", API_TEXT, API_MAYBE), F("revoke_by", API_TIME, API_MAYBE | API_NULL),
       F("invalidity_date", API_TIME, API_MAYBE | API_NULL), F("created_at", API_TIME, 0), F("started_at", API_TIME, API_NULL),
       F("completed_at", API_TIME, API_NULL));

OBJECT(member, "CampaignMember", NULL, F("position", API_INTEGER, 0), F("cert_id", API_TEXT, 0), F("service", API_TEXT, 0),
       F("agent", API_TEXT, 0), F("stage", API_INTEGER, 0), F("state", API_TEXT, 0), F("renewal_id", API_ID, API_NULL),
       F("code", API_CODE, API_NULL), F("error", API_TEXT, API_NULL), F("changed_at", API_TIME, API_NULL),
       F("waits_for", API_TEXT, API_MAYBE), F("next_at", API_TIME, API_MAYBE | API_NULL));

PART(wave, "Wave", &object_wave_planned, ONE_OF("status", 0, "waiting,released,over,dropped"), F("waiting", API_INTEGER, 0),
     F("in_progress", API_INTEGER, 0), F("done", API_INTEGER, 0), F("failed", API_INTEGER, 0), F("skipped", API_INTEGER, 0),
     F("rolled_back", API_INTEGER, 0), F("kept", API_INTEGER, 0));

PART(figures, "CampaignFigures", NULL, F("order_seconds_p50", API_NUMBER, API_NULL), F("order_seconds_p99", API_NUMBER, API_NULL),
     F("certificates_per_second", API_NUMBER, API_NULL), F("seconds_left", API_NUMBER, API_NULL));

PART(open_member, "OpenMember", NULL, F("cert_id", API_TEXT, 0), F("service", API_TEXT, 0), F("agent", API_TEXT, 0), F("state", API_TEXT, 0),
     F("renewal_id", API_ID, API_NULL), F("since", API_TIME, 0), F("seconds", API_NUMBER, 0), F("waits_for", API_TEXT, API_MAYBE), F("next_at", API_TIME, API_MAYBE | API_NULL));

/* The lists are left out with members=no. */
OBJECT(campaign_shown, "CampaignShown", &object_campaign, LIST("waves", &object_wave), OBJ("figures", 0, &object_figures), LIST("slowest", &object_open_member),
       F("affected_certificates", API_TEXTS, API_MAYBE),
       F("successful_renewals", API_TEXTS, API_MAYBE), {"failed_renewals", API_OBJECTS, API_MAYBE, &object_failure, NULL, NULL},
       {"skipped_renewals", API_OBJECTS, API_MAYBE, &object_failure, NULL, NULL},
       {"renewal_processes", API_OBJECTS, API_MAYBE, &object_member, NULL, NULL}, F("offline_count", API_INTEGER, 0));

PART(progress_point, "CampaignProgressPoint", NULL, F("seconds", API_NUMBER, 0), F("proved", API_INTEGER, 0), F("failed", API_INTEGER, 0));

OBJECT(campaign_progress, "CampaignProgress", NULL, F("campaign_id", API_ID, 0), F("total_certificates", API_INTEGER, 0), F("from", API_TIME, 0),
       F("to", API_TIME, 0), LIST("points", &object_progress_point));

PART(prediction, "Prediction", NULL, F("duration_seconds", API_NUMBER, API_NULL), F("batches", API_INTEGER, 0),
     F("pauses_seconds", API_NUMBER, 0), F("orders_in_flight", API_INTEGER, 0), F("orders_per_second", API_INTEGER, API_NULL),
     F("order_seconds_p50", API_NUMBER, API_NULL), F("order_seconds_p99", API_NUMBER, API_NULL), F("past_orders", API_INTEGER, 0));

PART(plan_violation, "PlanViolation", NULL, F("template_id", API_TEXT, 0), F("profile", API_TEXT, API_MAYBE), F("field", API_TEXT, 0),
     F("text", API_TEXT, 0), F("certificates", API_INTEGER, 0));

PART(plan, "Plan", NULL, F("kind", API_TEXT, 0), F("selector", API_TEXT, 0), F("total", API_INTEGER, 0), F("renewed", API_INTEGER, 0),
     F("all_certificates", API_INTEGER, 0), F("limit", API_INTEGER, 0), F("recent", API_INTEGER, 0), ONE_OF("approval", 0, "none,before,after"),
     F("stages", API_INTEGER, 0), F("batch", API_INTEGER, 0), LIST("waves", &object_wave_planned), ONE_OF("trigger", 0, API_TRIGGERS),
     F("peer_proof", API_BOOL, 0),
     ONE_OF("incident_type", API_MAYBE, API_INCIDENTS), F("fresh_keys", API_BOOL, API_MAYBE), F("revoke_old", API_TEXT, API_MAYBE),
     OBJ("prediction", 0, &object_prediction), LIST("violations", &object_plan_violation), OBJ("blast_radius", 0, NULL),
     OBJ("services", 0, NULL), F("offline", API_TEXTS, 0), F("loses_service", API_TEXTS, 0), F("banned_agents", API_TEXTS, 0),
     F("skipped", API_TEXTS, 0), LIST("failures", &object_failure), F("warnings", API_TEXTS, 0));

OBJECT(planned, "Planned", NULL, F("dry_run", API_BOOL, 0), F("incident_id", API_TEXT, API_MAYBE), F("matching_certificates", API_INTEGER, 0),
       F("certificate_list", API_TEXTS, 0), F("plan_hash", API_HASH, 0), OBJ("plan", 0, &object_plan));

PART(begun, "Begun", NULL, F("message", API_TEXT, 0), F("status", API_TEXT, 0), F("campaign_id", API_ID, 0),
     F("total_certificates", API_INTEGER, 0), F("plan_hash", API_HASH, API_NULL));

OBJECT(bulk_begun, "BulkBegun", &object_begun, F("service_pattern", API_TEXT, 0));

OBJECT(service_begun, "ServiceBegun", &object_begun, F("service_name", API_TEXT, 0));

OBJECT(emergency, "Emergency", &object_counts, F("incident_id", API_TEXT, 0), LIST("failures", &object_failure));

const struct api_object object_emergency_or_waiting = {"EmergencyOrWaiting", NULL, NULL, {&object_emergency, &object_waiting}};

const struct api_object object_emergency_or_plan = {"EmergencyOrPlan", NULL, NULL, {&object_emergency, &object_planned}};

/* ---- drills ------------------------------------------------------------------------------------------------------------ */

OBJECT(drill, "Drill", NULL, F("drill_id", API_ID, 0), ONE_OF("status", 0, "processing,halted,completed,completed_with_failures,cancelled"),
       F("selector", API_TEXT, 0), F("services", API_TEXTS, 0), F("requester", API_TEXT, 0), F("reason", API_TEXT, 0), F("cause", API_TEXT, 0),
       F("total_certificates", API_INTEGER, 0), F("tested_count", API_INTEGER, 0), F("failed_count", API_INTEGER, 0),
       F("skipped_count", API_INTEGER, 0), F("not_reached_count", API_INTEGER, API_NULL), F("waiting_count", API_INTEGER, 0),
       F("in_progress_count", API_INTEGER, 0), F("duration_seconds", API_NUMBER, 0), F("created_at", API_TIME, 0),
       F("ended_at", API_TIME, API_NULL), F("reported_at", API_TIME, API_NULL), F("report_sha256", API_HASH, API_NULL),
       F("report_bytes", API_INTEGER, API_NULL));

OBJECT(drill_begun, "DrillBegun", NULL, F("message", API_TEXT, 0), F("status", API_TEXT, 0), F("drill_id", API_ID, 0),
       F("total_certificates", API_INTEGER, 0), F("plan_hash", API_HASH, API_NULL));

OBJECT(drill_report, "DrillReport", NULL, F("drill_id", API_ID, 0), F("report_sha256", API_HASH, 0), F("report", API_TEXT, 0));

/* ---- what people have to be told -------------------------------------------------------------------------------------- */

OBJECT(notification, "Notification", NULL, F("notification_id", API_ID, 0), F("at", API_TIME, 0), ONE_OF("level", 0, API_NOTICE_LEVELS),
       F("event", API_TEXT, 0), ONE_OF("state", 0, "queued,closed"), F("key", API_TEXT, API_NULL), F("service", API_TEXT, API_NULL),
       F("object", API_TEXT, 0), F("renewal_id", API_ID, API_NULL), F("code", API_CODE, API_NULL), F("error", API_TEXT, API_NULL),
       F("recipients", API_TEXTS, 0), OBJ("detail", API_NULL, NULL), F("count", API_INTEGER, 0), F("last_at", API_TIME, 0),
       F("closed_at", API_TIME, API_NULL), F("channels", API_TEXTS, 0), F("acknowledged_at", API_TIME, API_NULL),
       F("snoozed_until", API_TIME, API_NULL), F("next_reminder_at", API_TIME, API_NULL), F("reminders", API_INTEGER, 0),
       F("escalations", API_INTEGER, 0), ONE_OF("standing", 0, "open,acknowledged,snoozed,closed"), F("acknowledged_by", API_TEXT, API_NULL),
       F("messages", API_INTEGER, 0), F("delivered", API_INTEGER, 0));

OBJECT(delivery, "Delivery", NULL, F("delivery_id", API_INTEGER, 0), F("channel", API_TEXT, 0), F("notification_id", API_ID, 0),
       ONE_OF("kind", 0, "first,reminder,escalation"), ONE_OF("level", 0, API_NOTICE_LEVELS), F("group", API_TEXT, 0),
       ONE_OF("state", 0, "waiting,sent,dead"), F("held", API_BOOL, 0), F("message_id", API_ID, API_NULL), F("attempts", API_INTEGER, 0),
       F("at", API_TIME, 0), F("next_at", API_TIME, API_NULL), F("ended_at", API_TIME, API_NULL), F("code", API_CODE, API_NULL),
       F("error", API_TEXT, API_NULL));

OBJECT(channel, "Channel", NULL, F("channel", API_TEXT, 0), ONE_OF("kind", API_NULL, "smtp,webhook,alertmanager"), F("level", API_TEXT, API_NULL),
       F("services", API_TEXTS, 0), F("events", API_TEXTS, 0), F("escalation", API_BOOL, 0), F("quiet", API_TEXT, API_NULL), F("busy", API_BOOL, 0),
       F("sent", API_INTEGER, 0), F("failed", API_INTEGER, 0), F("given_up", API_INTEGER, 0), F("sent_at", API_TIME, API_NULL),
       F("failed_at", API_TIME, API_NULL), F("code", API_CODE, API_NULL), F("error", API_TEXT, API_NULL), F("read_at", API_TIME, 0),
       F("reload_error", API_TEXT, API_NULL));

OBJECT(retried, "NotificationsRetried", NULL, F("queued", API_INTEGER, 0), F("skipped", API_INTEGER, 0), F("next_cursor", API_TEXT, API_NULL));

OBJECT(channel_tested, "ChannelTested", NULL, F("channel", API_TEXT, 0), F("delivered", API_BOOL, 0), F("code", API_CODE, API_NULL),
       F("error", API_TEXT, API_NULL), F("next", API_TEXT, API_NULL), F("took_ms", API_INTEGER, 0));

/* ---- reports ---------------------------------------------------------------------------------------------------------- */

PART(report_summary, "ReportSummary", NULL, F("total_certificates", API_INTEGER, 0), F("active_certificates", API_INTEGER, 0),
     F("renewals_completed", API_INTEGER, 0), F("emergency_recertifications", API_INTEGER, 0), F("compliance_violations", API_INTEGER, 0));

PART(report_performance, "ReportPerformance", NULL, F("success_rate", API_NUMBER, API_NULL), F("average_duration_minutes", API_NUMBER, API_NULL),
     F("automated_renewals_percentage", API_NUMBER, API_NULL));

PART(report_risk, "ReportRisk", NULL, F("cert_id", API_TEXT, 0), F("service_name", API_TEXT, 0), F("expires_at", API_TIME, API_NULL),
     F("reasons", API_TEXTS, 0), F("rules", API_TEXTS, 0));

PART(report_gap, "ReportGap", NULL, F("rule", API_TEXT, 0), ONE_OF("profile", 0, API_PROFILES), ONE_OF("severity", 0, API_SEVERITIES),
     F("count", API_INTEGER, 0), F("text", API_TEXT, 0), F("reason", API_TEXT, 0), F("certificates", API_TEXTS, 0), F("rows", API_TEXT, API_NULL));

PART(report_risks, "ReportRisks", NULL, F("expiring_soon", API_INTEGER, 0), LIST("high_risk_certificates", &object_report_risk),
     F("high_risk_count", API_INTEGER, 0), LIST("compliance_gaps", &object_report_gap));

PART(report_exception, "ReportException", NULL, F("template_id", API_TEXT, 0), F("owner", API_TEXT, 0), F("reason", API_TEXT, 0),
     F("until", API_TIME, 0), F("in_force", API_BOOL, 0));

PART(report_rule, "ReportRule", NULL, F("id", API_TEXT, 0), F("text", API_TEXT, 0), F("source", API_TEXT, 0), ONE_OF("severity", 0, API_SEVERITIES),
     F("check", API_TEXT, 0), ONE_OF("about", 0, "certificates,installation"), F("version", API_INTEGER, 0), F("valid_from", API_TIME, 0),
     ONE_OF("result", 0, "pass,fail,not_assessable,exception"), F("reason", API_TEXT, API_NULL), F("pass", API_INTEGER, 0),
     F("fail", API_INTEGER, 0), F("not_assessable", API_INTEGER, 0), F("exception", API_INTEGER, 0), F("certificates", API_TEXTS, 0),
     LIST("exceptions", &object_report_exception), F("rows", API_TEXT, API_NULL));

PART(report_profile, "ReportProfile", NULL, ONE_OF("profile", 0, API_PROFILES), F("law", API_TEXT, 0), F("version", API_INTEGER, 0),
     F("certificates", API_INTEGER, 0), LIST("rules", &object_report_rule));

PART(report_revocations, "ReportRevocations", NULL, F("total", API_INTEGER, 0), F("superseded", API_INTEGER, 0), F("other", API_INTEGER, 0));

OBJECT(report, "Report", NULL, F("report_period", API_TEXT, 0), F("generated_at", API_TIME, 0), OBJ("summary", 0, &object_report_summary),
       OBJ("vcc_service_breakdown", 0, NULL), OBJ("renewal_performance", 0, &object_report_performance),
       OBJ("risk_assessment", 0, &object_report_risks), OBJ("revocations", 0, &object_report_revocations), F("from", API_TIME, API_NULL), F("to", API_TIME, 0), F("statement", API_TEXT, 0),
       LIST("compliance", &object_report_profile), OBJ("sources", 0, NULL), F("notes", API_TEXTS, 0));

PART(report_failed, "ReportFailed", NULL, F("rule", API_TEXT, 0), ONE_OF("severity", 0, API_SEVERITIES), F("reason", API_TEXT, 0));

OBJECT(report_row, "ReportRow", NULL, ONE_OF("kind", 0, "certificate,renewal,campaign,revocation,installation"), F("id", API_TEXT, 0),
       F("service_name", API_TEXT, API_NULL), F("status", API_TEXT, 0), F("at", API_TIME, API_NULL), F("reasons", API_TEXTS, 0),
       LIST("rules", &object_report_failed));

PART(evidence_about, "EvidenceAbout", NULL, ONE_OF("kind", 0, "certificate,campaign"), F("id", API_TEXT, 0), F("part", API_INTEGER, API_MAYBE),
     F("more", API_BOOL, API_MAYBE));

PART(evidence_head, "EvidenceHead", NULL, F("size", API_INTEGER, 0), F("root", API_HASH, 0), F("at", API_INTEGER, 0),
     F("signature", API_TEXT, 0), F("certificate", API_TEXT, 0));

PART(evidence_record, "EvidenceRecord", NULL, F("seq", API_INTEGER, 0), F("at", API_INTEGER, 0), F("behind_ms", API_INTEGER, 0), F("event", API_TEXT, 0),
     F("actor", API_TEXT, 0), F("object", API_TEXT, 0), F("renewal_id", API_TEXT, 0), F("request_id", API_TEXT, 0), F("reason", API_TEXT, 0),
     F("detail", API_TEXT, 0), F("proof", API_TEXTS, 0));

PART(evidence_receipt, "EvidenceReceipt", NULL, F("receipt_of", API_TEXT, 0), F("receipt_seq", API_INTEGER, 0), F("body", API_TEXT, 0),
     F("signature", API_TEXT, 0));

PART(evidence_certificate, "EvidenceCertificate", NULL, F("serial", API_SERIAL, 0), F("issuer_id", API_TEXT, 0), F("der", API_TEXT, 0));

PART(evidence_authority, "EvidenceAuthority", NULL, F("issuer_id", API_TEXT, 0), F("parent_id", API_TEXT, 0), F("der", API_TEXT, 0));

PART(evidence_approval, "EvidenceApproval", NULL, F("approval_id", API_ID, 0), F("what", API_TEXT, 0));

PART(evidence_template, "EvidenceTemplate", NULL, F("template_id", API_TEXT, 0), F("version", API_INTEGER, 0), F("text", API_TEXT, 0));

OBJECT(evidence, "Evidence", NULL, F("vcc_evidence", API_INTEGER, 0), OBJ("about", 0, &object_evidence_about), F("statement", API_TEXT, 0),
       OBJ("head", 0, &object_evidence_head), LIST("records", &object_evidence_record), LIST("receipts", &object_evidence_receipt),
       LIST("certificates", &object_evidence_certificate), LIST("authorities", &object_evidence_authority),
       LIST("approvals", &object_evidence_approval), LIST("templates", &object_evidence_template));

OBJECT(exception, "Exception", NULL, F("rule", API_TEXT, 0), F("template_id", API_TEXT, 0), F("owner", API_TEXT, 0), F("reason", API_TEXT, 0),
       F("until", API_TIME, API_NULL), F("in_force", API_BOOL, 0), ONE_OF("source", 0, "own,rules"));

OBJECT(exceptions, "Exceptions", NULL, LIST("exceptions", &object_exception));

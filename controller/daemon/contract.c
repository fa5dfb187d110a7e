/* contract.c - room controller/daemon: what each route takes and answers, and the check of requests by it.
 * The rows stand in the order of api_routes.c. Never: what a value means; that is the handler's. */
#include "controller/daemon/contract.h"

#include <stdlib.h>
#include <string.h>

#include "shared/base/text.h"

#define LIFE "/api/v1/certificates/lifecycle"

/* name, type, flags, of, values, about */
#define END {NULL, API_ANY, 0, NULL, NULL, NULL}
#define TABLE(symbol, ...) static const struct api_field symbol[] = {__VA_ARGS__, END}

#define REASONS "keyCompromise,superseded,cessationOfOperation,affiliationChanged,privilegeWithdrawn,unspecified"

static const struct api_field no_fields[] = {END};

/* ---- bodies ---- */

TABLE(principal_body, {"name", API_TEXT, API_NEEDED, NULL, NULL, "lower-case letters, digits, '-' and '_'"},
      {"roles", API_TEXTS, API_NEEDED, NULL, API_ROLES, NULL}, {"services", API_TEXTS, API_NULL, NULL, NULL, "null: all of them"},
      {"person", API_TEXT, API_NULL, NULL, NULL, "null: a machine"},
      {"mail", API_TEXT, API_NULL, NULL, NULL, "where it is told of requests that it may decide"});
TABLE(principal_change_body, {"roles", API_TEXTS, 0, NULL, API_ROLES, NULL},
      {"services", API_TEXTS, API_NULL, NULL, NULL, "null: all of them"}, {"person", API_TEXT, API_NULL, NULL, NULL, "null: a machine"},
      {"mail", API_TEXT, API_NULL, NULL, NULL, "where it is told of requests that it may decide; null: nowhere of its own"},
      {"disabled", API_BOOL, 0, NULL, NULL, NULL});
TABLE(token_body, {"principal", API_TEXT, API_NULL, NULL, NULL, "default: the caller"}, {"label", API_TEXT, API_NULL, NULL, NULL, NULL},
      {"ttl", API_TEXT, API_NULL, NULL, NULL, "a duration like 90d, at most 366d"}, {"roles", API_TEXTS, API_NULL, NULL, API_ROLES, NULL},
      {"services", API_TEXTS, API_NULL, NULL, NULL, NULL});
TABLE(decision_body, {"hash", API_HASH, API_NEEDED, NULL, NULL, "the one that the request was shown with"});
TABLE(invite_body, {"name", API_TEXT, API_NEEDED, NULL, NULL, NULL}, {"service", API_TEXT, API_NEEDED, NULL, NULL, NULL},
      {"names", API_TEXTS, API_NULL, NULL, NULL, "patterns; default NAME.SERVICE.DOMAIN and SERVICE.DOMAIN"},
      {"ttl", API_TEXT, API_NULL, NULL, NULL, "a duration like 15m, at most 24h"});
TABLE(invites_body, {"invites", API_OBJECTS, API_NEEDED, &object_invite_wanted, NULL, "1 to 1000"});
TABLE(rename_body, {"new_name", API_TEXT, API_NEEDED, NULL, NULL, "lower-case letters, digits, '-', at most 32"});
TABLE(replace_body, {"ttl", API_TEXT, API_NULL, NULL, NULL, "a duration like 15m, at most 24h"});
TABLE(revoke_body, {"reason", API_TEXT, API_NEEDED, NULL, REASONS, NULL},
      {"replace", API_BOOL, API_NULL, NULL, NULL, "have a new one first"},
      {"confirm", API_BOOL, API_NULL, NULL, NULL, "also where no other listener of the service is left with one in force"});
TABLE(ca_revoke_body, {"reason", API_TEXT, API_NEEDED, NULL, REASONS, NULL},
      {"force", API_BOOL, API_NULL, NULL, NULL, "also while certificates below it are in force"});
TABLE(rollover_body, {"emergency", API_BOOL, API_NULL, NULL, NULL, "its key is not to be trusted: it signs nothing more at once"});
TABLE(retire_body, {"consumers", API_TEXTS, API_NEEDED, NULL, NULL, "what trusts the CA outside of the agents; an empty list says that there is nothing"},
      {"override", API_BOOL, API_NULL, NULL, NULL, "in an emergency: although hosts still use what it signed"});
TABLE(retry_body, {"notification_id", API_TEXT, API_NULL, NULL, NULL, "of this one"}, {"dead", API_BOOL, API_NULL, NULL, NULL, "or all that was given up, a part of it with each request"},
      {"cursor", API_TEXT, API_NULL, NULL, NULL, "next_cursor of the answer before"});
TABLE(channel_test_body, {"channel", API_TEXT, API_NEEDED, NULL, NULL, NULL});
TABLE(snooze_body, {"for", API_TEXT, API_NEEDED, NULL, NULL, "a duration like 4h, at most 30d"});
TABLE(forget_body, {"principal", API_TEXT, API_NEEDED, NULL, NULL, NULL});
TABLE(renew_body, {"trigger", API_TEXT, API_NULL, NULL, API_TRIGGERS, "default: manual"},
      {"force", API_BOOL, API_NULL, NULL, NULL, "also when it is not due"},
      {"now", API_BOOL, API_NULL, NULL, NULL, "outside of maintenance windows, too"},
      {"peer_proof", API_BOOL, API_NULL, NULL, NULL, "completed only when the relying parties have seen the new certificate and trust it"});
#define WAVES \
      {"canary", API_TEXT, API_NULL, NULL, NULL, "how many go first, and may not fail: 5, 1%, service:NAME"}, \
      {"waves", API_TEXTS, API_NULL, NULL, NULL, "like 10%, 30%, rest"}, \
      {"halt_share", API_TEXT, API_NULL, NULL, NULL, "more than this share of a wave, like 3%"}, \
      {"halt_count", API_INTEGER, API_NULL, NULL, NULL, "so many failures of a wave"}, \
      {"rollback_on_halt", API_BOOL, API_NULL, NULL, NULL, "when it halts by itself, what was touched goes back"}, \
      {"peer_proof", API_BOOL, API_NULL, NULL, NULL, "completed only when the relying parties have seen the new certificate and trust it"}
TABLE(bulk_body, {"service_pattern", API_TEXT, API_NULL, NULL, NULL, "default: *.DOMAIN"}, {"cert_type_filter", API_TEXT, API_NULL, NULL, NULL, NULL},
      {"dry_run", API_BOOL, API_NULL, NULL, NULL, "show the plan"}, {"trigger", API_TEXT, API_NULL, NULL, API_TRIGGERS, "default: manual"},
      WAVES, {"plan_hash", API_HASH, API_NULL, NULL, NULL, "only as it was shown, and once"});
TABLE(drill_body, {"selector", API_OBJECT, API_NEEDED, NULL, NULL, "exactly one of all, service, template, agent, pattern, ids"},
      {"cert_type_filter", API_TEXT, API_NULL, NULL, NULL, NULL}, {"dry_run", API_BOOL, API_NULL, NULL, NULL, "show the plan"},
      {"plan_hash", API_HASH, API_NULL, NULL, NULL, "only as it was shown, and once"});
TABLE(rollback_body, {"wave", API_INTEGER, API_NULL, NULL, NULL, "default: all that was touched"});
TABLE(renew_all_body, {"cert_type_filter", API_TEXT, API_NULL, NULL, NULL, NULL}, {"dry_run", API_BOOL, API_NULL, NULL, NULL, "show the plan"},
      WAVES, {"plan_hash", API_HASH, API_NULL, NULL, NULL, "only as it was shown, and once"});
TABLE(emergency_body, {"certificate_ids", API_TEXTS, 0, NULL, NULL, "this or selector"},
      {"selector", API_ANY, 0, NULL, NULL, "one of all, service, template, agent, pattern, ids"},
      {"cert_type_filter", API_TEXT, API_NULL, NULL, NULL, NULL}, {"incident_id", API_TEXT, API_NEEDED, NULL, NULL, NULL},
      {"reason", API_TEXT, API_NEEDED, NULL, NULL, NULL}, {"incident_type", API_TEXT, API_NULL, NULL, API_INCIDENTS, "default: other"},
      {"fresh_keys", API_BOOL, API_NULL, NULL, NULL, NULL}, {"revoke_old", API_TEXT, API_NULL, NULL, NULL, "proved, now, after:DURATION"},
      {"invalidity_date", API_TIME, API_NULL, NULL, NULL, "since when the keys are not to be trusted"},
      {"issuer_id", API_TEXT, API_NULL, NULL, NULL, "the CA of ca_compromise, instead of a selection: it gives way at once, when a second person agrees"},
      WAVES, {"plan_hash", API_HASH, API_NULL, NULL, NULL, "only as it was shown, and once"}, {"dry_run", API_BOOL, API_NULL, NULL, NULL, "show the plan"});
/* Those of the answer that are written by the store alone are taken and not looked at. */
TABLE(template_body, {"template_id", API_TEXT, API_NEEDED, NULL, NULL, "that of the path"}, {"version", API_ANY, 0, NULL, NULL, "not looked at"},
      {"name", API_TEXT, 0, NULL, NULL, NULL}, {"description", API_TEXT, 0, NULL, NULL, NULL},
      {"validity_period", API_TEXT, 0, NULL, NULL, "a duration like 730d"}, {"validity_period_days", API_NUMBER, 0, NULL, NULL, NULL},
      {"validity_seconds", API_INTEGER, 0, NULL, NULL, NULL}, {"key_type", API_TEXT, 0, NULL, API_KEY_TYPES, NULL},
      {"key_size", API_INTEGER, 0, NULL, NULL, NULL}, {"hash_algorithm", API_TEXT, 0, NULL, API_HASH_ALGS, NULL},
      {"key_usage", API_TEXTS, API_NEEDED, NULL, API_KEY_USAGES, NULL}, {"extended_key_usage", API_TEXTS, API_NEEDED, NULL, API_EXT_KEY_USAGES, NULL},
      {"subject_alt_names", API_TEXTS, API_NULL, NULL, NULL, NULL}, {"vcc_service_type", API_TEXT, API_NULL, NULL, NULL, NULL},
      {"certificate_purpose", API_TEXT, 0, NULL, API_PURPOSES, NULL}, {"auto_renewal_enabled", API_BOOL, 0, NULL, NULL, NULL},
      {"renewal_threshold_days", API_NUMBER, 0, NULL, NULL, NULL}, {"renewal_threshold", API_TEXT, 0, NULL, NULL, "8h, or 1/3 of the validity"},
      {"emergency_threshold_days", API_NUMBER, 0, NULL, NULL, NULL}, {"emergency_threshold", API_TEXT, 0, NULL, NULL, NULL},
      {"max_renewals", API_INTEGER, 0, NULL, NULL, "0: unlimited"}, {"max_renewal_attempts", API_INTEGER, 0, NULL, NULL, NULL},
      {"retry_interval", API_TEXT, 0, NULL, NULL, NULL}, {"pre_validation_required", API_BOOL, 0, NULL, NULL, NULL},
      {"post_deployment_validation", API_BOOL, 0, NULL, NULL, NULL},
      {"compliance_profiles", API_TEXTS, API_NULL, NULL, API_PROFILES, NULL}, {"audit_level", API_TEXT, 0, NULL, API_AUDIT_LEVELS, NULL},
      {"notification_recipients", API_TEXTS, API_NULL, NULL, NULL, NULL}, {"escalation_recipients", API_TEXTS, API_NULL, NULL, NULL, NULL},
      {"issuer", API_TEXT, 0, NULL, NULL, NULL}, {"created_at", API_ANY, 0, NULL, NULL, "not looked at"},
      {"update", API_ANY, 0, NULL, NULL, "not looked at"}, {"dry_run", API_BOOL, API_NULL, NULL, NULL, "show what it would do"},
      {"force", API_BOOL, API_NULL, NULL, NULL, "also where renewals become impossible"});
TABLE(service_body, {"name", API_TEXT, 0, NULL, NULL, "that of the path"}, {"depends_on", API_ANY, API_NULL, NULL, NULL, "services that go first"},
      {"windows", API_ANY, API_NULL, NULL, NULL, "like Mon-Fri 22:00-04:00 Europe/Berlin"},
      {"policy", API_OBJECT, API_NULL, NULL, NULL, "fields of templates that hold here instead"}, {"version", API_ANY, 0, NULL, NULL, "not looked at"},
      {"needed_by", API_ANY, 0, NULL, NULL, "not looked at"}, {"certificate_count", API_ANY, 0, NULL, NULL, "not looked at"},
      {"created_at", API_ANY, 0, NULL, NULL, "not looked at"}, {"update", API_ANY, 0, NULL, NULL, "not looked at"},
      {"peer_proof", API_ANY, 0, NULL, NULL, "not looked at"}, {"dry_run", API_BOOL, API_NULL, NULL, NULL, "show what it would do"},
      {"force", API_BOOL, API_NULL, NULL, NULL, "also where renewals become impossible"});
TABLE(issue_body, {"csr", API_TEXT, 0, NULL, NULL, "PEM; its key alone is taken; this or agent"},
      {"agent", API_TEXT, 0, NULL, NULL, "the host that makes the key when its target file is there"}, {"template_id", API_TEXT, 0, NULL, NULL, "of a first one"},
      {"service", API_TEXT, API_NULL, NULL, NULL, NULL}, {"names", API_TEXTS, API_NULL, NULL, NULL, NULL}, {"cert_id", API_TEXT, API_NULL, NULL, NULL, NULL},
      {"renew", API_TEXT, API_NULL, NULL, NULL, "a cert_id: its next one"});


TABLE(exception_body, {"rule", API_TEXT, API_NEEDED, NULL, NULL, "like G6"}, {"template_id", API_TEXT, API_NEEDED, NULL, NULL, NULL},
      {"owner", API_TEXT, API_NULL, NULL, NULL, "a role"}, {"reason", API_TEXT, API_NEEDED, NULL, NULL, NULL},
      {"until", API_TIME, API_NULL, NULL, NULL, "at most two years ahead; null: it ends now"});

TABLE(restore_drill_body, {"backup_of", API_TIME, API_NEEDED, NULL, NULL, NULL}, {"audit_size", API_INTEGER, API_NEEDED, NULL, NULL, "records in it"},
      {"audit_root", API_HASH, API_NEEDED, NULL, NULL, "of their tree"}, {"keys", API_INTEGER, API_NEEDED, NULL, NULL, "of CAs, that signed"});

/* ---- queries ---- */

TABLE(token_args, {"principal", API_TEXT, 0, NULL, NULL, "of others: needs principal:manage"});
TABLE(approval_args, {"state", API_TEXT, 0, NULL, "waiting,all", NULL});
TABLE(agent_args, {"state", API_TEXT, 0, NULL, "all", "also removed ones"},
      {"connected", API_TEXT, 0, NULL, "no", "active ones that are not connected; a page may hold fewer than asked for"});
TABLE(target_args, {"agent", API_TEXT, 0, NULL, NULL, NULL},
      {"show", API_TEXT, 0, NULL, "changed,trouble", "files changed within a day; or an error, or an old certificate served; a page may hold fewer than asked for"});
TABLE(cert_args, {"service", API_TEXT, 0, NULL, NULL, NULL}, {"agent", API_TEXT, 0, NULL, NULL, NULL},
      {"template_id", API_TEXT, 0, NULL, NULL, NULL}, {"q", API_TEXT, 0, NULL, NULL, "words of names, hosts, services, numbers"},
      {"status", API_TEXT, 0, NULL, "requested,issued,active,expiring,expired,suspended,revoked", NULL},
      {"served", API_TEXT, 0, NULL, "no", "those of which another certificate is served"});
TABLE(renewal_args, {"cert_id", API_TEXT, 0, NULL, NULL, NULL}, {"status", API_TEXT, 0, NULL, "paused", "those that gave up for now"});
TABLE(template_args, {"version", API_INTEGER, 0, NULL, NULL, "default: the one in force"});
TABLE(campaign_args, {"members", API_TEXT, 0, NULL, "no", "leave the lists out"});
TABLE(member_args, {"state", API_TEXT, 0, NULL, NULL, NULL});
TABLE(notice_args, {"level", API_TEXT, 0, NULL, API_NOTICE_LEVELS, NULL}, {"service", API_TEXT, 0, NULL, NULL, NULL},
      {"state", API_TEXT, 0, NULL, "queued,closed", NULL});
TABLE(delivery_args, {"state", API_TEXT, 0, NULL, "waiting,sent,dead", NULL}, {"channel", API_TEXT, 0, NULL, NULL, NULL});
TABLE(audit_args, {"event", API_TEXT, 0, NULL, NULL, "a type of docs/audit.md"}, {"since", API_TIME, 0, NULL, NULL, NULL},
      {"renewal_id", API_ID, 0, NULL, NULL, NULL}, {"actor", API_TEXT, 0, NULL, NULL, NULL}, {"object", API_TEXT, 0, NULL, NULL, NULL});
TABLE(event_args, {"since", API_TIME, 0, NULL, NULL, "default: from now on"});
TABLE(consistency_args, {"from", API_INTEGER, 0, NULL, NULL, NULL}, {"to", API_INTEGER, 0, NULL, NULL, NULL});
TABLE(export_args, {"since", API_TIME, 0, NULL, NULL, NULL}, {"names", API_TEXT, 0, NULL, "yes,no", "no: pseudonyms alone"});
#define PERIOD \
      {"period", API_TEXT, 0, NULL, "daily,weekly,monthly,quarterly,yearly", "default: monthly"}, \
      {"from", API_TIME, 0, NULL, NULL, "with to, instead of a period"}, {"to", API_TIME, 0, NULL, NULL, NULL}, \
      {"lang", API_TEXT, 0, NULL, "en,de", "of what is said for people"}
TABLE(report_args, PERIOD);
TABLE(evidence_args, {"certificate", API_TEXT, 0, NULL, NULL, "a cert_id; this or campaign"}, {"campaign", API_ID, 0, NULL, NULL, NULL},
      {"part", API_INTEGER, 0, NULL, NULL, "of a campaign: from 1, each with at most 500 of its certificates; 404 behind the last"});
TABLE(report_row_args, {"figure", API_TEXT, 0, NULL, NULL, "a name below `sources` of the report; default: total_certificates"}, {"service", API_TEXT, 0, NULL, NULL, NULL},
      {"rule", API_TEXT, 0, NULL, NULL, "of compliance_violations: this rule alone, also where it only warns"}, PERIOD);
TABLE(expiring_args, {"days_ahead", API_INTEGER, 0, NULL, NULL, "default: 30"}, {"service_filter", API_TEXT, 0, NULL, NULL, NULL});

/* ---- pages with more than their items ---- */

TABLE(inventory_more, {"agent", API_TEXT, 0, NULL, NULL, NULL}, {"observed_at", API_TIME, API_NULL, NULL, NULL, NULL},
      {"reported_at", API_TIME, API_NULL, NULL, NULL, NULL}, {"listeners_found", API_INTEGER, 0, NULL, NULL, NULL});
TABLE(issuances_more, {"archived", API_OBJECT, API_NULL, &object_archived, NULL, NULL});
TABLE(crl_more, {"ocsp", API_OBJECT, 0, &object_ocsp, NULL, NULL});

/* ---- the routes ---- */

static const struct api_contract rows[] = {
	/* method, path, statuses, shape, answer, answer of 202, beside a page, query, body */
	{"GET", "/healthz", API_200, SHAPE_ONE, &object_health, NULL, NULL, NULL, NULL},
	{"GET", "/readyz", API_200 | API_503, SHAPE_ONE, &object_state, NULL, NULL, NULL, NULL},
	{"GET", "/metrics", API_200, SHAPE_TEXT, NULL, NULL, NULL, NULL, NULL},
	{"GET", "/api/v1/openapi.json", API_200, SHAPE_ONE, NULL, NULL, NULL, NULL, NULL},
	{"GET", "/api/v1/status", API_200, SHAPE_ONE, &object_state, NULL, NULL, NULL, NULL},
	{"GET", "/api/v1/whoami", API_200, SHAPE_ONE, &object_whoami, NULL, NULL, NULL, NULL},

	{"GET", "/api/v1/overview", API_200, SHAPE_ONE, &object_overview, NULL, NULL, NULL, NULL},
	{"GET", "/api/v1/errors/{code}", API_200, SHAPE_ONE, &object_error, NULL, NULL, NULL, NULL},
	{"GET", "/api/v1/session", API_200, SHAPE_ONE, &object_session, NULL, NULL, NULL, NULL},
	{"POST", "/api/v1/session", API_201, SHAPE_ONE, &object_session, NULL, NULL, NULL, no_fields},
	{"POST", "/api/v1/session/confirm", API_200, SHAPE_ONE, &object_session, NULL, NULL, NULL, no_fields},
	{"POST", "/api/v1/session/logout", API_200, SHAPE_ONE, &object_session, NULL, NULL, NULL, no_fields},

	{"GET", "/api/v1/principals", API_200, SHAPE_PAGE, &object_principal, NULL, NULL, NULL, NULL},
	{"POST", "/api/v1/principals", API_201 | API_202, SHAPE_ONE, &object_principal, &object_waiting, NULL, NULL, principal_body},
	{"GET", "/api/v1/principals/{name}", API_200, SHAPE_ONE, &object_principal, NULL, NULL, NULL, NULL},
	{"POST", "/api/v1/principals/{name}", API_200 | API_202, SHAPE_ONE, &object_principal, &object_waiting, NULL, NULL, principal_change_body},
	{"GET", "/api/v1/tokens", API_200, SHAPE_PAGE, &object_token, NULL, NULL, token_args, NULL},
	{"POST", "/api/v1/tokens", API_201 | API_202, SHAPE_ONE, &object_token_made, &object_waiting, NULL, NULL, token_body},
	{"POST", "/api/v1/tokens/{token_id}/revoke", API_200, SHAPE_ONE, &object_token, NULL, NULL, NULL, no_fields},
	{"GET", "/api/v1/approvals", API_200, SHAPE_PAGE, &object_approval_seen, NULL, NULL, approval_args, NULL},
	{"GET", "/api/v1/approvals/{approval_id}", API_200, SHAPE_ONE, &object_approval_shown, NULL, NULL, NULL, NULL},
	{"POST", "/api/v1/approvals/{approval_id}/approve", API_200, SHAPE_ONE, &object_approval_decided, NULL, NULL, NULL, decision_body},
	{"POST", "/api/v1/approvals/{approval_id}/reject", API_200, SHAPE_ONE, &object_approval_decided, NULL, NULL, NULL, decision_body},

	{"GET", "/api/v1/agents", API_200, SHAPE_PAGE, &object_agent_seen, NULL, NULL, agent_args, NULL},
	{"GET", "/api/v1/agents/{name}", API_200, SHAPE_ONE, &object_agent_shown, NULL, NULL, NULL, NULL},
	{"GET", "/api/v1/agents/{name}/inventory", API_200, SHAPE_PAGE, &object_listener, NULL, inventory_more, NULL, NULL},
	{"POST", "/api/v1/agents/{name}/evict", API_200, SHAPE_ONE, &object_agent_shown, NULL, NULL, NULL, no_fields},
	{"POST", "/api/v1/agents/{name}/ban", API_200, SHAPE_ONE, &object_agent_shown, NULL, NULL, NULL, no_fields},
	{"POST", "/api/v1/agents/{name}/remove", API_200, SHAPE_ONE, &object_agent_shown, NULL, NULL, NULL, no_fields},
	{"POST", "/api/v1/agents/{name}/release", API_200, SHAPE_ONE, &object_agent_shown, NULL, NULL, NULL, no_fields},
	{"POST", "/api/v1/agents/{name}/rename", API_200, SHAPE_ONE, &object_agent_shown, NULL, NULL, NULL, rename_body},
	{"POST", "/api/v1/agents/{name}/replace", API_201, SHAPE_ONE, &object_invite_made, NULL, NULL, NULL, replace_body},
	{"GET", "/api/v1/invites", API_200, SHAPE_PAGE, &object_invite, NULL, NULL, NULL, NULL},
	{"POST", "/api/v1/invites", API_201, SHAPE_ONE, &object_invite_made, NULL, NULL, NULL, invite_body},
	{"POST", "/api/v1/invites/batch", API_201, SHAPE_ONE, &object_invites_made, NULL, NULL, NULL, invites_body},
	{"GET", "/api/v1/targets", API_200, SHAPE_PAGE, &object_target, NULL, NULL, target_args, NULL},
	{"GET", "/api/v1/targets/{target_id}", API_200, SHAPE_ONE, &object_target, NULL, NULL, NULL, NULL},

	{"GET", "/api/v1/certificates", API_200, SHAPE_PAGE, &object_certificate, NULL, NULL, cert_args, NULL},
	{"GET", "/api/v1/certificates/{cert_id}", API_200, SHAPE_ONE, &object_certificate_shown, NULL, NULL, NULL, NULL},
	{"POST", "/api/v1/certificates", API_201 | API_202, SHAPE_ONE, &object_certificate, &object_certificate_issued, NULL, NULL, issue_body},
	{"GET", "/api/v1/certificates/{cert_id}/pem", API_200, SHAPE_ONE, &object_pem, NULL, NULL, NULL, NULL},
	{"GET", "/api/v1/certificates/{cert_id}/issuances", API_200, SHAPE_PAGE, &object_issuance, NULL, issuances_more, NULL, NULL},
	{"POST", "/api/v1/certificates/{cert_id}/revoke", API_200 | API_202, SHAPE_ONE, &object_certificate_changed, &object_certificate_changed, NULL, NULL, revoke_body},
	{"POST", "/api/v1/certificates/{cert_id}/peer-proof", API_202, SHAPE_ONE, NULL, &object_peers_asked, NULL, NULL, no_fields},
	{"POST", "/api/v1/certificates/{cert_id}/rollback", API_202, SHAPE_ONE, NULL, &object_certificate_changed, NULL, NULL, no_fields},
	{"POST", "/api/v1/certificates/{cert_id}/suspend", API_200, SHAPE_ONE, &object_certificate_changed, NULL, NULL, NULL, no_fields},
	{"POST", "/api/v1/certificates/{cert_id}/resume", API_200 | API_202, SHAPE_ONE, &object_certificate_changed, &object_certificate_changed, NULL, NULL, no_fields},
	{"GET", "/api/v1/crls", API_200, SHAPE_PAGE, &object_crl, NULL, crl_more, NULL, NULL},
	{"GET", "/api/v1/ca", API_200, SHAPE_PAGE, &object_ca, NULL, NULL, NULL, NULL},
	{"GET", "/api/v1/ca/{issuer_id}", API_200, SHAPE_ONE, &object_ca_shown, NULL, NULL, NULL, NULL},
	{"GET", "/api/v1/trust", API_200, SHAPE_ONE, &object_trust, NULL, NULL, NULL, NULL},
	{"POST", "/api/v1/ca/{issuer_id}/revoke", API_202, SHAPE_ONE, NULL, &object_waiting, NULL, NULL, ca_revoke_body},
	{"GET", "/api/v1/ca/{issuer_id}/rollover", API_200, SHAPE_ONE, &object_rollover, NULL, NULL, NULL, NULL},
	{"POST", "/api/v1/ca/{issuer_id}/rollover", API_202, SHAPE_ONE, NULL, &object_waiting, NULL, NULL, rollover_body},
	{"POST", "/api/v1/ca/{issuer_id}/rollover/advance", API_200, SHAPE_ONE, &object_rollover, NULL, NULL, NULL, no_fields},
	{"POST", "/api/v1/ca/{issuer_id}/rollover/rollback", API_200, SHAPE_ONE, &object_rollover, NULL, NULL, NULL, no_fields},
	{"POST", "/api/v1/ca/{issuer_id}/rollover/retire", API_202, SHAPE_ONE, NULL, &object_waiting, NULL, NULL, retire_body},
	{"GET", "/api/v1/renewals", API_200, SHAPE_PAGE, &object_order, NULL, NULL, renewal_args, NULL},
	{"GET", "/api/v1/renewals/{renewal_id}", API_200, SHAPE_ONE, &object_renewal, NULL, NULL, NULL, NULL},
	{"POST", "/api/v1/renewals/{renewal_id}/cancel", API_200, SHAPE_ONE, &object_order, NULL, NULL, NULL, no_fields},

	{"GET", "/api/v1/campaigns", API_200, SHAPE_PAGE, &object_campaign, NULL, NULL, NULL, NULL},
	{"GET", "/api/v1/campaigns/{campaign_id}", API_200, SHAPE_ONE, &object_campaign_shown, NULL, NULL, campaign_args, NULL},
	{"GET", "/api/v1/campaigns/{campaign_id}/members", API_200, SHAPE_PAGE, &object_member, NULL, NULL, member_args, NULL},
	{"GET", "/api/v1/campaigns/{campaign_id}/progress", API_200, SHAPE_ONE, &object_campaign_progress, NULL, NULL, NULL, NULL},
	{"POST", "/api/v1/campaigns/{campaign_id}/halt", API_200, SHAPE_ONE, &object_campaign, NULL, NULL, NULL, no_fields},
	{"POST", "/api/v1/campaigns/{campaign_id}/resume", API_200, SHAPE_ONE, &object_campaign, NULL, NULL, NULL, no_fields},
	{"POST", "/api/v1/campaigns/{campaign_id}/cancel", API_200, SHAPE_ONE, &object_campaign, NULL, NULL, NULL, no_fields},
	{"POST", "/api/v1/campaigns/{campaign_id}/rollback", API_200, SHAPE_ONE, &object_campaign, NULL, NULL, NULL, rollback_body},

	{"GET", "/api/v1/drills", API_200, SHAPE_PAGE, &object_drill, NULL, NULL, NULL, NULL},
	{"POST", "/api/v1/drills", API_200 | API_202 | API_IDS, SHAPE_ONE, &object_planned, &object_drill_begun, NULL, NULL, drill_body},
	{"GET", "/api/v1/drills/{drill_id}", API_200, SHAPE_ONE, &object_drill, NULL, NULL, NULL, NULL},
	{"GET", "/api/v1/drills/{drill_id}/report", API_200, SHAPE_ONE, &object_drill_report, NULL, NULL, NULL, NULL},
	{"POST", "/api/v1/drills/{drill_id}/cancel", API_200, SHAPE_ONE, &object_drill, NULL, NULL, NULL, no_fields},

	{"GET", "/api/v1/reports/compliance", API_200, SHAPE_ONE, &object_report, NULL, NULL, report_args, NULL},
	{"GET", "/api/v1/reports/rows", API_200, SHAPE_PAGE, &object_report_row, NULL, NULL, report_row_args, NULL},
	{"GET", "/api/v1/reports/evidence", API_200, SHAPE_ONE, &object_evidence, NULL, NULL, evidence_args, NULL},
	{"GET", "/api/v1/reports/exceptions", API_200, SHAPE_ONE, &object_exceptions, NULL, NULL, NULL, NULL},
	{"POST", "/api/v1/reports/exceptions", API_200, SHAPE_ONE, &object_exception, NULL, NULL, NULL, exception_body},

	{"GET", "/api/v1/notifications", API_200, SHAPE_PAGE, &object_notification, NULL, NULL, notice_args, NULL},
	{"GET", "/api/v1/notifications/channels", API_200, SHAPE_PAGE, &object_channel, NULL, NULL, NULL, NULL},
	{"GET", "/api/v1/notifications/deliveries", API_200, SHAPE_PAGE, &object_delivery, NULL, NULL, delivery_args, NULL},
	{"POST", "/api/v1/notifications/retry", API_200, SHAPE_ONE, &object_retried, NULL, NULL, NULL, retry_body},
	{"POST", "/api/v1/notifications/test", API_200, SHAPE_ONE, &object_channel_tested, NULL, NULL, NULL, channel_test_body},
	{"GET", "/api/v1/notifications/{notification_id}", API_200, SHAPE_ONE, &object_notification, NULL, NULL, NULL, NULL},
	{"POST", "/api/v1/notifications/{notification_id}/ack", API_200, SHAPE_ONE, &object_notification, NULL, NULL, NULL, no_fields},
	{"POST", "/api/v1/notifications/{notification_id}/snooze", API_200, SHAPE_ONE, &object_notification, NULL, NULL, NULL, snooze_body},
	{"GET", "/api/v1/events", API_200, SHAPE_EVENTS, NULL, NULL, NULL, event_args, NULL},
	{"GET", "/api/v1/audit", API_200, SHAPE_PAGE, &object_record, NULL, NULL, audit_args, NULL},
	{"GET", "/api/v1/audit/heads", API_200, SHAPE_PAGE, &object_head, NULL, NULL, NULL, NULL},
	{"GET", "/api/v1/audit/consistency", API_200, SHAPE_ONE, &object_consistency, NULL, NULL, consistency_args, NULL},
	{"GET", "/api/v1/audit/export", API_200, SHAPE_LINES, NULL, NULL, NULL, export_args, NULL},
	{"POST", "/api/v1/audit/forget", API_200, SHAPE_ONE, &object_forgotten, NULL, NULL, NULL, forget_body},
	{"GET", "/api/v1/audit/{seq}", API_200, SHAPE_ONE, &object_record_shown, NULL, NULL, NULL, NULL},

	{"POST", LIFE "/renew/{cert_id}", API_200 | API_202, SHAPE_ONE, &object_renewed, &object_renewing, NULL, NULL, renew_body},
	{"POST", LIFE "/bulk-renewal", API_200 | API_202, SHAPE_ONE, &object_planned, &object_bulk_begun, NULL, NULL, bulk_body},
	{"POST", LIFE "/emergency-recertification", API_200 | API_202 | API_IDS, SHAPE_ONE, &object_emergency_or_plan, &object_emergency_or_waiting, NULL, NULL, emergency_body},
	{"POST", LIFE "/vcc-service/{service_name}/renew-all", API_200 | API_202, SHAPE_ONE, &object_planned, &object_service_begun, NULL, NULL, renew_all_body},
	{"GET", LIFE "/vcc-service/{service_name}/certificates", API_200, SHAPE_ONE, &object_service_certs, NULL, NULL, NULL, NULL},
	{"GET", LIFE "/expiring", API_200, SHAPE_ONE, &object_expiring, NULL, NULL, expiring_args, NULL},
	{"GET", LIFE "/templates", API_200, SHAPE_ONE, &object_templates, NULL, NULL, NULL, NULL},
	{"GET", LIFE "/templates/{template_id}", API_200 | API_MATCH, SHAPE_ONE, &object_template_shown, NULL, NULL, template_args, NULL},
	{"POST", LIFE "/templates/{template_id}", API_200 | API_MATCH | API_202, SHAPE_ONE, &object_policy_edit, &object_policy_edit_or_waiting, NULL, NULL, template_body},

	{"GET", "/api/v1/services", API_200, SHAPE_PAGE, &object_service, NULL, NULL, NULL, NULL},
	{"POST", "/api/v1/services", API_200 | API_MATCH | API_202, SHAPE_ONE, &object_policy_edit, &object_policy_edit_or_waiting, NULL, NULL, service_body},
	{"GET", "/api/v1/services/{service_name}", API_200 | API_MATCH, SHAPE_ONE, &object_service_shown, NULL, NULL, NULL, NULL},
	{"POST", "/api/v1/services/{service_name}", API_200 | API_MATCH | API_202, SHAPE_ONE, &object_policy_edit, &object_policy_edit_or_waiting, NULL, NULL, service_body},

	{"GET", "/api/v1/backup", API_200, SHAPE_ONE, &object_backup, NULL, NULL, NULL, NULL},
	{"POST", "/api/v1/backup", API_202, SHAPE_ONE, NULL, &object_backup, NULL, NULL, no_fields},
	{"GET", "/api/v1/restore", API_200, SHAPE_ONE, &object_restore, NULL, NULL, NULL, NULL},
	{"POST", "/api/v1/restore/accept", API_200, SHAPE_ONE, &object_restore, NULL, NULL, NULL, no_fields},
	{"POST", "/api/v1/restore/drill", API_200, SHAPE_ONE, &object_restore, NULL, NULL, NULL, restore_drill_body},
};

const struct api_contract *contract_find(const char *method, const char *path)
{
	for (size_t i = 0; i < N_ELEMENTS(rows); i++)
		if (text_equal(rows[i].path, path) && text_equal(rows[i].method, method))
			return &rows[i];
	return NULL;
}

/* ---- checking a request ---- */

static const struct api_field *field_find(const struct api_field *fields, const char *name, size_t n)
{
	for (; fields != NULL && fields->name != NULL; fields++)
		if (strlen(fields->name) == n && memcmp(fields->name, name, n) == 0)
			return fields;
	return NULL;
}

static const struct api_field *arg_find(const struct api_contract *c, const char *name, size_t n)
{
	TABLE(page_args, {"limit", API_INTEGER, 0, NULL, NULL, NULL}, {"cursor", API_TEXT, 0, NULL, NULL, NULL});
	const struct api_field *f = field_find(c->args, name, n);
	return f == NULL && c->shape == SHAPE_PAGE ? field_find(page_args, name, n) : f;
}

int contract_check_args(const struct api_contract *c, const struct http_request *q, struct refusal *why)
{
	for (size_t i = 0; i < q->n_args; i++) {
		char   name[HTTP_ARG_SIZE];
		size_t n = strcspn(q->args[i], "=");
		if (q->args[i][0] == '\0')
			continue; /* "?&a=b" */
		text_cut(name, sizeof(name), q->args[i]);
		name[n] = '\0';
		const struct api_field *f = arg_find(c, name, n);
		if (f == NULL)
			return refuse(why, E_API_BODY, name, "the argument is unknown here");
		if (q->args[i][n] != '=')
			return refuse(why, E_API_BODY, name, "the argument has no value");
		if (!text_line_ok(q->args[i], strlen(q->args[i])))
			return refuse(why, E_API_BODY, name, "must be UTF-8 without control characters");
		if (f->values != NULL && !text_listed(f->values, q->args[i] + n + 1))
			return refuse(why, E_API_BODY, name, "must be one of %s", f->values);
		for (size_t k = 0; k < i; k++)
			if (strncmp(q->args[k], q->args[i], n + 1) == 0)
				return refuse(why, E_API_BODY, name, "the argument is given twice");
	}
	return 0;
}

static bool texts_ok(const json_t *v)
{
	size_t        i;
	const json_t *item;
	if (!json_is_array(v))
		return false;
	json_array_foreach(v, i, item)
		if (!json_is_string(item))
			return false;
	return true;
}

/* NULL = it fits; else what it must be. */
static const char *type_wants(enum api_type type, const json_t *v)
{
	switch (type) {
	case API_ANY:
		return NULL;
	case API_BOOL:
		return json_is_boolean(v) ? NULL : "must be true or false";
	case API_INTEGER:
		return json_is_integer(v) ? NULL : "must be a whole number";
	case API_NUMBER:
		return json_is_number(v) ? NULL : "must be a number";
	case API_TEXTS:
		return texts_ok(v) ? NULL : "must be a list of texts";
	case API_OBJECT:
		return json_is_object(v) ? NULL : "must be an object";
	case API_OBJECTS:
		return json_is_array(v) ? NULL : "must be a list";
	default:
		return json_is_string(v) ? NULL : "must be a text";
	}
}

int contract_check_body(const struct api_contract *c, const json_t *body, struct refusal *why)
{
	/* jansson's iterator wants a mutable object, but changes nothing */
	json_t *walk = (json_t *)(uintptr_t)body;
	for (void *at = json_object_iter(walk); at != NULL; at = json_object_iter_next(walk, at)) {
		const char             *name = json_object_iter_key(at);
		const json_t           *v = json_object_iter_value(at);
		const struct api_field *f = field_find(c->body, name, strlen(name));
		bool                    why_field = f == NULL && (text_equal(name, "comment") || text_equal(name, "reason"));
		if (f == NULL && !why_field)
			return refuse(why, E_API_BODY, name, "the field is unknown here");
		if (json_is_null(v) && (f == NULL || (f->flags & API_NULL) != 0))
			continue;
		const char *wants = type_wants(f != NULL ? f->type : API_TEXT, v);
		if (wants != NULL)
			return refuse(why, E_API_BODY, name, "%s", wants);
	}
	for (const struct api_field *f = c->body; f != NULL && f->name != NULL; f++)
		if ((f->flags & API_NEEDED) != 0 && json_object_get(body, f->name) == NULL)
			return refuse(why, E_API_BODY, f->name, "the field is required");
	return 0;
}

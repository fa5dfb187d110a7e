/* api_routes.c - room controller/daemon: the route table. The router walks it, rights are checked from it.
 * Never: handlers; those are in api_SUBJECT.c. */
#include "controller/daemon/api_routes.h"

#define LIFE "/api/v1/certificates/lifecycle"

static const struct api_route routes[] = {
	/* method, path, permission, scope, about, read (worker), act (loop), enrich (loop) */
	{"GET", "/healthz", PERM_NONE, SCOPE_OPEN, "The process answers.", NULL, api_healthz, NULL},
	{"GET", "/readyz", PERM_NONE, SCOPE_OPEN, "Could a certificate be renewed now? Named checks.", NULL, api_readyz, NULL},
	{"GET", "/api/v1/openapi.json", PERM_CERT_READ, SCOPE_OPEN, "This description of the API.", api_openapi, NULL, NULL},
	{"GET", "/api/v1/status", PERM_CERT_READ, SCOPE_OPEN, "The checks of readyz, for people.", NULL, api_status_show, NULL},
	{"GET", "/api/v1/whoami", PERM_CERT_READ, SCOPE_OPEN, "Who the caller is and may do.", NULL, api_whoami, NULL},

	{"GET", "/api/v1/backup", PERM_CA_MANAGE, SCOPE_WHOLE, "The last backup of this run, or the one being made.", NULL, api_backup_show, NULL},
	{"POST", "/api/v1/backup", PERM_CA_MANAGE, SCOPE_WHOLE, "Copies the database into the state folder while everything goes on.", NULL, api_backup_make, NULL},
	{"GET", "/api/v1/restore", PERM_CA_MANAGE, SCOPE_WHOLE, "Was the database restored, and does that wait for somebody?", NULL, api_restore_show, NULL},
	{"POST", "/api/v1/restore/accept", PERM_CA_MANAGE, SCOPE_WHOLE, "Orders go out again after a restore.", NULL, api_restore_accept, NULL},

	{"GET", "/api/v1/principals", PERM_PRINCIPAL_MANAGE, SCOPE_WHOLE, "Persons and machines that act by this API.", api_principal_list, NULL, NULL},
	{"POST", "/api/v1/principals", PERM_PRINCIPAL_MANAGE, SCOPE_WHOLE, "A new principal; one that may approve waits for an approval.", NULL, api_principal_create, NULL},
	{"GET", "/api/v1/principals/{name}", PERM_PRINCIPAL_MANAGE, SCOPE_WHOLE, "One principal.", api_principal_show, NULL, NULL},
	{"POST", "/api/v1/principals/{name}", PERM_PRINCIPAL_MANAGE, SCOPE_WHOLE, "Changes roles, services, person, or whether it is disabled; never one's own.", NULL, api_principal_change, NULL},
	{"GET", "/api/v1/tokens", PERM_TOKEN_OWN, SCOPE_OWN, "Tokens, without their secret.", api_token_list, NULL, NULL},
	{"POST", "/api/v1/tokens", PERM_TOKEN_OWN, SCOPE_OWN, "A new token, shown once; for somebody else who may approve it waits for an approval.", NULL, api_token_create, NULL},
	{"POST", "/api/v1/tokens/{token_id}/revoke", PERM_TOKEN_OWN, SCOPE_OWN, "Ends a token at once.", NULL, api_token_revoke, NULL},
	{"GET", "/api/v1/approvals", PERM_APPROVAL_READ, SCOPE_FILTERED, "What waits for a second person, newest first; state=all also what was decided.", api_approval_list, NULL, NULL},
	{"GET", "/api/v1/approvals/{approval_id}", PERM_APPROVAL_READ, SCOPE_OBJECT, "One request, with the hash that a decision names.", api_approval_show, NULL, NULL},
	{"POST", "/api/v1/approvals/{approval_id}/approve", PERM_APPROVAL_DECIDE, SCOPE_OBJECT, "Agrees to what the hash stands for; never to one's own request.", NULL, api_approval_approve, NULL},
	{"POST", "/api/v1/approvals/{approval_id}/reject", PERM_APPROVAL_DECIDE, SCOPE_OBJECT, "Ends the request.", NULL, api_approval_reject, NULL},

	{"GET", "/api/v1/agents", PERM_AGENT_READ, SCOPE_FILTERED, "Agents by name.", api_agent_list, NULL, api_agent_enrich},
	{"GET", "/api/v1/agents/{name}", PERM_AGENT_READ, SCOPE_OBJECT, "One agent with its targets.", api_agent_show, NULL, api_agent_enrich},
	{"GET", "/api/v1/agents/{name}/inventory", PERM_AGENT_READ, SCOPE_OBJECT, "What the agent's host serves by TLS, by listener.", api_agent_inventory, NULL, NULL},
	{"POST", "/api/v1/agents/{name}/evict", PERM_AGENT_EVICT, SCOPE_OBJECT, "Ends an agent's identity; it may be invited again.", NULL, api_agent_evict, NULL},
	{"POST", "/api/v1/agents/{name}/ban", PERM_AGENT_BAN, SCOPE_OBJECT, "Ends an agent's identity; its host key never returns.", NULL, api_agent_ban, NULL},
	{"POST", "/api/v1/agents/{name}/remove", PERM_AGENT_EVICT, SCOPE_OBJECT, "Takes an evicted agent off the lists; what it still serves is orphaned.", NULL, api_agent_remove, NULL},
	{"POST", "/api/v1/agents/{name}/replace", PERM_AGENT_INVITE, SCOPE_OBJECT, "A one-time token for the host that takes an agent's place, with its certificates.", NULL, api_agent_replace, NULL},
	{"POST", "/api/v1/agents/{name}/rename", PERM_AGENT_INVITE, SCOPE_OBJECT, "Gives the host another name; its certificates keep theirs.", NULL, api_agent_rename, NULL},
	{"POST", "/api/v1/agents/{name}/release", PERM_AGENT_EVICT, SCOPE_OBJECT, "The second host with this identity is gone: the next run is let in.", NULL, api_agent_release, NULL},
	{"GET", "/api/v1/invites", PERM_AGENT_READ, SCOPE_FILTERED, "Invites, oldest first.", api_invite_list, NULL, NULL},
	{"POST", "/api/v1/invites", PERM_AGENT_INVITE, SCOPE_NAMED, "A one-time token for one new agent.", NULL, api_invite_create, NULL},
	{"POST", "/api/v1/invites/batch", PERM_AGENT_INVITE, SCOPE_NAMED, "One-time tokens for at most 1,000 new agents: all of them or none.", NULL, api_invites_create, NULL},
	{"GET", "/api/v1/targets", PERM_CERT_READ, SCOPE_FILTERED, "Targets by certificate.", api_target_list, NULL, api_target_enrich},
	{"GET", "/api/v1/targets/{target_id}", PERM_CERT_READ, SCOPE_OBJECT, "One target.", api_target_show, NULL, api_target_enrich},

	{"GET", "/api/v1/certificates", PERM_CERT_READ, SCOPE_FILTERED, "Certificates by cert_id.", api_cert_list, NULL, NULL},
	{"POST", "/api/v1/certificates", PERM_CERT_CREATE, SCOPE_NAMED, "A certificate for the key of a request, without a host; for persons and code signing it waits for an approval. With agent: one that waits for its target file.", NULL, api_cert_issue, NULL},
	{"GET", "/api/v1/certificates/{cert_id}/pem", PERM_CERT_READ, SCOPE_OBJECT, "The newest certificate and its chain as PEM.", NULL, api_cert_pem, NULL},
	{"GET", "/api/v1/certificates/{cert_id}", PERM_CERT_READ, SCOPE_OBJECT, "One certificate with target, policy and last orders.", api_cert_show, NULL, api_cert_enrich},
	{"GET", "/api/v1/certificates/{cert_id}/issuances", PERM_CERT_READ, SCOPE_OBJECT, "Every X.509 certificate signed for it.", api_cert_issuances, NULL, NULL},
	{"POST", "/api/v1/certificates/{cert_id}/revoke", PERM_CERT_REVOKE, SCOPE_OBJECT, "Ends the certificate for good, or has it replaced first.", NULL, api_cert_revoke, NULL},
	{"POST", "/api/v1/certificates/{cert_id}/rollback", PERM_CERT_RENEW, SCOPE_OBJECT, "Puts the issuance before the one in use in use again, while it is in its grace.", NULL, api_cert_rollback, NULL},
	{"POST", "/api/v1/certificates/{cert_id}/peer-proof", PERM_CERT_RENEW, SCOPE_OBJECT, "Asks the relying parties to look from their own hosts at what is served.", NULL, api_cert_proof, NULL},
	{"POST", "/api/v1/certificates/{cert_id}/suspend", PERM_CERT_REVOKE, SCOPE_OBJECT, "Puts the certificate on hold.", NULL, api_cert_suspend, NULL},
	{"POST", "/api/v1/certificates/{cert_id}/resume", PERM_CERT_REVOKE, SCOPE_OBJECT, "Puts a suspended certificate back in force.", NULL, api_cert_resume, NULL},
	{"GET", "/api/v1/crls", PERM_CERT_READ, SCOPE_OPEN, "Published revocation lists, and the OCSP responder.", NULL, api_crl_list, NULL},
	{"GET", "/api/v1/ca", PERM_CERT_READ, SCOPE_OPEN, "CAs by issuer_id.", api_ca_list, NULL, NULL},
	{"GET", "/api/v1/ca/{issuer_id}", PERM_CERT_READ, SCOPE_WHOLE, "One CA, and what lives below it.", api_ca_show, NULL, NULL},
	{"GET", "/api/v1/trust", PERM_CERT_READ, SCOPE_WHOLE, "Which roots hosts are given, and how far hosts are.", api_trust_show, NULL, NULL},
	{"POST", "/api/v1/ca/{issuer_id}/revoke", PERM_CA_MANAGE, SCOPE_WHOLE, "Asks a second person to revoke a CA by its root.", NULL, api_ca_revoke, NULL},
	{"GET", "/api/v1/ca/{issuer_id}/rollover", PERM_CERT_READ, SCOPE_WHOLE, "How far a CA has given way to its successor, and what is left below it.", NULL, api_rollover_show, NULL},
	{"POST", "/api/v1/ca/{issuer_id}/rollover", PERM_CA_MANAGE, SCOPE_WHOLE, "Asks a second person to let a CA give way to a new one.", NULL, api_rollover_begin, NULL},
	{"POST", "/api/v1/ca/{issuer_id}/rollover/advance", PERM_CA_MANAGE, SCOPE_WHOLE, "Certificates come from the successor from now on; later: once more for what is left.", NULL, api_rollover_advance, NULL},
	{"POST", "/api/v1/ca/{issuer_id}/rollover/rollback", PERM_CA_MANAGE, SCOPE_WHOLE, "The CA signs as before, its successor stands by.", NULL, api_rollover_rollback, NULL},
	{"POST", "/api/v1/ca/{issuer_id}/rollover/retire", PERM_CA_MANAGE, SCOPE_WHOLE, "Asks a second person to close the old CA for good.", NULL, api_rollover_retire, NULL},
	{"GET", "/api/v1/services", PERM_CERT_READ, SCOPE_FILTERED, "Services by name.", api_service_list, NULL, NULL},
	{"POST", "/api/v1/services", PERM_TEMPLATE_UPDATE, SCOPE_NAMED, "Policy, windows and dependencies of the service that the body names.", NULL, api_service_create, NULL},
	{"GET", "/api/v1/services/{service_name}", PERM_CERT_READ, SCOPE_OBJECT, "One service, with what it says instead of its templates.", api_service_show, NULL, api_policy_enrich},
	{"POST", "/api/v1/services/{service_name}", PERM_TEMPLATE_UPDATE, SCOPE_OBJECT, "Policy, windows and dependencies of a service; dry_run shows what it does.", NULL, api_service_apply, NULL},
	{"GET", "/api/v1/renewals", PERM_CERT_READ, SCOPE_FILTERED, "Orders, newest first; status=paused those that gave up for now, oldest first.", api_renewal_list, NULL, api_renewal_enrich},
	{"GET", "/api/v1/renewals/{renewal_id}", PERM_CERT_READ, SCOPE_OBJECT, "One order with its steps and proof; Prefer: wait=N waits for its end, at most 60 s.", api_renewal_show, NULL, api_renewal_enrich},
	{"POST", "/api/v1/renewals/{renewal_id}/cancel", PERM_CERT_RENEW, SCOPE_OBJECT, "Ends an order before it is at the signer; later it is led to its end.", NULL, api_renewal_cancel, NULL},

	{"GET", "/api/v1/campaigns", PERM_CERT_READ, SCOPE_FILTERED, "Campaigns, newest first.", api_campaign_list, NULL, NULL},
	{"GET", "/api/v1/campaigns/{campaign_id}", PERM_CERT_READ, SCOPE_OBJECT, "One campaign with what became of its certificates, the first 500 of each kind; Prefer: wait=N waits for its end, at most 60 s.", api_campaign_show, NULL, api_campaign_enrich},
	{"GET", "/api/v1/campaigns/{campaign_id}/members", PERM_CERT_READ, SCOPE_OBJECT, "The certificates of a campaign in their order; state= narrows it.", api_campaign_members, NULL, api_campaign_members_enrich},
	{"POST", "/api/v1/campaigns/{campaign_id}/halt", PERM_CERT_BULK, SCOPE_OBJECT, "Sends nothing more; what was sent finishes.", NULL, api_campaign_halt, NULL},
	{"POST", "/api/v1/campaigns/{campaign_id}/resume", PERM_CERT_BULK, SCOPE_OBJECT, "Goes on with a halted campaign.", NULL, api_campaign_resume, NULL},
	{"POST", "/api/v1/campaigns/{campaign_id}/cancel", PERM_CERT_BULK, SCOPE_OBJECT, "Drops for good what was not sent.", NULL, api_campaign_cancel, NULL},
	{"POST", "/api/v1/campaigns/{campaign_id}/rollback", PERM_CERT_BULK, SCOPE_OBJECT, "Puts the certificates before in use again, of one wave or of all that was touched; it is halted by that.", NULL, api_campaign_rollback, NULL},

	{"GET", "/api/v1/drills", PERM_CERT_READ, SCOPE_FILTERED, "Drills, newest first.", api_drill_list, NULL, NULL},
	{"POST", "/api/v1/drills", PERM_CERT_EMERGENCY, SCOPE_FILTERED, "Rehearses an emergency: certificates are made and tested on their hosts, and never used; dry_run shows the plan.", NULL, api_drill_begin, NULL},
	{"GET", "/api/v1/drills/{drill_id}", PERM_CERT_READ, SCOPE_OBJECT, "One drill; its certificates are the members of the campaign with its id.", api_drill_show, NULL, NULL},
	{"GET", "/api/v1/drills/{drill_id}/report", PERM_CERT_READ, SCOPE_OBJECT, "What a drill showed: a JSON text, and the SHA-256 of its bytes as the audit trail has it.", api_drill_report, NULL, NULL},
	{"POST", "/api/v1/drills/{drill_id}/cancel", PERM_CERT_EMERGENCY, SCOPE_OBJECT, "Ends a drill; what was sent of it is called back.", NULL, api_drill_cancel, NULL},

	{"GET", "/api/v1/reports/compliance", PERM_REPORT_READ, SCOPE_WHOLE, "The compliance report of a period; each figure says where its rows are listed.", api_report_compliance, NULL, NULL},
	{"GET", "/api/v1/reports/rows", PERM_REPORT_READ, SCOPE_WHOLE, "What a figure of the compliance report counts.", api_report_rows, NULL, NULL},
	{"GET", "/api/v1/reports/evidence", PERM_REPORT_READ, SCOPE_WHOLE, "What proves the history of a certificate or a campaign without this server, for vccctl audit verify.", api_report_evidence, NULL, NULL},
	{"GET", "/api/v1/reports/exceptions", PERM_REPORT_READ, SCOPE_WHOLE, "Exceptions to compliance rules: who answers for them, why, until when.", api_exception_list, NULL, NULL},
	{"POST", "/api/v1/reports/exceptions", PERM_TEMPLATE_UPDATE, SCOPE_WHOLE, "Makes or replaces the exception of a rule and template; until null ends it.", NULL, api_exception_put, NULL},

	{"GET", "/api/v1/notifications", PERM_CERT_READ, SCOPE_FILTERED, "What people have to be told, newest first; level=, service= and state= narrow it.", api_notice_list, NULL, NULL},
	{"GET", "/api/v1/events", PERM_AUDIT_READ, SCOPE_WHOLE, "The audit trail as it grows, as server-sent events.", NULL, api_events, NULL},
	{"GET", "/api/v1/audit", PERM_AUDIT_READ, SCOPE_WHOLE, "Audit records, newest first.", api_audit_list, NULL, NULL},
	{"GET", "/api/v1/audit/heads", PERM_AUDIT_READ, SCOPE_WHOLE, "Signed heads of the audit tree, newest first.", api_audit_heads, NULL, NULL},
	{"GET", "/api/v1/audit/consistency", PERM_AUDIT_READ, SCOPE_WHOLE, "Proof that one tree grew out of another (RFC 6962).", api_audit_consistency, NULL, NULL},
	{"GET", "/api/v1/audit/export", PERM_AUDIT_READ, SCOPE_WHOLE, "The trail as lines of JSON, for vccctl audit verify.", NULL, api_audit_export, NULL},
	{"POST", "/api/v1/audit/forget", PERM_PRINCIPAL_MANAGE, SCOPE_WHOLE, "Deletes the name behind a pseudonym.", NULL, api_audit_forget, NULL},
	{"GET", "/api/v1/audit/{seq}", PERM_AUDIT_READ, SCOPE_WHOLE, "One audit record with its proof (RFC 6962).", api_audit_show, NULL, NULL},

	{"POST", LIFE "/renew/{cert_id}", PERM_CERT_RENEW, SCOPE_OBJECT, "Renews one certificate; Prefer: wait=N waits for its end, at most 60 s.", NULL, api_life_renew, NULL},
	{"POST", LIFE "/bulk-renewal", PERM_CERT_BULK, SCOPE_FILTERED, "Renews what a pattern means, in batches; dry_run shows the plan.", NULL, api_life_bulk, NULL},
	{"POST", LIFE "/emergency-recertification", PERM_CERT_EMERGENCY, SCOPE_FILTERED, "Renews what an incident touches, all at once; Prefer: wait=N says how long to wait for the end.", NULL, api_life_emergency, NULL},
	{"POST", LIFE "/vcc-service/{service_name}/renew-all", PERM_SERVICE_RENEW, SCOPE_OBJECT, "Renews every certificate of a service, in batches.", NULL, api_life_renew_all, NULL},
	{"GET", LIFE "/vcc-service/{service_name}/certificates", PERM_CERT_READ, SCOPE_OBJECT, "Certificates of a service.", api_life_service_certs, NULL, NULL},
	{"GET", LIFE "/expiring", PERM_CERT_READ, SCOPE_FILTERED, "What ends soon, critical and warning.", api_life_expiring, NULL, NULL},
	{"GET", LIFE "/templates", PERM_CERT_READ, SCOPE_OPEN, "Current templates.", api_life_templates, NULL, NULL},
	{"GET", LIFE "/templates/{template_id}", PERM_CERT_READ, SCOPE_OPEN, "One current template.", api_life_template, NULL, api_policy_enrich},
	{"POST", LIFE "/templates/{template_id}", PERM_TEMPLATE_UPDATE, SCOPE_WHOLE, "A new version of a template; dry_run shows what it does. What it affects is renewed.", NULL, api_life_template_apply, NULL},
};

const struct api_route *api_routes(size_t *ret_n)
{
	*ret_n = N_ELEMENTS(routes);
	return routes;
}

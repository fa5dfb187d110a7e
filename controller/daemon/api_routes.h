/* api_routes.h - room controller/daemon: the handlers that the route table names, by subject.
 * `read` handlers run on a worker, `act` handlers on the loop (api.h). Never: anything but these declarations. */
#ifndef VCC_API_ROUTES_H
#define VCC_API_ROUTES_H

#include "controller/daemon/api.h"

/* api_system.c */
void api_healthz(struct api_call *call);
void api_readyz(struct api_call *call);
void api_status_show(struct api_call *call);
void api_whoami(struct api_call *call);
void api_error_show(struct api_call *call);
int  api_openapi(struct api_call *call, struct store_view *view);

/* api_overview.c */
int  api_overview(struct api_call *call, struct store_view *view);
void api_overview_enrich(struct api_call *call);

/* api_session.c */
void api_session_show(struct api_call *call);
void api_session_open(struct api_call *call);
void api_session_confirm(struct api_call *call);
void api_session_logout(struct api_call *call);

/* api_backup.c */
void api_backup_show(struct api_call *call);
void api_backup_make(struct api_call *call);

/* api_restore.c */
void api_restore_show(struct api_call *call);
void api_restore_accept(struct api_call *call);

/* api_people.c */
int  api_principal_list(struct api_call *call, struct store_view *view);
int  api_principal_show(struct api_call *call, struct store_view *view);
void api_principal_create(struct api_call *call);
void api_principal_change(struct api_call *call);
int  api_token_list(struct api_call *call, struct store_view *view);
void api_token_create(struct api_call *call);
void api_token_revoke(struct api_call *call);

/* api_approvals.c */
int  api_approval_list(struct api_call *call, struct store_view *view);
int  api_approval_show(struct api_call *call, struct store_view *view);
/* Requests about a service are seen by those whose service it is, the others by those who have no limit. */
bool api_approval_visible(const struct api_call *call, const struct approval *a);
void api_approval_approve(struct api_call *call);
void api_approval_reject(struct api_call *call);

/* api_drills.c; begin: api_bulk.c */
int  api_drill_list(struct api_call *call, struct store_view *view);
int  api_drill_show(struct api_call *call, struct store_view *view);
int  api_drill_report(struct api_call *call, struct store_view *view);
int  api_report_compliance(struct api_call *call, struct store_view *view);
int  api_report_rows(struct api_call *call, struct store_view *view);
int  api_report_evidence(struct api_call *call, struct store_view *view);
int  api_exception_list(struct api_call *call, struct store_view *view);
void api_exception_put(struct api_call *call);
void api_drill_begin(struct api_call *call);
void api_drill_cancel(struct api_call *call);

/* 202: nothing was done yet, `a` waits for a second person. */
void api_waits(struct api_call *call, const struct approval *a);

/* api_agents.c */
int  api_agent_list(struct api_call *call, struct store_view *view);
int  api_agent_show(struct api_call *call, struct store_view *view);
int  api_agent_inventory(struct api_call *call, struct store_view *view);
void api_agent_enrich(struct api_call *call);
void api_agent_evict(struct api_call *call);
void api_agent_release(struct api_call *call);
void api_agent_remove(struct api_call *call);
void api_agent_ban(struct api_call *call);
void api_agent_replace(struct api_call *call);
void api_agent_rename(struct api_call *call);
int  api_invite_list(struct api_call *call, struct store_view *view);
void api_invite_create(struct api_call *call);
void api_invites_create(struct api_call *call);
int  api_target_list(struct api_call *call, struct store_view *view);
int  api_target_show(struct api_call *call, struct store_view *view);
void api_target_enrich(struct api_call *call);
void api_cert_enrich(struct api_call *call);
void api_renewal_enrich(struct api_call *call);

/* api_certificates.c */
int  api_cert_list(struct api_call *call, struct store_view *view);
int  api_cert_show(struct api_call *call, struct store_view *view);
int  api_cert_issuances(struct api_call *call, struct store_view *view);
/* One certificate as JSON, with its template and targets read beside it. */
json_t *api_certificate_json(struct store_view *view, const struct certificate *c, int64_t now);
int  api_renewal_list(struct api_call *call, struct store_view *view);
int  api_renewal_show(struct api_call *call, struct store_view *view);
void api_renewal_cancel(struct api_call *call);
/* Whoever is limited to services sees the campaigns that touch no others. */
bool api_campaign_visible(const struct api_call *call, const struct campaign *c);

/* api_issue.c */
void api_cert_issue(struct api_call *call);
void api_cert_pem(struct api_call *call);

/* api_revocation.c */
void api_cert_revoke(struct api_call *call);
void api_cert_suspend(struct api_call *call);
void api_cert_rollback(struct api_call *call);
void api_cert_proof(struct api_call *call);
/* Who relies on the certificate and what they saw; with `renewal_id` those that looked at what this order brought. */
json_t *api_peers_of_service(struct store_view *view, const char *service, int64_t now); /* of its certificates: who relies on them, how many they have seen */
json_t *api_peers_json(struct store_view *view, const struct certificate *cert, const struct id *renewal_id);
void api_cert_resume(struct api_call *call);
void api_crl_list(struct api_call *call);

/* The field `reason` of a revocation. */
_must_check_ int api_field_reason(struct api_call *call, enum revoke_reason *ret);

/* api_ca.c */
int  api_ca_list(struct api_call *call, struct store_view *view);
int  api_ca_show(struct api_call *call, struct store_view *view);
void api_ca_revoke(struct api_call *call);

/* api_trust.c */
int api_trust_show(struct api_call *call, struct store_view *view);

/* api_rollover.c */
void api_rollover_show(struct api_call *call);
void api_rollover_begin(struct api_call *call);
void api_rollover_advance(struct api_call *call);
void api_rollover_rollback(struct api_call *call);
void api_rollover_retire(struct api_call *call);

/* api_lifecycle.c: the brief's endpoints */
void api_life_renew(struct api_call *call);
int  api_life_service_certs(struct api_call *call, struct store_view *view);
int  api_life_expiring(struct api_call *call, struct store_view *view);

/* api_policy.c: templates (the brief's endpoints) and services */
int  api_life_templates(struct api_call *call, struct store_view *view);
int  api_life_template(struct api_call *call, struct store_view *view);
void api_life_template_apply(struct api_call *call);
int  api_service_list(struct api_call *call, struct store_view *view);
int  api_service_show(struct api_call *call, struct store_view *view);
void api_service_apply(struct api_call *call);
void api_service_create(struct api_call *call);
void api_policy_enrich(struct api_call *call); /* ETag */

/* api_bulk.c */
void api_life_bulk(struct api_call *call);
void api_life_emergency(struct api_call *call);
void api_life_renew_all(struct api_call *call);

/* api_campaigns.c */
int  api_campaign_list(struct api_call *call, struct store_view *view);
int  api_campaign_show(struct api_call *call, struct store_view *view);
void api_campaign_enrich(struct api_call *call);
void api_campaign_members_enrich(struct api_call *call);
int  api_campaign_members(struct api_call *call, struct store_view *view);
int  api_campaign_progress(struct api_call *call, struct store_view *view);
void api_campaign_halt(struct api_call *call);
void api_campaign_resume(struct api_call *call);
void api_campaign_cancel(struct api_call *call);
void api_campaign_rollback(struct api_call *call);

/* api_notices.c */
int  api_notice_list(struct api_call *call, struct store_view *view);
/* metrics.c */
void api_metrics(struct api_call *call);

int  api_notice_show(struct api_call *call, struct store_view *view);
void api_notice_ack(struct api_call *call);
void api_notice_snooze(struct api_call *call);
/* api_deliveries.c */
int  api_delivery_list(struct api_call *call, struct store_view *view);
void api_channel_list(struct api_call *call);
void api_channel_test(struct api_call *call);
/* api_events.c */
void api_events(struct api_call *call);

/* api_audit.c, export_trail.c */
/* One record with names in place of pseudonyms. */
json_t *api_audit_record_json(struct store_view *view, const struct audit *a);
int  api_audit_list(struct api_call *call, struct store_view *view);
int  api_audit_show(struct api_call *call, struct store_view *view);
int  api_audit_heads(struct api_call *call, struct store_view *view);
int  api_audit_consistency(struct api_call *call, struct store_view *view);
void api_audit_export(struct api_call *call);
void api_audit_forget(struct api_call *call);

#endif

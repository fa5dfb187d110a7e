/* api_routes.c - room controller/daemon: the route table. The router walks it, rights are checked from it.
 * Never: handlers; those are in api_SUBJECT.c. */
#include "controller/daemon/api_routes.h"

#define LIFE "/api/v1/certificates/lifecycle"

static const struct api_route routes[] = {
	/* method, path, permission, about, read (worker), act (loop), enrich (loop) */
	{"GET", "/healthz", PERM_NONE, "The process answers.", NULL, api_healthz, NULL},
	{"GET", "/readyz", PERM_NONE, "Could a certificate be renewed now? Named checks.", NULL, api_readyz, NULL},
	{"GET", "/api/v1/status", PERM_CERT_READ, "The checks of readyz, for people.", NULL, api_status_show, NULL},
	{"GET", "/api/v1/whoami", PERM_CERT_READ, "Who the caller is and may do.", NULL, api_whoami, NULL},

	{"GET", "/api/v1/agents", PERM_AGENT_READ, "Agents by name.", api_agent_list, NULL, api_agent_enrich},
	{"GET", "/api/v1/agents/{name}", PERM_AGENT_READ, "One agent with its targets.", api_agent_show, NULL, api_agent_enrich},
	{"GET", "/api/v1/agents/{name}/inventory", PERM_AGENT_READ, "What the agent's host serves by TLS, by listener.", api_agent_inventory, NULL, NULL},
	{"POST", "/api/v1/agents/{name}/evict", PERM_AGENT_EVICT, "Ends an agent's identity; it may be invited again.", NULL, api_agent_evict, NULL},
	{"POST", "/api/v1/agents/{name}/ban", PERM_AGENT_BAN, "Ends an agent's identity; its host key never returns.", NULL, api_agent_ban, NULL},
	{"POST", "/api/v1/agents/{name}/release", PERM_AGENT_EVICT, "The second host with this identity is gone: the next run is let in.", NULL, api_agent_release, NULL},
	{"GET", "/api/v1/invites", PERM_AGENT_READ, "Invites, oldest first.", api_invite_list, NULL, NULL},
	{"POST", "/api/v1/invites", PERM_AGENT_INVITE, "A one-time token for one new agent.", NULL, api_invite_create, NULL},
	{"GET", "/api/v1/targets", PERM_CERT_READ, "Targets by certificate.", api_target_list, NULL, api_target_enrich},
	{"GET", "/api/v1/targets/{target_id}", PERM_CERT_READ, "One target.", api_target_show, NULL, api_target_enrich},

	{"GET", "/api/v1/certificates", PERM_CERT_READ, "Certificates by cert_id.", api_cert_list, NULL, NULL},
	{"GET", "/api/v1/certificates/{cert_id}", PERM_CERT_READ, "One certificate with target, policy and last orders.", api_cert_show, NULL, api_target_enrich},
	{"GET", "/api/v1/certificates/{cert_id}/issuances", PERM_CERT_READ, "Every X.509 certificate signed for it.", api_cert_issuances, NULL, NULL},
	{"POST", "/api/v1/certificates/{cert_id}/revoke", PERM_CERT_REVOKE, "Ends the certificate for good.", NULL, api_cert_revoke, NULL},
	{"GET", "/api/v1/renewals", PERM_CERT_READ, "Orders, newest first.", api_renewal_list, NULL, NULL},
	{"GET", "/api/v1/renewals/{renewal_id}", PERM_CERT_READ, "One order with its steps and proof.", api_renewal_show, NULL, NULL},

	{"POST", LIFE "/renew/{cert_id}", PERM_CERT_RENEW, "Renews one certificate.", NULL, api_life_renew, NULL},
	{"GET", LIFE "/vcc-service/{service_name}/certificates", PERM_CERT_READ, "Certificates of a service.", api_life_service_certs, NULL, NULL},
	{"GET", LIFE "/expiring", PERM_CERT_READ, "What ends soon, critical and warning.", api_life_expiring, NULL, NULL},
	{"GET", LIFE "/templates", PERM_CERT_READ, "Current templates.", api_life_templates, NULL, NULL},
	{"GET", LIFE "/templates/{template_id}", PERM_CERT_READ, "One current template.", api_life_template, NULL, NULL},
	{"POST", LIFE "/templates/{template_id}", PERM_TEMPLATE_UPDATE, "A new version of a template.", NULL, api_life_template_apply, NULL},
};

const struct api_route *api_routes(size_t *ret_n)
{
	*ret_n = N_ELEMENTS(routes);
	return routes;
}

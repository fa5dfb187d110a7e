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

/* api_agents.c */
int  api_agent_list(struct api_call *call, struct store_view *view);
int  api_agent_show(struct api_call *call, struct store_view *view);
int  api_agent_inventory(struct api_call *call, struct store_view *view);
void api_agent_enrich(struct api_call *call);
void api_agent_evict(struct api_call *call);
void api_agent_release(struct api_call *call);
void api_agent_ban(struct api_call *call);
int  api_invite_list(struct api_call *call, struct store_view *view);
void api_invite_create(struct api_call *call);
int  api_target_list(struct api_call *call, struct store_view *view);
int  api_target_show(struct api_call *call, struct store_view *view);
void api_target_enrich(struct api_call *call);

/* api_certificates.c */
int  api_cert_list(struct api_call *call, struct store_view *view);
int  api_cert_show(struct api_call *call, struct store_view *view);
int  api_cert_issuances(struct api_call *call, struct store_view *view);
void api_cert_revoke(struct api_call *call);
int  api_renewal_list(struct api_call *call, struct store_view *view);
int  api_renewal_show(struct api_call *call, struct store_view *view);

/* api_lifecycle.c: the brief's endpoints */
void api_life_renew(struct api_call *call);
int  api_life_service_certs(struct api_call *call, struct store_view *view);
int  api_life_expiring(struct api_call *call, struct store_view *view);
int  api_life_templates(struct api_call *call, struct store_view *view);
int  api_life_template(struct api_call *call, struct store_view *view);
void api_life_template_apply(struct api_call *call);

#endif

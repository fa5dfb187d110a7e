/* create_request.h - room controller/daemon: a certificate that a person makes for a host, before its target file is there (LIFECYCLE 7).
 * Never: an order; the first one follows from the target file. */
#ifndef VCC_CREATE_REQUEST_H
#define VCC_CREATE_REQUEST_H

#include "controller/daemon/controller.h"

struct create_request {
	char         cert_id[CERT_ID_SIZE];
	char         agent[AGENT_NAME_SIZE];
	char         template_id[TEMPLATE_ID_SIZE];
	char         service[SERVICE_SIZE]; /* "" = the agent's */
	struct names names;
};
/* result.certificate: approved when invite and template allow it, else a second person is asked. One that still waits for its target file may be
 * made differently. E_NAME, E_POLICY_*, E_AGENT_*, E_ORDER_NO_AGENT, E_EXISTS. */
void controller_create(struct controller *ctl, const struct create_request *request, const struct caller *who, api_done_fn *done, void *ctx);

/* It was made by controller_create(), and no target file serves it yet. */
bool create_waits(struct controller *ctl, const struct certificate *cert);

#endif

/* rights.h - room controller/core: roles, permissions and who may use which route.
 * One table; router, documentation and tests are made from it. Never: reading requests. */
#ifndef VCC_RIGHTS_H
#define VCC_RIGHTS_H

#include "shared/model/agent.h"

#define PERMISSIONS(X)                                                                                                         \
	X(NONE, "none")                                                                                                        \
	X(CERT_READ, "certificate:read")                                                                                       \
	X(CERT_RENEW, "certificate:renew")                                                                                     \
	X(CERT_REVOKE, "certificate:revoke")                                                                                   \
	X(CERT_CREATE, "certificate:create")                                                                                   \
	X(SERVICE_RENEW, "certificate:service:renew")                                                                          \
	X(CERT_BULK, "certificate:bulk")                                                                                       \
	X(CERT_EMERGENCY, "certificate:emergency")                                                                             \
	X(TEMPLATE_UPDATE, "certificate:template:update")                                                                      \
	X(AGENT_READ, "agent:read")                                                                                            \
	X(AGENT_INVITE, "agent:invite")                                                                                        \
	X(AGENT_EVICT, "agent:evict")                                                                                          \
	X(AGENT_BAN, "agent:ban")                                                                                              \
	X(APPROVAL_READ, "approval:read")                                                                                      \
	X(APPROVAL_DECIDE, "approval:decide")                                                                                  \
	X(AUDIT_READ, "audit:read")                                                                                            \
	X(REPORT_READ, "report:read")                                                                                          \
	X(PRINCIPAL_MANAGE, "principal:manage")                                                                                \
	X(CA_READ, "ca:read")                                                                                                  \
	X(CA_MANAGE, "ca:manage")

enum permission {
#define X(symbol, name) PERM_##symbol,
	PERMISSIONS(X)
#undef X
		PERM_COUNT,
};
const char *permission_name(enum permission p);

/* Does one of the principal's roles hold the permission (SPEC 4)? admin has everything except approval:decide. */
bool rights_allow(const struct principal *p, enum permission permission);
/* Is the object's service inside the principal's limit? */
bool rights_service(const struct principal *p, const char *service);

#endif

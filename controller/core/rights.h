/* rights.h - room controller/core: roles, permissions and who may use which route.
 * One table; router, documentation and tests are made from it. Never: reading requests. */
#ifndef VCC_RIGHTS_H
#define VCC_RIGHTS_H

#include "shared/model/agent.h"
#include "shared/model/approval.h"

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
	X(CA_MANAGE, "ca:manage")                                                                                              \
	X(TOKEN_OWN, "token:own")

enum permission {
#define X(symbol, name) PERM_##symbol,
	PERMISSIONS(X)
#undef X
		PERM_COUNT,
};
const char *permission_name(enum permission p);

/* How the limit of a principal to services meets a route. Every route has one. */
enum rights_scope {
	SCOPE_WHOLE,    /* concerns the whole installation: refused (403) to whoever is limited to services */
	SCOPE_OPEN,     /* nothing in it belongs to a service */
	SCOPE_FILTERED, /* a list: rows of other services are left out */
	SCOPE_OBJECT,   /* the object of the path: one of another service does not exist (404) */
	SCOPE_NAMED,    /* the service that the request names: another one is refused (403) */
	SCOPE_OWN,      /* the caller's own; those of others need principal:manage */
	SCOPE_COUNT,
};
const char *rights_scope_name(enum rights_scope s);

/* Does this role hold the permission? The table itself. */
bool rights_granted(enum role role, enum permission permission);
/* Does one of the principal's roles hold the permission (SPEC 4)? admin has everything except approval:decide. */
bool rights_allow(const struct principal *p, enum permission permission);
/* Is the object's service inside the principal's limit? */
bool rights_service(const struct principal *p, const char *service);
bool rights_limited(const struct principal *p); /* to services at all? */

/* Who stands behind a principal: its person, else the principal itself. Persons and principals have one space of names, so that a machine
 * called like a person counts as that person. */
const char *rights_person(const struct principal *p);

/* Of a principal what a token's scope leaves: `roles` 0 and `services` "" leave all. False: nothing is left, and nothing may be done. */
bool rights_narrow(const struct principal *p, uint32_t roles, const char *services, struct principal *ret);
/* Would that scope give no more than `p` has? A scope without roles or services stands for all of them. */
bool rights_within(const struct principal *p, uint32_t roles, const char *services);

/* A principal is to become `next` (`old` NULL = it is new): does that make an approver, or let one approve more, or by another person's
 * hand? Then a second person has to agree. To take rights away needs nobody. */
bool rights_needs_approval(const struct principal *old, const struct principal *next);
/* May this principal decide this request now? 0, E_APPROVAL_DECIDED, E_APPROVAL_OWN, E_NOT_FOUND (of another service). The one who asked,
 * whoever gave him his rights or his token, and any principal of these persons are one side; the decider must stand on the other. */
_must_check_ int rights_decide(const struct approval *a, const struct principal *by, int64_t now);

#endif

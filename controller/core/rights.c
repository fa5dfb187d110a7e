/* rights.c - room controller/core: the one table of roles and permissions.
 * Never: reading requests, deciding about single objects beyond their service. */
#include "controller/core/rights.h"

#include "shared/base/text.h"

const char *permission_name(enum permission p)
{
	static const char *const names[PERM_COUNT] = {
#define X(symbol, name) [PERM_##symbol] = name,
		PERMISSIONS(X)
#undef X
	};
	return (size_t)p < N_ELEMENTS(names) ? names[p] : "unknown";
}

#define P(symbol) (UINT32_C(1) << PERM_##symbol)
_Static_assert(PERM_COUNT <= 32, "a role's permissions are bits of 32");

#define VIEWER (P(NONE) | P(CERT_READ))
#define ALL    ((UINT32_C(1) << PERM_COUNT) - 1)

/* SPEC 4. Who asks does not decide: admin lacks only that. */
static const uint32_t grants[ROLE_COUNT] = {
	[ROLE_VIEWER] = VIEWER,
	[ROLE_OPERATOR] = VIEWER | P(CERT_RENEW) | P(SERVICE_RENEW) | P(CERT_BULK) | P(CERT_EMERGENCY) | P(CERT_REVOKE) |
			  P(AGENT_READ) | P(AGENT_INVITE) | P(AGENT_EVICT) | P(AGENT_BAN),
	[ROLE_APPROVER] = VIEWER | P(APPROVAL_READ) | P(APPROVAL_DECIDE),
	[ROLE_AUDITOR] = VIEWER | P(AUDIT_READ) | P(REPORT_READ),
	[ROLE_ADMIN] = ALL & ~P(APPROVAL_DECIDE),
};

bool rights_allow(const struct principal *p, enum permission permission)
{
	if (p == NULL || p->disabled || (unsigned)permission >= PERM_COUNT)
		return false;
	for (unsigned role = 0; role < ROLE_COUNT; role++) {
		if ((p->roles & (UINT32_C(1) << role)) != 0 && (grants[role] & (UINT32_C(1) << permission)) != 0)
			return true;
	}
	return false;
}

bool rights_service(const struct principal *p, const char *service)
{
	if (p == NULL || p->disabled)
		return false;
	if (p->services[0] == '\0')
		return true;
	char        item[SERVICE_SIZE];
	const char *cursor = p->services;
	while (text_item(&cursor, item, sizeof(item))) {
		if (text_equal(item, service))
			return true;
	}
	return false;
}

/* rights.c - room controller/core: the one table of roles and permissions.
 * Never: reading requests, deciding about single objects beyond their service. */
#include "controller/core/rights.h"

#include <string.h>

#include "shared/base/err.h"
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

#define VIEWER (P(NONE) | P(CERT_READ) | P(TOKEN_OWN))
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

const char *rights_scope_name(enum rights_scope s)
{
	static const char *const names[SCOPE_COUNT] = {
		[SCOPE_WHOLE] = "whole",   [SCOPE_OPEN] = "open",   [SCOPE_FILTERED] = "filtered",
		[SCOPE_OBJECT] = "object", [SCOPE_NAMED] = "named", [SCOPE_OWN] = "own",
	};
	return (size_t)s < N_ELEMENTS(names) ? names[s] : "unknown";
}

bool rights_granted(enum role role, enum permission permission)
{
	return (unsigned)role < ROLE_COUNT && (unsigned)permission < PERM_COUNT &&
	       (grants[role] & (UINT32_C(1) << permission)) != 0;
}

bool rights_allow(const struct principal *p, enum permission permission)
{
	if (p == NULL || p->disabled || (unsigned)permission >= PERM_COUNT)
		return false;
	for (unsigned role = 0; role < ROLE_COUNT; role++) {
		if ((p->roles & (UINT32_C(1) << role)) != 0 && rights_granted((enum role)role, permission))
			return true;
	}
	return false;
}

bool rights_service(const struct principal *p, const char *service)
{
	if (p == NULL || p->disabled)
		return false;
	return p->services[0] == '\0' || text_listed(p->services, service);
}

bool rights_limited(const struct principal *p)
{
	return p->services[0] != '\0';
}

const char *rights_person(const struct principal *p)
{
	return p->person[0] != '\0' ? p->person : p->name;
}

/* The services of both lists; an empty list stands for all. False: they have none in common. */
static bool services_common(const char *a, const char *b, char ret[SERVICES_SIZE])
{
	struct principal other = {.name = ""};
	char             item[SERVICE_SIZE];
	size_t           n = 0;
	if (a[0] == '\0' || b[0] == '\0')
		return text_copy(ret, SERVICES_SIZE, a[0] == '\0' ? b : a) == 0;
	if (text_copy(other.services, sizeof(other.services), b) < 0)
		return false;
	while (text_item(&a, item, sizeof(item))) {
		size_t length = strlen(item);
		if (!rights_service(&other, item))
			continue;
		if (n + length + 2 > SERVICES_SIZE)
			return false;
		if (n > 0)
			ret[n++] = ',';
		memcpy(ret + n, item, length + 1);
		n += length;
	}
	return n > 0;
}

bool rights_narrow(const struct principal *p, uint32_t roles, const char *services, struct principal *ret)
{
	struct principal narrow = *p;
	if (roles != 0)
		narrow.roles &= roles;
	if (narrow.roles == 0 || p->disabled || !services_common(p->services, services, narrow.services))
		return false;
	*ret = narrow;
	return true;
}

bool rights_within(const struct principal *p, uint32_t roles, const char *services)
{
	char item[SERVICE_SIZE];
	if ((roles & ~p->roles) != 0)
		return false;
	while (text_item(&services, item, sizeof(item))) {
		if (!rights_service(p, item))
			return false;
	}
	return services != NULL; /* NULL: an item that is no service's name */
}

static bool may_decide(const struct principal *p)
{
	return p != NULL && rights_allow(p, PERM_APPROVAL_DECIDE);
}

bool rights_needs_approval(const struct principal *old, const struct principal *next)
{
	if (!may_decide(next))
		return false;
	if (!may_decide(old) || !text_equal(rights_person(old), rights_person(next)))
		return true;
	return rights_limited(old) && (!rights_limited(next) || !rights_within(old, 0, next->services));
}

static bool is_side_of(const struct approval *a, const struct principal *by)
{
	const char *const names[] = {by->name, rights_person(by)};
	const char *const side[] = {a->requester, a->person, a->maker_of_principal, a->maker_of_token};
	for (size_t i = 0; i < N_ELEMENTS(side); i++) {
		for (size_t j = 0; side[i][0] != '\0' && j < N_ELEMENTS(names); j++) {
			if (text_equal(side[i], names[j]))
				return true;
		}
	}
	return false;
}

int rights_decide(const struct approval *a, const struct principal *by, int64_t now)
{
	if (a->service[0] != '\0' ? !rights_service(by, a->service) : rights_limited(by))
		return E_NOT_FOUND;
	if (a->state != APPROVAL_WAITING || now >= a->expires_at)
		return E_APPROVAL_DECIDED;
	return is_side_of(a, by) ? E_APPROVAL_OWN : 0;
}

/* approval.c - room shared/model: the names of approvals' kinds and states.
 * Never: rights; those are in controller/core. */
#include "shared/model/approval.h"

const char *approval_kind_name(enum approval_kind k)
{
	static const char *const names[APPROVAL_KIND_COUNT] = {
		[APPROVAL_ORDER] = "order",
		[APPROVAL_TARGET] = "target",
		[APPROVAL_PRINCIPAL] = "principal",
		[APPROVAL_TOKEN] = "token",
		[APPROVAL_CAMPAIGN] = "campaign",
		[APPROVAL_CA_REVOCATION] = "ca_revocation",
		[APPROVAL_TEMPLATE] = "template",
		[APPROVAL_SERVICE] = "service",
		[APPROVAL_CA_ROLLOVER] = "ca_rollover",
		[APPROVAL_CA_RETIREMENT] = "ca_retirement",
	};
	return (size_t)k < N_ELEMENTS(names) ? names[k] : "unknown";
}

const char *approval_state_name(enum approval_state s)
{
	static const char *const names[APPROVAL_STATE_COUNT] = {
		[APPROVAL_WAITING] = "waiting",
		[APPROVAL_APPROVED] = "approved",
		[APPROVAL_REJECTED] = "rejected",
		[APPROVAL_CANCELLED] = "cancelled",
	};
	return (size_t)s < N_ELEMENTS(names) ? names[s] : "unknown";
}

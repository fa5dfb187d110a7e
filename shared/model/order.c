/* order.c - room shared/model: what each order phase is called and counts as; triggers and workflow steps by name.
 * Never: decisions about orders; those are in controller/core. */
#include "shared/model/order.h"

#include "shared/base/err.h"
#include "shared/base/text.h"

static const char *const triggers[TRIGGER_COUNT] = {
	[TRIGGER_SCHEDULED] = "scheduled",
	[TRIGGER_EMERGENCY] = "emergency",
	[TRIGGER_POLICY_UPDATE] = "policy_update",
	[TRIGGER_SERVICE_UPDATE] = "service_update",
	[TRIGGER_MANUAL] = "manual",
};

const char *trigger_name(enum trigger t)
{
	return (size_t)t < N_ELEMENTS(triggers) ? triggers[t] : "unknown";
}

int trigger_parse(const char *name, enum trigger *ret)
{
	for (size_t i = 0; i < N_ELEMENTS(triggers); i++) {
		if (text_equal(triggers[i], name)) {
			*ret = (enum trigger)i;
			return 0;
		}
	}
	return E_SYNTAX;
}

struct phase_row {
	const char *name;
	const char *status; /* LIFECYCLE 3 */
	bool        open;
	bool        final;
};

/* clang-format off */
static const struct phase_row phases[ORDER_PHASE_COUNT] = {
	/*                            name                 status               open   final */
	[ORDER_PLANNED] =           {"planned",           "pending",           true,  false},
	[ORDER_AWAITING_APPROVAL] = {"awaiting_approval", "awaiting_approval", true,  false},
	[ORDER_ORDERED] =           {"ordered",           "in_progress",       true,  false},
	[ORDER_CSR_RECEIVED] =      {"csr_received",      "in_progress",       true,  false},
	[ORDER_SIGNING] =           {"signing",           "in_progress",       true,  false},
	[ORDER_ISSUED] =            {"issued",            "in_progress",       true,  false},
	[ORDER_DELIVERED] =         {"delivered",         "in_progress",       true,  false},
	[ORDER_VERIFIED] =          {"verified",          "in_progress",       true,  false},
	[ORDER_SETTLED] =           {"settled",           "in_progress",       true,  false},
	[ORDER_COMPLETED] =         {"completed",         "completed",         false, true},
	[ORDER_FAILED] =            {"failed",            "failed",            false, true},
	[ORDER_RETRY_WAIT] =        {"retry_wait",        "in_progress",       true,  false},
	[ORDER_PAUSED] =            {"paused",            "paused",            false, false},
	[ORDER_ROLLED_BACK] =       {"rolled_back",       "rolled_back",       false, true},
	[ORDER_CANCELLED] =         {"cancelled",         "cancelled",         false, true},
	[ORDER_ROLLING_BACK] =      {"rolling_back",      "in_progress",       true,  false},
};
/* clang-format on */

const char *order_phase_name(enum order_phase p)
{
	return (size_t)p < N_ELEMENTS(phases) ? phases[p].name : "unknown";
}

const char *order_status_name(enum order_phase p)
{
	return (size_t)p < N_ELEMENTS(phases) ? phases[p].status : "unknown";
}

bool order_phase_open(enum order_phase p)
{
	return (size_t)p < N_ELEMENTS(phases) && phases[p].open;
}

bool order_phase_final(enum order_phase p)
{
	return (size_t)p < N_ELEMENTS(phases) && phases[p].final;
}

const char *workflow_step_name(enum workflow_step s)
{
	static const char *const names[STEP_COUNT] = {
		[STEP_PRE_VALIDATION] = "pre_validation",
		[STEP_KEY] = "key",
		[STEP_ISSUE] = "issue",
		[STEP_CHECK] = "check",
		[STEP_WRITE] = "write",
		[STEP_TEST] = "test",
		[STEP_FLIP] = "flip",
		[STEP_RELOAD] = "reload",
		[STEP_VERIFY] = "verify",
		[STEP_SETTLE] = "settle",
		[STEP_ROLLBACK] = "rollback",
		[STEP_REVOKE_OLD] = "revoke_old",
		[STEP_NOTIFY] = "notify",
	};
	return (size_t)s < N_ELEMENTS(names) ? names[s] : "unknown";
}

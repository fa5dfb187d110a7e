/* campaign.c - room shared/model: the names of what a campaign is made of.
 * Never: decisions; those are in controller/core. */
#include "shared/model/campaign.h"

#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/base/times.h"

static const char *const kinds[CAMPAIGN_KIND_COUNT] = {
	[CAMPAIGN_BULK] = "bulk",
	[CAMPAIGN_EMERGENCY] = "emergency",
	[CAMPAIGN_SERVICE] = "service",
	[CAMPAIGN_POLICY] = "policy",
	[CAMPAIGN_CA] = "ca",
	[CAMPAIGN_DRILL] = "drill",
};
static const char *const states[CAMPAIGN_STATE_COUNT] = {
	[CAMPAIGN_AWAITING_APPROVAL] = "awaiting_approval",
	[CAMPAIGN_PROCESSING] = "processing",
	[CAMPAIGN_HALTED] = "halted",
	[CAMPAIGN_COMPLETED] = "completed",
	[CAMPAIGN_COMPLETED_WITH_FAILURES] = "completed_with_failures",
	[CAMPAIGN_CANCELLED] = "cancelled",
};
static const char *const incidents[INCIDENT_TYPE_COUNT] = {
	[INCIDENT_OTHER] = "other",
	[INCIDENT_KEY_COMPROMISE] = "key_compromise",
	[INCIDENT_HOST_COMPROMISE] = "host_compromise",
	[INCIDENT_CA_COMPROMISE] = "ca_compromise",
	[INCIDENT_ALGORITHM] = "algorithm",
	[INCIDENT_MISISSUANCE] = "misissuance",
	[INCIDENT_EXERCISE] = "exercise",
};
static const char *const revocations[REVOKE_OLD_COUNT] = {
	[REVOKE_OLD_GRACE] = "grace",
	[REVOKE_OLD_PROVED] = "proved",
	[REVOKE_OLD_NOW] = "now",
	[REVOKE_OLD_AFTER] = "after",
};
static const char *const confirmations[CONFIRMATION_COUNT] = {
	[CONFIRMATION_NONE] = "none",
	[CONFIRMATION_ASKED] = "asked",
	[CONFIRMATION_GIVEN] = "given",
	[CONFIRMATION_REFUSED] = "refused",
};
static const char *const members[MEMBER_STATE_COUNT] = {
	[MEMBER_WAITING] = "waiting", [MEMBER_HELD] = "held",       [MEMBER_FOLLOWING] = "following",
	[MEMBER_ORDERED] = "ordered", [MEMBER_DONE] = "done",       [MEMBER_FAILED] = "failed",
	[MEMBER_SKIPPED] = "skipped", [MEMBER_DROPPED] = "dropped",   [MEMBER_GOING_BACK] = "going_back",
	[MEMBER_ROLLED_BACK] = "rolled_back", [MEMBER_KEPT] = "kept",
};

static const char *name_of(const char *const *names, size_t n, size_t i)
{
	return i < n ? names[i] : "unknown";
}

const char *campaign_kind_name(enum campaign_kind k)
{
	return name_of(kinds, N_ELEMENTS(kinds), (size_t)k);
}

const char *campaign_state_name(enum campaign_state s)
{
	return name_of(states, N_ELEMENTS(states), (size_t)s);
}

const char *incident_type_name(enum incident_type t)
{
	return name_of(incidents, N_ELEMENTS(incidents), (size_t)t);
}

int incident_type_parse(const char *name, enum incident_type *ret)
{
	for (size_t i = 0; i < N_ELEMENTS(incidents); i++)
		if (text_equal(incidents[i], name)) {
			*ret = (enum incident_type)i;
			return 0;
		}
	return E_SYNTAX;
}

const char *revoke_old_name(enum revoke_old r)
{
	return name_of(revocations, N_ELEMENTS(revocations), (size_t)r);
}

int revoke_old_parse(const char *text, enum revoke_old *ret, int64_t *ret_after_ms)
{
	int64_t after = 0;
	if (text_equal(text, "proved") || text_equal(text, "now")) {
		*ret = text_equal(text, "now") ? REVOKE_OLD_NOW : REVOKE_OLD_PROVED;
		*ret_after_ms = 0;
		return 0;
	}
	if (!text_starts(text, "after:") || duration_parse(text + 6, &after) < 0)
		return E_SYNTAX;
	if (after < MS_MINUTE || after > 30 * MS_DAY)
		return E_RANGE;
	*ret = REVOKE_OLD_AFTER;
	*ret_after_ms = after;
	return 0;
}

const char *confirmation_name(enum confirmation c)
{
	return name_of(confirmations, N_ELEMENTS(confirmations), (size_t)c);
}

const char *member_state_name(enum member_state s)
{
	return name_of(members, N_ELEMENTS(members), (size_t)s);
}

/* notice.c - room shared/model: names of notices' levels, events, states and topics, and their lists of recipients.
 * Never: deciding who is told what. */
#include "shared/model/notice.h"

#include <string.h>

#include "shared/base/text.h"

const char *notice_level_name(enum notice_level l)
{
	static const char *const names[NOTICE_LEVEL_COUNT] = {
		[NOTICE_SUCCESS] = "success", [NOTICE_INFO] = "info", [NOTICE_ERROR] = "error", [NOTICE_CRITICAL] = "critical"};
	return (size_t)l < N_ELEMENTS(names) ? names[l] : "unknown";
}

const char *notice_event_name(enum notice_event e)
{
	static const char *const names[NOTICE_EVENT_COUNT] = {
		[NOTICE_RENEWAL_FAILED] = "renewal_failed",
		[NOTICE_RENEWAL_PAUSED] = "renewal_paused",
		[NOTICE_RENEWAL_UNVERIFIED] = "renewal_unverified",
		[NOTICE_ROLLBACK_FAILED] = "rollback_failed",
		[NOTICE_TROUBLE_RESOLVED] = "trouble_resolved",
		[NOTICE_THRESHOLD_REACHED] = "emergency_threshold_reached",
		[NOTICE_RENEWALS_NEAR] = "max_renewals_near",
		[NOTICE_RENEWALS_REACHED] = "max_renewals_reached",
		[NOTICE_APPROVAL_WAITING] = "approval_waiting",
		[NOTICE_EMERGENCY_UNCONFIRMED] = "emergency_unconfirmed",
		[NOTICE_EMERGENCY_STARTED] = "emergency_started",
		[NOTICE_EMERGENCY_ENDED] = "emergency_ended",
		[NOTICE_EMERGENCY_FAILED] = "emergency_failed",
		[NOTICE_CAMPAIGN_ENDED] = "campaign_ended",
		[NOTICE_CAMPAIGN_FAILED] = "campaign_failed",
		[NOTICE_CAMPAIGN_HALTED] = "campaign_halted",
		[NOTICE_EMERGENCY_HALTED] = "emergency_halted",
		[NOTICE_EMERGENCY_WAITING] = "emergency_waiting",
		[NOTICE_CAMPAIGN_CANCELLED] = "campaign_cancelled",
		[NOTICE_EMERGENCY_CANCELLED] = "emergency_cancelled",
		[NOTICE_RENEWAL_COMPLETED] = "renewal_completed",
		[NOTICE_FLEET_SILENT] = "fleet_silent",
		[NOTICE_FLEET_BACK] = "fleet_back",
		[NOTICE_DIGEST] = "digest",
	};
	return (size_t)e < N_ELEMENTS(names) ? names[e] : "unknown";
}

const char *notice_state_name(enum notice_state s)
{
	static const char *const names[NOTICE_STATE_COUNT] = {[NOTICE_QUEUED] = "queued", [NOTICE_CLOSED] = "closed"};
	return (size_t)s < N_ELEMENTS(names) ? names[s] : "unknown";
}

const char *notice_topic_name(enum notice_topic t)
{
	static const char *const names[NOTICE_TOPIC_COUNT] = {[NOTICE_TOPIC_RENEWAL] = "renewal", [NOTICE_TOPIC_THRESHOLD] = "threshold"};
	return (size_t)t < N_ELEMENTS(names) ? names[t] : "unknown";
}

enum notice_standing notice_standing(const struct notice *n, int64_t now)
{
	if (n->state == NOTICE_CLOSED)
		return NOTICE_IS_CLOSED;
	if (n->acked_at != 0)
		return NOTICE_IS_ACKNOWLEDGED;
	return n->snoozed_until_at > now ? NOTICE_IS_SNOOZED : NOTICE_IS_OPEN;
}

const char *notice_standing_name(enum notice_standing s)
{
	static const char *const names[NOTICE_STANDING_COUNT] = {
		[NOTICE_IS_OPEN] = "open", [NOTICE_IS_ACKNOWLEDGED] = "acknowledged", [NOTICE_IS_SNOOZED] = "snoozed", [NOTICE_IS_CLOSED] = "closed"};
	return (size_t)s < N_ELEMENTS(names) ? names[s] : "unknown";
}

const char *notice_group(const struct notice *n)
{
	bool of_service = n->event <= NOTICE_RENEWALS_REACHED || n->event == NOTICE_RENEWAL_COMPLETED;
	return of_service && n->service[0] != '\0' ? n->service : n->object;
}

void notice_recipients_add(char to[NOTICE_RECIPIENTS_SIZE], const char *list)
{
	char item[NOTICE_RECIPIENTS_SIZE];
	while (text_item(&list, item, sizeof(item))) {
		size_t n = strlen(to), more = strlen(item);
		if (text_listed(to, item) || n + 2 + more >= NOTICE_RECIPIENTS_SIZE)
			continue;
		if (n > 0) {
			memcpy(to + n, ", ", 2);
			n += 2;
		}
		memcpy(to + n, item, more + 1);
	}
}

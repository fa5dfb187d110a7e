/* notice_rule.c - room controller/core: the table of events is the reading path: how urgent, and whom it concerns.
 * Never: clocks, heap, addresses of contacts. */
#include "controller/core/notice_rule.h"

#include <string.h>

enum { ADMIN = 1 << 0, SECURITY = 1 << 1, APPROVER = 1 << 2, TEMPLATE = 1 << 3, ESCALATION = 1 << 4 };

static const struct {
	enum notice_level level;
	unsigned          whom;
} rules[NOTICE_EVENT_COUNT] = {
	[NOTICE_RENEWAL_FAILED] = {NOTICE_ERROR, ADMIN | TEMPLATE},
	[NOTICE_RENEWAL_PAUSED] = {NOTICE_ERROR, ADMIN | TEMPLATE | ESCALATION},
	[NOTICE_RENEWAL_UNVERIFIED] = {NOTICE_ERROR, ADMIN | TEMPLATE},
	[NOTICE_ROLLBACK_FAILED] = {NOTICE_ERROR, ADMIN | TEMPLATE},
	[NOTICE_TROUBLE_RESOLVED] = {NOTICE_SUCCESS, 0}, /* whoever was told of the trouble */
	[NOTICE_THRESHOLD_REACHED] = {NOTICE_CRITICAL, ADMIN | TEMPLATE | ESCALATION},
	[NOTICE_RENEWALS_NEAR] = {NOTICE_INFO, ADMIN | TEMPLATE},
	[NOTICE_RENEWALS_REACHED] = {NOTICE_ERROR, ADMIN | APPROVER | TEMPLATE},
	[NOTICE_APPROVAL_WAITING] = {NOTICE_INFO, APPROVER},
	[NOTICE_EMERGENCY_UNCONFIRMED] = {NOTICE_CRITICAL, APPROVER},
	[NOTICE_EMERGENCY_STARTED] = {NOTICE_CRITICAL, SECURITY},
	[NOTICE_EMERGENCY_ENDED] = {NOTICE_SUCCESS, SECURITY},
	[NOTICE_EMERGENCY_FAILED] = {NOTICE_ERROR, SECURITY},
	[NOTICE_CAMPAIGN_ENDED] = {NOTICE_SUCCESS, ADMIN},
	[NOTICE_CAMPAIGN_FAILED] = {NOTICE_ERROR, ADMIN},
	[NOTICE_CAMPAIGN_HALTED] = {NOTICE_ERROR, ADMIN},
	[NOTICE_EMERGENCY_HALTED] = {NOTICE_ERROR, SECURITY},
	[NOTICE_EMERGENCY_WAITING] = {NOTICE_CRITICAL, APPROVER | SECURITY},
	[NOTICE_CAMPAIGN_CANCELLED] = {NOTICE_INFO, ADMIN},
	[NOTICE_EMERGENCY_CANCELLED] = {NOTICE_ERROR, SECURITY},
	[NOTICE_RENEWAL_COMPLETED] = {NOTICE_SUCCESS, ADMIN | TEMPLATE},
	[NOTICE_DIGEST] = {NOTICE_SUCCESS, ADMIN},
	[NOTICE_FLEET_SILENT] = {NOTICE_CRITICAL, ADMIN | SECURITY},
	[NOTICE_FLEET_BACK] = {NOTICE_SUCCESS, ADMIN | SECURITY},
};

enum notice_level notice_level_of(enum notice_event e)
{
	return rules[e].level;
}

void notice_recipients_of(enum notice_event e, const struct template *t, char ret[NOTICE_RECIPIENTS_SIZE])
{
	static const struct {
		unsigned    bit;
		const char *role;
	} roles[] = {{ADMIN, "role:admin"}, {SECURITY, "role:security"}, {APPROVER, "role:approver"}};
	ret[0] = '\0';
	for (size_t i = 0; i < N_ELEMENTS(roles); i++)
		if ((rules[e].whom & roles[i].bit) != 0)
			notice_recipients_add(ret, roles[i].role);
	if (t != NULL && (rules[e].whom & TEMPLATE) != 0)
		notice_recipients_add(ret, t->notify);
	if (t != NULL && (rules[e].whom & ESCALATION) != 0)
		notice_recipients_add(ret, t->escalation);
}

/* ---- orders ------------------------------------------------------------------------------------------------------ */

static void say(struct notice_saying *ret, enum notice_word word, enum notice_event event, int code)
{
	ret->word = word;
	ret->event = event;
	ret->code = code;
}

/* A staged key that the host has not any more is asked for in the same order: the target did not fail, and nobody has to act. */
static bool is_failure(const struct order_action *a)
{
	bool told = a->audit == ORDER_AUDIT_STEP || a->audit == ORDER_AUDIT_FAILED || a->audit == ORDER_AUDIT_PEERS_REFUSED;
	return told && a->code != 0 && a->code != E_STAGE_GONE;
}

/* The records of a step say what became of it; the last one that has something to say counts. */
void notice_of_order(const struct order *was, const struct order_step *step, struct notice_saying *ret)
{
	struct notice_saying s = {.word = NOTICE_WORD_NONE};
	bool                 unverified = (step->next.flags & ORDER_UNVERIFIED) != 0;
	for (size_t i = 0; i < step->n_act; i++) {
		const struct order_action *a = &step->act[i];
		if (a->kind != ACT_AUDIT || (step->next.flags & ORDER_DRILL) != 0) /* a drill is told by its report */
			continue;
		if (is_failure(a))
			say(&s, NOTICE_WORD_TROUBLE, NOTICE_RENEWAL_FAILED, a->code);
		else if (a->audit == ORDER_AUDIT_PAUSED)
			say(&s, NOTICE_WORD_TROUBLE, NOTICE_RENEWAL_PAUSED, a->code);
		else if (a->audit == ORDER_AUDIT_ROLLBACK_FAILED)
			say(&s, NOTICE_WORD_ONCE, NOTICE_ROLLBACK_FAILED, a->code);
		else if (a->audit == ORDER_AUDIT_COMPLETED && unverified)
			say(&s, NOTICE_WORD_TROUBLE, NOTICE_RENEWAL_UNVERIFIED, step->next.code);
		else if (a->audit == ORDER_AUDIT_COMPLETED || (a->audit == ORDER_AUDIT_PROVED && was->phase == ORDER_COMPLETED))
			say(&s, NOTICE_WORD_WELL, NOTICE_TROUBLE_RESOLVED, 0);
		s.ends |= a->audit == ORDER_AUDIT_COMPLETED || a->audit == ORDER_AUDIT_FAILED;
	}
	*ret = s;
}

/* ---- campaigns --------------------------------------------------------------------------------------------------- */

/* A CA whose key is not to be trusted gives way by a campaign of its own kind. */
static bool is_emergency(const struct campaign *c)
{
	return c->kind == CAMPAIGN_EMERGENCY || (c->kind == CAMPAIGN_CA && c->trigger == TRIGGER_EMERGENCY);
}

/* An emergency with failures ends by two records: the second one tells. A change of policy that touched nothing is no news. */
bool notice_of_campaign(const struct campaign *c, enum audit_event event, enum notice_event *ret)
{
	bool emergency = is_emergency(c);
	switch (event) {
	case AUDIT_EMERGENCY_STARTED:
	case AUDIT_CAMPAIGN_STARTED:
		*ret = NOTICE_EMERGENCY_STARTED;
		return emergency;
	case AUDIT_EMERGENCY_COMPLETED:
		*ret = NOTICE_EMERGENCY_ENDED;
		return c->failed == 0;
	case AUDIT_CAMPAIGN_COMPLETED:
		if (emergency)
			*ret = c->failed == 0 ? NOTICE_EMERGENCY_ENDED : NOTICE_EMERGENCY_FAILED;
		else
			*ret = c->failed == 0 ? NOTICE_CAMPAIGN_ENDED : NOTICE_CAMPAIGN_FAILED;
		return c->total > 0;
	case AUDIT_CAMPAIGN_CANCELLED:
		*ret = emergency ? NOTICE_EMERGENCY_CANCELLED : NOTICE_CAMPAIGN_CANCELLED;
		return true;
	case AUDIT_EMERGENCY_FAILED:
		*ret = emergency ? NOTICE_EMERGENCY_FAILED : NOTICE_CAMPAIGN_FAILED;
		return c->kind != CAMPAIGN_DRILL;
	case AUDIT_CAMPAIGN_HALTED:
		*ret = emergency ? NOTICE_EMERGENCY_HALTED : NOTICE_CAMPAIGN_HALTED;
		return true;
	case AUDIT_CAMPAIGN_UNCONFIRMED:
		*ret = NOTICE_EMERGENCY_UNCONFIRMED;
		return true;
	default:
		return false;
	}
}

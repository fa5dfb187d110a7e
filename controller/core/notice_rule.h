/* notice_rule.h - room controller/core: who is told what (LIFECYCLE 8): which step of an order is worth telling, how urgent an event is and
 * whom it concerns. Never: clocks, heap, addresses of contacts: those are roles here. */
#ifndef VCC_NOTICE_RULE_H
#define VCC_NOTICE_RULE_H

#include "controller/core/order_flow.h"
#include "shared/model/audit.h"
#include "shared/model/campaign.h"
#include "shared/model/notice.h"

/* What a step of an order has to say. */
enum notice_word {
	NOTICE_WORD_NONE,
	NOTICE_WORD_TROUBLE, /* the certificate is in trouble: event, code */
	NOTICE_WORD_WELL,    /* it is out of trouble */
	NOTICE_WORD_ONCE,    /* event, code; nothing has to end it */
};
struct notice_saying {
	enum notice_word  word;
	enum notice_event event;
	int               code;
	bool              ends; /* the order ends with it: its history says so, also that there was nothing to tell */
};
void notice_of_order(const struct order *was, const struct order_step *step, struct notice_saying *ret);

/* The same of a record of a campaign; false = nobody is told. */
bool notice_of_campaign(const struct campaign *c, enum audit_event event, enum notice_event *ret);

enum notice_level notice_level_of(enum notice_event e);
/* Roles, and what the template names; `t` NULL = no template. */
void notice_recipients_of(enum notice_event e, const struct template *t, char ret[NOTICE_RECIPIENTS_SIZE]);

#endif

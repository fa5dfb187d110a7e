/* report_judge.h - room controller/daemon: what a report says about one certificate: state, figures, results of rules, risks. The report adds
 * these up, and the list of a figure's rows is made of the same. On a worker. Never: more than a page of certificates in memory. */
#ifndef VCC_REPORT_JUDGE_H
#define VCC_REPORT_JUDGE_H

#include "controller/core/report_figure.h"
#include "controller/daemon/exceptions.h"
#include "controller/store/store.h"

/* What is asked, by value: the worker has nothing of the loop. */
struct report_ask {
	int64_t now, from, to;
	char    period[80];   /* its name, or the two times */
	char    contacts[384]; /* comma list */
	int64_t kept_ms, kept_orders_ms;
	unsigned lang; /* LANG_* */
	const struct rule_book *book;
	struct exception_list   own; /* beside those of the book */
};

/* The exception that covers certificates of this template now; NULL = none. */
const struct compliance_exception *report_exception(const struct report_ask *ask, const struct compliance_rule *r, const char *template_id);

/* Why a certificate is at high risk, as bits. */
enum { RISK_EXPIRED = 1, RISK_EMERGENCY = 2, RISK_SERVED = 4, RISK_PAUSED = 8, RISK_RULE = 16 };
const char *risk_name(unsigned bit); /* "expired" */

struct verdict {
	const struct certificate *cert;
	enum cert_status          status;
	unsigned                  figures; /* FIGURE_BIT */
	unsigned                  risks;
	uint64_t                  profiles; /* places in the rule book, as bits */
	/* by place in the rule book; COMPLIANCE_RESULT_COUNT = the rule is not about it */
	uint8_t                             result[RULES_MAX];
	const struct compliance_text       *why[RULES_MAX];
	const struct compliance_exception  *exception[RULES_MAX];
};

struct judge;
_must_check_ int judge_open(struct store_view *view, const struct report_ask *ask, struct judge **ret);
void             judge_close(struct judge *j); /* NULL allowed */

/* Every certificate after `after` that was not removed, in order; `max_pages` of them. `fn` gets a verdict that is good during the call; a
 * positive answer ends the walk. *ret_more: it ended before the last one. */
typedef int judge_fn(void *ctx, const struct verdict *v);
_must_check_ int judge_certificates(struct judge *j, const char *after, size_t max_pages, judge_fn *fn, void *ctx, bool *ret_more);

#endif

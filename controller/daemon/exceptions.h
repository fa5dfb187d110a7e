/* exceptions.h - room controller/daemon: exceptions to compliance rules that people made, beside those that came with the rules.
 * Never: judging. */
#ifndef VCC_EXCEPTIONS_H
#define VCC_EXCEPTIONS_H

#include "controller/daemon/compliance_rules.h"
#include "controller/daemon/controller.h"

enum { EXCEPTIONS_OWN_MAX = 100, EXCEPTION_DAYS_MAX = 731 };

struct exception_list {
	size_t                      n;
	struct compliance_exception row[EXCEPTIONS_OWN_MAX];
};

/* On any thread with a view of its own. None at all is an empty list. */
_must_check_ int exceptions_read(struct store_view *view, struct exception_list *ret);

/* One for each rule and template: a new one replaces it, `until_at` 0 ends it (E_NOT_FOUND: there is none). With its audit record, in which
 * its reason stands. E_REPORT_EXCEPTION: no more fit; E_API_BUSY: another one is being stored. */
void exceptions_put(struct controller *ctl, const struct compliance_exception *e, const struct caller *who, api_done_fn *done, void *ctx);

#endif

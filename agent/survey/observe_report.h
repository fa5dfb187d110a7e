/* observe_report.h - room agent/survey: hands an observation to the keeper, which signs it and tells the controller.
 * Never: speaking to the controller itself. */
#ifndef VCC_OBSERVE_REPORT_H
#define VCC_OBSERVE_REPORT_H

#include "agent/survey/observe.h"

enum report_result {
	REPORT_SENT,   /* on its way to the controller */
	REPORT_KEPT,   /* the keeper has it; the controller is away */
	REPORT_NOBODY, /* no keeper runs here: this host has not joined, or is not started */
	REPORT_FAILED, /* `why` says it */
	REPORT_NOT_ASKED,
	REPORT_RESULT_COUNT,
};
const char *report_result_name(enum report_result r); /* "sent" */

/* The TLS listeners of `o`, at most INVENTORY_MAX. */
enum report_result observe_report(const struct observation *o, const char *keeper_socket, struct refusal *why);

#endif

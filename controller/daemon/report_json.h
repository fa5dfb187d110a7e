/* report_json.h - room controller/daemon: a compliance report as JSON: the brief's keys, and beside them where each figure comes from.
 * Never: counting. */
#ifndef VCC_REPORT_JSON_H
#define VCC_REPORT_JSON_H

#include <jansson.h>

#include "controller/daemon/report_sum.h"

json_t *json_report(const struct report_sum *s);

/* One row of a figure's list. */
json_t *json_report_certificate(const struct report_ask *ask, const struct verdict *v);
json_t *json_report_order(const struct order *o);
json_t *json_report_revocation(const struct revoked_row *r);
json_t *json_report_campaign(const struct campaign *c);
json_t *json_report_installation(const struct report_ask *ask, const struct compliance_system *s); /* NULL = no error-level rule fails */

#endif

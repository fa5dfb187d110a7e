/* plan_lines.h - room controller/cli: what a plan, or a request about a campaign, says of waves and services, a line each.
 * Never: asking the controller. */
#ifndef VCC_PLAN_LINES_H
#define VCC_PLAN_LINES_H

#include <jansson.h>

void plan_print_waves(const json_t *plan);    /* its waves */
void plan_print_services(const json_t *plan); /* its blast_radius */

#endif

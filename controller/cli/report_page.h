/* report_page.h - room controller/cli: a compliance report for paper (HTML) and for sheets (CSV).
 * Never: asking the controller, judging. */
#ifndef VCC_REPORT_PAGE_H
#define VCC_REPORT_PAGE_H

#include <stdbool.h>
#include <stdio.h>

#include <jansson.h>

/* One page that needs nothing beside it: no script, no picture, nothing from elsewhere. In German, or in English. */
void report_page_html(FILE *to, const json_t *report, bool german);
/* Two columns: where the value stands in the report, and the value. */
void report_page_csv(FILE *to, const json_t *report);

#endif

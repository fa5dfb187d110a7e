/* observe_show.h - room agent/survey: an observation for people (80 columns) and for programs (JSON).
 * Never: deciding anything. */
#ifndef VCC_OBSERVE_SHOW_H
#define VCC_OBSERVE_SHOW_H

#include <jansson.h>

#include "agent/survey/observe.h"

/* `all`: also listeners that speak no TLS. */
void observe_show_table(const struct observation *o, bool all);
/* Owned by the caller; NULL without memory. */
json_t *observe_show_json(const struct observation *o);

/* "2027-01-31" and days from `now` on; "-" for 0. */
const char *show_day(int64_t at, char ret[16]);
const char *show_days(int64_t at, int64_t now, char ret[16]);

#endif

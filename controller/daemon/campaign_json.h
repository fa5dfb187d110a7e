/* campaign_json.h - room controller/daemon: campaigns and their members as JSON.
 * Never: reading the store. */
#ifndef VCC_CAMPAIGN_JSON_H
#define VCC_CAMPAIGN_JSON_H

#include <jansson.h>

#include "controller/daemon/campaign_plan.h"

double  campaign_minutes(const struct campaign *c, int64_t now); /* from its start to its end, or until now */
json_t *json_campaign(const struct campaign *c, int64_t now);
json_t *json_member(const struct campaign_member *m);
json_t *json_revoke_old(const struct campaign *c);
void    json_incident(json_t *o, const struct campaign *c); /* adds what is of an emergency alone */
json_t *json_failure(const char *cert_id, int code, const char *cause); /* {cert_id, error, code} */
/* The figures of an emergency, as its call answers them; without failures[]. */
json_t *json_emergency(const struct campaign *c, int64_t now);

/* What the same principal renewed within a day with nobody else agreeing (campaign_recent.h): it counts together with this. */
uint32_t campaign_recent_of(struct controller *ctl, const struct campaign_plan *p);

/* Who must agree: nobody, a second person before it begins, or one afterwards (LIFECYCLE 6). */
enum campaign_consent { CONSENT_NONE, CONSENT_BEFORE, CONSENT_AFTER };
enum campaign_consent campaign_consent_of(struct controller *ctl, const struct campaign_plan *p);
/* On the loop, which knows who is away. */
json_t *json_plan(struct controller *ctl, const struct campaign_plan *p);

#endif

/* plan_outlook.h - room controller/daemon: what a plan says beside its certificates: how long it will take by what past orders
 * took, whom it touches, and what policy has against it. On a worker. Never: choosing certificates. */
#ifndef VCC_PLAN_OUTLOOK_H
#define VCC_PLAN_OUTLOOK_H

#include <jansson.h>

#include "controller/core/forecast.h"
#include "controller/core/selector.h"
#include "controller/store/store.h"
#include "shared/model/campaign.h"

enum { OUTLOOK_RULES_MAX = 64 };

/* One service of the plan. */
struct outlook_service {
	char     name[SERVICE_SIZE];
	uint32_t certificates, hosts, targets;
};
/* One thing that stands against some of the certificates. */
struct outlook_rule {
	char        template_id[TEMPLATE_ID_SIZE];
	const char *profile, *field, *text; /* static; profile "" = of the installation itself */
	uint32_t    certificates;
};

struct plan_outlook {
	struct outlook_service *services; /* owned, by name */
	size_t                  n_services;
	struct outlook_rule     rules[OUTLOOK_RULES_MAX];
	size_t                  n_rules;
	struct template policy; /* of the last certificate that was looked at */
	char            policy_service[SERVICE_SIZE];
	bool            policy_known;
	struct forecast forecast;
	int64_t         p50_ms, p99_ms;
	size_t          sample;
	int64_t         pause_ms; /* in */
	uint32_t        batch;    /* in */
};

struct campaign_plan;
/* While a certificate that is to be renewed is taken into the plan. E_STORE_*. */
_must_check_ int plan_outlook_take(struct campaign_plan *p, struct store_view *view, const struct certificate *c,
				   uint32_t *ret_targets);
/* When the rows are complete and in their turn. */
_must_check_ int plan_outlook_make(struct campaign_plan *p, struct store_view *view);
void             plan_outlook_free(struct plan_outlook *o);

json_t *json_outlook_prediction(const struct plan_outlook *o);
json_t *json_outlook_services(const struct plan_outlook *o); /* {service: {certificates, hosts, targets}} */
json_t *json_outlook_violations(const struct plan_outlook *o);

#endif

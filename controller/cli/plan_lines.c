/* plan_lines.c - room controller/cli: what a plan, or a request about a campaign, says of waves and services, a line each.
 * Never: asking the controller. */
#include "controller/cli/plan_lines.h"

#include <stdio.h>

static long long number(const json_t *o, const char *field)
{
	return (long long)json_integer_value(json_object_get(o, field));
}

void plan_print_waves(const json_t *plan)
{
	size_t        i;
	const json_t *w;
	json_array_foreach(json_object_get(plan, "waves"), i, w)
		printf("  %s %lld: %lld certificates\n", json_is_true(json_object_get(w, "canary")) ? "canary, wave" : "wave",
		       number(w, "wave"), number(w, "total"));
}

void plan_print_services(const json_t *plan)
{
	const char *name;
	json_t     *s;
	json_object_foreach(json_object_get(plan, "blast_radius"), name, s)
	{
		printf("  service %s: %lld certificates on %lld hosts, %lld targets", name[0] != '\0' ? name : "-",
		       number(s, "certificates"), number(s, "hosts"), number(s, "targets"));
		if (number(s, "offline") > 0)
			printf(", %lld offline", number(s, "offline"));
		if (number(s, "loses_service") > 0)
			printf(", %lld lose service", number(s, "loses_service"));
		printf("\n");
	}
}

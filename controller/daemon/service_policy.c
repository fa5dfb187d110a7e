/* service_policy.c - room controller/daemon: the policy of a certificate: its template, with what its service says instead.
 * Never: judging names or keys. */
#include "controller/daemon/service_policy.h"

#include <string.h>

#include "controller/core/policy.h"
#include "controller/daemon/template_json.h"

json_t *service_policy_json(const struct service *s)
{
	return s->policy[0] != '\0' ? json_loads(s->policy, JSON_REJECT_DUPLICATES, NULL) : NULL;
}

int service_policy_apply(const struct service *s, const struct template *t, struct template *ret, struct refusal *why)
{
	/* How short a validity may be was decided when the template was applied. */
	static const struct policy_limits loosest = {.allow_short_validity = true};
	struct template                   own;
	struct refusal                    cause;
	*ret = *t;
	if (s->policy[0] == '\0')
		return 0;
	json_t *overrides = service_policy_json(s);
	int     r = template_json_override(overrides, t, &own, &cause);
	json_decref(overrides);
	if (r == 0)
		r = policy_template_check(&own, &loosest, &cause);
	if (r < 0)
		return refuse(why, E_SERVICE_POLICY, s->name, "with template %s: %s", t->template_id, cause.cause);
	*ret = own;
	return 0;
}

int service_policy_view(struct store_view *view, const char *template_id, const char *service, struct template *ret)
{
	struct template t;
	struct service  s;
	int             r = view_template(view, template_id, 0, &t);
	if (r < 0)
		return r;
	*ret = t;
	r = view_service(view, service, &s);
	if (r < 0)
		return r == E_NOT_FOUND ? 0 : r;
	(void)!service_policy_apply(&s, &t, ret, NULL); /* does not fit: the template's own */
	return 0;
}

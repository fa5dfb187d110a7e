/* service_policy.h - room controller/daemon: the policy of a certificate: its template, with what its service says instead (LIFECYCLE 1).
 * Never: judging names or keys; a service overrides only what a template says about renewal. */
#ifndef VCC_SERVICE_POLICY_H
#define VCC_SERVICE_POLICY_H

#include <jansson.h>

#include "controller/store/store.h"

/* `ret` = `t` with the service's overrides; version and template_id stay those of the template. Where the two do not fit together the
 * template's own policy stands: `ret` is `t`, and E_SERVICE_POLICY with field and reason comes back. */
_must_check_ int service_policy_apply(const struct service *s, const struct template *t, struct template *ret, struct refusal *why);

/* By keyed reads: the policy of a certificate of this template and service. E_NOT_FOUND: there is no such template. */
_must_check_ int service_policy_view(struct store_view *view, const char *template_id, const char *service, struct template *ret);

/* The overrides as an object of template fields; NULL when there are none. The caller's. */
json_t *service_policy_json(const struct service *s);

#endif

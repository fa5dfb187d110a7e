/* people_json.h - room controller/daemon: principals, tokens and approvals as JSON, and back.
 * Never: rights. */
#ifndef VCC_PEOPLE_JSON_H
#define VCC_PEOPLE_JSON_H

#include <jansson.h>

#include "controller/store/store.h"

json_t *json_principal(const struct principal *p);
json_t *json_token(const struct token *t); /* without the secret, which nobody has */
json_t *json_approval(const struct approval *a);

/* Fields over what `p` holds already; a missing field changes nothing. "services": null lifts the limit, "person": null makes a machine.
 * E_API_BODY, E_PRINCIPAL_NAME; `p` is untouched then. `name` is not read. */
_must_check_ int principal_read(const json_t *fields, struct principal *p, struct refusal *why);
/* principal, label, ttl (default 90 d, at most 366 d, from `now` on), roles, services. `t` comes with a default for `principal`. */
_must_check_ int token_read(const json_t *fields, int64_t now, struct token *t, struct refusal *why);

#endif

/* service_json.h - room controller/daemon: what is said about a service, as JSON, both ways.
 * Strict: unknown fields are refused by name. Never: judging dependencies (controller/core/depends.h) or policy (service_policy.h). */
#ifndef VCC_SERVICE_JSON_H
#define VCC_SERVICE_JSON_H

#include <jansson.h>

#include "controller/store/store.h"

/* {"name", "depends_on": ["covina"], "windows": "Mon-Fri 22:00-04:00 Europe/Berlin" or a list, "policy": {template fields}}; what is absent is
 * empty. What `service show` adds is ignored. E_SERVICE_FILE with field and reason. */
_must_check_ int service_json_read(const json_t *object, struct service *ret, struct refusal *why);
json_t          *service_json_write(const struct service *s);

#endif

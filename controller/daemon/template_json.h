/* template_json.h - room controller/daemon: templates as JSON, both ways (LIFECYCLE 1; names are the brief's).
 * Strict: unknown and doubled fields are refused by name. Never: judging a template; that is core/policy.h. */
#ifndef VCC_TEMPLATE_JSON_H
#define VCC_TEMPLATE_JSON_H

#include <jansson.h>

#include "shared/base/err.h"
#include "shared/model/template.h"

enum { TEMPLATE_JSON_MAX = 65536 };

enum template_form {
	TEMPLATE_FILE,   /* what `template apply` reads: each value once */
	TEMPLATE_ANSWER, /* with version, created_at and the forms in days and seconds; can be read back, too */
};

/* Fills `ret` with defaults where a field is absent; version and created_at stay 0 (a template that was read back may
 * carry them: they are the store's and ignored). `max_renewals_default`: limits.max_renewals_default.
 * E_POLICY_TEMPLATE; `why` names template and field. */
_must_check_ int template_json_read(const json_t *object, uint32_t max_renewals_default, struct template *ret, struct refusal *why);
/* The same from text, at most TEMPLATE_JSON_MAX bytes. */
_must_check_ int template_json_parse(struct span text, uint32_t max_renewals_default, struct template *ret, struct refusal *why);

/* `t` with the fields of `object` instead; only those that a service may override (template_field.h), without version and times. */
_must_check_ int template_json_override(const json_t *object, const struct template *t, struct template *ret, struct refusal *why);

/* A new object, owned by the caller; NULL without memory. */
json_t *template_json_write(const struct template *t, enum template_form form);

/* The one text that the audit trail means by a version's `sha256`: that of a file, compact, its fields sorted. The caller frees it; NULL
 * without memory. */
char *template_json_text(const struct template *t, struct hash *ret_hash);

#endif

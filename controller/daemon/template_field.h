/* template_field.h - room controller/daemon: one row for each JSON field of a template, for template_json.c.
 * Never: used elsewhere. */
#ifndef VCC_TEMPLATE_FIELD_H
#define VCC_TEMPLATE_FIELD_H

#include <jansson.h>

#include "shared/base/err.h"
#include "shared/model/template.h"

/* What is known while reading: some values hang on others that may come later. */
struct template_reading {
	struct template t;
	int64_t         validity_ms[3]; /* by validity_period, _days, validity_seconds; 0 = not given */
	int64_t         threshold_ms, threshold_part, threshold_of; /* "1/3" of the validity */
	int64_t         emergency_ms, emergency_part, emergency_of;
	char            key_type[16];
	int64_t         key_size; /* 0 = not given */
	int64_t         max_renewals;
	bool            usage, extended_usage;
	struct refusal *why;
};

struct template_field {
	const char *name;
	int (*read)(const struct template_field *f, const json_t *value, struct template_reading *in);
	json_t *(*write)(const struct template_field *f, const struct template *t);  /* into files; NULL here or returned: left out */
	json_t *(*answer)(const struct template_field *f, const struct template *t); /* into answers */
	size_t offset, size;
	bool   renewal; /* how and when it is renewed, and who is told: what a service may say instead */
};

/* The row of a JSON name, NULL = no such field; the rows in order (template_id first). */
const struct template_field *template_field_find(const char *name);
const struct template_field *template_fields(size_t *ret_n);

#endif

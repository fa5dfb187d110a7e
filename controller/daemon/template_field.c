/* template_field.c - room controller/daemon: how each JSON field of a template is read and written.
 * Never: rules across fields; those are in template_json.c. */
#include "controller/daemon/template_field.h"

#include <stddef.h>
#include <string.h>

#include "shared/base/text.h"
#include "shared/base/times.h"

enum { DAYS_MAX = 36500, FRACTION_MAX = 1000 };

static int wrong(const struct template_field *f, const struct template_reading *in, const char *what)
{
	return refuse(in->why, E_POLICY_TEMPLATE, in->t.template_id, "field `%s`: %s", f->name, what);
}

static void *place(const struct template_field *f, struct template_reading *in)
{
	return (char *)&in->t + f->offset;
}

static const void *value_of(const struct template_field *f, const struct template *t)
{
	return (const char *)t + f->offset;
}

/* ---- simple kinds ---- */

static int read_text(const struct template_field *f, const json_t *value, struct template_reading *in)
{
	if (!json_is_string(value))
		return wrong(f, in, "must be a text");
	if (!text_line_ok(json_string_value(value), json_string_length(value)))
		return wrong(f, in, "holds control characters");
	if (text_copy_n(place(f, in), f->size, json_string_value(value), json_string_length(value)) < 0)
		return wrong(f, in, "is too long");
	return 0;
}

static json_t *write_text(const struct template_field *f, const struct template *t)
{
	return json_string(value_of(f, t));
}

static int read_bool(const struct template_field *f, const json_t *value, struct template_reading *in)
{
	if (!json_is_boolean(value))
		return wrong(f, in, "must be true or false");
	*(bool *)place(f, in) = json_is_true(value);
	return 0;
}

static json_t *write_bool(const struct template_field *f, const struct template *t)
{
	return json_boolean(*(const bool *)value_of(f, t));
}

static int read_count(const struct template_field *f, const json_t *value, struct template_reading *in)
{
	if (!json_is_integer(value) || json_integer_value(value) < 1 || json_integer_value(value) > 1000)
		return wrong(f, in, "must be a whole number from 1 to 1000");
	*(uint32_t *)place(f, in) = (uint32_t)json_integer_value(value);
	return 0;
}

static json_t *write_count(const struct template_field *f, const struct template *t)
{
	return json_integer(*(const uint32_t *)value_of(f, t));
}

/* A JSON list of texts -> comma list. null = empty list. */
static int list_join(const struct template_field *f, const json_t *value, struct template_reading *in, char *ret, size_t size)
{
	size_t used = 0;
	ret[0] = '\0';
	if (json_is_null(value))
		return 0;
	if (!json_is_array(value))
		return wrong(f, in, "must be a list of texts");
	for (size_t i = 0; i < json_array_size(value); i++) {
		const json_t *item = json_array_get(value, i);
		const char   *text = json_string_value(item);
		size_t        n = json_string_length(item);
		if (text == NULL || n == 0 || memchr(text, ',', n) != NULL || !text_line_ok(text, n))
			return wrong(f, in, "must be a list of texts, without commas and not empty");
		if (used > 0 && used + 1 < size)
			ret[used++] = ',';
		if (text_copy_n(ret + used, size - used, text, n) < 0)
			return wrong(f, in, "the list is too long");
		used += n;
	}
	return 0;
}

static int read_list(const struct template_field *f, const json_t *value, struct template_reading *in)
{
	char list[256];
	int  r = list_join(f, value, in, list, sizeof(list));
	return r < 0 ? r : text_copy(place(f, in), f->size, list);
}

static json_t *list_split(const char *list)
{
	json_t     *array = json_array();
	const char *cursor = list;
	char        item[DNS_NAME_SIZE + 8];
	while (text_item(&cursor, item, sizeof(item)))
		json_array_append_new(array, json_string(item));
	return array;
}

static json_t *write_list(const struct template_field *f, const struct template *t)
{
	return list_split(value_of(f, t));
}

/* ---- identity ---- */

static int read_id(const struct template_field *f, const json_t *value, struct template_reading *in)
{
	if (!json_is_string(value) || !name_template_ok(json_string_value(value)))
		return wrong(f, in, "must be a-z 0-9 _ - with a letter or digit first, at most 63 characters");
	return text_copy(in->t.template_id, sizeof(in->t.template_id), json_string_value(value));
}

static int read_service(const struct template_field *f, const json_t *value, struct template_reading *in)
{
	in->t.service[0] = '\0';
	if (json_is_null(value))
		return 0;
	if (!json_is_string(value) || !name_service_ok(json_string_value(value)))
		return wrong(f, in, "must be null or a service name");
	return text_copy(in->t.service, sizeof(in->t.service), json_string_value(value));
}

static json_t *write_service(const struct template_field *f, const struct template *t)
{
	(void)f;
	return t->service[0] != '\0' ? json_string(t->service) : json_null();
}

/* Version and times are the store's: accepted in what was read back, not taken over. */
static int read_ignored(const struct template_field *f, const json_t *value, struct template_reading *in)
{
	(void)f, (void)value, (void)in;
	return 0;
}

static json_t *write_created(const struct template_field *f, const struct template *t)
{
	char text[TIME_TEXT_SIZE];
	(void)f;
	return json_string(time_text(t->created_at, text));
}

/* ---- times ---- */

/* Days may be fractional; rounded to milliseconds. */
static int days_read(const struct template_field *f, const json_t *value, struct template_reading *in, int64_t *ret_ms)
{
	double days = json_number_value(value);
	if (!json_is_number(value) || !(days > 0) || days > DAYS_MAX)
		return wrong(f, in, "must be a number of days above 0");
	int64_t ms = (int64_t)(days * (double)MS_DAY + 0.5);
	if (ms == 0)
		return wrong(f, in, "must be a number of days above 0");
	*ret_ms = ms;
	return 0;
}

static json_t *days_write(int64_t ms)
{
	return ms % MS_DAY == 0 ? json_integer(ms / MS_DAY) : json_real((double)ms / (double)MS_DAY);
}

static int read_duration(const struct template_field *f, const json_t *value, struct template_reading *in)
{
	if (!json_is_string(value) || duration_parse(json_string_value(value), place(f, in)) < 0)
		return wrong(f, in, "must be a duration like \"730d\", \"8h\" or \"90s\"");
	return 0;
}

static json_t *write_duration(const struct template_field *f, const struct template *t)
{
	char text[TIME_TEXT_SIZE];
	return json_string(duration_text(*(const int64_t *)value_of(f, t), text));
}

static int read_validity(const struct template_field *f, const json_t *value, struct template_reading *in)
{
	int r = read_duration(f, value, in);
	in->validity_ms[0] = in->t.validity_ms;
	return r;
}

static int read_validity_days(const struct template_field *f, const json_t *value, struct template_reading *in)
{
	return days_read(f, value, in, &in->validity_ms[1]);
}

static json_t *write_validity_days(const struct template_field *f, const struct template *t)
{
	(void)f;
	return days_write(t->validity_ms);
}

static int read_validity_seconds(const struct template_field *f, const json_t *value, struct template_reading *in)
{
	if (!json_is_integer(value) || json_integer_value(value) < 1 || json_integer_value(value) > DAYS_MAX * MS_DAY / MS_SECOND)
		return wrong(f, in, "must be a whole number of seconds above 0");
	in->validity_ms[2] = json_integer_value(value) * MS_SECOND;
	return 0;
}

static json_t *write_validity_seconds(const struct template_field *f, const struct template *t)
{
	(void)f;
	return json_integer(t->validity_ms / MS_SECOND);
}

/* "8h", or "1/3" of the validity, which may be known only later. */
static int threshold_read(const struct template_field *f, const json_t *value, struct template_reading *in, int64_t *ret_ms, int64_t *ret_part,
                          int64_t *ret_of)
{
	const char *text = json_string_value(value);
	const char *slash = text != NULL ? strchr(text, '/') : NULL;
	char        part[8];

	if (text != NULL && slash == NULL && duration_parse(text, ret_ms) == 0)
		return 0;
	if (slash != NULL && text_copy_n(part, sizeof(part), text, (size_t)(slash - text)) == 0 &&
	    text_i64(part, 1, FRACTION_MAX, ret_part) == 0 && text_i64(slash + 1, 1, FRACTION_MAX, ret_of) == 0)
		return 0;
	return wrong(f, in, "must be a duration like \"8h\" or a share of the validity like \"1/3\"");
}

static int read_threshold_days(const struct template_field *f, const json_t *value, struct template_reading *in)
{
	return in->threshold_ms != 0 || in->threshold_of != 0 ? wrong(f, in, "the threshold is given twice")
	                                                       : days_read(f, value, in, &in->threshold_ms);
}

static int read_threshold(const struct template_field *f, const json_t *value, struct template_reading *in)
{
	return in->threshold_ms != 0 ? wrong(f, in, "the threshold is given twice")
	                             : threshold_read(f, value, in, &in->threshold_ms, &in->threshold_part, &in->threshold_of);
}

static int read_emergency_days(const struct template_field *f, const json_t *value, struct template_reading *in)
{
	return in->emergency_ms != 0 || in->emergency_of != 0 ? wrong(f, in, "the threshold is given twice")
	                                                       : days_read(f, value, in, &in->emergency_ms);
}

static int read_emergency(const struct template_field *f, const json_t *value, struct template_reading *in)
{
	return in->emergency_ms != 0 ? wrong(f, in, "the threshold is given twice")
	                             : threshold_read(f, value, in, &in->emergency_ms, &in->emergency_part, &in->emergency_of);
}

static json_t *write_days(const struct template_field *f, const struct template *t)
{
	return days_write(*(const int64_t *)value_of(f, t));
}

static int read_max_renewals(const struct template_field *f, const json_t *value, struct template_reading *in)
{
	if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > 1000)
		return wrong(f, in, "must be a whole number from 0 (unlimited) to 1000");
	in->max_renewals = json_integer_value(value);
	return 0;
}

/* ---- keys and usages ---- */

static int read_key_type(const struct template_field *f, const json_t *value, struct template_reading *in)
{
	if (!json_is_string(value) || text_copy(in->key_type, sizeof(in->key_type), json_string_value(value)) < 0)
		return wrong(f, in, "must be RSA, ECDSA or Ed25519");
	return 0;
}

static json_t *write_key_type(const struct template_field *f, const struct template *t)
{
	(void)f;
	return json_string(key_type_brief(t->key_type));
}

static int read_key_size(const struct template_field *f, const json_t *value, struct template_reading *in)
{
	if (!json_is_integer(value) || json_integer_value(value) < 1 || json_integer_value(value) > 16384)
		return wrong(f, in, "must be a number of bits");
	in->key_size = json_integer_value(value);
	return 0;
}

static json_t *write_key_size(const struct template_field *f, const struct template *t)
{
	(void)f;
	return json_integer(key_type_size(t->key_type));
}

static int read_hash(const struct template_field *f, const json_t *value, struct template_reading *in)
{
	for (int i = 0; i < HASH_ALG_COUNT; i++)
		if (text_equal(json_string_value(value), hash_alg_name((enum hash_alg)i))) {
			in->t.hash_alg = (enum hash_alg)i;
			return 0;
		}
	return wrong(f, in, "must be SHA256, SHA384 or SHA512");
}

static json_t *write_hash(const struct template_field *f, const struct template *t)
{
	(void)f;
	return json_string(hash_alg_name(t->hash_alg));
}

static const char *profile_name(unsigned bit)
{
	return bit == PROFILE_GDPR ? "GDPR" : bit == PROFILE_AI_ACT ? "AI_ACT" : bit == PROFILE_BSI_TR ? "BSI_TR" : NULL;
}

typedef const char *bit_name_fn(unsigned bit);

/* A list of names <-> bits. null = none. */
static int bits_read(const struct template_field *f, const json_t *value, struct template_reading *in, bit_name_fn *name, unsigned *ret)
{
	unsigned bits = 0;
	if (!json_is_array(value) && !json_is_null(value))
		return wrong(f, in, "must be a list");
	for (size_t i = 0; i < json_array_size(value); i++) {
		const char *text = json_string_value(json_array_get(value, i));
		unsigned    bit = 1;
		while (bit < 1U << 16 && (text == NULL || name(bit) == NULL || strcmp(name(bit), text) != 0))
			bit <<= 1;
		if (bit == 1U << 16)
			return wrong(f, in, text != NULL ? "holds a name that is not known" : "must be a list of texts");
		bits |= bit;
	}
	*ret = bits;
	return 0;
}

static json_t *bits_write(unsigned bits, bit_name_fn *name)
{
	json_t *array = json_array();
	for (unsigned bit = 1; bit < 1U << 16; bit <<= 1)
		if ((bits & bit) != 0 && name(bit) != NULL)
			json_array_append_new(array, json_string(name(bit)));
	return array;
}

static int read_key_usage(const struct template_field *f, const json_t *value, struct template_reading *in)
{
	unsigned bits = 0;
	int      r = bits_read(f, value, in, ku_name, &bits);
	in->t.key_usage = (uint16_t)bits;
	in->usage = true;
	return r;
}

static json_t *write_key_usage(const struct template_field *f, const struct template *t)
{
	(void)f;
	return bits_write(t->key_usage, ku_name);
}

static int read_ext_key_usage(const struct template_field *f, const json_t *value, struct template_reading *in)
{
	unsigned bits = 0;
	int      r = bits_read(f, value, in, eku_name, &bits);
	in->t.ext_key_usage = (uint16_t)bits;
	in->extended_usage = true;
	return r;
}

static json_t *write_ext_key_usage(const struct template_field *f, const struct template *t)
{
	(void)f;
	return bits_write(t->ext_key_usage, eku_name);
}

static int read_profiles(const struct template_field *f, const json_t *value, struct template_reading *in)
{
	unsigned bits = 0;
	int      r = bits_read(f, value, in, profile_name, &bits);
	in->t.profiles = bits;
	return r;
}

static json_t *write_profiles(const struct template_field *f, const struct template *t)
{
	(void)f;
	return bits_write(t->profiles, profile_name);
}

static int read_patterns(const struct template_field *f, const json_t *value, struct template_reading *in)
{
	char list[NAMES_TEXT_SIZE], bad[DNS_NAME_SIZE];
	int  r = list_join(f, value, in, list, sizeof(list));
	if (r < 0)
		return r;
	r = names_parse(list, true, &in->t.patterns, bad);
	if (r == E_FULL)
		return wrong(f, in, "holds more than 32 names");
	if (r < 0)
		return refuse(in->why, E_POLICY_TEMPLATE, in->t.template_id, "field `%s`: `%s` is not a permitted name pattern",
		              f->name, bad);
	return 0;
}

static json_t *write_patterns(const struct template_field *f, const struct template *t)
{
	(void)f;
	return list_split(t->patterns.text);
}

/* ---- other enums ---- */

static int read_purpose(const struct template_field *f, const json_t *value, struct template_reading *in)
{
	for (int i = 0; i < PURPOSE_COUNT; i++)
		if (text_equal(json_string_value(value), cert_purpose_name((enum cert_purpose)i))) {
			in->t.purpose = (enum cert_purpose)i;
			return 0;
		}
	return wrong(f, in, "must be service_auth, code_signing or admin");
}

static json_t *write_purpose(const struct template_field *f, const struct template *t)
{
	(void)f;
	return json_string(cert_purpose_name(t->purpose));
}

static int read_audit_level(const struct template_field *f, const json_t *value, struct template_reading *in)
{
	for (int i = 0; i < AUDIT_LEVEL_COUNT; i++)
		if (text_equal(json_string_value(value), audit_level_name((enum audit_level)i))) {
			in->t.audit_level = (enum audit_level)i;
			return 0;
		}
	return wrong(f, in, "must be minimal, standard or enhanced");
}

static json_t *write_audit_level(const struct template_field *f, const struct template *t)
{
	(void)f;
	return json_string(audit_level_name(t->audit_level));
}

/* A threshold is written in days where that is exact, else as text. */
static json_t *write_days_exact(const struct template_field *f, const struct template *t)
{
	int64_t ms = *(const int64_t *)value_of(f, t);
	return ms % MS_DAY == 0 ? days_write(ms) : NULL;
}

static json_t *write_duration_inexact(const struct template_field *f, const struct template *t)
{
	return *(const int64_t *)value_of(f, t) % MS_DAY != 0 ? write_duration(f, t) : NULL;
}

#define AT(field) offsetof(struct template, field), sizeof(((struct template *)0)->field)

static const struct template_field fields[] = {
	{"template_id", read_id, write_text, write_text, AT(template_id), false},
	{"version", read_ignored, NULL, write_count, AT(version), false},
	{"name", read_text, write_text, write_text, AT(name), false},
	{"description", read_text, write_text, write_text, AT(description), false},
	{"validity_period", read_validity, write_duration, write_duration, AT(validity_ms), false},
	{"validity_period_days", read_validity_days, NULL, write_validity_days, AT(validity_ms), false},
	{"validity_seconds", read_validity_seconds, NULL, write_validity_seconds, AT(validity_ms), false},
	{"key_type", read_key_type, write_key_type, write_key_type, AT(key_type), false},
	{"key_size", read_key_size, write_key_size, write_key_size, AT(key_type), false},
	{"hash_algorithm", read_hash, write_hash, write_hash, AT(hash_alg), false},
	{"key_usage", read_key_usage, write_key_usage, write_key_usage, AT(key_usage), false},
	{"extended_key_usage", read_ext_key_usage, write_ext_key_usage, write_ext_key_usage, AT(ext_key_usage), false},
	{"subject_alt_names", read_patterns, write_patterns, write_patterns, AT(patterns), false},
	{"vcc_service_type", read_service, write_service, write_service, AT(service), false},
	{"certificate_purpose", read_purpose, write_purpose, write_purpose, AT(purpose), false},
	{"auto_renewal_enabled", read_bool, write_bool, write_bool, AT(auto_renewal), true},
	{"renewal_threshold_days", read_threshold_days, write_days_exact, write_days, AT(renewal_threshold_ms), true},
	{"renewal_threshold", read_threshold, write_duration_inexact, NULL, AT(renewal_threshold_ms), true},
	{"emergency_threshold_days", read_emergency_days, write_days_exact, write_days, AT(emergency_threshold_ms), true},
	{"emergency_threshold", read_emergency, write_duration_inexact, NULL, AT(emergency_threshold_ms), true},
	{"max_renewals", read_max_renewals, write_count, write_count, AT(max_renewals), true},
	{"max_renewal_attempts", read_count, write_count, write_count, AT(max_attempts), true},
	{"retry_interval", read_duration, write_duration, write_duration, AT(retry_ms), true},
	{"pre_validation_required", read_bool, write_bool, write_bool, AT(pre_validation), true},
	{"post_deployment_validation", read_bool, write_bool, write_bool, AT(post_validation), true},
	{"compliance_profiles", read_profiles, write_profiles, write_profiles, AT(profiles), false},
	{"audit_level", read_audit_level, write_audit_level, write_audit_level, AT(audit_level), true},
	{"notification_recipients", read_list, write_list, write_list, AT(notify), true},
	{"escalation_recipients", read_list, write_list, write_list, AT(escalation), true},
	{"issuer", read_text, write_text, write_text, AT(issuer), false},
	{"created_at", read_ignored, NULL, write_created, AT(created_at), false},
};

const struct template_field *template_field_find(const char *name)
{
	for (size_t i = 0; i < N_ELEMENTS(fields); i++)
		if (strcmp(fields[i].name, name) == 0)
			return &fields[i];
	return NULL;
}

const struct template_field *template_fields(size_t *ret_n)
{
	*ret_n = N_ELEMENTS(fields);
	return fields;
}

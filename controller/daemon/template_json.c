/* template_json.c - room controller/daemon: a template from JSON and back; what holds across its fields.
 * Never: judging a template, touching the store. */
#include "controller/daemon/template_json.h"

#include <stdlib.h>
#include <string.h>

#include "controller/daemon/template_field.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/pki/key.h"

/* The validity may be given in three forms; they must agree. */
static int finish_validity(struct template_reading *in)
{
	in->t.validity_ms = 0;
	for (size_t i = 0; i < N_ELEMENTS(in->validity_ms); i++) {
		int64_t ms = in->validity_ms[i];
		if (ms != 0 && in->t.validity_ms != 0 && ms != in->t.validity_ms)
			return refuse(in->why, E_POLICY_TEMPLATE, in->t.template_id,
			              "validity_period, validity_period_days and validity_seconds differ: give one of them");
		if (ms != 0)
			in->t.validity_ms = ms;
	}
	if (in->t.validity_ms == 0)
		return refuse(in->why, E_POLICY_TEMPLATE, in->t.template_id, "field `validity_period` is missing");
	return 0;
}

static int finish_key(struct template_reading *in)
{
	const char *type = in->key_type[0] != '\0' ? in->key_type : "ECDSA";
	int64_t     size = in->key_size;
	if (size == 0)
		size = strcmp(type, "ECDSA") == 0 ? 256 : 0;
	if (key_type_from(type, (int)size, &in->t.key_type) < 0)
		return refuse(in->why, E_POLICY_TEMPLATE, in->t.template_id,
		              "key_type `%s` with key_size %lld does not exist: RSA 2048, 3072, 4096, ECDSA 256, 384 or Ed25519", type,
		              (long long)size);
	return 0;
}

/* Absent values that follow from others. */
static void finish_thresholds(struct template_reading *in, uint32_t max_renewals_default)
{
	struct template *t = &in->t;
	if (in->threshold_of != 0)
		in->threshold_ms = t->validity_ms / in->threshold_of * in->threshold_part;
	t->renewal_threshold_ms = in->threshold_ms != 0 ? in->threshold_ms : 30 * MS_DAY;

	if (in->emergency_of != 0)
		in->emergency_ms = t->validity_ms / in->emergency_of * in->emergency_part;
	if (in->emergency_ms == 0) /* 7 days make no sense for short certificates: then half of the threshold */
		in->emergency_ms = t->renewal_threshold_ms < 14 * MS_DAY ? t->renewal_threshold_ms / 2 : 7 * MS_DAY;
	t->emergency_threshold_ms = in->emergency_ms;

	if (in->max_renewals >= 0)
		t->max_renewals = (uint32_t)in->max_renewals;
	else
		t->max_renewals = t->validity_ms <= 30 * MS_DAY ? 0 : max_renewals_default;
}

/* Half of it is the emergency's, and must not be nothing: it would be read back as the usual one. */
static int check_threshold(const struct template_reading *in)
{
	if (in->t.renewal_threshold_ms >= MS_SECOND)
		return 0;
	return refuse(in->why, E_POLICY_TEMPLATE, in->t.template_id, "field `renewal_threshold`: must be at least a second");
}

static int finish(struct template_reading *in, uint32_t max_renewals_default)
{
	if (in->t.template_id[0] == '\0')
		return refuse(in->why, E_POLICY_TEMPLATE, "template", "field `template_id` is missing");
	int r = finish_validity(in);
	if (r == 0)
		r = finish_key(in);
	if (r == 0 && (!in->usage || !in->extended_usage))
		r = refuse(in->why, E_POLICY_TEMPLATE, in->t.template_id, "field `%s` is missing",
		           in->usage ? "extended_key_usage" : "key_usage");
	if (r < 0)
		return r;
	finish_thresholds(in, max_renewals_default);
	if (in->t.name[0] == '\0')
		text_cut(in->t.name, sizeof(in->t.name), in->t.template_id);
	return check_threshold(in);
}

int template_json_read(const json_t *object, uint32_t max_renewals_default, struct template *ret, struct refusal *why)
{
	struct template_reading in = {
		.t = {.auto_renewal = true, .max_attempts = 3, .retry_ms = MS_HOUR, .pre_validation = true,
	              .post_validation = true, .audit_level = AUDIT_STANDARD, .issuer = "default"},
		.max_renewals = -1,
		.why = why,
	};
	size_t                       n_fields = 0;
	const struct template_field *fields = template_fields(&n_fields);
	const json_t                *id = json_object_get(object, "template_id");

	if (!json_is_object(object))
		return refuse(why, E_POLICY_TEMPLATE, "template", "must be a JSON object");
	int r = id != NULL ? fields[0].read(&fields[0], id, &in) : 0; /* first, so that later refusals can name it */
	/* jansson's iterator wants a mutable object, but changes nothing */
	json_t *walk = (json_t *)(uintptr_t)object;
	for (void *at = json_object_iter(walk); r == 0 && at != NULL; at = json_object_iter_next(walk, at)) {
		const struct template_field *f = template_field_find(json_object_iter_key(at));
		r = f != NULL ? f->read(f, json_object_iter_value(at), &in)
		              : refuse(why, E_POLICY_TEMPLATE, in.t.template_id, "field `%.64s` is not known", json_object_iter_key(at));
	}
	if (r == 0)
		r = finish(&in, max_renewals_default);
	if (r == 0)
		*ret = in.t;
	return r;
}

/* A threshold that is not overridden stays, except that an emergency cannot begin before the renewal does. */
static void finish_overrides(struct template_reading *in)
{
	struct template *t = &in->t;
	if (in->threshold_of != 0)
		in->threshold_ms = t->validity_ms / in->threshold_of * in->threshold_part;
	if (in->emergency_of != 0)
		in->emergency_ms = t->validity_ms / in->emergency_of * in->emergency_part;
	if (in->threshold_ms != 0)
		t->renewal_threshold_ms = in->threshold_ms;
	if (in->emergency_ms != 0)
		t->emergency_threshold_ms = in->emergency_ms;
	else if (t->emergency_threshold_ms > t->renewal_threshold_ms)
		t->emergency_threshold_ms = t->renewal_threshold_ms / 2;
	if (in->max_renewals >= 0)
		t->max_renewals = (uint32_t)in->max_renewals;
}

int template_json_override(const json_t *object, const struct template *t, struct template *ret, struct refusal *why)
{
	struct template_reading in = {.t = *t, .max_renewals = -1, .why = why};
	if (!json_is_object(object))
		return refuse(why, E_POLICY_TEMPLATE, t->template_id, "field `policy`: must be a JSON object");
	int   r = 0;
	/* jansson's iterator wants a mutable object, but changes nothing */
	json_t *walk = (json_t *)(uintptr_t)object;
	for (void *at = json_object_iter(walk); r == 0 && at != NULL; at = json_object_iter_next(walk, at)) {
		const struct template_field *f = template_field_find(json_object_iter_key(at));
		r = f != NULL && f->renewal
			    ? f->read(f, json_object_iter_value(at), &in)
			    : refuse(why, E_POLICY_TEMPLATE, t->template_id, "field `%.64s`: %s", json_object_iter_key(at),
				     f == NULL ? "is not known" : "cannot be overridden by a service: it decides what is issued");
	}
	if (r == 0) {
		finish_overrides(&in);
		r = check_threshold(&in);
	}
	if (r == 0)
		*ret = in.t;
	return r;
}

int template_json_parse(struct span text, uint32_t max_renewals_default, struct template *ret, struct refusal *why)
{
	json_error_t error;

	if (text.n > TEMPLATE_JSON_MAX)
		return refuse(why, E_POLICY_TEMPLATE, "template", "longer than %d bytes", TEMPLATE_JSON_MAX);
	json_t *object = json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, &error);
	if (object == NULL)
		return refuse(why, E_POLICY_TEMPLATE, "template", "line %d: %s", error.line, error.text);
	int r = template_json_read(object, max_renewals_default, ret, why);
	json_decref(object);
	return r;
}

json_t *template_json_write(const struct template *t, enum template_form form)
{
	size_t                       n = 0;
	const struct template_field *fields = template_fields(&n);
	json_t                      *object = json_object();
	for (size_t i = 0; object != NULL && i < n; i++) {
		const struct template_field *f = &fields[i];
		json_t *(*write)(const struct template_field *, const struct template *) =
			form == TEMPLATE_ANSWER ? f->answer : f->write;
		json_t *value = write != NULL ? write(f, t) : NULL;
		if (value != NULL && json_object_set_new(object, f->name, value) < 0) {
			json_decref(object);
			return NULL;
		}
	}
	return object;
}

char *template_json_text(const struct template *t, struct hash *ret_hash)
{
	json_t *object = template_json_write(t, TEMPLATE_FILE);
	char   *text = object != NULL ? json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
	json_decref(object);
	if (text != NULL)
		digest_sha256(span_text(text), ret_hash);
	return text;
}

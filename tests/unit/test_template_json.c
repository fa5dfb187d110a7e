/* test_template_json.c - do the shipped templates say what LIFECYCLE 1 promises, does everything survive the way to JSON and back,
 * and is every wrong field refused by its name? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "controller/daemon/template_json.h"
#include "shared/base/times.h"

static struct template shipped(const char *name)
{
	char           path[256], text[TEMPLATE_JSON_MAX];
	struct template t = {0};
	struct refusal why = {0};
	snprintf(path, sizeof(path), "packaging/templates/%s.json", name);
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	size_t n = fread(text, 1, sizeof(text), f);
	fclose(f);
	if (template_json_parse((struct span){(const uint8_t *)text, n}, 5, &t, &why) < 0)
		fail_msg("%s: %s: %s", path, why.object, why.cause);
	return t;
}

static void shipped_values(void **state)
{
	(void)state;
	static const struct {
		const char   *file, *id;
		int           days, threshold;
		enum key_type key;
		unsigned      usage, extended, profiles;
		const char   *patterns, *service;
		enum cert_purpose purpose;
		bool          renew;
		enum audit_level  level;
	} rows[] = {
		{"clara_service_auth.v1", "clara_service_auth", 730, 60, KEY_RSA_2048, KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT,
	         EKU_SERVER_AUTH | EKU_CLIENT_AUTH, PROFILE_AI_ACT | PROFILE_GDPR,
	         "DNS:*.clara.vcc.internal,DNS:clara.vcc.internal", "clara", PURPOSE_SERVICE_AUTH, true, AUDIT_ENHANCED},
		{"clara_model_signing.v1", "clara_model_signing", 1825, 90, KEY_RSA_4096, KU_DIGITAL_SIGNATURE, EKU_CODE_SIGNING,
	         PROFILE_AI_ACT | PROFILE_GDPR, "", "clara", PURPOSE_CODE_SIGNING, false, AUDIT_ENHANCED},
		{"covina_orchestrator.v1", "covina_orchestrator", 365, 30, KEY_RSA_2048, KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT,
	         EKU_SERVER_AUTH | EKU_CLIENT_AUTH, PROFILE_GDPR, "DNS:*.covina.vcc.internal,DNS:covina.vcc.internal", "covina",
	         PURPOSE_SERVICE_AUTH, true, AUDIT_STANDARD},
		{"argus_api.v1", "argus_api", 730, 45, KEY_RSA_2048, KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT, EKU_SERVER_AUTH,
	         PROFILE_GDPR, "DNS:api.argus.vcc.internal,DNS:argus.vcc.internal", "argus", PURPOSE_SERVICE_AUTH, true,
	         AUDIT_STANDARD},
		{"veritas_pipeline.v1", "veritas_pipeline", 365, 30, KEY_RSA_2048, KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT,
	         EKU_CLIENT_AUTH, PROFILE_GDPR, "", "veritas", PURPOSE_SERVICE_AUTH, true, AUDIT_STANDARD},
		{"clara_service_auth.v2", "clara_service_auth", 730, 60, KEY_EC_P256, KU_DIGITAL_SIGNATURE,
	         EKU_SERVER_AUTH | EKU_CLIENT_AUTH, PROFILE_AI_ACT | PROFILE_GDPR,
	         "DNS:*.clara.vcc.internal,DNS:clara.vcc.internal", "clara", PURPOSE_SERVICE_AUTH, true, AUDIT_ENHANCED},
		{"operator_admin.v1", "operator_admin", 30, 7, KEY_EC_P256, KU_DIGITAL_SIGNATURE, EKU_CLIENT_AUTH, PROFILE_GDPR, "", "",
	         PURPOSE_ADMIN, false, AUDIT_ENHANCED},
	};
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		struct template t = shipped(rows[i].file);
		assert_string_equal(t.template_id, rows[i].id);
		assert_int_equal(t.validity_ms, rows[i].days * MS_DAY);
		assert_int_equal(t.renewal_threshold_ms, rows[i].threshold * MS_DAY);
		assert_int_equal(t.key_type, rows[i].key);
		assert_int_equal(t.key_usage, rows[i].usage);
		assert_int_equal(t.ext_key_usage, rows[i].extended);
		assert_int_equal(t.profiles, rows[i].profiles);
		assert_string_equal(t.patterns.text, rows[i].patterns);
		assert_string_equal(t.service, rows[i].service);
		assert_int_equal(t.purpose, rows[i].purpose);
		assert_int_equal(t.auto_renewal, rows[i].renew);
		assert_int_equal(t.audit_level, rows[i].level);
		assert_int_equal(t.hash_alg, HASH_SHA256);
	}
	assert_int_equal(shipped("clara_service_auth.v1").emergency_threshold_ms, 7 * MS_DAY);
	assert_int_equal(shipped("clara_service_auth.v1").max_renewals, 5);
	assert_int_equal(shipped("vpb_service.v1").validity_ms, 100 * MS_DAY);
	assert_in_range(shipped("external_service.v1").renewal_threshold_ms, 33 * MS_DAY, 34 * MS_DAY);
	assert_int_equal(shipped("operator_admin.v1").max_renewals, 0);
}

static int parse(const char *text, struct template *ret, struct refusal *why)
{
	return template_json_parse(span_text(text), 5, ret, why);
}

static void defaults(void **state)
{
	(void)state;
	struct template t;
	struct refusal  why;
	assert_int_equal(parse("{\"template_id\":\"a\",\"validity_seconds\":90,\"key_usage\":[],\"extended_key_usage\":[],"
	                       "\"renewal_threshold\":\"1/3\"}",
	                       &t, &why),
	                 0);
	assert_int_equal(t.validity_ms, 90 * MS_SECOND);
	assert_int_equal(t.renewal_threshold_ms, 30 * MS_SECOND);
	assert_int_equal(t.emergency_threshold_ms, 15 * MS_SECOND);
	assert_int_equal(t.max_renewals, 0); /* short ones are renewed without end */
	assert_int_equal(t.max_attempts, 3);
	assert_int_equal(t.retry_ms, MS_HOUR);
	assert_int_equal(t.key_type, KEY_EC_P256);
	assert_true(t.auto_renewal && t.pre_validation && t.post_validation);
	assert_string_equal(t.issuer, "default");

	assert_int_equal(parse("{\"template_id\":\"a\",\"validity_period_days\":45.5,\"key_usage\":[],\"extended_key_usage\":[]}", &t, &why), 0);
	assert_int_equal(t.validity_ms, 45 * MS_DAY + 12 * MS_HOUR);
	assert_int_equal(t.renewal_threshold_ms, 30 * MS_DAY);
	assert_int_equal(t.max_renewals, 5);
}

/* What is less than a second would be written as no threshold, and read as the usual one. */
static void a_threshold_is_at_least_a_second(void **state)
{
	(void)state;
	static const struct {
		const char *threshold;
		bool        taken;
	} rows[] = {{"1ms", false}, {"999ms", false}, {"1s", true}, {"1/10", true}, {"1/100", false}};
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		char            text[200];
		struct template t;
		struct refusal  why = {.code = 0};
		snprintf(text, sizeof(text), "{\"template_id\":\"a\",\"validity_seconds\":90,\"key_usage\":[],\"extended_key_usage\":[],\"renewal_threshold\":\"%s\"}",
			 rows[i].threshold);
		assert_int_equal(parse(text, &t, &why), rows[i].taken ? 0 : E_POLICY_TEMPLATE);
		if (!rows[i].taken)
			assert_non_null(strstr(why.cause, "renewal_threshold"));
	}
}

static void round_trip(void **state)
{
	(void)state;
	static const char *const files[] = {"clara_service_auth.v1", "vpb_service.v1", "operator_admin.v1", "clara_model_signing.v2"};
	for (size_t i = 0; i < 2 * N_ELEMENTS(files); i++) {
		struct template a = shipped(files[i / 2]), b;
		struct refusal  why;
		a.validity_ms += i == 3 ? 90 * MS_SECOND : 0; /* fractional days */
		json_t *json = template_json_write(&a, i % 2 == 0 ? TEMPLATE_FILE : TEMPLATE_ANSWER);
		assert_non_null(json);
		assert_int_equal(template_json_read(json, 5, &b, &why), 0);
		json_decref(json);
		assert_memory_equal(&a, &b, sizeof(a));
	}
}

static void answer_fields(void **state)
{
	(void)state;
	struct template t = shipped("vpb_service.v1");
	t.version = 4;
	t.created_at = 1700000000000;
	json_t *json = template_json_write(&t, TEMPLATE_ANSWER);
	assert_int_equal(json_integer_value(json_object_get(json, "version")), 4);
	assert_int_equal(json_integer_value(json_object_get(json, "validity_period_days")), 100);
	assert_int_equal(json_integer_value(json_object_get(json, "validity_seconds")), 8640000);
	assert_true(json_is_real(json_object_get(json, "renewal_threshold_days")));
	assert_null(json_object_get(json, "renewal_threshold"));
	assert_string_equal(json_string_value(json_object_get(json, "created_at")), "2023-11-14T22:13:20Z");
	json_decref(json);
}

static void wrong_fields_are_named(void **state)
{
	(void)state;
#define BASE "\"template_id\":\"a\",\"validity_period\":\"90d\",\"key_usage\":[\"digitalSignature\"],\"extended_key_usage\":[]"
	static const struct {
		const char *text, *says;
	} rows[] = {
		{"{" BASE ",\"colour\":1}", "colour"},
		{"{" BASE ",\"key_type\":\"DSA\",\"key_size\":1024}", "DSA"},
		{"{" BASE ",\"key_type\":\"RSA\"}", "RSA"},
		{"{" BASE ",\"key_size\":\"256\"}", "key_size"},
		{"{" BASE ",\"hash_algorithm\":\"MD5\"}", "hash_algorithm"},
		{"{" BASE ",\"subject_alt_names\":[\"DNS:a b\"]}", "DNS:a b"},
		{"{" BASE ",\"subject_alt_names\":[\"a.b,c.d\"]}", "subject_alt_names"},
		{"{" BASE ",\"subject_alt_names\":\"a.b\"}", "subject_alt_names"},
		{"{" BASE ",\"compliance_profiles\":[\"ISO\"]}", "compliance_profiles"},
		{"{" BASE ",\"compliance_profiles\":[7]}", "compliance_profiles"},
		{"{" BASE ",\"audit_level\":3}", "audit_level"},
		{"{" BASE ",\"certificate_purpose\":null}", "certificate_purpose"},
		{"{" BASE ",\"max_renewals\":-1}", "max_renewals"},
		{"{" BASE ",\"max_renewal_attempts\":0}", "max_renewal_attempts"},
		{"{" BASE ",\"retry_interval\":\"soon\"}", "retry_interval"},
		{"{" BASE ",\"renewal_threshold_days\":0}", "renewal_threshold_days"},
		{"{" BASE ",\"renewal_threshold_days\":30,\"renewal_threshold\":\"8h\"}", "twice"},
		{"{" BASE ",\"renewal_threshold\":\"1/0\"}", "renewal_threshold"},
		{"{" BASE ",\"emergency_threshold_days\":1e300}", "emergency_threshold_days"},
		{"{" BASE ",\"validity_period_days\":91}", "differ"},
		{"{" BASE ",\"validity_seconds\":1.5}", "validity_seconds"},
		{"{" BASE ",\"auto_renewal_enabled\":\"yes\"}", "auto_renewal_enabled"},
		{"{" BASE ",\"vcc_service_type\":\"No Service\"}", "vcc_service_type"},
		{"{" BASE ",\"name\":\"a\\u0007\"}", "name"},
		{"{" BASE ",\"template_id\":\"b\"}", "duplicate"},
		{"{\"template_id\":\"a\",\"validity_period\":\"90d\",\"key_usage\":[\"keyCertsign\"],\"extended_key_usage\":[]}", "key_usage"},
		{"{\"template_id\":\"a\",\"validity_period\":\"90d\",\"extended_key_usage\":[]}", "key_usage"},
		{"{\"template_id\":\"a\",\"key_usage\":[],\"extended_key_usage\":[]}", "validity_period"},
		{"{\"template_id\":\"a/b\",\"validity_period\":\"90d\",\"key_usage\":[],\"extended_key_usage\":[]}", "template_id"},
		{"{\"validity_period\":\"90d\",\"key_usage\":[],\"extended_key_usage\":[]}", "template_id"},
		{"[]", "object"},
		{"{", "line 1"},
		{"", "line"},
	};
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		struct template t = {.template_id = "untouched"};
		struct refusal  why = {0};
		assert_int_equal(parse(rows[i].text, &t, &why), E_POLICY_TEMPLATE);
		if (strstr(why.cause, rows[i].says) == NULL)
			fail_msg("row %zu: `%s` does not name `%s`", i, why.cause, rows[i].says);
		assert_string_equal(t.template_id, "untouched");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shipped_values), cmocka_unit_test(defaults),
		cmocka_unit_test(a_threshold_is_at_least_a_second), cmocka_unit_test(round_trip),     cmocka_unit_test(answer_fields),
		cmocka_unit_test(wrong_fields_are_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_policy_change.c - room tests/unit: a template is changed: which certificates does it renew, which could be renewed no
 * more? Never: clocks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "controller/core/policy_change.h"
#include "shared/base/times.h"

#define NOW    INT64_C(1800000000123)
#define CA_END (NOW + 1000 * MS_DAY)

static struct names names_of(const char *list)
{
	struct names n = {.text = ""};
	assert_int_equal(names_parse(list, true, &n, NULL), 0);
	return n;
}

static struct template sample(void)
{
	struct template t = {.template_id = "argus_api",
			     .validity_ms = 730 * MS_DAY,
			     .key_usage = KU_DIGITAL_SIGNATURE,
			     .ext_key_usage = EKU_SERVER_AUTH,
			     .service = "argus",
			     .auto_renewal = true,
			     .renewal_threshold_ms = 45 * MS_DAY,
			     .emergency_threshold_ms = 7 * MS_DAY,
			     .max_renewals = 5,
			     .max_attempts = 3,
			     .retry_ms = MS_HOUR,
			     .pre_validation = true,
			     .post_validation = true,
			     .audit_level = AUDIT_STANDARD,
			     .issuer = "default"};
	t.patterns = names_of("argus.vcc.internal,*.argus.vcc.internal");
	return t;
}

static struct certificate certificate_of(void)
{
	struct certificate c = {
		.cert_id = "a1-api", .template_id = "argus_api", .service = "argus", .agent = "a1", .approved = true};
	c.names = names_of("a1.argus.vcc.internal");
	return c;
}

/* One row per field: does its change make a new certificate? */
static void test_renews(void **state)
{
	(void)state;
	enum { YES, NO };
	struct template was = sample(), next;
	struct certificate c = certificate_of();
	int                row = 0;
#define ROW(change, want)                                                                                                      \
	do {                                                                                                                   \
		next = sample();                                                                                               \
		change;                                                                                                        \
		row++;                                                                                                         \
		if (policy_change_renews(&was, &next, &c) != ((want) == YES))                                                  \
			fail_msg("row %d: " #change, row);                                                                     \
	} while (0)
	ROW((void)0, NO);
	ROW(next.validity_ms = 365 * MS_DAY, YES);
	ROW(next.key_type = KEY_EC_P384, YES);
	ROW(next.hash_alg = HASH_SHA384, YES);
	ROW(next.key_usage |= KU_KEY_AGREEMENT, YES);
	ROW(next.ext_key_usage |= EKU_CLIENT_AUTH, YES);
	ROW(next.purpose = PURPOSE_ADMIN, YES);
	ROW(strcpy(next.issuer, "service-2"), YES);
	ROW(next.patterns.text[0] = '\0', YES);
	ROW(next.patterns = names_of("*.argus.vcc.internal"), NO);
	ROW(next.service[0] = '\0', NO);
	ROW(next.auto_renewal = false, NO);
	ROW(next.renewal_threshold_ms = MS_DAY, NO);
	ROW(next.emergency_threshold_ms = MS_DAY, NO);
	ROW(next.max_renewals = 0, NO);
	ROW(next.max_attempts = 1, NO);
	ROW(next.retry_ms = 1000, NO);
	ROW(next.pre_validation = false, NO);
	ROW(next.post_validation = false, NO);
	ROW(next.profiles = PROFILE_BSI_TR, NO);
	ROW(next.audit_level = AUDIT_ENHANCED, NO);
	ROW(strcpy(next.notify, "a@b"), NO);
#undef ROW
	c.names.text[0] = '\0'; /* it has none to lose */
	next = sample();
	next.patterns.text[0] = '\0';
	assert_false(policy_change_renews(&was, &next, &c));
}

static void assert_blocks(const struct template *next, const struct certificate *c, int64_t ca_end, const char *field)
{
	struct refusal why = {0};
	struct template was = sample();
	const char *got = policy_change_blocks(&was, next, c, ca_end, NOW, &why);
	if (field == NULL) {
		assert_null(got);
		return;
	}
	assert_non_null(got);
	assert_string_equal(got, field);
	assert_int_equal(why.code, E_POLICY_BLOCKS);
	assert_string_equal(why.object, c->cert_id);
	assert_non_null(strstr(why.cause, field));
}

static void test_blocks(void **state)
{
	(void)state;
	struct template next = sample();
	struct certificate c = certificate_of();
	assert_blocks(&next, &c, CA_END, NULL);
	next.purpose = PURPOSE_CODE_SIGNING;
	assert_blocks(&next, &c, CA_END, "certificate_purpose");
	next = sample();
	strcpy(next.service, "clara");
	assert_blocks(&next, &c, CA_END, "vcc_service_type");
	next = sample();
	next.patterns = names_of("argus.vcc.internal");
	assert_blocks(&next, &c, CA_END, "subject_alt_names");
	next.patterns.text[0] = '\0'; /* its name would silently go */
	assert_blocks(&next, &c, CA_END, "subject_alt_names");
	next = sample();
	assert_blocks(&next, &c, NOW, "validity_period"); /* the issuer has ended */
	assert_blocks(&next, &c, NOW + MS_DAY, NULL);     /* cut, with an alarm */

	c.unattended = 3;
	next.max_renewals = 3;
	assert_blocks(&next, &c, CA_END, "max_renewals");
	next.max_renewals = 4;
	assert_blocks(&next, &c, CA_END, NULL);
	next.max_renewals = 0;
	assert_blocks(&next, &c, CA_END, NULL);
	c.unattended = 5; /* it waits for a person already */
	next.max_renewals = 2;
	assert_blocks(&next, &c, CA_END, NULL);

	c = certificate_of(); /* a person accepted a name that no template permits: the change takes nothing away */
	c.names = names_of("elsewhere.vcc.internal");
	next = sample();
	next.patterns = names_of("argus.vcc.internal");
	assert_false(policy_change_fits(&next, &c));
	assert_blocks(&next, &c, CA_END, NULL);

	c = certificate_of(); /* likewise of a service that the template was never for */
	strcpy(c.service, "covina");
	next = sample();
	strcpy(next.service, "clara");
	assert_blocks(&next, &c, CA_END, NULL);

	c = certificate_of(); /* without names: only a server cannot be */
	c.names.text[0] = '\0';
	next = sample();
	assert_false(policy_change_fits(&next, &c));
	next.ext_key_usage = EKU_CLIENT_AUTH;
	assert_true(policy_change_fits(&next, &c));
}

static void test_violations(void **state)
{
	(void)state;
	struct template t = sample();
	const char *profile, *field, *text;
	t.key_type = KEY_RSA_2048;
	assert_false(policy_violation(&t, 0, &profile, &field, &text)); /* it promises nothing */
	t.profiles = PROFILE_BSI_TR;
	assert_true(policy_violation(&t, 0, &profile, &field, &text));
	assert_string_equal(profile, "BSI_TR");
	assert_string_equal(field, "key_size");
	assert_false(policy_violation(&t, 1, &profile, &field, &text));
	t.profiles |= PROFILE_GDPR | PROFILE_AI_ACT;
	t.post_validation = false;
	t.audit_level = AUDIT_MINIMAL;
	assert_true(policy_violation(&t, 3, &profile, &field, &text));
	assert_string_equal(field, "audit_level");
	assert_false(policy_violation(&t, 4, &profile, &field, &text));
	t = sample();
	t.profiles = PROFILE_BSI_TR | PROFILE_GDPR | PROFILE_AI_ACT;
	assert_false(policy_violation(&t, 0, &profile, &field, &text));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_renews),
		cmocka_unit_test(test_blocks),
		cmocka_unit_test(test_violations),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

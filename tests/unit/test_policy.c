/* test_policy.c - room tests/unit: templates, names, eligibility, due times, facts: what is refused, and what comes out?
 * Never: clocks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "controller/core/policy.h"
#include "shared/base/times.h"

#define NOW INT64_C(1800000000123)

static const struct policy_limits limits = {.jitter_share = 100};
static const struct policy_limits limits_short = {.jitter_share = 100, .allow_short_validity = true};

static struct names names_of(const char *list)
{
	struct names n = {.text = ""};
	assert_int_equal(names_parse(list, true, &n, NULL), 0);
	return n;
}

static struct template sample(void)
{
	struct template t = {
		.template_id = "argus_api",
		.version = 1,
		.validity_ms = 730 * MS_DAY,
		.key_type = KEY_EC_P256,
		.key_usage = KU_DIGITAL_SIGNATURE,
		.ext_key_usage = EKU_SERVER_AUTH,
		.service = "argus",
		.auto_renewal = true,
		.renewal_threshold_ms = 45 * MS_DAY,
		.emergency_threshold_ms = 7 * MS_DAY,
		.max_renewals = 5,
		.max_attempts = 3,
		.retry_ms = MS_HOUR,
		.post_validation = true,
		.issuer = "default",
	};
	t.patterns = names_of("argus.vcc.internal,*.argus.vcc.internal");
	return t;
}

static struct template signing(void)
{
	struct template t = sample();
	t.purpose = PURPOSE_CODE_SIGNING;
	t.ext_key_usage = EKU_CODE_SIGNING;
	t.patterns.text[0] = '\0';
	return t;
}

static struct agent agent_of(const char *patterns)
{
	struct agent a = {.name = "a1", .service = "argus"};
	a.patterns = names_of(patterns);
	return a;
}

static struct certificate certificate_of(void)
{
	struct certificate c = {.cert_id = "a1-api",
				.template_id = "argus_api",
				.service = "argus",
				.agent = "a1",
				.approved = true,
				.proved = true};
	c.names = names_of("argus.vcc.internal");
	c.serial.b[0] = 1;
	c.not_before_at = NOW - 700 * MS_DAY;
	c.not_after_at = NOW + 30 * MS_DAY;
	c.renew_at = NOW - MS_DAY;
	return c;
}

/* ---- templates ---- */

static void assert_refused(const struct template *t, const struct policy_limits *l, const char *word)
{
	struct refusal why = {0};
	assert_int_equal(policy_template_check(t, l, &why), E_POLICY_TEMPLATE);
	assert_int_equal(why.code, E_POLICY_TEMPLATE);
	assert_string_equal(why.object, t->template_id);
	if (strstr(why.cause, word) == NULL)
		fail_msg("`%s` does not speak of %s", why.cause, word);
}

static void test_template_refused(void **state)
{
	(void)state;
	struct template t = sample();
	t.validity_ms = 59999;
	t.renewal_threshold_ms = 1000;
	assert_refused(&t, &limits, "validity_period");
	t.validity_ms = 4999;
	assert_refused(&t, &limits_short, "5s");
	t = sample();
	t.validity_ms = INT64_MAX;
	assert_refused(&t, &limits, "validity_period");
	t = sample();
	t.validity_ms = 10 * MS_DAY;
	t.renewal_threshold_ms = 8 * MS_DAY;
	assert_refused(&t, &limits, "691199s"); /* the largest allowed value: one second below 8 days */
	t = sample();
	t.renewal_threshold_ms = 0;
	assert_refused(&t, &limits, "renewal_threshold");
	t.renewal_threshold_ms = -1;
	t.auto_renewal = false;
	assert_refused(&t, &limits, "renewal_threshold");
	t = sample();
	t.emergency_threshold_ms = -1;
	assert_refused(&t, &limits, "emergency_threshold");
	t = sample();
	t.key_usage |= KU_KEY_CERT_SIGN;
	assert_refused(&t, &limits, "keyCertSign");
	t = sample();
	t.ext_key_usage |= EKU_OCSP_SIGNING;
	assert_refused(&t, &limits, "OCSPSigning");
	t = sample();
	t.validity_ms = 825 * MS_DAY + 1;
	assert_refused(&t, &limits, "validity_period is above 825d");
	t = sample();
	t.key_usage |= KU_NON_REPUDIATION;
	assert_refused(&t, &limits, "key_usage for service_auth");
	t = sample();
	t.ext_key_usage |= 1U << 15; /* a use that nobody has named yet */
	assert_refused(&t, &limits, "extended_key_usage for service_auth");
	t = signing();
	t.key_type = KEY_RSA_2048;
	assert_refused(&t, &limits, "key_size");
	t = signing();
	t.key_usage |= KU_KEY_ENCIPHERMENT;
	assert_refused(&t, &limits, "key_usage for code_signing");
	t = sample();
	t.ext_key_usage |= EKU_CODE_SIGNING;
	assert_refused(&t, &limits, "codeSigning");
	t = signing();
	t.ext_key_usage |= EKU_SERVER_AUTH;
	assert_refused(&t, &limits, "codeSigning");
	t = signing();
	t.patterns = names_of("x.vcc.internal");
	assert_refused(&t, &limits, "subject_alt_names");
	t = sample();
	t.purpose = PURPOSE_ADMIN;
	assert_refused(&t, &limits, "clientAuth");
	t = sample();
	t.max_attempts = 0;
	assert_refused(&t, &limits, "max_renewal_attempts");
	t.max_attempts = 101;
	assert_refused(&t, &limits, "max_renewal_attempts");
	t = sample();
	t.retry_ms = 999;
	assert_refused(&t, &limits, "retry_interval");
	t.retry_ms = 30 * MS_DAY + 1;
	assert_refused(&t, &limits, "retry_interval");
	t = sample();
	t.key_type = KEY_TYPE_COUNT;
	assert_refused(&t, &limits, "key_type");
	t = sample();
	t.hash_alg = HASH_ALG_COUNT;
	assert_refused(&t, &limits, "hash_algorithm");
	t = sample();
	t.purpose = PURPOSE_COUNT;
	assert_refused(&t, &limits, "certificate_purpose");
	t = sample();
	strcpy(t.service, "No Service");
	assert_refused(&t, &limits, "vcc_service_type");
	t = sample();
	strcpy(t.template_id, "Bad.Id");
	assert_refused(&t, &limits, "template_id");
	t = sample();
	t.issuer[0] = '\0';
	assert_refused(&t, &limits, "issuer");
}

static void test_template_accepted(void **state)
{
	(void)state;
	struct template t = sample();
	assert_int_equal(policy_template_check(&t, &limits, NULL), 0);
	t = signing();
	assert_int_equal(policy_template_check(&t, &limits, NULL), 0);
	t = sample();
	t.validity_ms = 60 * MS_SECOND;
	t.renewal_threshold_ms = 20 * MS_SECOND;
	assert_int_equal(policy_template_check(&t, &limits, NULL), 0);
	t.validity_ms = 5 * MS_SECOND;
	t.renewal_threshold_ms = 2 * MS_SECOND;
	assert_int_equal(policy_template_check(&t, &limits_short, NULL), 0);
	t = sample();
	t.auto_renewal = false;
	t.renewal_threshold_ms = 0;
	assert_int_equal(policy_template_check(&t, &limits, NULL), 0);
	t = sample();
	t.ext_key_usage = 0; /* a list may be empty */
	t.key_usage = 0;
	assert_int_equal(policy_template_check(&t, &limits, NULL), 0);
	t = sample();
	t.service[0] = '\0'; /* for any service */
	assert_int_equal(policy_template_check(&t, &limits, NULL), 0);
	t = sample();
	t.purpose = PURPOSE_ADMIN;
	t.ext_key_usage = EKU_CLIENT_AUTH;
	t.validity_ms = LEAF_DAYS_OPERATOR * MS_DAY;
	t.renewal_threshold_ms = MS_DAY;
	assert_int_equal(policy_template_check(&t, &limits, NULL), 0);
}

/* ---- assignment ---- */

static void test_assign(void **state)
{
	(void)state;
	struct template t = sample();
	struct agent   a = agent_of("*.argus.vcc.internal,argus.vcc.internal");
	struct names   in = names_of("argus.vcc.internal,api.argus.vcc.internal");
	struct names   out_of_invite = names_of("argus.vcc.internal");
	struct names   out_of_template = names_of("other.vcc.internal");
	struct names   wildcard = names_of("*.argus.vcc.internal"), ip = names_of("192.0.2.1"), none = names_of("");
	struct refusal why = {0};

	assert_int_equal(policy_assign(&a, &t, "covina", &in, &why), E_POLICY_SERVICE);
	assert_int_equal(policy_assign(&a, &t, "", &in, &why), E_POLICY_SERVICE);
	assert_int_equal(policy_assign(&a, &t, "argus", &out_of_template, &why), E_POLICY_NAMES);
	assert_non_null(strstr(why.cause, "DNS:other.vcc.internal"));
	assert_int_equal(policy_assign(&a, &t, "argus", &ip, &why), E_POLICY_NAMES);
	assert_non_null(strstr(why.cause, "IP:192.0.2.1"));
	assert_int_equal(policy_assign(&a, &t, "argus", &none, &why), E_POLICY_NAMES);
	struct agent narrow = agent_of("api.argus.vcc.internal");
	assert_int_equal(policy_assign(&narrow, &t, "argus", &out_of_invite, &why), E_POLICY_NAMES);
	assert_non_null(strstr(why.cause, "invite"));

	assert_int_equal(policy_assign(&a, &t, "argus", &in, NULL), 0);
	assert_int_equal(policy_assign(&a, &t, "argus", &wildcard, NULL), 0); /* literally assigned */
	struct agent literal = agent_of("api.argus.vcc.internal");
	assert_int_equal(policy_assign(&literal, &t, "argus", &wildcard, NULL), E_POLICY_NAMES);

	struct template client = sample();
	client.patterns.text[0] = '\0';
	client.ext_key_usage = EKU_CLIENT_AUTH;
	assert_int_equal(policy_assign(&a, &client, "argus", &none, NULL), 0);
	assert_int_equal(policy_assign(&a, &client, "argus", &in, NULL), E_POLICY_NAMES);

	client = sample();
	client.ext_key_usage = EKU_CLIENT_AUTH; /* a client may go without the names that it could have */
	assert_int_equal(policy_assign(&a, &client, "argus", &none, NULL), 0);
	a.service[0] = '\0'; /* invited for no service in particular */
	assert_int_equal(policy_assign(&a, &t, "argus", &in, NULL), 0);
	assert_int_equal(policy_assign(&a, &t, "covina", &in, NULL), E_POLICY_SERVICE); /* the template still is for one */
}

static void test_assign_external(void **state)
{
	(void)state;
	struct template t = sample();
	strcpy(t.service, "external");
	struct agent a = agent_of("argus.vcc.internal");
	struct names n = names_of("argus.vcc.internal");
	assert_int_equal(policy_assign(&a, &t, "argus", &n, NULL), E_POLICY_SERVICE);
	strcpy(a.service, "billing");
	assert_int_equal(policy_assign(&a, &t, "billing", &n, NULL), 0);
	assert_int_equal(policy_assign(&a, &t, "argus", &n, NULL), E_POLICY_SERVICE); /* invited for billing */
	t.service[0] = '\0';
	assert_int_equal(policy_assign(&a, &t, "billing", &n, NULL), 0);
}

static void test_request(void **state)
{
	(void)state;
	struct template t = sample();
	struct names inside = names_of("a.argus.vcc.internal"), outside = names_of("a.clara.vcc.internal"), none = {.text = ""};
	assert_int_equal(policy_request(&t, "argus", &inside, NULL), 0);
	assert_int_equal(policy_request(&t, "argus", &outside, NULL), E_POLICY_NAMES);
	assert_int_equal(policy_request(&t, "argus", &none, NULL), E_POLICY_NAMES);
	assert_int_equal(policy_request(&t, "clara", &inside, NULL), E_POLICY_SERVICE);
	assert_int_equal(policy_request(&t, "", &inside, NULL), E_POLICY_SERVICE);
	assert_int_equal(policy_request(&t, "Not a service", &inside, NULL), E_POLICY_SERVICE);
	t = signing();
	assert_int_equal(policy_request(&t, "argus", &none, NULL), 0);
	assert_int_equal(policy_request(&t, "argus", &inside, NULL), E_POLICY_NAMES);
	t.purpose = PURPOSE_ADMIN;
	t.service[0] = '\0';
	assert_int_equal(policy_request(&t, "", &none, NULL), 0);
	assert_int_equal(policy_request(&t, "argus", &none, NULL), E_POLICY_SERVICE); /* it opens the whole installation */
}

static void test_may_follow(void **state)
{
	(void)state;
	struct certificate c = certificate_of();
	assert_int_equal(policy_may_follow(&c), E_ISSUE_AGENT);
	c.agent[0] = '\0';
	assert_int_equal(policy_may_follow(&c), 0);
	c.open_order = (struct id){{1}};
	assert_int_equal(policy_may_follow(&c), E_ORDER_OPEN);
	c.suspended_at = 1;
	assert_int_equal(policy_may_follow(&c), E_ORDER_SUSPENDED);
	c.retired_at = 1;
	assert_int_equal(policy_may_follow(&c), E_ORDER_RETIRED);
	c.revoked_at = 1;
	assert_int_equal(policy_may_follow(&c), E_ORDER_REVOKED);
}

/* ---- eligibility ---- */

static void assert_eligible(const struct certificate *c, const struct template *t, const struct order *open,
			    enum trigger trigger, bool force, int want, bool want_approval)
{
	bool approval = false;
	int  r = policy_eligible(c, t, open, trigger, force, NOW, &approval);
	assert_int_equal(r, want);
	assert_int_equal(approval, want_approval);
}

static void test_eligible_refused(void **state)
{
	(void)state;
	struct template t = sample();
	struct certificate c = certificate_of();
	c.revoked_at = 1;
	assert_eligible(&c, &t, NULL, TRIGGER_MANUAL, true, E_ORDER_REVOKED, false);
	c = certificate_of();
	c.suspended_at = 1;
	assert_eligible(&c, &t, NULL, TRIGGER_MANUAL, true, E_ORDER_SUSPENDED, false);
	assert_eligible(&c, &t, NULL, TRIGGER_EMERGENCY, true, E_ORDER_SUSPENDED, false);
	c = certificate_of();
	c.retired_at = 1;
	assert_eligible(&c, &t, NULL, TRIGGER_SCHEDULED, false, E_ORDER_RETIRED, false);
	c = certificate_of();
	c.agent[0] = '\0';
	assert_eligible(&c, &t, NULL, TRIGGER_MANUAL, true, E_ORDER_NO_AGENT, false);
	c = certificate_of();
	c.approved = false;
	assert_eligible(&c, &t, NULL, TRIGGER_MANUAL, true, E_POLICY_APPROVAL, false);

	c = certificate_of();
	c.open_order = (struct id){{7}};
	struct order open = {.phase = ORDER_ISSUED};
	struct order paused = {.phase = ORDER_PAUSED};
	struct order waits = {.phase = ORDER_RETRY_WAIT};
	assert_eligible(&c, &t, &open, TRIGGER_MANUAL, true, E_ORDER_OPEN, false);
	assert_eligible(&c, &t, NULL, TRIGGER_MANUAL, true, E_ORDER_OPEN, false);
	assert_eligible(&c, &t, &paused, TRIGGER_SCHEDULED, false, E_ORDER_OPEN, false);
	assert_eligible(&c, &t, &paused, TRIGGER_MANUAL, false, 0, false);
	assert_eligible(&c, &t, &waits, TRIGGER_MANUAL, false, E_ORDER_OPEN, false);
	assert_eligible(&c, &t, &waits, TRIGGER_SCHEDULED, true, E_ORDER_OPEN, false);
	assert_eligible(&c, &t, &waits, TRIGGER_MANUAL, true, 0, false); /* force passes the back-off */

	c = certificate_of();
	c.renew_at = NOW + 1;
	assert_eligible(&c, &t, NULL, TRIGGER_SCHEDULED, false, E_ORDER_NOT_DUE, false);
	c.not_after_at = NOW + 46 * MS_DAY;
	assert_eligible(&c, &t, NULL, TRIGGER_MANUAL, false, E_ORDER_NOT_DUE, false);
	c = certificate_of();
	t.auto_renewal = false;
	assert_eligible(&c, &t, NULL, TRIGGER_SCHEDULED, false, E_ORDER_NOT_DUE, false);
}

/* A campaign passes the threshold, and nothing else. */
static void test_eligible_in_campaign(void **state)
{
	(void)state;
	struct template    t = sample();
	struct certificate c = certificate_of();
	struct order       open = {.phase = ORDER_RETRY_WAIT}, paused = {.phase = ORDER_PAUSED};
	bool               approval = true;
	c.suspended_at = 1;
	assert_int_equal(policy_eligible_in_campaign(&c, &t, NULL, TRIGGER_EMERGENCY, &approval), E_ORDER_SUSPENDED);
	c = certificate_of();
	c.revoked_at = 1;
	assert_int_equal(policy_eligible_in_campaign(&c, &t, NULL, TRIGGER_EMERGENCY, &approval), E_ORDER_REVOKED);
	c = certificate_of();
	c.open_order = (struct id){{7}};
	assert_int_equal(policy_eligible_in_campaign(&c, &t, &open, TRIGGER_MANUAL, &approval), E_ORDER_OPEN);
	assert_int_equal(policy_eligible_in_campaign(&c, &t, &paused, TRIGGER_MANUAL, &approval), 0);
	c = certificate_of();
	c.not_after_at = NOW + 300 * MS_DAY; /* far from due */
	assert_int_equal(policy_eligible_in_campaign(&c, &t, NULL, TRIGGER_MANUAL, &approval), 0);
	assert_false(approval);
	t.max_renewals = 2;
	c.unattended = 2;
	assert_int_equal(policy_eligible_in_campaign(&c, &t, NULL, TRIGGER_POLICY_UPDATE, &approval), 0);
	assert_true(approval);
	assert_int_equal(policy_eligible_in_campaign(&c, &t, NULL, TRIGGER_EMERGENCY, &approval), 0);
	assert_false(approval);
	t.purpose = PURPOSE_CODE_SIGNING;
	assert_int_equal(policy_eligible_in_campaign(&c, &t, NULL, TRIGGER_EMERGENCY, &approval), 0);
	assert_true(approval);
}

static void test_eligible(void **state)
{
	(void)state;
	struct template t = sample();
	struct certificate c = certificate_of();
	assert_eligible(&c, &t, NULL, TRIGGER_SCHEDULED, false, 0, false);
	assert_eligible(&c, &t, NULL, TRIGGER_MANUAL, false, 0, false);
	c.not_after_at = NOW - MS_DAY; /* expired is due */
	assert_eligible(&c, &t, NULL, TRIGGER_MANUAL, false, 0, false);
	c.not_after_at = NOW + 300 * MS_DAY;
	assert_eligible(&c, &t, NULL, TRIGGER_MANUAL, true, 0, false);
	assert_eligible(&c, &t, NULL, TRIGGER_POLICY_UPDATE, false, 0, false); /* campaigns skip the threshold */
	c.serial = (struct serial){0};
	c.not_after_at = 0;
	assert_eligible(&c, &t, NULL, TRIGGER_MANUAL, false, 0, false); /* first issue */

	c = certificate_of();
	c.unattended = 4;
	assert_eligible(&c, &t, NULL, TRIGGER_SCHEDULED, false, 0, false);
	c.unattended = 5;
	assert_eligible(&c, &t, NULL, TRIGGER_SCHEDULED, false, 0, true);
	assert_eligible(&c, &t, NULL, TRIGGER_SERVICE_UPDATE, false, 0, true);
	assert_eligible(&c, &t, NULL, TRIGGER_MANUAL, false, 0, false);
	assert_eligible(&c, &t, NULL, TRIGGER_SCHEDULED, true, 0, false);
	assert_eligible(&c, &t, NULL, TRIGGER_EMERGENCY, false, 0, false);
	t.max_renewals = 0;
	assert_eligible(&c, &t, NULL, TRIGGER_SCHEDULED, false, 0, false);

	t = signing();
	assert_eligible(&c, &t, NULL, TRIGGER_EMERGENCY, true, 0, true);
}

/* ---- times ---- */

static void test_validity(void **state)
{
	(void)state;
	struct template t = sample();
	int64_t from = 0, to = 0;
	bool    cut = true;
	assert_int_equal(policy_validity(&t, NOW + 1000 * MS_DAY, NOW, &from, &to, &cut), 0);
	assert_int_equal(from, (NOW - 5 * MS_MINUTE) / 1000 * 1000);
	assert_int_equal(to, (NOW + 730 * MS_DAY) / 1000 * 1000);
	assert_false(cut);

	t.validity_ms = 90 * MS_SECOND;
	assert_int_equal(policy_validity(&t, NOW + 1000 * MS_DAY, NOW, &from, &to, &cut), 0);
	assert_int_equal(from, (NOW - MS_SECOND) / 1000 * 1000);

	t = sample();
	assert_int_equal(policy_validity(&t, NOW + 10 * MS_DAY, NOW, &from, &to, &cut), 0);
	assert_int_equal(to, (NOW + 10 * MS_DAY) / 1000 * 1000);
	assert_true(cut);

	from = to = 1;
	assert_int_equal(policy_validity(&t, NOW - 1, NOW, &from, &to, &cut), E_SIGNER_LIMIT); /* the issuer has ended */
	t = signing();
	assert_int_equal(policy_validity(&t, NOW + 10 * MS_DAY, NOW, &from, &to, &cut), E_ISSUE_OUTLIVES);
	assert_int_equal(from, 1);
	assert_int_equal(to, 1);
}

static void test_renew_at(void **state)
{
	(void)state;
	struct template t = sample();
	int64_t from = NOW, to = NOW + 730 * MS_DAY, threshold = 45 * MS_DAY;
	int64_t least = INT64_MAX, most = 0;
	for (uint8_t i = 0; i < 200; i++) {
		struct serial s = {{1, i}};
		int64_t       at = policy_renew_at(&t, "a1-api", s, from, to, &limits);
		assert_true(at >= to - threshold && at <= to - threshold + threshold / 10);
		assert_int_equal(at, policy_renew_at(&t, "a1-api", s, from, to, &limits));
		least = at < least ? at : least;
		most = at > most ? at : most;
	}
	assert_true(most - least > threshold / 10 * 8 / 10); /* it spreads over the range */
	struct serial s = {{1}};
	assert_int_not_equal(policy_renew_at(&t, "a1-api", s, from, to, &limits),
			     policy_renew_at(&t, "a2-api", s, from, to, &limits));

	static const struct policy_limits without = {.jitter_share = 0};
	assert_int_equal(policy_renew_at(&t, "a1-api", s, from, to, &without), to - threshold);

	/* cut to its issuer's end: not due at birth */
	assert_true(policy_renew_at(&t, "a1-api", s, NOW, NOW + 10 * MS_DAY, &limits) > NOW + MS_DAY);
	t.auto_renewal = false;
	assert_true(policy_renew_at(&t, "a1-api", s, from, to, &limits) == TIME_NEVER);

	/* what signs code is asked about at its threshold, whether or not the template renews by itself */
	t = signing();
	t.auto_renewal = false;
	assert_true(policy_renew_at(&t, "a1-api", s, from, to, &limits) >= to - threshold && policy_renew_at(&t, "a1-api", s, from, to, &limits) < to);
	struct certificate c = certificate_of();
	c.serial = s;
	c.not_after_at = to;
	c.renew_at = NOW;
	assert_eligible(&c, &t, NULL, TRIGGER_SCHEDULED, false, 0, true);
	c.renew_at = NOW + 1;
	assert_eligible(&c, &t, NULL, TRIGGER_SCHEDULED, false, E_ORDER_NOT_DUE, false);
	t.purpose = PURPOSE_SERVICE_AUTH;
	c.renew_at = NOW;
	assert_eligible(&c, &t, NULL, TRIGGER_SCHEDULED, false, E_ORDER_NOT_DUE, false);
}

/* ---- facts and status ---- */

static void test_facts(void **state)
{
	(void)state;
	struct template t = sample();
	struct certificate c = certificate_of();
	struct cert_facts  f = {.crl_shard = 3, .issuer_id = "service-1"};
	char               too_long[SUBJECT_SIZE + 1];
	memset(too_long, 'x', sizeof(too_long) - 1);
	too_long[SUBJECT_SIZE] = '\0';
	assert_int_not_equal(policy_facts(&c, &t, too_long, NOW, NOW + 1000, &f), 0);
	assert_string_equal(f.organisation, "");
	t.purpose = PURPOSE_COUNT;
	assert_int_equal(policy_facts(&c, &t, "VCC", NOW, NOW + 1000, &f), E_POLICY_TEMPLATE);
	assert_string_equal(f.organisation, "");
	t = sample();

	c.names = names_of("argus.vcc.internal,192.0.2.1");
	assert_int_equal(policy_facts(&c, &t, "VCC", NOW, NOW + 1000, &f), 0);
	assert_string_equal(f.common_name, "argus.vcc.internal");
	assert_string_equal(f.organisation, "VCC");
	assert_true(names_equal(&f.names, &c.names));
	assert_int_equal(f.profile, LEAF_SERVICE);
	assert_int_equal(f.ext_key_usage, EKU_SERVER_AUTH);
	assert_int_equal(f.crl_shard, 3);
	assert_string_equal(f.issuer_id, "service-1");

	c.names = names_of("a234567890123456789012345678901234567890123456789012345.argus.vcc.internal");
	assert_int_equal(policy_facts(&c, &t, "VCC", NOW, NOW + 1000, &f), 0);
	assert_string_equal(f.common_name, "a1-api"); /* longer than X.520 allows */
	c.names = names_of("192.0.2.1");
	assert_int_equal(policy_facts(&c, &t, "VCC", NOW, NOW + 1000, &f), 0);
	assert_string_equal(f.common_name, "a1-api");

	t = signing();
	c.names = names_of("argus.vcc.internal");
	assert_int_equal(policy_facts(&c, &t, "VCC", NOW, NOW + 1000, &f), 0);
	assert_string_equal(f.common_name, "a1-api");
	assert_string_equal(f.names.text, "");
	assert_int_equal(f.profile, LEAF_CODE_SIGNING);
	t.purpose = PURPOSE_ADMIN;
	assert_int_equal(policy_facts(&c, &t, "VCC", NOW, NOW + 1000, &f), 0);
	assert_int_equal(f.profile, LEAF_OPERATOR);
}

static void test_alerts(void **state)
{
	(void)state;
	struct template    t = sample();
	struct certificate c = certificate_of();
	static const struct {
		uint32_t max, unattended;
		bool     near, used;
	} rows[] = {{0, 9, false, false}, {5, 3, false, false}, {5, 4, true, false}, {5, 5, false, true}, {5, 7, false, true}, {1, 0, true, false}};
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		t.max_renewals = rows[i].max;
		c.unattended = rows[i].unattended;
		assert_int_equal(policy_alerts(POLICY_ALERT_RENEWALS_NEAR, &c, &t, NOW), rows[i].near);
		assert_int_equal(policy_alerts(POLICY_ALERT_RENEWALS_USED, &c, &t, NOW), rows[i].used);
	}
	c.not_after_at = NOW + t.emergency_threshold_ms + 1;
	assert_false(policy_alerts(POLICY_ALERT_EMERGENCY, &c, &t, NOW));
	assert_int_equal(policy_crossing_at(&c, &t, NOW), NOW + 1);
	assert_true(policy_alerts(POLICY_ALERT_EMERGENCY, &c, &t, NOW + 1));
	assert_int_equal(policy_crossing_at(&c, &t, NOW + 1), c.not_after_at);
	assert_true(policy_crossing_at(&c, &t, c.not_after_at) == TIME_NEVER);
	assert_int_equal(policy_alert_at(&c, &t, INT64_MIN), NOW + 1); /* each once: threshold, end */
	assert_int_equal(policy_alert_at(&c, &t, NOW), NOW + 1);
	assert_int_equal(policy_alert_at(&c, &t, NOW + 1), c.not_after_at);
	assert_true(policy_alert_at(&c, &t, c.not_after_at) == TIME_NEVER);
	c.not_after_at = NOW + 100 * MS_DAY;
	assert_int_equal(policy_crossing_at(&c, &t, NOW), NOW + 55 * MS_DAY);
	c.retired_at = 1;
	assert_false(policy_alerts(POLICY_ALERT_RENEWALS_USED, &c, &t, NOW));
	assert_true(policy_alert_at(&c, &t, INT64_MIN) == TIME_NEVER);
	c.serial = (struct serial){0};
	assert_true(policy_crossing_at(&c, &t, NOW) == TIME_NEVER);
	c = certificate_of();
	c.revoked_at = 1;
	assert_true(policy_alert_at(&c, &t, INT64_MIN) == TIME_NEVER);

	/* what was never issued has no end to come near to */
	c = certificate_of();
	c.serial = (struct serial){0};
	c.not_after_at = 0;
	assert_false(policy_alerts(POLICY_ALERT_EMERGENCY, &c, &t, NOW));
	assert_true(policy_alert_at(&c, &t, INT64_MIN) == TIME_NEVER);
}

/* Names stand in messages and in the metrics: each its own, and none for a number that is no alert. */
static void test_alert_names(void **state)
{
	(void)state;
	struct template    t = sample();
	struct certificate c = certificate_of();
	c.unattended = t.max_renewals;
	c.serial_revoked_at = 1;
	c.not_after_at = NOW;
	for (int a = 0; a < POLICY_ALERT_COUNT; a++) {
		assert_string_not_equal(policy_alert_name((enum policy_alert)a), "unknown");
		for (int b = 0; b < a; b++)
			assert_string_not_equal(policy_alert_name((enum policy_alert)a), policy_alert_name((enum policy_alert)b));
	}
	static const int none[] = {POLICY_ALERT_COUNT, POLICY_ALERT_COUNT + 1};
	for (size_t i = 0; i < N_ELEMENTS(none); i++) {
		assert_string_equal(policy_alert_name((enum policy_alert)none[i]), "unknown");
		assert_false(policy_alerts((enum policy_alert)none[i], &c, &t, NOW));
	}
}

/* Every combination of facts: the strongest that holds is the state (LIFECYCLE 3). */
static void test_status(void **state)
{
	(void)state;
	struct template t = sample();
	for (unsigned facts = 0; facts < 256; facts++) {
		bool ended = facts & 1, current_revoked = facts & 128, revoked = ended || current_revoked, suspended = facts & 2, expired = facts & 4, expiring = facts & 8, proved = facts & 16,
		     issued = facts & 32, retired = facts & 64;
		struct certificate c = certificate_of();
		c.revoked_at = ended ? 1 : 0;
		c.serial_revoked_at = current_revoked ? 2 : 0;
		c.suspended_at = suspended ? 1 : 0;
		c.retired_at = retired ? 1 : 0;
		c.not_after_at = expired ? NOW : expiring ? NOW + 45 * MS_DAY : NOW + 45 * MS_DAY + 1;
		c.proved = proved;
		if (!issued)
			c.serial = (struct serial){0};
		enum cert_status want = revoked     ? CERT_REVOKED
					: suspended ? CERT_SUSPENDED
					: !issued   ? CERT_REQUESTED
					: expired   ? CERT_EXPIRED
					: retired   ? CERT_ISSUED
					: expiring  ? CERT_EXPIRING
					: proved    ? CERT_ACTIVE
						    : CERT_ISSUED;
		assert_int_equal(policy_revoked_at(&c), ended ? 1 : current_revoked ? 2 : 0);
		assert_int_equal(policy_alerts(POLICY_ALERT_REVOKED, &c, &t, NOW), current_revoked && !ended && !retired);
		if (policy_status(&c, &t, NOW) != want)
			fail_msg("facts %u: %s, not %s", facts, cert_status_name(policy_status(&c, &t, NOW)), cert_status_name(want));
		bool threshold_alone = want == CERT_EXPIRING; /* without its template nobody knows the threshold */
		assert_int_equal(policy_status(&c, NULL, NOW), threshold_alone ? (proved ? CERT_ACTIVE : CERT_ISSUED) : want);
	}
}

static void test_issuance_status(void **state)
{
	(void)state;
	struct template t = sample();
	for (int st = 0; st < ISSUANCE_STATE_COUNT; st++) {
		for (unsigned facts = 0; facts < 8; facts++) {
			bool held = facts & 1, expired = facts & 2, expiring = facts & 4;
			struct issuance i = {.state = (enum issuance_state)st, .held_at = held ? 1 : 0, .not_before_at = NOW - 700 * MS_DAY};
			i.not_after_at = expired ? NOW : expiring ? NOW + 45 * MS_DAY : NOW + 100 * MS_DAY;
			enum cert_status want = st == ISSUANCE_REVOKED                          ? CERT_REVOKED
						: held                                          ? CERT_SUSPENDED
						: st == ISSUANCE_INTENT || st == ISSUANCE_VOID ? CERT_REQUESTED
						: expired                                       ? CERT_EXPIRED
						: st == ISSUANCE_RENEWED                        ? CERT_RENEWED
						: expiring                                      ? CERT_EXPIRING
						: st == ISSUANCE_ACTIVE                         ? CERT_ACTIVE
												: CERT_ISSUED;
			assert_int_equal(policy_issuance_status(&i, &t, NOW), want);
			enum cert_status without_template = want != CERT_EXPIRING ? want : st == ISSUANCE_ACTIVE ? CERT_ACTIVE : CERT_ISSUED;
			assert_int_equal(policy_issuance_status(&i, NULL, NOW), without_template);
		}
	}
}

/* 10,000 certificates that were made in one second, as a mass order leaves them: their renewals do not come as one wave again. */
static void test_jitter_spreads(void **state)
{
	(void)state;
	enum { BORN = 10000, BINS = 24 };
	static const char *const forms[] = {"host%05u-web", "clara-%u", "%u", "argus%03u-very-long-name-of-a-service-that-somebody-chose"};
	struct template          t = sample();
	int64_t from = NOW, to = NOW + 730 * MS_DAY, first = to - 45 * MS_DAY, range = 45 * MS_DAY / 10;
	for (size_t f = 0; f < N_ELEMENTS(forms); f++) {
		unsigned bins[BINS] = {0};
		uint64_t random = 88172645463325252u + f;
		for (unsigned i = 0; i < BORN; i++) {
			char          id[CERT_ID_SIZE];
			struct serial s = {{0x10, 0, 0, 0, 0, (uint8_t)(i >> 8), (uint8_t)i}}; /* ordered counter, then random (DESIGN 3) */
			for (size_t k = 7; k < sizeof(s.b); k++) {
				random ^= random << 13;
				random ^= random >> 7;
				random ^= random << 17;
				s.b[k] = (uint8_t)(random >> 32);
			}
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
			snprintf(id, sizeof(id), forms[f], i);
#pragma GCC diagnostic pop
			int64_t at = policy_renew_at(&t, id, s, from, to, &limits) - first;
			assert_true(at >= 0 && at <= range);
			bins[at == range ? BINS - 1 : at * BINS / range]++;
		}
		for (size_t b = 0; b < BINS; b++)
			if (bins[b] * BINS > BORN * 12 / 10)
				fail_msg("%s: bin %zu holds %u of %d", forms[f], b, bins[b], BORN);
	}
}

static void test_ranks(void **state)
{
	(void)state;
	const struct {
		enum trigger trigger;
		bool         in_campaign;
	} order[] = {{TRIGGER_EMERGENCY, true},       {TRIGGER_MANUAL, false}, {TRIGGER_POLICY_UPDATE, true},
				{TRIGGER_SERVICE_UPDATE, true}, {TRIGGER_MANUAL, true},  {TRIGGER_SCHEDULED, false}};
	assert_true(N_ELEMENTS(order) == ORDER_RANK_DRILL && ORDER_RANK_DRILL == ORDER_RANKS - 1);
	for (unsigned i = 0; i < N_ELEMENTS(order); i++)
		assert_int_equal(order_rank(order[i].trigger, order[i].in_campaign), i);
	assert_int_equal(order_rank(TRIGGER_EMERGENCY, false), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_template_refused),
		cmocka_unit_test(test_template_accepted),
		cmocka_unit_test(test_assign),
		cmocka_unit_test(test_assign_external),
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_may_follow),
		cmocka_unit_test(test_eligible_refused),
		cmocka_unit_test(test_eligible_in_campaign),
		cmocka_unit_test(test_eligible),
		cmocka_unit_test(test_validity),
		cmocka_unit_test(test_renew_at),
		cmocka_unit_test(test_facts),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_issuance_status),
		cmocka_unit_test(test_alerts),
		cmocka_unit_test(test_alert_names),
		cmocka_unit_test(test_ranks),
		cmocka_unit_test(test_jitter_spreads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

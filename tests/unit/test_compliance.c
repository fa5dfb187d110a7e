/* test_compliance.c - room tests/unit: does each named check pass, fail and stay unknown where it should, and are files of rules read
 * strictly? Never: a store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <string.h>

#include "controller/core/report_figure.h"
#include "controller/daemon/compliance_rules.h"
#include "shared/base/text.h"
#include "shared/base/times.h"

#define NOW INT64_C(1800000000123)

static const struct compliance_params params = {.days = 100, .number = 3000, .date_at = NOW + 400 * MS_DAY, .words = "pki,csirt"};

/* A certificate that every check is content with. */
static struct certificate   cert;
static struct template      policy, made;
static struct compliance_cert facts;
static struct compliance_system installation;

static int begin(void **state)
{
	(void)state;
	cert = (struct certificate){.cert_id = "a1-web", .template_id = "t", .service = "clara", .agent = "a1", .serial = {{1}}, .proved = true,
				    .not_before_at = NOW - 10 * MS_DAY, .not_after_at = NOW + 80 * MS_DAY};
	assert_int_equal(names_parse("a1.clara.vcc.internal,192.0.2.1", false, &cert.names, NULL), 0);
	policy = (struct template){.template_id = "t", .validity_ms = 90 * MS_DAY, .renewal_threshold_ms = 30 * MS_DAY, .auto_renewal = true,
				   .post_validation = true, .key_type = KEY_EC_P256, .audit_level = AUDIT_STANDARD, .notify = "pki@example.org"};
	made = policy;
	facts = (struct compliance_cert){.cert = &cert, .made_from = &made, .policy = &policy, .contacts = "csirt@example.org", .targets = 1,
					 .shown_at = NOW - MS_HOUR, .now = NOW};
	installation = (struct compliance_system){.now = NOW, .drilled_at = NOW - MS_DAY, .restore_drilled_at = NOW - MS_DAY, .oldest_name_at = NOW - 50 * MS_DAY, .persons = 1,
						  .kept_ms = 200 * MS_DAY, .head_fits = true, .witnessed_at = NOW - MS_HOUR, .approvers = 3000,
						  .issuers = 4, .issuers_end_at = NOW + 300 * MS_DAY, .root_life_ms = 100 * MS_DAY,
						  .sub_life_ms = 90 * MS_DAY, .lists = 2};
	return 0;
}

static void judged(const char *name, enum compliance_result want)
{
	const struct compliance_check *check = compliance_check_find(name);
	const struct compliance_text  *why = NULL;
	assert_non_null(check);
	enum compliance_result got =
		check->of_cert != NULL ? check->of_cert(&facts, &params, &why) : check->of_system(&installation, &params, &why);
	if (got != want)
		fail_msg("%s: %s, not %s", name, compliance_result_name(got), compliance_result_name(want));
	if (want == COMPLIANCE_PASS)
		return;
	assert_non_null(why);
	assert_true(why->in[LANG_EN][0] != '\0' && why->in[LANG_DE][0] != '\0');
}

static void test_content(void **state)
{
	size_t n, judges = 0;
	begin(state);
	const struct compliance_check *all = compliance_checks(&n);
	for (size_t i = 0; i < n; i++)
		if (all[i].of_cert != NULL || all[i].of_system != NULL) {
			judged(all[i].name, COMPLIANCE_PASS);
			judges++;
		}
	assert_int_equal(judges, n - 1); /* but for the one that answers nothing */
}

/* What one changed fact does to one check. */
#define ROW(change, name, want)                                                                                                \
	do {                                                                                                                   \
		begin(NULL);                                                                                                   \
		change;                                                                                                        \
		judged(name, COMPLIANCE_##want);                                                                               \
	} while (0)

static void test_certificates(void **state)
{
	(void)state;
	ROW(strcpy(cert.names.text, "DNS:anna@example.org"), "names_without_persons", FAIL);
	ROW(strcpy(policy.notify, "anna@example.org"), "owner_is_role", FAIL);
	ROW(strcpy(policy.notify, "pki@example.org,anna@example.org"), "owner_is_role", FAIL);
	ROW(strcpy(policy.notify, "pki+alerts@example.org"), "owner_is_role", PASS);
	ROW(policy.notify[0] = '\0', "owner_is_role", PASS);
	ROW((policy.notify[0] = '\0', facts.contacts = ""), "owner_is_role", FAIL);
	ROW(cert.agent[0] = '\0', "key_on_host", NOT_ASSESSABLE);
	ROW(made.key_type = KEY_RSA_2048, "crypto_floor", FAIL);
	ROW(made.key_type = KEY_RSA_3072, "crypto_floor", PASS);
	ROW(policy.key_type = KEY_RSA_2048, "crypto_floor", PASS); /* the next one will be weak, this one is not */
	ROW(facts.made_from = NULL, "crypto_floor", NOT_ASSESSABLE);
	ROW((facts.made_from = NULL, cert.serial = (struct serial){{0}}, policy.key_type = KEY_RSA_2048), "crypto_floor", FAIL);
	ROW(cert.not_after_at = NOW, "no_lapse", FAIL);
	ROW(policy.auto_renewal = false, "no_lapse", FAIL);
	ROW(facts.policy = NULL, "no_lapse", NOT_ASSESSABLE);
	ROW(cert.not_before_at = NOW - 30 * MS_DAY, "life_at_most", FAIL);
	ROW(cert.not_before_at = NOW - 20 * MS_DAY - 5 * MS_MINUTE, "life_at_most", PASS);
	ROW(cert.serial = (struct serial){{0}}, "life_at_most", NOT_ASSESSABLE);
	ROW(facts.stale = 1, "served_proved", FAIL);
	ROW(facts.targets = 0, "served_proved", NOT_ASSESSABLE);
	ROW(facts.unprobed = 1, "served_proved", NOT_ASSESSABLE);
	ROW(facts.shown_at = NOW - 101 * MS_DAY, "served_proved", FAIL);
	ROW(facts.shown_at = 0, "served_proved", FAIL);
	ROW(policy.audit_level = AUDIT_MINIMAL, "lifecycle_recorded", FAIL);
	ROW(policy.renewal_threshold_ms = 1, "renewed_early", FAIL);
	ROW(policy.post_validation = false, "renewed_early", FAIL);
	ROW(policy.auto_renewal = false, "renewed_early", FAIL);
	ROW(made.key_type = KEY_ED25519, "curve_known", NOT_ASSESSABLE);
	ROW(made.key_type = KEY_ED25519, "algorithm_judged", NOT_ASSESSABLE);
	ROW(made.hash_alg = HASH_ALG_COUNT, "hash_known", FAIL);
	ROW(cert.not_after_at = NOW + 401 * MS_DAY, "ends_before", FAIL);
	ROW(cert.agent[0] = '\0', "fresh_key", NOT_ASSESSABLE);
}

static void test_installation(void **state)
{
	(void)state;
	ROW(installation.drilled_at = 0, "drill_within", FAIL);
	ROW(installation.drilled_at = NOW - 101 * MS_DAY, "drill_within", FAIL);
	ROW(installation.restore_drilled_at = 0, "restore_drill_within", FAIL);
	ROW(installation.restore_drilled_at = NOW - 101 * MS_DAY, "restore_drill_within", FAIL);
	ROW(installation.oldest_name_at = NOW - 101 * MS_DAY, "names_kept_at_most", FAIL);
	ROW(installation.oldest_name_at = 0, "names_kept_at_most", PASS);
	ROW(installation.persons_wrong = 1, "pseudonyms_fit", FAIL);
	ROW(installation.kept_ms = 99 * MS_DAY, "kept_at_least", FAIL);
	ROW(installation.head_fits = false, "head_witnessed", FAIL);
	ROW(installation.witnessed_at = NOW - 101 * MS_DAY, "head_witnessed", FAIL);
	ROW(installation.approvers = 1, "approvers_at_least", FAIL);
	ROW(installation.issuers_rsa = 1, "issuers_without_pkcs1", FAIL);
	ROW(installation.issuers = 0, "issuers_without_pkcs1", NOT_ASSESSABLE);
	ROW(installation.issuers_end_at = NOW + 401 * MS_DAY, "issuers_end_before", FAIL);
	ROW(installation.root_life_ms = 101 * MS_DAY, "roots_live_at_most", FAIL);
	ROW(installation.sub_life_ms = 101 * MS_DAY, "issuers_live_at_most", FAIL);
	ROW(installation.lists_late = 1, "lists_current", FAIL);
	ROW(installation.lists = 0, "lists_current", NOT_ASSESSABLE);
	ROW(installation.all_in_one = 1, "roles_separate", FAIL);
}

/* ---- files ---- */

static void test_shipped(void **state)
{
	static const char *const ids[] = {"G1", "G2", "G3", "G4", "G5", "G6", "G7", "G8",  "G9",  "G10", "G11", "G12", "G13", "G14", "A1",
					  "A2", "A3", "A4", "A5", "A6", "A7", "A8", "A9",  "A10", "A11", "A12", "A13", "B1",  "B2",  "B3",
					  "B4", "B5", "B6", "B7", "B8", "B9", "B10", "B11", "B12", "B13", "B14", "B15", "B16"};
	struct refusal    why = {0};
	struct rule_book *book = NULL;
	(void)state;
	assert_int_equal(rule_book_load("", &book, &why), 0);
	for (size_t i = 0; i < N_ELEMENTS(ids); i++)
		if (rule_book_find(book, ids[i]) == NULL)
			fail_msg("rule %s is missing", ids[i]);
	/* what nothing stored answers says why, in both languages, and nothing else does */
	for (size_t i = 0; i < book->n_rules; i++) {
		const struct compliance_rule *r = &book->rule[i];
		bool                          answers = r->check->of_cert != NULL || r->check->of_system != NULL;
		assert_true(answers == (r->reason[LANG_EN][0] == '\0') && answers == (r->reason[LANG_DE][0] == '\0'));
	}
	assert_null(rule_book_find(book, "A13")->check->of_cert); /* never a pass */
	const struct compliance_rule *b4 = rule_book_find(book, "B4"), *g6 = rule_book_find(book, "G6");
	assert_int_equal(rule_severity(b4, b4->error_from_at - 1), SEVERITY_WARN);
	assert_int_equal(rule_severity(b4, b4->error_from_at), SEVERITY_ERROR);
	const struct compliance_exception *e = rule_book_exception(book, g6, "clara_model_signing", NOW);
	assert_non_null(e);
	assert_true(e->owner[0] != '\0' && e->reason[0] != '\0');
	assert_null(rule_book_exception(book, g6, "clara_model_signing", e->until_at));
	assert_null(rule_book_exception(book, g6, "clara_service_auth", NOW));
	free(book);
}

#define RULE(more) "{\"id\":\"X1\",\"severity\":\"error\",\"source\":\"s\",\"text\":{\"en\":\"e\",\"de\":\"d\"},\"version\":1,\"valid_from\":\"2020-01-01\"," more "}"
#define BOOK(rules, exceptions) "{\"profile\":\"GDPR\",\"law\":\"l\",\"version\":1,\"rules\":[" rules "],\"exceptions\":[" exceptions "]}"

static void test_strict(void **state)
{
	static const struct {
		const char *text, *names;
	} bad[] = {
		{"[", "line 1"},
		{"{\"profile\":\"HIPAA\",\"law\":\"l\",\"version\":1,\"rules\":[],\"exceptions\":[]}", "profile"},
		{"{\"profile\":\"GDPR\",\"law\":\"l\",\"version\":1,\"rules\":[]}", "exceptions"},
		{BOOK(RULE("\"check\":\"no_such\""), ""), "check"},
		{BOOK(RULE("\"check\":\"key_on_host\",\"extra\":1"), ""), "extra"},
		{BOOK(RULE("\"check\":\"life_at_most\""), ""), "params"},
		{BOOK(RULE("\"check\":\"life_at_most\",\"params\":{\"days\":-1}"), ""), "days"},
		{BOOK(RULE("\"check\":\"key_on_host\",\"params\":{\"days\":1}"), ""), "params"},
		{BOOK(RULE("\"check\":\"ends_before\",\"params\":{\"date\":\"soon\"}"), ""), "date"},
		{BOOK(RULE("\"check\":\"none\""), ""), "reason"},
		{BOOK(RULE("\"check\":\"none\",\"reason\":{\"en\":\"e\"}"), ""), "de"},
		{BOOK(RULE("\"check\":\"key_on_host\"") "," RULE("\"check\":\"key_on_host\""), ""), "there already"},
		{BOOK(RULE("\"check\":\"key_on_host\""), "{\"rule\":\"X2\",\"template_id\":\"t\",\"owner\":\"o\",\"reason\":\"r\",\"until\":\"2030-01-01\"}"), "rule"},
		{BOOK(RULE("\"check\":\"key_on_host\""), "{\"rule\":\"X1\",\"template_id\":\"t\",\"owner\":\"o\",\"reason\":\"r\"}"), "until"},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		struct refusal    why = {0};
		struct rule_book *book = calloc(1, sizeof(*book));
		assert_non_null(book);
		if (rule_book_add(book, "own.json", span_text(bad[i].text), &why) != E_REPORT_RULES)
			fail_msg("taken: %s", bad[i].text);
		assert_string_equal(why.object, "own.json");
		if (strstr(why.cause, bad[i].names) == NULL)
			fail_msg("`%s` does not say `%s`", why.cause, bad[i].names);
		free(book);
	}
	struct refusal    why = {0};
	struct rule_book *book = calloc(1, sizeof(*book));
	assert_int_equal(rule_book_add(book, "own.json", span_text(BOOK(RULE("\"check\":\"life_at_most\",\"params\":{\"days\":7}"), "")), &why), 0);
	assert_int_equal(book->rule[0].params.days, 7);
	free(book);
}

/* ---- figures ---- */

static unsigned order_figures(enum order_phase phase, unsigned flags, const char *actor, int64_t ended_at, bool first)
{
	struct order o = {.phase = phase, .flags = flags, .completed_at = ended_at, .created_at = NOW - MS_HOUR};
	strcpy(o.actor, actor);
	if (!first)
		o.old_serial = (struct serial){{1}};
	return figure_of_order(&o, NOW - MS_DAY, NOW);
}

static void test_figures(void **state)
{
	const unsigned ended = FIGURE_BIT(ENDED), done = ended | FIGURE_BIT(COMPLETED), failed = ended | FIGURE_BIT(FAILED);
	const unsigned alone = done | FIGURE_BIT(AUTOMATED);
	(void)state;
	assert_int_equal(order_figures(ORDER_COMPLETED, 0, "scheduler", NOW - 1, false), alone);
	assert_int_equal(order_figures(ORDER_COMPLETED, 0, "scheduler", NOW, false), 0); /* the next period's */
	assert_int_equal(order_figures(ORDER_COMPLETED, 0, "scheduler", NOW - MS_DAY, false), alone);
	assert_int_equal(order_figures(ORDER_COMPLETED, 0, "scheduler", NOW - MS_DAY - 1, false), 0);
	assert_int_equal(order_figures(ORDER_COMPLETED, 0, "scheduler", NOW - 1, true), 0);
	assert_int_equal(order_figures(ORDER_COMPLETED, ORDER_DRILL, "scheduler", NOW - 1, false), 0);
	assert_int_equal(order_figures(ORDER_COMPLETED, ORDER_APPROVED, "scheduler", NOW - 1, false), done);
	assert_int_equal(order_figures(ORDER_COMPLETED, 0, "anna", NOW - 1, false), done);
	assert_int_equal(order_figures(ORDER_COMPLETED, 0, "person:AAAA", NOW - 1, false), done);
	assert_int_equal(order_figures(ORDER_COMPLETED, 0, "local:uid-0", NOW - 1, false), done);
	assert_int_equal(order_figures(ORDER_FAILED, 0, "scheduler", NOW - 1, false), failed);
	assert_int_equal(order_figures(ORDER_CANCELLED, 0, "scheduler", NOW - 1, false), ended);
	assert_int_equal(order_figures(ORDER_ROLLED_BACK, 0, "scheduler", NOW - 1, false), ended);
	assert_int_equal(order_figures(ORDER_PAUSED, 0, "scheduler", 0, false), failed);
	assert_int_equal(order_figures(ORDER_DELIVERED, 0, "scheduler", 0, false), 0);
	begin(NULL);
	const unsigned all = FIGURE_BIT(TOTAL);
	assert_int_equal(figure_of_certificate(&cert, CERT_ACTIVE, NOW), all | FIGURE_BIT(ACTIVE));
	assert_int_equal(figure_of_certificate(&cert, CERT_EXPIRING, NOW + 50 * MS_DAY), all | FIGURE_BIT(ACTIVE) | FIGURE_BIT(EXPIRING) | FIGURE_BIT(SOON));
	assert_int_equal(figure_of_certificate(&cert, CERT_EXPIRED, NOW + 80 * MS_DAY), all | FIGURE_BIT(EXPIRED));
	assert_int_equal(figure_of_certificate(&cert, CERT_REVOKED, NOW + 79 * MS_DAY), all);
	struct campaign c = {.kind = CAMPAIGN_EMERGENCY, .started_at = NOW - 1};
	assert_int_equal(figure_of_campaign(&c, NOW - MS_DAY, NOW), FIGURE_BIT(EMERGENCIES));
	c.started_at = 0; /* it waits for somebody */
	assert_int_equal(figure_of_campaign(&c, NOW - MS_DAY, NOW), 0);
	c = (struct campaign){.kind = CAMPAIGN_DRILL, .started_at = NOW - 1};
	assert_int_equal(figure_of_campaign(&c, NOW - MS_DAY, NOW), 0);
	assert_int_equal(figure_of_revocation(REASON_SUPERSEDED, NOW - 1, NOW - MS_DAY, NOW), FIGURE_BIT(REVOKED) | FIGURE_BIT(SUPERSEDED));
	assert_int_equal(figure_of_revocation(REASON_KEY_COMPROMISE, NOW - MS_DAY, NOW - MS_DAY, NOW), FIGURE_BIT(REVOKED) | FIGURE_BIT(REVOKED_OTHER));
	assert_int_equal(figure_of_revocation(REASON_SUPERSEDED, NOW, NOW - MS_DAY, NOW), 0); /* the next period's */
	assert_int_equal(figure_of_revocation(REASON_SUPERSEDED, NOW - MS_DAY - 1, NOW - MS_DAY, NOW), 0);
	assert_int_equal(figure_of_revocation(REASON_HOLD, NOW - 1, NOW - MS_DAY, NOW), 0);
}

/* The shipped rules judge; that nobody reads what somebody wrote is said apart. */
static void test_a_folder_that_is_away(void **state)
{
	struct refusal    why = {0};
	struct rule_book *book = NULL;
	(void)state;
	assert_int_equal(rule_book_folder_check("", &why), 0);
	assert_int_equal(rule_book_folder_check("/nonexistent/rules", &why), E_REPORT_RULES);
	assert_string_equal(why.object, "/nonexistent/rules");
	assert_int_equal(rule_book_load("/nonexistent/rules", &book, &why), 0);
	assert_non_null(rule_book_find(book, "G1"));
	free(book);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_content), cmocka_unit_test(test_certificates), cmocka_unit_test(test_installation),
		cmocka_unit_test(test_shipped), cmocka_unit_test(test_strict),       cmocka_unit_test(test_figures),
		cmocka_unit_test(test_a_folder_that_is_away),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

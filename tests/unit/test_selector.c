/* test_selector.c - does a selector mean exactly the certificates that LIFECYCLE 6 says? What it must not mean comes first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "controller/core/selector.h"

static struct selector of(enum selector_kind kind, const char *value, const char *type)
{
	struct selector s = {.kind = kind};
	snprintf(s.value, sizeof(s.value), "%s", value);
	snprintf(s.type, sizeof(s.type), "%s", type);
	return s;
}

static bool is_valid(enum selector_kind kind, const char *value, const char *type)
{
	struct selector s = of(kind, value, type);
	struct refusal  why;
	int             r = selector_check(&s, &why);
	assert_true(r == 0 || (r == E_CAMPAIGN_SELECTOR && why.code == r && why.cause[0] != '\0'));
	return r == 0;
}

static void test_refused(void **state)
{
	(void)state;
	static const char *const patterns[] = {"",      "*",     "*.",   "*.*", "**.x", "a.*", "*a.x",
					       "a b.x", "*.x.*", "x..y", "*.-", ".",    "\x01"};
	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
		if (is_valid(SELECT_PATTERN, patterns[i], ""))
			fail_msg("`%s` is taken as a pattern", patterns[i]);
	assert_false(is_valid(SELECT_SERVICE, "", ""));
	assert_false(is_valid(SELECT_SERVICE, "Clara", ""));
	assert_false(is_valid(SELECT_AGENT, "a.b", ""));
	assert_false(is_valid(SELECT_TEMPLATE, "x/y", ""));
	assert_false(is_valid(SELECT_ALL, "", "x y"));
}

static void test_taken(void **state)
{
	(void)state;
	struct selector s = of(SELECT_PATTERN, "*.VCC.Internal.", "");
	assert_int_equal(selector_check(&s, NULL), 0);
	assert_string_equal(s.value, "*.vcc.internal");
	assert_true(is_valid(SELECT_PATTERN, "clara.vcc.internal", "clara_service_auth"));
	assert_true(is_valid(SELECT_ALL, "", ""));
	assert_true(is_valid(SELECT_SERVICE, "clara", ""));
	assert_true(is_valid(SELECT_AGENT, "clara01", ""));
	for (int k = 0; k < SELECT_KIND_COUNT; k++) {
		enum selector_kind kind;
		assert_int_equal(selector_kind_parse(selector_kind_name((enum selector_kind)k), &kind), 0);
		assert_int_equal(kind, k);
	}
	enum selector_kind kind;
	assert_int_equal(selector_kind_parse("everything", &kind), E_SYNTAX);
}

struct meant {
	const char        *cert_id, *service, *agent, *template_id, *names;
	bool               signs_code;
	enum selector_kind kind;
	const char        *value, *type;
	bool               meant;
};

static void test_meant(void **state)
{
	(void)state;
	static const struct meant rows[] = {
		/* names: "*.d" is any depth below d, not d itself */
		{"c", "clara", "a", "t", "clara.vcc.internal", false, SELECT_PATTERN, "*.clara.vcc.internal", "",
		 true}, /* by its virtual name */
		{"c", "x", "a", "t", "clara.vcc.internal", false, SELECT_PATTERN, "*.clara.vcc.internal", "", false},
		{"c", "x", "a", "t", "clara.vcc.internal", false, SELECT_PATTERN, "clara.vcc.internal", "", true},
		{"c", "x", "a", "t", "a.clara.vcc.internal", false, SELECT_PATTERN, "clara.vcc.internal", "", false},
		{"c", "x", "a", "t", "a.clara.vcc.internal", false, SELECT_PATTERN, "*.clara.vcc.internal", "", true},
		{"c", "x", "a", "t", "b.a.clara.vcc.internal", false, SELECT_PATTERN, "*.clara.vcc.internal", "", true},
		{"c", "x", "a", "t", "notclara.vcc.internal", false, SELECT_PATTERN, "*.clara.vcc.internal", "", false},
		{"c", "x", "a", "t", "xclara.vcc.internal", false, SELECT_PATTERN, "clara.vcc.internal", "", false},
		{"c", "x", "a", "t", "other.example,a.clara.vcc.internal", false, SELECT_PATTERN, "*.clara.vcc.internal", "",
		 true},
		{"c", "x", "a", "t", "*.clara.vcc.internal", false, SELECT_PATTERN, "*.clara.vcc.internal", "",
		 true}, /* a wildcard by its text */
		{"c", "x", "a", "t", "*.clara.vcc.internal", false, SELECT_PATTERN, "a.clara.vcc.internal", "", false},
		{"c", "x", "a", "t", "*.clara.vcc.internal", false, SELECT_PATTERN, "*.a.clara.vcc.internal", "", false},
		{"c", "x", "a", "t", "192.0.2.1", false, SELECT_PATTERN, "192.0.2.1", "", false},
		/* the virtual name CERT_ID.SERVICE.DOMAIN */
		{"veritas01-client", "veritas", "a", "t", "", false, SELECT_PATTERN, "*.vcc.internal", "", true},
		{"veritas01-client", "veritas", "a", "t", "", false, SELECT_PATTERN, "*.veritas.vcc.internal", "", true},
		{"veritas01-client", "veritas", "a", "t", "", false, SELECT_PATTERN, "veritas01-client.veritas.vcc.internal",
		 "", true},
		{"veritas01-client", "veritas", "a", "t", "", false, SELECT_PATTERN, "*.clara.vcc.internal", "", false},
		{"veritas01-client", "veritas", "a", "t", "", false, SELECT_PATTERN, "*.other.internal", "", false},
		{"under_score", "veritas", "a", "t", "", false, SELECT_PATTERN, "*.veritas.vcc.internal", "", true},
		/* code signing: only where its type, or itself, is named */
		{"signer", "clara", "a", "clara_model_signing", "", true, SELECT_ALL, "", "", false},
		{"signer", "clara", "a", "clara_model_signing", "", true, SELECT_SERVICE, "clara", "", false},
		{"signer", "clara", "a", "clara_model_signing", "", true, SELECT_AGENT, "a", "", false},
		{"signer", "clara", "a", "clara_model_signing", "", true, SELECT_PATTERN, "*.vcc.internal", "", false},
		{"signer", "clara", "a", "clara_model_signing", "", true, SELECT_PATTERN, "*.vcc.internal",
		 "clara_model_signing", true},
		{"signer", "clara", "a", "clara_model_signing", "", true, SELECT_ALL, "", "clara_model_signing", true},
		{"signer", "clara", "a", "clara_model_signing", "", true, SELECT_ALL, "", "clara_service_auth", false},
		{"signer", "clara", "a", "clara_model_signing", "", true, SELECT_TEMPLATE, "clara_model_signing", "", true},
		{"signer", "clara", "a", "clara_model_signing", "", true, SELECT_IDS, "", "", true},
		/* the others */
		{"c", "clara", "a", "t", "x.y", false, SELECT_ALL, "", "", true},
		{"c", "clara", "a", "t", "x.y", false, SELECT_ALL, "", "u", false},
		{"c", "clara", "a", "t", "x.y", false, SELECT_SERVICE, "clara", "", true},
		{"c", "clara", "a", "t", "x.y", false, SELECT_SERVICE, "clara", "u", false},
		{"c", "clara", "a", "t", "x.y", false, SELECT_SERVICE, "clar", "", false},
		{"c", "clara", "a", "t", "x.y", false, SELECT_AGENT, "a", "", true},
		{"c", "clara", "a", "t", "x.y", false, SELECT_AGENT, "b", "", false},
		{"c", "clara", "", "t", "x.y", false, SELECT_AGENT, "a", "", false},
		{"c", "clara", "a", "t", "x.y", false, SELECT_TEMPLATE, "t", "", true},
		{"c", "clara", "a", "t", "x.y", false, SELECT_TEMPLATE, "u", "", false},
		{"c", "clara", "a", "t", "x.y", false, SELECT_IDS, "", "t", true},
		{"c", "clara", "a", "t", "x.y", false, SELECT_IDS, "", "u", false},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct certificate c = {.template_id = ""};
		struct selector    s = of(rows[i].kind, rows[i].value, rows[i].type);
		snprintf(c.cert_id, sizeof(c.cert_id), "%s", rows[i].cert_id);
		snprintf(c.service, sizeof(c.service), "%s", rows[i].service);
		snprintf(c.agent, sizeof(c.agent), "%s", rows[i].agent);
		snprintf(c.template_id, sizeof(c.template_id), "%s", rows[i].template_id);
		assert_int_equal(names_parse(rows[i].names, true, &c.names, NULL), 0);
		assert_int_equal(selector_check(&s, NULL) == 0 || rows[i].kind == SELECT_PATTERN, 1);
		if (selector_matches(&s, &c, rows[i].signs_code, "vcc.internal") != rows[i].meant)
			fail_msg("row %zu: %s %s of `%s`", i, selector_kind_name(s.kind), s.value, rows[i].names);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_taken),
		cmocka_unit_test(test_meant),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

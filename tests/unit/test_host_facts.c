/* test_host_facts.c - can the keeper say something that becomes more than a name? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "agent/survey/host_facts.h"
#include "shared/base/attr.h"

static struct agent_conf conf = {.keeper_dir = "/var/lib/vcc-agent/keeper"};

static int parse(const char *agent, const char *service, const char *domain, const char *patterns)
{
	static struct host_facts facts;
	struct refusal           why = {.code = 0};
	char                     json[1000];
	snprintf(json, sizeof(json), "{\"agent\":\"%s\",\"service\":\"%s\",\"domain\":\"%s\",\"patterns\":\"%s\"}", agent,
		 service, domain, patterns);
	int r = host_facts_parse(&conf, span_text(json), &facts, &why);
	assert_int_equal(why.code, r);
	return r;
}

static void names(void **state)
{
	(void)state;
	assert_int_equal(parse("clara01", "clara", "vcc.internal", "DNS:*.clara.vcc.internal"), 0);
	assert_int_equal(parse("clara01", "clara", "vcc.internal", ""), 0);
}

static void more_than_names(void **state)
{
	static const char *const bad[] = {"", "x\\n[reload]\\ntest = /tmp/a", "a b", "a#b", "..", "x\\u001b[2J", "\xc3\xa4"};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		assert_int_equal(parse(bad[i], "clara", "vcc.internal", ""), E_SURVEY_IDENTITY);
		assert_int_equal(parse("clara01", bad[i], "vcc.internal", ""), E_SURVEY_IDENTITY);
		assert_int_equal(parse("clara01", "clara", bad[i], ""), E_SURVEY_IDENTITY);
	}
	assert_int_equal(parse("clara01", "clara", "vcc.internal", "a b\\n"), E_SURVEY_IDENTITY);
	assert_int_equal(host_facts_parse(&conf, span_text("{"), &(struct host_facts){.connected = false}, NULL),
			 E_SURVEY_IDENTITY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(names), cmocka_unit_test(more_than_names)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

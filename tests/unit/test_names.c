/* test_names.c - are names made canonical, compared by label, and refused when they are not names? */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/model/names.h"

struct word_row {
	bool (*ok)(const char *text);
	const char *text;
	bool        want;
};

static const struct word_row words[] = {
	{name_agent_ok, "", false},
	{name_agent_ok, NULL, false},
	{name_agent_ok, "-a", false},
	{name_agent_ok, "a_b", false},
	{name_agent_ok, "Clara", false},
	{name_agent_ok, "a.b", false},
	{name_agent_ok, "a\n", false},
	{name_agent_ok, "\xd0\xb0", false},
	{name_agent_ok, "123456789012345678901234567890123", false},
	{name_agent_ok, "12345678901234567890123456789012", true},
	{name_agent_ok, "a-", true},
	{name_service_ok, "clara", true},
	{name_service_ok, "a_b", false},
	{name_cert_id_ok, "_a", false},
	{name_cert_id_ok, "a/b", false},
	{name_cert_id_ok, "..", false},
	{name_cert_id_ok, "a_b-c", true},
	{name_cert_id_ok, "123456789012345678901234567890123456789012345678901234567890123", true},
	{name_cert_id_ok, "1234567890123456789012345678901234567890123456789012345678901234", false},
	{name_template_ok, "clara_service_auth", true},
	{name_template_ok, "clara service", false},
};

static void words_are_judged(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(words); i++)
		if (words[i].ok(words[i].text) != words[i].want)
			fail_msg("row %zu: \"%s\"", i, words[i].text);
}

static void cert_id_follows_from_agent_and_stem(void **state)
{
	(void)state;
	char id[CERT_ID_SIZE] = "kept";
	assert_int_equal(name_cert_id_default("clara01", "...", id), E_NAME);
	assert_int_equal(name_cert_id_default("clara01", "", id), E_NAME);
	assert_int_equal(name_cert_id_default("Clara", "web", id), E_NAME);
	assert_int_equal(name_cert_id_default("clara01", "12345678901234567890123456789012345678901234567890123456", id), E_NAME);
	assert_string_equal(id, "kept");
	assert_int_equal(name_cert_id_default("clara01", "1234567890123456789012345678901234567890123456789012345", id), 0);
	assert_int_equal(strlen(id), CERT_ID_SIZE - 1);
	assert_int_equal(name_cert_id_default("clara01", "My_Web.site", id), 0);
	assert_string_equal(id, "clara01-my-web-site");
	assert_true(name_cert_id_ok(id));
}

struct dns_row {
	const char *text;
	bool        wildcard;
	const char *want; /* NULL = refused */
};

static const struct dns_row dns[] = {
	{"", true, NULL},
	{".", true, NULL},
	{"a..b", true, NULL},
	{".a", true, NULL},
	{"a.b..", true, NULL},
	{"-a.b", true, NULL},
	{"a-.b", true, NULL},
	{"a b.c", true, NULL},
	{"a.b\n", true, NULL},
	{"a,b", true, NULL},
	{"a/b", true, NULL},
	{"a@b.c", true, NULL},
	{"b\xc3\xbc" "cher.example", true, NULL}, /* a U-label; the edge converts it */
	{"\xef\xbc\xa1.example", true, NULL},   /* full-width A */
	{"192.0.2.1", true, NULL},
	{"10", true, NULL},
	{"a.10", true, NULL},
	{"*", true, NULL},
	{"*.", true, NULL},
	{"**.a", true, NULL},
	{"*a.b", true, NULL},
	{"a.*.b", true, NULL},
	{"*.*.b", true, NULL},
	{"*.a.b", false, NULL},
	{"1234567890123456789012345678901234567890123456789012345678901234.a", true, NULL},
	{"*.a.b", true, "*.a.b"},
	{"WWW.Example.COM.", true, "www.example.com"},
	{"xn--bcher-kva.example", false, "xn--bcher-kva.example"},
	{"_srv.a", false, "_srv.a"},
	{"localhost", false, "localhost"},
	{"10.a", false, "10.a"},
	{"123456789012345678901234567890123456789012345678901234567890123.a", true,
	 "123456789012345678901234567890123456789012345678901234567890123.a"},
};

static void dns_names_are_made_canonical(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(dns); i++) {
		char name[DNS_NAME_SIZE] = "kept";
		int  r = name_dns(dns[i].text, dns[i].wildcard, name);
		assert_int_equal(r, dns[i].want == NULL ? E_NAME : 0);
		assert_string_equal(name, dns[i].want == NULL ? "kept" : dns[i].want);
	}
}

static void dns_names_have_253_characters_at_most(void **state)
{
	(void)state;
	char text[260];
	char name[DNS_NAME_SIZE];
	memset(text, 'a', sizeof(text));
	for (size_t i = 50; i < sizeof(text); i += 51)
		text[i] = '.';
	text[253] = '\0';
	assert_int_equal(name_dns(text, false, name), 0);
	assert_int_equal(strlen(name), 253);
	text[253] = 'a';
	text[254] = '\0';
	assert_int_equal(name_dns(text, false, name), E_NAME);
	text[253] = '.';
	assert_int_equal(name_dns(text, false, name), 0);
}

struct match_row {
	const char *pattern;
	const char *name;
	bool        want;
};

static const struct match_row matches[] = {
	{"*.a.b", "a.b", false},
	{"*.a.b", "x.y.a.b", false},
	{"*.a.b", "xa.b", false},
	{"*.a.b", ".a.b", false},
	{"a.b", "x.a.b", false},
	{"a.b", "*.b", false},
	{"x.a.b", "*.a.b", false},
	{"a.b", "a.bc", false},
	{"a.b", "a", false},
	{"a", "a.b", false},
	{"", "a", false},
	{"", "", false},
	{"a.b", "a.b", true},
	{"*.a.b", "x.a.b", true},
	{"*.a.b", "*.a.b", true},
	{"*", "x", true},
};

static void patterns_match_by_label(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(matches); i++)
		if (name_matches(matches[i].pattern, matches[i].name) != matches[i].want)
			fail_msg("%s against %s", matches[i].pattern, matches[i].name);
}

static void below_is_any_depth_but_not_itself(void **state)
{
	(void)state;
	assert_false(name_below("a.b", "a.b"));
	assert_false(name_below("a.b", "xa.b"));
	assert_false(name_below("a.b", ".a.b"));
	assert_false(name_below("", "a.b"));
	assert_false(name_below("a.b", "b"));
	assert_true(name_below("a.b", "x.a.b"));
	assert_true(name_below("a.b", "y.x.a.b"));
}

struct list_row {
	const char *list;
	bool        wildcard;
	int         want;
	const char *text; /* the canonical list, or the bad item */
};

static const struct list_row lists[] = {
	{"a.b, *.c", false, E_NAME, "*.c"},
	{"a.b, IP:host", true, E_NAME, "IP:host"},
	{"IP:*.1", true, E_NAME, "IP:*.1"},
	{"DNS:192.0.2.1", true, E_NAME, "DNS:192.0.2.1"},
	{"192.0.2.256", true, E_NAME, "192.0.2.256"},
	{"192.0.2.01", true, E_NAME, "192.0.2.01"},
	{"[::1]", true, E_NAME, "[::1]"},
	{"fe80::1%eth0", true, E_NAME, "fe80::1%eth0"},
	{"URI:spiffe://a", true, E_NAME, "URI:spiffe://a"},
	{"email:a@b.c", true, E_NAME, "email:a@b.c"},
	{"DNS:", true, E_NAME, "DNS:"},
	{"dns:a.b", true, E_NAME, "dns:a.b"},
	{"", false, 0, ""},
	{" , ,", false, 0, ""},
	{"b.c,A.b,DNS:B.c.,a.b", false, 0, "DNS:a.b,DNS:b.c"},
	{"2001:DB8::0:1, 192.0.2.1,z.a", false, 0, "DNS:z.a,IP:192.0.2.1,IP:2001:db8::1"},
	{"IP:::1,::1", false, 0, "IP:::1"},
	{"*.c", true, 0, "DNS:*.c"},
};

static void lists_are_sorted_without_doubles(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(lists); i++) {
		struct names names = {"kept"};
		char         bad[DNS_NAME_SIZE] = "";
		int          r = names_parse(lists[i].list, lists[i].wildcard, &names, bad);
		if (r != lists[i].want)
			fail_msg("%s: %d", lists[i].list, r);
		assert_string_equal(r < 0 ? bad : names.text, lists[i].text);
		if (r < 0)
			assert_string_equal(names.text, "kept");
		if (r < 0)
			continue;
		struct names again;
		assert_int_equal(names_parse(names.text, true, &again, NULL), 0);
		assert_true(names_equal(&names, &again));
	}
}

static void lists_have_limits(void **state)
{
	(void)state;
	char         list[16384] = "";
	size_t       n = 0;
	struct names names;
	struct san   san;
	for (int i = 0; i <= NAMES_MAX; i++) {
		if (i == NAMES_MAX) {
			assert_int_equal(names_parse(list, false, &names, NULL), 0);
			assert_int_equal(names_count(&names), NAMES_MAX);
		}
		n += (size_t)snprintf(list + n, sizeof(list) - n, "n%d.example,", i);
	}
	assert_int_equal(names_parse(list, false, &names, NULL), E_FULL);

	/* few but long ones */
	n = 0;
	for (int i = 0; i < 12; i++) {
		n += (size_t)snprintf(list + n, sizeof(list) - n, "n%d.", i);
		for (int k = 0; k < 4; k++)
			n += (size_t)snprintf(list + n, sizeof(list) - n, "%050d.", 0);
		n += (size_t)snprintf(list + n, sizeof(list) - n, "example,");
	}
	assert_int_equal(names_parse(list, false, &names, NULL), E_FULL);

	/* one item longer than any name */
	char bad[DNS_NAME_SIZE];
	memset(list, 'a', 1000);
	list[1000] = '\0';
	assert_int_equal(names_parse(list, false, &names, bad), E_NAME);
	assert_int_equal(strlen(bad), DNS_NAME_SIZE - 1);
	size_t cursor = sizeof(names.text);
	assert_false(names_next(&names, &cursor, &san));
}

static void names_stay_within_patterns(void **state)
{
	(void)state;
	struct names patterns;
	struct names names;
	struct san   bad;
	assert_int_equal(names_parse("a.b,*.a.b,192.0.2.1", true, &patterns, NULL), 0);
	static const struct list_row rows[] = {
		{"x.y.a.b", true, 0, "x.y.a.b"}, {"*.b", true, 0, "*.b"},  {"a.b,c.d", true, 0, "c.d"},
		{"192.0.2.2", true, 0, "192.0.2.2"}, {"", true, 1, NULL}, {"a.b,x.a.b,*.a.b,192.0.2.1", true, 1, NULL},
	};
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		assert_int_equal(names_parse(rows[i].list, true, &names, NULL), 0);
		assert_int_equal(names_within(&names, &patterns, &bad), rows[i].want);
		if (rows[i].want == 0)
			assert_string_equal(bad.text, rows[i].text);
	}
	struct names none = {""};
	assert_int_equal(names_parse("a.b", true, &names, NULL), 0);
	assert_false(names_within(&names, &none, &bad));
}

/* A list that did not come from names_parse() must not slip through. */
static void unreadable_lists_are_not_within_anything(void **state)
{
	(void)state;
	struct names patterns;
	struct san   bad;
	assert_int_equal(names_parse("a.b", true, &patterns, NULL), 0);
	static const char *const texts[] = {"c.d", "DNS:a.b,c.d", "URI:x", "DNS:a.b,,DNS:c.d"};
	for (size_t i = 0; i < N_ELEMENTS(texts); i++) {
		struct names names = {""};
		assert_int_equal(text_copy(names.text, sizeof(names.text), texts[i]), 0);
		assert_false(names_within(&names, &patterns, &bad));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_are_judged),
		cmocka_unit_test(cert_id_follows_from_agent_and_stem),
		cmocka_unit_test(dns_names_are_made_canonical),
		cmocka_unit_test(dns_names_have_253_characters_at_most),
		cmocka_unit_test(patterns_match_by_label),
		cmocka_unit_test(below_is_any_depth_but_not_itself),
		cmocka_unit_test(lists_are_sorted_without_doubles),
		cmocka_unit_test(lists_have_limits),
		cmocka_unit_test(names_stay_within_patterns),
		cmocka_unit_test(unreadable_lists_are_not_within_anything),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

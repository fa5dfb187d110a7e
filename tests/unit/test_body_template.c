/* test_body_template.c - can a value never leave the string that it stands in, and is a template with anything but known fields
 * refused? Never: files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "controller/daemon/body_template.h"

static const char *filled(const char *text, const char *title, const char *body, struct buf *to)
{
	const char *const values[BODY_FIELD_COUNT] = {[BODY_TITLE] = title, [BODY_TEXT] = body, [BODY_PRIORITY] = "5"};
	buf_reset(to);
	body_template_fill(span_text(text), values, to);
	buf_add_u8(to, 0);
	assert_int_equal(buf_error(to), 0);
	return (const char *)to->p;
}

static void test_what_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"{\"a\": {{title}}}",
		"{\"a\": \"{{titel}}\"}",
		"{\"a\": \"{{ title }}\"}",
		"{\"a\": \"{{title\"}",
		"{\"a\": \"{{#each}}\"}",
		"{\"a\": 1, \"a\": 2}",
		"{\"a\": \"{{title}}\"",
		"{{text}}",
		"{\"a\": \"{{}}\"}",
		"{\"a\": \"\\{{text}}\"}", /* an escape, or the end of the string, by what somebody writes */
		"{\"a\": \"\\u00{{level}}\"}",
	};
	struct refusal why;
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(bad); i++)
		if (body_template_check("t.json", span_text(bad[i]), &why) != E_NOTIFY_TEMPLATE)
			fail_msg("`%s` was taken", bad[i]);
	struct buf large = BUF_MAX(2 * BODY_TEMPLATE_MAX);
	while (large.n <= BODY_TEMPLATE_MAX)
		buf_add_text(&large, "          ");
	assert_int_equal(body_template_check("t.json", buf_span(&large), &why), E_NOTIFY_TEMPLATE);
	buf_free(&large);
	assert_int_equal(body_template_check("t.json", span_text("{\"a\": \"{{title}} {x}\", \"p\": {{priority}}}"), &why), 0);
}

static void test_a_value_stays_inside_its_string(void **state)
{
	static const char *const values[] = {
		"\"}, \"channel\": \"#all", "\\", "\\\"", "a\nb\tc\r\x01", "{{text}}", "</script>", "\xc3\xa4\xe2\x82\xac",
		"\xff\xfe broken \xc3",
	};
	struct buf to = BUF_MAX(65536);
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(values); i++) {
		json_error_t error;
		json_t      *o = json_loads(filled("{\"a\": \"<{{title}}>\", \"b\": \"{{text}}\"}", values[i], "other", &to),
					    JSON_REJECT_DUPLICATES, &error);
		if (o == NULL)
			fail_msg("value %zu: %s", i, error.text);
		assert_int_equal(json_object_size(o), 2);
		assert_string_equal(json_string_value(json_object_get(o, "b")), "other");
		const char *a = json_string_value(json_object_get(o, "a"));
		assert_true(a[0] == '<' && a[strlen(a) - 1] == '>');
		if (i != 3 && i != 7) {
			assert_int_equal(strlen(a), strlen(values[i]) + 2);
			assert_memory_equal(a + 1, values[i], strlen(values[i]));
		}
		json_decref(o);
	}
	buf_free(&to);
}

static void test_a_long_text_is_cut(void **state)
{
	char       text[2 * BODY_TEXT_MAX];
	struct buf to = BUF_MAX(65536);
	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	json_t *o = json_loads(filled("{\"a\": \"{{text}}\"}", "", text, &to), 0, NULL);
	assert_non_null(o);
	const char *a = json_string_value(json_object_get(o, "a"));
	assert_int_equal(strlen(a), BODY_TEXT_MAX - 1);
	assert_string_equal(a + strlen(a) - 4, "x...");
	json_decref(o);
	buf_free(&to);
}

/* Mattermost shows a text between two of these as it is, and would take what comes after for its own markup. */
static void test_a_value_ends_no_block(void **state)
{
	struct buf  to = BUF_MAX(65536);
	const char *got = filled("{\"a\": \"```\\n{{text}}\\n```\"}", "", "a `b` ``\n```\n@all [x](http://y) `````", &to);
	(void)state;
	assert_string_equal(got, "{\"a\": \"```\\na `b` ``\\n'''\\n@all [x](http://y) '''``\\n```\"}");
	buf_free(&to);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_refused),
		cmocka_unit_test(test_a_value_stays_inside_its_string),
		cmocka_unit_test(test_a_long_text_is_cut),
		cmocka_unit_test(test_a_value_ends_no_block),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_err.c - does the registry hold each code once, with a cause and a next step, and do refusals read well? */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "shared/base/err.h"
#include "shared/base/text.h"

static void registry_is_ordered_and_complete(void **state)
{
	(void)state;
	size_t                n;
	const struct err_row *rows = err_rows(&n);
	assert_true(n > 100);
	for (size_t i = 0; i < n; i++) {
		if (rows[i].number < 1000 || rows[i].number > 9999 || (i > 0 && rows[i].number <= rows[i - 1].number))
			fail_msg("%d is out of order", rows[i].number);
		if (strlen(rows[i].what) < 5 || strlen(rows[i].next) < 5)
			fail_msg("%d lacks its texts", rows[i].number);
		/* a cause stands inside a sentence, a next step is one */
		if (text_ends(rows[i].what, ".") || !text_ends(rows[i].next, "."))
			fail_msg("%d: wording", rows[i].number);
		assert_string_not_equal(err_kind_name(rows[i].kind), "");
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(rows[i].symbol, rows[k].symbol);
		assert_ptr_equal(err_find(rows[i].number), &rows[i]);
		assert_ptr_equal(err_find(-rows[i].number), &rows[i]);
	}
}

static void codes_have_a_text(void **state)
{
	(void)state;
	char code[ERR_CODE_SIZE];
	assert_string_equal(err_code(E_WIRE_TYPE, code), "VCC-1101");
	assert_string_equal(err_code(1101, code), "VCC-1101");
	assert_int_equal(err_kind(E_WIRE_TYPE), ERR_KIND_PEER);
	assert_string_equal(err_kind_name(ERR_KIND_RETRY), "retry");
}

static void unknown_codes_are_bugs(void **state)
{
	(void)state;
	assert_null(err_find(0));
	assert_null(err_find(-999));
	assert_int_equal(err_kind(-999), ERR_KIND_BUG);
	assert_non_null(err_what(-999));
	assert_non_null(err_next(-999));
}

static void refusals_are_one_clean_line(void **state)
{
	(void)state;
	struct refusal r = {0};
	char           text[1024];
	assert_int_equal(refuse(&r, E_CONF_KEY, "/etc/x.conf:4", "unknown key `%s`", "fo\no\033[0m"), E_CONF_KEY);
	assert_string_equal(refusal_text(&r, text, sizeof(text)),
	                    "VCC-1201 /etc/x.conf:4: unknown key `fo?o?[0m`. Next: Correct the spelling or remove the line.");
	assert_int_equal(refuse(NULL, E_CONF_KEY, "object", "cause"), E_CONF_KEY);

	assert_int_equal(refuse(&r, E_NOMEM, NULL, "%s", ""), E_NOMEM);
	assert_string_equal(refusal_text(&r, text, sizeof(text)),
	                    "VCC-1000 out of memory. Next: Free memory or raise the unit's MemoryMax, then repeat.");
}

static void refusals_are_cut(void **state)
{
	(void)state;
	struct refusal r;
	char           long_text[2000];
	char           text[64];
	memset(long_text, 'x', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	assert_int_equal(refuse(&r, E_NAME, long_text, "%s", long_text), E_NAME);
	assert_int_equal(strlen(r.object), sizeof(r.object) - 1);
	assert_int_equal(strlen(r.cause), sizeof(r.cause) - 1);
	assert_int_equal(strlen(refusal_text(&r, text, sizeof(text))), sizeof(text) - 1);
}

static void words_keep_the_end_of_a_long_object(void **state)
{
	(void)state;
	struct refusal r;
	char           text[33];
	assert_int_equal(refuse(&r, E_SYS_IO, "/a/b", "cannot be read"), E_SYS_IO);
	assert_string_equal(refusal_words(&r, text, sizeof(text)), "/a/b: cannot be read");
	assert_int_equal(refuse(&r, E_SYS_IO, "/a/very/long/path/to/the/file.pem", "cannot be read"), E_SYS_IO);
	assert_string_equal(refusal_words(&r, text, sizeof(text)), ".../the/file.pem: cannot be read");
	assert_int_equal(refuse(&r, E_SYS_IO, "", "cannot be read"), E_SYS_IO);
	assert_string_equal(refusal_words(&r, text, sizeof(text)), "cannot be read");
	assert_int_equal(refuse(&r, E_NOMEM, "x", "%s", ""), E_NOMEM);
	assert_string_equal(refusal_words(&r, text, sizeof(text)), "x: out of memory");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(registry_is_ordered_and_complete), cmocka_unit_test(codes_have_a_text),
		cmocka_unit_test(unknown_codes_are_bugs), cmocka_unit_test(refusals_are_one_clean_line),
		cmocka_unit_test(refusals_are_cut), cmocka_unit_test(words_keep_the_end_of_a_long_object),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

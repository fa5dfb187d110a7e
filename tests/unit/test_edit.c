/* test_edit.c - do exactly the values change, and does the difference say so? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/survey/edit.h"
#include "shared/base/attr.h"

static struct span text(const char *t)
{
	return (struct span){(const uint8_t *)t, strlen(t)};
}

static void must_refuse(void **state)
{
	struct refusal why = {.code = 0};
	struct edit    two[] = {{.start = 2, .end = 6, .text = "a"}, {.start = 2, .end = 6, .text = "b"}};
	struct edit    over[] = {{.start = 2, .end = 6, .text = "a"}, {.start = 4, .end = 8, .text = "a"}};
	size_t         n = 2;
	(void)state;
	assert_int_equal(edits_sort(two, &n, &why), E_SURVEY_CANNOT);
	n = 2;
	assert_int_equal(edits_sort(over, &n, &why), E_SURVEY_CANNOT);

	struct buf        to = BUF_MAX(100);
	const struct edit beyond = {.start = 2, .end = 6, .text = "x"};
	const struct edit backwards = {.start = 3, .end = 2, .text = "x"};
	assert_int_equal(edits_apply(text("abcde"), &beyond, 1, 0, &to), E_INTERNAL);
	assert_int_equal(edits_apply(text("abcde"), &backwards, 1, 0, &to), E_INTERNAL);
	struct buf small = BUF_MAX(3);
	assert_int_equal(edits_apply(text("abcde"), &beyond, 0, 0, &small), E_FULL);
	buf_free(&to);
	buf_free(&small);
}

static void apply(void **state)
{
	struct refusal why = {.code = 0};
	struct buf     to = BUF_MAX(1000);
	struct edit    edits[] = {
		   {.file = 1, .start = 0, .end = 1, .text = "other"},
		   {.file = 0, .start = 10, .end = 12, .text = "KEY"},
		   {.file = 0, .start = 4, .end = 8, .text = "C"},
		   {.file = 0, .start = 4, .end = 8, .text = "C"}, /* twice included */
        };
	size_t n = N_ELEMENTS(edits);
	(void)state;
	assert_int_equal(edits_sort(edits, &n, &why), 0);
	assert_int_equal(n, 3);
	assert_int_equal(edits_apply(text("set cert; kk #\n"), edits, n, 0, &to), 0);
	assert_true(span_equal(buf_span(&to), text("set C; KEY #\n")));
	buf_reset(&to);
	assert_int_equal(edits_apply(text("abc"), edits, n, 7, &to), 0); /* a file without edits */
	assert_true(span_equal(buf_span(&to), text("abc")));
	buf_reset(&to);
	assert_int_equal(edits_apply(text(""), edits, 0, 0, &to), 0);
	assert_int_equal(to.n, 0);
	buf_free(&to);
}

static void replace(void **state)
{
	struct buf to = BUF_MAX(100);
	size_t     n;
	(void)state;
	assert_int_equal(edit_replace(text("a /x/c b /x/c"), "/x/c", "/old/cert", &to, &n), 0);
	assert_int_equal(n, 2);
	assert_true(span_equal(buf_span(&to), text("a /old/cert b /old/cert")));
	buf_reset(&to);
	assert_int_equal(edit_replace(text("abc"), "", "x", &to, &n), 0);
	assert_int_equal(n, 0);
	assert_true(span_equal(buf_span(&to), text("abc")));
	buf_free(&to);
}

static char *diff(const char *old, const char *new)
{
	char  *out = NULL;
	size_t n = 0;
	FILE  *f = open_memstream(&out, &n);
	edit_diff("/etc/x.conf", text(old), text(new), f);
	fclose(f);
	return out;
}

static void difference(void **state)
{
	(void)state;
	char *d = diff("1\n2\n3\n4\n5\n6\n7\n8\nold\n10\n11\n12\n13\n14\nold2\n16\n",
		       "1\n2\n3\n4\n5\n6\n7\n8\nnew\n10\n11\n12\n13\n14\nnew2\n16\n");
	assert_string_equal(d, "--- /etc/x.conf\n+++ /etc/x.conf\n@@ -6,11 +6,11 @@\n 6\n 7\n 8\n-old\n+new\n 10\n 11\n 12\n "
			       "13\n 14\n-old2\n+new2\n 16\n");
	free(d);
	d = diff("a\n", "b\n");
	assert_string_equal(d, "--- /etc/x.conf\n+++ /etc/x.conf\n@@ -1,1 +1,1 @@\n-a\n+b\n");
	free(d);
	d = diff("same\n", "same\n");
	assert_string_equal(d, "--- /etc/x.conf\n+++ /etc/x.conf\n");
	free(d);
	/* a new file */
	d = diff("", "one\ntwo");
	assert_string_equal(d, "--- /dev/null\n+++ /etc/x.conf\n@@ -0,0 +1,2 @@\n+one\n+two\n");
	free(d);
	/* a terminal must not obey a configuration file */
	d = diff("\033[31m\n", "\tb\n");
	assert_null(strchr(d, '\033'));
	assert_non_null(strstr(d, "-?[31m\n+\tb\n"));
	free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(must_refuse),
		cmocka_unit_test(apply),
		cmocka_unit_test(replace),
		cmocka_unit_test(difference),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

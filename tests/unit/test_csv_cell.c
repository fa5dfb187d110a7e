/* test_csv_cell.c - does a sheet show what was named, and never calculate it? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "controller/cli/csv_cell.h"
#include "shared/base/attr.h"

static void a_cell_is_text(void **state)
{
	(void)state;
	static const struct {
		const char *text, *cell;
	} rows[] = {
		{"=1+1", "'=1+1"},
		{"+1", "'+1"},
		{"@SUM(A1)", "'@SUM(A1)"},
		{"-1+cmd|'/c x'!A0", "'-1+cmd|'/c x'!A0"},
		{"-", "'-"},
		{"-1.", "'-1."},
		{"-.5", "'-.5"},
		{"-1.5.5", "'-1.5.5"},
		{"--1", "'--1"},
		{"\t=1", "'\t=1"},
		{"\r=1", "\"'\r=1\""},
		{"\n=1", "\"'\n=1\""},
		{"=HYPERLINK(\"http://x\",\"y\")", "\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\""},
		{"a\rb", "\"a\rb\""},
		{"a\nb", "\"a\nb\""},
		{"a,b", "\"a,b\""},
		{"a \"b\"", "\"a \"\"b\"\"\""},
		{"-1.5", "-1.5"},
		{"-15", "-15"},
		{"15", "15"},
		{"clara-01=x", "clara-01=x"},
		{"x;=1+1", "x;'=1+1"},
		{"x;-1;y", "x;'-1;y"},
		{"x;y", "x;y"},
		{"", ""},
	};
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		char  *cell = NULL;
		size_t n = 0;
		FILE  *to = open_memstream(&cell, &n);
		assert_non_null(to);
		csv_cell(to, rows[i].text);
		assert_int_equal(fclose(to), 0);
		assert_string_equal(cell, rows[i].cell);
		free(cell);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(a_cell_is_text)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* csv_cell.c - room controller/cli: one cell of a sheet.
 * Never: a cell that a sheet takes for a formula. */
#include "controller/cli/csv_cell.h"

#include <stdbool.h>
#include <string.h>

#define DIGITS "0123456789"

/* -1 or -1.5: nothing that could be calculated. */
static bool is_number(const char *text)
{
	text += *text == '-';
	size_t n = strspn(text, DIGITS), part = text[n] == '.' ? strspn(text + n + 1, DIGITS) : 0;
	return n > 0 && text[n] == '.' ? part > 0 && text[n + 1 + part] == '\0' : n > 0 && text[n] == '\0';
}

static bool begins_one(const char *text)
{
	return text[0] != '\0' && strchr("=+-@\t\r\n", text[0]) != NULL;
}

void csv_cell(FILE *to, const char *text)
{
	bool formula = begins_one(text) && !is_number(text);
	bool quoted = strpbrk(text, ",\"\r\n") != NULL;
	(void)fputs(quoted ? "\"" : "", to);
	(void)fputs(formula ? "'" : "", to);
	for (; *text != '\0'; text++) {
		if (*text == '"')
			(void)fputc('"', to);
		(void)fputc(*text, to);
		if (*text == ';' && begins_one(text + 1))
			(void)fputc('\'', to);
	}
	(void)fputs(quoted ? "\"" : "", to);
}

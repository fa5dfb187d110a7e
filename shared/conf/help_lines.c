/* help_lines.c - room shared/conf: rows of a help page in lines of at most 80 columns.
 * Never: texts of its own. */
#include "shared/conf/help_lines.h"

#include <string.h>

enum { HELP_WIDTH = 80 };

void help_wrapped(FILE *to, int at, int indent, const char *text)
{
	int used = at;
	while (*text != '\0') {
		int n = (int)strcspn(text, " ");
		if (used > at && used + 1 + n > HELP_WIDTH) {
			fprintf(to, "\n%*s", indent, "");
			used = at = indent;
		}
		used += fprintf(to, "%s%.*s", used > at ? " " : "", n, text);
		text += n;
		text += strspn(text, " ");
	}
	fputc('\n', to);
}

void help_row(FILE *to, const char *left, int width, const char *about)
{
	int at = fprintf(to, "  %-*s ", width, left);
	help_wrapped(to, at, at, about);
}

void help_option(FILE *to, const char *name, const char *value, const char *about)
{
	char left[40];
	snprintf(left, sizeof(left), "--%s%s%s", name, value != NULL ? " " : "", value != NULL ? value : "");
	help_row(to, left, 22, about);
}

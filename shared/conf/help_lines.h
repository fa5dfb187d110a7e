/* help_lines.h - room shared/conf: rows of a help page in lines of at most 80 columns.
 * Never: texts of its own. */
#ifndef VCC_HELP_LINES_H
#define VCC_HELP_LINES_H

#include <stdio.h>

/* Words of `text`; the cursor stands at column `at`, lines that follow begin at `indent`. Ends with a newline. */
void help_wrapped(FILE *to, int at, int indent, const char *text);
/* "  LEFT   about", with `about` from column `width` + 3 on. */
void help_row(FILE *to, const char *left, int width, const char *about);
/* The row of an option: "--NAME VALUE"; `value` is NULL for a switch. */
void help_option(FILE *to, const char *name, const char *value, const char *about);

#endif

/* csv_cell.h - room controller/cli: one cell of a sheet (RFC 4180), of whatever hosts and people named.
 * Never: a cell that a sheet takes for a formula. */
#ifndef VCC_CSV_CELL_H
#define VCC_CSV_CELL_H

#include <stdio.h>

/* Writes `text`, quoted where it holds a comma, a quote or an end of line. What begins with = + - @, a tab or an end of line gets an
 * apostrophe before it, plain numbers like -1.5 apart; so does what would begin behind a semicolon, which is where some sheets end a cell, whatever the
 * quotes say. */
void csv_cell(FILE *to, const char *text);

#endif

/* output.h - room controller/cli: answers for people (tables of at most the terminal's width), programs (JSON) and sheets (CSV).
 * On a terminal what is too wide goes on in the next line; without one a row is a line.
 * Never: asking the controller. */
#ifndef VCC_OUTPUT_H
#define VCC_OUTPUT_H

#include <jansson.h>

#include "shared/base/attr.h"

enum output_form { OUTPUT_TABLE, OUTPUT_JSON, OUTPUT_CSV, OUTPUT_HTML /* of `report compliance` alone */ };

/* A column of a list: header, and the field of each row it shows ("a.b" goes down). */
struct output_column {
	const char *header;
	const char *field;
	enum { COLUMN_TEXT, COLUMN_TIME, COLUMN_AGE, COLUMN_SINCE, COLUMN_YES, COLUMN_COUNT, COLUMN_LIST, COLUMN_SHORT, COLUMN_ID } kind;
};

/* `rows`: a JSON array of objects. Times are shown in UTC to the minute; COLUMN_AGE as "41d" until then, "-2d"
 * when it is over; COLUMN_SINCE as "41d" since then. Prints to stdout. */
void output_list(enum output_form form, const struct output_column *columns, size_t n, const json_t *rows);
/* One object: in table form as "name  value" lines in the order of `columns`. */
void output_object(enum output_form form, const struct output_column *columns, size_t n, const json_t *object);
/* Says on stderr that a list has nothing, "no campaigns": a person sees a table of no lines otherwise. Nothing in the other forms. */
void output_none(enum output_form form, const json_t *rows, const char *what);
void output_json(const json_t *value);
/* A text of an object; "" where there is none. */
const char *output_text(const json_t *object, const char *field);

#endif

/* output.c - room controller/cli: answers as table, JSON or CSV.
 * Never: asking the controller. */
#include "controller/cli/output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libsmartcols/libsmartcols.h>

#include "controller/cli/csv_cell.h"
#include "controller/cli/table_layout.h"
#include "shared/base/buf.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/sys/clock.h"

enum {
	CELL_SIZE = 16384, /* longer values end with dots */
	COLUMNS_MAX = 32,
	/* The pieces into which a cell is broken, where the terminal is too narrow for all columns: a code stays whole, and a usual listener. */
	TEXT_WORD = 8,
	LIST_WORD = 19,
	ID_WORD = 19, /* an id takes two lines at most */
	LABEL = 13,   /* of one object's fields, at least */
};

#define MOMENT_MS (10 * MS_SECOND)

void output_json(const json_t *value)
{
	char *text = json_dumps(value, JSON_INDENT(2) | JSON_ENSURE_ASCII);
	if (text != NULL)
		puts(text);
	free(text);
}

static const json_t *field_of(const json_t *row, const char *field)
{
	char        name[64];
	const char *dot;
	while ((dot = strchr(field, '.')) != NULL) {
		if (text_copy_n(name, sizeof(name), field, (size_t)(dot - field)) < 0)
			return NULL;
		row = json_object_get(row, name);
		field = dot + 1;
	}
	return json_object_get(row, field);
}

static void cell_text(const char *text, char ret[CELL_SIZE])
{
	text_cut(ret, CELL_SIZE, text);
	if (strlen(text) >= CELL_SIZE)
		memcpy(ret + CELL_SIZE - 4, "...", 4);
}

/* `since`: how long ago; else how long until, with a sign when it is over. What is off by a moment is now: two clocks are never the same. */
static void cell_age(const char *time, bool since, char ret[CELL_SIZE])
{
	int64_t at;
	if (time_parse(time, &at) < 0) {
		text_cut(ret, CELL_SIZE, "-");
		return;
	}
	int64_t left = since ? clock_now() - at : at - clock_now();
	if (left < 0 && (since || left > -MOMENT_MS))
		left = 0;
	int64_t size = left < 0 ? -left : left;
	const char *sign = left < 0 ? "-" : "";
	if (size >= 2 * MS_DAY)
		snprintf(ret, CELL_SIZE, "%s%lldd", sign, (long long)(size / MS_DAY));
	else if (size >= 2 * MS_HOUR)
		snprintf(ret, CELL_SIZE, "%s%lldh", sign, (long long)(size / MS_HOUR));
	else if (size >= 2 * MS_MINUTE)
		snprintf(ret, CELL_SIZE, "%s%lldm", sign, (long long)(size / MS_MINUTE));
	else
		snprintf(ret, CELL_SIZE, "%s%llds", sign, (long long)(size / MS_SECOND));
}

static void cell_list(const json_t *list, char ret[CELL_SIZE])
{
	size_t  i;
	json_t *item;
	struct buf text = BUF_MAX(2 * CELL_SIZE);
	json_array_foreach((json_t *)(uintptr_t)list, i, item)
		if (json_is_string(item) && text.n < CELL_SIZE)
			buf_add_fmt(&text, "%s%s", i > 0 ? ", " : "", json_string_value(item));
	buf_add_u8(&text, 0);
	cell_text(buf_error(&text) == 0 ? (const char *)text.p : "...", ret);
	buf_free(&text);
}

static void cell_scalar(const json_t *v, char ret[CELL_SIZE])
{
	if (v == NULL || json_is_null(v))
		text_cut(ret, CELL_SIZE, "-");
	else if (json_is_string(v))
		cell_text(json_string_value(v), ret);
	else if (json_is_boolean(v))
		text_cut(ret, CELL_SIZE, json_is_true(v) ? "yes" : "no");
	else if (json_is_integer(v))
		snprintf(ret, CELL_SIZE, "%lld", (long long)json_integer_value(v));
	else if (json_is_real(v))
		snprintf(ret, CELL_SIZE, "%.6g", json_real_value(v));
	else if (json_is_array(v))
		cell_list(v, ret);
	else
		text_cut(ret, CELL_SIZE, "...");
}

static void cell(const struct output_column *column, const json_t *row, char ret[CELL_SIZE])
{
	const json_t *v = field_of(row, column->field);
	const char   *text = json_string_value(v);
	cell_scalar(v, ret);
	if (ret[0] == '\0')
		text_cut(ret, CELL_SIZE, "-");
	switch (column->kind) {
	case COLUMN_TIME:
		if (text != NULL && strlen(text) >= 16)
			snprintf(ret, CELL_SIZE, "%.10s %.5s", text, text + 11);
		break;
	case COLUMN_AGE:
	case COLUMN_SINCE:
		if (text != NULL)
			cell_age(text, column->kind == COLUMN_SINCE, ret);
		break;
	case COLUMN_YES:
		if (v != NULL && !json_is_null(v))
			text_cut(ret, CELL_SIZE, json_is_true(v) ? "yes" : "NO");
		break;
	case COLUMN_SHORT:
		if (text != NULL && strlen(text) > 12)
			snprintf(ret, CELL_SIZE, "%.12s", text);
		break;
	case COLUMN_COUNT:
		if (json_is_array(v))
			snprintf(ret, CELL_SIZE, "%zu", json_array_size(v));
		break;
	case COLUMN_LIST:
		if (json_is_array(v) && json_array_size(v) == 0)
			text_cut(ret, CELL_SIZE, "-");
		break;
	default:
		break;
	}
}

/* CSV shows whole values: no shortening, times as they are. */
static void csv(const struct output_column *columns, size_t n, const json_t *rows)
{
	char    text[CELL_SIZE];
	size_t  i;
	json_t *row;
	for (size_t k = 0; k < n; k++)
		printf("%s%s", k > 0 ? "," : "", columns[k].field);
	putchar('\n');
	json_array_foreach((json_t *)(uintptr_t)rows, i, row) {
		for (size_t k = 0; k < n; k++) {
			if (k > 0)
				putchar(',');
			const json_t *v = field_of(row, columns[k].field);
			text[0] = '\0';
			if (v != NULL && !json_is_null(v))
				cell_scalar(v, text);
			csv_cell(stdout, text);
		}
		putchar('\n');
	}
}

/* How wide each column would like to be, and how narrow it may become. */
static void measure(const struct output_column *columns, size_t n, const json_t *rows, size_t width[], size_t least[])
{
	char    text[CELL_SIZE];
	size_t  i;
	json_t *row;
	for (size_t k = 0; k < n; k++) {
		bool   breaks = columns[k].kind == COLUMN_TEXT || columns[k].kind == COLUMN_LIST || columns[k].kind == COLUMN_ID;
		size_t word = columns[k].kind == COLUMN_LIST ? LIST_WORD : columns[k].kind == COLUMN_ID ? ID_WORD : TEXT_WORD;
		size_t longest = 0;
		width[k] = least[k] = table_width(columns[k].header);
		json_array_foreach((json_t *)(uintptr_t)rows, i, row) {
			cell(&columns[k], row, text);
			size_t w = table_width(text);
			size_t whole = breaks ? table_word(text) : w;
			width[k] = w > width[k] ? w : width[k];
			longest = whole > longest ? whole : longest;
		}
		if (breaks && longest > word)
			longest = word;
		if (longest > least[k])
			least[k] = longest;
	}
}

static struct libscols_table *table_begin(const struct output_column *columns, size_t n, const json_t *rows, size_t width[])
{
	size_t                 least[COLUMNS_MAX];
	size_t                 total = n - 1;
	struct libscols_table *t = scols_new_table();
	measure(columns, n, rows, width, least);
	if (t == NULL)
		return NULL;
	size_t terminal = isatty(STDOUT_FILENO) == 1 ? scols_table_get_termwidth(t) : SIZE_MAX;
	table_fit(n, least, terminal > total ? terminal - total : 0, width);
	for (size_t k = 0; k < n; k++) {
		struct libscols_column *c = scols_table_new_column(t, columns[k].header, 0, SCOLS_FL_WRAP);
		if (c != NULL && scols_column_set_wrapfunc(c, scols_wrapnl_chunksize, scols_wrapnl_nextchunk, NULL) == 0)
			(void)scols_column_set_safechars(c, "\n");
		total += width[k];
	}
	if (total > terminal) /* the terminal breaks the lines then; the library would cut them */
		(void)scols_table_set_termwidth(t, total);
	return t;
}

static void table(const struct output_column *columns, size_t n, const json_t *rows)
{
	char                   text[CELL_SIZE];
	size_t                 width[COLUMNS_MAX];
	size_t                 i;
	json_t                *row;
	struct buf             lines = BUF_MAX(2 * CELL_SIZE);
	struct libscols_table *t = table_begin(columns, n, rows, width);
	if (t == NULL)
		return;
	json_array_foreach((json_t *)(uintptr_t)rows, i, row) {
		struct libscols_line *line = scols_table_new_line(t, NULL);
		for (size_t k = 0; line != NULL && k < n; k++) {
			buf_reset(&lines);
			cell(&columns[k], row, text);
			table_wrap(text, width[k], &lines);
			scols_line_set_data(line, k, buf_error(&lines) == 0 ? (const char *)lines.p : text);
		}
	}
	scols_print_table(t);
	scols_unref_table(t);
	buf_free(&lines);
}

void output_list(enum output_form form, const struct output_column *columns, size_t n, const json_t *rows)
{
	if (form == OUTPUT_JSON)
		output_json(rows);
	else if (form == OUTPUT_CSV)
		csv(columns, n, rows);
	else
		table(columns, n, rows);
}

void output_none(enum output_form form, const json_t *rows, const char *what)
{
	if (form == OUTPUT_TABLE && json_array_size(rows) == 0)
		fprintf(stderr, "no %s\n", what);
}

/* How wide a line may be; without a terminal it has no end, and on one that is too narrow the terminal breaks it. */
static size_t terminal_width(size_t taken)
{
	struct libscols_table *t = isatty(STDOUT_FILENO) == 1 ? scols_new_table() : NULL;
	if (t == NULL)
		return SIZE_MAX;
	size_t width = scols_table_get_termwidth(t);
	scols_unref_table(t);
	return width >= taken + LIST_WORD ? width : SIZE_MAX;
}

/* A word stays whole, so that it can be copied: one that has no room beside its header stands below it, as far right as it may. */
static void print_field(const char *header, size_t label, size_t width, const char *text, struct buf *lines)
{
	size_t room = width - label - 1;
	size_t word = table_word(text);
	bool   below = word > room && word <= width;
	size_t indent = below ? width - word : label + 1;
	char  *rest = NULL;
	buf_reset(lines);
	table_wrap(text, word > room ? word : room, lines);
	printf("%-*s%s", below ? 0 : (int)label, header, below ? "\n" : "");
	const char *first = buf_error(lines) == 0 ? strtok_r((char *)lines->p, "\n", &rest) : text;
	printf("%*s%s\n", below ? (int)indent : 1, "", first != NULL ? first : "");
	for (const char *line = first; first != text && (line = strtok_r(NULL, "\n", &rest)) != NULL;)
		printf("%*s%s\n", (int)indent, "", line);
}

void output_object(enum output_form form, const struct output_column *columns, size_t n, const json_t *object)
{
	if (form == OUTPUT_JSON) {
		output_json(object);
		return;
	}
	if (form == OUTPUT_CSV) {
		json_t *rows = json_pack("[O]", object);
		csv(columns, n, rows);
		json_decref(rows);
		return;
	}
	char       text[CELL_SIZE];
	struct buf lines = BUF_MAX(3 * CELL_SIZE);
	size_t     label = LABEL;
	for (size_t k = 0; k < n; k++)
		if (strlen(columns[k].header) > label)
			label = strlen(columns[k].header);
	size_t width = terminal_width(label + 1);
	for (size_t k = 0; k < n; k++) {
		cell(&columns[k], object, text);
		if (table_width(text) != strlen(text)) /* other than ASCII: as it is */
			printf("%-*s %s\n", (int)label, columns[k].header, text);
		else
			print_field(columns[k].header, label, width, text, &lines);
	}
	buf_free(&lines);
}

const char *output_text(const json_t *object, const char *field)
{
	const char *text = json_string_value(json_object_get(object, field));
	return text != NULL ? text : "";
}

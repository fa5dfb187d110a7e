/* edit.c - room agent/survey: new bytes of a configuration file, and the difference as people read it.
 * Never: files. */
#include "agent/survey/edit.h"

#include <stdlib.h>
#include <string.h>

#include "shared/base/text.h"

enum { AROUND = 3 };

static int by_place(const void *a, const void *b)
{
	const struct edit *x = a;
	const struct edit *y = b;
	if (x->file != y->file)
		return x->file < y->file ? -1 : 1;
	return x->start != y->start ? (x->start < y->start ? -1 : 1) : 0;
}

int edit_value(struct edit *e, uint8_t first, bool always, const char *path)
{
	const char *quote = always || first == '\'' ? "'" : first == '"' ? "\"" : "";
	int         n = snprintf(e->text, sizeof(e->text), "%s%s%s", quote, path, quote);
	return n > 0 && (size_t)n < sizeof(e->text) ? 0 : E_SURVEY_LIMIT;
}

int edits_sort(struct edit *edits, size_t *n, struct refusal *why)
{
	size_t kept = 0;
	qsort(edits, *n, sizeof(*edits), by_place);
	for (size_t i = 0; i < *n; i++) {
		const struct edit *last = kept > 0 ? &edits[kept - 1] : NULL;
		if (last != NULL && last->file == edits[i].file && edits[i].start < last->end) {
			/* a snippet that several servers include */
			if (last->start == edits[i].start && text_equal(last->text, edits[i].text))
				continue;
			return refuse(why, E_SURVEY_CANNOT, "configuration",
				      "one value would have to become two different ones");
		}
		if (kept != i)
			edits[kept] = edits[i];
		kept++;
	}
	*n = kept;
	return 0;
}

int edits_apply(struct span old, const struct edit *edits, size_t n, size_t file, struct buf *to)
{
	size_t at = 0;
	for (size_t i = 0; i < n; i++) {
		if (edits[i].file != file)
			continue;
		if (edits[i].start < at || edits[i].end > old.n || edits[i].end < edits[i].start)
			return E_INTERNAL;
		buf_add(to, old.p + at, edits[i].start - at);
		buf_add_text(to, edits[i].text);
		at = edits[i].end;
	}
	buf_add(to, old.p + at, old.n - at);
	return buf_error(to);
}

/* ---- difference --------------------------------------------------------------------------------------------------- */

struct lines {
	struct span text;
	size_t      at, line; /* where the next line begins, and its number from 0 */
};

static bool line_next(struct lines *l, struct span *ret)
{
	if (l->at >= l->text.n)
		return false;
	const uint8_t *from = l->text.p + l->at;
	const uint8_t *end = memchr(from, '\n', l->text.n - l->at);
	*ret = (struct span){from, end != NULL ? (size_t)(end - from) : l->text.n - l->at};
	l->at += ret->n + (end != NULL);
	l->line++;
	return true;
}

static void print_line(FILE *to, char mark, struct span line)
{
	fputc(mark, to);
	for (size_t i = 0; i < line.n; i++)
		fputc(line.p[i] >= ' ' || line.p[i] == '\t' ? line.p[i] : '?', to); /* a terminal obeys control characters */
	fputc('\n', to);
}

static size_t changed_lines(struct span old, struct span new, bool *ret, size_t max)
{
	struct lines a = {old, 0, 0};
	struct lines b = {new, 0, 0};
	struct span  x;
	struct span  y;
	size_t       n = 0;
	for (; n < max; n++) {
		bool more_a = line_next(&a, &x);
		bool more_b = line_next(&b, &y);
		if (!more_a && !more_b)
			break;
		ret[n] = more_a != more_b || !span_equal(x, y);
	}
	return n;
}

static bool near(const bool *changed, size_t n, size_t at)
{
	for (size_t i = at < AROUND ? 0 : at - AROUND; i <= at + AROUND && i < n; i++)
		if (changed[i])
			return true;
	return false;
}

/* Lines [from, to) of one text, the changed ones only, or the unchanged ones. */
static void print_run(struct span text, size_t from, size_t until, char mark, FILE *to)
{
	struct lines l = {text, 0, 0};
	struct span  line;
	while (l.line < until && line_next(&l, &line))
		if (l.line > from)
			print_line(to, mark, line);
}

static void print_hunk(struct span old, struct span new, const bool *changed, size_t from, size_t until, FILE *to)
{
	fprintf(to, "@@ -%zu,%zu +%zu,%zu @@\n", old.n > 0 ? from + 1 : 0, old.n > 0 ? until - from : 0, from + 1,
		until - from);
	for (size_t i = from; i < until;) {
		size_t end = i;
		while (end < until && changed[end] == changed[i])
			end++;
		if (changed[i]) {
			print_run(old, i, end, '-', to);
			print_run(new, i, end, '+', to);
		} else {
			print_run(old, i, end, ' ', to);
		}
		i = end;
	}
}

void edit_diff(const char *path, struct span old, struct span new, FILE *to)
{
	size_t max = old.n + new.n + 2;
	bool  *changed = calloc(max, sizeof(*changed));
	if (changed == NULL)
		return;
	size_t n = changed_lines(old, new, changed, max);
	fprintf(to, "--- %s\n+++ %s\n", old.n > 0 ? path : "/dev/null", new.n > 0 ? path : "/dev/null");
	for (size_t i = 0; i < n;) {
		size_t end = i;
		while (end < n && near(changed, n, end))
			end++;
		if (end > i)
			print_hunk(old, new, changed, i, end, to);
		i = end + 1;
	}
	free(changed);
}

int edit_replace(struct span old, const char *from, const char *into, struct buf *to, size_t *ret_n)
{
	const size_t n = strlen(from);
	size_t       at = 0;
	*ret_n = 0;
	while (n > 0 && at < old.n) {
		const uint8_t *found = memmem(old.p + at, old.n - at, from, n);
		if (found == NULL)
			break;
		buf_add(to, old.p + at, (size_t)(found - old.p) - at);
		buf_add_text(to, into);
		at = (size_t)(found - old.p) + n;
		++*ret_n;
	}
	buf_add(to, old.p + at, old.n - at);
	return buf_error(to);
}

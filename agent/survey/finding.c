/* finding.c - room agent/survey: what the doctor found.
 * Never: looking for anything itself. */
#include "agent/survey/finding.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "shared/base/text.h"

const char *finding_level_name(enum finding_level l)
{
	static const char *const names[FINDING_LEVEL_COUNT] = {
		[FINDING_WARNING] = "warning", [FINDING_ERROR] = "error", [FINDING_MENDED] = "mended"};
	return (size_t)l < N_ELEMENTS(names) ? names[l] : "unknown";
}

struct finding *finding_add(struct findings *f, const char *check, enum finding_level level, int code, const char *object,
			    const char *fmt, ...)
{
	char            cause[FINDING_WORDS_SIZE];
	struct finding *row = f->n < FINDINGS_MAX ? &f->row[f->n++] : &f->spare;
	va_list         args;
	f->more += row == &f->spare;
	va_start(args, fmt);
	vsnprintf(cause, sizeof(cause), fmt, args);
	va_end(args);
	*row = (struct finding){.check = check, .level = level};
	(void)!refuse(&row->why, code, object, "%s", cause);
	return row;
}

bool findings_have(const struct findings *f, int code, const char *object)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->row[i].why.code == code && text_equal(f->row[i].why.object, object))
			return true;
	return false;
}

size_t findings_count(const struct findings *f, enum finding_level level)
{
	size_t n = 0;
	for (size_t i = 0; i < f->n; i++)
		n += f->row[i].level == level;
	return n;
}

const char *finding_next(const struct finding *f)
{
	return f->next[0] != '\0' ? f->next : err_next(f->why.code);
}

void finding_mended(struct finding *f, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	vsnprintf(f->done, sizeof(f->done), fmt, args);
	va_end(args);
	text_hide_controls(f->done);
	f->level = FINDING_MENDED;
}

void finding_not_mended(struct finding *f, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	vsnprintf(f->done, sizeof(f->done), fmt, args);
	va_end(args);
	text_hide_controls(f->done);
}

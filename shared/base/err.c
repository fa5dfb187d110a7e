/* err.c - room shared/base: looks codes up in the registry and words refusals.
 * Never: printing, logging, errno of a library. */
#include "shared/base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/text.h"

static const struct err_row rows[] = {
#define ERR(number, symbol, kind, what, next) {number, #symbol, ERR_KIND_##kind, what, next},
#include "shared/base/err.def"
#undef ERR
};

const struct err_row *err_rows(size_t *ret_n)
{
	*ret_n = N_ELEMENTS(rows);
	return rows;
}

const struct err_row *err_find(int code)
{
	int number = abs(code);
	for (size_t i = 0; i < N_ELEMENTS(rows); i++)
		if (rows[i].number == number)
			return &rows[i];
	return NULL;
}

const char *err_code(int code, char ret[ERR_CODE_SIZE])
{
	snprintf(ret, ERR_CODE_SIZE, "VCC-%04d", abs(code) % 10000);
	return ret;
}

enum err_kind err_kind(int code)
{
	const struct err_row *row = err_find(code);
	return row != NULL ? row->kind : ERR_KIND_BUG;
}

const char *err_kind_name(enum err_kind kind)
{
	static const char *const names[] = {"retry", "denied", "peer", "local", "bug"};
	return (size_t)kind < N_ELEMENTS(names) ? names[kind] : "bug";
}

const char *err_what(int code)
{
	const struct err_row *row = err_find(code);
	return row != NULL ? row->what : "an error that is not in the registry";
}

const char *err_next(int code)
{
	const struct err_row *row = err_find(code);
	return row != NULL ? row->next : "Report this with the log lines around it.";
}

int (refuse)(struct refusal *ret, int code, const char *object, const char *fmt, ...)
{
	if (ret == NULL)
		return code;

	ret->code = code;
	snprintf(ret->object, sizeof(ret->object), "%s", object != NULL ? object : "");
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(ret->cause, sizeof(ret->cause), fmt, ap);
	va_end(ap);
	text_hide_controls(ret->object);
	text_hide_controls(ret->cause);
	return code;
}

const char *refusal_text(const struct refusal *r, char *ret, size_t size)
{
	char code[ERR_CODE_SIZE];
	const char *cause = r->cause[0] != '\0' ? r->cause : err_what(r->code);
	snprintf(ret, size, "%s %s%s%s. Next: %s", err_code(r->code, code), r->object,
	         r->object[0] != '\0' ? ": " : "", cause, err_next(r->code));
	return ret;
}

const char *refusal_words(const struct refusal *r, char *ret, size_t size)
{
	const char  *cause = r->cause[0] != '\0' ? r->cause : err_what(r->code);
	const size_t room = size / 2;
	const size_t n = strlen(r->object);
	const bool   cut = n > room;
	snprintf(ret, size, "%s%s%s%s", cut ? "..." : "", r->object + (cut ? n - room + strlen("...") : 0), n > 0 ? ": " : "", cause);
	return ret;
}

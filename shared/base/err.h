/* err.h - room shared/base: the one registry of errors (err.def) and what each means.
 * Never: printing, logging, errno of a library. */
#ifndef VCC_ERR_H
#define VCC_ERR_H

#include "shared/base/attr.h"

/* What a caller may do about an error; decided once, in err.def. */
enum err_kind {
	ERR_KIND_RETRY,  /* the same call may succeed later */
	ERR_KIND_DENIED, /* refused by a rule; repeating it changes nothing */
	ERR_KIND_PEER,   /* the other side sent something wrong */
	ERR_KIND_LOCAL,  /* this host is not as it must be (files, rights, space) */
	ERR_KIND_BUG,    /* broken inside; the caller ends the operation */
};

/* Functions return 0 or one of these negative codes. E_WIRE_TYPE = -1101 is shown as VCC-1101. */
enum err {
	E_OK = 0,
#define ERR(number, symbol, kind, what, next) E_##symbol = -(number),
#include "shared/base/err.def"
#undef ERR
};

struct err_row {
	int           number; /* positive: 1101 for VCC-1101 */
	const char   *symbol; /* "WIRE_TYPE" */
	enum err_kind kind;
	const char   *what; /* one sentence without object: "a field has the wrong type" */
	const char   *next; /* what the operator does now */
};

enum { ERR_CODE_SIZE = 12 }; /* "VCC-1101" and room */

/* The row of a code, negative or positive; NULL when it is not in the registry. */
const struct err_row *err_find(int code);

/* All rows in order, for `explain`, the documentation and tests. */
const struct err_row *err_rows(size_t *ret_n);

/* "VCC-1101" into `ret`; returns `ret`. Unknown codes come out the same way. */
const char *err_code(int code, char ret[ERR_CODE_SIZE]);

enum err_kind err_kind(int code); /* unknown codes are bugs */
const char *err_kind_name(enum err_kind kind);
const char *err_what(int code); /* never NULL */
const char *err_next(int code); /* never NULL */

/* A refusal as people see it: which object, why, and (from the registry) what next. */
struct refusal {
	int  code; /* 0 = nothing refused */
	char object[160];
	char cause[320];
};

/* Fills `ret` (which may be NULL) and returns `code`, so that `return refuse(...)` reads well. Control
 * characters of the text are replaced, over-long text is cut. */
int refuse(struct refusal *ret, int code, const char *object, const char *fmt, ...) _printf_(4, 5);
#ifdef VCC_ANALYSER /* one that cannot look into err.c is told what comes back */
#define refuse(ret, code, ...) ((void)refuse(ret, code, __VA_ARGS__), (code))
#endif

/* "VCC-1303 /etc/x.conf:4: unknown key `foo`. Next: ..." in one line, cut to size. Returns `ret`. */
const char *refusal_text(const struct refusal *r, char *ret, size_t size);
/* "/etc/x.conf:4: unknown key `foo`" for messages with little room: of a long object the end is kept, it tells more. Returns `ret`. */
const char *refusal_words(const struct refusal *r, char *ret, size_t size);

#endif

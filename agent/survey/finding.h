/* finding.h - room agent/survey: what the doctor found: object, cause, code, next step, and what was mended.
 * Never: looking for anything itself. */
#ifndef VCC_FINDING_H
#define VCC_FINDING_H

#include <stdbool.h>
#include <stddef.h>

#include "shared/base/err.h"

enum { FINDINGS_MAX = 128, FINDING_WORDS_SIZE = 320 };

enum finding_level {
	FINDING_WARNING, /* works today, and will not always */
	FINDING_ERROR,   /* something does not work, or a renewal would not */
	FINDING_MENDED,  /* was one of the two */
	FINDING_LEVEL_COUNT,
};
const char *finding_level_name(enum finding_level l); /* "warning" */

struct finding {
	const char        *check; /* id of the check that found it */
	enum finding_level level;
	struct refusal     why;
	char               next[FINDING_WORDS_SIZE]; /* "" = as the code's row says */
	char               done[FINDING_WORDS_SIZE]; /* what --fix did, or why it could not */
};

struct findings {
	struct finding row[FINDINGS_MAX];
	size_t         n;
	size_t         more;  /* beyond FINDINGS_MAX: counted only */
	struct finding spare; /* takes the words of those */
};

/* A new one; never NULL. */
struct finding *finding_add(struct findings *f, const char *check, enum finding_level level, int code, const char *object,
			    const char *fmt, ...) _printf_(6, 7);
/* Is this code said of this object? */
bool        findings_have(const struct findings *f, int code, const char *object);
size_t      findings_count(const struct findings *f, enum finding_level level);
const char *finding_next(const struct finding *f);
/* After --fix tried: it is mended, or stays with the reason. */
void finding_mended(struct finding *f, const char *fmt, ...) _printf_(2, 3);
void finding_not_mended(struct finding *f, const char *fmt, ...) _printf_(2, 3);

#endif

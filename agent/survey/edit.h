/* edit.h - room agent/survey: new bytes of a configuration file: exactly the values change, comments and layout stay. And the
 * difference as people read it. Never: files. */
#ifndef VCC_EDIT_H
#define VCC_EDIT_H

#include <stdio.h>

#include "shared/base/buf.h"
#include "shared/base/err.h"

enum { EDIT_TEXT_SIZE = 600, EDITS_MAX = 384 };

struct edit {
	size_t file;       /* index among the sources */
	size_t start, end; /* bytes that are replaced */
	char   text[EDIT_TEXT_SIZE];
};

/* The value that stands there becomes `path`, quoted as it was (`first` is its first byte), or in any case. E_SURVEY_LIMIT. */
_must_check_ int edit_value(struct edit *e, uint8_t first, bool always, const char *path);

/* Sorted by file and place, each place once. E_SURVEY_CANNOT: two of them want the same bytes to be different things. */
_must_check_ int edits_sort(struct edit *edits, size_t *n, struct refusal *why);

/* `old` with the edits of `file`. */
_must_check_ int edits_apply(struct span old, const struct edit *edits, size_t n, size_t file, struct buf *to);

/* Lines that differ, with three lines around them, in the manner of `diff -u`. Values have no line ends, so both have as many
 * lines, or `old` is empty: a new file. */
void edit_diff(const char *path, struct span old, struct span new, FILE *to);

/* Every whole occurrence of `from` becomes `into`; *ret_n tells how many. */
_must_check_ int edit_replace(struct span old, const char *from, const char *into, struct buf *to, size_t *ret_n);

#endif

/* wrap.h - room shared/base: words for people in lines that never get wider than they may.
 * Never: knowing a terminal; control characters (text_hide_controls() comes first). */
#ifndef VCC_WRAP_H
#define VCC_WRAP_H

#include "shared/base/buf.h"

enum { WRAP_COLUMNS = 80 }; /* a terminal's width that can be counted on */

/* Appends `text`, whose first line begins at `column`; further lines begin with `indent` blanks. Lines are broken at blanks, and
 * inside of a word only where it is longer than a whole line. Every line, also the last, ends with a line feed and has at most
 * WRAP_COLUMNS bytes before it: at most as many columns. */
void wrap_add(struct buf *to, const char *text, size_t column, size_t indent);

#endif

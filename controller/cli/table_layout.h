/* table_layout.h - room controller/cli: how wide the columns of a table are, and where a text that is wider is broken.
 * Nothing is ever cut: what does not fit goes on in the next line of its cell. Never: printing. */
#ifndef VCC_TABLE_LAYOUT_H
#define VCC_TABLE_LAYOUT_H

#include <stddef.h>

#include "shared/base/buf.h"

/* Columns on the screen: bytes, and \xNN for those that are not printed as they are. */
size_t table_width(const char *text);
/* The longest word of a text: what is between spaces. */
size_t table_word(const char *text);

/* Takes from the widest columns until the sum is `total` or none is above its `least`. */
void table_fit(size_t n, const size_t least[], size_t total, size_t width[]);

/* `text` in lines of at most `width`, ended by '\0': broken at spaces, else behind punctuation, else anywhere. */
void table_wrap(const char *text, size_t width, struct buf *to);

#endif

/* wrap.c - room shared/base: words for people in lines that never get wider than they may.
 * Never: knowing a terminal. */
#include "shared/base/wrap.h"

#include <string.h>

static void line_begin(struct buf *to, size_t indent)
{
	buf_add_u8(to, '\n');
	for (size_t i = 0; i < indent; i++)
		buf_add_u8(to, ' ');
}

/* How much of a word fits into `room` without cutting a character in two. At least one byte, or it would never end. */
static size_t piece(const char *word, size_t n, size_t room)
{
	if (n <= room)
		return n;
	size_t at = room;
	while (at > 1 && ((uint8_t)word[at] & 0xC0) == 0x80)
		at--;
	return at > 0 ? at : 1;
}

void wrap_add(struct buf *to, const char *text, size_t column, size_t indent)
{
	bool fresh = true; /* nothing of ours stands in this line yet */
	while (*(text += strspn(text, " ")) != '\0') {
		size_t n = strcspn(text, " ");
		size_t gap = fresh ? 0 : 1;
		if (column + gap + n > WRAP_COLUMNS && (!fresh || column > indent)) {
			line_begin(to, indent);
			column = indent;
			gap = 0;
		}
		if (gap > 0)
			buf_add_u8(to, ' ');
		n = piece(text, n, WRAP_COLUMNS - column - gap);
		buf_add(to, text, n);
		column += gap + n;
		text += n;
		fresh = false;
		if (*text != '\0' && *text != ' ') { /* the rest of a long word */
			line_begin(to, indent);
			column = indent;
			fresh = true;
		}
	}
	buf_add_u8(to, '\n');
}

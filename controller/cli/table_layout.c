/* table_layout.c - room controller/cli: how wide the columns of a table are, and where a text that is wider is broken.
 * Never: printing. */
#include "controller/cli/table_layout.h"

#include <stdbool.h>
#include <string.h>

enum { ESCAPED = 4 };

static size_t byte_width(char c)
{
	return (unsigned char)c >= 0x20 && (unsigned char)c < 0x7f ? 1 : ESCAPED;
}

static size_t span_width(const char *text, size_t n)
{
	size_t width = 0;
	for (size_t i = 0; i < n; i++)
		width += byte_width(text[i]);
	return width;
}

size_t table_width(const char *text)
{
	return span_width(text, strlen(text));
}

size_t table_word(const char *text)
{
	size_t longest = 0;
	while (*text != '\0') {
		size_t n = strcspn(text, " ");
		size_t width = span_width(text, n);
		if (width > longest)
			longest = width;
		text += n;
		text += strspn(text, " ");
	}
	return longest;
}

void table_fit(size_t n, const size_t least[], size_t total, size_t width[])
{
	size_t sum = 0;
	for (size_t k = 0; k < n; k++)
		sum += width[k];
	while (sum > total) {
		size_t widest = n;
		for (size_t k = 0; k < n; k++)
			if (width[k] > least[k] && (widest == n || width[k] >= width[widest])) /* of equal ones the last: names come first */
				widest = k;
		if (widest == n)
			return;
		width[widest]--;
		sum--;
	}
}

/* How many bytes of `text` make the next line. */
static size_t line_length(const char *text, size_t width)
{
	size_t fits = 0;
	size_t used = 0;
	size_t mark = 0;
	while (text[fits] != '\0' && used + byte_width(text[fits]) <= width)
		used += byte_width(text[fits++]);
	if (text[fits] == '\0' || text[fits] == ' ')
		return fits;
	for (size_t i = fits; i > 0; i--)
		if (text[i - 1] == ' ')
			return i;
		else if (mark == 0 && strchr("-.,:/_@=", text[i - 1]) != NULL)
			mark = i;
	if (3 * mark >= fits && mark > 0) /* else the line would be all but empty */
		return mark;
	return fits > 0 ? fits : 1;
}

void table_wrap(const char *text, size_t width, struct buf *to)
{
	bool first = true;
	while (*text != '\0') {
		size_t n = line_length(text, width);
		size_t shown = n;
		while (shown > 0 && text[shown - 1] == ' ')
			shown--;
		if (!first)
			buf_add_u8(to, '\n');
		buf_add(to, text, shown);
		first = false;
		text += n;
		text += strspn(text, " ");
	}
	buf_add_u8(to, '\0');
}

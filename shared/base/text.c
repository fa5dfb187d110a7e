/* text.c - room shared/base: bounded C strings.
 * Never: locale, allocation. */
#include "shared/base/text.h"

#include <string.h>

#include "shared/base/err.h"

int text_copy(char *to, size_t size, const char *from)
{
	size_t n = strlen(from);
	if (n >= size)
		return E_FULL;
	memcpy(to, from, n + 1);
	return 0;
}

int text_copy_n(char *to, size_t size, const char *from, size_t n)
{
	if (n >= size)
		return E_FULL;
	if (n > 0 && memchr(from, '\0', n) != NULL)
		return E_SYNTAX;
	if (n > 0)
		memcpy(to, from, n);
	to[n] = '\0';
	return 0;
}

void text_cut(char *to, size_t size, const char *from)
{
	size_t n = strlen(from);
	if (n >= size)
		n = size - 1;
	memcpy(to, from, n);
	to[n] = '\0';
}

bool text_equal(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return strcmp(a, b) == 0;
}

bool text_starts(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool text_ends(const char *text, const char *suffix)
{
	size_t n = strlen(text);
	size_t m = strlen(suffix);
	return n >= m && strcmp(text + n - m, suffix) == 0;
}

bool text_has_controls(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return true;
	return false;
}

/* Bytes of what no line may hold, at `p` before `n` bytes end; 0 = something else stands there. */
static size_t unfit(const uint8_t *p, size_t n)
{
	if (p[0] < 0x20 || p[0] == 0x7f)
		return 1;
	if (n >= 2 && p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)
		return 2; /* C1: U+0080..U+009F */
	if (n >= 3 && p[0] == 0xe2 && p[1] == 0x80 && p[2] >= 0xa8 && p[2] <= 0xae)
		return 3; /* U+2028 and U+2029: separators; U+202A..U+202E: embeddings and overrides */
	return n >= 3 && p[0] == 0xe2 && p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9 ? 3 : 0; /* U+2066..U+2069: isolates */
}

void text_hide_controls(char *text)
{
	size_t n = strlen(text);
	for (size_t i = 0; i < n; i++)
		for (size_t k = unfit((const uint8_t *)text + i, n - i); k > 0; k--)
			text[i + k - 1] = '?';
}

void text_plain(char *text)
{
	for (; *text != '\0'; text++)
		if (*text < ' ' || *text > '~')
			*text = '?';
}

/* Length of the well-formed sequence at `p`, or 0 (RFC 3629, 4: no overlong forms, no surrogates, <= U+10FFFF). */
static size_t utf8_sequence(const uint8_t *p, size_t left)
{
	uint8_t first = p[0];
	if (first < 0x80)
		return 1;

	size_t  n;
	uint8_t low = 0x80;
	uint8_t high = 0xbf;
	if (first >= 0xc2 && first <= 0xdf) {
		n = 2;
	} else if (first >= 0xe0 && first <= 0xef) {
		n = 3;
		low = first == 0xe0 ? 0xa0 : 0x80;
		high = first == 0xed ? 0x9f : 0xbf;
	} else if (first >= 0xf0 && first <= 0xf4) {
		n = 4;
		low = first == 0xf0 ? 0x90 : 0x80;
		high = first == 0xf4 ? 0x8f : 0xbf;
	} else {
		return 0;
	}
	if (left < n || p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

bool text_utf8_ok(const void *bytes, size_t n)
{
	const uint8_t *p = bytes;
	for (size_t i = 0; i < n;) {
		if ((p[i] < 0x20 && p[i] != '\n' && p[i] != '\t') || p[i] == 0x7f)
			return false;
		size_t step = utf8_sequence(p + i, n - i);
		if (step == 0)
			return false;
		i += step;
	}
	return true;
}

bool text_line_ok(const void *bytes, size_t n)
{
	const uint8_t *p = bytes;
	for (size_t i = 0; i < n; i++)
		if (unfit(p + i, n - i) != 0)
			return false;
	return text_utf8_ok(bytes, n);
}

int text_i64(const char *text, int64_t min, int64_t max, int64_t *ret)
{
	bool        negative = text[0] == '-';
	const char *p = negative ? text + 1 : text;
	if (*p == '\0')
		return E_SYNTAX;
	int64_t v = 0;
	for (; *p != '\0'; p++) {
		if (*p < '0' || *p > '9')
			return E_SYNTAX;
		if (v < (INT64_MIN + (*p - '0')) / 10)
			return E_RANGE;
		v = v * 10 - (*p - '0'); /* counts downwards: INT64_MIN has no positive twin */
	}
	if (!negative) {
		if (v == INT64_MIN)
			return E_RANGE;
		v = -v;
	}
	if (v < min || v > max)
		return E_RANGE;
	*ret = v;
	return 0;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The next item where it stands, `*ret_n` bytes; NULL at the end. */
static const char *next_item(const char **cursor, size_t *ret_n)
{
	const char *p = *cursor;
	while (p != NULL && *p != '\0') {
		const char *end = p + strcspn(p, ",");
		const char *next = *end == ',' ? end + 1 : end;
		while (p < end && is_blank(*p))
			p++;
		while (end > p && is_blank(end[-1]))
			end--;
		*cursor = next;
		*ret_n = (size_t)(end - p);
		if (*ret_n > 0)
			return p;
		p = next;
	}
	return NULL;
}

bool text_item(const char **cursor, char *ret, size_t size)
{
	size_t      n;
	const char *item = next_item(cursor, &n);
	if (item != NULL && n >= size)
		*cursor = NULL;
	if (item == NULL || n >= size)
		return false;
	memcpy(ret, item, n);
	ret[n] = '\0';
	return true;
}

bool text_listed(const char *list, const char *item)
{
	size_t      n, wanted = strlen(item);
	const char *one;
	while ((one = next_item(&list, &n)) != NULL)
		if (n == wanted && memcmp(one, item, n) == 0)
			return true;
	return false;
}

int text_host_port(const char *address, char *ret_host, size_t size, uint16_t *ret_port)
{
	const char *colon = strrchr(address, ':');
	const char *from = address;
	int64_t     port;
	if (colon == NULL || text_i64(colon + 1, 0, UINT16_MAX, &port) != 0)
		return E_SYNTAX;
	size_t n = (size_t)(colon - address);
	if (n >= 2 && from[0] == '[' && from[n - 1] == ']') {
		from++;
		n -= 2;
	} else if (memchr(from, ':', n) != NULL) {
		return E_SYNTAX; /* an IPv6 address needs brackets */
	}
	for (size_t i = 0; i < n; i++)
		if (strchr("[]/ ", from[i]) != NULL)
			return E_SYNTAX;
	if (n == 1 && from[0] == '*')
		n = 0;
	int r = text_copy_n(ret_host, size, from, n);
	if (r == 0)
		*ret_port = (uint16_t)port;
	return r;
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Row i of the usual table says how far the first i signs of `a` are from the first j of `b`; three rows are enough. */
size_t text_distance(const char *a, const char *b)
{
	size_t na = strlen(a), nb = strlen(b);
	size_t rows[3][TEXT_DISTANCE_MAX + 1];
	if (na > TEXT_DISTANCE_MAX || nb > TEXT_DISTANCE_MAX)
		return SIZE_MAX;
	for (size_t j = 0; j <= nb; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= na; i++) {
		size_t       *row = rows[i % 3];
		const size_t *above = rows[(i + 2) % 3], *two = rows[(i + 1) % 3];
		row[0] = i;
		for (size_t j = 1; j <= nb; j++) {
			bool same = a[i - 1] == b[j - 1];
			row[j] = least(least(above[j], row[j - 1]) + 1, above[j - 1] + (same ? 0 : 1));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = least(row[j], two[j - 2] + 1);
		}
	}
	return rows[na % 3][nb];
}

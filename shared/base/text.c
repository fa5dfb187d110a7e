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

void text_hide_controls(char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
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

bool text_item(const char **cursor, char *ret, size_t size)
{
	const char *p = *cursor;
	while (p != NULL && *p != '\0') {
		const char *end = strchr(p, ',');
		const char *next = end != NULL ? end + 1 : p + strlen(p);
		if (end == NULL)
			end = next;
		while (p < end && is_blank(*p))
			p++;
		while (end > p && is_blank(end[-1]))
			end--;
		if (end > p) {
			size_t n = (size_t)(end - p);
			if (n >= size) {
				*cursor = NULL;
				return false;
			}
			memcpy(ret, p, n);
			ret[n] = '\0';
			*cursor = next;
			return true;
		}
		p = next;
	}
	*cursor = p;
	return false;
}

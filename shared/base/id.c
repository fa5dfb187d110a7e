/* id.c - room shared/base: ids, hashes, serials and their texts.
 * Never: making randomness; it comes from the caller. */
#include "shared/base/id.h"

#include <string.h>

#include "shared/base/be.h"
#include "shared/base/err.h"

static bool all_zero(const uint8_t *b, size_t n)
{
	uint8_t any = 0;
	for (size_t i = 0; i < n; i++)
		any |= b[i];
	return any == 0;
}

struct id id_make(int64_t now_ms, const uint8_t random[ID_RANDOM])
{
	struct id id;
	be_put(id.b, (uint64_t)now_ms, 6);
	memcpy(id.b + 6, random, ID_RANDOM);
	id.b[6] = (uint8_t)((id.b[6] & 0x0f) | 0x70);
	id.b[8] = (uint8_t)((id.b[8] & 0x3f) | 0x80);
	return id;
}

bool id_equal(struct id a, struct id b)
{
	return memcmp(a.b, b.b, sizeof(a.b)) == 0;
}

bool id_is_none(struct id a)
{
	return all_zero(a.b, sizeof(a.b));
}

const char *id_text(struct id a, char ret[ID_TEXT_SIZE])
{
	static const uint8_t parts[] = {4, 2, 2, 2, 6};
	const uint8_t       *from = a.b;
	char                *to = ret;
	for (size_t i = 0; i < N_ELEMENTS(parts); i++) {
		if (i > 0)
			*to++ = '-';
		hex_text(from, parts[i], to);
		from += parts[i];
		to += 2 * parts[i];
	}
	return ret;
}

int id_parse(const char *text, struct id *ret)
{
	if (strlen(text) != ID_TEXT_SIZE - 1)
		return E_SYNTAX;
	char   digits[33];
	size_t n = 0;
	for (size_t i = 0; i < ID_TEXT_SIZE - 1; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;
		if (dash != (text[i] == '-'))
			return E_SYNTAX;
		if (!dash)
			digits[n++] = text[i];
	}
	digits[n] = '\0';
	struct id id;
	int       r = hex_parse(digits, id.b, sizeof(id.b));
	if (r < 0)
		return r;
	*ret = id;
	return 0;
}

bool hash_equal(struct hash a, struct hash b)
{
	return memcmp(a.b, b.b, sizeof(a.b)) == 0;
}

bool hash_is_none(struct hash a)
{
	return all_zero(a.b, sizeof(a.b));
}

const char *hash_text(struct hash a, char ret[HASH_TEXT_SIZE])
{
	hex_text(a.b, sizeof(a.b), ret);
	return ret;
}

int hash_parse(const char *text, struct hash *ret)
{
	struct hash h;
	int         r = hex_parse(text, h.b, sizeof(h.b));
	if (r < 0)
		return r;
	*ret = h;
	return 0;
}

struct serial serial_make(uint64_t counter, const uint8_t random[SERIAL_RANDOM])
{
	struct serial s;
	be_put(s.b, counter, 7);
	s.b[0] &= 0x7f;
	memcpy(s.b + 7, random, SERIAL_RANDOM);
	return s;
}

uint64_t serial_counter(struct serial s)
{
	return be_get(s.b, 7);
}

bool serial_equal(struct serial a, struct serial b)
{
	return memcmp(a.b, b.b, sizeof(a.b)) == 0;
}

bool serial_is_none(struct serial s)
{
	return all_zero(s.b, sizeof(s.b));
}

const char *serial_text(struct serial s, char ret[SERIAL_TEXT_SIZE])
{
	hex_text(s.b, sizeof(s.b), ret);
	for (char *c = ret; *c != '\0'; c++)
		if (*c >= 'a')
			*c = (char)(*c - 'a' + 'A');
	return ret;
}

int serial_parse(const char *text, struct serial *ret)
{
	struct serial s;
	int           r = hex_parse(text, s.b, sizeof(s.b));
	if (r < 0)
		return r;
	*ret = s;
	return 0;
}

void hex_text(const uint8_t *bytes, size_t n, char *ret)
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < n; i++) {
		ret[2 * i] = digits[bytes[i] >> 4];
		ret[2 * i + 1] = digits[bytes[i] & 15];
	}
	ret[2 * n] = '\0';
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int hex_parse(const char *text, uint8_t *ret, size_t n)
{
	if (strlen(text) != 2 * n)
		return E_SYNTAX;
	for (size_t i = 0; i < 2 * n; i++)
		if (hex_digit(text[i]) < 0)
			return E_SYNTAX;
	for (size_t i = 0; i < n; i++)
		ret[i] = (uint8_t)(hex_digit(text[2 * i]) << 4 | hex_digit(text[2 * i + 1]));
	return 0;
}

static const char b64_std[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char b64_url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static int b64_encode(const char alphabet[static 65], bool pad, const uint8_t *bytes, size_t n, char *ret, size_t size)
{
	if (n > SIZE_MAX / 2 || size < (n + 2) / 3 * 4 + 1)
		return E_FULL;
	char *to = ret;
	for (size_t i = 0; i < n; i += 3) {
		size_t   left = n - i;
		uint32_t v = (uint32_t)bytes[i] << 16;
		if (left > 1)
			v |= (uint32_t)bytes[i + 1] << 8;
		if (left > 2)
			v |= bytes[i + 2];
		*to++ = alphabet[v >> 18 & 63];
		*to++ = alphabet[v >> 12 & 63];
		if (left > 1)
			*to++ = alphabet[v >> 6 & 63];
		else if (pad)
			*to++ = '=';
		if (left > 2)
			*to++ = alphabet[v & 63];
		else if (pad)
			*to++ = '=';
	}
	*to = '\0';
	return 0;
}

int b64_text(const uint8_t *bytes, size_t n, char *ret, size_t size)
{
	return b64_encode(b64_std, true, bytes, n, ret, size);
}

int b64url_text(const uint8_t *bytes, size_t n, char *ret, size_t size)
{
	return b64_encode(b64_url, false, bytes, n, ret, size);
}

static int b64_decode(const char alphabet[static 65], const char *text, size_t len, uint8_t *ret, size_t size, size_t *ret_n)
{
	if (len % 4 == 1)
		return E_SYNTAX;
	if (len / 4 * 3 + (len % 4 == 0 ? 0 : len % 4 - 1) > size)
		return E_FULL;
	uint32_t v = 0;
	size_t   n = 0;
	int      bits = 0;
	for (size_t i = 0; i < len; i++) {
		const char *at = text[i] != '\0' ? strchr(alphabet, text[i]) : NULL;
		if (at == NULL)
			return E_SYNTAX;
		v = v << 6 | (uint32_t)(at - alphabet);
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			ret[n++] = (uint8_t)(v >> bits);
		}
	}
	if ((v & ((1U << bits) - 1)) != 0)
		return E_SYNTAX; /* one value, one text */
	*ret_n = n;
	return 0;
}

int b64url_parse(const char *text, uint8_t *ret, size_t size, size_t *ret_n)
{
	return b64_decode(b64_url, text, strlen(text), ret, size, ret_n);
}

int b64_parse(const char *text, uint8_t *ret, size_t size, size_t *ret_n)
{
	size_t len = strlen(text);
	if (len % 4 != 0)
		return E_SYNTAX;
	for (int i = 0; i < 2 && len > 0 && text[len - 1] == '='; i++)
		len--;
	return b64_decode(b64_std, text, len, ret, size, ret_n);
}

uint32_t crc32_of(const void *bytes, size_t n)
{
	const uint8_t *p = bytes;
	uint32_t       crc = 0xffffffffU;
	for (size_t i = 0; i < n; i++) {
		crc ^= p[i];
		for (int k = 0; k < 8; k++)
			crc = (crc >> 1) ^ (0xedb88320U & (0U - (crc & 1U)));
	}
	return ~crc;
}

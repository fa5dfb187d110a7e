/* der.c - room shared/pki: the DER cursor and writer.
 * Never: knowing what the elements mean; allocating for what a length claims. */
#include "shared/pki/der.h"

#include <string.h>

#include "shared/base/times.h"

struct der der_of(struct span bytes)
{
	return (struct der){bytes.p, bytes.n, false};
}

bool der_more(const struct der *d)
{
	return !d->bad && d->n > 0;
}

bool der_done(const struct der *d)
{
	return !d->bad && d->n == 0;
}

uint8_t der_tag(const struct der *d)
{
	return der_more(d) ? d->p[0] : 0;
}

static struct span der_wrong(struct der *d)
{
	d->bad = true;
	d->n = 0;
	return (struct span){NULL, 0};
}

/* Header length and content length of the next element; false when it is not DER or does not fit. */
static bool header_read(const struct der *d, size_t *ret_header, size_t *ret_content)
{
	if (d->bad || d->n < 2 || (d->p[0] & 0x1f) == 0x1f)
		return false;
	size_t header = 2;
	size_t content = d->p[1];
	if (content >= 0x80) {
		size_t octets = content & 0x7f;
		if (octets == 0 || octets > 3 || d->n < 2 + octets || d->p[2] == 0)
			return false;
		content = 0;
		for (size_t i = 0; i < octets; i++)
			content = content << 8 | d->p[2 + i];
		if (content < 0x80)
			return false;
		header += octets;
	}
	if (content > d->n - header)
		return false;
	*ret_header = header;
	*ret_content = content;
	return true;
}

static struct span element(struct der *d, bool whole)
{
	size_t header;
	size_t content;
	if (!header_read(d, &header, &content))
		return der_wrong(d);
	struct span s = {d->p, header + content};
	d->p += s.n;
	d->n -= s.n;
	return whole ? s : (struct span){s.p + header, content};
}

struct span der_get(struct der *d, uint8_t tag)
{
	return der_tag(d) == tag ? element(d, false) : der_wrong(d);
}

struct span der_whole(struct der *d, uint8_t tag)
{
	return der_tag(d) == tag ? element(d, true) : der_wrong(d);
}

struct span der_any(struct der *d)
{
	return element(d, true);
}

struct der der_in(struct der *d, uint8_t tag)
{
	struct span content = der_get(d, tag);
	return (struct der){content.p, content.n, d->bad};
}

bool der_skip(struct der *d, uint8_t tag)
{
	if (der_tag(d) != tag)
		return false;
	(void)element(d, false);
	return !d->bad;
}

struct span der_unsigned(struct der *d)
{
	struct span v = der_get(d, DER_INTEGER);
	if (v.n == 0 || (v.p[0] & 0x80) != 0)
		return der_wrong(d);
	if (v.n > 1 && v.p[0] == 0) {
		if ((v.p[1] & 0x80) == 0)
			return der_wrong(d);
		return (struct span){v.p + 1, v.n - 1};
	}
	return v;
}

uint64_t der_u64(struct der *d)
{
	struct span v = der_unsigned(d);
	if (v.n > 8)
		(void)der_wrong(d);
	uint64_t u = 0;
	for (size_t i = 0; i < v.n && !d->bad; i++)
		u = u << 8 | v.p[i];
	return u;
}

bool der_flag(struct der *d)
{
	struct span v = der_get(d, DER_BOOLEAN);
	if (v.n != 1 || (v.p[0] != 0x00 && v.p[0] != 0xff)) {
		(void)der_wrong(d);
		return false;
	}
	return v.p[0] != 0;
}

struct span der_bits(struct der *d)
{
	struct span v = der_get(d, DER_BIT_STRING);
	if (v.n == 0 || v.p[0] != 0)
		return der_wrong(d);
	return (struct span){v.p + 1, v.n - 1};
}

unsigned der_named_bits(struct der *d)
{
	struct span v = der_get(d, DER_BIT_STRING);
	if (v.n < 1 || v.n > 3 || v.p[0] > 7 || (v.n == 1 && v.p[0] != 0)) {
		(void)der_wrong(d);
		return 0;
	}
	unsigned bits = 0;
	for (size_t i = 0; i < (v.n - 1) * 8; i++)
		if ((v.p[1 + i / 8] & (0x80 >> (i % 8))) != 0)
			bits |= 1u << i;
	/* the last bit that is counted must be set, the unused ones must not */
	if (v.n > 1 && (bits >> ((v.n - 1) * 8 - v.p[0] - 1)) != 1u) {
		(void)der_wrong(d);
		return 0;
	}
	return bits;
}

static bool digits_read(const uint8_t *p, size_t n, int *ret)
{
	int v = 0;
	for (size_t i = 0; i < n; i++) {
		if (p[i] < '0' || p[i] > '9')
			return false;
		v = v * 10 + (p[i] - '0');
	}
	*ret = v;
	return true;
}

int64_t der_time(struct der *d)
{
	bool         general = der_tag(d) == DER_GENERAL_TIME;
	struct span  t = der_get(d, general ? DER_GENERAL_TIME : DER_UTC_TIME);
	size_t       year = general ? 4 : 2;
	struct civil c;
	if (t.n != year + 11 || t.p[t.n - 1] != 'Z' || !digits_read(t.p, year, &c.year) ||
	    !digits_read(t.p + year, 2, &c.month) || !digits_read(t.p + year + 2, 2, &c.day) ||
	    !digits_read(t.p + year + 4, 2, &c.hour) || !digits_read(t.p + year + 6, 2, &c.minute) ||
	    !digits_read(t.p + year + 8, 2, &c.second)) {
		(void)der_wrong(d);
		return 0;
	}
	if (!general)
		c.year += c.year < 50 ? 2000 : 1900;
	int64_t      at = time_from_civil(c);
	struct civil back = time_civil(at); /* differs for the 31st of April and its like */
	if (back.year != c.year || back.month != c.month || back.day != c.day || back.hour != c.hour ||
	    back.minute != c.minute || back.second != c.second) {
		(void)der_wrong(d);
		return 0;
	}
	return at;
}

size_t der_open(struct buf *to, uint8_t tag)
{
	uint8_t *p = buf_room(to, 2);
	if (p == NULL)
		return 0;
	p[0] = tag;
	p[1] = 0;
	buf_used(to, 2);
	return to->n - 1;
}

void der_close(struct buf *to, size_t mark)
{
	if (buf_error(to) != 0)
		return;
	size_t content = to->n - mark - 1;
	if (content < 0x80) {
		to->p[mark] = (uint8_t)content;
		return;
	}
	size_t octets = content > 0xffff ? 3 : content > 0xff ? 2 : 1;
	if (buf_room(to, octets) == NULL)
		return;
	memmove(to->p + mark + 1 + octets, to->p + mark + 1, content);
	to->p[mark] = (uint8_t)(0x80 | octets);
	for (size_t i = 0; i < octets; i++)
		to->p[mark + 1 + i] = (uint8_t)(content >> (8 * (octets - 1 - i)));
	buf_used(to, octets);
}

void der_put(struct buf *to, uint8_t tag, const void *content, size_t n)
{
	uint8_t head[5] = {tag, (uint8_t)n};
	size_t  used = 2;
	if (n >= 0x80) {
		size_t octets = n > 0xffff ? 3 : n > 0xff ? 2 : 1;
		head[1] = (uint8_t)(0x80 | octets);
		for (size_t i = 0; i < octets; i++)
			head[2 + i] = (uint8_t)(n >> (8 * (octets - 1 - i)));
		used += octets;
	}
	buf_add(to, head, used);
	buf_add(to, content, n);
}

void der_put_span(struct buf *to, struct span whole)
{
	buf_add(to, whole.p, whole.n);
}

void der_put_unsigned(struct buf *to, const uint8_t *big_endian, size_t n)
{
	while (n > 1 && big_endian[0] == 0) {
		big_endian++;
		n--;
	}
	bool   sign = (big_endian[0] & 0x80) != 0;
	size_t mark = der_open(to, DER_INTEGER);
	if (sign)
		buf_add_u8(to, 0);
	buf_add(to, big_endian, n);
	der_close(to, mark);
}

void der_put_u64(struct buf *to, uint64_t v)
{
	uint8_t b[8];
	for (size_t i = 0; i < sizeof(b); i++)
		b[i] = (uint8_t)(v >> (56 - 8 * i));
	der_put_unsigned(to, b, sizeof(b));
}

void der_put_bits(struct buf *to, const void *bytes, size_t n)
{
	size_t mark = der_open(to, DER_BIT_STRING);
	buf_add_u8(to, 0);
	buf_add(to, bytes, n);
	der_close(to, mark);
}

void der_put_named_bits(struct buf *to, unsigned bits)
{
	uint8_t octet = 0;
	uint8_t last = 0;
	for (uint8_t i = 0; i < 8; i++) {
		if ((bits & (1u << i)) == 0)
			continue;
		octet = (uint8_t)(octet | (0x80 >> i));
		last = i;
	}
	uint8_t content[2] = {octet != 0 ? (uint8_t)(7 - last) : 0, octet};
	der_put(to, DER_BIT_STRING, content, octet != 0 ? 2 : 1);
}

static void put_digits(uint8_t *p, size_t n, int v)
{
	for (size_t i = n; i > 0; i--, v /= 10)
		p[i - 1] = (uint8_t)('0' + v % 10);
}

static int time_digits(int64_t at, uint8_t t[15])
{
	struct civil c = time_civil(at);
	put_digits(t, 4, c.year);
	put_digits(t + 4, 2, c.month);
	put_digits(t + 6, 2, c.day);
	put_digits(t + 8, 2, c.hour);
	put_digits(t + 10, 2, c.minute);
	put_digits(t + 12, 2, c.second);
	t[14] = 'Z';
	return (int)c.year;
}

void der_put_time(struct buf *to, int64_t at)
{
	uint8_t t[15];
	if (time_digits(at, t) < 2050)
		der_put(to, DER_UTC_TIME, t + 2, 13);
	else
		der_put(to, DER_GENERAL_TIME, t, sizeof(t));
}

void der_put_general_time(struct buf *to, int64_t at)
{
	uint8_t t[15];
	(void)time_digits(at, t);
	der_put(to, DER_GENERAL_TIME, t, sizeof(t));
}

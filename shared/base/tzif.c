/* tzif.c - room shared/base: a time zone from its compiled file (RFC 8536).
 * Never: reading the file. */
#include "shared/base/tzif.h"

#include <string.h>

#include "shared/base/be.h"
#include "shared/base/err.h"
#include "shared/base/text.h"

enum { HEADER = 44, DAY = 86400, OFFSET_MAX = 26 * 3600 };

/* ---- calendar (proleptic Gregorian) ------------------------------------------------------------------------------ */

static int64_t days_before_year(int64_t year)
{
	int64_t y = year - 1;
	return y * 365 + y / 4 - y / 100 + y / 400 - 719162; /* days from 1970-01-01 */
}

static bool is_leap(int64_t year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int64_t year_of(int64_t seconds)
{
	int64_t year = 1970 + seconds / 31556952;
	while (days_before_year(year) * DAY > seconds)
		year--;
	while (days_before_year(year + 1) * DAY <= seconds)
		year++;
	return year;
}

static int month_days(int64_t year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	return days[month - 1] + (month == 2 && is_leap(year));
}

/* Local midnight of the rule's day, as days from 1970-01-01. */
static int64_t rule_day(const struct tz_rule *r, int64_t year)
{
	int64_t first = days_before_year(year);
	if (r->kind == 'n')
		return first + r->day;
	if (r->kind == 'J')
		return first + r->day - 1 + (is_leap(year) && r->day >= 60);
	for (int m = 1; m < r->month; m++)
		first += month_days(year, m);
	int64_t weekday = ((first + 4) % 7 + 7) % 7; /* 1970-01-01 was a Thursday */
	int64_t day = (r->weekday - weekday + 7) % 7 + 7 * (r->week - 1);
	while (day >= month_days(year, r->month))
		day -= 7;
	return first + day;
}

/* ---- the footer: a POSIX TZ string -------------------------------------------------------------------------------- */

struct footer_cursor {
	const char *p;
	bool        bad;
};

static bool take(struct footer_cursor *c, char wanted)
{
	if (*c->p != wanted)
		return false;
	c->p++;
	return true;
}

static void skip_name(struct footer_cursor *c)
{
	const char *letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	size_t      n = strspn(c->p, letters);
	if (take(c, '<')) {
		n = strcspn(c->p, ">");
		c->bad |= c->p[n] != '>';
		n += !c->bad;
	}
	c->bad |= n == 0;
	c->p += n;
}

static int64_t number(struct footer_cursor *c, int64_t most)
{
	int64_t v = 0;
	size_t  n = strspn(c->p, "0123456789");
	c->bad |= n == 0 || n > 4;
	for (size_t i = 0; !c->bad && i < n; i++)
		v = v * 10 + (c->p[i] - '0');
	c->p += n;
	c->bad |= v > most;
	return v;
}

/* [+-]hh[:mm[:ss]] in seconds. */
static int64_t clock_time(struct footer_cursor *c)
{
	bool minus = take(c, '-');
	if (!minus)
		(void)take(c, '+');
	int64_t seconds = number(c, 167) * 3600;
	if (take(c, ':'))
		seconds += number(c, 59) * 60;
	if (take(c, ':'))
		seconds += number(c, 59);
	return minus ? -seconds : seconds;
}

static void rule_read(struct footer_cursor *c, struct tz_rule *ret)
{
	c->bad |= !take(c, ',');
	ret->kind = take(c, 'M') ? 'M' : take(c, 'J') ? 'J' : 'n';
	if (ret->kind == 'M') {
		ret->month = (int)number(c, 12);
		c->bad |= !take(c, '.');
		ret->week = (int)number(c, 5);
		c->bad |= !take(c, '.');
		ret->weekday = (int)number(c, 6);
		c->bad |= ret->month == 0 || ret->week == 0;
	} else {
		ret->day = (int)number(c, 365);
		c->bad |= ret->kind == 'J' && ret->day == 0;
	}
	ret->at = take(c, '/') ? clock_time(c) : 2 * 3600;
}

static bool footer_read(const char *text, struct tz_footer *ret)
{
	struct footer_cursor c = {.p = text};
	struct tz_footer     f = {.known = true};
	skip_name(&c);
	f.std_offset = -clock_time(&c);
	f.has_dst = *c.p != '\0';
	if (f.has_dst) {
		skip_name(&c);
		f.dst_offset = *c.p == ',' ? f.std_offset + 3600 : -clock_time(&c);
		rule_read(&c, &f.begin);
		rule_read(&c, &f.end);
	}
	if (c.bad || *c.p != '\0')
		return false;
	*ret = f;
	return true;
}

static int64_t footer_offset(const struct tz_footer *f, int64_t utc)
{
	if (!f->has_dst)
		return f->std_offset;
	int64_t year = year_of(utc + f->std_offset);
	int64_t begin = rule_day(&f->begin, year) * DAY + f->begin.at - f->std_offset;
	int64_t end = rule_day(&f->end, year) * DAY + f->end.at - f->dst_offset;
	bool    dst = begin < end ? utc >= begin && utc < end : utc >= begin || utc < end;
	return dst ? f->dst_offset : f->std_offset;
}

/* ---- the file ----------------------------------------------------------------------------------------------------- */

struct counts {
	size_t isut, isstd, leap, time, type, chars;
};

static bool header_read(struct span file, struct counts *ret)
{
	if (file.n < HEADER || memcmp(file.p, "TZif", 4) != 0 || file.p[4] < '2')
		return false;
	size_t *const to[] = {&ret->isut, &ret->isstd, &ret->leap, &ret->time, &ret->type, &ret->chars};
	for (size_t i = 0; i < N_ELEMENTS(to); i++) {
		*to[i] = (size_t)be_get(file.p + 20 + 4 * i, 4);
		if (*to[i] > TZIF_FILE_MAX)
			return false;
	}
	return true;
}

static size_t data_size(const struct counts *c, size_t time_size)
{
	return c->time * time_size + c->time + c->type * 6 + c->chars + c->leap * (time_size + 4) + c->isstd + c->isut;
}

static int32_t type_offset(const uint8_t *types, size_t index)
{
	return (int32_t)be_get(types + index * 6, 4);
}

static bool transitions_read(const uint8_t *data, const struct counts *c, struct tz *ret)
{
	const uint8_t *indexes = data + c->time * 8;
	const uint8_t *types = indexes + c->time;
	if (c->type == 0 || c->time > TZIF_TRANSITIONS_MAX)
		return false;
	ret->first_offset = type_offset(types, 0);
	for (size_t i = 0; i < c->time; i++) {
		if (indexes[i] >= c->type)
			return false;
		ret->at[i] = (int64_t)be_get(data + i * 8, 8);
		ret->offset[i] = type_offset(types, indexes[i]);
		if ((i > 0 && ret->at[i] <= ret->at[i - 1]) || ret->offset[i] > OFFSET_MAX || ret->offset[i] < -OFFSET_MAX)
			return false;
	}
	ret->n = c->time;
	return true;
}

/* "\nTZ\n"; empty: nothing is known behind the last transition. */
static bool footer_find(struct span rest, struct tz_footer *ret)
{
	char text[128];
	if (rest.n < 2 || rest.p[0] != '\n')
		return false;
	const uint8_t *end = memchr(rest.p + 1, '\n', rest.n - 1);
	size_t         n = end != NULL ? (size_t)(end - rest.p - 1) : sizeof(text);
	if (n >= sizeof(text) || memchr(rest.p + 1, '\0', n) != NULL)
		return false;
	memcpy(text, rest.p + 1, n);
	text[n] = '\0';
	return n == 0 || footer_read(text, ret);
}

int tzif_parse(struct span file, struct tz *ret)
{
	struct counts old;
	struct counts c;
	if (file.n > TZIF_FILE_MAX || !header_read(file, &old))
		return E_SYNTAX;
	size_t skip = HEADER + data_size(&old, 4);
	if (skip > file.n)
		return E_SYNTAX;
	struct span second = {file.p + skip, file.n - skip};
	if (!header_read(second, &c) || data_size(&c, 8) > second.n - HEADER)
		return E_SYNTAX;
	size_t size = HEADER + data_size(&c, 8);
	*ret = (struct tz){.n = 0};
	if (!transitions_read(second.p + HEADER, &c, ret) || !footer_find((struct span){second.p + size, second.n - size}, &ret->footer))
		return E_SYNTAX;
	return 0;
}

/* ---- asking -------------------------------------------------------------------------------------------------------- */

int64_t tz_offset(const struct tz *z, int64_t utc)
{
	size_t low = 0;
	size_t high = z->n;
	while (low < high) { /* the first transition behind `utc` */
		size_t middle = low + (high - low) / 2;
		if (z->at[middle] <= utc)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == z->n && z->footer.known)
		return footer_offset(&z->footer, utc);
	return low == 0 ? z->first_offset : z->offset[low - 1];
}

int64_t tz_utc(const struct tz *z, int64_t local)
{
	/* the offsets a day before and after: between them lies at most one change */
	int64_t before = tz_offset(z, local - DAY);
	int64_t after = tz_offset(z, local + DAY);
	int64_t early = local - before;
	if (tz_offset(z, early) == before)
		return early;
	int64_t late = local - after;
	return tz_offset(z, late) == after ? late : early;
}

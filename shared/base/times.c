/* times.c - room shared/base: calendar arithmetic and texts of times and durations.
 * Never: reading a clock. */
#include "shared/base/times.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "shared/base/err.h"

/* Days since 1970-01-01 of a proleptic Gregorian date; March-based years make leap days the last day. */
static int64_t days_of(int year, int month, int day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t yoe = y - era * 400;
	int64_t doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
	return era * 146097 + doe - 719468;
}

struct civil time_civil(int64_t at)
{
	int64_t seconds = at / MS_SECOND - (at % MS_SECOND < 0 ? 1 : 0);
	int64_t days = seconds / 86400 - (seconds % 86400 < 0 ? 1 : 0);
	int64_t rest = seconds - days * 86400;

	int64_t z = days + 719468;
	int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	int64_t doe = z - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t mp = (5 * doy + 2) / 153;

	struct civil c;
	c.day = (int)(doy - (153 * mp + 2) / 5 + 1);
	c.month = (int)(mp < 10 ? mp + 3 : mp - 9);
	c.year = (int)(yoe + era * 400 + (c.month <= 2 ? 1 : 0));
	c.hour = (int)(rest / 3600);
	c.minute = (int)(rest / 60 % 60);
	c.second = (int)(rest % 60);
	return c;
}

int64_t time_from_civil(struct civil c)
{
	int64_t seconds = days_of(c.year, c.month, c.day) * 86400 + c.hour * 3600 + c.minute * 60 + c.second;
	return seconds * MS_SECOND;
}

const char *time_text(int64_t at, char ret[TIME_TEXT_SIZE])
{
	ret[0] = '\0';
	if (at == 0 || at == TIME_NEVER || at == INT64_MIN)
		return ret;
	struct civil c = time_civil(at);
	int64_t      ms = ((at % MS_SECOND) + MS_SECOND) % MS_SECOND;
	int          n = snprintf(ret, TIME_TEXT_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d", c.year % 10000, c.month, c.day,
	                          c.hour, c.minute, c.second);
	if (n > 0 && ms != 0)
		n += snprintf(ret + n, TIME_TEXT_SIZE - (size_t)n, ".%03d", (int)ms);
	if (n > 0)
		snprintf(ret + n, TIME_TEXT_SIZE - (size_t)n, "Z");
	return ret;
}

/* Reads exactly `digits` digits at *p and moves on; false when there are fewer. */
static bool take_digits(const char **p, int digits, int *ret)
{
	int v = 0;
	for (int i = 0; i < digits; i++, (*p)++) {
		if (**p < '0' || **p > '9')
			return false;
		v = v * 10 + (**p - '0');
	}
	*ret = v;
	return true;
}

static bool take_char(const char **p, char c)
{
	if (**p != c)
		return false;
	(*p)++;
	return true;
}

static int days_in_month(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool             leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	return month == 2 && leap ? 29 : days[month - 1];
}

static bool take_fraction(const char **p, int *ret_ms)
{
	int ms = 0;
	int scale = 100;
	if (**p < '0' || **p > '9')
		return false;
	for (; **p >= '0' && **p <= '9'; (*p)++) {
		ms += (**p - '0') * scale;
		scale /= 10;
	}
	*ret_ms = ms;
	return true;
}

static bool take_offset(const char **p, int *ret_minutes)
{
	if (take_char(p, 'Z') || take_char(p, 'z')) {
		*ret_minutes = 0;
		return true;
	}
	int sign = **p == '-' ? -1 : 1;
	if (**p != '+' && **p != '-')
		return false;
	(*p)++;
	int hours;
	int minutes;
	if (!take_digits(p, 2, &hours) || !take_char(p, ':') || !take_digits(p, 2, &minutes) || hours > 23 || minutes > 59)
		return false;
	*ret_minutes = sign * (hours * 60 + minutes);
	return true;
}

int time_parse(const char *text, int64_t *ret)
{
	struct civil c;
	const char  *p = text;
	int          ms = 0;
	int          offset;
	bool ok = take_digits(&p, 4, &c.year) && take_char(&p, '-') && take_digits(&p, 2, &c.month) && take_char(&p, '-') &&
	          take_digits(&p, 2, &c.day) && (take_char(&p, 'T') || take_char(&p, 't')) && take_digits(&p, 2, &c.hour) &&
	          take_char(&p, ':') && take_digits(&p, 2, &c.minute) && take_char(&p, ':') && take_digits(&p, 2, &c.second);
	if (ok && take_char(&p, '.'))
		ok = take_fraction(&p, &ms);
	if (!ok || !take_offset(&p, &offset) || *p != '\0')
		return E_SYNTAX;
	if (c.year < 1970 || c.month < 1 || c.month > 12 || c.day < 1 || c.day > days_in_month(c.year, c.month) ||
	    c.hour > 23 || c.minute > 59 || c.second > 59)
		return E_RANGE;
	*ret = time_from_civil(c) + ms - offset * MS_MINUTE;
	return 0;
}

struct unit {
	const char *name;
	int64_t     ms;
};

static const struct unit units[] = {
	{"w", 7 * MS_DAY}, {"d", MS_DAY}, {"h", MS_HOUR}, {"m", MS_MINUTE}, {"s", MS_SECOND}, {"ms", 1}, {"", MS_SECOND},
};

#define DURATION_MAX (36525 * MS_DAY)

int duration_parse(const char *text, int64_t *ret_ms)
{
	int64_t     v = 0;
	const char *p = text;
	if (*p < '0' || *p > '9')
		return E_SYNTAX;
	for (; *p >= '0' && *p <= '9'; p++) {
		v = v * 10 + (*p - '0');
		if (v > DURATION_MAX)
			return E_RANGE;
	}
	for (size_t i = 0; i < N_ELEMENTS(units); i++) {
		if (strcmp(p, units[i].name) != 0)
			continue;
		if (v == 0 || v > DURATION_MAX / units[i].ms)
			return E_RANGE;
		*ret_ms = v * units[i].ms;
		return 0;
	}
	return E_SYNTAX;
}

const char *duration_text(int64_t ms, char ret[TIME_TEXT_SIZE])
{
	size_t i = 1; /* days first: weeks are only read */
	while (i < N_ELEMENTS(units) - 2 && (ms % units[i].ms != 0 || ms == 0))
		i++;
	snprintf(ret, TIME_TEXT_SIZE, "%lld%s", (long long)(ms / units[i].ms), units[i].name);
	return ret;
}

const char *duration_brief(int64_t ms, char ret[TIME_TEXT_SIZE])
{
	if (ms >= 2 * MS_DAY)
		snprintf(ret, TIME_TEXT_SIZE, "%lldd", (long long)(ms / MS_DAY));
	else if (ms >= 2 * MS_HOUR)
		snprintf(ret, TIME_TEXT_SIZE, "%lldh%02lldm", (long long)(ms / MS_HOUR), (long long)(ms % MS_HOUR / MS_MINUTE));
	else if (ms >= 2 * MS_MINUTE)
		snprintf(ret, TIME_TEXT_SIZE, "%lldm", (long long)(ms / MS_MINUTE));
	else
		snprintf(ret, TIME_TEXT_SIZE, "%llds", (long long)(ms > 0 ? ms / MS_SECOND : 0));
	return ret;
}

int64_t time_between(int64_t later, int64_t earlier)
{
	int64_t ms;
	if (!__builtin_sub_overflow(later, earlier, &ms))
		return ms;
	return later < 0 ? INT64_MIN : INT64_MAX;
}

/* window.c - room shared/model: maintenance windows.
 * Never: zone files. */
#include "shared/model/window.h"

#include <string.h>

#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/base/times.h"

enum { DAY_S = 86400, DAYS_AHEAD = 8 };

/* ---- reading ------------------------------------------------------------------------------------------------------ */

static int day_of(const char *text, size_t n)
{
	static const char *const names[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	for (size_t i = 0; i < N_ELEMENTS(names); i++)
		if (n == 3 && memcmp(text, names[i], 3) == 0)
			return (int)i;
	return -1;
}

static bool days_read(const char *word, uint8_t *ret)
{
	const char *dash = strchr(word, '-');
	size_t      n = dash != NULL ? (size_t)(dash - word) : strlen(word);
	int         first = day_of(word, n);
	int         last = dash != NULL ? day_of(dash + 1, strlen(dash + 1)) : first;
	if (text_equal(word, "*")) {
		*ret = 0x7f;
		return true;
	}
	if (first < 0 || last < 0)
		return false;
	*ret = 0;
	for (int d = first;; d = (d + 1) % 7) { /* Sat-Mon goes over the end of the week */
		*ret |= (uint8_t)(1u << d);
		if (d == last)
			return true;
	}
}

/* "22:00", "24:00" at most. */
static bool clock_read(const char *text, int *ret)
{
	if (strlen(text) != 5 || text[2] != ':' || strspn(text, "0123456789:") != 5 || strchr(text + 3, ':') != NULL)
		return false;
	int hours = (text[0] - '0') * 10 + text[1] - '0';
	int minutes = (text[3] - '0') * 10 + text[4] - '0';
	*ret = hours * 60 + minutes;
	return minutes < 60 && *ret <= 24 * 60;
}

static bool hours_read(char *word, int *ret_from, int *ret_to)
{
	char *dash = strchr(word, '-');
	if (dash == NULL)
		return false;
	*dash = '\0';
	return clock_read(word, ret_from) && clock_read(dash + 1, ret_to) && *ret_from < 24 * 60 && *ret_from != *ret_to;
}

/* It becomes part of a path: no dots, nothing absolute. */
static bool zone_ok(const char *name)
{
	return name[0] != '\0' && name[0] != '/' && name[0] != '-' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-/") == strlen(name) && strstr(name, "//") == NULL;
}

/* Cuts the next word off; "" at the end. */
static char *word_next(char **rest)
{
	char *word = *rest + strspn(*rest, " \t");
	char *end = word + strcspn(word, " \t");
	*rest = *end != '\0' ? end + 1 : end;
	*end = '\0';
	return word;
}

static bool window_read(const char *item, struct window *ret)
{
	char  text[WINDOW_TEXT_SIZE];
	char *rest = text;
	if (text_copy(text, sizeof(text), item) != 0)
		return false;
	char *days = word_next(&rest);
	char *hours = word_next(&rest);
	char *zone = word_next(&rest);
	return days_read(days, &ret->days) && hours_read(hours, &ret->from, &ret->to) && zone_ok(zone) &&
	       text_copy(ret->zone, sizeof(ret->zone), zone) == 0 && *word_next(&rest) == '\0';
}

int windows_parse(const char *text, struct windows *ret, char ret_bad[WINDOW_TEXT_SIZE])
{
	struct windows w = {.n = 0};
	const char    *cursor = text;
	char           item[WINDOW_TEXT_SIZE];
	while (text_item(&cursor, item, sizeof(item))) {
		if (w.n == WINDOWS_MAX || !window_read(item, &w.list[w.n])) {
			text_cut(ret_bad, WINDOW_TEXT_SIZE, item);
			return E_SYNTAX;
		}
		w.n++;
	}
	if (cursor == NULL) {
		text_cut(ret_bad, WINDOW_TEXT_SIZE, text);
		return E_SYNTAX;
	}
	*ret = w;
	return 0;
}

/* ---- asking ------------------------------------------------------------------------------------------------------- */

struct open_search {
	int64_t now;       /* seconds */
	bool    open;
	int64_t closes_at; /* of what is open: the latest end */
	int64_t opens_at;  /* the earliest beginning ahead */
};

static void span_judge(struct open_search *s, int64_t from, int64_t to)
{
	if (from <= s->now && s->now < to) {
		s->open = true;
		s->closes_at = to > s->closes_at ? to : s->closes_at;
	} else if (from > s->now && (s->opens_at == 0 || from < s->opens_at)) {
		s->opens_at = from;
	}
}

static void window_judge(const struct window *w, const struct tz *z, struct open_search *s)
{
	int64_t local = s->now + tz_offset(z, s->now);
	int64_t today = (local - ((local % DAY_S) + DAY_S) % DAY_S) / DAY_S;
	for (int64_t day = today - 2; day <= today + DAYS_AHEAD; day++) {
		int64_t weekday = ((day + 4) % 7 + 7) % 7;
		if ((w->days >> weekday & 1) == 0)
			continue;
		int64_t end_day = w->to <= w->from ? day + 1 : day;
		span_judge(s, tz_utc(z, day * DAY_S + w->from * 60), tz_utc(z, end_day * DAY_S + w->to * 60));
	}
}

bool windows_open(const struct windows *w, const struct tz *const zones[WINDOWS_MAX], int64_t now, int64_t *ret_at)
{
	struct open_search s = {.now = now / 1000};
	*ret_at = TIME_NEVER;
	if (w->n == 0)
		return true;
	for (size_t i = 0; i < w->n; i++)
		window_judge(&w->list[i], zones[i], &s);
	int64_t at = s.open ? s.closes_at : s.opens_at;
	if (at != 0)
		*ret_at = at * 1000;
	return s.open;
}

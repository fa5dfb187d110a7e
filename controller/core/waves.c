/* waves.c - room controller/core: how a campaign is cut into waves.
 * Never: releasing a wave. */
#include "controller/core/waves.h"

#include <string.h>

#include "shared/base/text.h"

enum { PER_CENT = 100 };

/* ---- what people write ------------------------------------------------------------------------------------------ */

static int amount_parse(const char *text, struct wave_spec *w)
{
	char    digits[16];
	size_t  n = strlen(text);
	int64_t value;
	bool    share = n > 1 && text[n - 1] == '%';
	if (text_equal(text, "rest")) {
		w->amount = WAVE_REST;
		return 0;
	}
	if (text_copy_n(digits, sizeof(digits), text, share ? n - 1 : n) < 0 ||
	    text_i64(digits, 1, share ? PER_CENT : CAMPAIGN_MEMBERS_MAX, &value) < 0)
		return E_SYNTAX;
	w->amount = share ? WAVE_SHARE : WAVE_NUMBER;
	w->n = (uint32_t)value;
	return 0;
}

static int refuse_wave(struct refusal *why, const char *text)
{
	return refuse(
		why, E_CAMPAIGN_WAVES, text,
		"a wave is a number, a share like 10%%, `rest`, or service:NAME or pattern:NAME with =AMOUNT where not all "
		"of them are meant");
}

int wave_parse(const char *text, struct wave_spec *ret, struct refusal *why)
{
	static const struct {
		const char        *prefix;
		enum selector_kind kind;
	} prefixes[] = {{"service:", SELECT_SERVICE}, {"pattern:", SELECT_PATTERN}};
	struct wave_spec w = {.amount = WAVE_REST};
	const char      *amount = text;
	for (size_t i = 0; i < N_ELEMENTS(prefixes) && !w.selects; i++) {
		if (!text_starts(text, prefixes[i].prefix))
			continue;
		const char *value = text + strlen(prefixes[i].prefix);
		amount = strchr(value, '=');
		w.selects = true;
		w.selector.kind = prefixes[i].kind;
		size_t n = amount != NULL ? (size_t)(amount - value) : strlen(value);
		if (text_copy_n(w.selector.value, sizeof(w.selector.value), value, n) < 0)
			return refuse_wave(why, text);
		amount = amount != NULL ? amount + 1 : "rest";
	}
	if (amount_parse(amount, &w) < 0)
		return refuse_wave(why, text);
	int r = w.selects ? selector_check(&w.selector, why) : 0;
	if (r == 0)
		*ret = w;
	return r;
}

bool wave_takes_all(const struct wave_spec *w)
{
	return !w->selects && (w->amount == WAVE_REST || (w->amount == WAVE_SHARE && w->n == PER_CENT));
}

/* ---- dividing --------------------------------------------------------------------------------------------------- */

static bool is_free(const struct wave_spec *w, size_t i, const struct wave_member *m)
{
	return m->wave == 0 && (!w->selects || (m->fits & (1u << i)) != 0);
}

static size_t wanted(const struct wave_spec *w, size_t all, size_t there)
{
	size_t n = w->amount == WAVE_REST ? there : w->amount == WAVE_SHARE ? (all * w->n + PER_CENT - 1) / PER_CENT : w->n;
	return n < there ? n : there;
}

/* Every k-th of those that are free. */
static size_t fill(const struct wave_spec *w, size_t i, uint32_t number, struct wave_member *members, size_t n)
{
	size_t there = 0, seen = 0, taken = 0;
	for (size_t m = 0; m < n; m++)
		there += is_free(w, i, &members[m]);
	size_t take = wanted(w, n, there);
	for (size_t m = 0; m < n && taken < take; m++) {
		if (!is_free(w, i, &members[m]))
			continue;
		if (seen++ * take / there >= taken) {
			members[m].wave = number;
			taken++;
		}
	}
	return taken;
}

size_t waves_divide(const struct wave_spec *specs, size_t n_specs, struct wave_member *members, size_t n)
{
	static const struct wave_spec rest = {.amount = WAVE_REST};
	uint32_t                      number = 1;
	for (size_t m = 0; m < n; m++)
		members[m].wave = 0;
	for (size_t i = 0; i < n_specs; i++)
		number += fill(&specs[i], i, number, members, n) > 0;
	number += fill(&rest, 0, number, members, n) > 0;
	return number - 1;
}

/* ---- remembered ------------------------------------------------------------------------------------------------- */

void waves_write(const uint32_t *sizes, size_t n, char ret[WAVES_TEXT_SIZE])
{
	size_t at = 0;
	ret[0] = '\0';
	for (size_t i = 0; i < n && i < WAVES_MAX; i++) {
		char     digits[12];
		size_t   len = 0;
		uint32_t rest = sizes[i];
		do {
			digits[len++] = (char)('0' + rest % 10);
			rest /= 10;
		} while (rest > 0);
		if (i > 0)
			ret[at++] = ',';
		while (len > 0)
			ret[at++] = digits[--len];
		ret[at] = '\0';
	}
}
_Static_assert(WAVES_MAX * sizeof("200000") <= WAVES_TEXT_SIZE, "every list of sizes fits");

/* The wave that `cursor` stands before. */
static bool next_size(const char **cursor, uint32_t *ret)
{
	char    text[12];
	int64_t size;
	if (!text_item(cursor, text, sizeof(text)) || text_i64(text, 0, UINT32_MAX, &size) < 0)
		return false;
	*ret = (uint32_t)size;
	return true;
}

size_t waves_count(const char *waves)
{
	size_t   n = 0;
	uint32_t size;
	while (next_size(&waves, &size))
		n++;
	return n;
}

bool waves_span(const char *waves, uint32_t wave, uint64_t *ret_first, uint64_t *ret_last)
{
	uint64_t first = 1;
	uint32_t size;
	for (uint32_t i = 1; next_size(&waves, &size); i++) {
		if (i == wave) {
			*ret_first = first;
			*ret_last = first + size - 1;
			return true;
		}
		first += size;
	}
	return false;
}

uint32_t waves_size(const char *waves, uint32_t wave)
{
	uint64_t first, last;
	return waves_span(waves, wave, &first, &last) ? (uint32_t)(last - first + 1) : 0;
}

uint32_t waves_at(const char *waves, uint64_t position)
{
	uint64_t end = 0;
	uint32_t size;
	for (uint32_t i = 1; next_size(&waves, &size); i++) {
		end += size;
		if (position >= 1 && position <= end)
			return i;
	}
	return 0;
}

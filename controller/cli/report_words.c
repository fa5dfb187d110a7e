/* report_words.c - room controller/cli: figures of a report as people read them.
 * Never: adding up. */
#include "controller/cli/report_words.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* `en`, `de`: what stands behind the number. */
static const char *tenths(const json_t *v, double n, bool german, const char *en, const char *de, char ret[REPORT_WORD_SIZE])
{
	(void)snprintf(ret, REPORT_WORD_SIZE, "-");
	if (!json_is_number(v))
		return ret;
	(void)snprintf(ret, REPORT_WORD_SIZE, "%.1f%s", n, german ? de : en);
	char *point = strchr(ret, '.');
	if (german && point != NULL)
		*point = ',';
	return ret;
}

const char *report_share(const json_t *v, double whole, bool german, char ret[REPORT_WORD_SIZE])
{
	enum { TENTHS = 1000 };
	const double least = 1e-6; /* 0.29 of 1000 is a little less than 290 */
	int64_t      n = (int64_t)(json_number_value(v) / whole * TENTHS + least);
	return tenths(v, (double)n / 10, german, "%", "\xc2\xa0%", ret);
}

const char *report_duration(const json_t *v, bool german, char ret[REPORT_WORD_SIZE])
{
	double minutes = json_number_value(v);
	return minutes < 2 ? tenths(v, 60 * minutes, german, " seconds", " Sekunden", ret) : tenths(v, minutes, german, " minutes", " Minuten", ret);
}

/* campaign_screen.c - room controller/cli: a campaign on one screen of 80 columns and 24 lines.
 * Never: asking the controller. */
#include "controller/cli/campaign_screen.h"
#include "controller/cli/output.h"

#include <stdarg.h>
#include <string.h>

#include "shared/base/text.h"

enum { BAR_COLUMNS = 46, SCREEN_WAVES = 7, SLOW_SECONDS = 5, SLOW_LINES = 3 };

static long long count_of(const json_t *o, const char *field)
{
	return (long long)json_integer_value(json_object_get(o, field));
}

/* One line, never wider than the screen; on a terminal the rest of the old one goes. */
_printf_(3, 4) static void line(FILE *to, bool redraw, const char *format, ...)
{
	char    text[512], cut[SCREEN_COLUMNS + 1];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	text_plain(text);
	text_cut(cut, sizeof(cut), text);
	fprintf(to, "%s%s\n", cut, redraw ? "\033[K" : "");
}

/* "1.25 s", "00:12:31", "-" where nothing is known. */
static const char *span(const json_t *seconds, char ret[32])
{
	double s = json_number_value(seconds);
	if (!json_is_number(seconds))
		text_cut(ret, 32, "-");
	else if (s < 60)
		snprintf(ret, 32, "%.2f s", s);
	else
		snprintf(ret, 32, "%02lld:%02lld:%02lld", (long long)s / 3600, (long long)s / 60 % 60, (long long)s % 60);
	return ret;
}

static void draw_bar(FILE *to, bool redraw, const json_t *c)
{
	char      bar[BAR_COLUMNS + 1];
	long long total = count_of(c, "total_certificates"), done = count_of(c, "successful_count");
	long long failed = count_of(c, "failed_count");
	for (long long i = 0; i < BAR_COLUMNS; i++) {
		long long at = total > 0 ? i * total / BAR_COLUMNS : total;
		bar[i] = at < done ? '#' : at < done + failed ? 'x' : '.';
	}
	bar[BAR_COLUMNS] = '\0';
	line(to, redraw, "[%s] %lld of %lld done, %.1f %%", bar, done, total,
	     total > 0 ? 100.0 * (double)done / (double)total : 100.0);
}

static void draw_figures(FILE *to, bool redraw, const json_t *c)
{
	const json_t *f = json_object_get(c, "figures"), *rate = json_object_get(f, "certificates_per_second");
	char          p50[32], p99[32], left[32], since[32], per_second[32] = "-";
	json_t       *elapsed = json_real(json_number_value(json_object_get(c, "duration_minutes")) * 60);
	if (json_is_number(rate))
		snprintf(per_second, sizeof(per_second), "%.1f/s", json_number_value(rate));
	line(to, redraw, "rate %-10s  one takes p50 %s, p99 %s", per_second, span(json_object_get(f, "order_seconds_p50"), p50),
	     span(json_object_get(f, "order_seconds_p99"), p99));
	line(to, redraw, "since %-10s left %s", span(elapsed, since), span(json_object_get(f, "seconds_left"), left));
	line(to, redraw, "failed %lld   in progress %lld   offline %lld   waiting %lld   held %lld",
	     count_of(c, "failed_count"), count_of(c, "in_progress_count"), count_of(c, "offline_count"),
	     count_of(c, "waiting_count"), count_of(c, "held_count"));
	line(to, redraw, "skipped %lld   dropped %lld   rolled back %lld   kept %lld", count_of(c, "skipped_count"),
	     count_of(c, "dropped_count"), count_of(c, "rolled_back_count"), count_of(c, "kept_count"));
	json_decref(elapsed);
}

/* Of many waves those around the one that is released. */
static void draw_waves(FILE *to, bool redraw, const json_t *c)
{
	const json_t *waves = json_object_get(c, "waves");
	size_t        n = json_array_size(waves), at = (size_t)count_of(c, "wave"), from = 0;
	if (n == 0)
		return;
	if (n > SCREEN_WAVES && at > SCREEN_WAVES / 2)
		from = at - SCREEN_WAVES / 2 - 1;
	if (n > SCREEN_WAVES && from > n - SCREEN_WAVES)
		from = n - SCREEN_WAVES;
	line(to, redraw, "%s", "");
	line(to, redraw, "%-10s %8s %8s %8s %8s %8s %8s  %s", "WAVE", "TOTAL", "DONE", "FAILED", "OPEN", "WAITING", "BACK",
	     "STATUS");
	for (size_t i = from; i < n && i < from + SCREEN_WAVES; i++) {
		const json_t *w = json_array_get(waves, i);
		const char   *canary = json_is_true(json_object_get(w, "canary")) ? "canary" : "";
		line(to, redraw, "%2lld %-7s %8lld %8lld %8lld %8lld %8lld %8lld  %s", count_of(w, "wave"), canary,
		     count_of(w, "total"), count_of(w, "done"), count_of(w, "failed"), count_of(w, "in_progress"),
		     count_of(w, "waiting"), count_of(w, "rolled_back"), output_text(w, "status"));
	}
}

static void draw_failures(FILE *to, bool redraw, const json_t *c, const json_t *failures)
{
	size_t        i;
	const json_t *m;
	if (json_array_size(failures) == 0)
		return;
	line(to, redraw, "%s", "");
	line(to, redraw, "FAILED (%lld)", count_of(c, "failed_count"));
	json_array_foreach((json_t *)(uintptr_t)failures, i, m)
	{
		if (i == SCREEN_FAILURES)
			break;
		line(to, redraw, "%s %s: %s", output_text(m, "code"), output_text(m, "cert_id"), output_text(m, "error"));
	}
}

void campaign_waiting_line(const json_t *row, char ret[WAITING_LINE_SIZE])
{
	char waited[32];
	snprintf(ret, WAITING_LINE_SIZE, "%s: %s, %s, %s", output_text(row, "agent"), output_text(row, "cert_id"),
		 span(json_object_get(row, "seconds"), waited), output_text(row, "waits_for"));
}

/* Those of which nothing was heard for a while, where the screen has room for them. */
static void draw_slowest(FILE *to, bool redraw, const json_t *c, size_t room)
{
	const json_t *slowest = json_object_get(c, "slowest");
	char          text[WAITING_LINE_SIZE];
	size_t        shown = 0;
	for (size_t i = 0; i < json_array_size(slowest) && shown < SLOW_LINES && shown + 2 < room; i++) {
		const json_t *row = json_array_get(slowest, i);
		if (json_number_value(json_object_get(row, "seconds")) < SLOW_SECONDS)
			continue;
		if (shown++ == 0) {
			line(to, redraw, "%s", "");
			line(to, redraw, "%s", "WAITED FOR LONGEST");
		}
		campaign_waiting_line(row, text);
		line(to, redraw, "%s", text);
	}
}

/* The lines that the rest of the screen takes at most: see campaign_screen(). */
static size_t lines_taken(const json_t *c, const json_t *failures)
{
	size_t waves = json_array_size(json_object_get(c, "waves")), failed = json_array_size(failures);
	size_t n = 9; /* head, cause, bar, figures, relying parties */
	n += waves == 0 ? 0 : 2 + (waves < SCREEN_WAVES ? waves : SCREEN_WAVES);
	return n + (failed == 0 ? 0 : 2 + (failed < SCREEN_FAILURES ? failed : SCREEN_FAILURES));
}

void campaign_screen(FILE *to, const json_t *c, const json_t *failures, bool redraw)
{
	if (redraw)
		fprintf(to, "\033[H");
	line(to, redraw, "campaign %s  %s  %s", output_text(c, "campaign_id"), output_text(c, "kind"), output_text(c, "status"));
	line(to, redraw, "%s, asked for by %s", output_text(c, "selector"), output_text(c, "requester"));
	if (output_text(c, "cause")[0] != '\0')
		line(to, redraw, "  %s", output_text(c, "cause"));
	draw_bar(to, redraw, c);
	draw_figures(to, redraw, c);
	if (json_is_true(json_object_get(c, "peer_proof")))
		line(to, redraw, "relying parties have seen %lld of %lld done", count_of(c, "successful_count") - count_of(c, "peer_unproved_count"),
		     count_of(c, "successful_count"));
	draw_waves(to, redraw, c);
	size_t taken = lines_taken(c, failures);
	draw_slowest(to, redraw, c, taken < SCREEN_LINES ? SCREEN_LINES - taken : 0);
	draw_failures(to, redraw, c, failures);
	if (redraw)
		fprintf(to, "\033[J");
	fflush(to);
}

/* status_view.c - room agent/link: the keeper's status document in words for people.
 * Never: asking, printing, clocks. */
#include "agent/link/status_view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/base/wrap.h"

/* With a blank between them: 80 columns. */
enum { W_TARGET = 19, W_WANTED = 8, W_ISSUED = 8, W_DISK = 7, W_SERVED = 11, W_ENDS = 7, W_NEXT = 14, CELL = 32, INDENT = 4 };
enum { VIEW_TARGETS_MAX = 256 }; /* a keeper has at most 64 */

struct view {
	struct buf *to;
	int64_t     now;
	bool        good;
};

/* ---- values ------------------------------------------------------------------------------------------------------ */

static const char *text_of(const json_t *o, const char *name)
{
	const char *text = json_string_value(json_object_get(o, name));
	return text != NULL ? text : "";
}

static bool is(const json_t *o, const char *name, const char *value)
{
	return text_equal(text_of(o, name), value);
}

/* 0: there is none. */
static int64_t time_of(const json_t *o, const char *name)
{
	int64_t at;
	return time_parse(text_of(o, name), &at) == 0 ? at : 0;
}

/* "2026-07-01 03:12 UTC" */
static const char *minute_text(int64_t at, char ret[CELL])
{
	struct civil c = time_civil(at);
	snprintf(ret, CELL, "%04d-%02d-%02d %02d:%02d UTC", c.year % 10000, c.month % 100, c.day % 100, c.hour % 100, c.minute % 100);
	return ret;
}

static void line(struct view *v, const char *text)
{
	buf_add_text(v->to, "  ");
	wrap_add(v->to, text, 2, INDENT);
}

#define LINE_SIZE 1024
#define line_fmt(v, ...)                                      \
	do {                                                  \
		char words_[LINE_SIZE];                       \
		snprintf(words_, sizeof(words_), __VA_ARGS__); \
		text_hide_controls(words_);                    \
		line((v), words_);                            \
	} while (0)

/* ---- cells ------------------------------------------------------------------------------------------------------- */

static void cell_served(const struct view *v, const json_t *t, char ret[CELL])
{
	static const struct {
		const char *state, *word;
		bool        aged;
	} rows[] = {
		{"served", "yes", false},  {"stale", "NO", true},     {"down", "down", true},        {"partly", "partly", false},
		{"changing", "swap", false}, {"not_looked_at", "?", false}, {"unprobed", "-", false}, {"nothing_issued", "-", false},
	};
	char    age[TIME_TEXT_SIZE];
	int64_t since_at = time_of(t, "served_since");
	text_cut(ret, CELL, "?");
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		if (!is(t, "served_state", rows[i].state))
			continue;
		if (rows[i].aged && since_at != 0)
			snprintf(ret, CELL, "%s %s", rows[i].word, duration_brief(v->now - since_at, age));
		else
			text_cut(ret, CELL, rows[i].word);
	}
}

/* The issued certificate's generation, or in a word what is there instead. */
static void cell_disk(const json_t *t, char ret[CELL])
{
	const char *generation = text_of(t, "on_disk");
	const char *issued = text_of(t, "fingerprint");
	bool        ours = json_is_string(json_object_get(t, "on_disk_serial"));
	bool        same = issued[0] != '\0' && is(t, "on_disk_fingerprint", issued);
	text_cut(ret, CELL, same || is(t, "served_state", "changing") ? generation : issued[0] != '\0' ? "NO" : ours ? generation : "other");
	if (generation[0] == '\0')
		text_cut(ret, CELL, issued[0] != '\0' ? "NO" : "-");
}

static void cell_ends(const struct view *v, const json_t *t, char ret[CELL])
{
	int64_t at = time_of(t, "not_after");
	text_cut(ret, CELL, "-");
	if (json_is_true(json_object_get(t, "expired")))
		text_cut(ret, CELL, "ENDED");
	else if (at != 0)
		(void)duration_brief(at - v->now, ret);
}

static void cell_next(const struct view *v, const json_t *t, char ret[CELL])
{
	static const struct {
		const char *step, *word;
	} rows[] = {
		{"certificate", "ask again"}, {"order", "first order"},  {"retire", "retiring"},   {"reload_again", "reload"},
		{"content", "new files"},     {"prove", "proof"},
	};
	const char *word = text_of(t, "next_step");
	char        left[TIME_TEXT_SIZE];
	char        whole[2 * CELL];
	int64_t     at = time_of(t, "next");
	for (size_t i = 0; i < N_ELEMENTS(rows); i++)
		if (is(t, "next_step", rows[i].step))
			word = rows[i].word;
	(void)duration_brief(at - v->now, left);
	char *minutes = strchr(left, 'h');
	if (minutes != NULL)
		minutes[1] = '\0'; /* of hours the minutes do not count here */
	snprintf(whole, sizeof(whole), "%.*s%s%s", W_NEXT, word, at != 0 ? " " : "", at != 0 ? left : "");
	text_cut(ret, CELL, whole);
}

struct row {
	char wanted[CELL], issued[CELL], disk[CELL], served[CELL], ends[CELL], next[CELL];
};

static void row_fill(const struct view *v, const json_t *t, struct row *ret)
{
	text_cut(ret->wanted, CELL, is(t, "wanted", "unreadable") ? "unread" : text_of(t, "wanted"));
	text_cut(ret->issued, W_ISSUED + 1, text_of(t, "fingerprint")[0] != '\0' ? text_of(t, "fingerprint") : "-");
	cell_disk(t, ret->disk);
	cell_served(v, t, ret->served);
	cell_ends(v, t, ret->ends);
	cell_next(v, t, ret->next);
}

/* A name that is too long has a line of its own. */
static void row_add(struct view *v, const char *indent, const char *name, const struct row *r)
{
	char   text[LINE_SIZE];
	char   whole[WRAP_COLUMNS + 1];
	size_t n = 0;
	snprintf(whole, sizeof(whole), "%s%s", indent, name);
	n = strlen(whole);
	buf_add_text(v->to, whole);
	if (n > W_TARGET) {
		buf_add_u8(v->to, '\n');
		n = 0;
	}
	snprintf(text, sizeof(text), "%*s %-*.*s %-*.*s %-*.*s %-*.*s %-*.*s %.*s", W_TARGET - (int)n, "", W_WANTED, W_WANTED, r->wanted,
	         W_ISSUED, W_ISSUED, r->issued, W_DISK, W_DISK, r->disk, W_SERVED, W_SERVED, r->served, W_ENDS, W_ENDS, r->ends, W_NEXT,
	         r->next);
	for (n = strlen(text); n > 0 && text[n - 1] == ' ';)
		text[--n] = '\0';
	buf_add_fmt(v->to, "%s\n", text);
}

/* ---- what is the matter with one --------------------------------------------------------------------------------- */

static void add_trouble(struct view *v, const json_t *t)
{
	if (text_of(t, "last_code")[0] != '\0')
		line_fmt(v, "%s %s", text_of(t, "last_code"), text_of(t, "last_error"));
}

/* Which listeners show what, where not all show the issued certificate. */
static void add_listeners(struct view *v, const json_t *t)
{
	char    text[LINE_SIZE] = "";
	size_t  i;
	size_t  n = 0;
	json_t *l;
	json_array_foreach(json_object_get(t, "listeners"), i, l) {
		const char *seen = text_of(l, "fingerprint");
		if (n < sizeof(text))
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s %s%.8s", n > 0 ? ", " : "", text_of(l, "address"),
			                      seen[0] == '\0' ? "does not answer" : "serves ", seen);
	}
	if (n > 0)
		line(v, text);
}

static void add_served(struct view *v, const json_t *t)
{
	char    when[CELL];
	char    age[TIME_TEXT_SIZE];
	int64_t since_at = time_of(t, "served_since");
	bool    stale = is(t, "served_state", "stale");
	if (!stale && !is(t, "served_state", "down") && !is(t, "served_state", "partly"))
		return;
	if (since_at != 0)
		line_fmt(v, "%s since %s (%s)", stale ? "issued but not served" : "nobody answers", minute_text(since_at, when),
		         duration_brief(v->now - since_at, age));
	add_listeners(v, t);
}

static void add_disk(struct view *v, const json_t *t)
{
	char cell[CELL];
	cell_disk(t, cell);
	if (text_equal(cell, "NO"))
		line_fmt(v, "on disk: %s %.8s instead of the issued certificate", text_of(t, "on_disk")[0] != '\0' ? text_of(t, "on_disk") : "nothing",
		         text_of(t, "on_disk_fingerprint"));
}

static void add_times(struct view *v, const json_t *t)
{
	char    when[CELL];
	char    left[TIME_TEXT_SIZE];
	int64_t at = time_of(t, "next");
	if (json_is_true(json_object_get(t, "expired")))
		line_fmt(v, "the issued certificate ended %s", minute_text(time_of(t, "not_after"), when));
	if (is(t, "phase", "window"))
		line_fmt(v, "the next certificate waits for a window (%s)%s%s%s%s", text_of(t, "window"), at != 0 ? "; opens " : "",
		         at != 0 ? minute_text(at, when) : "", at != 0 ? ", in " : "", at != 0 ? duration_brief(at - v->now, left) : "");
}

static void add_care(struct view *v, const json_t *t)
{
	const json_t *care = json_object_get(t, "care");
	const json_t *draining = json_object_get(t, "draining");
	const char   *code = text_of(care, "rehearsal_code");
	char          when[CELL] = "the first issue";
	char          age[TIME_TEXT_SIZE];
	if (text_of(care, "drift")[0] != '\0')
		line_fmt(v, "%s%s", text_of(care, "drift"),
		         json_is_true(json_object_get(care, "second_writer"))      ? ""
		         : is(care, "phase", "wait") && is(care, "reason", "repair") ? "; repairing it failed and is tried again"
		                                                                     : "; it is repaired");
	if (json_is_true(json_object_get(care, "second_writer")))
		line(v, "a second writer undoes the repairs: one a minute is made");
	if (code[0] != '\0')
		line_fmt(v, "%s at the last rehearsal: a renewal would not work now", code);
	if (json_is_true(json_object_get(care, "rehearsal_late")))
		line_fmt(v, "no rehearsal went well since %s: nobody knows whether a renewal would work",
		         time_of(care, "rehearsed_at") != 0 ? minute_text(time_of(care, "rehearsed_at"), when) : when);
	if (json_is_object(draining))
		line_fmt(v, "draining: %lld old workers, oldest %s", (long long)json_integer_value(json_object_get(draining, "old_workers")),
		         duration_brief(json_integer_value(json_object_get(draining, "oldest_ms")), age));
}

static void add_place(struct view *v, const json_t *t, bool trouble)
{
	if (trouble)
		add_trouble(v, t);
	add_served(v, t);
	add_disk(v, t);
	add_care(v, t);
	v->good &= !json_is_false(json_object_get(t, "ok"));
}

/* ---- one certificate --------------------------------------------------------------------------------------------- */

static bool same_trouble(const json_t *targets, size_t first, size_t n)
{
	const json_t *a = json_array_get(targets, first);
	for (size_t i = 1; i < n; i++) {
		const json_t *b = json_array_get(targets, first + i);
		if (!is(b, "last_code", text_of(a, "last_code")) || !is(b, "last_error", text_of(a, "last_error")))
			return false;
	}
	return true;
}

/* Of a group the worst one stands for all. */
static const json_t *worst_served(const json_t *targets, size_t first, size_t n)
{
	static const char *const order[] = {"stale", "down", "partly", "changing", "not_looked_at", "nothing_issued", "served", "unprobed"};
	for (size_t k = 0; k < N_ELEMENTS(order); k++)
		for (size_t i = 0; i < n; i++)
			if (is(json_array_get(targets, first + i), "served_state", order[k]))
				return json_array_get(targets, first + i);
	return json_array_get(targets, first);
}

static void add_group(struct view *v, const json_t *targets, size_t first, size_t n)
{
	const json_t *head = json_array_get(targets, first);
	bool          ordered = !is(head, "phase", "none") && !is(head, "phase", "done");
	bool          together = same_trouble(targets, first, n);
	struct row    r;
	row_fill(v, head, &r);
	snprintf(r.wanted, CELL, "%zu files", n);
	r.disk[0] = '\0';
	cell_served(v, worst_served(targets, first, n), r.served);
	if (!ordered)
		r.next[0] = '\0';
	row_add(v, "", text_of(head, "cert_id"), &r);
	if (together)
		add_trouble(v, head);
	add_times(v, head);
	for (size_t i = 0; i < n; i++) {
		const json_t *t = json_array_get(targets, first + i);
		row_fill(v, t, &r);
		r.issued[0] = r.ends[0] = '\0';
		if (ordered)
			r.next[0] = '\0';
		row_add(v, "  ", text_of(t, "stem"), &r);
		add_place(v, t, !together);
	}
}

static void add_single(struct view *v, const json_t *t)
{
	struct row r;
	row_fill(v, t, &r);
	row_add(v, "", text_of(t, "cert_id"), &r);
	add_place(v, t, true);
	add_times(v, t);
}

static int by_name(const void *a, const void *b)
{
	const json_t *x = *(json_t *const *)a;
	const json_t *y = *(json_t *const *)b;
	int           order = strcmp(text_of(x, "cert_id"), text_of(y, "cert_id"));
	return order != 0 ? order : strcmp(text_of(x, "stem"), text_of(y, "stem"));
}

/* The keeper tells them in the order in which it came to know them. Owned by the caller. */
static json_t *in_order(const json_t *targets)
{
	json_t *row[VIEW_TARGETS_MAX];
	json_t *sorted = json_array();
	size_t  n = 0;
	for (; n < VIEW_TARGETS_MAX && n < json_array_size(targets); n++)
		row[n] = json_array_get(targets, n);
	qsort(row, n, sizeof(row[0]), by_name);
	for (size_t i = 0; i < n; i++)
		json_array_append(sorted, row[i]);
	return sorted;
}

static void add_targets(struct view *v, const json_t *targets)
{
	static const struct row head = {"WANTED", "ISSUED", "ON DISK", "SERVED", "ENDS IN", "NEXT"};
	size_t                  total = json_array_size(targets);
	if (total == 0) {
		buf_add_text(v->to, "no targets: `vcc-agent discover` shows what could be managed here\n");
		return;
	}
	row_add(v, "", "TARGET", &head);
	for (size_t i = 0, n; i < total; i += n) {
		n = 1;
		while (i + n < total && is(json_array_get(targets, i + n), "cert_id", text_of(json_array_get(targets, i), "cert_id")))
			n++;
		if (n == 1)
			add_single(v, json_array_get(targets, i));
		else
			add_group(v, targets, i, n);
	}
}

/* ---- the host ---------------------------------------------------------------------------------------------------- */

/* A right clock is not worth a line. */
static void add_clock(struct view *v, const json_t *root)
{
	static const struct {
		const char *state, *words;
	} lines[] = {
		{"controller", "the clock is off: validity is judged by the controller's time"},
		{"allowed", "the clock is off by more than a day; allow-wrong-clock lets swaps go on"},
		{"wrong", "VCC-2014 the clock is off by more than a day: swaps are refused until it is right, or the keeper's folder holds a file "
			  "allow-wrong-clock"},
	};
	for (size_t i = 0; i < N_ELEMENTS(lines); i++)
		if (is(root, "clock", lines[i].state))
			line(v, lines[i].words);
}

static void add_host(struct view *v, const json_t *root)
{
	char          text[LINE_SIZE];
	const json_t *lists = json_object_get(root, "lists");
	snprintf(text, sizeof(text), "agent %s (%s): %s, clock %+.1f s, %lld receipts waiting", text_of(root, "agent"), text_of(root, "service"),
	         json_is_true(json_object_get(root, "connected")) ? "connected" : "NOT connected",
	         (double)json_integer_value(json_object_get(root, "skew_ms")) / 1000.0,
	         (long long)json_integer_value(json_object_get(root, "receipts_waiting")));
	wrap_add(v->to, text, 0, INDENT);
	if (text_of(root, "link_code")[0] != '\0')
		line_fmt(v, "%s %s", text_of(root, "link_code"), text_of(root, "link_error"));
	if (text_of(root, "journal_code")[0] != '\0') {
		line_fmt(v, "%s %s: nothing can be done until then", text_of(root, "journal_code"), text_of(root, "journal_error"));
		v->good = false;
	}
	add_clock(v, root);
	if (is(root, "watch", "overflow"))
		line(v, "the kernel lost changes of files within the last minutes: everything was looked at");
	else if (text_of(root, "watch")[0] != '\0' && !is(root, "watch", "complete"))
		line(v, "changes of files are found by the clock alone; `vcc-agent doctor` says why");
	if (text_of(lists, "code")[0] != '\0') { /* absent where no target wants revocation lists */
		line_fmt(v, "%s revocation lists: %s", text_of(lists, "code"), text_of(lists, "error"));
		v->good = false;
	}
}

/* A remark has no code: nothing is wrong by it. */
static void add_problem(struct view *v, const json_t *p)
{
	const char *code = text_of(p, "code");
	char        text[LINE_SIZE];
	snprintf(text, sizeof(text), "%s.conf: %s%s%s%s", text_of(p, "file"), is(p, "from", "controller") ? "the controller says: " : "", code,
	         code[0] != '\0' ? " " : "", text_of(p, "text"));
	text_hide_controls(text); /* a file's name is whatever somebody called it */
	wrap_add(v->to, text, 0, INDENT);
	v->good &= code[0] == '\0';
}

bool status_view(const json_t *root, int64_t now, struct buf *to)
{
	struct view v = {.to = to, .now = now, .good = true};
	size_t      i;
	json_t     *p;
	add_host(&v, root);
	json_t *targets = in_order(json_object_get(root, "targets"));
	add_targets(&v, targets);
	json_decref(targets);
	json_array_foreach(json_object_get(root, "problems"), i, p)
		add_problem(&v, p);
	if (!v.good)
		buf_add_text(to, "`vcc-agent doctor` tells what to do, `vccctl explain CODE` what a code means\n");
	return v.good;
}

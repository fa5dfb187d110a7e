/* test_delivery_flow.c - room tests: does controller/core/delivery_flow.c decide as delivery_flow.step says? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controller/core/delivery_flow.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "tests/lib/step_table.h"

#define START INT64_C(1800000000000)

enum { ROWS_MAX = 10 };

struct table {
	struct delivery_pace pace;
	struct delivery      row[ROWS_MAX];
	char                 name[ROWS_MAX][STEP_WORD_SIZE];
	size_t               n;
	struct notice        notice;
	unsigned             events, errors;
};

static const char *field(const struct step_line *l, const char *key, const char *fallback)
{
	for (size_t i = 0; i < l->fields.n; i++)
		if (text_equal(l->fields.key[i], key))
			return l->fields.value[i];
	return fallback;
}

static enum notice_level level_of(const char *name)
{
	for (unsigned i = 0; i < NOTICE_LEVEL_COUNT; i++)
		if (text_equal(name, notice_level_name((enum notice_level)i)))
			return (enum notice_level)i;
	abort();
}

static void read_pace(struct table *t, const struct step_line *l)
{
	const char *sent = field(l, "sent", NULL);
	*t = (struct table){.events = t->events, .errors = t->errors};
	t->pace = (struct delivery_pace){.wait_ms = step_ms(field(l, "wait", "30s")),
					 .interval_ms = step_ms(field(l, "interval", "5m"))};
	t->pace.quiet = field(l, "quiet", NULL) != NULL;
	t->pace.failing = field(l, "failing", NULL) != NULL;
	if (sent != NULL) {
		char        group[STEP_WORD_SIZE];
		const char *colon = strchr(sent, ':');
		assert_int_equal(text_copy_n(group, sizeof(group), sent, (size_t)(colon - sent)), 0);
		delivery_note_sent(&t->pace, group, START - step_ms(colon + 1));
	}
}

static void read_row(struct table *t, const struct step_line *l)
{
	assert_true(t->n < ROWS_MAX);
	struct delivery *d = &t->row[t->n];
	text_cut(t->name[t->n], STEP_WORD_SIZE, l->fields.key[0]);
	t->n++;
	d->level = level_of(field(l, "level", "error"));
	text_cut(d->group, sizeof(d->group), field(l, "group", ""));
	d->at = START - step_ms(field(l, "age", "0"));
	d->message_id = step_id(field(l, "message", "0"));
	d->held = field(l, "held", NULL) != NULL;
}

static void read_notice(struct table *t, const struct step_line *l)
{
	struct notice *n = &t->notice;
	*n = (struct notice){.level = level_of(field(l, "level", "error")), .at = START - step_ms(field(l, "age", "0"))};
	text_cut(n->key, sizeof(n->key), field(l, "key", NULL) != NULL ? "clara VCC-1" : "");
	n->closed_at = field(l, "closed", NULL) != NULL ? START : 0;
	n->acked_at = field(l, "acked", NULL) != NULL ? START : 0;
	n->escalations = field(l, "escalated", NULL) != NULL;
	n->snoozed_until_at = field(l, "snoozed", NULL) != NULL ? START + step_ms(field(l, "snoozed", "0")) : 0;
}

static void wrong(struct table *t, const struct step_line *l, const char *what, const char *got)
{
	fprintf(stderr, "tests/step/delivery_flow.step:%d: %s: got %s\n", l->number, what, got);
	t->errors++;
}

static void check_pick(struct table *t, const struct step_line *l)
{
	struct delivery_pick p;
	char                 got[256] = "";
	delivery_pick(t->row, t->n, &t->pace, START, &p);
	if (!text_equal(delivery_choice_name(p.choice), l->phase))
		wrong(t, l, "choice", delivery_choice_name(p.choice));
	for (size_t i = 0; i < p.n; i++)
		snprintf(got + strlen(got), sizeof(got) - strlen(got), " %s", t->name[p.index[i]]);
	bool same = p.n == l->actions.n;
	for (size_t i = 0; same && i < p.n; i++)
		same = text_equal(t->name[p.index[i]], l->actions.key[i]);
	if (!same)
		wrong(t, l, "rows", got);
}

static const char *check_of(const struct step_line *l, const char *key)
{
	for (size_t i = 0; i < l->checks.n; i++)
		if (text_equal(l->checks.key[i], key))
			return l->checks.value[i];
	return NULL;
}

static void check_retry(struct table *t, const struct step_line *l)
{
	char text[64];
	for (uint32_t random = 0; random < 1024; random += 31) {
		int64_t at = delivery_retry_at((uint32_t)step_number(field(l, "attempts", "1")),
					       (uint32_t)step_number(field(l, "tries", "1")), 30 * MS_SECOND,
					       step_ms(field(l, "asked", "0")), random, START);
		snprintf(text, sizeof(text), "%lld ms", (long long)(at - START));
		if (text_equal(l->phase, "never") != (at == TIME_NEVER))
			wrong(t, l, "time", text);
		else if (at != TIME_NEVER &&
			 (at - START < step_ms(check_of(l, "least")) || at - START > step_ms(check_of(l, "most"))))
			wrong(t, l, "pause", text);
	}
}

static void check_look(struct table *t, const struct step_line *l, bool first)
{
	struct delivery_nag nag = {.repeat_ms = step_ms(field(l, "repeat", "0")),
				   .escalate_ms = step_ms(field(l, "escalate", "0"))};
	enum delivery_kind  kind = DELIVERY_FIRST;
	char                text[64];
	int64_t     next = first ? delivery_first_look(&t->notice, &nag) : delivery_look(&t->notice, &nag, START, &kind);
	const char *want = check_of(l, "next");
	snprintf(text, sizeof(text), "%lld ms", (long long)(next - START));
	if (!text_equal(delivery_kind_name(kind), l->phase))
		wrong(t, l, "kind", delivery_kind_name(kind));
	if (text_equal(want, "never") ? next != TIME_NEVER : next - START != step_ms(want))
		wrong(t, l, "next", text);
}

static void check(struct table *t, const struct step_line *l)
{
	const char *what = l->fields.key[0];
	t->events++;
	if (text_equal(what, "pick"))
		check_pick(t, l);
	else if (text_equal(what, "retry"))
		check_retry(t, l);
	else
		check_look(t, l, text_equal(what, "begin"));
}

static void test_table(void **state)
{
	struct table     t = {.n = 0};
	struct step_line l;
	int              number = 0;
	FILE            *f = step_open("delivery_flow.step");
	(void)state;
	while (step_next(f, &number, &l)) {
		if (text_equal(l.verb, "pace"))
			read_pace(&t, &l);
		else if (text_equal(l.verb, "row"))
			read_row(&t, &l);
		else if (text_equal(l.verb, "notice"))
			read_notice(&t, &l);
		else if (text_equal(l.verb, "event"))
			check(&t, &l);
	}
	fclose(f);
	assert_true(t.events > 30);
	assert_int_equal(t.errors, 0);
}

static void test_where_it_goes(void **state)
{
	static const struct {
		struct delivery_rule rule;
		enum notice_level    level;
		const char          *service;
		enum notice_event    event;
		bool                 wanted;
	} rows[] = {
		{{.at_least = NOTICE_ERROR}, NOTICE_INFO, "clara", NOTICE_RENEWAL_FAILED, false},
		{{.at_least = NOTICE_LEVEL_COUNT}, NOTICE_CRITICAL, "clara", NOTICE_RENEWAL_FAILED, false},
		{{.at_least = NOTICE_SUCCESS, .services = "vpb, argus"},
		 NOTICE_CRITICAL,
		 "clara",
		 NOTICE_RENEWAL_FAILED,
		 false},
		{{.at_least = NOTICE_SUCCESS, .services = "vpb, argus"}, NOTICE_CRITICAL, "", NOTICE_EMERGENCY_STARTED, false},
		{{.at_least = NOTICE_SUCCESS, .events = "emergency_started"},
		 NOTICE_CRITICAL,
		 "clara",
		 NOTICE_RENEWAL_FAILED,
		 false},
		{{.at_least = NOTICE_SUCCESS}, NOTICE_SUCCESS, "", NOTICE_CAMPAIGN_ENDED, true},
		{{.at_least = NOTICE_ERROR}, NOTICE_ERROR, "clara", NOTICE_RENEWAL_FAILED, true},
		{{.at_least = NOTICE_INFO, .services = "vpb, clara", .events = "renewal_failed"},
		 NOTICE_ERROR,
		 "clara",
		 NOTICE_RENEWAL_FAILED,
		 true},
	};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		struct notice n = {.level = rows[i].level, .event = rows[i].event};
		text_cut(n.service, sizeof(n.service), rows[i].service);
		if (delivery_wanted(&rows[i].rule, &n) != rows[i].wanted)
			fail_msg("row %zu", i);
	}
}

static void test_what_was_sent_longest_ago_is_forgotten(void **state)
{
	struct delivery_pace pace = {.interval_ms = MS_DAY};
	char                 group[16];
	(void)state;
	for (int i = 0; i < DELIVERY_RECENT + 1; i++) {
		snprintf(group, sizeof(group), "g%d", i);
		delivery_note_sent(&pace, group, START + i);
		delivery_note_sent(&pace, group, START + i);
	}
	size_t oldest = 0;
	for (size_t i = 0; i < DELIVERY_RECENT; i++) {
		assert_true(pace.recent[i].at > START);
		oldest += text_equal(pace.recent[i].group, "g0");
	}
	assert_int_equal(oldest, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_where_it_goes),
		cmocka_unit_test(test_what_was_sent_longest_ago_is_forgotten),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

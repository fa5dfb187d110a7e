/* test_rollover_flow.c - room tests/step: does a rollover do what tests/step/rollover_flow.step says, whatever comes in
 * whatever order? Never: rules of its own; the table is the specification. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "controller/core/rollover_flow.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "tests/lib/step_table.h"

#define START INT64_C(1800000000000)

struct rollover_bench {
	struct rollover r;
	int64_t         now;
	int             errors;
};

static void wrong(struct rollover_bench *b, const struct step_line *l, const char *what, const char *want, const char *got)
{
	fprintf(stderr, "tests/step/rollover_flow.step:%d: %s: wanted %s, got %s\n", l->number, what, want, got);
	b->errors++;
}

static enum rollover_phase phase_named(const char *name)
{
	for (int p = 0; p < ROLLOVER_PHASE_COUNT; p++)
		if (strcmp(rollover_phase_name((enum rollover_phase)p), name) == 0)
			return (enum rollover_phase)p;
	abort();
}

static void read_given(const struct step_line *l, struct rollover_bench *b)
{
	rollover_flow_begin("service-1", "service-2", false, START, &b->r);
	b->now = START;
	b->r.phase = phase_named(l->fields.key[0]);
	for (size_t i = 1; i < l->fields.n; i++) {
		const char *k = l->fields.key[i];
		if (strcmp(k, "root") == 0)
			rollover_flow_begin("root-1", "root-2", false, START, &b->r), b->r.phase = phase_named(l->fields.key[0]);
		else if (strcmp(k, "emergency") == 0)
			b->r.emergency = true;
		else if (strcmp(k, "closed") == 0)
			b->r.closed = true;
		else if (strcmp(k, "campaigns") == 0)
			b->r.campaigns = (uint32_t)step_number(l->fields.value[i]);
		else
			abort();
	}
}

static void read_event(const struct step_line *l, struct rollover_event *e, int64_t *now)
{
	*e = (struct rollover_event){.kind = ROLLOVER_EV_COUNT};
	for (int k = 0; k < ROLLOVER_EV_COUNT; k++)
		if (strcmp(rollover_event_name((enum rollover_event_kind)k), l->fields.key[0]) == 0)
			e->kind = (enum rollover_event_kind)k;
	if (e->kind == ROLLOVER_EV_COUNT)
		abort();
	for (size_t i = 1; i < l->fields.n; i++) {
		const char *k = l->fields.key[i], *v = l->fields.value[i];
		if (strcmp(k, "after") == 0)
			*now += step_ms(v);
		else if (strcmp(k, "distrustful") == 0)
			e->figures.distrustful = (uint32_t)step_number(v);
		else if (strcmp(k, "holders") == 0)
			e->figures.holders = (uint32_t)step_number(v);
		else if (strcmp(k, "released") == 0)
			e->figures.released = true;
		else if (strcmp(k, "reissuable") == 0)
			e->figures.reissuable = (uint32_t)step_number(v);
		else if (strcmp(k, "agents") == 0)
			e->figures.agents = (uint32_t)step_number(v);
		else if (strcmp(k, "open") == 0)
			e->figures.campaign_open = true;
		else if (strcmp(k, "rests") == 0)
			e->figures.campaign_rests = true;
		else if (strcmp(k, "cancelled") == 0)
			e->figures.campaign_cancelled = true;
		else if (strcmp(k, "override") == 0)
			e->override = true;
		else if (strcmp(k, "consumers") == 0)
			e->consumers = (uint32_t)step_number(v);
		else if (strcmp(k, "id") == 0)
			e->campaign_id = step_id(v);
		else if (strcmp(k, "code") == 0)
			e->code = (int)-step_number(v);
		else if (strcmp(k, "cause") == 0)
			text_cut(e->cause, sizeof(e->cause), v);
		else if (strcmp(k, "actor") == 0)
			text_cut(e->actor, sizeof(e->actor), v);
		else
			abort();
	}
}

static void check_actions(struct rollover_bench *b, const struct step_line *l, const struct rollover_step *s)
{
	char got[2 * STEP_WORD_SIZE];
	for (size_t i = 0; i < s->n_act || i < l->actions.n; i++) {
		snprintf(got, sizeof(got), "nothing");
		if (i < s->n_act && s->act[i].kind == ROLLOVER_ACT_AUDIT)
			snprintf(got, sizeof(got), "audit:%s", audit_event_name(s->act[i].event));
		else if (i < s->n_act)
			snprintf(got, sizeof(got), "%s", rollover_action_name(s->act[i].kind));
		const char *want = i < l->actions.n ? l->actions.key[i] : "nothing";
		if (strcmp(got, want) != 0)
			wrong(b, l, "action", want, got);
	}
}

static bool check_one(const char *k, const char *v, const struct rollover_step *s, int64_t now)
{
	const struct rollover *r = &s->next;
	if (strcmp(k, "ignored") == 0)
		return !s->changed && s->n_act == 0;
	if (strcmp(k, "unchanged") == 0)
		return !s->changed;
	if (strcmp(k, "prepared") == 0)
		return r->prepared_at == now;
	if (strcmp(k, "issuing") == 0)
		return r->issuing_at == now;
	if (strcmp(k, "draining") == 0)
		return r->draining_at == now;
	if (strcmp(k, "ended") == 0)
		return r->ended_at == now && r->next_at == TIME_NEVER;
	if (strcmp(k, "closed") == 0)
		return r->closed;
	if (strcmp(k, "emergency") == 0)
		return r->emergency;
	if (strcmp(k, "reason") == 0)
		return strcmp(r->reason, v) == 0;
	if (strcmp(k, "actor") == 0)
		return strcmp(r->actor, v) == 0;
	if (strcmp(k, "overridden") == 0)
		return r->overridden == (v[0] != '0');
	if (strcmp(k, "consumers") == 0)
		return r->consumers == (uint32_t)step_number(v);
	if (strcmp(k, "campaigns") == 0)
		return r->campaigns == (uint32_t)step_number(v);
	if (strcmp(k, "campaign") == 0)
		return id_equal(r->campaign_id, step_id(v));
	if (strcmp(k, "code") == 0)
		return r->code == (int)-step_number(v);
	if (strcmp(k, "cause") == 0)
		return strcmp(r->cause, v) == 0;
	abort();
}

/* What is not marked as changed must be what it was: the caller does not store it. */
static void check_kept(struct rollover_bench *b, const struct step_line *l, const struct rollover_step *s)
{
	struct rollover next = s->next;
	next.next_at = b->r.next_at; /* when to ask again is not worth a write */
	if (!s->changed && memcmp(&next, &b->r, sizeof(next)) != 0)
		wrong(b, l, "an unchanged state", "as it was", "another one");
}

static void run_event(struct rollover_bench *b, const struct step_line *l)
{
	struct rollover_event e;
	struct rollover_step  s;
	read_event(l, &e, &b->now);
	int         r = rollover_flow_step(&b->r, &e, b->now, &s);
	const char *got = r == E_ROLLOVER_STATE        ? "refused"
			  : r == E_ROLLOVER_GATE       ? "gate"
			  : s.next.phase == b->r.phase ? "same"
						       : rollover_phase_name(s.next.phase);
	if (strcmp(got, l->phase) != 0)
		wrong(b, l, "phase", l->phase, got);
	if (r < 0)
		return;
	check_actions(b, l, &s);
	check_kept(b, l, &s);
	for (size_t i = 0; i < l->checks.n; i++)
		if (!check_one(l->checks.key[i], l->checks.value[i], &s, b->now))
			wrong(b, l, "check", l->checks.key[i], "something else");
	b->r = s.next;
}

static void the_table_holds(void **state)
{
	(void)state;
	static const char *const wishes[] = {"nothing", "successor", "closed", "released"};
	struct rollover_bench    b = {.now = START};
	struct step_line         l;
	int                      number = 0, lines = 0;
	FILE                    *f = step_open("rollover_flow.step");
	for (; step_next(f, &number, &l); lines++) {
		if (strcmp(l.verb, "given") == 0)
			read_given(&l, &b);
		else if (strcmp(l.verb, "event") == 0)
			run_event(&b, &l);
		else if (strcmp(l.verb, "wish") == 0 && strcmp(l.phase, wishes[rollover_flow_wish(&b.r, b.now)]) != 0)
			wrong(&b, &l, "wish", l.phase, wishes[rollover_flow_wish(&b.r, b.now)]);
		else if (strcmp(l.verb, "ends") == 0 && rollover_flow_ends_campaign(&b.r) != (l.fields.n == 0))
			wrong(&b, &l, "ends", l.fields.n == 0 ? "its campaign" : "nothing", "the other");
	}
	fclose(f);
	assert_true(lines > 150);
	assert_int_equal(b.errors, 0);
}

/* What must hold whatever comes: the old one is never retired without the signer's word, never switched back once the signer may have
 * closed it, and the actions of a walk alternate as they must: adopted before switched, switched before switched back after it issued. */
static void nothing_wild_happens(void **state)
{
	(void)state;
	uint64_t seed = 88172645463325252u;
	unsigned ended = 0;
	for (int run = 0; run < 20000; run++) {
		struct rollover r;
		bool            adopted = false, issues = false, closed = false;
		int64_t         now = START;
		rollover_flow_begin("service-1", "service-2", run % 3 == 0, now, &r);
		for (int i = 0; i < 40; i++) {
			seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
			struct rollover_step  s;
			struct rollover_event e = {.kind = (enum rollover_event_kind)(seed % ROLLOVER_EV_COUNT),
						   .code = E_SIGNER_RATE,
						   .override = (seed >> 8 & 1) != 0,
						   .figures = {.distrustful = seed >> 9 & 1,
							       .reissuable = seed >> 10 & 3,
							       .agents = seed >> 12 & 1,
							       .campaign_open = (seed >> 13 & 1) != 0,
							       .campaign_rests = (seed >> 14 & 1) != 0}};
			now += (int64_t)(seed >> 20 & 0x3fffff);
			if (rollover_flow_step(&r, &e, now, &s) < 0)
				continue;
			for (size_t k = 0; k < s.n_act; k++) {
				enum rollover_action_kind a = s.act[k].kind;
				assert_false(a == ROLLOVER_ACT_ADOPT && adopted);
				assert_false(a == ROLLOVER_ACT_SWITCH && (!adopted || issues));
				assert_false(a == ROLLOVER_ACT_SWITCH_BACK && (closed || r.emergency));
				assert_false(a == ROLLOVER_ACT_RETIRE && e.kind != ROLLOVER_EV_CLOSED);
				assert_false(a == ROLLOVER_ACT_CAMPAIGN && (!issues || s.changed));
				adopted |= a == ROLLOVER_ACT_ADOPT;
				issues |= a == ROLLOVER_ACT_SWITCH;
			}
			assert_false(s.next.phase == ROLLOVER_RETIRING && r.phase != ROLLOVER_RETIRING &&
				     e.figures.agents > 0 && !(r.emergency && e.override));
			assert_false(closed && !s.next.closed);
			if (s.changed)
				r = s.next;
			closed = r.closed;
		}
		ended += rollover_flow_is_over(&r);
	}
	assert_true(ended > 1000);
}

static void due_by_the_longest_template(void **state)
{
	(void)state;
	int64_t longest = 730 * MS_DAY;
	assert_false(rollover_flow_is_due(START + 820 * MS_DAY, longest, START));
	assert_true(rollover_flow_is_due(START + 820 * MS_DAY - 1, longest, START));
	assert_true(rollover_flow_is_due(START - 1, 0, START));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_table_holds),
		cmocka_unit_test(nothing_wild_happens),
		cmocka_unit_test(due_by_the_longest_template),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

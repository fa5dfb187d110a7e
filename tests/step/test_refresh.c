/* test_refresh.c - room tests: does agent/core/refresh.c decide as refresh.step says, and stay within its bounds for any events? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/core/refresh.h"
#include "shared/base/err.h"
#include "shared/base/times.h"
#include "tests/lib/step_table.h"

#define START INT64_C(1800000000000)

struct refresh_bench {
	struct refresh       r;
	struct deploy_policy policy;
	int64_t              now;
	unsigned             errors;
};

static struct deploy_policy policy_of_test(void)
{
	return (struct deploy_policy){.test_ms = 40000, .reload_ms = 40000, .probe_ms = 30000, .verify_row = 3, .heal_min_ms = 5000, .heal_max_ms = 600000};
}

static enum refresh_phase phase_named(const char *name)
{
	for (int p = 0; p < REFRESH_PHASE_COUNT; p++)
		if (strcmp(refresh_phase_name((enum refresh_phase)p), name) == 0)
			return (enum refresh_phase)p;
	abort();
}

static bool read_reason(const char *word, enum refresh_reason *ret)
{
	for (int r = 0; r < REFRESH_REASON_COUNT; r++)
		if (strcmp(refresh_reason_name((enum refresh_reason)r), word) == 0) {
			*ret = (enum refresh_reason)r;
			return true;
		}
	return false;
}

static void read_given(const struct step_line *l, int64_t now, struct refresh *r)
{
	*r = (struct refresh){.phase = phase_named(l->fields.key[0]), .next_at = TIME_NEVER, .content = step_hash("c1")};
	if (r->phase != REFRESH_REST)
		r->generation = 5, r->old_generation = 4, r->can_go_back = true;
	for (size_t i = 1; i < l->fields.n; i++) {
		const char *k = l->fields.key[i], *v = l->fields.value[i];
		if (strcmp(k, "next") == 0)
			r->next_at = now + step_ms(v);
		else if (strcmp(k, "tries") == 0)
			r->tries = (uint32_t)step_number(v);
		else if (strcmp(k, "code") == 0)
			r->code = -(int)step_number(v);
		else if (strcmp(k, "was_down") == 0)
			r->was_down = true;
		else if (strcmp(k, "first") == 0)
			r->can_go_back = false, r->old_generation = 0;
		else if (strcmp(k, "fresh") == 0)
			r->generation = 0;
		else if (strcmp(k, "blind") == 0)
			r->blind = true;
		else if (!read_reason(k, &r->reason))
			abort();
	}
}

static enum refresh_event_kind kind_named(const char *name)
{
	static const char *const names[REV_KIND_COUNT] = {"want", "written", "tested", "flipped", "reloaded", "probed", "timer", "drop"};
	for (int k = 0; k < REV_KIND_COUNT; k++)
		if (strcmp(names[k], name) == 0)
			return (enum refresh_event_kind)k;
	abort();
}

static bool read_seen(const char *k, const char *v, struct probe_summary *p)
{
	if (strcmp(k, "new") == 0)
		p->row_new = (uint32_t)step_number(v);
	else if (strcmp(k, "answered") == 0)
		p->answered = (uint32_t)step_number(v);
	else if (strcmp(k, "of") == 0)
		p->listeners = (uint32_t)step_number(v);
	else if (strcmp(k, "asks") == 0)
		p->asks = true;
	else if (strcmp(k, "trust") == 0)
		p->row_trust = (uint32_t)step_number(v);
	else
		return false;
	return true;
}

static void read_happening(const struct step_line *l, struct refresh_event *e, int64_t *now)
{
	*e = (struct refresh_event){.kind = kind_named(l->fields.key[0]), .content = step_hash("c1")};
	e->probe = (struct probe_summary){.applies = true, .listeners = 2, .answered = 2};
	for (size_t i = 1; i < l->fields.n; i++) {
		const char *k = l->fields.key[i], *v = l->fields.value[i];
		if (strcmp(k, "after") == 0)
			*now += step_ms(v);
		else if (strcmp(k, "content") == 0 && v[0] != '\0')
			e->content = step_hash(v);
		else if (strcmp(k, "old") == 0)
			e->old_generation = (uint64_t)step_number(v);
		else if (strcmp(k, "generation") == 0)
			e->generation = (uint64_t)step_number(v);
		else if (strcmp(k, "current") == 0)
			e->current_generation = (uint64_t)step_number(v);
		else if (strcmp(k, "code") == 0)
			e->code = -(int)step_number(v);
		else if (strcmp(k, "changed") == 0)
			e->changed = true;
		else if (strcmp(k, "blind") == 0)
			e->blind = true;
		else if (!read_seen(k, v, &e->probe) && !read_reason(k, &e->reason))
			abort();
	}
}

static void line_wrong(struct refresh_bench *b, const struct step_line *l, const char *what, const char *want, const char *got)
{
	fprintf(stderr, "tests/step/refresh.step:%d: %s: wanted %s, got %s\n", l->number, what, want, got);
	b->errors++;
}

static bool check_holds(const char *k, const char *v, const struct refresh_step *s, int64_t now)
{
	if (strcmp(k, "ignored") == 0)
		return s->ignored;
	if (strcmp(k, "live") == 0)
		return !s->ignored;
	if (strcmp(k, "next") == 0)
		return strcmp(v, "never") == 0 ? s->next.next_at == TIME_NEVER : s->next.next_at - now == step_ms(v);
	if (strcmp(k, "code") == 0)
		return s->next.code == -(int)step_number(v);
	if (strcmp(k, "tries") == 0)
		return s->next.tries == (uint32_t)step_number(v);
	if (strcmp(k, "generation") == 0)
		return s->next.generation == (uint64_t)step_number(v);
	abort();
}

static void run_line(struct refresh_bench *b, const struct step_line *l)
{
	struct refresh_event e;
	struct refresh_step  s;
	read_happening(l, &e, &b->now);
	assert_int_equal(refresh_step(&b->r, &e, b->now, &b->policy, &s), 0);
	const char *want = strcmp(l->phase, "same") == 0 ? refresh_phase_name(b->r.phase) : l->phase;
	if (strcmp(refresh_phase_name(s.next.phase), want) != 0)
		line_wrong(b, l, "phase", want, refresh_phase_name(s.next.phase));
	for (size_t i = 0; i < s.n_act || i < l->actions.n; i++) {
		const char *got = i < s.n_act ? refresh_action_name(s.act[i]) : "nothing";
		const char *action = i < l->actions.n ? l->actions.key[i] : "nothing";
		if (strcmp(got, action) != 0)
			line_wrong(b, l, "action", action, got);
	}
	for (size_t i = 0; i < l->checks.n; i++)
		if (!check_holds(l->checks.key[i], l->checks.value[i], &s, b->now)) {
			char got[120];
			snprintf(got, sizeof(got), "code %d tries %u next +%lld", s.next.code, s.next.tries, (long long)(s.next.next_at - b->now));
			line_wrong(b, l, l->checks.key[i], l->checks.value[i], got);
		}
	b->r = s.next;
}

static void test_refresh_table(void **state)
{
	(void)state;
	FILE                *f = step_open("refresh.step");
	struct refresh_bench b = {.policy = policy_of_test(), .now = START};
	struct step_line     l;
	int                  line = 0, events = 0;
	while (step_next(f, &line, &l)) {
		if (strcmp(l.verb, "given") == 0) {
			read_given(&l, b.now, &b.r);
		} else if (strcmp(l.verb, "event") == 0 && l.expects) {
			run_line(&b, &l);
			events++;
		} else if (strcmp(l.verb, "case") != 0) {
			fail_msg("line %d: what is `%s`?", l.number, l.verb);
		}
	}
	fclose(f);
	assert_int_equal(b.errors, 0);
	assert_true(events > 80);
}

static uint32_t next_random(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*seed >> 33);
}

/* Random walks: actions stay within their array, a flip back only where there is something, every wait has an end. */
static void test_refresh_any_events(void **state)
{
	(void)state;
	struct deploy_policy policy = policy_of_test();
	uint64_t             seed = 7;
	bool                 seen[REFRESH_PHASE_COUNT] = {false};
	for (int run = 0; run < 4000; run++) {
		struct refresh r = {.next_at = TIME_NEVER};
		int64_t        now = START;
		for (int i = 0; i < 60; i++) {
			struct refresh_step  s;
			struct refresh_event e = {.kind = (enum refresh_event_kind)(next_random(&seed) % REV_KIND_COUNT)};
			now += next_random(&seed) % 40000;
			e.reason = (enum refresh_reason)(1 + next_random(&seed) % (REFRESH_REASON_COUNT - 1));
			e.content = step_hash(next_random(&seed) % 2 == 0 ? "c1" : "c2");
			e.changed = next_random(&seed) % 2 == 0;
			e.blind = next_random(&seed) % 4 == 0;
			e.was_down = next_random(&seed) % 4 == 0;
			e.old_generation = next_random(&seed) % 3;
			e.generation = 5;
			e.current_generation = next_random(&seed) % 2 == 0 ? 5 : 4;
			e.code = next_random(&seed) % 4 == 0 ? E_SYS_SPACE : 0;
			e.probe = (struct probe_summary){.listeners = 1, .answered = next_random(&seed) % 2, .row_new = next_random(&seed) % 5};
			assert_int_equal(refresh_step(&r, &e, now, &policy, &s), 0);
			assert_true(s.n_act <= REFRESH_ACTIONS_MAX);
			if (s.ignored)
				assert_memory_equal(&s.next, &r, sizeof(r));
			for (size_t a = 0; a < s.n_act; a++) {
				if (s.act[a] == RACT_FLIP_BACK)
					assert_true(s.next.can_go_back && s.next.old_generation != 0 && s.next.reason == REFRESH_CONTENT);
				if (s.act[a] == RACT_PROVED)
					assert_true(s.next.reason != REFRESH_REHEARSE);
				if (s.act[a] == RACT_FLIP)
					assert_true(s.next.reason != REFRESH_REHEARSE);
			}
			if (s.next.phase == REFRESH_WAIT)
				assert_true(s.next.next_at != TIME_NEVER && s.next.code != 0);
			r = s.next;
			seen[r.phase] = true;
		}
	}
	for (int p = 0; p < REFRESH_PHASE_COUNT; p++)
		if (!seen[p])
			fail_msg("phase %s was never reached", refresh_phase_name((enum refresh_phase)p));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refresh_table),
		cmocka_unit_test(test_refresh_any_events),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

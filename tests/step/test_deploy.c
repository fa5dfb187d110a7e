/* test_deploy.c - room tests/step: does a deployment do what tests/step/deploy.step says, and never anything wild?
 * Never: rules of its own; the table is the specification. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "agent/core/deploy.h"
#include "shared/base/err.h"
#include "shared/base/times.h"
#include "tests/lib/step_table.h"

#define START INT64_C(1800000000000)

struct bench {
	struct deploy        d;
	struct deploy_policy policy;
	int64_t              now;
	int                  errors;
};

static struct deploy_policy policy_default(void)
{
	return (struct deploy_policy){
		.key_ms = MS_MINUTE,
		.test_ms = 30 * MS_SECOND,
		.reload_ms = MS_MINUTE,
		.probe_ms = 30 * MS_SECOND,
		.settle_ms = 500,
		.verify_row = 3,
		.settle_row = 20,
		.csr_repeat_ms = 10 * MS_SECOND,
		.heal_min_ms = 10 * MS_SECOND,
		.heal_max_ms = 10 * MS_MINUTE,
	};
}

static uint32_t flags_of(const char *text)
{
	uint32_t bits = 0;
	if (strstr(text, "unverified") != NULL)
		bits |= ORDER_UNVERIFIED;
	if (strstr(text, "down") != NULL)
		bits |= ORDER_SERVICE_WAS_DOWN;
	if (strstr(text, "hook") != NULL)
		bits |= ORDER_HOOK_FAILED;
	if (bits == 0 && strcmp(text, "none") != 0)
		abort();
	return bits;
}

static enum deploy_phase phase_of(const char *name)
{
	for (int p = 0; p < DEPLOY_PHASE_COUNT; p++) {
		if (strcmp(deploy_phase_name((enum deploy_phase)p), name) == 0)
			return (enum deploy_phase)p;
	}
	abort();
}

/* A deployment of renewal 7, attempt 1, with everything that belongs to its phase: the old pair good unless a word says
 * otherwise. */
static void read_deploy(const struct step_line *l, int64_t now, struct deploy *d)
{
	*d = (struct deploy){.next_at = TIME_NEVER};
	d->phase = phase_of(l->fields.key[0]);
	if (d->phase == DEPLOY_NONE)
		return;
	d->renewal_id = step_id("7");
	d->attempt = 1;
	d->post_validation = true;
	d->spki_hash = step_hash("k1");
	d->fingerprint = step_hash("F");
	d->old_fingerprint = step_hash("old");
	d->had_old = d->old_valid = d->was_serving = true;
	d->generation = 5;
	d->old_generation = 4;
	for (size_t i = 1; i < l->fields.n; i++) {
		const char *k = l->fields.key[i], *v = l->fields.value[i];
		if (strcmp(k, "attempt") == 0)
			d->attempt = (uint32_t)step_number(v);
		else if (strcmp(k, "no_post_validation") == 0)
			d->post_validation = false;
		else if (strcmp(k, "first") == 0)
			d->had_old = d->old_valid = d->was_serving = false, d->old_generation = 0;
		else if (strcmp(k, "old_invalid") == 0)
			d->old_valid = false;
		else if (strcmp(k, "old_not_served") == 0)
			d->was_serving = false;
		else if (strcmp(k, "was_down") == 0)
			d->was_serving = false, d->was_down = true;
		else if (strcmp(k, "blind") == 0)
			d->blind = true;
		else if (strcmp(k, "any_time") == 0)
			d->any_time = true;
		else if (strcmp(k, "drill") == 0)
			d->drill = d->any_time = true;
		else if (strcmp(k, "was_verified") == 0)
			d->receipted = true, d->outcome = RECEIPT_VERIFIED;
		else if (strcmp(k, "was_kept") == 0)
			d->receipted = true, d->outcome = RECEIPT_KEPT, d->flags = ORDER_UNVERIFIED;
		else if (strcmp(k, "code") == 0)
			d->code = -(int)step_number(v);
		else if (strcmp(k, "restarts") == 0)
			d->restarts = (uint32_t)step_number(v);
		else if (strcmp(k, "tries") == 0)
			d->tries = (uint32_t)step_number(v);
		else if (strcmp(k, "next") == 0)
			d->next_at = now + step_ms(v);
		else
			abort();
	}
}

/* new=ROW old=ROW answered=N of=LISTENERS last_old=MS before now, wrong, unprobed */
static bool read_probe(const char *k, const char *v, int64_t now, struct probe_summary *p)
{
	if (strcmp(k, "new") == 0)
		p->row_new = (uint32_t)step_number(v);
	else if (strcmp(k, "old") == 0)
		p->row_old = (uint32_t)step_number(v);
	else if (strcmp(k, "answered") == 0)
		p->answered = (uint32_t)step_number(v);
	else if (strcmp(k, "of") == 0)
		p->listeners = (uint32_t)step_number(v);
	else if (strcmp(k, "last_old") == 0)
		p->last_old_at = now - step_ms(v);
	else if (strcmp(k, "wrong") == 0)
		p->wrong = true;
	else if (strcmp(k, "unprobed") == 0)
		p->applies = false;
	else
		return false;
	return true;
}

static bool read_facts(const char *k, const char *v, struct deploy_event *e)
{
	if (strcmp(k, "old_good") == 0)
		e->had_old = e->old_valid = e->was_serving = true, e->old_generation = 4, e->old_fingerprint = step_hash("old");
	else if (strcmp(k, "was_down") == 0)
		e->was_down = true;
	else if (strcmp(k, "generation") == 0)
		e->generation = (uint64_t)step_number(v);
	else if (strcmp(k, "current") == 0)
		e->current_generation = (uint64_t)step_number(v);
	else if (strcmp(k, "key_present") == 0)
		e->key_present = true;
	else if (strcmp(k, "tested") == 0)
		e->tested = true;
	else if (strcmp(k, "blind") == 0)
		e->blind = true;
	else if (strcmp(k, "any_time") == 0)
		e->any_time = true;
	else if (strcmp(k, "drill") == 0)
		e->drill = true;
	else if (strcmp(k, "staged") == 0)
		e->staged = true;
	else if (strcmp(k, "closed") == 0)
		return true; /* of the policy, see run_event() */
	else
		return false;
	return true;
}

static void read_event(const struct step_line *l, const struct deploy *d, struct deploy_event *e, int64_t *now)
{
	*e = (struct deploy_event){
		.renewal_id = d->renewal_id, .attempt = d->attempt, .kind = DEV_KIND_COUNT, .cert_id = "web"};
	e->probe = (struct probe_summary){.applies = true, .listeners = 2, .answered = 2};
	e->post_validation = true;
	for (int k = 0; k < DEV_KIND_COUNT && l->fields.n > 0; k++) {
		if (strcmp(deploy_event_name((enum deploy_event_kind)k), l->fields.key[0]) == 0)
			e->kind = (enum deploy_event_kind)k;
	}
	if (e->kind == DEV_KIND_COUNT)
		abort();
	for (size_t i = 1; i < l->fields.n; i++) {
		const char *k = l->fields.key[i], *v = l->fields.value[i];
		if (strcmp(k, "after") == 0)
			*now += step_ms(v);
		else if (strcmp(k, "renewal") == 0)
			e->renewal_id = step_id(v);
		else if (strcmp(k, "attempt") == 0)
			e->attempt = (uint32_t)step_number(v);
		else if (strcmp(k, "key") == 0)
			e->spki_hash = step_hash(v);
		else if (strcmp(k, "stage") == 0)
			e->stage = step_hash(v);
		else if (strcmp(k, "fp") == 0)
			e->fingerprint = step_hash(v);
		else if (strcmp(k, "code") == 0)
			e->code = -(int)step_number(v);
		else if (strcmp(k, "no_post_validation") == 0)
			e->post_validation = false;
		else if (!read_probe(k, v, *now, &e->probe) && !read_facts(k, v, e))
			abort();
	}
}

static void action_text(const struct deploy_action *a, const struct deploy *next, char *ret, size_t size)
{
	if (a->kind == DACT_RECEIPT)
		snprintf(ret, size, "receipt:%s", receipt_outcome_name(a->outcome));
	else if (a->kind == DACT_FLIP || a->kind == DACT_FLIP_BACK)
		snprintf(ret, size, "%s:%llu", deploy_action_name(a->kind), (unsigned long long)a->generation);
	else if (a->kind == DACT_DISCARD && !id_equal(a->renewal_id, next->renewal_id))
		snprintf(ret, size, "discard_other");
	else
		snprintf(ret, size, "%s", deploy_action_name(a->kind));
}

static void fail_line(struct bench *b, const struct step_line *l, const char *what, const char *want, const char *got)
{
	fprintf(stderr, "tests/step/deploy.step:%d: %s: wanted %s, got %s\n", l->number, what, want, got);
	b->errors++;
}

static void check_actions(struct bench *b, const struct step_line *l, const struct deploy_step *s)
{
	char got[STEP_WORD_SIZE];
	for (size_t i = 0; i < s->n_act || i < l->actions.n; i++) {
		if (i < s->n_act)
			action_text(&s->act[i], &s->next, got, sizeof(got));
		else
			snprintf(got, sizeof(got), "nothing");
		const char *want = i < l->actions.n ? l->actions.key[i] : "nothing";
		if (strcmp(got, want) != 0)
			fail_line(b, l, "action", want, got);
	}
}

static bool field_ok(const char *k, const char *v, const struct deploy_step *s, int64_t now)
{
	const struct deploy *d = &s->next;
	if (strcmp(k, "ignored") == 0)
		return s->ignored;
	if (strcmp(k, "save") == 0)
		return s->save && !s->sync;
	if (strcmp(k, "sync") == 0)
		return s->save && s->sync;
	if (strcmp(k, "live") == 0)
		return !s->save && !s->sync;
	if (strcmp(k, "next") == 0)
		return strcmp(v, "never") == 0 ? d->next_at == TIME_NEVER : d->next_at - now == step_ms(v);
	if (strcmp(k, "code") == 0)
		return d->code == -(int)step_number(v);
	if (strcmp(k, "flags") == 0)
		return d->flags == flags_of(v);
	if (strcmp(k, "fp") == 0)
		return hash_equal(s->next.fingerprint, step_hash(v));
	if (strcmp(k, "attempt") == 0)
		return d->attempt == (uint32_t)step_number(v);
	if (strcmp(k, "renewal") == 0)
		return id_equal(d->renewal_id, step_id(v));
	if (strcmp(k, "tries") == 0)
		return d->tries == (uint32_t)step_number(v);
	if (strcmp(k, "restarts") == 0)
		return d->restarts == (uint32_t)step_number(v);
	if (strcmp(k, "flipped") == 0)
		return d->flipped_at == now;
	abort();
}

static void run_event(struct bench *b, const struct step_line *l)
{
	struct deploy_event e;
	struct deploy_step  s;
	read_event(l, &b->d, &e, &b->now);
	b->policy.window_open = true;
	b->policy.window_at = TIME_NEVER;
	for (size_t i = 0; i < l->fields.n; i++)
		if (strcmp(l->fields.key[i], "closed") == 0) {
			b->policy.window_open = false;
			b->policy.window_at = b->now + MS_HOUR;
		}
	assert_int_equal(deploy_step(&b->d, &e, b->now, &b->policy, &s), 0);
	const char *want = strcmp(l->phase, "same") == 0 ? deploy_phase_name(b->d.phase) : l->phase;
	if (strcmp(deploy_phase_name(s.next.phase), want) != 0)
		fail_line(b, l, "phase", want, deploy_phase_name(s.next.phase));
	check_actions(b, l, &s);
	for (size_t i = 0; i < l->checks.n; i++) {
		char got[STEP_WORD_SIZE + 32];
		snprintf(got, sizeof(got), "code %d flags %x save %d sync %d next +%lld", s.next.code, s.next.flags, s.save,
			 s.sync, (long long)(s.next.next_at - b->now));
		if (!field_ok(l->checks.key[i], l->checks.value[i], &s, b->now))
			fail_line(b, l, l->checks.key[i], l->checks.value[i], got);
	}
	b->d = s.next;
}

static void test_table(void **state)
{
	(void)state;
	FILE            *f = step_open("deploy.step");
	struct bench     b = {.policy = policy_default(), .now = START};
	struct step_line l;
	int              line = 0, events = 0;
	while (step_next(f, &line, &l)) {
		if (strcmp(l.verb, "case") == 0) {
			b.now = START;
		} else if (strcmp(l.verb, "given") == 0) {
			read_deploy(&l, b.now, &b.d);
		} else if (strcmp(l.verb, "event") == 0 && l.expects) {
			run_event(&b, &l);
			events++;
		} else {
			fail_msg("line %d: what is `%s`?", l.number, l.verb);
		}
	}
	fclose(f);
	assert_int_equal(b.errors, 0);
	assert_true(events > 100);
}

static uint32_t rnd(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*seed >> 33);
}

/* The event that brings a phase on, so that random walks get everywhere. */
static const enum deploy_event_kind onward[DEPLOY_PHASE_COUNT] = {
	[DEPLOY_NONE] = DEV_ORDER,       [DEPLOY_KEY] = DEV_KEY,           [DEPLOY_CSR] = DEV_CERTIFICATE,
	[DEPLOY_CHECK] = DEV_CHECKED,    [DEPLOY_WRITE] = DEV_WRITTEN,     [DEPLOY_TEST] = DEV_TESTED,
	[DEPLOY_FLIP] = DEV_FLIPPED,     [DEPLOY_RELOAD] = DEV_RELOADED,   [DEPLOY_PROBE] = DEV_TIMER,
	[DEPLOY_SETTLE] = DEV_TIMER,     [DEPLOY_BACK_FLIP] = DEV_FLIPPED, [DEPLOY_BACK_RELOAD] = DEV_RELOADED,
	[DEPLOY_BACK_PROBE] = DEV_TIMER, [DEPLOY_HEAL] = DEV_PROBED,       [DEPLOY_DONE] = DEV_ORDER,
	[DEPLOY_WINDOW] = DEV_TIMER,     [DEPLOY_COMPARE] = DEV_PROBED,
};

static struct deploy_event random_event(uint64_t *seed, const struct deploy *d)
{
	static const char *const ids[] = {"5", "7", "8"};
	struct deploy_event      e = {.renewal_id = d->renewal_id, .attempt = d->attempt};
	e.kind = rnd(seed) % 2 == 0 ? onward[d->phase] : (enum deploy_event_kind)(rnd(seed) % DEV_KIND_COUNT);
	if (rnd(seed) % 8 == 0 || d->phase == DEPLOY_NONE)
		e.renewal_id = step_id(ids[rnd(seed) % 3]), e.attempt = 1 + rnd(seed) % 3;
	e.post_validation = rnd(seed) % 2 == 0;
	e.drill = rnd(seed) % 3 == 0;
	e.spki_hash = step_hash("k");
	e.stage = rnd(seed) % 4 == 0 ? step_hash("other") : d->spki_hash;
	e.fingerprint = step_hash("F");
	e.code = rnd(seed) % 6 == 0 ? E_SYS_SPACE : 0;
	e.had_old = rnd(seed) % 2 == 0;
	e.old_valid = e.had_old && rnd(seed) % 2 == 0;
	e.was_serving = e.had_old && rnd(seed) % 2 == 0;
	e.old_generation = e.had_old ? 4 : 0;
	e.generation = 5;
	e.current_generation = rnd(seed) % 2 == 0 ? d->generation : d->old_generation;
	e.key_present = rnd(seed) % 2 == 0;
	e.probe = (struct probe_summary){.applies = rnd(seed) % 4 != 0, .listeners = 2, .answered = rnd(seed) % 3};
	e.blind = e.kind == DEV_RELOADED && e.code != 0 && (!e.probe.applies || rnd(seed) % 4 == 0);
	e.probe.row_new = rnd(seed) % 30;
	e.probe.row_old = rnd(seed) % 5;
	e.random = rnd(seed);
	return e;
}

/* What was flipped goes back only to a pair that was there; a receipt and the intent are never made before they are in the
 * journal. */
static void check_bounds(const struct deploy *d, const struct deploy_event *e, const struct deploy_step *s)
{
	assert_true(s->n_act <= DEPLOY_ACTIONS_MAX);
	assert_true((unsigned)s->next.phase < DEPLOY_PHASE_COUNT);
	if (s->ignored)
		assert_memory_equal(&s->next, d, sizeof(*d));
	for (size_t i = 0; i < s->n_act; i++) {
		const struct deploy_action *a = &s->act[i];
		if (a->kind == DACT_RECEIPT || (a->kind == DACT_FLIP && d->phase != DEPLOY_FLIP))
			assert_true(s->save && s->sync);
		if (a->kind == DACT_FLIP_BACK)
			assert_true(d->had_old && a->generation == d->old_generation && a->generation != 0);
		if (a->kind == DACT_RECEIPT && a->outcome == RECEIPT_VERIFIED)
			assert_true(!e->probe.applies || e->probe.row_new >= 3);
		if (a->kind == DACT_RECEIPT && a->outcome == RECEIPT_SETTLED)
			assert_true(!e->probe.applies || e->probe.row_new >= 20);
		if (a->kind == DACT_RECEIPT && (a->outcome == RECEIPT_FAILED || a->outcome == RECEIPT_REFUSED))
			assert_true(s->next.code != 0);
		if (a->kind == DACT_DISCARD) /* never the generation in use */
			assert_true(d->phase < DEPLOY_RELOAD || d->phase == DEPLOY_COMPARE ||
				    (d->phase >= DEPLOY_BACK_FLIP && d->phase <= DEPLOY_BACK_PROBE));
	}
	for (size_t i = 0; s->next.drill && i < s->n_act; i++) { /* whatever happens, a drill puts nothing in use */
		enum deploy_action_kind k = s->act[i].kind;
		assert_true(k != DACT_FLIP && k != DACT_FLIP_BACK && k != DACT_RELOAD);
		assert_true(k != DACT_RECEIPT || s->act[i].outcome == RECEIPT_TESTED || s->act[i].outcome == RECEIPT_FAILED ||
			    s->act[i].outcome == RECEIPT_REFUSED);
	}
	assert_true(!s->next.drill || s->next.phase < DEPLOY_FLIP || s->next.phase >= DEPLOY_DONE);
	if (d->phase >= DEPLOY_FLIP && d->phase <= DEPLOY_BACK_PROBE)
		assert_true(id_equal(s->next.renewal_id, d->renewal_id) && s->next.attempt == d->attempt);
}

static void test_any_events(void **state)
{
	(void)state;
	struct deploy_policy policy = policy_default();
	uint64_t             seed = 1;
	bool                 seen[DEPLOY_PHASE_COUNT] = {false};
	for (int run = 0; run < 4000; run++) {
		struct deploy d = {.next_at = TIME_NEVER};
		int64_t       now = START;
		for (int i = 0; i < 80; i++) {
			now += rnd(&seed) % 40000;
			struct deploy_event e = random_event(&seed, &d);
			struct deploy_step  s;
			policy.window_open = rnd(&seed) % 3 != 0;
			policy.window_at = policy.window_open ? TIME_NEVER : now + rnd(&seed) % 100000;
			assert_int_equal(deploy_step(&d, &e, now, &policy, &s), 0);
			check_bounds(&d, &e, &s);
			d = s.next;
			seen[d.phase] = true;
		}
	}
	for (int p = 0; p < DEPLOY_PHASE_COUNT; p++) {
		if (!seen[p])
			fail_msg("phase %s was never reached", deploy_phase_name((enum deploy_phase)p));
	}
}

static void test_who_owns_the_place(void **state)
{
	static const bool owns[DEPLOY_PHASE_COUNT] = {
		[DEPLOY_CHECK] = true, [DEPLOY_WRITE] = true,  [DEPLOY_TEST] = true,      [DEPLOY_FLIP] = true,        [DEPLOY_RELOAD] = true,
		[DEPLOY_PROBE] = true, [DEPLOY_SETTLE] = true, [DEPLOY_BACK_FLIP] = true, [DEPLOY_BACK_RELOAD] = true, [DEPLOY_BACK_PROBE] = true,
		[DEPLOY_COMPARE] = true,
	};
	(void)state;
	for (int p = 0; p < DEPLOY_PHASE_COUNT; p++)
		assert_int_equal(deploy_owns_place((enum deploy_phase)p), owns[p]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_owns_the_place),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_any_events),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

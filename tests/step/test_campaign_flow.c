/* test_campaign_flow.c - room tests/step: does a campaign do what tests/step/campaign_flow.step says, and never anything wild?
 * Never: rules of its own; the table is the specification. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "controller/core/campaign_flow.h"
#include "controller/core/campaign_member.h"
#include "controller/core/waves.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "tests/lib/step_table.h"

#define START INT64_C(1800000000000)

struct campaign_bench {
	struct campaign c;
	int64_t         now;
	int             errors;
};

static void wrong(struct campaign_bench *b, const struct step_line *l, const char *what, const char *want, const char *got)
{
	fprintf(stderr, "tests/step/campaign_flow.step:%d: %s: wanted %s, got %s\n", l->number, what, want, got);
	b->errors++;
}

static enum campaign_state state_named(const char *name)
{
	for (int s = 0; s < CAMPAIGN_STATE_COUNT; s++)
		if (strcmp(campaign_state_name((enum campaign_state)s), name) == 0)
			return (enum campaign_state)s;
	abort();
}

static enum member_state member_named(const char *name)
{
	for (int s = 0; s < MEMBER_STATE_COUNT; s++)
		if (strcmp(member_state_name((enum member_state)s), name) == 0)
			return (enum member_state)s;
	abort();
}

static uint32_t *counter_named(struct campaign *c, const char *name)
{
	const struct {
		const char *name;
		uint32_t   *at;
	} counters[] = {{"waiting", &c->waiting},           {"held", &c->held},       {"following", &c->following},
			{"ordered", &c->ordered},           {"done", &c->done},       {"failed", &c->failed},
			{"skipped", &c->skipped},           {"dropped", &c->dropped}, {"sent", &c->batch_sent},
			{"batch_failed", &c->batch_failed}, {"share", &c->halt_share},
			{"going_back", &c->going_back},     {"rolled_back", &c->rolled_back}, {"kept", &c->kept},
			{"wave", &c->wave},                 {"wave_sent", &c->wave_sent}, {"wave_done", &c->wave_done},
			{"wave_failed", &c->wave_failed},   {"count", &c->halt_count}, {"total", &c->total}};
	for (size_t i = 0; i < N_ELEMENTS(counters); i++)
		if (strcmp(counters[i].name, name) == 0)
			return counters[i].at;
	return NULL;
}

static struct campaign campaign_of_test(enum campaign_state state)
{
	return (struct campaign){.state = state,
				 .batch = 10,
				 .pause_ms = 2000,
				 .halt_share = 200,
				 .next_at = TIME_NEVER,
				 .remind_at = TIME_NEVER,
				 .created_at = START,
				 .started_at = START};
}

static enum revoke_old revoke_old_of_test(const char *name)
{
	for (int r = 0; r < REVOKE_OLD_COUNT; r++)
		if (strcmp(revoke_old_name((enum revoke_old)r), name) == 0)
			return (enum revoke_old)r;
	abort();
}

/* "5+10+85": the table's own words are parted by commas. */
static void text_commas(char *text)
{
	for (; *text != '\0'; text++)
		if (*text == '+')
			*text = ',';
}

static void read_campaign(const struct step_line *l, int64_t now, struct campaign *c)
{
	*c = campaign_of_test(state_named(l->fields.key[0]));
	for (size_t i = 1; i < l->fields.n; i++) {
		const char *k = l->fields.key[i], *v = l->fields.value[i];
		uint32_t   *counter = counter_named(c, k);
		if (counter != NULL)
			*counter = (uint32_t)step_number(v);
		else if (strcmp(k, "emergency") == 0)
			c->kind = CAMPAIGN_EMERGENCY, c->batch = 0;
		else if (strcmp(k, "policy") == 0)
			c->kind = CAMPAIGN_POLICY;
		else if (strcmp(k, "drill") == 0)
			c->kind = CAMPAIGN_DRILL, c->batch = 0;
		else if (strcmp(k, "collecting") == 0)
			c->collecting = true;
		else if (strcmp(k, "fresh") == 0)
			c->fresh_keys = true;
		else if (strcmp(k, "waves") == 0)
			(void)!text_copy(c->waves, sizeof(c->waves), v), text_commas(c->waves), c->wave = 1;
		else if (strcmp(k, "canary") == 0)
			c->canary = true;
		else if (strcmp(k, "back_on_halt") == 0)
			c->rollback_on_halt = true;
		else if (strcmp(k, "asked") == 0)
			c->confirmation = CONFIRMATION_ASKED;
		else if (strcmp(k, "remind") == 0)
			c->remind_at = now + step_ms(v);
		else if (strcmp(k, "revoke_by") == 0)
			c->revoke_by_at = START + step_ms(v);
		else if (strcmp(k, "revoke") == 0)
			c->revoke_old = revoke_old_of_test(v);
		else if (strcmp(k, "closed") == 0)
			c->completed_at = now;
		else
			abort();
	}
}

static void read_happening(const struct step_line *l, struct campaign_event *e, int64_t *now)
{
	*e = (struct campaign_event){.kind = CAMPAIGN_EV_COUNT, .grace_ms = MS_HOUR};
	for (int k = 0; k < CAMPAIGN_EV_COUNT; k++)
		if (strcmp(campaign_event_name((enum campaign_event_kind)k), l->fields.key[0]) == 0)
			e->kind = (enum campaign_event_kind)k;
	if (e->kind == CAMPAIGN_EV_COUNT)
		abort();
	for (size_t i = 1; i < l->fields.n; i++) {
		const char *k = l->fields.key[i], *v = l->fields.value[i];
		if (strcmp(k, "after") == 0)
			*now += step_ms(v);
		else if (strcmp(k, "away") == 0)
			e->away = (uint32_t)step_number(v);
		else if (strcmp(k, "stage_ends") == 0)
			e->stage_ends = true;
		else if (strcmp(k, "wave_ends") == 0)
			e->wave_ends = true;
		else if (strcmp(k, "first") == 0)
			e->first = (uint64_t)step_number(v);
		else if (strcmp(k, "last") == 0)
			e->last = (uint64_t)step_number(v);
		else if (strcmp(k, "grace") == 0)
			e->grace_ms = step_ms(v);
		else if (strcmp(k, "reached") == 0)
			e->reached = (uint64_t)step_number(v);
		else if (strcmp(k, "from") == 0)
			e->from = member_named(v);
		else if (strcmp(k, "to") == 0)
			e->to = member_named(v);
		else
			e->moved[member_named(k)] = (uint32_t)step_number(v);
	}
}

static void action_words(const struct campaign_action *a, char *ret, size_t size)
{
	if (a->kind == CAMPAIGN_ACT_AUDIT)
		snprintf(ret, size, "audit:%s", audit_event_name(a->event));
	else
		snprintf(ret, size, "%s:%u", campaign_action_name(a->kind), a->n);
}

static void check_actions(struct campaign_bench *b, const struct step_line *l, const struct campaign_step *s)
{
	char got[2 * STEP_WORD_SIZE];
	for (size_t i = 0; i < s->n_act || i < l->actions.n; i++) {
		snprintf(got, sizeof(got), "nothing");
		if (i < s->n_act)
			action_words(&s->act[i], got, sizeof(got));
		const char *want = i < l->actions.n ? l->actions.key[i] : "nothing";
		if (strcmp(got, want) != 0)
			wrong(b, l, "action", want, got);
	}
}

static bool check_time(const char *v, int64_t at, int64_t now)
{
	return strcmp(v, "never") == 0 ? at == TIME_NEVER : at - now == step_ms(v);
}

static bool check_one(const char *k, const char *v, struct campaign_step *s, int64_t now)
{
	struct campaign *c = &s->next;
	const uint32_t  *counter = counter_named(c, k);
	if (counter != NULL)
		return *counter == (uint32_t)step_number(v);
	if (strcmp(k, "ignored") == 0)
		return !s->changed && s->n_act == 0;
	if (strcmp(k, "collecting") == 0)
		return c->collecting == (v[0] != '0');
	if (strcmp(k, "total") == 0)
		return c->total == (uint32_t)step_number(v);
	if (strcmp(k, "full") == 0)
		return c->batch_full == (v[0] != '0');
	if (strcmp(k, "wave_full") == 0)
		return c->wave_full == (v[0] != '0');
	if (strcmp(k, "rests") == 0)
		return (c->rested_at == now) == (v[0] != '0');
	if (strcmp(k, "back_first") == 0)
		return c->back_first == (uint64_t)step_number(v);
	if (strcmp(k, "back_last") == 0)
		return c->back_last == (uint64_t)step_number(v);
	if (strcmp(k, "back_at") == 0)
		return c->back_at == (uint64_t)step_number(v);
	if (strcmp(k, "next") == 0)
		return check_time(v, c->next_at, now);
	if (strcmp(k, "remind") == 0)
		return check_time(v, c->remind_at, now);
	if (strcmp(k, "revoke_by") == 0)
		return check_time(v, c->revoke_by_at, now);
	if (strcmp(k, "closed") == 0)
		return v[0] == '0' ? c->completed_at == 0 : c->completed_at == now;
	if (strcmp(k, "approved") == 0)
		return c->approved && c->started_at == now;
	if (strcmp(k, "given") == 0 || strcmp(k, "refused") == 0)
		return strcmp(confirmation_name(c->confirmation), k) == 0;
	abort();
}

static void run_happening(struct campaign_bench *b, const struct step_line *l)
{
	struct campaign_event e;
	struct campaign_step  s;
	read_happening(l, &e, &b->now);
	int         r = campaign_flow_step(&b->c, &e, b->now, &s);
	const char *want = strcmp(l->phase, "same") == 0 ? campaign_state_name(b->c.state) : l->phase;
	const char *refused = r == 0 ? "a step" : r == E_CAMPAIGN_STATE ? "refused" : r == E_ROLLBACK_GRACE ? "too_late" : "another refusal";
	if (strcmp(l->phase, "refused") == 0 || strcmp(l->phase, "too_late") == 0 || r != 0) {
		if (strcmp(l->phase, refused) != 0)
			wrong(b, l, "result", l->phase, refused);
		return;
	}
	if (strcmp(campaign_state_name(s.next.state), want) != 0)
		wrong(b, l, "state", want, campaign_state_name(s.next.state));
	check_actions(b, l, &s);
	for (size_t i = 0; i < l->checks.n; i++)
		if (!check_one(l->checks.key[i], l->checks.value[i], &s, b->now))
			wrong(b, l, l->checks.key[i], l->checks.value[i], "something else");
	b->c = s.next;
}

static struct order read_order(const struct step_line *l, int64_t now, bool *ret_follows)
{
	struct order o = {.phase = ORDER_PHASE_COUNT, .next_at = TIME_NEVER};
	for (int p = 0; p < ORDER_PHASE_COUNT; p++)
		if (strcmp(order_phase_name((enum order_phase)p), l->fields.key[0]) == 0)
			o.phase = (enum order_phase)p;
	if (o.phase == ORDER_PHASE_COUNT)
		abort();
	*ret_follows = false;
	for (size_t i = 1; i < l->fields.n; i++) {
		if (strcmp(l->fields.key[i], "follows") == 0)
			*ret_follows = true;
		else if (strcmp(l->fields.key[i], "back") == 0)
			o.flags |= ORDER_ROLLBACK_ASKED;
		else if (strcmp(l->fields.key[i], "away") == 0)
			o.code = E_DRILL_AWAY;
		else if (strcmp(l->fields.key[i], "removed") == 0)
			o.code = E_ORDER_NO_AGENT;
		else if (strcmp(l->fields.key[i], "next") == 0)
			o.next_at = now + step_ms(l->fields.value[i]);
		else
			abort();
	}
	return o;
}

static void run_order(struct campaign_bench *b, const struct step_line *l)
{
	bool         follows;
	struct order o = read_order(l, b->now, &follows);
	const char  *got = strcmp(l->verb, "open") == 0 ? (campaign_member_follows(&o) ? "stays" : "goes")
							: member_state_name(campaign_member_state(&b->c, &o, follows, b->now));
	if (strcmp(got, l->phase) != 0)
		wrong(b, l, l->verb, l->phase, got);
}

static void test_table(void **state)
{
	(void)state;
	FILE                 *f = step_open("campaign_flow.step");
	struct campaign_bench b = {.now = START};
	struct step_line      l;
	int                   line = 0, events = 0;
	while (step_next(f, &line, &l)) {
		if (strcmp(l.verb, "case") == 0)
			continue;
		if (strcmp(l.verb, "given") == 0) {
			b.now = START + 1;
			read_campaign(&l, b.now, &b.c);
		} else if (strcmp(l.verb, "event") == 0 && l.expects) {
			run_happening(&b, &l);
			events++;
		} else if ((strcmp(l.verb, "order") == 0 || strcmp(l.verb, "open") == 0) && l.expects) {
			run_order(&b, &l);
			events++;
		} else {
			fail_msg("line %d: what is `%s`?", l.number, l.verb);
		}
	}
	fclose(f);
	assert_int_equal(b.errors, 0);
	assert_true(events > 140);
}

/* ---- any events ------------------------------------------------------------------------------------------------- */

static uint32_t rnd(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*seed >> 33);
}

static uint32_t sum(const struct campaign *c)
{
	return c->waiting + c->held + c->following + c->ordered + c->done + c->failed + c->skipped + c->dropped + c->going_back +
	       c->rolled_back + c->kept;
}

static struct campaign_event back_answer(const struct campaign_action *a, const struct campaign *c, uint64_t *seed)
{
	struct campaign_event e = {.kind = CAMPAIGN_EV_BACK, .from = MEMBER_DONE, .reached = c->back_at + a->n};
	if (e.reached > c->back_last)
		e.reached = c->back_last;
	for (uint32_t i = 0; i < a->n && i < c->done; i++)
		e.moved[rnd(seed) % 3 == 0 ? MEMBER_KEPT : MEMBER_GOING_BACK]++;
	return e;
}

/* As the shell does: what an action asks for is answered by members that wait. */
static struct campaign_event answer_to(const struct campaign_action *a, const struct campaign *c, uint64_t *seed)
{
	struct campaign_event e = {.kind = CAMPAIGN_EV_SENT, .from = MEMBER_WAITING};
	if (a->kind == CAMPAIGN_ACT_BACK)
		return back_answer(a, c, seed);
	if (a->kind == CAMPAIGN_ACT_DROP && c->waiting == 0)
		e.from = MEMBER_HELD;
	uint32_t there = e.from == MEMBER_WAITING ? c->waiting : c->held;
	for (uint32_t i = 0; i < a->n && i < there; i++) {
		static const enum member_state to[] = {MEMBER_ORDERED,   MEMBER_ORDERED, MEMBER_ORDERED,
						       MEMBER_FOLLOWING, MEMBER_FAILED,  MEMBER_SKIPPED};
		e.moved[a->kind == CAMPAIGN_ACT_DROP ? MEMBER_DROPPED : to[rnd(seed) % N_ELEMENTS(to)]]++;
	}
	e.stage_ends = rnd(seed) % 4 == 0;
	e.wave_ends = c->wave > 0 && c->wave < 3 && rnd(seed) % 3 == 0;
	return e;
}

static struct campaign_event any_event(const struct campaign *c, uint64_t *seed)
{
	struct campaign_event e = {.kind = (enum campaign_event_kind)(rnd(seed) % CAMPAIGN_EV_COUNT)};
	bool                  rare = e.kind <= CAMPAIGN_EV_ROLLBACK && rnd(seed) % 8 != 0;
	if (e.kind == CAMPAIGN_EV_SENT || e.kind == CAMPAIGN_EV_BACK || rare)
		e.kind = CAMPAIGN_EV_TIMER;
	e.first = 1;
	e.last = c->total;
	if (c->going_back > 0 && rnd(seed) % 2 == 0) {
		e.from = MEMBER_GOING_BACK;
		e.to = rnd(seed) % 4 == 0 ? MEMBER_KEPT : MEMBER_ROLLED_BACK;
		return e;
	}
	e.from = c->ordered > 0 ? MEMBER_ORDERED : MEMBER_FOLLOWING;
	e.to = rnd(seed) % 5 == 0                                 ? MEMBER_FAILED
	       : e.from == MEMBER_FOLLOWING && rnd(seed) % 3 == 0 ? MEMBER_WAITING
								  : MEMBER_DONE;
	return e;
}

static void check_step(const struct campaign *c, const struct campaign_step *s)
{
	assert_true(s->n_act <= CAMPAIGN_ACTIONS_MAX);
	assert_int_equal(sum(&s->next), sum(c)); /* nobody is lost, nobody comes twice */
	if (c->completed_at != 0)
		assert_int_equal(s->next.state, c->state);
	for (size_t i = 0; i < s->n_act; i++)
		if (s->act[i].kind == CAMPAIGN_ACT_SEND) {
			assert_true(s->n_act == 1 && !s->changed && c->state == CAMPAIGN_PROCESSING);
			assert_true(s->act[i].n > 0 && s->act[i].n <= CAMPAIGN_CHUNK && s->act[i].n <= c->waiting);
			assert_true(c->batch == 0 || c->batch_sent + s->act[i].n <= c->batch);
		}
}

/* Whatever happens in whatever order: the counts add up, no batch is larger than it may be, and it comes to its end. */
static void test_any_events(void **state)
{
	(void)state;
	uint64_t seed = 1;
	unsigned ends[CAMPAIGN_STATE_COUNT] = {0};
	for (int run = 0; run < 2000; run++) {
		struct campaign c = campaign_of_test(run % 5 == 0 ? CAMPAIGN_AWAITING_APPROVAL : CAMPAIGN_PROCESSING);
		int64_t         now = START;
		c.waiting = c.total = rnd(&seed) % 60;
		c.wave = run % 4 == 0 ? 1 : 0;
		if (c.wave > 0)
			waves_write((uint32_t[]){5, 10, 45}, 3, c.waves);
		c.rollback_on_halt = run % 7 == 0;
		c.kind = run % 3 == 0 ? CAMPAIGN_EMERGENCY : CAMPAIGN_BULK;
		c.batch = run % 3 == 0 ? 0 : 10;
		if (run % 7 == 1) /* somebody may still join: it ends only when nobody may any more */
			c.kind = CAMPAIGN_POLICY, c.batch = 10, c.collecting = true;
		for (int i = 0; i < 3000 && c.completed_at == 0; i++) {
			struct campaign_event e = any_event(&c, &seed);
			struct campaign_step  s;
			now += rnd(&seed) % 3000;
			if (i > 2000 && c.state != CAMPAIGN_PROCESSING) /* a person looks at last */
				e.kind = c.state == CAMPAIGN_HALTED      ? CAMPAIGN_EV_RESUME
					 : c.state == CAMPAIGN_CANCELLED ? CAMPAIGN_EV_TIMER
									 : CAMPAIGN_EV_APPROVED;
			if (campaign_flow_step(&c, &e, now, &s) < 0)
				continue;
			check_step(&c, &s);
			bool asks = s.n_act == 1 && s.act[0].kind != CAMPAIGN_ACT_AUDIT;
			c = s.next;
			if (!asks)
				continue;
			e = answer_to(&s.act[0], &c, &seed);
			assert_int_equal(campaign_flow_step(&c, &e, now, &s), 0);
			check_step(&c, &s);
			c = s.next;
		}
		ends[c.state]++;
		assert_true(c.completed_at != 0 || campaign_flow_open(&c) > 0);
		assert_true(c.completed_at == 0 || !c.collecting);
		if (c.completed_at != 0)
			assert_int_equal(campaign_flow_pending(&c), 0);
	}
	assert_true(ends[CAMPAIGN_COMPLETED] > 0 && ends[CAMPAIGN_COMPLETED_WITH_FAILURES] > 0 && ends[CAMPAIGN_CANCELLED] > 0);
}

static void test_limit(void **state)
{
	(void)state;
	assert_int_equal(campaign_flow_limit(0, 250), 20);
	assert_int_equal(campaign_flow_limit(80, 250), 20);
	assert_int_equal(campaign_flow_limit(84, 250), 21);
	assert_int_equal(campaign_flow_limit(1000000, 250), 250000);
	assert_int_equal(campaign_flow_limit(40, 1000), 40);
	assert_int_equal(campaign_flow_limit(1000, 0), 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_any_events),
		cmocka_unit_test(test_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

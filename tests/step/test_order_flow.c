/* test_order_flow.c - room tests/step: does an order do what tests/step/order_flow.step says, and never anything wild?
 * Never: rules of its own; the table is the specification. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "controller/core/order_flow.h"
#include "shared/base/err.h"
#include "shared/base/times.h"
#include "tests/lib/step_table.h"

#define START INT64_C(1800000000000)

struct bench {
	struct order        o;
	struct order_policy policy;
	int64_t             now;
	int                 errors;
};

static int phase_of(const char *name, int line)
{
	for (int p = 0; p < ORDER_PHASE_COUNT; p++) {
		if (strcmp(order_phase_name((enum order_phase)p), name) == 0)
			return p;
	}
	fprintf(stderr, "line %d: no phase %s\n", line, name);
	abort();
}

static uint32_t flags_of(const char *text)
{
	static const struct {
		const char *name;
		uint32_t    bit;
	} flags[] = {{"unverified", ORDER_UNVERIFIED}, {"draining", ORDER_DRAINING}, {"down", ORDER_SERVICE_WAS_DOWN},
		     {"hook", ORDER_HOOK_FAILED},      {"forced", ORDER_FORCED},     {"approved", ORDER_APPROVED},
		     {"now", ORDER_NOW},               {"staged", ORDER_STAGED},     {"fresh", ORDER_FRESH},
		     {"cancel", ORDER_CANCEL_ASKED},   {"peers", ORDER_PEERS},       {"peer_unproved", ORDER_PEER_UNPROVED},
		     {"peer_refused", ORDER_PEER_REFUSED}, {"rollback", ORDER_ROLLBACK_ASKED}, {"drill", ORDER_DRILL}};
	char     copy[STEP_WORD_SIZE];
	uint32_t bits = 0;
	char    *rest = NULL;
	snprintf(copy, sizeof(copy), "%s", text);
	for (char *item = strtok_r(copy, ",", &rest); item != NULL; item = strtok_r(NULL, ",", &rest)) {
		bool known = strcmp(item, "none") == 0;
		for (size_t i = 0; i < N_ELEMENTS(flags); i++) {
			if (strcmp(flags[i].name, item) == 0) {
				bits |= flags[i].bit;
				known = true;
			}
		}
		if (!known)
			abort();
	}
	return bits;
}

static struct order_policy policy_default(void)
{
	return (struct order_policy){
		.max_attempts = 3,
		.retry_ms = MS_HOUR,
		.attempt_ms = 10 * MS_MINUTE,
		.supersede_grace_ms = MS_HOUR,
		.pre_validation = true,
		.post_validation = true,
		.peers_ms = 5 * MS_MINUTE,
		.may_go_back = true,
	};
}

static void read_policy(const struct step_line *l, struct order_policy *p)
{
	for (size_t i = 0; i < l->fields.n; i++) {
		const char *k = l->fields.key[i], *v = l->fields.value[i];
		if (strcmp(k, "max") == 0)
			p->max_attempts = (uint32_t)step_number(v);
		else if (strcmp(k, "grace") == 0)
			p->supersede_grace_ms = step_ms(v);
		else if (strcmp(k, "missing") == 0)
			snprintf(p->prerequisite, sizeof(p->prerequisite), "%s", v);
		else if (strcmp(k, "no_pre_validation") == 0)
			p->pre_validation = false;
		else if (strcmp(k, "no_post_validation") == 0)
			p->post_validation = false;
		else if (strcmp(k, "verified_is_enough") == 0)
			p->verified_is_enough = true;
		else if (strcmp(k, "crossing") == 0)
			p->crossing_at = START + step_ms(v);
		else if (strcmp(k, "code_signing") == 0)
			p->code_signing = true;
		else if (strcmp(k, "peers") == 0)
			p->peers = step_number(v) != 0;
		else if (strcmp(k, "no_way_back") == 0)
			p->may_go_back = false;
		else if (strcmp(k, "held") == 0)
			p->held = true;
		else
			abort();
	}
}

static void read_order(const struct step_line *l, int64_t now, struct order *o)
{
	*o = (struct order){.renewal_id = step_id("7"), .cert_id = "web", .agent = "host", .next_at = TIME_NEVER};
	for (size_t i = 0; i < l->fields.n; i++) {
		const char *k = l->fields.key[i], *v = l->fields.value[i];
		if (i == 0)
			o->phase = (enum order_phase)phase_of(k, l->number);
		else if (strcmp(k, "no_agent") == 0)
			o->agent[0] = '\0';
		else if (strcmp(k, "attempt") == 0)
			o->attempt = (uint32_t)step_number(v);
		else if (strcmp(k, "failures") == 0)
			o->failures = (uint32_t)step_number(v);
		else if (strcmp(k, "old") == 0)
			o->old_serial = step_serial(v);
		else if (strcmp(k, "serial") == 0)
			o->serial = step_serial(v);
		else if (strcmp(k, "key") == 0)
			o->spki_hash = step_hash(v);
		else if (strcmp(k, "fp") == 0)
			o->fingerprint = step_hash(v);
		else if (strcmp(k, "flags") == 0)
			o->flags = flags_of(v);
		else if (strcmp(k, "next") == 0)
			o->next_at = now + step_ms(v);
		else
			abort();
	}
}

static void read_event(const struct step_line *l, const struct order *o, struct order_event *e, int64_t *now)
{
	*e = (struct order_event){.renewal_id = o->renewal_id, .attempt = o->attempt, .kind = EV_KIND_COUNT};
	for (int k = 0; k < EV_KIND_COUNT && l->fields.n > 0; k++) {
		if (strcmp(order_event_name((enum order_event_kind)k), l->fields.key[0]) == 0)
			e->kind = (enum order_event_kind)k;
	}
	if (e->kind == EV_KIND_COUNT)
		abort();
	for (size_t i = 1; i < l->fields.n; i++) {
		const char *k = l->fields.key[i], *v = l->fields.value[i];
		if (strcmp(k, "after") == 0)
			*now += step_ms(v);
		else if (strcmp(k, "attempt") == 0)
			e->attempt = (uint32_t)step_number(v);
		else if (strcmp(k, "renewal") == 0)
			e->renewal_id = step_id(v);
		else if (strcmp(k, "key") == 0)
			e->spki_hash = step_hash(v);
		else if (strcmp(k, "serial") == 0)
			e->serial = step_serial(v);
		else if (strcmp(k, "fp") == 0)
			e->fingerprint = step_hash(v);
		else if (strcmp(k, "staged") == 0)
			e->staged = true;
		else if (strcmp(k, "code") == 0)
			e->code = -(int)step_number(v);
		else if (strcmp(k, "flags") == 0)
			e->flags = flags_of(v);
		else if (strcmp(k, "random") == 0)
			e->random = (uint32_t)step_number(v);
		else
			abort();
	}
}

static void action_text(const struct order_action *a, int64_t now, char *ret, size_t size)
{
	if (a->kind == ACT_AUDIT)
		snprintf(ret, size, "audit:%s", order_audit_name(a->audit));
	else if (a->kind == ACT_SUPERSEDE)
		snprintf(ret, size, "supersede:%02X@%lld", a->serial.b[15], (long long)((a->at - now) / 1000));
	else
		snprintf(ret, size, "%s", order_action_name(a->kind));
}

static void fail_line(struct bench *b, const struct step_line *l, const char *what, const char *want, const char *got)
{
	fprintf(stderr, "tests/step/order_flow.step:%d: %s: wanted %s, got %s\n", l->number, what, want, got);
	b->errors++;
}

static void check_actions(struct bench *b, const struct step_line *l, const struct order_step *s)
{
	char got[STEP_WORD_SIZE];
	for (size_t i = 0; i < s->n_act || i < l->actions.n; i++) {
		if (i < s->n_act)
			action_text(&s->act[i], b->now, got, sizeof(got));
		else
			snprintf(got, sizeof(got), "nothing");
		const char *want = i < l->actions.n ? l->actions.key[i] : "nothing";
		if (strcmp(got, want) != 0)
			fail_line(b, l, "action", want, got);
	}
}

static bool field_ok(const char *k, const char *v, const struct order_step *s, int64_t now)
{
	const struct order *o = &s->next;
	if (strcmp(k, "live") == 0)
		return !s->durable;
	if (strcmp(k, "ignored") == 0)
		return s->ignored;
	if (strcmp(k, "next") == 0)
		return strcmp(v, "never") == 0 ? o->next_at == TIME_NEVER : o->next_at - now == step_ms(v);
	if (strcmp(k, "deadline") == 0)
		return o->deadline_at - now == step_ms(v);
	if (strcmp(k, "attempt") == 0)
		return o->attempt == (uint32_t)step_number(v);
	if (strcmp(k, "failures") == 0)
		return o->failures == (uint32_t)step_number(v);
	if (strcmp(k, "serial") == 0)
		return serial_equal(o->serial, step_serial(v));
	if (strcmp(k, "fp") == 0)
		return hash_equal(o->fingerprint, step_hash(v));
	if (strcmp(k, "flags") == 0)
		return o->flags == flags_of(v);
	if (strcmp(k, "code") == 0)
		return o->code == -(int)step_number(v);
	if (strcmp(k, "verified") == 0)
		return o->verified_at == now;
	if (strcmp(k, "completed") == 0)
		return o->completed_at == now;
	abort();
}

static void run_event(struct bench *b, const struct step_line *l)
{
	struct order_event e;
	struct order_step  s;
	read_event(l, &b->o, &e, &b->now);
	int r = order_flow_step(&b->o, &e, b->now, &b->policy, &s);
	if (r != 0) {
		if (strcmp(l->phase, "refused") != 0)
			fail_line(b, l, "result", l->phase, "refused");
		return;
	}
	const char *want = strcmp(l->phase, "same") == 0 ? order_phase_name(b->o.phase) : l->phase;
	if (strcmp(order_phase_name(s.next.phase), want) != 0)
		fail_line(b, l, "phase", want, order_phase_name(s.next.phase));
	check_actions(b, l, &s);
	for (size_t i = 0; i < l->checks.n; i++) {
		char got[STEP_WORD_SIZE];
		snprintf(got, sizeof(got), "attempt %u failures %u flags %x code %d", s.next.attempt, s.next.failures,
			 s.next.flags, s.next.code);
		if (!field_ok(l->checks.key[i], l->checks.value[i], &s, b->now))
			fail_line(b, l, l->checks.key[i], l->checks.value[i], got);
	}
	b->o = s.next;
}

static void test_table(void **state)
{
	(void)state;
	FILE            *f = step_open("order_flow.step");
	struct bench     b = {.policy = policy_default(), .now = START};
	struct step_line l;
	int              line = 0, events = 0;
	while (step_next(f, &line, &l)) {
		if (strcmp(l.verb, "case") == 0) {
			b.policy = policy_default();
			b.now = START;
		} else if (strcmp(l.verb, "policy") == 0) {
			read_policy(&l, &b.policy);
		} else if (strcmp(l.verb, "given") == 0) {
			read_order(&l, b.now, &b.o);
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

static struct order_event random_event(uint64_t *seed, const struct order *o)
{
	static const char *const names[] = {"none", "a", "b"};
	static const int   codes[] = {0, E_SIGNER_RATE, E_SIGNER_LIMIT, E_SIGNER_SERIAL, E_SIGNER_STALE, E_SWAP_CANCELLED, E_SWAP_STALE, E_STAGE_GONE, 12345};
	struct order_event e = {.renewal_id = o->renewal_id};
	e.kind = (enum order_event_kind)(rnd(seed) % EV_KIND_COUNT);
	e.attempt = rnd(seed) % 4 == 0 ? rnd(seed) % 4 : o->attempt;
	e.spki_hash = step_hash(names[rnd(seed) % 3]);
	e.fingerprint = rnd(seed) % 2 == 0 ? o->fingerprint : step_hash(names[rnd(seed) % 3]);
	e.serial = rnd(seed) % 2 == 0 ? o->serial : step_serial(rnd(seed) % 2 == 0 ? "2" : "9");
	e.code = codes[rnd(seed) % N_ELEMENTS(codes)];
	e.flags = rnd(seed);
	e.random = rnd(seed);
	e.staged = rnd(seed) % 3 == 0;
	return e;
}

static void check_bounds(const struct order *o, const struct order_step *s)
{
	assert_true(s->n_act <= ORDER_ACTIONS_MAX);
	assert_true((unsigned)s->next.phase < ORDER_PHASE_COUNT);
	bool back = o->phase == ORDER_COMPLETED && (s->next.phase == ORDER_ROLLING_BACK || s->next.phase == ORDER_ROLLED_BACK);
	if (order_phase_final(o->phase) && !back)
		assert_int_equal(s->next.phase, o->phase);
	if (s->ignored)
		assert_memory_equal(&s->next, o, sizeof(*o));
	if (order_phase_final(s->next.phase))
		assert_true(s->next.completed_at != 0 && s->next.next_at == TIME_NEVER);
	else if (s->next.attempt > 0)
		assert_true(s->next.next_at != TIME_NEVER); /* something always looks at it again */
	bool change = false;
	for (size_t k = 0; k < s->n_act; k++) {
		assert_true(id_equal(s->act[k].renewal_id, o->renewal_id));
		change = change || (s->act[k].kind != ACT_SIGN && s->act[k].kind != ACT_ASK_PEERS);
	}
	bool now = ((s->next.flags ^ o->flags) & ORDER_NOW) != 0; /* a flag of its own, perhaps without an action */
	assert_true(change ? s->durable : !s->durable || now);
}

/* A drill leaves the certificate, what it has and what was staged for it as they were. */
static void check_drill(const struct order_step *s)
{
	static const enum order_action_kind allowed[] = {ACT_SEND_ORDER,   ACT_SEND_CERTIFICATE, ACT_SEND_CANCEL, ACT_CLEAR_OUTBOX, ACT_ADD_INTENT,
							 ACT_STORE_ISSUED, ACT_VOID_INTENT,      ACT_REVOKE_NEW,  ACT_AUDIT,        ACT_SIGN};
	assert_true((s->next.flags & ORDER_DRILL) != 0 && (s->next.flags & ORDER_STAGED) == 0);
	for (size_t k = 0; k < s->n_act; k++) {
		bool found = false;
		for (size_t i = 0; i < N_ELEMENTS(allowed); i++)
			found = found || s->act[k].kind == allowed[i];
		if (!found)
			fail_msg("a drill asks for %s", order_action_name(s->act[k].kind));
	}
}

/* Whatever comes in whatever order: bounds hold, an end is an end, and what changes durably has its action. */
static void test_any_events(void **state)
{
	(void)state;
	struct order_policy policy = policy_default();
	uint64_t            seed = 1;
	bool                seen[ORDER_PHASE_COUNT] = {false};
	for (int run = 0; run < 8000; run++) {
		bool         drill = run % 5 == 0;
		struct order o = {.renewal_id = step_id("7"), .next_at = TIME_NEVER};
		int64_t      now = START;
		if (!drill) /* which replaces nothing */
			o.old_serial = step_serial("9");
		policy.post_validation = run % 2 == 0;
		policy.verified_is_enough = run % 3 == 0;
		policy.peers = run % 5 != 0;
		policy.may_go_back = run % 7 != 0;
		o.flags = drill ? ORDER_DRILL : run % 4 < 2 ? ORDER_PEERS : 0;
		if (drill || run % 8 != 7) /* one that has an agent goes the long way */
			memcpy(o.agent, "host", sizeof("host"));
		for (int i = 0; i < 60; i++) {
			now += rnd(&seed) % 700000;
			struct order_event e = random_event(&seed, &o);
			struct order_step  s;
			assert_int_equal(order_flow_step(&o, &e, now, &policy, &s), 0);
			check_bounds(&o, &s);
			if (drill)
				check_drill(&s);
			o = s.next;
			seen[o.phase] = true;
		}
	}
	assert_true(seen[ORDER_COMPLETED] && seen[ORDER_PAUSED] && seen[ORDER_CANCELLED] && seen[ORDER_FAILED]);
	assert_true(seen[ORDER_ROLLING_BACK] && seen[ORDER_ROLLED_BACK] && seen[ORDER_SETTLED]);
}

static void test_attended(void **state)
{
	(void)state;
	struct order o = {.trigger = TRIGGER_SCHEDULED};
	assert_false(order_flow_attended(&o));
	o.flags = ORDER_APPROVED;
	assert_true(order_flow_attended(&o));
	o.flags = ORDER_FORCED;
	assert_true(order_flow_attended(&o));
	o = (struct order){.trigger = TRIGGER_MANUAL};
	assert_true(order_flow_attended(&o));
	o.trigger = TRIGGER_POLICY_UPDATE;
	assert_false(order_flow_attended(&o));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_any_events),
		cmocka_unit_test(test_attended),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
